/* SPDX-License-Identifier: Apache-2.0 */
#include "http/message.h"

#include "base/buffer.h"
#include "base/check.h"
#include "http/chars.h"

static const struct slice FIELD_NAMES[FIELD_IDS] = {
    [FIELD_OTHER] = {"", 0},
#define FIELD(id, name) [FIELD_##id] = {name, sizeof(name) - 1},
#include "http/field.def"
#undef FIELD
};
_Static_assert(FIELD_IDS <= 64, "fields.present has a bit per known field");

static const struct refusal_text REFUSAL_TEXTS[REFUSALS] = {
    [REFUSAL_NONE] = {0, "", "", ""},
#define REFUSAL(name, status, reason, limit, doc) [REFUSAL_##name] = {status, reason, limit, doc},
#include "http/refusal.def"
#undef REFUSAL
};

const struct refusal_text *refusal_text(enum refusal refusal)
{
    check(refusal < REFUSALS);
    return &REFUSAL_TEXTS[refusal];
}

struct slice field_name_of(enum field_id id)
{
    check(id < FIELD_IDS);
    return FIELD_NAMES[id];
}

static bool is_short_name_of(struct slice token, struct slice known)
{
    for (size_t i = 0; i < token.size; i++)
        if ((token.data[i] | 0x20) != (known.data[i] | 0x20))
            return false;
    return true;
}

/* Whether a token is that name of letters, digits and hyphens and the same size, without case:
 * among tokens no other byte becomes one of those when bit 5 is set. Eight bytes at a time, the
 * last eight overlapping. */
static bool is_name_of(struct slice token, struct slice known)
{
    const uint64_t lower = UINT64_C(0x2020202020202020);
    if (token.size < sizeof(uint64_t))
        return is_short_name_of(token, known);
    for (size_t at = 0; at < token.size; at += sizeof(uint64_t)) {
        uint64_t a;
        uint64_t b;
        if (at + sizeof a > token.size)
            at = token.size - sizeof a;
        memcpy(&a, token.data + at, sizeof a);
        memcpy(&b, known.data + at, sizeof b);
        if ((a | lower) != (b | lower))
            return false;
    }
    return true;
}

