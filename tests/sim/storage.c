/* SPDX-License-Identifier: Apache-2.0 */
#include "storage.h"

#include "reader.h"
#include "scenario.h"
#include "world.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    TEXT_MAX = 4096,
    PARTS_MAX = 32,
    BODY_MAX = 128 * 1024,
    APART_S =
        3, /* what a request is on its way, and not the quarter of an hour that others allow */
};

struct storage_conversation {
    struct storage *storage;
    struct end *end;
    struct reader reader;
    char *body; /* that comes */
    size_t body_size;
    char head_hash[SIGNATURE_SIZE + 1]; /* what its head says of it */
    char key[TEXT_MAX], type[64];
};

static void hex(const unsigned char *bytes, size_t size, char *into)
{
    for (size_t i = 0; i < size; i++)
        snprintf(into + 2 * i, 3, "%02x", bytes[i]);
}

static void sign(const void *key, size_t size, const char *text, unsigned char *into)
{
    unsigned char made[SHA256_DIGEST_LENGTH];
    unsigned length = sizeof made;
    HMAC(EVP_sha256(), key, (int)size, (const unsigned char *)text, strlen(text), made, &length);
    memcpy(into, made, sizeof made);
}

/* Takes escapes away; false: one is broken, or has small digits, which nobody signs. */
static bool decode(const char *text, size_t size, char *into)
{
    for (size_t i = 0; i < size; i++) {
        char digits[3] = "";
        if (text[i] != '%') {
            *into++ = text[i];
            continue;
        }
        if (size - i < 3)
            return false;
        memcpy(digits, text + i + 1, 2);
        if (strspn(digits, "0123456789ABCDEF") != 2)
            return false;
        *into++ = (char)strtoul(digits, NULL, 16);
        i += 2;
    }
    *into = '\0';
    return true;
}

