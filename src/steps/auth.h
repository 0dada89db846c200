/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps that ask who somebody is have in common. */
#pragma once

#include "exchange/exchange.h"
#include "exchange/step.h"
#include "fiber/held.h"

/* The file that a configuration names, with or without "file:", watched; held until the snapshot
 * goes. NULL after an error was reported, or without files. */
struct held *auth_hold_file(struct prepare *prepare, const char *option, struct slice reference,
                            const struct held_kind *kind);
/* The same, where a secret may stand: env:NAME and credential:NAME are texts that do not change. */
struct held *auth_hold_secret(struct prepare *prepare, const char *option, struct slice reference,
                              const struct held_kind *kind);
/* Keeps a source that was made otherwise. */
struct held *auth_keep(struct prepare *prepare, struct held *held);

/* Checks that a field may be set on requests and guards it; ERR_CONFIG after an error. */
MUST_CHECK enum status auth_guard_field(struct prepare *prepare, const char *option,
                                        struct slice name);
/* A text as a quoted string of a field (RFC 9110 §5.6.4); false after an error was reported. */
bool auth_quote(struct prepare *prepare, const char *option, struct slice text,
                struct slice *quoted);

/* Refuses a request; the access log shows the step and why. */
enum verdict auth_refuse(struct exchange *x, const struct key *key, enum refusal refusal,
                         const char *why, struct slice challenge);
/* It cannot be said now whether the request may pass: it may not. */
enum verdict auth_fail(struct exchange *x, const struct key *key, enum status status,
                       const char *why);
/* Who it is: {user}, and the field that tells servers, unless its name is empty. */
void auth_set_user(struct exchange *x, struct slice user, struct slice field);
/* The value of Authorization behind a scheme's name; false: there is none, or more than one. */
bool auth_credentials(const struct exchange *x, struct slice scheme, struct slice *value);
