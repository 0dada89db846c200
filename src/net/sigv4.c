/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sigv4.h"

#include "base/buffer.h"
#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    DIGEST_SIZE = 32,
    DATE_SIZE = 8,
    PARTS_MAX = 256, /* of a query */
};

struct sigv4_signer {
    struct slice key_id, region, service;
    struct slice secret; /* "AWS4" and the secret */
    pthread_mutex_t mutex;
    char date[DATE_SIZE]; /* that `key` is of */
    unsigned char key[DIGEST_SIZE];
    struct arena arena;
};

struct sigv4_signer *sigv4_signer_new(struct slice key_id, struct slice secret, struct slice region,
                                      struct slice service)
{
    struct sigv4_signer *signer = memory_zero(sizeof *signer);
    arena_init(&signer->arena, NULL, 0);
    signer->key_id = arena_copy(&signer->arena, key_id);
    signer->region = arena_copy(&signer->arena, region);
    signer->service = arena_copy(&signer->arena, service);
    signer->secret = arena_format(&signer->arena, "AWS4%.*s", SLICE_ARG(secret));
    pthread_mutex_init(&signer->mutex, NULL);
    return signer;
}

void sigv4_signer_free(struct sigv4_signer *signer)
{
    OPENSSL_cleanse(signer->key, sizeof signer->key);
    OPENSSL_cleanse((void *)(uintptr_t)signer->secret.data, signer->secret.size);
    pthread_mutex_destroy(&signer->mutex);
    arena_done(&signer->arena);
    free(signer);
}

static void hmac(const void *key, size_t key_size, struct slice text,
                 unsigned char digest[DIGEST_SIZE])
{
    size_t size = 0;
    check(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_size,
                    (const unsigned char *)text.data, text.size, digest, DIGEST_SIZE,
                    &size) != NULL);
    check(size == DIGEST_SIZE);
}

/* The key of a day, a region and a service: made once a day. */
static void key_of_day(struct sigv4_signer *signer, struct slice date,
                       unsigned char key[DIGEST_SIZE])
{
    check(date.size == DATE_SIZE);
    pthread_mutex_lock(&signer->mutex);
    if (memcmp(signer->date, date.data, DATE_SIZE) != 0) {
        unsigned char step[DIGEST_SIZE];
        hmac(signer->secret.data, signer->secret.size, date, step);
        hmac(step, sizeof step, signer->region, step);
        hmac(step, sizeof step, signer->service, step);
        hmac(step, sizeof step, SLICE("aws4_request"), signer->key);
        memcpy(signer->date, date.data, DATE_SIZE);
        OPENSSL_cleanse(step, sizeof step);
    }
    memcpy(key, signer->key, DIGEST_SIZE);
    pthread_mutex_unlock(&signer->mutex);
}

static void append_hex(struct buffer *out, const unsigned char *bytes, size_t size)
{
    static const char HEX[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        buffer_append_byte(out, HEX[bytes[i] >> 4]);
        buffer_append_byte(out, HEX[bytes[i] & 15]);
    }
}

struct slice sigv4_hash(struct slice payload, struct arena *arena)
{
    unsigned char digest[DIGEST_SIZE];
    size_t size = 0;
    struct buffer out = buffer_in(arena, SIGV4_HASH_SIZE);
    check(EVP_Q_digest(NULL, "SHA256", NULL, payload.size == 0 ? "" : payload.data, payload.size,
                       digest, &size) == 1);
    append_hex(&out, digest, size);
    return buffer_slice(&out);
}

struct slice sigv4_time(int64_t wall, char *into)
{
    time_t seconds = (time_t)(wall / 1000000000);
    struct tm tm;
    char text[SIGV4_TIME_SIZE + 1];
    gmtime_r(&seconds, &tm);
    check(strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &tm) == SIGV4_TIME_SIZE);
    memcpy(into, text, SIGV4_TIME_SIZE);
    return slice_of(into, SIGV4_TIME_SIZE);
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes once, and escapes all that is not unreserved (RFC 3986 §2.3) and not `kept`. */
static bool rewrite(struct slice text, char kept, struct buffer *out)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        bool was_escaped = byte == '%';
        if (was_escaped) {
            int high = i + 2 < text.size ? hex_of(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_of(text.data[i + 2]) : -1;
            if (low < 0)
                return false;
            byte = (unsigned char)(high << 4 | low);
            i += 2;
        }
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                        byte == '~';
        if (is_plain || (kept != '\0' && byte == (unsigned char)kept)) {
            buffer_append_byte(out, (char)byte);
            continue;
        }
        buffer_append_byte(out, '%');
        buffer_append_byte(out, HEX[byte >> 4]);
        buffer_append_byte(out, HEX[byte & 15]);
    }
    return true;
}

bool sigv4_path(struct slice path, struct arena *arena, struct slice *written)
{
    struct buffer out = buffer_in(arena, path.size + 16);
    if (!rewrite(path, '/', &out))
        return false;
    *written = out.size == 0 ? SLICE("/") : buffer_slice(&out);
    return true;
}

