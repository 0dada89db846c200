/* SPDX-License-Identifier: Apache-2.0 */
/* A directory whose files clients see, as steps are told of it: what they have in common that send
 * files. */
#pragma once

#include "base/clock.h"
#include "exchange/file_answer.h"
#include "exchange/file_listing.h"

#include <stddef.h>

struct file_site {
    struct slice directory;
    struct slice_list index;
    struct slice_list hide;
    int links; /* enum file_links */
    int64_t recheck;
    struct file_root root;
    struct file_names hidden;
};

extern const char *const FILE_SITE_LINKS[];

/* The options, of a struct that holds a struct file_site under that name. */
#define FILE_SITE_OPTIONS(config, member)                                                          \
    {.name = "hide",                                                                               \
     .type = OPTION_STRING,                                                                        \
     .flags = OPTION_MANY,                                                                         \
     .standard = ".*",                                                                             \
     .offset = offsetof(config, member.hide),                                                      \
     .doc = "Names, with * and ?, of files and directories that are not there for clients; off: "  \
            "none. /.well-known is never hidden."},                                                \
        {.name = "symlinks",                                                                       \
         .type = OPTION_ENUM,                                                                      \
         .standard = "beneath",                                                                    \
         .words = FILE_SITE_LINKS,                                                                 \
         .offset = offsetof(config, member.links),                                                 \
         .doc = "Which links are followed. beneath: relative ones that stay in the directory; "    \
                "follow: all; refuse: none."},                                                     \
    {                                                                                              \
        .name = "recheck", .type = OPTION_DURATION, .standard = "1s", .min = 0,                    \
        .max = SECONDS(3600), .offset = offsetof(config, member.recheck),                          \
        .doc = "For how long what was seen of a file is believed; 0s: it is looked at for every "  \
               "request."                                                                          \
    }

/* For a step's prepare(): settles index and hide; false after an error was reported. */
bool file_site_prepare_names(struct file_site *site, struct prepare *p);
/* The same for the directory, whose path becomes absolute; it need not be there. */
void file_site_prepare_root(struct file_site *site, struct prepare *p);

/* What stands at a place; ERR_UNREACHABLE: nothing; else as of file_cache_open(). */
MAY_WAIT enum status file_site_look(struct exchange *x, const struct file_site *site,
                                    struct slice place, enum file_kind *kind);
/* The path of a file beneath the directory `place`. */
struct slice file_site_join(struct exchange *x, struct slice place, struct slice name);
/* The URL's path that is looked for: what rewriting steps made of it, made canonical again. False:
 * there is none. */
bool file_site_path(struct exchange *x, struct slice *path);
/* To the same path with a slash behind it, by which relative links in its index are right. */
enum verdict file_site_add_slash(struct exchange *x);
