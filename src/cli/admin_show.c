/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into answers of the admin API, and laying them out. */
#include "base/clock.h"
#include "cli/admin_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const struct json_value *admin_member(const struct json_value *object, const char *name)
{
    if (object == NULL || object->kind != JSON_OBJECT)
        return NULL;
    for (const struct json_value *member = object->children; member != NULL; member = member->next)
        if (slice_equal(member->name, slice_from_cstring(name)))
            return member;
    return NULL;
}

struct slice admin_text(const struct json_value *object, const char *name)
{
    const struct json_value *member = admin_member(object, name);
    return member != NULL && member->kind == JSON_STRING ? member->text : SLICE("");
}

double admin_value(const struct json_value *member)
{
    char text[32] = "";
    if (member == NULL || member->kind != JSON_NUMBER || member->text.size >= sizeof text)
        return 0;
    memcpy(text, member->text.data, member->text.size);
    return strtod(text, NULL);
}

double admin_seconds(const struct json_value *object, const char *name)
{
    return admin_value(admin_member(object, name));
}

int64_t admin_number(const struct json_value *object, const char *name)
{
    return (int64_t)admin_seconds(object, name);
}

bool admin_is(const struct json_value *object, const char *name)
{
    const struct json_value *member = admin_member(object, name);
    return member != NULL && member->kind == JSON_TRUE;
}

struct slice admin_escape(struct admin_client *client, struct slice text)
{
    static const char HEX[] = "0123456789ABCDEF";
    struct buffer out = buffer_in(&client->arena, 3 * text.size + 1);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_plain = (c >= '0' && c <= '9') ||
                        (ascii_lower((char)c) >= 'a' && ascii_lower((char)c) <= 'z') || c == '-' ||
                        c == '.' || c == '_' || c == '~' || c == ':';
        if (is_plain) {
            buffer_append_byte(&out, (char)c);
        } else {
            buffer_append_byte(&out, '%');
            buffer_append_byte(&out, HEX[c >> 4]);
            buffer_append_byte(&out, HEX[c & 15]);
        }
    }
    return buffer_slice(&out);
}

int64_t admin_duration(const char *text)
{
    struct slice number = slice_from_cstring(text);
    uint64_t value;
    int64_t unit = SECONDS(1);
    if (slice_ends(number, SLICE("ms"))) {
        number.size -= 2;
        unit = MILLISECONDS(1);
    } else if (slice_ends(number, SLICE("m"))) {
        number.size--;
        unit = SECONDS(60);
    } else if (slice_ends(number, SLICE("s"))) {
        number.size--;
    }
    return slice_to_u64(number, 1000000, &value) ? (int64_t)value * unit : -1;
}

bool admin_is_duration(const char *text)
{
    return text == NULL || admin_duration(text) > 0;
}

struct slice admin_age(struct arena *arena, struct slice iso)
{
    struct tm t = {0};
    char text[32] = "";
    if (iso.size < 19 || iso.size >= sizeof text)
        return SLICE("");
    memcpy(text, iso.data, iso.size);
    if (strptime(text, "%Y-%m-%dT%H:%M:%S", &t) == NULL)
        return SLICE("");
    long long age = (long long)(clock_wall() / SECONDS(1)) - (long long)timegm(&t);
    if (age < 0)
        age = 0;
    if (age < 120)
        return arena_format(arena, "%llds", age);
    if (age < 7200)
        return arena_format(arena, "%lldm", age / 60);
    return age < 172800 ? arena_format(arena, "%lldh", age / 3600)
                        : arena_format(arena, "%lldd", age / 86400);
}

struct slice admin_printable(struct arena *arena, struct slice text)
{
    char *bytes = arena_alloc(arena, text.size + 1);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        unsigned char before = i > 0 ? (unsigned char)text.data[i - 1] : 0;
        bool is_c1 = before == 0xc2 && byte >= 0x80 && byte < 0xa0;
        bytes[i] = byte < 0x20 || byte == 0x7f || is_c1 ? '?' : (char)byte;
        if (is_c1)
            bytes[i - 1] = '?';
    }
    return slice_of(bytes, text.size);
}
