/* SPDX-License-Identifier: Apache-2.0 */
/* The header of the PROXY protocol, versions 1 and 2: in it a proxy says for whom it has opened a
 * connection, before the first byte of what it carries. Pure. */
#pragma once

#include "base/arena.h"
#include "net/address.h"

enum {
    PROXY_V1_MAX = 107,      /* bytes, CRLF included */
    PROXY_V2_FIXED = 16,     /* before the addresses */
    PROXY_HEADER_MAX = 4096, /* longer ones are refused */
    PROXY_WRITTEN_MAX = 232, /* what we write: version 2 with two unix sockets */
    PROXY_TLV_TEXT_MAX = 1024,
};

/* Types of what may follow the addresses in version 2. */
enum proxy_tlv {
    PROXY_TLV_ALPN = 0x01,
    PROXY_TLV_AUTHORITY = 0x02,
    PROXY_TLV_CRC32C = 0x03,
    PROXY_TLV_NOOP = 0x04,
    PROXY_TLV_UNIQUE_ID = 0x05,
    PROXY_TLV_SSL = 0x20,
    PROXY_TLV_SSL_VERSION = 0x21, /* these within that of SSL */
    PROXY_TLV_SSL_CN = 0x22,
    PROXY_TLV_SSL_CIPHER = 0x23,
    PROXY_TLV_NETNS = 0x30,
};

struct proxy_header {
    int version;
    bool is_local;              /* the proxy speaks for itself, or does not know for whom */
    struct address source;      /* the client; size 0: none is said */
    struct address destination; /* where it has connected to; likewise */
    struct slice tlvs;          /* version 2: checked to be whole */
};

/* What was said of a client, kept as long as its connection: free() it. */
struct introduction {
    struct proxy_header header;
    char data[]; /* that its slices point into */
};

/* How many bytes may be read next without reading past the end of the header that begins with these
 * ones; 0: it is complete, or it is none. At most PROXY_HEADER_MAX − size. */
size_t proxy_header_wants(const char *data, size_t size);
/* Reads one that wants nothing more. ERR_PROTOCOL, with a static text that says why; ERR_LIMIT: it
 * is longer than PROXY_HEADER_MAX. Its TLVs point into the data. */
MUST_CHECK enum status proxy_header_parse(const char *data, size_t size,
                                          struct proxy_header *header, const char **why);
/* The value of the first TLV of that type. False: there is none. */
bool proxy_header_find(const struct proxy_header *header, unsigned type, struct slice *value);
/* Whether the client of the proxy spoke TLS; then the value of a TLV that says more of it. */
bool proxy_header_is_tls(const struct proxy_header *header);
bool proxy_header_find_tls(const struct proxy_header *header, unsigned type, struct slice *value);
/* Those that hold for another header too: neither its checksum nor what only fills it up. */
struct slice proxy_tlvs_to_pass(const struct proxy_header *header, struct arena *arena);
/* As text for logs and fields: itself if it is visible ASCII without blanks and quotes, else in
 * hexadecimal. `into` has PROXY_TLV_TEXT_MAX bytes; longer values are cut. */
struct slice proxy_tlv_text(struct slice value, char *into);
/* Writes header->version: source and destination, which are of one kind or get IPv6 both; is_local
 * or without both: LOCAL, of version 1 UNKNOWN. At most PROXY_WRITTEN_MAX bytes: of TLVs, which
 * version 2 has and LOCAL has not, the length alone; they are to be sent behind it. */
size_t proxy_header_write(const struct proxy_header *header, char *into);
