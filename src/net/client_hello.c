/* SPDX-License-Identifier: Apache-2.0 */
#include "net/client_hello.h"

enum {
    NAME_TYPE_HOST = 0,
};

/* Takes a number of `size` bytes off the front; false: it is not there. */
static bool take_number(struct slice *from, size_t size, size_t *number)
{
    if (from->size < size)
        return false;
    *number = 0;
    for (size_t i = 0; i < size; i++)
        *number = *number << 8 | (unsigned char)from->data[i];
    *from = slice_from(*from, size);
    return true;
}

/* Takes a vector with its length in front of it. */
static bool take_vector(struct slice *from, size_t length_size, struct slice *vector)
{
    size_t size;
    if (!take_number(from, length_size, &size) || size > from->size)
        return false;
    *vector = slice_first(*from, size);
    *from = slice_from(*from, size);
    return true;
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

size_t client_hello_server_name(struct slice extension, char *name)
{
    struct slice list;
    struct slice host;
    size_t type;
    if (!take_vector(&extension, 2, &list) || extension.size != 0)
        return 0;
    /* Only one kind of name was ever defined, and only one of a kind may be there. */
    if (!take_number(&list, 1, &type) || type != NAME_TYPE_HOST || !take_vector(&list, 2, &host) ||
        list.size != 0)
        return 0;
    if (host.size > 0 && host.data[host.size - 1] == '.')
        host.size--;
    if (host.size == 0 || host.size > SERVER_NAME_MAX || host.data[0] == '.')
        return 0;
    for (size_t i = 0; i < host.size; i++) {
        name[i] = ascii_lower(host.data[i]);
        if (!is_host_byte(name[i]))
            return 0;
    }
    return host.size;
}

bool client_hello_offers(struct slice extension, struct slice protocol)
{
    struct slice list;
    if (!take_vector(&extension, 2, &list) || extension.size != 0)
        return false;
    bool is_offered = false;
    while (list.size > 0) {
        struct slice offered;
        if (!take_vector(&list, 1, &offered) || offered.size == 0)
            return false;
        is_offered = is_offered || slice_equal(offered, protocol);
    }
    return is_offered;
}
