/* SPDX-License-Identifier: Apache-2.0 */
#include "http/hpack_encode.h"

#include "base/check.h"

enum {
    ENTRY_OVERHEAD = 32, /* RFC 7541 §4.1 */
    STATIC_ENTRIES = 61,
    CHAIN_MAX = 8, /* entries of a name that are looked at */
};

/* How a literal begins (RFC 7541 §6). */
enum {
    INDEXED = 0x80,
    LITERAL_KEPT = 0x40,
    TABLE_SIZE = 0x20,
    LITERAL_SECRET = 0x10, /* nobody on the way may put it into a table */
    LITERAL = 0x00,
};

struct hpack_entry {
    uint64_t previous; /* number of an older one in the same slot */
    struct slice name; /* empty: known by its number */
    struct slice value;
    char text[];
};

/* What is worth a place in the table. */
enum worth {
    REPEATED,
    CHANGING, /* its name alone, where the standard's table has none */
    SECRET,
};

static const uint8_t WORTH[HPACK_NAMES] = {
    [FIELD_AGE] = CHANGING,           [FIELD_CONTENT_LENGTH] = CHANGING,
    [FIELD_CONTENT_RANGE] = CHANGING, [FIELD_ETAG] = CHANGING,
    [FIELD_IF_MATCH] = CHANGING,      [FIELD_IF_MODIFIED_SINCE] = CHANGING,
    [FIELD_IF_NONE_MATCH] = CHANGING, [FIELD_LAST_MODIFIED] = CHANGING,
    [FIELD_LOCATION] = CHANGING,      [FIELD_RANGE] = CHANGING,
    [FIELD_TRACEPARENT] = CHANGING,   [FIELD_X_REQUEST_ID] = CHANGING,
    [HPACK_STATUS] = CHANGING,        [HPACK_PATH] = CHANGING,
    [HPACK_METHOD] = CHANGING,        [FIELD_AUTHORIZATION] = SECRET,
    [FIELD_COOKIE] = SECRET,          [FIELD_SET_COOKIE] = SECRET,
};

/* Places of names in the standard's table (RFC 7541, appendix A). */
static const uint8_t STATIC_NAME[HPACK_NAMES] = {
    [HPACK_AUTHORITY] = 1,
    [HPACK_METHOD] = 2,
    [HPACK_PATH] = 4,
    [HPACK_SCHEME] = 6,
    [HPACK_STATUS] = 8,
    [FIELD_ACCEPT_ENCODING] = 16,
    [FIELD_ACCEPT_RANGES] = 18,
    [FIELD_ACCEPT] = 19,
    [FIELD_AGE] = 21,
    [FIELD_ALLOW] = 22,
    [FIELD_AUTHORIZATION] = 23,
    [FIELD_CACHE_CONTROL] = 24,
    [FIELD_CONTENT_ENCODING] = 26,
    [FIELD_CONTENT_LENGTH] = 28,
    [FIELD_CONTENT_RANGE] = 30,
    [FIELD_CONTENT_TYPE] = 31,
    [FIELD_COOKIE] = 32,
    [FIELD_DATE] = 33,
    [FIELD_ETAG] = 34,
    [FIELD_EXPECT] = 35,
    [FIELD_EXPIRES] = 36,
    [FIELD_HOST] = 38,
    [FIELD_IF_MATCH] = 39,
    [FIELD_IF_MODIFIED_SINCE] = 40,
    [FIELD_IF_NONE_MATCH] = 41,
    [FIELD_IF_RANGE] = 42,
    [FIELD_IF_UNMODIFIED_SINCE] = 43,
    [FIELD_LAST_MODIFIED] = 44,
    [FIELD_LOCATION] = 46,
    [FIELD_PROXY_AUTHENTICATE] = 48,
    [FIELD_PROXY_AUTHORIZATION] = 49,
    [FIELD_RANGE] = 50,
    [FIELD_REFERER] = 51,
    [FIELD_RETRY_AFTER] = 53,
    [FIELD_SERVER] = 54,
    [FIELD_SET_COOKIE] = 55,
    [FIELD_TRANSFER_ENCODING] = 57,
    [FIELD_USER_AGENT] = 58,
    [FIELD_VARY] = 59,
    [FIELD_VIA] = 60,
    [FIELD_WWW_AUTHENTICATE] = 61,
};

