/* SPDX-License-Identifier: Apache-2.0 */
#include "control/access_log_format.h"

#include "base/clock.h"
#include "base/json.h"
#include "control/access_log_redact.h"
#include "control/config_error.h"
#include "http/date.h"

enum {
    FIELD_MAX = ACCESS_LOG_FIELD_MAX,
    CLIENT_CLOSED = 499,
};

const struct access_log_shape ACCESS_LOG_PLAIN = {
    .format = ACCESS_LOG_JSON, .mask_v4 = 32, .mask_v6 = 128};

/* An exchange as one shape sees it. */
struct view {
    const struct exchange *x;
    const struct access_log_shape *shape;
    int64_t now;
    struct access_log_scratch *scratch;
};

enum field_name {
#define LOG_TEXT(name, value)    NAME_##name,
#define LOG_WORD(name, value)    NAME_##name,
#define LOG_NUMBER(name, value)  NAME_##name,
#define LOG_SECONDS(name, value) NAME_##name,
#include "control/access_log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_SECONDS
    NAMES,
};

static const char *const FIELD_NAMES[NAMES] = {
#define LOG_TEXT(name, value)    #name,
#define LOG_WORD(name, value)    #name,
#define LOG_NUMBER(name, value)  #name,
#define LOG_SECONDS(name, value) #name,
#include "control/access_log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_SECONDS
};

/* Text, and then a field (NAMES: none) or one of the request's. */
struct access_log_piece {
    struct slice text;
    unsigned field;
    struct slice header; /* its name; empty: none */
};

static struct slice cut(struct slice text)
{
    return slice_first(text, FIELD_MAX);
}

static struct slice request_field(const struct exchange *x, enum field_id id)
{
    const struct field *field = fields_find(&x->request.head.fields, id);
    return field == NULL ? SLICE("") : cut(field->value);
}

int access_log_status(const struct exchange *x)
{
    bool has_hung_up = x->blame.side == SIDE_CLIENT && x->blame.status != OK && !x->head_sent;
    if (has_hung_up && x->blame.answer == 0)
        return CLIENT_CLOSED;
    return x->response.status;
}

static struct slice client_of(struct view *view)
{
    return access_log_mask_ip(view->x->client_ip, view->shape->mask_v4, view->shape->mask_v6,
                              view->scratch->ip);
}

/* The date is the same for a second. */
static struct slice moment_of(const struct view *view)
{
    struct access_log_scratch *scratch = view->scratch;
    int64_t wall = view->x->started_wall;
    if (scratch->second != wall / SECONDS(1) || scratch->date[0] == '\0') {
        scratch->second = wall / SECONDS(1);
        date_iso(wall, scratch->date);
        return slice_of(scratch->date, DATE_ISO_SIZE);
    }
    int64_t rest = wall % SECONDS(1) / 1000;
    for (size_t i = DATE_ISO_SIZE - 2; i > DATE_ISO_SIZE - 8; i--, rest /= 10)
        scratch->date[i] = (char)('0' + rest % 10);
    return slice_of(scratch->date, DATE_ISO_SIZE);
}

/* The target, and nothing of a head that could not be read. */
static struct slice target_of(const struct view *view)
{
    struct slice target = cut(view->x->request.head.target);
    if (view->shape->redact.count == 0)
        return target;
    return access_log_redact_query(target, &view->shape->redact, view->scratch->uri,
                                   sizeof view->scratch->uri);
}

static struct slice referer_of(const struct view *view)
{
    struct slice referer = request_field(view->x, FIELD_REFERER);
    if (view->shape->redact.count == 0)
        return referer;
    return access_log_redact_query(referer, &view->shape->redact, view->scratch->referer,
                                   sizeof view->scratch->referer);
}

static struct slice protocol_of(const struct request_head *head)
{
    return head->major == 2   ? SLICE("h2")
           : head->minor == 0 ? SLICE("http/1.0")
                              : SLICE("http/1.1");
}

static struct slice resumed_of(const struct tls_facts *tls)
{
    return tls == NULL ? SLICE("") : tls->is_resumed ? SLICE("yes") : SLICE("no");
}

static struct slice limit_of(const struct exchange *x)
{
    if (x->blame.refusal != REFUSAL_NONE)
        return slice_from_cstring(refusal_text(x->blame.refusal)->limit);
    struct slice why = slice_from_cstring(x->blame.why);
    return slice_starts(why, SLICE("timeouts.")) ? why : SLICE("");
}

/* These are written out for each field: what stands before its value is then a few stores. */
#define IN_PLACE static inline __attribute__((always_inline))

/* With a comma, its name and what opens it. */
IN_PLACE void put_text(struct buffer *out, struct slice opening, struct slice text)
{
    buffer_append(out, opening);
    if (text.size > 0)
        json_escaped(out, text);
    buffer_append_byte(out, '"');
}

