/* SPDX-License-Identifier: Apache-2.0 */
/* The media type of a file by the ending of its name. */
#pragma once

#include "base/slice.h"

/* What follows the last dot of the last part of a path; empty: there is none. */
struct slice media_extension(struct slice path);
/* The Content-Type for an extension, without case; text is said to be UTF-8. Empty: not known. */
struct slice media_type(struct slice extension);
