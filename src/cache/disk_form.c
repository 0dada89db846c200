/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/disk_inside.h"

#include "base/checksum.h"

#include <stddef.h>

static const uint64_t MAGIC = 0x0a6a626f72696577U; /* "weirobj\n" */

/* A block has its place in its file in its sum: one of another place is as wrong as a torn one. */
uint32_t disk_block_sum(uint64_t id, uint64_t block, const void *data, size_t size)
{
    uint64_t place[2] = {id, block};
    return checksum(checksum(0, place, sizeof place), data, size);
}

uint32_t disk_sum_at(const uint32_t *sums, uint64_t block)
{
    uint32_t sum;
    memcpy(&sum, (const char *)sums + block * sizeof sum, sizeof sum);
    return sum;
}

static uint32_t header_sum(const struct disk_header *header)
{
    return checksum(0, header, offsetof(struct disk_header, sum));
}

static char *put_text(char *at, struct slice text)
{
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

void disk_form_write(struct disk_header *header, const struct disk_tail *tail, uint32_t blocks,
                     char **bytes)
{
    header->magic = MAGIC;
    header->version = DISK_VERSION;
    header->key_size = (uint32_t)tail->key.size;
    header->variant_size = (uint32_t)tail->variant.size;
    header->meta_size = (uint32_t)tail->meta.size;
    header->url_size = (uint32_t)tail->url.size;
    header->tags_size = (uint32_t)tail->tags.size;
    header->blocks = blocks;
    size_t size = tail->key.size + tail->variant.size + tail->meta.size + tail->url.size +
                  tail->tags.size + blocks * sizeof(uint32_t);
    header->tail_size = (uint32_t)size;
    if (bytes != NULL) {
        char *at = *bytes = memory_alloc(size + 1);
        at = put_text(at, tail->key);
        at = put_text(at, tail->variant);
        at = put_text(at, tail->meta);
        at = put_text(at, tail->url);
        at = put_text(at, tail->tags);
        at = put_text(at, slice_of((const char *)tail->sums, blocks * sizeof(uint32_t)));
        header->tail_sum = disk_block_sum(header->id, UINT64_MAX, *bytes, size);
    }
    header->sum = header_sum(header);
}

enum disk_form disk_form_header(const struct disk_header *header, uint64_t id, uint64_t file_size)
{
    if (header->magic != MAGIC || header->version != DISK_VERSION)
        return DISK_FORM_OTHER;
    uint64_t blocks = header->body_size / DISK_BLOCK + (header->body_size % DISK_BLOCK != 0);
    uint64_t tail = (uint64_t)header->key_size + header->variant_size + header->meta_size +
                    header->url_size + header->tags_size + blocks * sizeof(uint32_t);
    bool is_good = header->sum == header_sum(header) && header->id == id &&
                   header->blocks == blocks && header->tail_size == tail && tail <= DISK_TAIL_MAX &&
                   header->body_size <= file_size &&
                   header->tail_offset >= DISK_HEADER + header->body_size &&
                   header->tail_offset <= file_size && tail <= file_size - header->tail_offset;
    return is_good ? DISK_FORM_GOOD : DISK_FORM_TORN;
}

static struct slice take_text(const char **at, uint32_t size)
{
    struct slice text = slice_of(*at, size);
    *at += size;
    return text;
}

bool disk_form_tail(const struct disk_header *header, const char *bytes, struct disk_tail *tail)
{
    if (header->tail_sum != disk_block_sum(header->id, UINT64_MAX, bytes, header->tail_size))
        return false;
    tail->key = take_text(&bytes, header->key_size);
    tail->variant = take_text(&bytes, header->variant_size);
    tail->meta = take_text(&bytes, header->meta_size);
    tail->url = take_text(&bytes, header->url_size);
    tail->tags = take_text(&bytes, header->tags_size);
    tail->sums = (const uint32_t *)(const void *)bytes;
    return true;
}
