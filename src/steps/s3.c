/* SPDX-License-Identifier: Apache-2.0 */
/* s3: signs what the proxy line behind it asks of object storage, and makes a site of a bucket. */
#include "base/buffer.h"
#include "base/clock.h"
#include "exchange/exchange.h"
#include "http/status_text.h"
#include "net/sigv4.h"

enum {
    HASHED_MAX = 64 * 1024, /* a body up to this is read first, and signed */
    REST_MAX = 64 * 1024,   /* of an answer that is not passed on */
};

enum s3_use { USE_SITE, USE_API };
static const char *const USES[] = {"site", "api", NULL};

struct s3_config {
    struct slice region, key, secret, token, service, bucket, host, index, fallback, not_found;
    int use; /* enum s3_use */
    struct sigv4_signer *signer;
    struct slice fallback_path, not_found_path; /* as they are sent, without the bucket */
};

static const struct option OPTIONS[] = {
    {.name = "region",
     .type = OPTION_STRING,
     .standard = "us-east-1",
     .offset = offsetof(struct s3_config, region),
     .doc = "The region that signatures are for."},
    {.name = "key",
     .type = OPTION_STRING,
     .offset = offsetof(struct s3_config, key),
     .doc = "The access key's id, or file:PATH, env:NAME, credential:NAME."},
    {.name = "secret",
     .type = OPTION_SECRET,
     .offset = offsetof(struct s3_config, secret),
     .doc = "The access key's secret."},
    {.name = "token",
     .type = OPTION_SECRET,
     .offset = offsetof(struct s3_config, token),
     .doc = "The session's token, where the key is a temporary one."},
    {.name = "bucket",
     .type = OPTION_STRING,
     .offset = offsetof(struct s3_config, bucket),
     .doc = "The bucket, where it is the first part of the path (MinIO, Ceph); left out where the "
            "server's name has it."},
    {.name = "host",
     .type = OPTION_STRING,
     .offset = offsetof(struct s3_config, host),
     .doc = "The Host that is sent and signed; the server's name as it stands in proxy when left "
            "out."},
    {.name = "service",
     .type = OPTION_NAME,
     .standard = "s3",
     .offset = offsetof(struct s3_config, service),
     .doc = "The service that signatures are for."},
    {.name = "as",
     .type = OPTION_ENUM,
     .standard = "site",
     .words = USES,
     .offset = offsetof(struct s3_config, use),
     .doc = "site: GET and HEAD of objects alone, queries are not passed on, errors are weir's; "
            "api: every request is signed and passed on as it is."},
    {.name = "index",
     .type = OPTION_STRING,
     .standard = "index.html",
     .offset = offsetof(struct s3_config, index),
     .doc = "As a site: the object that stands for a path with a slash at its end; off: none."},
    {.name = "fallback",
     .type = OPTION_PATH,
     .offset = offsetof(struct s3_config, fallback),
     .doc = "As a site: the object that is sent in the place of one that is not there."},
    {.name = "not_found",
     .type = OPTION_PATH,
     .offset = offsetof(struct s3_config, not_found),
     .doc = "As a site: the object that is sent with a 404."},
    {0},
};

static const struct key key_s3 = {
    .name = "s3",
    .contexts = IN_SITE | IN_ROUTE,
    .flags = KEY_STEP | KEY_OFF,
    .options = OPTIONS,
    .config_size = sizeof(struct s3_config),
    .doc = "Signs what the proxy line asks of S3-compatible object storage (AWS Signature Version "
           "4), so that a private bucket is a site.",
    .example = "s3 region=eu-central-1 key=AKIAIOSFODNN7EXAMPLE secret=file:s3.secret",
    .since = "0.1",
};

/* Of an exchange. */
struct s3_state {
    struct asking asking;
    struct slice path; /* of the object, as it is sent, without the bucket */
    struct slice query;
    bool is_second;
    bool is_not_found; /* the object says that another one is not there */
};

