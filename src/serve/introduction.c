/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/introduction.h"

#include "exchange/cidr.h"
#include "serve/clients.h"

#include <stdlib.h>

enum {
    FIRST_CAPACITY = 128, /* of version 1, and of most of version 2 */
};

bool introduction_is_allowed(const struct trust *trust, const struct address *peer)
{
    return peer->any.sa_family == AF_UNIX || cidr_list_has(trust->cidrs, trust->count, peer);
}

static char *make_room(struct introduction_reader *reader, size_t wanted)
{
    if (reader->read == NULL || reader->capacity - reader->size < wanted) {
        size_t capacity = reader->size + wanted;
        capacity = capacity < FIRST_CAPACITY ? FIRST_CAPACITY : capacity;
        struct introduction *larger = memory_zero(sizeof *larger + capacity);
        if (reader->size > 0)
            memcpy(larger->data, reader->read->data, reader->size);
        free(reader->read);
        reader->read = larger;
        reader->capacity = capacity;
    }
    return reader->read->data + reader->size;
}

enum introduced introduction_read(struct introduction_reader *reader, struct stream *stream,
                                  const char **why)
{
    size_t wanted;
    while ((wanted = proxy_header_wants(reader->read == NULL ? "" : reader->read->data,
                                        reader->size)) > 0) {
        ssize_t got = stream_receive(stream, make_room(reader, wanted), wanted);
        if (got == STREAM_WANTS_READ || got == STREAM_WANTS_WRITE)
            return INTRODUCED_LATER;
        if (got <= 0) {
            *why = reader->size == 0 ? "it closed without a header" : "it closed within the header";
            return INTRODUCED_NEVER;
        }
        reader->size += (size_t)got;
    }
    struct introduction *read = reader->read;
    if (proxy_header_parse(read->data, reader->size, &read->header, why) != OK)
        return INTRODUCED_NEVER;
    stream->introduction = read;
    reader->read = NULL;
    /* Reading exactly what is wanted leaves it open whether there is more. */
    if (stream_is_quiet(stream))
        stream->watch.ready &= (uint8_t)~READY_READ;
    return INTRODUCED;
}

bool introduction_enter(struct serve_worker *worker, const struct listener_config *config,
                        const struct introduction *introduction, struct address *peer,
                        bool *is_counted)
{
    const struct proxy_header *header = &introduction->header;
    if (header->is_local)
        return true;
    const struct trust *trust = &worker->view->trust;
    *peer = header->source;
    int64_t per_client = config->limits.connections_per_client;
    if (per_client < 0 || address_is_loopback(peer) ||
        cidr_list_has(trust->cidrs, trust->count, peer))
        return true;
    *is_counted = clients_enter(worker->shared->clients, peer, per_client);
    return *is_counted;
}

void introduction_reader_done(struct introduction_reader *reader)
{
    free(reader->read);
    *reader = (struct introduction_reader){0};
}
