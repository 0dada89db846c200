/* SPDX-License-Identifier: Apache-2.0 */
#include "control/health_check_fastcgi.h"

#include "http/fastcgi.h"

enum {
    ANSWER_MAX = 4096, /* bytes; it is a handful of pairs */
    READ_SIZE = 512,
};

static enum status bad(struct health_answer *answer, enum status status, const char *why)
{
    if (status == ERR_CANCELLED)
        return status;
    answer->is_good = false;
    answer->why = status == ERR_TIMEOUT ? "no answer in time" : why;
    return OK;
}

enum status health_check_fastcgi(struct stream *connection, struct arena *arena, int64_t deadline,
                                 struct health_answer *answer)
{
    struct buffer out = buffer_in(arena, 128);
    struct fastcgi_reader reader;
    char *text = arena_alloc(arena, READ_SIZE);
    fastcgi_write_get_values(&out);
    fastcgi_reader_init(&reader, true);
    struct iovec part = {out.data, out.size};
    enum status status = stream_write(connection, &part, 1, CLOCK_NEVER, deadline);
    if (status != OK)
        return bad(answer, status, "the server does not read");
    for (size_t size = 0; size < ANSWER_MAX;) {
        size_t got = 0;
        status = stream_read(connection, text, READ_SIZE, &got, deadline);
        if (status != OK)
            return bad(answer, status, "the server closed the connection");
        size += got;
        struct slice input = slice_of(text, got);
        struct slice data;
        enum fastcgi_event event;
        do {
            event = fastcgi_take(&reader, &input, &data);
        } while (event == FASTCGI_VALUES);
        if (event == FASTCGI_END)
            return OK;
        if (event == FASTCGI_ERROR)
            return bad(answer, OK, reader.why);
    }
    return bad(answer, OK, "the answer is malformed");
}
