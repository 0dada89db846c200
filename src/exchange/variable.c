/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/variable.h"

#include "base/buffer.h"
#include "base/markup.h"
#include "exchange/exchange.h"
#include "exchange/geo.h"
#include "http/chars.h"
#include "net/jwt.h"
#include "net/proxy_protocol.h"

#include <assert.h>

enum variable {
#define VARIABLE(id, name, is_named, doc) VARIABLE_##id,
#include "exchange/variable.def"
#undef VARIABLE
    VARIABLES,
    VARIABLE_NONE, /* a part that is plain text */
};

static const struct {
    struct slice name;
    const char *cname;
    bool is_named;
    const char *doc;
} VARIABLE_TABLE[VARIABLES] = {
#define VARIABLE(id, name, is_named, doc)                                                          \
    [VARIABLE_##id] = {{name, sizeof(name) - 1}, is_named ? name ".NAME" : name, is_named, doc},
#include "exchange/variable.def"
#undef VARIABLE
};

struct part {
    enum variable variable;
    struct slice text; /* plain text, or the name after the dot */
};

struct template
{
    struct part *parts;
    size_t count;
};

const char *variable_name(size_t index)
{
    return index < VARIABLES ? VARIABLE_TABLE[index].cname : NULL;
}

const char *variable_doc(size_t index)
{
    return index < VARIABLES ? VARIABLE_TABLE[index].doc : NULL;
}

/* "header.Host" is HEADER with "Host". */
static enum variable find(struct slice name, struct slice *inner)
{
    for (int i = 0; i < VARIABLES; i++) {
        struct slice known = VARIABLE_TABLE[i].name;
        if (!VARIABLE_TABLE[i].is_named && slice_equal(name, known))
            return (enum variable)i;
        if (VARIABLE_TABLE[i].is_named && name.size > known.size + 1 && slice_starts(name, known) &&
            name.data[known.size] == '.') {
            *inner = slice_from(name, known.size + 1);
            return (enum variable)i;
        }
    }
    return VARIABLE_NONE;
}

/* The name that shares the longest start and differs least in size. */
static struct slice nearest(struct slice name)
{
    size_t best = 1; /* one letter in common is no likeness */
    struct slice found = SLICE("");
    for (int i = 0; i < VARIABLES; i++) {
        struct slice known = VARIABLE_TABLE[i].name;
        size_t shared = 0;
        while (shared < known.size && shared < name.size && known.data[shared] == name.data[shared])
            shared++;
        if (shared > best) {
            best = shared;
            found = known;
        }
    }
    return found;
}

static void add_part(struct template *made, enum variable variable, struct slice text)
{
    if (variable != VARIABLE_NONE || text.size > 0)
        made->parts[made->count++] = (struct part){variable, text};
}

bool template_compile(struct slice text, struct arena *arena, const struct template **compiled,
                      size_t *error_at, size_t *error_size, struct slice *suggestion)
{
    struct template *made = arena_alloc(arena, sizeof *made);
    /* Each brace ends at most two parts. */
    size_t parts_max = 1;
    for (size_t i = 0; i < text.size; i++)
        parts_max += text.data[i] == '{' || text.data[i] == '}' ? 2 : 0;
    *made = (struct template){arena_alloc(arena, parts_max * sizeof *made->parts), 0};
    size_t start = 0;
    for (size_t i = 0; i < text.size;) {
        char c = text.data[i];
        if ((c != '{' && c != '}') ||
            (c == '}' && (i + 1 == text.size || text.data[i + 1] != '}'))) {
            i++;
            continue;
        }
        if (i + 1 < text.size && text.data[i + 1] == c) { /* doubled: the brace itself */
            add_part(made, VARIABLE_NONE, slice_of(text.data + start, i + 1 - start));
            i += 2;
            start = i;
            continue;
        }
        size_t size = slice_find(slice_from(text, i), '}');
        struct slice name = slice_of(text.data + i + 1, size == 0 ? 0 : size - 1);
        struct slice inner = SLICE("");
        enum variable variable = i + size < text.size ? find(name, &inner) : VARIABLE_NONE;
        if (variable == VARIABLE_NONE) {
            *error_at = i;
            *error_size = i + size < text.size ? size + 1 : size;
            *suggestion = nearest(name);
            return false;
        }
        add_part(made, VARIABLE_NONE, slice_of(text.data + start, i - start));
        add_part(made, variable, inner);
        i += size + 1;
        start = i;
    }
    add_part(made, VARIABLE_NONE, slice_from(text, start));
    *compiled = made;
    return true;
}

bool template_is_constant(const struct template *compiled)
{
    for (size_t i = 0; i < compiled->count; i++)
        if (compiled->parts[i].variable != VARIABLE_NONE)
            return false;
    return true;
}

static struct slice uri_of(struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    if (!head->has_query)
        return x->request.path;
    struct buffer out = buffer_in(&x->arena, x->request.path.size + 1 + head->query.size);
    buffer_append(&out, x->request.path);
    buffer_append_byte(&out, '?');
    buffer_append(&out, head->query);
    return buffer_slice(&out);
}

static struct slice tls_value(const struct tls_facts *tls, enum variable variable)
{
    switch (variable) {
    case VARIABLE_TLS_SNI:
        return tls->server_name;
    case VARIABLE_TLS_VERSION:
        return tls->version;
    case VARIABLE_TLS_CIPHER:
        return tls->cipher;
    case VARIABLE_TLS_RESUMED:
        return tls->is_resumed ? SLICE("yes") : SLICE("no");
    case VARIABLE_TLS_CLIENT_NAME:
        return tls->client_name;
    case VARIABLE_TLS_CLIENT_FINGERPRINT:
        return tls->client_fingerprint;
    default:
        return tls->is_client_verified ? SLICE("verified") : SLICE("none");
    }
}

/* What the PROXY protocol said of the connection. */
static struct slice introduced_value(struct exchange *x, enum variable variable, struct slice name)
{
    static const struct {
        enum variable variable;
        unsigned type;
        bool is_of_tls;
    } TYPES[] = {
        {VARIABLE_PROXY_AUTHORITY, PROXY_TLV_AUTHORITY, false},
        {VARIABLE_PROXY_ALPN, PROXY_TLV_ALPN, false},
        {VARIABLE_PROXY_UNIQUE_ID, PROXY_TLV_UNIQUE_ID, false},
        {VARIABLE_PROXY_TLS_VERSION, PROXY_TLV_SSL_VERSION, true},
        {VARIABLE_PROXY_TLS_CIPHER, PROXY_TLV_SSL_CIPHER, true},
        {VARIABLE_PROXY_TLS_CLIENT_NAME, PROXY_TLV_SSL_CN, true},
    };
    const struct proxy_header *header = &x->introduction->header;
    char text[PROXY_TLV_TEXT_MAX];
    struct slice value = SLICE("");
    bool is_found = false;
    static_assert((int)PROXY_TLV_TEXT_MAX >= (int)ADDRESS_TEXT_MAX, "room for either");
    if (variable == VARIABLE_PROXY_DESTINATION && header->destination.size == 0)
        return value;
    if (variable == VARIABLE_PROXY_DESTINATION) /* a path could hold anything */
        return header->destination.any.sa_family == AF_UNIX
                   ? SLICE("unix")
                   : arena_copy(&x->arena, address_format(&header->destination, text));
    if (variable == VARIABLE_PROXY_TLV && name.size == 2 && chars_is(name.data[0], CHAR_HEX) &&
        chars_is(name.data[1], CHAR_HEX)) {
        unsigned type = (unsigned)(chars_hex(name.data[0]) << 4 | chars_hex(name.data[1]));
        is_found = proxy_header_find(header, type, &value);
    }
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].variable == variable)
            is_found = (TYPES[i].is_of_tls ? proxy_header_find_tls
                                           : proxy_header_find)(header, TYPES[i].type, &value);
    return is_found ? arena_copy(&x->arena, proxy_tlv_text(value, text)) : SLICE("");
}

