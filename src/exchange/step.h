/* SPDX-License-Identifier: Apache-2.0 */
/* A step: one feature on the way of an exchange, in one file, declared in one line of
 * steps/steps.def. */
#pragma once

#include "base/arena.h"
#include "base/option.h"
#include "base/status.h"

struct buffer;
struct cache;
struct exchange;
struct geo;
struct held;
struct held_kind;
struct step_use;
struct template;
struct upstream;

enum verdict {
    NEXT,     /* go on with the next step */
    ANSWERED, /* x->response stands; go back up */
    FAILED,   /* x->blame says why; the exchange builds the error */
    /* The exchange goes on at another path of the site: exchange_redirect_inside() says so. */
    ELSEWHERE,
};

/* What a step may ask while the configuration is made ready (on control, once per load). Errors are
 * reported at the step's place in the file; `option` names the argument or option that is wrong,
 * NULL the step itself. */
struct prepare {
    struct arena *arena; /* lives as long as the snapshot */
    struct upstream *(*find_upstream)(struct prepare *prepare, struct slice name);
    /* The cache of that name, and the template of its key ("": the standard one). The cache is NULL
     * where none is made, as by check. False after an error was reported. */
    bool (*find_cache)(struct prepare *prepare, struct slice name, struct cache **cache,
                       struct slice *key);
    /* Compiles {placeholders}; NULL after an error was reported. */
    const struct template *(*compile_template)(struct prepare *prepare, const char *option,
                                               struct slice text);
    void (*error)(struct prepare *prepare, const char *option, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
    /* Calls release(object) when the snapshot is freed. */
    void (*keep)(struct prepare *prepare, void (*release)(void *object), void *object);
    /* The steps in its block, ready, each with its option `weight`; for a step that has one. */
    const struct step_use *inner;
    const uint32_t *inner_weights;
    size_t inner_count;
    bool without_files;     /* only check: files are not to be read */
    bool leads_elsewhere;   /* set by a step that may redirect inside */
    struct slice directory; /* of the configuration file: relative paths start here */
    /* What file:PATH, env:NAME or credential:NAME stands for; false after an error was reported. */
    bool (*read_secret)(struct prepare *prepare, const char *option, struct slice reference,
                        struct slice *secret);
    /* A field of requests that this step alone sets: what clients send under its name is taken off
     * on all sites, whatever their routes. */
    void (*guard_field)(struct prepare *prepare, struct slice name);
    /* A parameter of queries, or a field, in which clients send secrets to this step: no log shows
     * its value, whatever becomes of a request before the step has seen it. */
    void (*hide_secret)(struct prepare *prepare, struct slice name, bool is_parameter);
    /* The file of that kind at a path as it is written, read and looked after as long as the
     * snapshot lives; NULL after an error was reported, and where files are not to be read. */
    struct held *(*open_file)(struct prepare *prepare, const char *option, struct slice path,
                              const struct held_kind *kind);
    const struct geo *geo; /* what the configuration has of them */
    /* Which line of which site and route this is, in the same words in the next configuration: for
     * what outlives a snapshot. One line of a site is the same on each of its routes. */
    struct slice (*place)(struct prepare *prepare);
};

struct step {
    const struct key *key; /* its word, arguments and options: key->config_size bytes of config */
    enum status (*prepare)(void *config, struct prepare *prepare); /* NULL: nothing to prepare */
    enum verdict (*on_request)(struct exchange *x, const void *config); /* may wait */
    void (*on_response)(struct exchange *x,
                        const void *config); /* head known, body unread; may wait */
    void (*on_finish)(struct exchange *x, const void *config); /* last byte sent, or failed */
    /* In a few words: what it would do with a request, by its head and the configuration alone; for
     * weir explain. NULL: nothing that is not said already. */
    void (*explain)(struct exchange *x, const void *config, struct buffer *out);
};
