/* SPDX-License-Identifier: Apache-2.0 */
/* What of the random worlds weir answers from its own disk: files and parts of them, lists of
 * folders, maps of redirects. */
#pragma once

struct plan;

/* Routes of the site. */
extern const char CONTENT_FILES_ROUTES[];
/* Draws the files. */
void content_files_draw(void);
/* Makes a request one for them, and says what has to come. */
void content_files_take(struct plan *plan);
