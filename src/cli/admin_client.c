/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_client.h"

#include "base/clock.h"
#include "cli/admin_reach.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "http/h1_parse.h"
#include "net/stream.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TIMEOUT_S = 90,
    HEAD_MAX = 8192,
    FIELDS_MAX = 32,
    REPLY_MAX = 64 * 1024 * 1024,
};

/* One question on its way. */
struct talk {
    struct admin_reach reach;
    struct buffer text; /* the request, then the reply */
    int64_t deadline;
    enum status status;
    bool is_done;
    const struct admin_question *question;
    bool is_open; /* the head says that lines follow, and has been kept in `head` */
    struct buffer head;
};

void admin_client_init(struct admin_client *client)
{
    *client = (struct admin_client){0};
    arena_init(&client->arena, NULL, 0);
}

int admin_client_end(struct admin_client *client, int code)
{
    arena_done(&client->arena);
    return code;
}

/* The reply ends with its connection: it is HTTP/1.0. */
static void hand_out_lines(struct talk *talk)
{
    struct buffer *text = &talk->text;
    size_t used = 0;
    if (talk->question->on_line == NULL)
        return;
    if (!talk->is_open) {
        struct slice all = buffer_slice(text);
        size_t end = slice_find_slice(all, SLICE("\r\n\r\n"));
        bool is_good =
            slice_starts(all, SLICE("HTTP/1.1 2")) || slice_starts(all, SLICE("HTTP/1.0 2"));
        if (end == all.size || !is_good)
            return;
        talk->is_open = true;
        used = end + 4;
        talk->head.size = 0;
        buffer_append(&talk->head, slice_first(all, used));
    }
    for (;;) {
        struct slice rest = slice_from(buffer_slice(text), used);
        size_t end = slice_find(rest, '\n');
        if (end == rest.size)
            break;
        talk->question->on_line(talk->question->argument, slice_first(rest, end));
        used += end + 1;
    }
    memmove(text->data, text->data + used, text->size - used);
    text->size -= used;
}

static enum status read_all(struct talk *talk, struct stream *stream, int64_t deadline)
{
    struct buffer *into = &talk->text;
    for (;;) {
        char bytes[1024];
        size_t got = 0;
        enum status status = stream_read(stream, bytes, sizeof bytes, &got, deadline);
        if (status == ERR_CLOSED)
            return OK;
        TRY(status);
        buffer_append(into, slice_of(bytes, got));
        hand_out_lines(talk);
        if (into->size > REPLY_MAX)
            return ERR_LIMIT;
    }
}

static enum status talk_on(struct talk *talk)
{
    struct stream stream = {0};
    TRY(admin_reach_connect(&talk->reach, &stream, talk->deadline));
    struct iovec part = {talk->text.data, talk->text.size};
    enum status status = stream_write(&stream, &part, 1, CLOCK_NEVER, talk->deadline);
    talk->text.size = 0;
    if (status == OK)
        status = read_all(talk, &stream, talk->deadline);
    stream_close(&stream, false);
    return status;
}

static void talk_fiber(void *argument)
{
    struct talk *talk = argument;
    talk->status = talk_on(talk);
    talk->is_done = true;
    loop_stop();
}

static enum status run(struct talk *talk, int64_t timeout)
{
    static struct thread thread; /* too large for a frame */
    if (thread_init(&thread, "client", -1) != OK)
        return ERR_SYSTEM;
    talk->deadline = talk->question->on_line != NULL ? CLOCK_NEVER : clock_monotonic() + timeout;
    enum status started = fiber_start(NULL, "client", talk_fiber, talk, NULL);
    if (started != OK)
        talk->status = started;
    bool is_running = started == OK && !talk->is_done;
    if (is_running) /* else it has ended without a wait */
        loop_run();
    loop_turn(0); /* the fiber ends */
    thread_done(&thread);
    return talk->status;
}

static void write_request(const struct admin_question *question, bool is_unix, struct buffer *out)
{
    const char *token = getenv("WEIR_ADMIN_TOKEN");
    buffer_format(out, "%s %.*s HTTP/1.0\r\nHost: localhost\r\nAccept: %s\r\n", question->method,
                  SLICE_ARG(question->path), question->is_text ? "text/weir" : "application/json");
    if (!is_unix && token != NULL && token[0] != '\0')
        buffer_format(out, "Authorization: Bearer %s\r\n", token);
    if (question->match != NULL)
        buffer_format(out, "If-Match: %s\r\n", question->match);
    if (question->type != NULL)
        buffer_format(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", question->type,
                      question->body.size);
    buffer_append(out, SLICE("\r\n"));
    if (question->type != NULL)
        buffer_append(out, question->body);
}

bool admin_read_json(struct arena *arena, struct slice text, struct json_value *value)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    struct config_tree *tree = config_tree_new(arena, &errors, &CONFIG_SYSTEM);
    struct config_file *file = arena_zero(arena, sizeof *file);
    *file = (struct config_file){.name = SLICE("answer"), .text = text};
    return json_value_parse(tree, file, value);
}

