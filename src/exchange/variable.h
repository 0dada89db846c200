/* SPDX-License-Identifier: Apache-2.0 */
/* {placeholders}: the closed list of facts about an exchange that text of the configuration may
 * name. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

struct exchange;
struct template;

/* Compiles a text; "{{" and "}}" are literal braces. False for an unknown placeholder: then
 * *error_at and *error_size say where it stands in the text and *suggestion what may have been
 * meant (empty: nothing near). */
bool template_compile(struct slice text, struct arena *arena, const struct template **compiled,
                      size_t *error_at, size_t *error_size, struct slice *suggestion);
/* The text for this exchange, in its arena (or of the template itself when nothing varies). */
struct slice template_expand(const struct template *compiled, struct exchange *x);
/* The same as a part of HTML or XML: what placeholders bring is text there, and no markup. */
struct slice template_expand_markup(const struct template *compiled, struct exchange *x);
bool template_is_constant(const struct template *compiled);

/* The value of one placeholder by its name without braces; empty when missing or unknown. */
struct slice variable_value(struct exchange *x, struct slice name);
/* Names for messages and docs: name and one sentence; NULL at the end. */
const char *variable_name(size_t index);
const char *variable_doc(size_t index);
