/* SPDX-License-Identifier: Apache-2.0 */
/* Types of content (RFC 9110 §8.3.1): of files by the ending of their names, and patterns of them
 * as configurations write them. */
#pragma once

#include "base/option.h"
#include "base/slice.h"

/* What follows the last dot of the last part of a path; empty: there is none. */
struct slice media_extension(struct slice path);
/* The Content-Type for an extension, without case; text is said to be UTF-8. Empty: not known. */
struct slice media_type(struct slice extension);

/* "text/html" of "text/html; charset=utf-8". */
struct slice media_type_essence(struct slice content_type);
/* Whether one of the patterns holds for a Content-Type: "text/html", "text/" with a star for all of
 * a kind, "+json" for all that end so, a star alone for every one. */
bool media_type_is_one(struct slice content_type, const struct slice_list *patterns);
/* Whether a pattern is one of these forms. */
bool media_type_pattern_is_good(struct slice pattern);
