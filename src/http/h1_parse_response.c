/* SPDX-License-Identifier: Apache-2.0 */
/* Response heads (RFC 9112 §4, §6.3), as strictly as requests: what a server says ambiguously is
 * told to no client. */
#include "base/clock.h"
#include "http/chars.h"
#include "http/h1_fields.h"

enum {
    STATUS_SIZE = 3,
    KEEP_ALIVE_MAX_S = 86400,
};

static const struct slice START = {"HTTP/1.", 7};

static const char *const WHY[REFUSALS] = {
    [REFUSAL_REQUEST_LINE] = "h1: malformed status line",
    [REFUSAL_BARE_LF] = "h1: a line does not end with CRLF",
    [REFUSAL_FIELD_NAME] = "h1: malformed field name",
    [REFUSAL_FIELD_NAME_POLICY] = "h1: malformed field name",
    [REFUSAL_FIELD_VALUE] = "h1: control byte in a field value",
    [REFUSAL_FIELD_FOLDED] = "h1: folded field",
    [REFUSAL_LENGTH] = "h1: malformed or repeated content-length",
    [REFUSAL_LENGTH_AND_CODING] = "h1: content-length with transfer-encoding",
    [REFUSAL_CODING] = "h1: malformed transfer-encoding",
    [REFUSAL_CODING_UNKNOWN] = "h1: unknown transfer-encoding",
    [REFUSAL_LINE_SIZE] = "h1: status line too long",
    [REFUSAL_FIELDS_SIZE] = "h1: fields too large",
    [REFUSAL_FIELDS_COUNT] = "h1: too many fields",
};

static bool read_status_line(struct slice line, struct response_head *head)
{
    if (line.size < START.size + 2 + STATUS_SIZE || !slice_starts(line, START))
        return false;
    char minor = line.data[START.size];
    const char *digits = line.data + START.size + 2;
    if ((minor != '0' && minor != '1') || line.data[START.size + 1] != ' ')
        return false;
    head->minor = (uint8_t)(minor - '0');
    head->status = 0;
    for (int i = 0; i < STATUS_SIZE; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        head->status = head->status * 10 + (digits[i] - '0');
    }
    if (head->status < 100 || head->status > 599)
        return false;
    struct slice rest = slice_from(line, START.size + 2 + STATUS_SIZE);
    if (rest.size == 0)
        return true; /* some leave the blank before an empty reason out */
    head->reason = slice_from(rest, 1);
    return rest.data[0] == ' ' && chars_span(head->reason, CHAR_VALUE) == head->reason.size;
}

/* RFC 9112 §6.3. */
static void frame(struct response_head *head, enum method method, const struct h1_framing *framing)
{
    head->length = framing->length;
    if (head->status < 200 || head->status == 204 || head->status == 304 || method == METHOD_HEAD)
        head->framing = FRAMING_NONE;
    else if (framing->has_coding)
        head->framing = FRAMING_CHUNKED;
    else
        head->framing = framing->has_length ? FRAMING_LENGTH : FRAMING_CLOSE;
}

/* The "timeout" of Keep-Alive, in nanoseconds; 0: not said. */
static int64_t read_keep_alive(const struct fields *fields)
{
    const struct field *field = fields_find(fields, FIELD_KEEP_ALIVE);
    struct slice rest = field == NULL ? SLICE("") : field->value;
    struct slice element;
    uint64_t seconds;
    while (slice_next_element(&rest, &element)) {
        if (slice_starts_nocase(element, SLICE("timeout=")) &&
            slice_to_u64(slice_from(element, 8), KEEP_ALIVE_MAX_S, &seconds))
            return SECONDS((int64_t)seconds);
    }
    return 0;
}

static enum refusal read_meaning(struct response_head *head, enum method method)
{
    struct h1_framing framing;
    struct h1_connection_options options;
    enum refusal refusal = h1_read_framing(&head->fields, head->minor, &framing);
    if (refusal != REFUSAL_NONE)
        return refusal;
    frame(head, method, &framing);
    if (!h1_read_connection(&head->fields, &options))
        options.close = true; /* a server may not strip for others, but what it says is its own */
    head->keep_alive = !options.close && (head->minor >= 1 || options.keep_alive) &&
                       head->framing != FRAMING_CLOSE;
    head->keep_alive_timeout = read_keep_alive(&head->fields);
    const struct field *upgrade = fields_find(&head->fields, FIELD_UPGRADE);
    if (head->status == 101 && upgrade != NULL && options.upgrade)
        head->upgrade = upgrade->value;
    return REFUSAL_NONE;
}

enum parse h1_parse_response(char *text, size_t size, const struct h1_limits *limits,
                             enum method request_method, struct response_head *head,
                             size_t *consumed, const char **why)
{
    struct h1_reader reader = {.at = text, .end = text + size, .limits = limits};
    struct slice line;
    enum parse parse = h1_take_line(&reader, limits->line_size, REFUSAL_LINE_SIZE, &line);
    if (parse != PARSE_DONE && size > 0 &&
        memcmp(text, START.data, size < START.size ? size : START.size) != 0) {
        reader.refusal = REFUSAL_REQUEST_LINE;
        parse = PARSE_ERROR;
    }
    if (parse == PARSE_DONE && !read_status_line(line, head)) {
        reader.refusal = REFUSAL_REQUEST_LINE;
        parse = PARSE_ERROR;
    }
    if (parse == PARSE_DONE)
        parse = h1_take_fields(&reader, &head->fields);
    if (parse == PARSE_DONE) {
        reader.refusal = read_meaning(head, request_method);
        parse = reader.refusal == REFUSAL_NONE ? PARSE_DONE : PARSE_ERROR;
    }
    *why = WHY[reader.refusal];
    *consumed = (size_t)(reader.at - text);
    return parse;
}