static struct slice claim_of(struct exchange *x, struct slice name)
{
    const char *why;
    if (x->claims.size > 0 && x->claims_read == NULL &&
        !json_read(x->claims, JWT_DEPTH_MAX, &x->arena, &x->claims_read, &why))
        x->claims_read = NULL;
    return jwt_claim(x->claims_read, name, &x->arena);
}

static struct slice geo_value(struct exchange *x, enum variable variable)
{
    if (variable == VARIABLE_GEO_COUNTRY)
        return geo_country(x->site->geo, x->client, arena_alloc(&x->arena, GEO_COUNTRY_SIZE));
    uint32_t network = geo_network(x->site->geo, x->client);
    return network == 0 ? SLICE("") : arena_format(&x->arena, "%u", network);
}

static struct slice value_of(struct exchange *x, enum variable variable, struct slice name)
{
    struct slice value = SLICE("");
    switch (variable) {
    case VARIABLE_CLIENT_IP:
        return x->client_ip;
    case VARIABLE_HOST:
        return x->request.head.host;
    case VARIABLE_URI:
        return uri_of(x);
    case VARIABLE_PATH:
        return x->request.path;
    case VARIABLE_QUERY:
        return x->request.head.query;
    case VARIABLE_METHOD:
        return x->request.head.method_text;
    case VARIABLE_SCHEME:
        return x->scheme;
    case VARIABLE_REQUEST_ID:
        return x->request_id;
    case VARIABLE_USER:
        return x->user;
    case VARIABLE_JWT:
        return claim_of(x, name);
    case VARIABLE_HEADER:
        return fields_joined(&x->request.head.fields, name, &x->arena);
    case VARIABLE_COOKIE:
        cookie_find(&x->request.head.fields, name, &value);
        return value;
    case VARIABLE_GEO_COUNTRY:
    case VARIABLE_GEO_NETWORK:
        return x->site == NULL || x->client == NULL ? value : geo_value(x, variable);
    case VARIABLE_UPSTREAM:
        return x->upstream.upstream;
    case VARIABLE_SERVER:
        return x->upstream.server;
    case VARIABLE_SERVER_STATE:
        return x->upstream.server_state;
    case VARIABLE_STICKY:
        return slice_from_cstring(x->sticky);
    case VARIABLE_MIRROR:
        return slice_from_cstring(x->mirrored);
    case VARIABLE_CACHE:
        return slice_from_cstring(x->cached);
    case VARIABLE_STATUS:
        return x->response.status == 0 ? value : arena_format(&x->arena, "%d", x->response.status);
    case VARIABLE_TLS_SNI:
    case VARIABLE_TLS_VERSION:
    case VARIABLE_TLS_CIPHER:
    case VARIABLE_TLS_RESUMED:
    case VARIABLE_TLS_CLIENT_NAME:
    case VARIABLE_TLS_CLIENT_FINGERPRINT:
    case VARIABLE_TLS_CLIENT_VERIFIED:
        return x->tls == NULL ? value : tls_value(x->tls, variable);
    case VARIABLE_PROXY_DESTINATION:
    case VARIABLE_PROXY_AUTHORITY:
    case VARIABLE_PROXY_ALPN:
    case VARIABLE_PROXY_UNIQUE_ID:
    case VARIABLE_PROXY_TLS_VERSION:
    case VARIABLE_PROXY_TLS_CIPHER:
    case VARIABLE_PROXY_TLS_CLIENT_NAME:
    case VARIABLE_PROXY_TLV:
        return x->introduction == NULL ? value : introduced_value(x, variable, name);
    default:
        return value;
    }
}

