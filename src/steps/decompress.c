/* SPDX-License-Identifier: Apache-2.0 */
/* decompress: bodies are decoded for servers that cannot read them encoded, and for clients that do
 * not want them so. */
#include "exchange/transform.h"
#include "steps/decoding.h"

enum of { OF_BOTH, OF_REQUEST, OF_RESPONSE };
static const char *const OFS[] = {"both", "request", "response", NULL};

struct decompress_config {
    int of;
    struct decoding_limits limits;
};

static const struct option OPTIONS[] = {
    {.name = "of",
     .type = OPTION_ENUM,
     .standard = "both",
     .words = OFS,
     .offset = offsetof(struct decompress_config, of),
     .doc = "request: for servers; response: for clients; both."},
    {.name = "size",
     .type = OPTION_SIZE,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "16MiB",
     .min = 1,
     .max = 1099511627776,
     .offset = offsetof(struct decompress_config, limits.size_max),
     .doc = "How large a body may be once it is decoded."},
    {.name = "ratio",
     .type = OPTION_INT,
     .standard = "100",
     .min = 2,
     .max = 100000,
     .offset = offsetof(struct decompress_config, limits.ratio),
     .doc = "How many times what it was it may become; looked at behind the first 64 KiB."},
    {0},
};

static const struct key key_decompress = {
    .name = "decompress",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .options = OPTIONS,
    .config_size = sizeof(struct decompress_config),
    .doc =
        "Decodes gzip, br and zstd: bodies of requests before a server reads them, and bodies of "
        "responses whose coding the client did not ask for. Requests in other codings are "
        "refused (415), damaged ones too (400), and those that grow too large (413).",
    .example = "decompress of=request size=8MiB",
    .since = "0.1",
};

struct decompress_state {
    struct decoding *request, *response;
};

static struct decompress_state *state_of(struct exchange *x, const void *config)
{
    struct decompress_state *state = exchange_state(x, config);
    if (state == NULL) {
        state = arena_zero(&x->arena, sizeof *state);
        exchange_keep_state(x, config, state);
    }
    return state;
}

static void blame_client(struct exchange *x, enum decoding_failure failure)
{
    exchange_refuse(x, failure == DECODING_DAMAGED     ? REFUSAL_BODY_DAMAGED
                       : failure == DECODING_TOO_LARGE ? REFUSAL_BODY_DECODED_SIZE
                                                       : REFUSAL_BODY_RATIO);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct decompress_config *c = config;
    struct fields *fields = &x->request.head.fields;
    enum coding coding = coding_of_body(fields);
    if (c->of == OF_RESPONSE || coding == CODING_IDENTITY || x->request.body->length == 0)
        return NEXT;
    if (coding == CODING_UNKNOWN) {
        x->refused_by = key_decompress.name;
        return exchange_refuse(x, REFUSAL_CONTENT_CODING);
    }
    struct decompress_state *state = state_of(x, config);
    state->request = decoding_begin(x, coding, x->request.body, &c->limits, blame_client);
    if (state->request == NULL)
        return exchange_blame(x, ERR_SYSTEM, SIDE_US, 503, "proxy_internal_error",
                              "decompress: no decoder");
    x->request.body = &state->request->body;
    fields_remove(fields, FIELD_CONTENT_ENCODING);
    fields_remove_named(fields, SLICE("Content-MD5"));
    fields_remove_named(fields, SLICE("Content-Digest"));
    fields_remove_named(fields, SLICE("Repr-Digest"));
    fields_remove_named(fields, SLICE("Digest"));
    return NEXT;
}

static void on_response(struct exchange *x, const void *config)
{
    const struct decompress_config *c = config;
    struct fields *fields = &x->response.fields;
    struct coding_wish wish;
    /* RFC 9110 §15.5.16: it says what could have been sent. */
    if (x->response.is_ours && x->response.status == 415 && x->refused_by == key_decompress.name)
        fields_set(fields, FIELD_ACCEPT_ENCODING, SLICE("gzip, br, zstd"));
    enum coding coding = coding_of_body(fields);
    if (c->of == OF_REQUEST || coding == CODING_IDENTITY || coding == CODING_UNKNOWN ||
        transform_is_forbidden(x))
        return;
    transform_vary(x, SLICE("Accept-Encoding"));
    coding_wish_read(&x->request.head.fields, &wish);
    if (wish.weight[coding] > 0)
        return;
    struct decompress_state *state = state_of(x, config);
    decoding_end(state->response); /* of an answer that another one has replaced */
    state->response = NULL;
    if (x->request.head.method != METHOD_HEAD) {
        state->response =
            decoding_begin(x, coding, x->response.body, &c->limits, decoding_blame_server);
        if (state->response == NULL)
            return;
    }
    transform_response(x, state->response == NULL ? NULL : &state->response->body);
    fields_remove(fields, FIELD_CONTENT_ENCODING);
    x->encoded = "decoded";
}

static void on_finish(struct exchange *x, const void *config)
{
    const struct decompress_state *state = exchange_state(x, config);
    if (state == NULL)
        return;
    decoding_end(state->request);
    decoding_end(state->response);
}

const struct step step_decompress = {
    .key = &key_decompress,
    .on_request = on_request,
    .on_response = on_response,
    .on_finish = on_finish,
};
