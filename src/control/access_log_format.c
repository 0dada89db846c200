/* SPDX-License-Identifier: Apache-2.0 */
#include "control/access_log_format.h"

#include "base/clock.h"
#include "base/json.h"
#include "control/access_log_inside.h"
#include "control/access_log_redact.h"
#include "http/date.h"

enum {
    FIELD_MAX = ACCESS_LOG_FIELD_MAX,
    CLIENT_CLOSED = 499,
};

const struct access_log_shape ACCESS_LOG_PLAIN = {
    .format = ACCESS_LOG_JSON, .shown = ACCESS_LOG_USUAL, .mask_v4 = 32, .mask_v6 = 128};

/* An exchange as one shape sees it. */
struct view {
    const struct exchange *x;
    const struct access_log_shape *shape;
    int64_t now;
    struct access_log_scratch *scratch;
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

static struct slice peer_of(struct view *view)
{
    char text[ADDRESS_TEXT_MAX];
    if (view->x->peer == NULL)
        return SLICE("");
    struct slice ip = address_format_ip(view->x->peer, text);
    ip = access_log_mask_ip(ip, view->shape->mask_v4, view->shape->mask_v6, view->scratch->peer);
    if (ip.data == text) { /* left as it is, in memory that goes */
        memcpy(view->scratch->peer, text, ip.size);
        ip.data = view->scratch->peer;
    }
    return ip;
}

/* As it was kept when the response was whole; of the request also as it still is. */
static struct slice kept_header(const struct exchange *x, struct slice name, bool is_response)
{
    const struct exchange_kept *kept = x->kept;
    for (size_t i = 0; kept != NULL && i < kept->count; i++)
        if (kept->items[i].is_response == is_response &&
            slice_equal_nocase(kept->items[i].name, name))
            return cut(kept->items[i].value);
    if (is_response)
        return SLICE("");
    const struct field *field = fields_find_named(&x->request.head.fields, name);
    return field == NULL ? SLICE("") : cut(field->value);
}

/* The same, but for keys that steps ask for. */
static struct slice header_of(const struct exchange *x, struct slice name, bool is_response)
{
    struct slice value = kept_header(x, name, is_response);
    const struct site_table *sites = x->sites;
    for (size_t i = 0;
         value.size > 0 && !is_response && sites != NULL && i < sites->secret_fields.count; i++)
        if (slice_equal_nocase(sites->secret_fields.items[i], name))
            return SLICE("***");
    return value;
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

/* Without what the log is told to leave out, and without keys that steps ask for. */
static struct slice without_secrets(const struct view *view, struct slice text, char *into,
                                    size_t size)
{
    const struct site_table *sites = view->x->sites;
    const struct slice_list *lists[] = {&view->shape->redact,
                                        sites == NULL ? NULL : &sites->secret_parameters};
    bool is_plain = lists[0]->count == 0 && (lists[1] == NULL || lists[1]->count == 0);
    return is_plain ? text : access_log_redact_query(text, lists, 2, into, size);
}

/* The target, and nothing of a head that could not be read. */
static struct slice target_of(const struct view *view)
{
    return without_secrets(view, cut(view->x->request.head.target), view->scratch->uri,
                           sizeof view->scratch->uri);
}

static struct slice referer_of(const struct view *view)
{
    return without_secrets(view, request_field(view->x, FIELD_REFERER), view->scratch->referer,
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

static void json_keys(struct view *view, struct buffer *out)
{
    const struct exchange *x = view->x;
    const struct request_head *head = &x->request.head;
    const struct tls_facts *tls = x->tls;
    const uint64_t shown = view->shape->shown;
#define SHOWN(name) (shown >> LOG_NAME_##name & 1)
#define LOG_TEXT(name, value)                                                                      \
    if (SHOWN(name))                                                                               \
        put_text(out, SLICE(",\"" #name "\":\""), value);
#define LOG_WORD(name, value)                                                                      \
    if (SHOWN(name))                                                                               \
        put_word(out, SLICE(",\"" #name "\":\""), value);
#define LOG_NUMBER(name, value)                                                                    \
    if (SHOWN(name))                                                                               \
        put_number(out, SLICE(",\"" #name "\":"), (int64_t)(value));
#define LOG_SECONDS(name, value)                                                                   \
    if (SHOWN(name))                                                                               \
        put_seconds(out, SLICE(",\"" #name "\":"), value);
#include "control/access_log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_SECONDS
}

static void format_json(struct view *view, struct buffer *out)
{
    size_t start = out->size;
    json_keys(view, out);
    for (size_t i = 0; i < view->shape->headers_count; i++) {
        const struct access_log_header *header = &view->shape->headers[i];
        buffer_append(out, SLICE(",\""));
        buffer_append(out, header->key);
        put_text(out, SLICE("\":\""), header_of(view->x, header->name, header->is_response));
    }
    if (out->size == start)
        buffer_append_byte(out, ','); /* nothing is shown */
    buffer_append(out, SLICE("}\n"));
    if (!out->is_full)
        out->data[start] = '{'; /* in the place of the first comma */
}

/* In quotes where a reader would not see its end, or that it is there. */
static void logfmt_value(struct buffer *out, struct slice text)
{
    bool is_plain = text.size > 0;
    for (size_t i = 0; is_plain && i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        is_plain = c > 0x20 && c < 0x7f && c != '"' && c != '=' && c != '\\';
    }
    if (is_plain)
        buffer_append(out, text);
    else
        json_string(out, text);
}

static void logfmt_keys(struct view *view, struct buffer *out)
{
    const struct exchange *x = view->x;
    const struct request_head *head = &x->request.head;
    const struct tls_facts *tls = x->tls;
    const uint64_t shown = view->shape->shown;
#define LOG_TEXT(name, value)                                                                      \
    if (SHOWN(name)) {                                                                             \
        buffer_append(out, SLICE(" " #name "="));                                                  \
        logfmt_value(out, value);                                                                  \
    }
#define LOG_WORD LOG_TEXT
#define LOG_NUMBER(name, value)                                                                    \
    if (SHOWN(name))                                                                               \
        put_number(out, SLICE(" " #name "="), (int64_t)(value));
#define LOG_SECONDS(name, value)                                                                   \
    if (SHOWN(name))                                                                               \
        put_seconds(out, SLICE(" " #name "="), value);
#include "control/access_log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_SECONDS
}

static void format_logfmt(struct view *view, struct buffer *out)
{
    size_t start = out->size;
    logfmt_keys(view, out);
    for (size_t i = 0; i < view->shape->headers_count; i++) {
        const struct access_log_header *header = &view->shape->headers[i];
        buffer_append_byte(out, ' ');
        buffer_append(out, header->key);
        buffer_append_byte(out, '=');
        logfmt_value(out, header_of(view->x, header->name, header->is_response));
    }
    buffer_append_byte(out, '\n');
    if (!out->is_full && out->size > start + 1) { /* the first blank */
        memmove(out->data + start, out->data + start + 1, out->size - start - 1);
        out->size--;
    }
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
    case LOG_NAME_##name:                                                                          \
        escaped(out, value);                                                                       \
        return;
#define LOG_WORD(name, value)                                                                      \
    case LOG_NAME_##name:                                                                          \
        escaped(out, value);                                                                       \
        return;
#define LOG_NUMBER(name, value)                                                                    \
    case LOG_NAME_##name:                                                                          \
        buffer_append_u64(out, (uint64_t)(value));                                                 \
        return;
#define LOG_SECONDS(name, value)                                                                   \
    case LOG_NAME_##name:                                                                          \
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
        if (piece->header.name.size > 0)
            escaped(out, header_of(view->x, piece->header.name, piece->header.is_response));
        format_field(view, piece->name, out);
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
    else if (shape->format == ACCESS_LOG_LOGFMT)
        format_logfmt(&view, out);
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
