/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, keys and authorities of a configuration: loading them, saying what is wrong with
 * them, and reading them again when their files change. */
#pragma once

#include "control/config.h"
#include "net/tls_client.h"
#include "net/tls_context.h"

struct certificates;
struct tls_tickets;

/* What is loaded lives until certificates_free(). `without_files`: nothing is read from disk or
 * written to it. */
/* Contexts of `previous` (NULL: none) that would be made the same are shared, with its keys for
 * tickets and its sessions; it stays as it is, and must not watch its files meanwhile. */
struct certificates *certificates_new(const struct config *config, bool without_files,
                                      const struct certificates *previous);
void certificates_free(struct certificates *certificates);

/* The context of a site; the same for each of its addresses. NULL: it has none, or an error was
 * reported. */
struct tls_context *certificates_context(struct certificates *certificates,
                                         const struct config_site *site,
                                         struct config_errors *errors);
/* How a server of an upstream is spoken to; NULL after an error. It is the caller's. */
struct tls_client *certificates_client(struct certificates *certificates,
                                       const struct config_upstream *upstream, struct slice host,
                                       struct config_errors *errors);
/* The same for one that is written without an upstream. */
struct tls_client *certificates_plain_client(struct slice host);

/* Calls back with each certificate that sites show: the first name of the site, and when it ends,
 * in seconds since 1970. On control's loop. */
void certificates_each(const struct certificates *certificates,
                       void (*each)(void *argument, struct slice site, int64_t expires),
                       void *argument);
enum { CERTIFICATES_WHY_MAX = 512 };
/* Reads the files of whoever shows something under that name (a host of a site, or what logs call
 * an address of the admin API) now, or has the local authority make it anew, and shows what came of
 * it. On control's loop. ERR_UNREACHABLE: nobody has that name. ERR_CONFIG: what is there is of no
 * use
 * (`why` says how), and what is shown stays; ERR_TIMEOUT: a reload looks at them at this moment. */
MUST_CHECK enum status certificates_renew(struct certificates *certificates, struct slice name,
                                          char why[CERTIFICATES_WHY_MAX]);
/* On control's loop: from then on changed files are read again, and ticket keys change; until
 * certificates_unwatch(). */
void certificates_watch(struct certificates *certificates);
void certificates_unwatch(struct certificates *certificates);
/* While another one is made from it on another thread, nothing of it changes. */
void certificates_hold(struct certificates *certificates, bool is_held);
/* What is known of the certificates of `from` (what authorities said of them) is known of those of
 * `to` as well where they are the same. Neither watches. */
void certificates_carry(struct certificates *to, const struct certificates *from);