/* Names of the same size and first letter stand in one case; at most three are compared. */
#define CASE(size, letter) ((unsigned)(size) << 8 | (unsigned char)(letter))
#define TRY_NAME(id)                                                                               \
    if (is_name_of(name, FIELD_NAMES[FIELD_##id]))                                                 \
    return FIELD_##id

/* A case for each known name. NOLINTNEXTLINE(readability-function-size) */
enum field_id field_id_of(struct slice name)
{
    if (name.size < 2 || name.size > 19)
        return FIELD_OTHER;
    switch (CASE(name.size, name.data[0] | 0x20)) {
    case CASE(2, 't'):
        TRY_NAME(TE);
        break;
    case CASE(3, 'a'):
        TRY_NAME(AGE);
        break;
    case CASE(3, 'v'):
        TRY_NAME(VIA);
        break;
    case CASE(4, 'd'):
        TRY_NAME(DATE);
        break;
    case CASE(4, 'e'):
        TRY_NAME(ETAG);
        break;
    case CASE(4, 'h'):
        TRY_NAME(HOST);
        break;
    case CASE(4, 'v'):
        TRY_NAME(VARY);
        break;
    case CASE(5, 'a'):
        TRY_NAME(ALLOW);
        break;
    case CASE(5, 'r'):
        TRY_NAME(RANGE);
        break;
    case CASE(6, 'a'):
        TRY_NAME(ACCEPT);
        break;
    case CASE(6, 'c'):
        TRY_NAME(COOKIE);
        break;
    case CASE(6, 'e'):
        TRY_NAME(EXPECT);
        break;
    case CASE(6, 'o'):
        TRY_NAME(ORIGIN);
        break;
    case CASE(6, 'p'):
        TRY_NAME(PRAGMA);
        break;
    case CASE(6, 's'):
        TRY_NAME(SERVER);
        break;
    case CASE(7, 'e'):
        TRY_NAME(EXPIRES);
        break;
    case CASE(7, 'r'):
        TRY_NAME(REFERER);
        break;
    case CASE(7, 't'):
        TRY_NAME(TRAILER);
        break;
    case CASE(7, 'u'):
        TRY_NAME(UPGRADE);
        break;
    case CASE(8, 'i'):
        TRY_NAME(IF_MATCH);
        TRY_NAME(IF_RANGE);
        break;
    case CASE(8, 'l'):
        TRY_NAME(LOCATION);
        break;
    case CASE(8, 'p'):
        TRY_NAME(PRIORITY);
        break;
    case CASE(9, 'f'):
        TRY_NAME(FORWARDED);
        break;
    case CASE(9, 'x'):
        TRY_NAME(X_REAL_IP);
        break;
    case CASE(10, 'c'):
        TRY_NAME(CONNECTION);
        break;
    case CASE(10, 'k'):
        TRY_NAME(KEEP_ALIVE);
        break;
    case CASE(10, 's'):
        TRY_NAME(SET_COOKIE);
        break;
    case CASE(10, 'u'):
        TRY_NAME(USER_AGENT);
        break;
    case CASE(11, 'r'):
        TRY_NAME(RETRY_AFTER);
        break;
    case CASE(11, 't'):
        TRY_NAME(TRACEPARENT);
        break;
    case CASE(12, 'c'):
        TRY_NAME(CONTENT_TYPE);
        TRY_NAME(CACHE_STATUS);
        break;
    case CASE(12, 'p'):
        TRY_NAME(PROXY_STATUS);
        break;
    case CASE(12, 'x'):
        TRY_NAME(X_REQUEST_ID);
        break;
    case CASE(13, 'a'):
        TRY_NAME(AUTHORIZATION);
        TRY_NAME(ACCEPT_RANGES);
        break;
    case CASE(13, 'c'):
        TRY_NAME(CACHE_CONTROL);
        TRY_NAME(CONTENT_RANGE);
        break;
    case CASE(13, 'i'):
        TRY_NAME(IF_NONE_MATCH);
        break;
    case CASE(13, 'l'):
        TRY_NAME(LAST_MODIFIED);
        break;
    case CASE(14, 'c'):
        TRY_NAME(CONTENT_LENGTH);
        break;
    case CASE(14, 'h'):
        TRY_NAME(HTTP2_SETTINGS);
        break;
    case CASE(15, 'a'):
        TRY_NAME(ACCEPT_ENCODING);
        break;
    case CASE(15, 'x'):
        TRY_NAME(X_FORWARDED_FOR);
        break;
    case CASE(16, 'c'):
        TRY_NAME(CONTENT_ENCODING);
        break;
    case CASE(16, 'p'):
        TRY_NAME(PROXY_CONNECTION);
        break;
    case CASE(16, 'w'):
        TRY_NAME(WWW_AUTHENTICATE);
        break;
    case CASE(16, 'x'):
        TRY_NAME(X_FORWARDED_HOST);
        break;
    case CASE(17, 'i'):
        TRY_NAME(IF_MODIFIED_SINCE);
        break;
    case CASE(17, 't'):
        TRY_NAME(TRANSFER_ENCODING);
        break;
    case CASE(17, 'x'):
        TRY_NAME(X_FORWARDED_PROTO);
        break;
    case CASE(18, 'p'):
        TRY_NAME(PROXY_AUTHENTICATE);
        break;
    case CASE(19, 'i'):
        TRY_NAME(IF_UNMODIFIED_SINCE);
        break;
    case CASE(19, 'p'):
        TRY_NAME(PROXY_AUTHORIZATION);
        break;
    default:
        break;
    }
    return FIELD_OTHER;
}

void fields_init(struct fields *fields, struct arena *arena, struct field *items, uint32_t capacity)
{
    *fields = (struct fields){.items = items, .capacity = capacity, .arena = arena};
}

static bool is_name(struct slice name)
{
    return name.size > 0 && chars_span(name, CHAR_TOKEN) == name.size;
}

static bool is_value(struct slice value)
{
    return chars_span_value(value.data, value.size) == value.size;
}

static void put(struct fields *fields, enum field_id id, struct slice name, struct slice value)
{
    fields->items[fields->count++] = (struct field){name, value, (uint8_t)id};
    fields->present[0] |= UINT64_C(1) << id;
}

/* Apart, as nearly all fields find room: what is done for those needs no registers of it. */
__attribute__((noinline)) static bool grow_and_put(struct fields *fields, enum field_id id,
                                                   struct slice name, struct slice value)
{
    if (fields->arena == NULL)
        return false;
    uint32_t capacity = fields->capacity < 8 ? 16 : fields->capacity * 2;
    struct field *items = arena_alloc(fields->arena, capacity * sizeof *items);
    if (fields->count > 0)
        memcpy(items, fields->items, fields->count * sizeof *items);
    fields->items = items;
    fields->capacity = capacity;
    put(fields, id, name, value);
    return true;
}

static bool append(struct fields *fields, enum field_id id, struct slice name, struct slice value)
{
    if (fields->count == fields->capacity)
        return grow_and_put(fields, id, name, value);
    put(fields, id, name, value);
    return true;
}

bool fields_append_checked(struct fields *fields, enum field_id id, struct slice name,
                           struct slice value)
{
    return append(fields, id, name, value);
}

bool fields_add(struct fields *fields, enum field_id id, struct slice value)
{
    check(id != FIELD_OTHER && id < FIELD_IDS);
    return is_value(value) && append(fields, id, FIELD_NAMES[id], slice_trim(value));
}

bool fields_add_named(struct fields *fields, struct slice name, struct slice value)
{
    return is_name(name) && is_value(value) &&
           append(fields, field_id_of(name), name, slice_trim(value));
}

static bool is_same(const struct field *field, enum field_id id, struct slice name)
{
    return id != FIELD_OTHER ? field->id == id
                             : field->id == FIELD_OTHER && slice_equal_nocase(field->name, name);
}

/* Takes all of that name out from `start` on. */
static void remove_from(struct fields *fields, uint32_t start, enum field_id id, struct slice name)
{
    uint32_t kept = start;
    for (uint32_t i = start; i < fields->count; i++)
        if (!is_same(&fields->items[i], id, name))
            fields->items[kept++] = fields->items[i];
    fields->count = kept;
}

static bool may_have(const struct fields *fields, enum field_id id)
{
    return (fields->present[0] >> id & 1) != 0;
}

__attribute__((noinline)) static bool replace(struct fields *fields, enum field_id id,
                                              struct slice name, struct slice value)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!is_same(&fields->items[i], id, name))
            continue;
        remove_from(fields, i + 1, id, name);
        fields->items[i] = (struct field){name, value, (uint8_t)id};
        return true;
    }
    return append(fields, id, name, value);
}

