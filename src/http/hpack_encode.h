/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the header blocks of HTTP/2 (RFC 7541) and holds the table that the other side keeps of
 * them. What repeats is a byte or two; known names are found by their number, not by their text.
 * Text goes out as it is: its Huffman code would save bytes of what never repeats, for more work
 * than the rest of the head takes. */
#pragma once

#include "http/h2_memory.h"
#include "http/message.h"

/* Names of pairs: enum field_id, and behind it the pseudo-fields. */
enum hpack_name {
    HPACK_STATUS = FIELD_IDS,
    HPACK_METHOD,
    HPACK_SCHEME,
    HPACK_AUTHORITY,
    HPACK_PATH,
    HPACK_NAMES,
};

struct hpack_pair {
    uint8_t name;       /* enum hpack_name */
    struct slice other; /* the name, in lower case, of FIELD_OTHER */
    struct slice value;
};

enum {
    HPACK_TABLE_MAX = 4096,    /* as the other side has it before it says something else */
    HPACK_ENTRIES_MAX = 128,   /* so many entries of the least size */
    HPACK_OTHER_SLOTS = 16,    /* unknown names by hash */
    HPACK_LITERAL_MAX = 2 + 6, /* around the text of a value, and of a name */
    HPACK_KNOWN_NAME_MAX = 24,
    HPACK_START_MAX = 16, /* in front of a block: changes of the table's size */
};

struct hpack_entry;

struct hpack_encoder {
    struct h2_memory *memory;
    struct hpack_entry *entries[HPACK_ENTRIES_MAX];   /* by number */
    uint64_t newest[HPACK_NAMES + HPACK_OTHER_SLOTS]; /* its number; 0: there never was one */
    uint64_t next;                                    /* number of the next entry, from 1 */
    uint32_t count;
    size_t size, max;
    size_t lowest;   /* that max has been since the last block … */
    bool is_resized; /* … when it has changed */
};

/* Known names in lower case, written once before the first encoder. */
void hpack_prepare(void);

void hpack_encoder_init(struct hpack_encoder *encoder, struct h2_memory *memory);
void hpack_encoder_done(struct hpack_encoder *encoder);
/* The other side takes tables of that size. */
void hpack_encoder_limit(struct hpack_encoder *encoder, size_t size);

/* Bytes that a block of so many pairs with so much text (values and other names) may take. */
static inline size_t hpack_bound(size_t count, size_t text)
{
    return HPACK_START_MAX + count * (2 * HPACK_LITERAL_MAX + HPACK_KNOWN_NAME_MAX) + text;
}
/* Writes a block: its beginning, then each pair; there is room for hpack_bound(). Both return where
 * the next one goes. */
char *hpack_begin(struct hpack_encoder *encoder, char *into);
char *hpack_put(struct hpack_encoder *encoder, char *at, const struct hpack_pair *pair);
