/* SPDX-License-Identifier: Apache-2.0 */
/* compress zstd br gzip: bodies are encoded on their way to the client, as it wants them. The body
 * is pulled through a wrapper; what cannot be encoded goes by untouched. */
#include "steps/compress.h"

#include "base/clock.h"
#include "base/list.h"
#include "exchange/exchange.h"
#include "exchange/transform.h"
#include "fiber/block.h"
#include "fiber/thread.h"
#include "http/media_pattern.h"
#include "steps/compressors.h"

enum {
    PIECE = 16 * 1024,      /* of text, between two looks at the clock */
    PIECE_HEAVY = 4 * 1024, /* at levels that take their time */
    HEAVY_LEVEL = 7,
    TURN_US = 500, /* of work, before others have their turn */
    HELD_MS = 250, /* so long a slow server's body of known length may be held back */
};

struct compress_config {
    struct slice_list words;
    struct slice_list types;
    int64_t levels[CODINGS];
    int64_t min_size;
    struct compressors_limits limits;
    bool is_guarded;
    enum coding codings[CODINGS];
    size_t count;
    bool is_before_cache;
};

#define TEXT_TYPES                                                                                 \
    "text/*,+json,+xml,application/json,application/javascript,application/x-javascript,"          \
    "application/xml,application/wasm,application/x-ndjson,application/grpc-web*,"                 \
    "application/vnd.ms-fontobject,font/ttf,font/otf,image/bmp,image/x-icon"

static const struct option ARGUMENTS[] = {
    {.name = "codings",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct compress_config, words),
     .doc = "zstd, br and gzip, as many as wanted: of those that a client wants equally the first "
            "written is used."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "types",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .standard = TEXT_TYPES,
     .offset = offsetof(struct compress_config, types),
     .doc = "Types of content that are encoded: text/html, text/* or +json; * for all."},
    {.name = "min_size",
     .type = OPTION_SIZE,
     .standard = "1KiB",
     .min = 0,
     .max = 1073741824,
     .offset = offsetof(struct compress_config, min_size),
     .doc = "Shorter bodies go as they are. Of those that do not say how long they are all are "
            "encoded."},
    {.name = "zstd_level",
     .type = OPTION_INT,
     .standard = "3",
     .min = 1,
     .max = 9,
     .offset = offsetof(struct compress_config, levels[CODING_ZSTD]),
     .doc = "1 is the fastest, 9 the smallest."},
    {.name = "br_level",
     .type = OPTION_INT,
     .standard = "4",
     .min = 1,
     .max = 6,
     .offset = offsetof(struct compress_config, levels[CODING_BR]),
     .doc = "1 is the fastest, 6 the smallest that a proxy has time for."},
    {.name = "gzip_level",
     .type = OPTION_INT,
     .standard = "5",
     .min = 1,
     .max = 9,
     .offset = offsetof(struct compress_config, levels[CODING_GZIP]),
     .doc = "1 is the fastest, 9 the smallest."},
    {.name = "memory",
     .type = OPTION_SIZE,
     .standard = "64MiB",
     .min = 0,
     .max = 17179869184,
     .offset = offsetof(struct compress_config, limits.memory),
     .doc = "What encoders take on each worker at most; beyond it bodies go as they are."},
    {.name = "memory_per_client",
     .type = OPTION_SIZE,
     .standard = "16MiB",
     .min = 0,
     .max = 17179869184,
     .offset = offsetof(struct compress_config, limits.memory_per_client),
     .doc = "The part of it that one client's address may take."},
    {.name = "busy",
     .type = OPTION_PERCENT,
     .standard = "50%",
     .min = 0,
     .max = 10000,
     .offset = offsetof(struct compress_config, limits.busy),
     .doc = "While encoding takes more of a worker's time than this, levels are halved; half way "
            "from there to 100 % and above, 1 is used."},
    {.name = "breach_guard",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct compress_config, is_guarded),
     .doc = "on: what pages of other sites ask for is not encoded (by Sec-Fetch-Site, else Origin "
            "and Referer), so that they cannot guess secrets from its size."},
    {0},
};