/* Pairs that stand there whole. */
static const struct {
    uint8_t name, place;
    struct slice value;
} STATIC_PAIRS[] = {
    {HPACK_STATUS, 8, {"200", 3}},   {HPACK_STATUS, 9, {"204", 3}},  {HPACK_STATUS, 10, {"206", 3}},
    {HPACK_STATUS, 11, {"304", 3}},  {HPACK_STATUS, 12, {"400", 3}}, {HPACK_STATUS, 13, {"404", 3}},
    {HPACK_STATUS, 14, {"500", 3}},  {HPACK_METHOD, 2, {"GET", 3}},  {HPACK_METHOD, 3, {"POST", 4}},
    {HPACK_SCHEME, 7, {"https", 5}}, {HPACK_SCHEME, 6, {"http", 4}}, {HPACK_PATH, 4, {"/", 1}},
};

static char lower_text[FIELD_IDS][HPACK_KNOWN_NAME_MAX];
static struct slice lower_names[FIELD_IDS];

void hpack_prepare(void)
{
    for (int id = FIELD_OTHER + 1; id < FIELD_IDS; id++) {
        struct slice name = field_name_of((enum field_id)id);
        check(name.size <= HPACK_KNOWN_NAME_MAX);
        for (size_t i = 0; i < name.size; i++)
            lower_text[id][i] = ascii_lower(name.data[i]);
        lower_names[id] = slice_of(lower_text[id], name.size);
    }
}

void hpack_encoder_init(struct hpack_encoder *encoder, struct h2_memory *memory)
{
    *encoder = (struct hpack_encoder){.memory = memory, .next = 1, .max = HPACK_TABLE_MAX};
}

static struct slice name_of(const struct hpack_pair *pair)
{
    static const struct slice AUTHORITY = {":authority", 10};
    static const struct slice SCHEME = {":scheme", 7};
    if (pair->name == FIELD_OTHER)
        return pair->other;
    if (pair->name < FIELD_IDS)
        return lower_names[pair->name];
    check(pair->name == HPACK_AUTHORITY || pair->name == HPACK_SCHEME); /* who is ever kept */
    return pair->name == HPACK_AUTHORITY ? AUTHORITY : SCHEME;
}

static size_t entry_size(const struct hpack_entry *entry)
{
    size_t name = entry->name.size;
    return ENTRY_OVERHEAD + name + entry->value.size;
}

static void evict(struct hpack_encoder *encoder, size_t size)
{
    while (encoder->size > size) {
        uint64_t oldest = encoder->next - encoder->count;
        struct hpack_entry *entry = encoder->entries[oldest % HPACK_ENTRIES_MAX];
        encoder->size -= entry_size(entry);
        encoder->count--;
        h2_memory_free(encoder->memory, entry);
    }
}

void hpack_encoder_done(struct hpack_encoder *encoder)
{
    evict(encoder, 0);
}

void hpack_encoder_limit(struct hpack_encoder *encoder, size_t size)
{
    if (size > HPACK_TABLE_MAX)
        size = HPACK_TABLE_MAX;
    if (size == encoder->max)
        return;
    if (!encoder->is_resized || size < encoder->lowest)
        encoder->lowest = size;
    encoder->is_resized = true;
    encoder->max = size;
    evict(encoder, size);
}

/* RFC 7541 §5.1. */
static char *put_integer(char *at, unsigned bits, unsigned first, size_t value)
{
    size_t most = (1u << bits) - 1;
    if (value < most) {
        *at++ = (char)(first | value);
        return at;
    }
    *at++ = (char)(first | most);
    for (value -= most; value >= 0x80; value >>= 7)
        *at++ = (char)(0x80 | (value & 0x7f));
    *at++ = (char)value;
    return at;
}

