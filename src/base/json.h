/* SPDX-License-Identifier: Apache-2.0 */
/* JSON out: always valid UTF-8, whatever bytes went in. */
#pragma once

#include "base/buffer.h"

/* The text in quotes, escaped (RFC 8259 §7); a byte that is no UTF-8 becomes \u00XX. */
void json_string(struct buffer *out, struct slice text);
/* What stands between the quotes. */
void json_escaped(struct buffer *out, struct slice text);
/* `,"name":` (without the comma behind an opening brace). The name is ours and needs no escapes. */
void json_name(struct buffer *out, const char *name);
void json_field(struct buffer *out, const char *name, struct slice text);
void json_field_int(struct buffer *out, const char *name, int64_t number);
/* Nanoseconds as seconds with up to six decimals. */
void json_field_seconds(struct buffer *out, const char *name, int64_t ns);
void json_seconds(struct buffer *out, int64_t ns); /* the number alone */
