/* SPDX-License-Identifier: Apache-2.0 */
#include "geo_file.h"

#include "outside.h"
#include "world.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROOM = 32 * 1024,
    NODES_MAX = 1024,
    NOTHING = UINT32_MAX,
    VALUE = 0x40000000, /* and its place among the values */
    BITS = 128,
    V4_AT = 96, /* where addresses of IPv4 stand in a tree of IPv6 */
    GAP = 16,   /* between tree and values */
};

/* The types of values, in the upper bits of what each begins with. */
enum { TEXT = 0x40, SHORT = 0xa0, LONG = 0xc0, MAP = 0xe0 };

struct text {
    unsigned char data[ROOM];
    size_t size;
};

struct tree {
    uint32_t nodes[NODES_MAX][2];
    uint32_t count;
};

static void add(struct text *text, const void *data, size_t size)
{
    if (text->size + size > ROOM)
        world_broken("scenario", "a database is too large");
    memcpy(text->data + text->size, data, size);
    text->size += size;
}

static void add_byte(struct text *text, unsigned byte)
{
    unsigned char c = (unsigned char)byte;
    add(text, &c, 1);
}

static void add_text(struct text *text, const char *words)
{
    add_byte(text, TEXT | (unsigned)strlen(words));
    add(text, words, strlen(words));
}

static void add_number(struct text *text, unsigned type, uint32_t number)
{
    unsigned size = type == SHORT ? 2 : 4;
    add_byte(text, type | size);
    for (unsigned i = size; i-- > 0;)
        add_byte(text, number >> (8 * i) & 0xff);
}

static void add_entry(struct text *text, const struct geo_entry *entry)
{
    add_byte(text, MAP | 1);
    if (entry->country == NULL) {
        add_text(text, "autonomous_system_number");
        add_number(text, LONG, (uint32_t)entry->number);
        return;
    }
    add_text(text, "country");
    add_byte(text, MAP | 1);
    add_text(text, "iso_code");
    add_text(text, entry->country);
}

/* Its bits lead to that value. */
static void plant(struct tree *tree, const char *network, uint32_t value)
{
    unsigned char address[BITS / 8] = {0};
    char text[64];
    (void)snprintf(text, sizeof text, "%s", network);
    char *slash = strchr(text, '/');
    bool is_v6 = strchr(text, ':') != NULL;
    *slash = '\0';
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, address + (is_v6 ? 0 : V4_AT / 8)) != 1)
        world_broken("scenario", "%s is no network", network);
    unsigned bits = (unsigned)atoi(slash + 1) + (is_v6 ? 0 : V4_AT);
    uint32_t node = 0;
    for (unsigned i = 0; i < bits; i++) {
        uint32_t *next = &tree->nodes[node][address[i / 8] >> (7 - i % 8) & 1];
        if (i + 1 == bits) {
            *next = value;
        } else if (*next == NOTHING) {
            if (tree->count == NODES_MAX)
                world_broken("scenario", "a database has too many networks");
            tree->nodes[tree->count][0] = tree->nodes[tree->count][1] = NOTHING;
            *next = tree->count++;
        }
        node = *next;
    }
}

static void add_tree(struct text *text, const struct tree *tree)
{
    for (uint32_t i = 0; i < tree->count; i++)
        for (unsigned side = 0; side < 2; side++) {
            uint32_t record = tree->nodes[i][side];
            if (record == NOTHING)
                record = tree->count;
            else if (record >= VALUE)
                record = record - VALUE + tree->count + GAP;
            for (unsigned byte = 3; byte-- > 0;)
                add_byte(text, record >> (8 * byte) & 0xff);
        }
}

static void add_facts(struct text *text, const char *type, uint32_t nodes)
{
    static const char MARK[] = "\xab\xcd\xefMaxMind.com";
    add(text, MARK, sizeof MARK - 1);
    add_byte(text, MAP | 9);
    add_text(text, "binary_format_major_version");
    add_number(text, SHORT, 2);
    add_text(text, "binary_format_minor_version");
    add_number(text, SHORT, 0);
    add_text(text, "build_epoch");
    add(text, "\x04\x02\x65\0\0\0", 6); /* of 64 bits */
    add_text(text, "database_type");
    add_text(text, type);
    add_text(text, "description");
    add_byte(text, MAP);
    add_text(text, "languages");
    add(text, "\0\x04", 2); /* an empty list */
    add_text(text, "ip_version");
    add_number(text, SHORT, 6);
    add_text(text, "node_count");
    add_number(text, LONG, nodes);
    add_text(text, "record_size");
    add_number(text, SHORT, 24);
}

void geo_file_set(const char *path, const char *type, const struct geo_entry *entries)
{
    static const char EMPTY[GAP] = {0};
    struct text *text = world_alloc(sizeof *text);
    struct text *values = world_alloc(sizeof *values);
    struct tree *tree = world_alloc(sizeof *tree);
    tree->nodes[0][0] = tree->nodes[0][1] = NOTHING;
    tree->count = 1;
    for (; entries->network != NULL; entries++) {
        plant(tree, entries->network, VALUE + (uint32_t)values->size);
        add_entry(values, entries);
    }
    add_tree(text, tree);
    add(text, EMPTY, sizeof EMPTY);
    add(text, values->data, values->size);
    add_facts(text, type, tree->count);
    files_set_bytes(path, text->data, text->size);
}
