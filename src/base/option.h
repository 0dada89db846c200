/* SPDX-License-Identifier: Apache-2.0 */
/* How a feature declares its words in the configuration: tables that the parser, the checks, the
 * JSON Schema, the completion and the reference pages all read.
 *
 * A key is one line of the configuration: `name argument… option=value… { inner keys }`. An option
 * and an inner line are the same thing: `server A weight=2` is `server A { weight 2 }`. */
#pragma once

#include "base/slice.h"

enum option_type {
    OPTION_END = 0,      /* closes a table */
    OPTION_FLAG,         /* bool; the bare word sets it: `backup` */
    OPTION_BOOL,         /* bool; on | off */
    OPTION_INT,          /* int64_t; min and max hold; words[0] is a word that stands for 0 */
    OPTION_SIZE,         /* int64_t, bytes: 16KiB; "off" gives −1 where OPTION_MAY_BE_OFF */
    OPTION_DURATION,     /* int64_t, nanoseconds: 30s; "off" gives CLOCK_NEVER where it may be */
    OPTION_RATE,         /* struct option_rate: 20r/s */
    OPTION_SPEED,        /* int64_t, bytes a second: 5MiB/s */
    OPTION_PERCENT,      /* int64_t, hundredths of a percent: 0.5% is 50 */
    OPTION_ENUM,         /* int; position in `words` */
    OPTION_STRING,       /* struct slice */
    OPTION_TEMPLATE,     /* struct slice with {placeholders}, which are checked to exist */
    OPTION_REGEX,        /* struct slice, checked to compile */
    OPTION_NAME,         /* struct slice: letters, digits, _ - . */
    OPTION_PATH,         /* struct slice: a path of a URL, starts with / */
    OPTION_FILE,         /* struct slice: a file's path, relative to the configuration file */
    OPTION_DIR,          /* struct slice */
    OPTION_ADDRESS,      /* struct slice: host:port, :port, [v6]:port, unix:/path */
    OPTION_SERVER,       /* struct slice: an address or http://host[:port] */
    OPTION_CIDR,         /* struct slice: 10.0.0.0/8, an address alone */
    OPTION_HOST,         /* struct slice: example.com, *.example.com, * */
    OPTION_PATTERN,      /* struct slice: /exact, /prefix/…*, ~regex */
    OPTION_STATUS,       /* int64_t: 100–599 */
    OPTION_STATUS_RANGE, /* struct slice: 200, 200-299, 5xx */
    OPTION_FIELD,        /* struct slice: the name of an HTTP field */
    OPTION_METHOD,       /* struct slice */
    OPTION_REFERENCE,    /* struct slice: the name of a block of kind `words[0]` */
    OPTION_UPSTREAM,     /* struct slice: name of an upstream, or an OPTION_SERVER in its place */
    OPTION_SECRET,       /* struct slice: file:PATH, env:NAME or credential:NAME */
    OPTION_URL,          /* struct slice */
};

enum option_flags {
    OPTION_REQUIRED = 1, /* arguments only: must be written */
    OPTION_MANY = 2, /* fills a struct slice_list; only slices; as last argument takes the rest */
    OPTION_MAY_BE_OFF = 4, /* "off" is a value too */
};

struct option_rate {
    int64_t count;
    int64_t per; /* nanoseconds */
};

struct slice_list {
    const struct slice *items;
    size_t count;
};

struct option {
    const char *name; /* as option=, or what an argument is called in messages */
    enum option_type type;
    unsigned flags;
    const char *standard;     /* default, as it would be written; NULL: none (zero) */
    int64_t min, max;         /* for numbers, in the unit stored; both 0: no bounds */
    const char *const *words; /* ENUM: its words, NULL at the end; REFERENCE: the kind */
    size_t offset;            /* of the field in the key's struct */
    const char *doc;          /* one sentence */
};

/* Where a key may stand; a bit each. */
enum key_context {
    IN_TOP = 1,
    IN_SITE = 2,
    IN_ROUTE = 4,
    IN_UPSTREAM = 8,
    IN_DEFAULTS = 16,
    IN_TIMEOUTS = 32,
    IN_LIMITS = 64,
    IN_LOG = 128,
    IN_LISTEN = 256,
    IN_SERVER = 512,
    IN_SPLIT = 1024,
    IN_ADMIN = 2048,
    IN_CGI = 4096, /* of php, fastcgi, scgi and uwsgi */
    IN_TRY = 8192,
    IN_END = 16384, /* past the last */
};

enum key_flags {
    KEY_ONE = 0,     /* an inner one replaces the outer; twice in one block is an error */
    KEY_MANY = 1,    /* may be repeated; adds to the outer ones */
    KEY_STEP = 2,    /* stands on the path of an exchange */
    KEY_ANSWER = 4,  /* a step that answers: the last of its route */
    KEY_SECTION = 8, /* has a block of keys of context `inner` */
    KEY_OFF = 16,    /* `name off` removes the outer one */
    KEY_BARE = 32,   /* KEY_SECTION: its block may be missing */
};

struct key {
    const char *name;
    unsigned contexts;              /* enum key_context */
    unsigned flags;                 /* enum key_flags */
    unsigned inner;                 /* context of the keys in its block, for KEY_SECTION */
    const struct option *arguments; /* in order; ends with OPTION_END; NULL: none */
    const struct option *options;   /* by name; the same */
    size_t config_size;             /* of the struct that the offsets point into */
    const char *doc;                /* one sentence or more */
    const char *example;            /* a line that is checked to parse */
    const char *since;              /* version that brought it */
};
