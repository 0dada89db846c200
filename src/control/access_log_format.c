/* SPDX-License-Identifier: Apache-2.0 */
/* The formats: JSON with its keys in a fixed order, and the two that every tool reads. */
#include "base/buffer.h"
#include "base/json.h"
#include "control/access_log.h"
#include "http/date.h"

enum {
    FIELD_MAX = 2048, /* bytes of one field of a client's making */
    CLIENT_CLOSED = 499,
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

/* The target, and nothing of a head that could not be read. */
static struct slice target_of(const struct exchange *x)
{
    return cut(x->request.head.target);
}

static struct slice limit_of(const struct exchange *x)
{
    if (x->blame.refusal != REFUSAL_NONE)
        return slice_from_cstring(refusal_text(x->blame.refusal)->limit);
    struct slice why = slice_from_cstring(x->blame.why);
    return slice_starts(why, SLICE("timeouts.")) ? why : SLICE("");
}

static void format_json(const struct exchange *x, int64_t now, struct buffer *out)
{
    char date[DATE_ISO_SIZE];
    const struct request_head *head = &x->request.head;
    size_t start = out->size;
    buffer_append_byte(out, '{');
    json_field(out, "ts", date_iso(x->started_wall, date));
    json_field(out, "client_ip", x->client_ip);
    json_field_int(out, "status", access_log_status(x));
    json_field(out, "method", head->method_text);
    json_field(out, "host", cut(head->host));
    json_field(out, "uri", target_of(x));
    json_field(out, "protocol",
               head->major == 2   ? SLICE("h2")
               : head->minor == 0 ? SLICE("http/1.0")
                                  : SLICE("http/1.1"));
    json_field_seconds(out, "duration", now - x->started);
    json_field_int(out, "bytes_in", (int64_t)x->bytes_in);
    json_field_int(out, "bytes_out", (int64_t)x->bytes_out);
    json_field(out, "user", cut(x->user));
    json_field(out, "referer", request_field(x, FIELD_REFERER));
    json_field(out, "user_agent", request_field(x, FIELD_USER_AGENT));
    json_field(out, "request_id", cut(x->request_id));
    json_field(out, "trace_id", x->trace_id);
    json_field(out, "site", x->site == NULL ? SLICE("") : x->site->name);
    json_field(out, "route", x->route == NULL ? SLICE("") : x->route->pattern);
    json_field(out, "upstream", x->upstream.upstream);
    json_field(out, "server", x->upstream.server);
    json_field(out, "server_state", x->upstream.server_state);
    json_field_int(out, "upstream_status", x->upstream.status);
    json_field_seconds(out, "connect", x->upstream.connect);
    json_field_seconds(out, "first_byte", x->upstream.first_byte);
    json_field_int(out, "tries", x->upstream.tries);
    json_field(out, "sticky", slice_from_cstring(x->sticky));
    json_field(out, "mirror", slice_from_cstring(x->mirrored));
    json_field(out, "cache", SLICE(""));
    json_field(out, "encoding", slice_from_cstring(x->encoded));
    json_field(out, "tls", x->tls == NULL ? SLICE("") : x->tls->version);
    json_field(out, "tls_cipher", x->tls == NULL ? SLICE("") : x->tls->cipher);
    json_field(out, "sni", x->tls == NULL ? SLICE("") : cut(x->tls->server_name));
    json_field(out, "tls_resumed",
               x->tls == NULL       ? SLICE("")
               : x->tls->is_resumed ? SLICE("yes")
                                    : SLICE("no"));
    json_field_seconds(out, "handshake", x->tls == NULL ? 0 : x->tls->handshake_time);
    json_field(out, "step", slice_from_cstring(x->refused_by));
    json_field(out, "rule", x->rule);
    json_field(out, "error", slice_from_cstring(x->blame.error));
    json_field(out, "reason", slice_from_cstring(x->blame.why));
    json_field(out, "detail", slice_from_cstring(x->detail));
    json_field(out, "limit", limit_of(x));
    json_field(out, "limited", slice_from_cstring(x->limited));
    json_field_int(out, "config", (int64_t)x->config);
    buffer_append(out, SLICE("}\n"));
    if (out->is_full) { /* cannot be: the buffer has room for the longest line; never half a line */
        out->size = start;
        out->is_full = false;
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

static void format_common(const struct exchange *x, struct buffer *out, bool is_combined)
{
    char date[DATE_CLF_SIZE];
    const struct request_head *head = &x->request.head;
    escaped(out, x->client_ip);
    buffer_append(out, SLICE(" - "));
    escaped(out, cut(x->user));
    buffer_append(out, SLICE(" ["));
    buffer_append(out, date_clf(x->started_wall, date));
    buffer_append(out, SLICE("] \""));
    if (head->method_text.size > 0) {
        escaped(out, head->method_text);
        buffer_append_byte(out, ' ');
        escaped(out, target_of(x));
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
        escaped(out, request_field(x, FIELD_REFERER));
        buffer_append(out, SLICE("\" \""));
        escaped(out, request_field(x, FIELD_USER_AGENT));
        buffer_append_byte(out, '"');
    }
    buffer_append_byte(out, '\n');
}

void access_log_format_line(enum access_log_format format, const struct exchange *x, int64_t now,
                            struct buffer *out)
{
    if (format == ACCESS_LOG_JSON)
        format_json(x, now, out);
    else
        format_common(x, out, format == ACCESS_LOG_COMBINED);
}