static const struct key key_compress = {
    .name = "compress",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct compress_config),
    .doc =
        "Encodes bodies as clients want them. What is encoded already, parts of a body (206) and "
        "what says no-transform stay as they are; streams of events leave event by event.",
    .example = "compress zstd br gzip",
    .since = "0.1",
};

struct compressed {
    struct body body;
    struct body *inner;
    struct compressing compressing;
    struct slice text; /* of `inner`, that was not taken yet */
    char *out;         /* a block; NULL: given back */
    size_t piece;
    int64_t turn;     /* work since others had theirs, ns */
    int64_t left_at;  /* when something went to the client last */
    bool is_flushing; /* a flush has begun, and the output was full */
    bool is_flushed;  /* nothing is held back by the encoder */
    bool flushes;     /* whenever `inner` pauses; else when it does so and is slow */
    bool has_ended;   /* `inner` has */
    bool is_finished; /* and so has this */
    bool is_failed;
};

/* What a request leaves for its response. */
struct compress_state {
    enum coding coding;
    bool must;       /* the client refuses what is not encoded */
    bool is_guarded; /* another site asks */
    struct compressed *compressed;
};

static enum status prepare(void *config, struct prepare *p)
{
    struct compress_config *c = config;
    for (size_t i = 0; i < c->words.count; i++) {
        enum coding coding = coding_of(c->words.items[i]);
        bool is_known = coding == CODING_GZIP || coding == CODING_BR || coding == CODING_ZSTD;
        for (size_t k = 0; k < c->count; k++)
            is_known = is_known && c->codings[k] != coding;
        if (!is_known) {
            p->error(p, "codings", "\"%.*s\" is none of zstd, br and gzip, or stands twice",
                     SLICE_ARG(c->words.items[i]));
            return ERR_CONFIG;
        }
        c->codings[c->count++] = coding;
    }
    for (size_t i = 0; i < c->types.count; i++)
        if (!media_pattern_is_good(c->types.items[i])) {
            p->error(p, "types", "\"%.*s\" is no type; write text/html, text/*, +json or *",
                     SLICE_ARG(c->types.items[i]));
            return ERR_CONFIG;
        }
    return OK;
}

void compress_settle(const struct step_use *uses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (uses[i].step != &step_compress)
            continue;
        struct compress_config *c = (void *)(uintptr_t)uses[i].config;
        for (size_t k = i + 1; k < count; k++)
            if (strcmp(uses[k].step->key->name, "cache") == 0)
                c->is_before_cache = true;
    }
}

/* The host of an address such as https://example.com:8443/path. */
static struct slice host_of(struct slice url)
{
    size_t at = slice_find_slice(url, SLICE("://"));
    struct slice rest = slice_from(url, at == url.size ? at : at + 3);
    return slice_first(rest, slice_find(rest, '/'));
}

/* Whether the page that asks is of another site than this one. */
static bool is_foreign(struct exchange *x)
{
    const struct fields *fields = &x->request.head.fields;
    const struct field *site = fields_find_named(fields, SLICE("Sec-Fetch-Site"));
    if (site != NULL)
        return !slice_equal(site->value, SLICE("same-origin")) &&
               !slice_equal(site->value, SLICE("none"));
    struct slice own = exchange_client_host(x);
    const struct field *origin = fields_find(fields, FIELD_ORIGIN);
    const struct field *referer = fields_find(fields, FIELD_REFERER);
    return (origin != NULL && !slice_equal_nocase(host_of(origin->value), own)) ||
           (referer != NULL && !slice_equal_nocase(host_of(referer->value), own));
}

/* A client may have the start of an encoded body: by a date alone a server cannot tell it from its
 * own. It gets all of it then (RFC 9110 §14.2). */