void fields_copy(struct fields *to, const struct fields *from, struct arena *arena)
{
    fields_init(to, arena, arena_alloc(arena, (from->count + 1) * sizeof *to->items),
                from->count + 1);
    for (uint32_t i = 0; i < from->count; i++)
        fields_append_checked(to, (enum field_id)from->items[i].id, from->items[i].name,
                              from->items[i].value);
}

static bool set(struct fields *fields, enum field_id id, struct slice name, struct slice value)
{
    return may_have(fields, id) ? replace(fields, id, name, value)
                                : append(fields, id, name, value);
}

bool fields_set(struct fields *fields, enum field_id id, struct slice value)
{
    check(id != FIELD_OTHER && id < FIELD_IDS);
    return is_value(value) && set(fields, id, FIELD_NAMES[id], slice_trim(value));
}

bool fields_set_checked(struct fields *fields, enum field_id id, struct slice value)
{
    check_slow(is_value(value));
    return set(fields, id, FIELD_NAMES[id], value);
}

bool fields_set_named(struct fields *fields, struct slice name, struct slice value)
{
    return is_name(name) && is_value(value) &&
           set(fields, field_id_of(name), name, slice_trim(value));
}

void fields_remove(struct fields *fields, enum field_id id)
{
    check(id != FIELD_OTHER && id < FIELD_IDS);
    if (!may_have(fields, id))
        return;
    remove_from(fields, 0, id, FIELD_NAMES[id]);
    fields->present[0] &= ~(UINT64_C(1) << id);
}

void fields_remove_named(struct fields *fields, struct slice name)
{
    enum field_id id = field_id_of(name);
    if (may_have(fields, id))
        remove_from(fields, 0, id, name);
}

const struct field *fields_find(const struct fields *fields, enum field_id id)
{
    check(id != FIELD_OTHER && id < FIELD_IDS);
    if (!may_have(fields, id))
        return NULL;
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == id)
            return &fields->items[i];
    return NULL;
}

const struct field *fields_find_named(const struct fields *fields, struct slice name)
{
    enum field_id id = field_id_of(name);
    if (!may_have(fields, id))
        return NULL;
    for (uint32_t i = 0; i < fields->count; i++)
        if (is_same(&fields->items[i], id, name))
            return &fields->items[i];
    return NULL;
}

struct slice fields_joined(const struct fields *fields, struct slice name, struct arena *arena)
{
    enum field_id id = field_id_of(name);
    struct slice only = SLICE("");
    struct buffer joined = {0};
    uint32_t found = 0;
    for (uint32_t i = 0; may_have(fields, id) && i < fields->count; i++) {
        if (!is_same(&fields->items[i], id, name))
            continue;
        found++;
        if (found == 1) {
            only = fields->items[i].value;
            continue;
        }
        if (found == 2) {
            joined = buffer_in(arena, only.size + fields->items[i].value.size + 64);
            buffer_append(&joined, only);
        }
        buffer_append(&joined, SLICE(", "));
        buffer_append(&joined, fields->items[i].value);
    }
    return found > 1 ? buffer_slice(&joined) : only;
}

static const struct slice METHOD_NAMES[] = {
    [METHOD_OTHER] = {"", 0},          [METHOD_GET] = {"GET", 3},
    [METHOD_HEAD] = {"HEAD", 4},       [METHOD_POST] = {"POST", 4},
    [METHOD_PUT] = {"PUT", 3},         [METHOD_DELETE] = {"DELETE", 6},
    [METHOD_CONNECT] = {"CONNECT", 7}, [METHOD_OPTIONS] = {"OPTIONS", 7},
    [METHOD_TRACE] = {"TRACE", 5},     [METHOD_PATCH] = {"PATCH", 5},
    [METHOD_QUERY] = {"QUERY", 5},
};

enum method method_of(struct slice name)
{
    for (int i = METHOD_GET; i <= METHOD_QUERY; i++)
        if (slice_equal(name, METHOD_NAMES[i]))
            return (enum method)i;
    return METHOD_OTHER;
}

struct slice method_name(enum method method)
{
    return METHOD_NAMES[method];
}

bool method_is_safe(enum method method)
{
    return method == METHOD_GET || method == METHOD_HEAD || method == METHOD_OPTIONS ||
           method == METHOD_TRACE || method == METHOD_QUERY;
}

bool method_is_idempotent(enum method method)
{
    return method_is_safe(method) || method == METHOD_PUT || method == METHOD_DELETE;
}
