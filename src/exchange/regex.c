/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions of the configuration over text of clients: PCRE2's interpreter, which keeps
 * its state on the heap, with limits on steps and depth. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "exchange/route.h"

#include "base/buffer.h"

#include <pcre2.h>
#include <stdio.h>

enum {
    MATCH_LIMIT = 100000,
    DEPTH_LIMIT = 1000,
    HEAP_LIMIT_KIB = 1024,
};

void *regex_compile(struct slice pattern, char *error, size_t error_size, size_t *error_at)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *regex = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size,
                                      PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (regex == NULL) {
        PCRE2_UCHAR text[128];
        if (pcre2_get_error_message(code, text, sizeof text) < 0)
            text[0] = '\0';
        (void)snprintf(error, error_size, "%s", (const char *)text);
        *error_at = at;
    }
    return regex;
}

void regex_free(void *regex)
{
    pcre2_code_free(regex);
}

static enum regex_result result_of(int result)
{
    if (result >= 0)
        return REGEX_YES;
    return result == PCRE2_ERROR_NOMATCH   ? REGEX_NO
           : result == PCRE2_ERROR_PARTIAL ? REGEX_PARTIAL
                                           : REGEX_LIMIT;
}

enum regex_result regex_search(const void *regex, struct slice piece, const struct regex_piece *how,
                               struct slice *spans, size_t max, size_t *count)
{
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create((uint32_t)(max == 0 ? 1 : max), NULL);
    if (context == NULL || data == NULL) {
        pcre2_match_context_free(context);
        pcre2_match_data_free(data);
        return REGEX_LIMIT;
    }
    uint32_t options = (how->is_begin ? 0 : PCRE2_NOTBOL) |
                       (how->is_all && !how->is_end ? PCRE2_NOTEOL : 0) |
                       (how->is_end || how->is_all ? 0 : PCRE2_PARTIAL_HARD);
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_depth_limit(context, DEPTH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
    int result =
        pcre2_match(regex, (PCRE2_SPTR)piece.data, piece.size, how->start, options, data, context);
    enum regex_result answer = result_of(result);
    if ((answer == REGEX_YES || answer == REGEX_PARTIAL) && spans != NULL) {
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
        *count = answer == REGEX_PARTIAL ? 1 : result == 0 ? max : (size_t)result;
        for (size_t i = 0; i < *count; i++)
            spans[i] = ends[2 * i] == PCRE2_UNSET
                           ? SLICE("")
                           : slice_of(piece.data + ends[2 * i], ends[2 * i + 1] - ends[2 * i]);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return answer;
}

enum regex_result regex_capture(const void *regex, struct slice text, struct slice *spans,
                                size_t max, size_t *count)
{
    static const struct regex_piece WHOLE = {.is_begin = true, .is_end = true};
    return regex_search(regex, text, &WHOLE, spans, max, count);
}

enum regex_result regex_match(const void *regex, struct slice text)
{
    return regex_capture(regex, text, NULL, 0, NULL);
}

void regex_append_captures(struct buffer *out, struct slice text, const struct slice *captures,
                           size_t count)
{
    for (size_t i = 0; i < text.size; i++) {
        bool has_next = text.data[i] == '$' && i + 1 < text.size;
        char next = has_next ? text.data[i + 1] : 0;
        if (next >= '0' && next <= '9') {
            size_t number = (size_t)(next - '0');
            if (number < count)
                buffer_append(out, captures[number]);
            i++;
        } else {
            buffer_append_byte(out, text.data[i]);
            i += next == '$';
        }
    }
}
