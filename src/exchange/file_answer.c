/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/file_answer.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "exchange/exchange.h"
#include "exchange/file_source.h"
#include "http/chars.h"
#include "http/coding.h"
#include "http/conditional.h"
#include "http/media_type.h"
#include "http/ranges.h"
#include "http/status_text.h"

static const struct {
    enum coding coding;
    struct slice ending;
} COPIES[FILE_CODINGS] = {
    [FILE_CODING_ZSTD] = {CODING_ZSTD, {".zst", 4}},
    [FILE_CODING_BROTLI] = {CODING_BR, {".br", 3}},
    [FILE_CODING_GZIP] = {CODING_GZIP, {".gz", 3}},
};

/* One decoding, of a path that was made canonical: what is escaped still is a byte of a name. */
static bool decode(struct slice from, struct buffer *out)
{
    for (size_t i = 0; i < from.size; i++) {
        char byte = from.data[i];
        if (byte == '%') {
            if (i + 2 >= from.size || !chars_is(from.data[i + 1], CHAR_HEX) ||
                !chars_is(from.data[i + 2], CHAR_HEX))
                return false;
            byte = (char)(chars_hex(from.data[i + 1]) << 4 | chars_hex(from.data[i + 2]));
            i += 2;
            if (byte == '/') /* no name has one */
                return false;
        }
        if (byte == '\0' || byte == '\\')
            return false;
        buffer_append_byte(out, byte);
    }
    return true;
}

/* The canonical form has none of these left; a rewrite may have made some. */
static bool has_odd_part(struct slice path)
{
    while (path.size > 0) {
        size_t end = slice_find(path, '/');
        struct slice part = slice_first(path, end);
        if (part.size == 0 || slice_equal(part, SLICE(".")) || slice_equal(part, SLICE("..")))
            return true;
        path = slice_from(path, end + 1);
    }
    return false;
}

bool file_answer_place(struct slice url_path, struct arena *arena, struct slice *path,
                       bool *is_directory)
{
    if (url_path.size == 0 || url_path.data[0] != '/')
        return false;
    struct slice rest = slice_from(url_path, 1);
    *is_directory = rest.size == 0 || rest.data[rest.size - 1] == '/';
    if (rest.size == 0) {
        *path = SLICE(".");
        return true;
    }
    if (*is_directory)
        rest.size--;
    if (slice_find(rest, '%') < rest.size) {
        struct buffer out = buffer_in(arena, rest.size);
        if (!decode(rest, &out))
            return false;
        rest = buffer_slice(&out);
    }
    *path = rest;
    return rest.size > 0 && rest.size <= FILE_PATH_MAX && !has_odd_part(rest) &&
           slice_find(rest, '\\') == rest.size && slice_find(rest, '\0') == rest.size;
}

enum verdict file_answer_status(struct exchange *x, int status, const char *detail)
{
    struct slice text =
        arena_format(&x->arena, "%d %.*s\n", status, SLICE_ARG(status_text(status)));
    response_text(x, status, SLICE("text/plain; charset=utf-8"), text);
    exchange_set_id(x, &x->response.fields); /* what a user who sees this can quote */
    x->detail = detail;
    return ANSWERED;
}

enum verdict file_answer_failure(struct exchange *x, enum status status)
{
    switch (status) {
    case ERR_UNREACHABLE:
        return file_answer_status(x, 404, "no such file");
    case ERR_DENIED:
        return file_answer_status(x, 403, "the file may not be read");
    case ERR_CANCELLED:
        return exchange_blame(x, status, SIDE_CLIENT, 0, "", "client_closed");
    case ERR_LIMIT:
        return exchange_blame(x, status, SIDE_US, 503, "proxy_internal_response",
                              "files: too many files are open, or too many wait for the disk");
    case ERR_TIMEOUT:
        return exchange_blame(x, status, SIDE_US, 503, "proxy_internal_response",
                              "files: the disk did not answer in time");
    default:
        return exchange_blame(x, status, SIDE_US, 500, "proxy_internal_error",
                              "files: the disk could not be read");
    }
}

static struct slice type_of(const struct file_answer *how, struct slice path)
{
    struct slice extension = media_extension(path);
    for (size_t i = 0; i < how->types_count; i++)
        if (slice_equal_nocase(how->types[i].extension, extension))
            return how->types[i].type;
    struct slice type = media_type(extension);
    return type.size > 0 ? type : SLICE("application/octet-stream");
}

/* The copy that this client would rather have; NULL: the file itself. A copy that is older than the
 * file is of an older one. `varies`: there is one, so the answer depends on what is accepted. */
static struct open_file *choose_copy(struct exchange *x, const struct file_answer *how,
                                     struct slice path, const struct open_file *file,
                                     struct slice *coding, bool *varies)
{
    struct coding_wish wish;
    struct open_file *best = NULL;
    coding_wish_read(&x->request.head.fields, &wish);
    /* Of equal weights a copy is the better one: it is shorter. */
    int best_weight = wish.has_identity ? wish.weight[CODING_IDENTITY] - 1 : 0;
    *varies = false;
    for (size_t i = 0; i < how->codings_count; i++) {
        struct open_file *copy;
        char *name = arena_alloc(&x->arena, path.size + 4);
        struct slice ending = COPIES[how->codings[i]].ending;
        memcpy(name, path.data, path.size);
        memcpy(name + path.size, ending.data, ending.size);
        struct slice whole = slice_of(name, path.size + ending.size);
        if (file_cache_open(how->root, whole, x->deadline, &copy) != OK)
            continue;
        bool is_good = copy->facts.kind == FILE_REGULAR && copy->facts.size > 0 &&
                       copy->facts.changed / SECONDS(1) >= file->facts.changed / SECONDS(1);
        int weight = wish.weight[COPIES[how->codings[i]].coding];
        *varies = *varies || is_good;
        if (!is_good || weight == 0 || weight <= best_weight) {
            file_cache_leave(copy);
            continue;
        }
        if (best != NULL)
            file_cache_leave(best);
        best = copy;
        best_weight = weight;
        *coding = coding_name(COPIES[how->codings[i]].coding);
    }
    return best;
}

