/* SPDX-License-Identifier: Apache-2.0 */
#include "base/markup.h"

void markup_append(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '&':
            buffer_append(out, SLICE("&amp;"));
            break;
        case '<':
            buffer_append(out, SLICE("&lt;"));
            break;
        case '>':
            buffer_append(out, SLICE("&gt;"));
            break;
        case '"':
            buffer_append(out, SLICE("&quot;"));
            break;
        case '\'':
            buffer_append(out, SLICE("&#39;"));
            break;
        default:
            buffer_append_byte(out, text.data[i]);
        }
    }
}