static char *put_text(char *at, struct slice text)
{
    at = put_integer(at, 7, 0, text.size);
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

static unsigned slot_of(const struct hpack_pair *pair)
{
    if (pair->name != FIELD_OTHER)
        return pair->name;
    struct slice name = pair->other;
    unsigned hash = (unsigned)name.size;
    for (size_t i = 0; i < name.size; i++)
        hash = hash * 31 + (unsigned char)name.data[i];
    return HPACK_NAMES + hash % HPACK_OTHER_SLOTS;
}

/* The place of that pair, or 0 and in *name the place of its name or 0. */
static size_t find(const struct hpack_encoder *encoder, unsigned slot,
                   const struct hpack_pair *pair, size_t *name)
{
    uint64_t number = encoder->newest[slot];
    *name = STATIC_NAME[pair->name];
    for (int i = 0; i < CHAIN_MAX && encoder->next - number <= encoder->count; i++) {
        const struct hpack_entry *entry = encoder->entries[number % HPACK_ENTRIES_MAX];
        if (pair->name != FIELD_OTHER || slice_equal(entry->name, pair->other)) {
            size_t place = STATIC_ENTRIES + (size_t)(encoder->next - number);
            if (slice_equal(entry->value, pair->value))
                return place;
            if (*name == 0)
                *name = place;
        }
        number = entry->previous;
    }
    return 0;
}

/* Into the table. False: it has no place there. */
static bool keep(struct hpack_encoder *encoder, unsigned slot, const struct hpack_pair *pair)
{
    struct slice name = name_of(pair);
    size_t size = ENTRY_OVERHEAD + name.size + pair->value.size;
    if (size > encoder->max / 4 * 3)
        return false;
    size_t text = pair->value.size + (pair->name == FIELD_OTHER ? name.size : 0);
    struct hpack_entry *entry = h2_memory_alloc(encoder->memory, sizeof *entry + text);
    if (entry == NULL)
        return false;
    evict(encoder, encoder->max - size);
    char *at = entry->text;
    *entry = (struct hpack_entry){encoder->newest[slot], name, slice_of(at, pair->value.size)};
    if (pair->value.size > 0)
        memcpy(at, pair->value.data, pair->value.size);
    if (pair->name == FIELD_OTHER) {
        at += pair->value.size;
        memcpy(at, name.data, name.size);
        entry->name.data = at;
    }
    encoder->entries[encoder->next % HPACK_ENTRIES_MAX] = entry;
    encoder->newest[slot] = encoder->next++;
    encoder->count++;
    encoder->size += size;
    return true;
}

static size_t find_static(const struct hpack_pair *pair)
{
    for (size_t i = 0; i < sizeof STATIC_PAIRS / sizeof *STATIC_PAIRS; i++)
        if (STATIC_PAIRS[i].name == pair->name && slice_equal(STATIC_PAIRS[i].value, pair->value))
            return STATIC_PAIRS[i].place;
    return 0;
}

static char *put_literal(char *at, unsigned kind, size_t name_place, const struct hpack_pair *pair)
{
    at = put_integer(at, kind == LITERAL_KEPT ? 6 : 4, kind, name_place);
    if (name_place == 0)
        at = put_text(at, name_of(pair));
    return put_text(at, pair->value);
}

char *hpack_begin(struct hpack_encoder *encoder, char *into)
{
    if (!encoder->is_resized)
        return into;
    if (encoder->lowest < encoder->max)
        into = put_integer(into, 5, TABLE_SIZE, encoder->lowest);
    encoder->is_resized = false;
    return put_integer(into, 5, TABLE_SIZE, encoder->max);
}

char *hpack_put(struct hpack_encoder *encoder, char *at, const struct hpack_pair *pair)
{
    size_t name = STATIC_NAME[pair->name];
    size_t place = pair->name >= FIELD_IDS ? find_static(pair) : 0;
    enum worth worth = WORTH[pair->name];
    unsigned slot = 0;
    if (place == 0 && (worth == REPEATED || name == 0)) {
        slot = slot_of(pair);
        place = find(encoder, slot, pair, &name);
    }
    if (place > 0)
        return put_integer(at, 7, INDEXED, place);
    if ((worth == REPEATED || (worth == CHANGING && name == 0)) && keep(encoder, slot, pair))
        return put_literal(at, LITERAL_KEPT, name, pair);
    return put_literal(at, worth == SECRET ? LITERAL_SECRET : LITERAL, name, pair);
}