struct slice template_expand(const struct template *compiled, struct exchange *x)
{
    if (compiled->count == 0)
        return SLICE("");
    if (compiled->count == 1 && compiled->parts[0].variable == VARIABLE_NONE)
        return compiled->parts[0].text;
    if (compiled->count == 1)
        return value_of(x, compiled->parts[0].variable, compiled->parts[0].text);
    struct buffer out = buffer_in(&x->arena, 128);
    for (size_t i = 0; i < compiled->count; i++) {
        const struct part *part = &compiled->parts[i];
        buffer_append(&out, part->variable == VARIABLE_NONE
                                ? part->text
                                : value_of(x, part->variable, part->text));
    }
    return buffer_slice(&out);
}

struct slice template_expand_markup(const struct template *compiled, struct exchange *x)
{
    if (template_is_constant(compiled))
        return template_expand(compiled, x);
    struct buffer out = buffer_in(&x->arena, 128);
    for (size_t i = 0; i < compiled->count; i++) {
        const struct part *part = &compiled->parts[i];
        if (part->variable == VARIABLE_NONE)
            buffer_append(&out, part->text);
        else
            markup_append(&out, value_of(x, part->variable, part->text));
    }
    return buffer_slice(&out);
}

struct slice variable_value(struct exchange *x, struct slice name)
{
    struct slice inner = SLICE("");
    enum variable variable = find(name, &inner);
    return variable == VARIABLE_NONE ? inner : value_of(x, variable, inner);
}
