/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says of a log's lines, as the formats go by it. */
#include "control/access_log_inside.h"
#include "control/config_error.h"

#include <assert.h>

static_assert(ACCESS_LOG_NAMES <= 64, "a bit for each key");

static const char *const NAMES[ACCESS_LOG_NAMES] = {
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

static const char NONE_SUCH[] = "there is none of that name";

/* ACCESS_LOG_NAMES: there is none. */
static unsigned name_of(struct slice name)
{
    unsigned i = 0;
    while (i < ACCESS_LOG_NAMES && !slice_equal(name, slice_from_cstring(NAMES[i])))
        i++;
    return i;
}

struct slice access_log_field_like(struct slice name)
{
    struct config_suggest suggest = config_suggest_start(name);
    for (unsigned i = 0; i < ACCESS_LOG_NAMES; i++)
        config_suggest_try(&suggest, slice_from_cstring(NAMES[i]));
    return suggest.best;
}

bool access_log_shape_show(struct slice word, struct access_log_shape *shape, const char **why)
{
    unsigned name = name_of(slice_from(word, 1));
    *why = "write +NAME or -NAME";
    if (word.size < 2 || (word.data[0] != '+' && word.data[0] != '-'))
        return false;
    *why = NONE_SUCH;
    if (name == ACCESS_LOG_NAMES)
        return false;
    if (word.data[0] == '+')
        shape->shown |= UINT64_C(1) << name;
    else
        shape->shown &= ~(UINT64_C(1) << name);
    return true;
}

/* Whose values are secrets. */
static bool is_secret(struct slice header)
{
    static const char *const SECRETS[] = {"authorization", "proxy-authorization", "cookie",
                                          "set-cookie"};
    for (size_t i = 0; i < sizeof SECRETS / sizeof SECRETS[0]; i++)
        if (slice_equal_nocase(header, slice_from_cstring(SECRETS[i])))
            return true;
    return false;
}

static bool is_field_name(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = ascii_lower(name.data[i]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_')
            return false;
    }
    return name.size > 0 && name.size <= 128;
}

const char *access_log_header_parse(struct slice word, bool is_unsafe, struct arena *arena,
                                    struct access_log_header *header)
{
    bool is_response = slice_starts(word, SLICE("response."));
    struct slice name = is_response ? slice_from(word, sizeof "response." - 1) : word;
    if (!is_field_name(name))
        return "write the name of a field, or response.NAME for one of the response";
    if (is_secret(name) && !is_unsafe)
        return "its value is a secret, which no log shows";
    char *lower = arena_alloc(arena, name.size);
    for (size_t i = 0; i < name.size; i++)
        lower[i] = ascii_lower(name.data[i]);
    *header = (struct access_log_header){
        .name = slice_of(lower, name.size),
        .key = arena_format(arena, "%s.%.*s", is_response ? "response" : "header", (int)name.size,
                            lower),
        .is_response = is_response,
    };
    return NULL;
}

size_t access_log_line_max(const struct access_log_shape *shape)
{
    return ACCESS_LOG_LINE_MAX + shape->headers_count * ACCESS_LOG_HEADER_MAX;
}

static size_t add_header(const struct access_log_header *header, struct access_log_header *headers,
                         size_t count, size_t most)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].is_response == header->is_response &&
            slice_equal_nocase(headers[i].name, header->name))
            return count;
    if (header->name.size > 0 && count < most)
        headers[count++] = *header;
    return count;
}

size_t access_log_shape_headers(const struct access_log_shape *shape,
                                struct access_log_header *headers, size_t count, size_t most)
{
    for (size_t i = 0; i < shape->headers_count; i++)
        count = add_header(&shape->headers[i], headers, count, most);
    for (size_t i = 0; i < shape->pieces_count; i++)
        count = add_header(&shape->pieces[i].header, headers, count, most);
    return count;
}

static const char *parse_name(struct slice name, struct arena *arena,
                              struct access_log_piece *piece)
{
    bool is_request = slice_starts(name, SLICE("header."));
    if (is_request || slice_starts(name, SLICE("response.")))
        return access_log_header_parse(is_request ? slice_from(name, sizeof "header." - 1) : name,
                                       false, arena, &piece->header);
    piece->name = name_of(name);
    return piece->name == ACCESS_LOG_NAMES ? NONE_SUCH : NULL;
}

/* Up to the next placeholder; "{{" and "}}" are braces. *why: what is wrong with *bad. */
static bool parse_piece(struct slice *rest, struct arena *arena, struct access_log_piece *piece,
                        struct slice *bad, const char **why)
{
    struct buffer text = buffer_in(arena, rest->size + 1);
    *piece = (struct access_log_piece){.name = ACCESS_LOG_NAMES};
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
    *why = end == 0 || end == rest->size
               ? "a brace alone is written {{ or }}"
               : parse_name(slice_of(rest->data + 1, end - 1), arena, piece);
    *rest = slice_from(*rest, end + 1);
    return *why == NULL;
}

static bool parse_template(struct slice text, struct arena *arena, struct access_log_shape *shape,
                           struct slice *bad, const char **why)
{
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

bool access_log_shape_parse(struct slice text, struct arena *arena, struct access_log_shape *shape,
                            struct slice *bad, const char **why)
{
    static const char *const WORDS[] = {[ACCESS_LOG_JSON] = "json",
                                        [ACCESS_LOG_LOGFMT] = "logfmt",
                                        [ACCESS_LOG_COMBINED] = "combined",
                                        [ACCESS_LOG_COMMON] = "common"};
    for (unsigned i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        if (slice_equal(text, slice_from_cstring(WORDS[i]))) {
            shape->format = (enum access_log_format)i;
            return true;
        }
    *bad = text;
    *why = "write json, logfmt, combined, common, or a text with placeholders: \"{client_ip} "
           "{status}\"";
    if (slice_find(text, '{') == text.size)
        return false;
    *why = "a line cannot contain a newline or another control character but a tab";
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < 0x20 && text.data[i] != '\t')
            return false;
    return parse_template(text, arena, shape, bad, why);
}
