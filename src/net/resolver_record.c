/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolver_record.h"

#include <string.h>

enum {
    HEADER_SIZE = 12,
    JUMPS_MAX = 32, /* of compressed names; a loop has more */
    TTL_MAX = 86400 * 7,
};

/* Bytes with a place in them; once behind the end it stays there. */
struct reading {
    const unsigned char *text;
    size_t size, at;
    bool is_broken;
};

static unsigned read_number(struct reading *r, size_t bytes)
{
    unsigned number = 0;
    if (r->is_broken || r->size - r->at < bytes) {
        r->is_broken = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | r->text[r->at++];
    return number;
}

/* Reads a name, dots between its labels; NULL as `into`: passes over it. Bytes that no host name
 * has break the whole: they would stand in logs and in Host. */
static void read_name(struct reading *r, char *into)
{
    size_t at = r->at;
    size_t written = 0;
    bool has_jumped = false;
    for (int jumps = 0; !r->is_broken;) {
        unsigned size = at < r->size ? r->text[at] : 255;
        if (size >= 0xc0 && at + 1 < r->size && jumps++ < JUMPS_MAX) {
            if (!has_jumped)
                r->at = at + 2;
            has_jumped = true;
            at = (size & 0x3fu) << 8 | r->text[at + 1];
            continue;
        }
        if (size > 63 || at + 1 + size > r->size || written + size + 1 >= RESOLVER_HOST_MAX) {
            r->is_broken = true;
            break;
        }
        at++;
        if (size == 0)
            break;
        for (unsigned i = 0; into != NULL && i < size; i++) {
            char c = (char)r->text[at + i];
            bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_';
            r->is_broken = r->is_broken || !is_good;
            into[written + i + (written > 0)] = c;
        }
        if (into != NULL && written > 0)
            into[written] = '.';
        written += size + (written > 0);
        at += size;
    }
    if (into != NULL)
        into[r->is_broken ? 0 : written] = '\0';
    if (!has_jumped)
        r->at = at;
}

static bool is_known(const struct resolver_service *services, size_t count,
                     const struct resolver_service *one)
{
    for (size_t i = 0; i < count; i++)
        if (services[i].port == one->port && strcmp(services[i].host, one->host) == 0)
            return true;
    return false;
}

size_t resolver_parse_services(const unsigned char *text, size_t size,
                               struct resolver_service *services, int *ttl)
{
    struct reading r = {text, size, 4, false};
    if (size < HEADER_SIZE)
        return 0;
    unsigned questions = read_number(&r, 2);
    unsigned answers = read_number(&r, 2);
    size_t count = 0;
    *ttl = TTL_MAX;
    r.at = HEADER_SIZE;
    for (unsigned i = 0; i < questions && !r.is_broken; i++) {
        read_name(&r, NULL);
        read_number(&r, 4);
    }
    for (unsigned i = 0; i < answers && !r.is_broken; i++) {
        read_name(&r, NULL);
        unsigned type = read_number(&r, 2);
        unsigned class = read_number(&r, 2);
        unsigned seconds = read_number(&r, 4);
        unsigned length = read_number(&r, 2);
        size_t end = r.at + length;
        if (r.is_broken || end > size)
            return 0;
        if (type == RESOLVER_TYPE_SRV && class == RESOLVER_CLASS_IN &&
            count < RESOLVER_SERVICES_MAX) {
            struct resolver_service *service = &services[count];
            memset(service, 0, sizeof *service);
            service->priority = (uint16_t)read_number(&r, 2);
            service->weight = (uint16_t)read_number(&r, 2);
            service->port = (uint16_t)read_number(&r, 2);
            read_name(&r, service->host);
            if (r.is_broken || r.at != end)
                return 0;
            count += service->host[0] != '\0' && service->port != 0 &&
                     !is_known(services, count, service);
            *ttl = seconds < (unsigned)*ttl ? (int)seconds : *ttl;
        }
        r.at = end;
    }
    return r.is_broken ? 0 : count;
}