static bool is_reference(struct slice text)
{
    return slice_starts(text, SLICE("file:")) || slice_starts(text, SLICE("env:")) ||
           slice_starts(text, SLICE("credential:"));
}

static bool read_value(struct prepare *p, const char *option, struct slice *value)
{
    return !is_reference(*value) || p->read_secret(p, option, *value, value);
}

static void free_signer(void *signer)
{
    sigv4_signer_free(signer);
}

static enum status prepare(void *config, struct prepare *p)
{
    struct s3_config *c = config;
    if (c->key.size == 0 || c->secret.size == 0) {
        p->error(p, NULL, "s3 needs key= and secret=");
        return ERR_CONFIG;
    }
    if (c->bucket.size > 0 && (slice_find(c->bucket, '/') < c->bucket.size ||
                               !sigv4_path(c->bucket, p->arena, &c->bucket))) {
        p->error(p, "bucket", "\"%.*s\" is not the name of a bucket", SLICE_ARG(c->bucket));
        return ERR_CONFIG;
    }
    if (slice_equal(c->index, SLICE("off")))
        c->index = SLICE("");
    if (slice_find(c->index, '/') < c->index.size) {
        p->error(p, "index", "\"%.*s\" is not the name of an object", SLICE_ARG(c->index));
        return ERR_CONFIG;
    }
    if ((c->fallback.size > 0 && !sigv4_path(c->fallback, p->arena, &c->fallback_path)) ||
        (c->not_found.size > 0 && !sigv4_path(c->not_found, p->arena, &c->not_found_path))) {
        p->error(p, NULL, "fallback and not_found are paths of objects");
        return ERR_CONFIG;
    }
    if (c->fallback.size > 0 && c->not_found.size > 0) {
        p->error(p, "not_found", "fallback and not_found exclude each other");
        return ERR_CONFIG;
    }
    if (p->without_files && is_reference(c->secret))
        return OK;
    if (!read_value(p, "key", &c->key) || !read_value(p, "secret", &c->secret) ||
        !read_value(p, "token", &c->token))
        return ERR_CONFIG;
    c->signer = sigv4_signer_new(c->key, c->secret, c->region, c->service);
    p->keep(p, free_signer, c->signer);
    return OK;
}

/* What only the owner of the key may say, and what is nobody's business there. */
static void take_off(struct fields *fields)
{
    for (uint32_t i = 0; i < fields->count;) {
        struct slice name = fields->items[i].name;
        if (!slice_starts_nocase(name, SLICE("x-amz-"))) {
            i++;
            continue;
        }
        fields_remove_named(fields, name);
        i = 0;
    }
}

/* "https://bucket.s3.amazonaws.com:443/" is called bucket.s3.amazonaws.com. */
static struct slice host_of(struct slice server)
{
    bool is_secure = slice_starts_nocase(server, SLICE("https://"));
    size_t scheme = slice_find_slice(server, SLICE("://"));
    if (scheme < server.size)
        server = slice_from(server, scheme + 3);
    if (slice_starts(server, SLICE("unix:")))
        return SLICE("localhost");
    server = slice_first(server, slice_find(server, '/'));
    struct slice port = is_secure ? SLICE(":443") : SLICE(":80");
    return slice_ends(server, port) ? slice_first(server, server.size - port.size) : server;
}

/* A small body is signed as well; a larger one flows through unsigned. */
static enum verdict hash_body(struct exchange *x, struct slice *hash)
{
    const struct request_head *head = &x->request.head;
    *hash = SIGV4_UNSIGNED;
    if (head->framing == FRAMING_NONE) {
        *hash = sigv4_hash(SLICE(""), &x->arena);
        return NEXT;
    }
    if (head->framing != FRAMING_LENGTH || head->length > HASHED_MAX)
        return NEXT;
    struct buffer text = buffer_in(&x->arena, (size_t)head->length + 1);
    struct slice chunk = {"", 1};
    while (chunk.size > 0) {
        enum status status = x->request.body->read(x->request.body, &chunk, x->deadline);
        if (status != OK)
            return exchange_blame(x, status, SIDE_CLIENT, 400, "http_request_error",
                                  "s3: the request's body did not come");
        buffer_append(&text, chunk);
    }
    struct body_text *body = arena_alloc(&x->arena, sizeof *body);
    body_text_init(body, buffer_slice(&text));
    x->request.body = &body->body;
    *hash = sigv4_hash(buffer_slice(&text), &x->arena);
    return NEXT;
}

