/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <endian.h>
#include <string.h>

/* SipHash-2-4; -1-3 for tables in memory alone. */
struct rounds {
    int word, last;
};

struct state {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

static inline void mix(struct state *s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s->a += s->b;
        s->c += s->d;
        s->b = rotate(s->b, 13) ^ s->a;
        s->d = rotate(s->d, 16) ^ s->c;
        s->a = rotate(s->a, 32);
        s->c += s->b;
        s->a += s->d;
        s->b = rotate(s->b, 17) ^ s->c;
        s->d = rotate(s->d, 21) ^ s->a;
        s->c = rotate(s->c, 32);
    }
}

static inline void take(struct state *s, uint64_t word, int rounds)
{
    s->d ^= word;
    mix(s, rounds);
    s->a ^= word;
}

/* Less than eight bytes as a number, the first one lowest, on every machine. */
static uint64_t word_of(const char *data, size_t size)
{
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)(unsigned char)data[i] << 8 * i;
    return word;
}

__attribute__((always_inline)) static inline uint64_t
hash_by(struct hash_key key, struct slice text, struct rounds rounds)
{
    struct state s = {
        key.first ^ UINT64_C(0x736f6d6570736575),
        key.second ^ UINT64_C(0x646f72616e646f6d),
        key.first ^ UINT64_C(0x6c7967656e657261),
        key.second ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;
    for (; at + 8 <= text.size; at += 8) {
        uint64_t word;
        memcpy(&word, text.data + at, sizeof word);
        take(&s, le64toh(word), rounds.word);
    }
    size_t left = text.size - at;
    take(&s, (uint64_t)text.size << 56 | (left == 0 ? 0 : word_of(text.data + at, left)),
         rounds.word);
    s.c ^= 0xff;
    mix(&s, rounds.last);
    return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t hash_text(struct hash_key key, struct slice text)
{
    return hash_by(key, text, (struct rounds){2, 4});
}

uint64_t hash_text_quick(struct hash_key key, struct slice text)
{
    return hash_by(key, text, (struct rounds){1, 3});
}

struct hash_key hash_key_of(struct slice secret)
{
    return (struct hash_key){hash_text((struct hash_key){1, 0}, secret),
                             hash_text((struct hash_key){2, 0}, secret)};
}
