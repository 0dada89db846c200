/* SPDX-License-Identifier: Apache-2.0 */
#include "control/access_log_redact.h"

#include "base/buffer.h"
#include "net/address.h"

enum {
    NAME_MAX_BYTES = 128, /* of a parameter; a longer one is none of ours */
};

static void mask(uint8_t *bytes, size_t size, int bits)
{
    for (size_t i = 0; i < size; i++) {
        int kept = bits - (int)i * 8;
        if (kept <= 0)
            bytes[i] = 0;
        else if (kept < 8)
            bytes[i] = (uint8_t)(bytes[i] & (0xff00 >> kept));
    }
}

struct slice access_log_mask_ip(struct slice ip, int v4, int v6, char *into)
{
    struct address address;
    if ((v4 == 32 && v6 == 128) || !address_parse_ip(ip, &address))
        return ip;
    if (address.any.sa_family == AF_INET)
        mask((uint8_t *)&address.v4.sin_addr, sizeof address.v4.sin_addr, v4);
    else
        mask((uint8_t *)&address.v6.sin6_addr, sizeof address.v6.sin6_addr, v6);
    return address_format_ip(&address, into);
}

static int hex(char c)
{
    char lower = ascii_lower(c);
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* A name as a server reads it: it may be escaped as often as a client likes to. */
static struct slice decoded(struct slice name, char into[NAME_MAX_BYTES])
{
    size_t size = 0;
    for (size_t i = 0; i < name.size && size < NAME_MAX_BYTES; i++) {
        bool is_escape = name.data[i] == '%' && i + 2 < name.size && hex(name.data[i + 1]) >= 0 &&
                         hex(name.data[i + 2]) >= 0;
        into[size++] = name.data[i];
        if (!is_escape)
            continue;
        into[size - 1] = (char)(hex(name.data[i + 1]) * 16 + hex(name.data[i + 2]));
        i += 2;
    }
    return slice_of(into, size);
}

static bool is_listed(struct slice name, const struct slice_list *const *lists, size_t count)
{
    char plain[NAME_MAX_BYTES];
    name = decoded(slice_first(name, 3 * NAME_MAX_BYTES), plain);
    name = slice_first(name, slice_find(name, '[')); /* token[] and token[a] are token */
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; lists[k] != NULL && i < lists[k]->count; i++)
            if (slice_equal_nocase(name, lists[k]->items[i]))
                return true;
    return false;
}

struct slice access_log_redact_query(struct slice text, const struct slice_list *const *lists,
                                     size_t count, char *into, size_t size)
{
    struct buffer out = buffer_fixed(into, size);
    size_t mark = slice_find(text, '?');
    buffer_append(&out, slice_first(text, mark + 1));
    for (struct slice rest = slice_from(text, mark + 1); rest.size > 0;) {
        size_t end = 0;
        while (end < rest.size && rest.data[end] != '&' && rest.data[end] != ';' &&
               rest.data[end] != '#')
            end++;
        struct slice pair = slice_first(rest, end);
        size_t equals = slice_find(pair, '=');
        bool is_secret = equals < pair.size && is_listed(slice_first(pair, equals), lists, count);
        buffer_append(&out, slice_first(pair, is_secret ? equals + 1 : pair.size));
        buffer_append(&out, is_secret ? SLICE("***") : SLICE(""));
        buffer_append(&out, slice_of(rest.data + end, end < rest.size));
        rest = slice_from(rest, end + 1);
    }
    return buffer_slice(&out);
}
