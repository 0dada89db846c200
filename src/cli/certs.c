/* SPDX-License-Identifier: Apache-2.0 */
/* weir certs: the certificates that a running weir shows. */
#include "cli/admin_client.h"
#include "cli/config_args.h"

#include <stdio.h>

enum {
    COLUMNS = 7,
};

static const char USAGE[] =
    "usage: weir certs [OPTIONS]\n"
    "\n"
    "Shows the certificates of a running weir's sites: for which names, by whom, until when, with\n"
    "which key, whether what their authority says of them is stapled, and where they come from.\n"
    "\n" ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, or one has expired, 2 wrong command line, 69 no weir runs,\n"
    "77 not permitted.\n";

static struct slice names_of(struct arena *arena, const struct json_value *cert)
{
    const struct json_value *names = admin_member(cert, "names");
    const struct json_value *first = names == NULL ? NULL : names->children;
    size_t count = 0;
    for (const struct json_value *name = first; name != NULL; name = name->next)
        count++;
    if (first == NULL)
        return admin_text(cert, "subject");
    return count == 1 ? first->text
                      : arena_format(arena, "%.*s (+%zu)", SLICE_ARG(first->text), count - 1);
}

static void fill_row(struct arena *arena, const struct json_value *cert, struct slice *row)
{
    struct slice issuer = admin_text(cert, "issuer");
    struct slice file = admin_text(cert, "file");
    row[0] = names_of(arena, cert);
    row[1] = admin_is(cert, "self_signed") ? SLICE("itself") : issuer;
    row[2] = arena_format(arena, "in %lld days", (long long)admin_number(cert, "days_left"));
    row[3] = admin_text(cert, "state");
    row[4] = admin_text(cert, "key");
    row[5] = admin_text(cert, "stapled_until").size > 0 ? SLICE("yes") : SLICE("no");
    row[6] = file.size > 0 ? file : admin_text(cert, "source");
    if (admin_number(cert, "days_left") < 0 || slice_equal(row[3], SLICE("expired")))
        row[2] = slice_first(admin_text(cert, "expires"), 10);
    for (size_t i = 0; i < COLUMNS; i++)
        row[i] = row[i].size > 0 ? admin_printable(arena, row[i]) : SLICE("-");
}

static int show(struct admin_client *client, const struct json_value *answer)
{
    static const char *const HEAD[COLUMNS] = {"NAME", "ISSUER", "EXPIRES", "STATE",
                                              "KEY",  "OCSP",   "SOURCE"};
    const struct json_value *list = admin_member(answer, "certs");
    const struct json_value *first = list == NULL ? NULL : list->children;
    size_t rows = 1;
    int code = EXIT_DONE;
    for (const struct json_value *c = first; c != NULL; c = c->next)
        rows++;
    struct slice *cells = arena_alloc(&client->arena, rows * COLUMNS * sizeof *cells);
    for (size_t i = 0; i < COLUMNS; i++)
        cells[i] = slice_from_cstring(HEAD[i]);
    size_t row = 1;
    for (const struct json_value *c = first; c != NULL; c = c->next) {
        fill_row(&client->arena, c, &cells[row++ * COLUMNS]);
        if (slice_equal(admin_text(c, "state"), SLICE("expired")))
            code = EXIT_FAILED;
    }
    admin_table(cells, rows, COLUMNS);
    return code;
}

int command_certs(int argc, char **argv)
{
    struct admin_client client;
    struct admin_reply reply;
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {ADMIN_OPTIONS(client), {0}};
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code < 0 && count > 0)
        code = cli_usage_error("certs", "takes no \"%s\"", argv[1]);
    if (code < 0) {
        struct admin_question question = {.method = "GET", .path = SLICE("/v1/certs")};
        code = admin_ask(&client, &question, &reply);
        if (code == EXIT_DONE && client.json)
            cli_print(reply.body);
        else if (code == EXIT_DONE)
            code = show(&client, &reply.json);
    }
    return admin_client_end(&client, code);
}