struct part {
    struct slice name, value;
};

static int compare_parts(const void *first, const void *second)
{
    const struct part *a = first;
    const struct part *b = second;
    int order = slice_compare(a->name, b->name);
    return order != 0 ? order : slice_compare(a->value, b->value);
}

static bool rewrite_part(struct slice text, struct arena *arena, struct slice *written)
{
    struct buffer out = buffer_in(arena, text.size + 16);
    bool is_good = rewrite(text, '\0', &out);
    *written = buffer_slice(&out);
    return is_good;
}

bool sigv4_query(struct slice query, struct arena *arena, struct slice *written)
{
    struct part *parts = arena_alloc(arena, PARTS_MAX * sizeof *parts);
    size_t count = 0;
    while (query.size > 0) {
        size_t end = slice_find(query, '&');
        struct slice part = slice_first(query, end);
        query = slice_from(query, end + 1);
        if (part.size == 0)
            continue;
        size_t mark = slice_find(part, '=');
        if (count == PARTS_MAX ||
            !rewrite_part(slice_first(part, mark), arena, &parts[count].name) ||
            !rewrite_part(slice_from(part, mark + 1), arena, &parts[count].value))
            return false;
        count++;
    }
    qsort(parts, count, sizeof *parts, compare_parts);
    struct buffer out = buffer_in(arena, 256);
    for (size_t i = 0; i < count; i++)
        buffer_format(&out, "%s%.*s=%.*s", i == 0 ? "" : "&", SLICE_ARG(parts[i].name),
                      SLICE_ARG(parts[i].value));
    *written = buffer_slice(&out);
    return true;
}

static int compare_fields(const void *first, const void *second)
{
    const struct sigv4_field *a = first;
    const struct sigv4_field *b = second;
    return slice_compare(a->name, b->name);
}

/* Blanks at the ends go, several in a row become one. */
static void append_value(struct buffer *out, struct slice value)
{
    value = slice_trim(value);
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] != ' ' || value.data[i - 1] != ' ')
            buffer_append_byte(out, value.data[i]);
}

static struct slice signed_names(const struct sigv4_field *fields, size_t count,
                                 struct arena *arena)
{
    struct buffer out = buffer_in(arena, 128);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_byte(&out, ';');
        buffer_append(&out, fields[i].name);
    }
    return buffer_slice(&out);
}

static struct slice canonical(const struct sigv4_request *request, const struct sigv4_field *fields,
                              struct slice names, struct arena *arena)
{
    struct buffer out = buffer_in(arena, 1024);
    buffer_format(&out, "%.*s\n%.*s\n%.*s\n", SLICE_ARG(request->method), SLICE_ARG(request->path),
                  SLICE_ARG(request->query));
    for (size_t i = 0; i < request->fields_count; i++) {
        buffer_append(&out, fields[i].name);
        buffer_append_byte(&out, ':');
        append_value(&out, fields[i].value);
        buffer_append_byte(&out, '\n');
    }
    buffer_format(&out, "\n%.*s\n%.*s", SLICE_ARG(names), SLICE_ARG(request->payload_hash));
    return buffer_slice(&out);
}

struct slice sigv4_sign(struct sigv4_signer *signer, const struct sigv4_request *request,
                        struct arena *arena)
{
    struct sigv4_field fields[SIGV4_FIELDS_MAX];
    unsigned char key[DIGEST_SIZE];
    unsigned char signature[DIGEST_SIZE];
    check(request->fields_count > 0 && request->fields_count <= SIGV4_FIELDS_MAX &&
          request->time.size == SIGV4_TIME_SIZE);
    memcpy(fields, request->fields, request->fields_count * sizeof *fields);
    qsort(fields, request->fields_count, sizeof *fields, compare_fields);
    struct slice date = slice_first(request->time, DATE_SIZE);
    struct slice names = signed_names(fields, request->fields_count, arena);
    struct slice hash = sigv4_hash(canonical(request, fields, names, arena), arena);
    struct slice scope = arena_format(arena, "%.*s/%.*s/%.*s/aws4_request", SLICE_ARG(date),
                                      SLICE_ARG(signer->region), SLICE_ARG(signer->service));
    struct slice text = arena_format(arena, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%.*s",
                                     SLICE_ARG(request->time), SLICE_ARG(scope), SLICE_ARG(hash));
    key_of_day(signer, date, key);
    hmac(key, sizeof key, text, signature);
    OPENSSL_cleanse(key, sizeof key);
    struct buffer out = buffer_in(arena, 256);
    buffer_format(&out, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s,SignedHeaders=%.*s,Signature=",
                  SLICE_ARG(signer->key_id), SLICE_ARG(scope), SLICE_ARG(names));
    append_hex(&out, signature, sizeof signature);
    return buffer_slice(&out);
}
