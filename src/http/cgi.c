/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cgi.h"

#include "http/chars.h"
#include "http/h1_fields.h"

enum {
    PARAMETERS_FIRST = 48,
    STATUS_SIZE = 3,
};

void cgi_add(struct cgi_parameters *list, struct slice name, struct slice value)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? PARAMETERS_FIRST : list->capacity * 2;
        struct cgi_parameter *items = arena_alloc(list->arena, capacity * sizeof *items);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (struct cgi_parameter){name, value};
}

static struct cgi_parameter *find(const struct cgi_parameters *list, struct slice name)
{
    for (size_t i = 0; i < list->count; i++)
        if (slice_equal(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

void cgi_set(struct cgi_parameters *list, struct slice name, struct slice value)
{
    struct cgi_parameter *found = find(list, name);
    if (found != NULL)
        found->value = value;
    else
        cgi_add(list, name, value);
}

const struct slice *cgi_find(const struct cgi_parameters *list, struct slice name)
{
    const struct cgi_parameter *found = find(list, name);
    return found == NULL ? NULL : &found->value;
}

struct slice cgi_field_name(struct slice field, struct arena *arena)
{
    static const struct slice PREFIX = {"HTTP_", 5};
    char *name = arena_alloc(arena, PREFIX.size + field.size);
    memcpy(name, PREFIX.data, PREFIX.size);
    for (size_t i = 0; i < field.size; i++) {
        char c = ascii_lower(field.data[i]);
        bool is_letter = c >= 'a' && c <= 'z';
        bool is_digit = c >= '0' && c <= '9';
        name[PREFIX.size + i] = is_letter ? (char)(c - 32) : is_digit ? c : '_';
    }
    return slice_of(name, PREFIX.size + field.size);
}

/* One line of the head: without its end. */
struct head_reader {
    const char *at;
    const char *end;
    size_t fields_size;
    const char *why;
    bool has_status;
};

static enum parse fail(struct head_reader *reader, const char *why)
{
    reader->why = why;
    return PARSE_ERROR;
}

static enum parse take_line(struct head_reader *reader, size_t max, struct slice *line)
{
    size_t left = (size_t)(reader->end - reader->at);
    if (left == 0)
        return PARSE_MORE;
    const char *lf = memchr(reader->at, '\n', left < max + 2 ? left : max + 2);
    if (lf == NULL)
        return left >= max + 2 ? fail(reader, "cgi: a line of the head is too long") : PARSE_MORE;
    size_t size = (size_t)(lf - reader->at);
    if (size > 0 && lf[-1] == '\r')
        size--;
    if (size > max)
        return fail(reader, "cgi: a line of the head is too long");
    *line = slice_of(reader->at, size);
    reader->at += lf - reader->at + 1;
    return PARSE_DONE;
}

/* "404" or "404 Not Found". */
static bool read_status(struct slice text, struct response_head *head)
{
    uint64_t status;
    if (!slice_to_u64(slice_first(text, STATUS_SIZE), 599, &status) || status < 200 ||
        (text.size > STATUS_SIZE && text.data[STATUS_SIZE] != ' '))
        return false;
    head->status = (int)status;
    head->reason = slice_from(text, STATUS_SIZE + 1);
    return chars_span(head->reason, CHAR_VALUE) == head->reason.size;
}

static bool read_status_line(struct slice line, struct response_head *head)
{
    return line.size > 9 && (line.data[7] == '0' || line.data[7] == '1') && line.data[8] == ' ' &&
           read_status(slice_from(line, 9), head);
}

static enum parse read_field(struct head_reader *reader, struct slice line,
                             const struct h1_limits *limits, struct response_head *head)
{
    struct slice name = slice_first(line, slice_find(line, ':'));
    if (name.size == line.size || name.size == 0 || chars_span(name, CHAR_TOKEN) != name.size)
        return fail(reader, "cgi: malformed field");
    struct slice value = slice_trim(slice_from(line, name.size + 1));
    if (chars_span_value(value.data, value.size) != value.size)
        return fail(reader, "cgi: control byte in a field value");
    reader->fields_size += name.size + value.size;
    if (reader->fields_size > limits->fields_size)
        return fail(reader, "cgi: fields too large");
    if (head->fields.count >= limits->fields_count)
        return fail(reader, "cgi: too many fields");
    if (slice_equal_nocase(name, SLICE("Status"))) {
        if (reader->has_status)
            return fail(reader, "cgi: second status");
        reader->has_status = true;
        return read_status(value, head) ? PARSE_DONE : fail(reader, "cgi: malformed status");
    }
    enum field_id id = field_id_of(name);
    if (!h1_is_hop_field(id))
        fields_append_checked(&head->fields, id, name, value);
    return PARSE_DONE;
}

/* What the fields say of the body. */
static enum parse read_meaning(struct head_reader *reader, enum method method,
                               struct response_head *head)
{
    struct h1_framing framing;
    if (h1_read_framing(&head->fields, 1, &framing) != REFUSAL_NONE)
        return fail(reader, "cgi: malformed or repeated content-length");
    if (!reader->has_status)
        head->status = fields_find(&head->fields, FIELD_LOCATION) != NULL ? 302 : 200;
    head->minor = 1;
    head->keep_alive = true;
    head->length = framing.length;
    if (head->status == 204 || head->status == 304 || method == METHOD_HEAD)
        head->framing = FRAMING_NONE;
    else
        head->framing = framing.has_length ? FRAMING_LENGTH : FRAMING_CLOSE;
    return PARSE_DONE;
}

static enum parse parse_lines(struct head_reader *reader, const struct h1_limits *limits,
                              enum method method, struct response_head *head)
{
    for (bool is_first = true;; is_first = false) {
        struct slice line;
        enum parse parse = take_line(reader, limits->line_size, &line);
        if (parse != PARSE_DONE)
            return parse;
        if (is_first && slice_starts(line, SLICE("HTTP/1."))) {
            reader->has_status = read_status_line(line, head);
            if (!reader->has_status)
                return fail(reader, "cgi: malformed status line");
            continue;
        }
        if (line.size == 0)
            return is_first ? fail(reader, "cgi: the head is empty")
                            : read_meaning(reader, method, head);
        if (read_field(reader, line, limits, head) == PARSE_ERROR)
            return PARSE_ERROR;
    }
}

enum parse cgi_parse_head(const char *text, size_t size, const struct h1_limits *limits,
                          enum method request_method, struct response_head *head, size_t *consumed,
                          const char **why)
{
    struct head_reader reader = {.at = text, .end = text + size};
    enum parse parse = parse_lines(&reader, limits, request_method, head);
    *why = reader.why;
    *consumed = (size_t)(reader.at - text);
    return parse;
}

static bool has_nul(const struct cgi_parameter *parameter)
{
    return slice_find(parameter->name, '\0') < parameter->name.size ||
           slice_find(parameter->value, '\0') < parameter->value.size;
}

void scgi_write_head(struct buffer *out, const struct cgi_parameters *list, uint64_t length)
{
    static const struct slice LENGTH = {"CONTENT_LENGTH", 14};
    static const struct slice MARK = {"SCGI\0001\0", 7};
    struct buffer number = buffer_in(list->arena, 24);
    buffer_append_u64(&number, length);
    uint64_t size = LENGTH.size + 1 + number.size + 1 + MARK.size;
    for (size_t i = 0; i < list->count; i++)
        if (!slice_equal(list->items[i].name, LENGTH) && !has_nul(&list->items[i]))
            size += list->items[i].name.size + list->items[i].value.size + 2;
    buffer_append_u64(out, size);
    buffer_append_byte(out, ':');
    buffer_append(out, LENGTH);
    buffer_append_byte(out, '\0');
    buffer_append(out, buffer_slice(&number));
    buffer_append_byte(out, '\0');
    buffer_append(out, MARK);
    for (size_t i = 0; i < list->count; i++) {
        if (slice_equal(list->items[i].name, LENGTH) || has_nul(&list->items[i]))
            continue;
        buffer_append(out, list->items[i].name);
        buffer_append_byte(out, '\0');
        buffer_append(out, list->items[i].value);
        buffer_append_byte(out, '\0');
    }
    buffer_append_byte(out, ',');
}

static void append_u16(struct buffer *out, size_t number)
{
    buffer_append_byte(out, (char)(number & 0xff));
    buffer_append_byte(out, (char)(number >> 8));
}

bool uwsgi_write_head(struct buffer *out, const struct cgi_parameters *list)
{
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++)
        size += 4 + list->items[i].name.size + list->items[i].value.size;
    if (size > UWSGI_SIZE_MAX)
        return false;
    buffer_append_byte(out, '\0');
    append_u16(out, size);
    buffer_append_byte(out, '\0');
    for (size_t i = 0; i < list->count; i++) {
        append_u16(out, list->items[i].name.size);
        buffer_append(out, list->items[i].name);
        append_u16(out, list->items[i].value.size);
        buffer_append(out, list->items[i].value);
    }
    return true;
}
