/* SPDX-License-Identifier: Apache-2.0 */
/* Types of content (RFC 9110 §8.3.1), and patterns of them as configurations write them. */
#pragma once

#include "base/option.h"
#include "base/slice.h"

/* "text/html" of "text/html; charset=utf-8". */
struct slice media_pattern_essence(struct slice content_type);
/* Whether what has that type is HTML or XML. */
bool media_pattern_is_markup(struct slice content_type);
/* Whether one of the patterns holds for a Content-Type: "text/html", "text/" with a star for all of
 * a kind, "+json" for all that end so, a star alone for every one. */
bool media_pattern_fits(struct slice content_type, const struct slice_list *patterns);
/* Whether a pattern is one of these forms. */
bool media_pattern_is_good(struct slice pattern);