static void encode(const char *text, const char *kept, char *into)
{
    static const char PLAIN[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++)
        if (strchr(PLAIN, *text) != NULL || strchr(kept, *text) != NULL)
            *into++ = *text;
        else
            into += sprintf(into, "%%%02X", (unsigned char)*text);
    *into = '\0';
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The parts of a query in order, each "name=value". */
static void order_query(const char *query, char *into)
{
    char text[TEXT_MAX], plain[TEXT_MAX];
    char *parts[PARTS_MAX];
    size_t count = 0;
    snprintf(text, sizeof text, "%s", query);
    for (char *part = strtok(text, "&"); part != NULL && count < PARTS_MAX;
         part = strtok(NULL, "&")) {
        char *mark = strchr(part, '=');
        char *made = parts[count++] = world_alloc(3 * strlen(part) + 2);
        if (!decode(part, mark == NULL ? strlen(part) : (size_t)(mark - part), plain))
            world_broken("signed", "a query with a broken escape: %s", query);
        encode(plain, "", made);
        strcat(made, "=");
        if (mark != NULL && decode(mark + 1, strlen(mark + 1), plain))
            encode(plain, "", made + strlen(made));
    }
    qsort(parts, count, sizeof *parts, compare);
    *into = '\0';
    for (size_t i = 0; i < count; i++)
        into += sprintf(into, "%s%s", i > 0 ? "&" : "", parts[i]);
}

/* The fields that were signed, which have to be all that matter, in order. */
static void add_fields(const struct reader *reader, const char *names, char *into)
{
    static const char *const NEEDED[] = {"host", "x-amz-content-sha256", "x-amz-date",
                                         "x-amz-security-token", "content-type"};
    char list[TEXT_MAX], before[64] = "";
    for (size_t i = 0; i < sizeof NEEDED / sizeof *NEEDED; i++)
        if (reader_field(reader, NEEDED[i]) != NULL && strstr(names, NEEDED[i]) == NULL)
            world_broken("signed", "%s is not among what was signed: %s", NEEDED[i], names);
    snprintf(list, sizeof list, "%s", names);
    for (char *name = strtok(list, ";"); name != NULL; name = strtok(NULL, ";")) {
        const char *value = reader_field(reader, name);
        if (value == NULL || strcmp(before, name) >= 0)
            world_broken("signed", "%s is signed, and is not there or not in order", name);
        snprintf(before, sizeof before, "%s", name);
        into += sprintf(into, "%s:", name);
        for (value += strspn(value, " "); *value != '\0'; value++) /* runs of blanks are one */
            if (*value != ' ' || (value[1] != ' ' && value[1] != '\0'))
                *into++ = *value;
        *into++ = '\n';
    }
    sprintf(into, "\n%s", names);
}

static void check_time(const char *time)
{
    struct tm tm = {0};
    const char *end = strptime(time, "%Y%m%dT%H%M%SZ", &tm);
    if (end == NULL || *end != '\0')
        world_broken("signed", "\"%s\" is no time", time);
    int64_t apart = world_wall() / SECONDS(1) - timegm(&tm);
    if (apart < 0 || apart > APART_S)
        world_broken("signed", "%s is %lld s from now", time, (long long)apart);
}

/* The signature that whoever has the key makes of this request. */
static void work_out(const struct storage *storage, const struct reader *reader, const char *names,
                     const char *time, char *signature)
{
    char *whole = world_alloc(4 * TEXT_MAX), path[TEXT_MAX], plain[TEXT_MAX], query[TEXT_MAX];
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char digits[SIGNATURE_SIZE + 1], date[9], start[256];
    size_t mark = strcspn(reader->target, "?");
    if (!decode(reader->target, mark, plain))
        world_broken("signed", "a path with a broken escape: %s", reader->target);
    encode(plain, "/", path);
    order_query(reader->target + mark + (reader->target[mark] == '?'), query);
    if (strncmp(path, reader->target, mark) != 0 || path[mark] != '\0')
        world_broken("signed", "%s is not as it is signed: %s", reader->target, path);
    int size = sprintf(whole, "%s\n%s\n%s\n", reader->method, path, query);
    add_fields(reader, names, whole + size);
    strcat(whole, "\n");
    strcat(whole, reader_field(reader, "x-amz-content-sha256"));
    SHA256((unsigned char *)whole, strlen(whole), digest);
    hex(digest, sizeof digest, digits);
    snprintf(date, sizeof date, "%.8s", time);
    snprintf(whole, TEXT_MAX, "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", time, date,
             storage->region, digits);
    snprintf(start, sizeof start, "AWS4%s", storage->secret);
    sign(start, strlen(start), date, digest);
    sign(digest, sizeof digest, storage->region, digest);
    sign(digest, sizeof digest, "s3", digest);
    sign(digest, sizeof digest, "aws4_request", digest);
    sign(digest, sizeof digest, whole, digest);
    hex(digest, sizeof digest, signature);
}

static void check_signature(struct storage *storage, const struct reader *reader)
{
    char said[TEXT_MAX], scope[256], names[512], signature[SIGNATURE_SIZE + 1], time[32];
    char right[SIGNATURE_SIZE + 1], wanted[256];
    const char *value = reader_field(reader, "Authorization");
    snprintf(said, sizeof said, "%s", value == NULL ? "" : value);
    if (sscanf(said, "AWS4-HMAC-SHA256 Credential=%255[^,],SignedHeaders=%511[^,],Signature=%64s",
               scope, names, signature) != 3)
        world_broken("signed", "\"%s\" is no signature", said);
    value = reader_field(reader, "x-amz-date");
    snprintf(time, sizeof time, "%s", value == NULL ? "" : value);
    check_time(time);
    snprintf(wanted, sizeof wanted, "%s/%.8s/%s/s3/aws4_request", storage->key_id, time,
             storage->region);
    if (strcmp(scope, wanted) != 0)
        world_broken("signed", "the scope is %s and not %s", scope, wanted);
    reader_expect(reader, storage->requests, "x-amz-security-token", storage->token);
    reader_expect(reader, storage->requests, "Host", storage->host);
    work_out(storage, reader, names, time, right);
    if (strcmp(signature, right) != 0)
        world_broken("signed", "%s %s is signed %s and not %s", reader->method, reader->target,
                     signature, right);
    if (storage->requests < 8)
        memcpy(storage->signatures[storage->requests], signature, sizeof signature);
    storage->requests++;
}

static void on_head(struct reader *reader)
{
    struct storage_conversation *c = reader->owner;
    const char *hash = reader_field(reader, "x-amz-content-sha256");
    snprintf(c->head_hash, sizeof c->head_hash, "%s", hash == NULL ? "" : hash);
    const char *type = reader_field(reader, "Content-Type");
    snprintf(c->type, sizeof c->type, "%s", type == NULL ? "-" : type);
    decode(reader->target, strcspn(reader->target, "?"), c->key);
    check_signature(c->storage, reader);
    if (strstr(c->key, "/none.html") != NULL &&
        (reader_field(reader, "If-Match") != NULL || reader_field(reader, "If-None-Match") != NULL))
        world_broken("expectation", "what stands for another is asked for with its conditions");
    world_trace("storage: %s %s", reader->method, reader->target);
    c->body_size = 0;
}

static void on_body(struct reader *reader, const char *data, size_t size)
{
    struct storage_conversation *c = reader->owner;
    if (c->body == NULL)
        c->body = world_alloc(BODY_MAX);
    if (size > BODY_MAX - c->body_size)
        world_broken("scenario", "a body is larger than storage takes");
    memcpy(c->body + c->body_size, data, size);
    c->body_size += size;
}

static void answer(struct storage_conversation *c, int status, const char *text)
{
    bool is_head = strcmp(c->reader.method, "HEAD") == 0;
    char *said = world_alloc(strlen(text) + 512);
    int size =
        sprintf(said,
                "HTTP/1.1 %d Said\r\nx-amz-request-id: 4442587FB7D0A2F9\r\n"
                "X-Amz-Id-2: secret\r\nContent-Length: %zu\r\n%s\r\n%s",
                status, strlen(text), status == 307 ? "Location: http://elsewhere.sim/\r\n" : "",
                is_head ? "" : text);
    end_write(c->end, said, (size_t)size);
}

static void on_end(struct reader *reader)
{
    struct storage_conversation *c = reader->owner;
    struct storage *storage = c->storage;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char digits[SIGNATURE_SIZE + 1];
    SHA256((const unsigned char *)(c->body_size == 0 ? "" : c->body), c->body_size, digest);
    hex(digest, sizeof digest, digits);
    bool is_unsigned = strcmp(c->head_hash, "UNSIGNED-PAYLOAD") == 0;
    storage->unsigned_bodies += is_unsigned;
    if (!is_unsigned && strcmp(digits, c->head_hash) != 0)
        world_broken("signed", "a body is signed as %s and is %s", c->head_hash, digits);
    if (storage->fails != 0) {
        answer(c, storage->fails, "<Error><AWSAccessKeyId>its key</AWSAccessKeyId></Error>");
        return;
    }
    if (strcmp(reader->method, "GET") != 0 && strcmp(reader->method, "HEAD") != 0) {
        size_t size = strlen(storage->puts);
        snprintf(storage->puts + size, sizeof storage->puts - size, "%s %.99s %.63s %zu, ",
                 reader->method, c->key, c->type, c->body_size);
        answer(c, 200, "");
        return;
    }
    const struct stored *object = storage->objects;
    while (object->key != NULL && strcmp(object->key, c->key) != 0)
        object++;
    /* Whoever may not list is not told that an object is not there. */
    answer(c, object->key != NULL ? 200 : 403,
           object->key != NULL ? object->text : "<Error><Code>AccessDenied</Code></Error>");
}

static void on_event(struct end *end)
{
    struct storage_conversation *c = end->owner;
    char data[16 * 1024];
    size_t got;
    while (!end->is_closed && (got = end_read(end, data, sizeof data)) > 0) {
        const char *wrong = reader_feed(&c->reader, data, got);
        if (wrong != NULL)
            world_broken("strictness", "storage read %s", wrong);
    }
    if (!end->is_closed && end_is_over(end))
        end_close(end);
}

static void on_accept(struct service *service, struct end *end)
{
    struct storage_conversation *c = world_alloc(sizeof *c);
    c->storage = service->owner;
    c->end = end;
    end->owner = c;
    end->on_event = on_event;
    reader_init(&c->reader, true, c);
    c->reader.on_head = on_head;
    c->reader.on_body = on_body;
    c->reader.on_end = on_end;
}

void storage_start(struct storage *storage, const char *address, const struct network *network)
{
    storage->service = (struct service){.address = scenario_address(address),
                                        .network = network,
                                        .on_accept = on_accept,
                                        .owner = storage};
    service_add(&storage->service);
}
