/* SPDX-License-Identifier: Apache-2.0 */
/* weir certs and weir cert renew: the certificates that a running weir shows. */
#include "cli/admin_client.h"
#include "cli/config_args.h"
#include "cli/table.h"

#include <stdio.h>

static const char USAGE[] =
    "usage: weir certs [OPTIONS]\n"
    "\n"
    "Shows the certificates of a running weir's sites: for which names, by whom, until when, with\n"
    "which key, whether what their authority says of them is stapled, and where they come from.\n"
    "\n" WATCH_USAGE ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, or one has expired, 2 wrong command line, 69 no weir runs,\n"
    "77 not permitted.\n";

static const char CERT_USAGE[] =
    "usage: weir cert renew [OPTIONS] NAME\n"
    "\n"
    "Has a running weir read the certificate files of a site (by one of its names, or as weir "
    "certs\n"
    "--json calls it) at once, or its local authority make another; if they are of no use it "
    "shows\n"
    "what it has shown. Files that change are read within a second by themselves.\n"
    "\n" ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed or no such name, 2 wrong command line, 69 no weir runs,\n"
    "75 another change is under way, 77 not permitted.\n";

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
}

static int show(struct admin_client *client, const struct json_value *answer)
{
    static const char *const HEAD[] = {"NAME", "ISSUER", "EXPIRES", "STATE",
                                       "KEY",  "OCSP",   "SOURCE"};
    const struct json_value *list = admin_member(answer, "certs");
    struct table table;
    int code = EXIT_DONE;
    table_begin(&table, &client->arena, HEAD, sizeof HEAD / sizeof *HEAD);
    table_each(&table, list, fill_row);
    table_print(&table);
    for (const struct json_value *c = list == NULL ? NULL : list->children; c != NULL; c = c->next)
        if (slice_equal(admin_text(c, "state"), SLICE("expired")))
            code = EXIT_FAILED;
    return code;
}

int command_certs(int argc, char **argv)
{
    struct admin_client client;
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {ADMIN_OPTIONS(client), WATCH_OPTIONS(client), {0}};
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code < 0 && count > 0)
        code = cli_usage_error("certs", "takes no \"%s\"", argv[1]);
    struct admin_question question = {.method = "GET", .path = SLICE("/v1/certs")};
    if (code < 0)
        code = admin_look(&client, &question, show, "certs");
    return admin_client_end(&client, code);
}

int command_cert(int argc, char **argv)
{
    struct admin_client client;
    struct admin_reply reply;
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {ADMIN_OPTIONS(client), {0}};
    int code = cli_options(argc, argv, table, CERT_USAGE, &count);
    if (code < 0 && (count != 2 || strcmp(argv[1], "renew") != 0))
        code = cli_usage_error("cert", "renew, and one name of weir certs");
    if (code < 0) {
        struct slice name = admin_escape(&client, slice_from_cstring(argv[2]));
        struct admin_question question = {
            .method = "POST",
            .path = arena_format(&client.arena, "/v1/certs/%.*s/renew", SLICE_ARG(name)),
        };
        code = admin_ask(&client, &question, &reply);
        if (code == EXIT_DONE && client.json)
            cli_print(reply.body);
        else if (code == EXIT_DONE)
            printf("renewed %s\n", argv[2]);
    }
    return admin_client_end(&client, code);
}