static void forget_doubtful_range(struct fields *fields)
{
    const struct field *condition = fields_find_named(fields, SLICE("If-Range"));
    if (condition == NULL || slice_find(condition->value, '"') < condition->value.size)
        return;
    fields_remove_named(fields, SLICE("Range"));
    fields_remove_named(fields, SLICE("If-Range"));
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct compress_config *c = config;
    struct fields *fields = &x->request.head.fields;
    bool is_old = x->request.head.minor == 0 && x->request.head.major < 2;
    struct coding_wish wish;
    if (is_old || fields_find(fields, FIELD_ACCEPT_ENCODING) == NULL)
        return NEXT;
    coding_wish_read(fields, &wish);
    enum coding coding = coding_choose(&wish, c->codings, c->count);
    if (coding != CODING_IDENTITY) {
        struct compress_state *state = arena_zero(&x->arena, sizeof *state);
        state->coding = coding;
        state->must = wish.weight[CODING_IDENTITY] == 0;
        state->is_guarded = c->is_guarded && is_foreign(x);
        exchange_keep_state(x, config, state);
        forget_doubtful_range(fields);
    }
    if (c->is_before_cache) /* which then keeps one body for all */
        fields_remove(fields, FIELD_ACCEPT_ENCODING);
    return NEXT;
}

static void let_go(struct compressed *c)
{
    compressing_end(&c->compressing);
    if (c->out != NULL)
        block_give(c->out);
    c->out = NULL;
}

/* Runs the encoder once, over one piece, and counts what that took. */
static enum encode_result run(struct compressed *c, enum encode_mode mode, struct buffer *out)
{
    struct slice piece = c->is_flushing ? SLICE("") : slice_first(c->text, c->piece);
    int64_t before = clock_monotonic();
    enum encode_result result = encoder_run(c->compressing.encoder, mode, &piece, out);
    int64_t after = clock_monotonic();
    if (mode == ENCODE_FEED)
        c->text = slice_from(c->text, (size_t)(piece.data - c->text.data));
    c->turn += after - before;
    compressors_note(c->compressing.of, after - before, after);
    return result;
}

/* What the encoder holds is to leave when `inner` pauses. Where the length is known much is taken
 * together, which makes it smaller: but nobody is to wait for the end of what comes slowly. */
static bool is_held(const struct compressed *c)
{
    return !c->is_flushed && (c->flushes || loop_now() >= c->left_at + MILLISECONDS(HELD_MS));
}

/* One step forward; sets *is_due when what stands in `out` is to leave. */
static enum status go_on(struct compressed *c, struct buffer *out, bool *is_due, int64_t deadline)
{
    enum encode_result result;
    bool is_pause =
        c->text.size == 0 && !c->has_ended && is_held(c) && !c->inner->is_ready(c->inner);
    if (c->is_flushing || is_pause) {
        result = run(c, ENCODE_FLUSH, out);
        c->is_flushing = result == ENCODE_MORE;
        c->is_flushed = result == ENCODE_DONE;
        *is_due = c->is_flushed && out->size > 0;
    } else if (c->text.size > 0) {
        c->is_flushed = false;
        result = run(c, ENCODE_FEED, out);
    } else if (c->has_ended) {
        result = run(c, ENCODE_END, out);
        c->is_finished = result == ENCODE_DONE;
        *is_due = c->is_finished;
    } else {
        TRY(c->inner->read(c->inner, &c->text, deadline));
        c->has_ended = c->text.size == 0;
        return OK;
    }
    *is_due = *is_due || out->capacity - out->size < ENCODER_ROOM_MIN;
    if (result == ENCODE_ERROR)
        return ERR_SYSTEM;
    if (c->turn < TURN_US * 1000)
        return OK;
    c->turn = 0;
    return fiber_yield();
}

static enum status read_compressed(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct compressed *c = LIST_ENTRY(body, struct compressed, body);
    if (c->is_failed)
        return ERR_SYSTEM;
    *chunk = SLICE("");
    if (c->out == NULL && !c->is_finished)
        c->out = block_take();
    struct buffer out = buffer_fixed(c->out, BLOCK_SIZE);
    bool is_due = c->is_finished;
    while (!is_due) {
        enum status status = go_on(c, &out, &is_due, deadline);
        c->is_failed = status != OK;
        TRY(status);
    }
    *chunk = buffer_slice(&out);
    c->left_at = loop_now();
    if (chunk->size == 0)
        let_go(c);
    return OK;
}

