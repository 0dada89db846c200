/* SPDX-License-Identifier: Apache-2.0 */
/* A file of a cache as it lies on the disk, with sums that are made to fit, as torn files that fit
 * by chance would be: what its header says lies inside of it, and what its tail says inside of
 * that. */
#include "cache/disk_inside.h"

#include "base/checksum.h"

#include <stddef.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void look_inside(struct slice text, const char *bytes, size_t size)
{
    unsigned sum = 0;
    require(text.data >= bytes && text.data + text.size <= bytes + size);
    for (size_t i = 0; i < text.size; i++)
        sum += (uint8_t)text.data[i];
    require(sum != 1 || text.size > 0);
}

static void read_tail(struct disk_header *header, const uint8_t *data)
{
    struct disk_tail tail;
    size_t size = header->tail_size;
    char *bytes = malloc(size + (size == 0)); /* exactly, so that a look beyond is seen */
    require(bytes != NULL);
    memcpy(bytes, data + header->tail_offset, size);
    header->tail_sum = disk_block_sum(header->id, UINT64_MAX, bytes, size);
    require(disk_form_tail(header, bytes, &tail));
    look_inside(tail.key, bytes, size);
    look_inside(tail.variant, bytes, size);
    look_inside(tail.meta, bytes, size);
    look_inside(tail.url, bytes, size);
    look_inside(tail.tags, bytes, size);
    for (uint32_t i = 0; i < header->blocks; i++)
        (void)disk_sum_at(tail.sums, i);
    free(tags_new(tail.url, tail.tags));
    header->tail_sum ^= 1;
    require(!disk_form_tail(header, bytes, &tail));
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk_header header;
    if (size < sizeof header)
        return 0;
    memcpy(&header, data, sizeof header);
    (void)disk_form_header(&header, header.id, size);
    header.sum = checksum(0, &header, offsetof(struct disk_header, sum));
    if (disk_form_header(&header, header.id, size) != DISK_FORM_GOOD)
        return 0;
    require(disk_form_header(&header, header.id + 1, size) == DISK_FORM_TORN);
    require(header.tail_offset + header.tail_size <= size &&
            DISK_HEADER + header.body_size <= header.tail_offset);
    read_tail(&header, data);
    return 0;
}