IN_PLACE void put_word(struct buffer *out, struct slice opening, struct slice word)
{
    buffer_append(out, opening);
    buffer_append(out, word);
    buffer_append_byte(out, '"');
}

IN_PLACE void put_number(struct buffer *out, struct slice opening, int64_t number)
{
    buffer_append(out, opening);
    if (number >= 0 && number < 10)
        buffer_append_byte(out, (char)('0' + number));
    else
        buffer_append_u64(out, number < 0 ? 0 : (uint64_t)number);
}

IN_PLACE void put_seconds(struct buffer *out, struct slice opening, int64_t ns)
{
    buffer_append(out, opening);
    if (ns == 0)
        buffer_append_byte(out, '0');
    else
        json_seconds(out, ns);
}

static void format_json(struct view *view, struct buffer *out)
{
    const struct exchange *x = view->x;
    const struct request_head *head = &x->request.head;
    const struct tls_facts *tls = x->tls;
    size_t start = out->size;
#define LOG_TEXT(name, value)    put_text(out, SLICE(",\"" #name "\":\""), value);
#define LOG_WORD(name, value)    put_word(out, SLICE(",\"" #name "\":\""), value);
#define LOG_NUMBER(name, value)  put_number(out, SLICE(",\"" #name "\":"), (int64_t)(value));
#define LOG_SECONDS(name, value) put_seconds(out, SLICE(",\"" #name "\":"), value);
#include "control/access_log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_SECONDS
    buffer_append(out, SLICE("}\n"));
    if (!out->is_full)
        out->data[start] = '{'; /* in the place of the first comma */
}

/* As nginx and Apache escape: quotes, backslashes and what is not printable become \xNN. */
static void escaped(struct buffer *out, struct slice text)
{
    static const char HEX[] = "0123456789ABCDEF";
    if (text.size == 0) {
        buffer_append_byte(out, '-');
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            buffer_append_byte(out, (char)c);
            continue;
        }
        char hex[4] = {'\\', 'x', HEX[c >> 4], HEX[c & 15]};
        buffer_append(out, slice_of(hex, sizeof hex));
    }
}

static void format_common(struct view *view, struct buffer *out, bool is_combined)
{
    char date[DATE_CLF_SIZE];
    const struct exchange *x = view->x;
    const struct request_head *head = &x->request.head;
    escaped(out, client_of(view));
    buffer_append(out, SLICE(" - "));
    escaped(out, cut(x->user));
    buffer_append(out, SLICE(" ["));
    buffer_append(out, date_clf(x->started_wall, date));
    buffer_append(out, SLICE("] \""));
    if (head->method_text.size > 0) {
        escaped(out, head->method_text);
        buffer_append_byte(out, ' ');
        escaped(out, target_of(view));
        buffer_append(out, head->major == 2   ? SLICE(" HTTP/2.0")
                           : head->minor == 0 ? SLICE(" HTTP/1.0")
                                              : SLICE(" HTTP/1.1"));
    }
    buffer_append(out, SLICE("\" "));
    buffer_append_u64(out, (uint64_t)access_log_status(x));
    buffer_append_byte(out, ' ');
    buffer_append_u64(out, x->bytes_out);
    if (is_combined) {
        buffer_append(out, SLICE(" \""));
        escaped(out, referer_of(view));
        buffer_append(out, SLICE("\" \""));
        escaped(out, request_field(x, FIELD_USER_AGENT));
        buffer_append_byte(out, '"');
    }
    buffer_append_byte(out, '\n');
}

static void format_field(struct view *view, unsigned field, struct buffer *out)
{
    const struct exchange *x = view->x;
    const struct request_head *head = &x->request.head;
    const struct tls_facts *tls = x->tls;
    switch (field) {
#define LOG_TEXT(name, value)                                                                      \
    case NAME_##name:                                                                              \
        escaped(out, value);                                                                       \
        return;
#define LOG_WORD(name, value)                                                                      \
    case NAME_##name:                                                                              \
        escaped(out, value);                                                                       \
        return;
#define LOG_NUMBER(name, value)                                                                    \
    case NAME_##name:                                                                              \
        buffer_append_u64(out, (uint64_t)(value));                                                 \
        return;
#define LOG_SECONDS(name, value)                                                                   \
    case NAME_##name:                                                                              \
        json_seconds(out, value);                                                                  \
        return;
#include "control/access_log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_SECONDS
    default:
        return;
    }
}