/* While `inner` is ready something comes out without a wait, or it is a body of known length, of
 * which more is taken first. */
static bool is_ready(struct body *body)
{
    struct compressed *c = LIST_ENTRY(body, struct compressed, body);
    return c->text.size > 0 || c->has_ended || c->is_flushing || is_held(c) ||
           c->inner->is_ready(c->inner);
}

static bool is_stream(struct slice type)
{
    return slice_starts_nocase(type, SLICE("text/event-stream")) ||
           slice_starts_nocase(type, SLICE("application/grpc-web"));
}

/* gRPC encodes each message by itself. */
static bool is_grpc(struct slice type)
{
    struct slice essence = media_pattern_essence(type);
    return slice_equal_nocase(essence, SLICE("application/grpc")) ||
           slice_starts_nocase(essence, SLICE("application/grpc+"));
}

static bool begin(struct exchange *x, const struct compress_config *config,
                  struct compress_state *state, struct slice type)
{
    int64_t length = transform_length(x);
    struct encode_settings settings = {
        .coding = state->coding,
        .level = (int)config->levels[state->coding],
        .is_stream = is_stream(type),
        .length = length,
    };
    if (x->request.head.method == METHOD_HEAD) {
        transform_response(x, NULL);
        return true;
    }
    struct compressed *c = arena_zero(&x->arena, sizeof *c);
    if (!compressing_begin(&c->compressing, &config->limits, x->client_ip, &settings))
        return false;
    bool is_heavy = settings.coding == CODING_GZIP && settings.level >= HEAVY_LEVEL;
    c->piece = is_heavy ? PIECE_HEAVY : PIECE;
    c->inner = x->response.body;
    c->flushes = length < 0 || settings.is_stream;
    c->is_flushed = true;
    c->left_at = loop_now();
    c->body = (struct body){
        .read = read_compressed, .is_ready = is_ready, .trailers = c->inner->trailers};
    state->compressed = c;
    transform_response(x, &c->body);
    return true;
}

static void on_response(struct exchange *x, const void *config)
{
    const struct compress_config *c = config;
    struct compress_state *state = exchange_state(x, config);
    const struct fields *fields = &x->response.fields;
    const struct field *type = fields_find(fields, FIELD_CONTENT_TYPE);
    if (state != NULL && state->compressed != NULL) { /* this answer is another one */
        let_go(state->compressed);
        state->compressed = NULL;
        x->encoded = NULL;
    }
    if (state != NULL && transform_not_modified(x))
        transform_vary(x, SLICE("Accept-Encoding"));
    bool must = state != NULL && state->must;
    bool is_encoded = coding_of_body(fields) != CODING_IDENTITY;
    /* The whole of it would have been encoded for others. */
    if (x->response.status == 206 && !is_encoded && type != NULL &&
        media_pattern_fits(type->value, &c->types))
        transform_vary(x, SLICE("Accept-Encoding"));
    if (is_encoded || transform_is_forbidden(x) || (type == NULL ? !must : is_grpc(type->value)))
        return;
    int64_t length = transform_length(x);
    if (!must &&
        (!media_pattern_fits(type->value, &c->types) || (length >= 0 && length < c->min_size)))
        return;
    if (length == 0 && x->request.head.method != METHOD_HEAD)
        return;
    transform_vary(x, SLICE("Accept-Encoding"));
    if (state == NULL)
        return;
    if (state->is_guarded) {
        x->encoded = "guarded";
        return;
    }
    if (!begin(x, c, state, type == NULL ? SLICE("") : type->value)) {
        x->encoded = "busy";
        return;
    }
    x->encoded = coding_name(state->coding).data;
    fields_set_checked(&x->response.fields, FIELD_CONTENT_ENCODING, coding_name(state->coding));
}

static void on_finish(struct exchange *x, const void *config)
{
    struct compress_state *state = exchange_state(x, config);
    if (state != NULL && state->compressed != NULL)
        let_go(state->compressed);
}

const struct step step_compress = {
    .key = &key_compress,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
    .on_finish = on_finish,
};
