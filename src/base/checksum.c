/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checksum.h"

#include <stdbool.h>
#include <string.h>

#ifdef __x86_64__
#define HAS_INSTRUCTION __builtin_cpu_supports("sse4.2")
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, const uint8_t *at,
                                                                 size_t size)
{
    uint64_t wide = sum;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    sum = (uint32_t)wide;
    for (; size > 0; at++, size--)
        sum = __builtin_ia32_crc32qi(sum, *at);
    return sum;
}
#else
#define HAS_INSTRUCTION false
static uint32_t by_instruction(uint32_t sum, const uint8_t *at, size_t size)
{
    (void)at;
    (void)size;
    return sum;
}
#endif

/* Four bits at a time: for processors without the instruction. */
static uint32_t by_table(uint32_t sum, const uint8_t *at, size_t size)
{
    static const uint32_t TABLE[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (; size > 0; at++, size--) {
        sum ^= *at;
        sum = sum >> 4 ^ TABLE[sum & 15];
        sum = sum >> 4 ^ TABLE[sum & 15];
    }
    return sum;
}

uint32_t checksum(uint32_t sum, const void *data, size_t size)
{
    return ~(HAS_INSTRUCTION ? by_instruction(~sum, data, size) : by_table(~sum, data, size));
}
