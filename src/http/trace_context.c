/* SPDX-License-Identifier: Apache-2.0 */
#include "http/trace_context.h"

enum {
    VERSION_SIZE = 2,
    TRACE_SIZE = 32,
    PARENT_SIZE = 16,
    FLAGS_SIZE = 2,
    WHOLE_SIZE = VERSION_SIZE + 1 + TRACE_SIZE + 1 + PARENT_SIZE + 1 + FLAGS_SIZE,
};

/* Lower case alone, and where it is an id not zeros alone. */
static bool is_hex(struct slice text, bool is_id)
{
    bool is_zero = true;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
        is_zero = is_zero && c == '0';
    }
    return !is_id || !is_zero;
}

struct slice trace_context_id(struct slice value)
{
    static const struct {
        size_t size;
        bool is_id;
    } PARTS[] = {
        {VERSION_SIZE, false}, {TRACE_SIZE, true}, {PARENT_SIZE, true}, {FLAGS_SIZE, false}};
    struct slice version = slice_first(value, VERSION_SIZE);
    bool is_first = slice_equal(version, SLICE("00"));
    /* Later versions may say more behind what this one knows (§4.3). */
    if (value.size < WHOLE_SIZE || slice_equal(version, SLICE("ff")) ||
        (value.size > WHOLE_SIZE && (is_first || value.data[WHOLE_SIZE] != '-')))
        return SLICE("");
    struct slice id = SLICE("");
    for (size_t i = 0, at = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        struct slice part = slice_of(value.data + at, PARTS[i].size);
        at += PARTS[i].size + 1;
        if (!is_hex(part, PARTS[i].is_id) || (at < WHOLE_SIZE && value.data[at - 1] != '-'))
            return SLICE("");
        if (i == 1)
            id = part;
    }
    return id;
}