static void settle_move(struct body *body)
{
    body->moves_first = body->move != NULL && body->length >= BODY_MOVE_MIN;
}

static enum verdict answer_parts(struct exchange *x, const struct open_file *file,
                                 struct range_source *source, const struct ranges *ranges)
{
    x->response.status = 206;
    x->response.body =
        ranges_body(&x->arena, &x->response.fields, ranges, (uint64_t)file->facts.size, source);
    if (ranges->count == 1)
        settle_move(x->response.body);
    return ANSWERED;
}

/* RFC 9110 §13.2.2: conditions first, then the range. */
static enum verdict answer_file(struct exchange *x, struct open_file *file)
{
    const struct request_head *head = &x->request.head;
    struct fields *fields = &x->response.fields;
    uint64_t size = (uint64_t)file->facts.size;
    struct validators now = {.etag = file->etag, .last_modified = file->modified};
    enum condition condition =
        conditional_check(head->method, &head->fields, &now, true, &x->arena);
    if (condition == CONDITION_NOT_MODIFIED) {
        fields_remove(fields, FIELD_CONTENT_TYPE);
        fields_remove(fields, FIELD_CONTENT_ENCODING);
        x->response.status = 304;
        return ANSWERED;
    }
    if (condition == CONDITION_FAILED) {
        fields_remove(fields, FIELD_CONTENT_ENCODING);
        return file_answer_status(x, 412, "the file is another than expected");
    }
    struct ranges ranges;
    enum ranges_verdict asked = RANGES_WHOLE;
    if (fields_find(&head->fields, FIELD_IF_RANGE) != NULL)
        now.date = clock_wall(); /* as the Date says that is sent */
    if (conditional_range_holds(&head->fields, &now))
        asked = ranges_asked(head->method, &head->fields, size, &ranges);
    if (asked == RANGES_UNSATISFIABLE) {
        ranges_refuse(&x->arena, fields, size);
        return file_answer_status(x, 416, "no such part of the file");
    }
    x->response.status = 200;
    if (head->method == METHOD_HEAD) {
        x->response.length = size;
        x->response.has_length = true;
        return ANSWERED;
    }
    if (size == 0)
        return ANSWERED;
    enum status loaded =
        size <= FILE_CACHE_CONTENT_MAX ? file_cache_load(file, x->deadline) : ERR_CLOSED;
    if (loaded != OK && loaded != ERR_CLOSED)
        return file_answer_failure(x, loaded);
    struct range_source *source = file_source(x, file);
    if (asked == RANGES_PARTS)
        return answer_parts(x, file, source, &ranges);
    x->response.body = ranges_whole_body(&x->arena, size, source);
    settle_move(x->response.body);
    return ANSWERED;
}

enum verdict file_answer_with(struct exchange *x, const struct file_answer *how, struct slice path,
                              struct open_file *file)
{
    struct fields *fields = &x->response.fields;
    struct slice coding = {0};
    bool varies = false;
    check(file->facts.kind == FILE_REGULAR);
    struct open_file *copy =
        how->codings_count == 0 ? NULL : choose_copy(x, how, path, file, &coding, &varies);
    struct open_file *sent = copy != NULL ? copy : file;
    x->response.is_ours = false;
    x->response.has_length = false;
    x->response.body = body_none();
    if (fields_find(fields, FIELD_CONTENT_TYPE) == NULL)
        fields_set_checked(fields, FIELD_CONTENT_TYPE, type_of(how, path));
    if (copy != NULL)
        fields_set_checked(fields, FIELD_CONTENT_ENCODING, coding);
    if (varies)
        fields_add(fields, FIELD_VARY, SLICE("Accept-Encoding"));
    /* Text of the cache may go before the answer has left. */
    fields_set_checked(fields, FIELD_ETAG, arena_copy(&x->arena, sent->etag));
    fields_set_checked(fields, FIELD_LAST_MODIFIED, arena_copy(&x->arena, sent->modified));
    fields_set_checked(fields, FIELD_ACCEPT_RANGES, SLICE("bytes"));
    enum verdict verdict = answer_file(x, sent);
    if (copy != NULL)
        file_cache_leave(copy);
    return verdict;
}

enum verdict file_answer(struct exchange *x, const struct file_answer *how, struct slice path)
{
    struct open_file *file;
    enum status status = file_cache_open(how->root, path, x->deadline, &file);
    if (status != OK)
        return file_answer_failure(x, status);
    enum verdict verdict;
    if (file->facts.kind == FILE_REGULAR)
        verdict = file_answer_with(x, how, path, file);
    else if (file->facts.kind == FILE_DIRECTORY)
        verdict = file_answer_status(x, 404, "a directory");
    else
        verdict = file_answer_status(x, 403, "neither a file nor a directory");
    file_cache_leave(file);
    return verdict;
}