static void add(struct sigv4_request *request, struct slice name, struct slice value)
{
    request->fields[request->fields_count++] = (struct sigv4_field){name, value};
}

static enum verdict sign(struct exchange *x, const struct s3_config *c, struct slice path,
                         struct slice query, struct slice host)
{
    struct fields *fields = &x->request.head.fields;
    char *time = arena_alloc(&x->arena, SIGV4_TIME_SIZE);
    struct sigv4_request request = {
        .method = x->request.head.method_text,
        .path = path,
        .query = query,
        .time = sigv4_time(clock_wall(), time),
    };
    enum verdict verdict = hash_body(x, &request.payload_hash);
    if (verdict != NEXT)
        return verdict;
    add(&request, SLICE("host"), host);
    add(&request, SLICE("x-amz-content-sha256"), request.payload_hash);
    add(&request, SLICE("x-amz-date"), request.time);
    if (c->token.size > 0)
        add(&request, SLICE("x-amz-security-token"), c->token);
    size_t ours = request.fields_count;
    struct slice type = fields_joined(fields, SLICE("Content-Type"), &x->arena);
    if (type.size > 0)
        add(&request, SLICE("content-type"), type);
    for (size_t i = 1; i < ours; i++)
        if (!fields_set_named(fields, request.fields[i].name, request.fields[i].value))
            return exchange_blame(x, ERR_CONFIG, SIDE_US, 500, "proxy_configuration_error",
                                  "s3: the token has a byte that no field may have");
    if (!fields_set(fields, FIELD_AUTHORIZATION, sigv4_sign(c->signer, &request, &x->arena)))
        return exchange_blame(x, ERR_CONFIG, SIDE_US, 500, "proxy_configuration_error",
                              "s3: the key has a byte that no field may have");
    return NEXT;
}

static enum verdict before(struct exchange *x, const void *config, struct slice server,
                           struct slice *host)
{
    const struct s3_config *c = config;
    struct s3_state *state = exchange_state(x, c);
    struct slice path = state->path;
    if (c->bucket.size > 0)
        path = arena_format(&x->arena, "/%.*s%.*s", SLICE_ARG(c->bucket), SLICE_ARG(path));
    x->request.target =
        state->query.size == 0
            ? path
            : arena_format(&x->arena, "%.*s?%.*s", SLICE_ARG(path), SLICE_ARG(state->query));
    *host = c->host.size > 0 ? c->host : host_of(server);
    take_off(&x->request.head.fields);
    fields_remove(&x->request.head.fields, FIELD_AUTHORIZATION);
    if (c->use == USE_SITE)
        fields_remove(&x->request.head.fields, FIELD_COOKIE);
    return sign(x, c, path, state->query, *host);
}

/* Storage says 403 of what is not there to whoever may not list. */
static bool is_missing(int status)
{
    return status == 404 || status == 403;
}

static bool again(struct exchange *x, const void *config, int status)
{
    static const enum field_id CONDITIONS[] = {FIELD_IF_MATCH, FIELD_IF_NONE_MATCH,
                                               FIELD_IF_MODIFIED_SINCE, FIELD_IF_UNMODIFIED_SINCE};
    const struct s3_config *c = config;
    struct s3_state *state = exchange_state(x, c);
    struct fields *fields = &x->request.head.fields;
    if (c->use != USE_SITE || !is_missing(status) || state->is_second ||
        c->fallback_path.size + c->not_found_path.size == 0)
        return false;
    state->is_second = true;
    state->is_not_found = c->fallback_path.size == 0;
    state->path = state->is_not_found ? c->not_found_path : c->fallback_path;
    fields_remove(fields, FIELD_RANGE);
    fields_remove(fields, FIELD_IF_RANGE);
    for (size_t i = 0; state->is_not_found && i < sizeof CONDITIONS / sizeof *CONDITIONS; i++)
        fields_remove(fields, CONDITIONS[i]);
    return true;
}