static bool read_reply(struct admin_client *client, struct buffer *text, enum method method,
                       struct admin_reply *reply)
{
    static const struct h1_limits LIMITS_OF_REPLY = {HEAD_MAX, HEAD_MAX, FIELDS_MAX,
                                                     FIELD_NAMES_DROP};
    struct response_head head = {0};
    size_t consumed = 0;
    const char *why;
    fields_init(&head.fields, &client->arena,
                arena_alloc(&client->arena, FIELDS_MAX * sizeof(struct field)), FIELDS_MAX);
    if (h1_parse_response(text->data, text->size, &LIMITS_OF_REPLY, method, &head, &consumed,
                          &why) != PARSE_DONE)
        return false;
    reply->status = head.status;
    reply->body = slice_from(buffer_slice(text), consumed);
    if (head.framing == FRAMING_LENGTH && reply->body.size < head.length)
        return false;
    if (head.framing == FRAMING_LENGTH)
        reply->body = slice_first(reply->body, (size_t)head.length);
    const struct field *type = fields_find(&head.fields, FIELD_CONTENT_TYPE);
    if (type == NULL || slice_find_slice(type->value, SLICE("json")) == type->value.size)
        return true;
    return admin_read_json(&client->arena, reply->body, &reply->json);
}

static void say_error(const struct json_value *error)
{
    struct slice file = admin_text(error, "file");
    struct slice note = admin_text(error, "note");
    struct slice help = admin_text(error, "help");
    struct slice message = admin_text(error, "message");
    struct slice code = admin_text(error, "code");
    fprintf(stderr, "%.*s[%.*s]: %.*s\n", SLICE_ARG(admin_text(error, "severity")), SLICE_ARG(code),
            SLICE_ARG(message));
    if (file.size > 0)
        fprintf(stderr, " --> %.*s:%lld:%lld%s%.*s\n", SLICE_ARG(file),
                (long long)admin_number(error, "line"), (long long)admin_number(error, "column"),
                note.size > 0 ? "  " : "", SLICE_ARG(note));
    if (help.size > 0)
        fprintf(stderr, "  = help: %.*s\n", SLICE_ARG(help));
}

/* Says what went wrong, and which exit code says so. */
static int say_problem(const struct admin_reply *reply)
{
    struct slice title = admin_text(&reply->json, "title");
    struct slice detail = admin_text(&reply->json, "detail");
    const struct json_value *errors = admin_member(&reply->json, "errors");
    for (const struct json_value *error = errors == NULL ? NULL : errors->children; error != NULL;
         error = error->next)
        say_error(error);
    if (title.size > 0)
        fprintf(stderr, "weir: %.*s%s%.*s\n", SLICE_ARG(title), detail.size > 0 ? ": " : "",
                SLICE_ARG(detail));
    else
        fprintf(stderr, "weir: it answered with status %d\n", reply->status);
    if (reply->status == 401 || reply->status == 403)
        return EXIT_NOT_PERMITTED;
    if (reply->status == 422 && slice_ends(admin_text(&reply->json, "type"), SLICE("-config")))
        return EXIT_CONFIG;
    bool is_conflict = reply->status == 409 || reply->status == 412 || reply->status == 429 ||
                       reply->status == 503;
    return is_conflict ? EXIT_TRY_AGAIN : EXIT_FAILED;
}

/* What became of it, when there is no answer. */
static int say_failed(const struct admin_client *client, const struct talk *talk,
                      enum status status)
{
    struct slice place = talk->reach.place;
    if (status == ERR_REFUSED || status == ERR_UNREACHABLE)
        return admin_say_unreachable(
            client, place, status == ERR_REFUSED ? "nobody listens there" : "it is not reachable");
    const char *why = status == OK        ? "what came is none"
                      : status == ERR_TLS ? talk->reach.trouble.why
                                          : status_name(status);
    fprintf(stderr, "weir: the weir at %.*s gave no answer (%s)\n", SLICE_ARG(place), why);
    if (talk->reach.host.size > 0) /* whose refusal may come behind the handshake */
        fprintf(stderr, "hint: $WEIR_ADMIN_CA names its authority, $WEIR_ADMIN_CERT and "
                        "$WEIR_ADMIN_KEY what it is shown\n");
    return EXIT_FAILED;
}

int admin_ask(struct admin_client *client, const struct admin_question *question,
              struct admin_reply *reply)
{
    struct talk talk = {.text = buffer_in(&client->arena, HEAD_MAX),
                        .head = buffer_in(&client->arena, HEAD_MAX),
                        .question = question};
    *reply = (struct admin_reply){0};
    int code = admin_reach_find(client, &talk.reach);
    if (code != EXIT_DONE) {
        admin_reach_done(&talk.reach);
        return code;
    }
    bool is_unix = talk.reach.address.any.sa_family == AF_UNIX && !talk.reach.is_named;
    write_request(question, is_unix, &talk.text);
    enum status status =
        run(&talk, question->timeout == 0 ? SECONDS(TIMEOUT_S) : question->timeout);
    admin_reach_done(&talk.reach);
    if (talk.is_open)
        talk.text = talk.head;
    if (status != OK ||
        !read_reply(client, &talk.text, method_of(slice_from_cstring(question->method)), reply))
        return say_failed(client, &talk, status);
    if (reply->status >= 200 && reply->status < 300)
        return EXIT_DONE;
    if (client->json)
        (void)fwrite(reply->body.data, 1, reply->body.size, stdout);
    return say_problem(reply);
}