static void format_template(struct view *view, struct buffer *out)
{
    for (size_t i = 0; i < view->shape->pieces_count; i++) {
        const struct access_log_piece *piece = &view->shape->pieces[i];
        buffer_append(out, piece->text);
        if (piece->header.size > 0) {
            const struct field *field =
                fields_find_named(&view->x->request.head.fields, piece->header);
            escaped(out, field == NULL ? SLICE("") : cut(field->value));
        }
        format_field(view, piece->field, out);
    }
    buffer_append_byte(out, '\n');
}

bool access_log_format_line(const struct access_log_shape *shape, const struct exchange *x,
                            int64_t now, struct access_log_scratch *scratch, struct buffer *out)
{
    struct view view = {.x = x, .shape = shape, .now = now, .scratch = scratch};
    size_t start = out->size;
    if (shape->format == ACCESS_LOG_JSON)
        format_json(&view, out);
    else if (shape->format == ACCESS_LOG_TEMPLATE)
        format_template(&view, out);
    else
        format_common(&view, out, shape->format == ACCESS_LOG_COMBINED);
    if (!out->is_full)
        return true;
    out->size = start; /* never half a line */
    out->is_full = false;
    return false;
}

struct slice access_log_field_like(struct slice name)
{
    struct config_suggest suggest = config_suggest_start(name);
    for (unsigned i = 0; i < NAMES; i++)
        config_suggest_try(&suggest, slice_from_cstring(FIELD_NAMES[i]));
    return suggest.best;
}

/* Whose values are secrets. */
static bool is_secret(struct slice header)
{
    static const char *const SECRETS[] = {"authorization", "proxy-authorization", "cookie"};
    for (size_t i = 0; i < sizeof SECRETS / sizeof SECRETS[0]; i++)
        if (slice_equal_nocase(header, slice_from_cstring(SECRETS[i])))
            return true;
    return false;
}

static const char *parse_name(struct slice name, struct access_log_piece *piece)
{
    if (slice_starts(name, SLICE("header.")) && name.size > sizeof "header." - 1) {
        piece->header = slice_from(name, sizeof "header." - 1);
        return is_secret(piece->header) ? "its value is a secret, which no log shows" : NULL;
    }
    for (piece->field = 0; piece->field < NAMES; piece->field++)
        if (slice_equal(name, slice_from_cstring(FIELD_NAMES[piece->field])))
            return NULL;
    return "there is none of that name";
}

/* Up to the next placeholder; "{{" and "}}" are braces. *why: what is wrong with *bad. */
static bool parse_piece(struct slice *rest, struct arena *arena, struct access_log_piece *piece,
                        struct slice *bad, const char **why)
{
    struct buffer text = buffer_in(arena, rest->size + 1);
    *piece = (struct access_log_piece){.field = NAMES};
    size_t at = 0;
    for (; at < rest->size; at++) {
        char c = rest->data[at];
        bool is_double = at + 1 < rest->size && rest->data[at + 1] == c;
        if ((c == '{' || c == '}') && !is_double)
            break;
        at += c == '{' || c == '}';
        buffer_append_byte(&text, c);
    }
    piece->text = buffer_slice(&text);
    *rest = slice_from(*rest, at);
    if (rest->size == 0)
        return true;
    size_t end = slice_find(*rest, '}');
    *bad = slice_first(*rest, end + 1);
    *why = end == 0 || end == rest->size ? "a brace alone is written {{ or }}"
                                         : parse_name(slice_of(rest->data + 1, end - 1), piece);
    *rest = slice_from(*rest, end + 1);
    return *why == NULL;
}

bool access_log_shape_parse(struct slice text, struct arena *arena, struct access_log_shape *shape,
                            struct slice *bad, const char **why)
{
    static const char *const WORDS[] = {[ACCESS_LOG_JSON] = "json",
                                        [ACCESS_LOG_COMBINED] = "combined",
                                        [ACCESS_LOG_COMMON] = "common"};
    for (unsigned i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        if (slice_equal(text, slice_from_cstring(WORDS[i]))) {
            shape->format = (enum access_log_format)i;
            return true;
        }
    *bad = text;
    *why = "write json, combined, common, or a text with placeholders: \"{client_ip} {status}\"";
    if (slice_find(text, '{') == text.size)
        return false;
    *why = "a line cannot contain a newline or another control character but a tab";
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < 0x20 && text.data[i] != '\t')
            return false;
    struct access_log_piece *pieces = arena_alloc(arena, ACCESS_LOG_TEMPLATE_MAX * sizeof *pieces);
    size_t count = 0;
    for (struct slice rest = text; rest.size > 0; count++) {
        *bad = text;
        *why = "it has more than 63 placeholders";
        if (count == ACCESS_LOG_TEMPLATE_MAX ||
            !parse_piece(&rest, arena, &pieces[count], bad, why))
            return false;
    }
    shape->format = ACCESS_LOG_TEMPLATE;
    shape->pieces = pieces;
    shape->pieces_count = count;
    return true;
}