/* An answer of ours with the text of its status. */
static enum verdict answer(struct exchange *x, int status, const char *detail)
{
    x->detail = detail;
    response_text(x, status, SLICE("text/plain; charset=utf-8"),
                  arena_format(&x->arena, "%d %.*s\n", status, SLICE_ARG(status_text(status))));
    return ANSWERED;
}

/* The object's path: of what rewriting steps made of the target. False: there is none of that name.
 */
static bool find_object(struct exchange *x, const struct s3_config *c, struct s3_state *state)
{
    struct slice target = x->request.target;
    size_t mark = slice_find(target, '?');
    struct slice path = slice_first(target, mark);
    if (c->use == USE_API)
        return sigv4_path(path, &x->arena, &state->path) &&
               sigv4_query(slice_from(target, mark + 1), &x->arena, &state->query);
    bool is_directory = path.size > 0 && path.data[path.size - 1] == '/';
    if (is_directory && c->index.size == 0)
        return false;
    if (is_directory)
        path = arena_format(&x->arena, "%.*s%.*s", SLICE_ARG(path), SLICE_ARG(c->index));
    return sigv4_path(path, &x->arena, &state->path);
}

/* A key may hold "..": whoever cleans paths behind us would leave the bucket by it. */
static bool climbs(struct slice path)
{
    while (path.size > 0) {
        size_t end = slice_find(path, '/');
        struct slice part = slice_first(path, end);
        if (slice_equal(part, SLICE("..")) || slice_equal(part, SLICE(".")))
            return true;
        path = slice_from(path, end + 1);
    }
    return false;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct s3_config *c = config;
    enum method method = x->request.head.method;
    if (c->use == USE_SITE && method != METHOD_GET && method != METHOD_HEAD) {
        if (method == METHOD_OPTIONS)
            response_text(x, 204, SLICE(""), SLICE(""));
        else
            answer(x, 405, "s3: the method");
        fields_set(&x->response.fields, FIELD_ALLOW, SLICE("GET, HEAD, OPTIONS"));
        return ANSWERED;
    }
    struct s3_state *state = arena_zero(&x->arena, sizeof *state);
    if (!find_object(x, c, state) || climbs(state->path))
        return answer(x, 404, "s3: no object has that name");
    if (c->use == USE_SITE) {
        x->request.body = body_none();
        x->request.head.framing = FRAMING_NONE;
    }
    state->asking = (struct asking){before, again, c};
    x->asking = &state->asking;
    exchange_keep_state(x, c, state);
    return NEXT;
}

/* What storage says beside the object; and its errors, which name the key and what was signed. */
static void on_response(struct exchange *x, const void *config)
{
    const struct s3_config *c = config;
    const struct s3_state *state = exchange_state(x, c);
    struct response *response = &x->response;
    if (state == NULL || response->is_ours || c->use != USE_SITE)
        return;
    int status = response->status;
    take_off(&response->fields);
    if (status < 300 || status == 304) {
        if (state->is_not_found)
            response->status = 404;
        return;
    }
    struct slice chunk = {"", 1}; /* read, so that the connection can be used again */
    for (size_t size = 0; size < REST_MAX && chunk.size > 0; size += chunk.size)
        if (response->body->read(response->body, &chunk, x->deadline) != OK)
            break;
    fields_remove(&response->fields, FIELD_CONTENT_ENCODING);
    fields_remove(&response->fields, FIELD_LOCATION);
    if (is_missing(status))
        answer(x, 404, status == 403 ? "s3: forbidden, or no such object" : "s3: no such object");
    else if (status < 400)
        answer(x, 502, "s3: another region or endpoint has the bucket");
    else
        answer(x, status, "s3: an error of the storage");
}

const struct step step_s3 = {
    .key = &key_s3,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
};
