/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of the PROXY protocol: the same for every split, nothing behind them is read, and what
 * was read is read alike when it is written back. */
#include "net/proxy_protocol.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static size_t take(const uint8_t *data, size_t size, size_t step, char *into)
{
    size_t taken = 0;
    for (;;) {
        size_t wanted = proxy_header_wants(into, taken);
        require(wanted <= PROXY_HEADER_MAX - taken);
        wanted = wanted < step ? wanted : step;
        wanted = wanted < size - taken ? wanted : size - taken;
        if (wanted == 0)
            return taken;
        memcpy(into + taken, data + taken, wanted);
        taken += wanted;
    }
}

static void write_back(const struct proxy_header *header)
{
    char wire[PROXY_WRITTEN_MAX + PROXY_HEADER_MAX];
    struct arena arena;
    struct proxy_header passed = *header;
    struct proxy_header again;
    const char *why = NULL;
    arena_init(&arena, NULL, 0);
    passed.tlvs = proxy_tlvs_to_pass(header, &arena);
    size_t size = proxy_header_write(&passed, wire);
    require(size <= PROXY_WRITTEN_MAX);
    bool has_tlvs = header->version == 2 && size > PROXY_V2_FIXED;
    if (has_tlvs && passed.tlvs.size > 0) {
        memcpy(wire + size, passed.tlvs.data, passed.tlvs.size);
        size += passed.tlvs.size;
    }
    require(proxy_header_wants(wire, size) == 0);
    require(proxy_header_parse(wire, size, &again, &why) == OK);
    require(!has_tlvs || slice_equal(passed.tlvs, again.tlvs));
    arena_done(&arena);
    bool is_unix = header->source.any.sa_family == AF_UNIX;
    require(again.is_local == (header->is_local || (is_unix && header->version == 1)));
    if (again.is_local)
        return;
    char a[ADDRESS_TEXT_MAX];
    char b[ADDRESS_TEXT_MAX];
    require(slice_equal(address_format(&header->source, a), address_format(&again.source, b)));
    require(slice_equal(address_format(&header->destination, a),
                        address_format(&again.destination, b)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *one = malloc(PROXY_HEADER_MAX);
    char *other = malloc(PROXY_HEADER_MAX);
    require(one != NULL && other != NULL);
    struct proxy_header header;
    struct proxy_header split;
    const char *why = NULL;
    const char *why_split = NULL;
    size_t taken = take(data, size, SIZE_MAX, one);
    size_t taken_split = take(data, size, 1, other);
    /* What is none may be noticed earlier. */
    enum status status = proxy_header_parse(one, taken, &header, &why);
    require(status == proxy_header_parse(other, taken_split, &split, &why_split));
    require((status == OK) == (why == NULL));
    if (status == OK) {
        require(taken == taken_split && header.version == split.version);
        require(slice_equal(header.tlvs, split.tlvs));
        for (unsigned type = 0; type < 256; type++) {
            char text[PROXY_TLV_TEXT_MAX];
            struct slice value;
            if (!proxy_header_find(&header, type, &value) &&
                !proxy_header_find_tls(&header, type, &value))
                continue;
            struct slice shown = proxy_tlv_text(value, text);
            for (size_t i = 0; i < shown.size; i++)
                require(shown.data[i] > ' ' && shown.data[i] < 0x7f);
        }
        write_back(&header);
    }
    free(other);
    free(one);
    return 0;
}
