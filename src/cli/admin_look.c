/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that only look: once, or with --watch again and again. */
#include "base/clock.h"
#include "cli/admin_client.h"
#include "cli/config_args.h"
#include "fiber/terminal.h"

#include <stdio.h>

enum {
    INTERVAL_MS = 2000,
    INTERVAL_LEAST_MS = 50,
    INTERVAL_MOST_MS = 3600000,
};

static int look(struct admin_client *client, const struct admin_question *question,
                admin_show *show)
{
    struct admin_reply reply;
    int code = admin_ask(client, question, &reply);
    if (code != EXIT_DONE)
        return code;
    if (client->watch.is_on && client->watch.has_screen)
        printf("\033[H\033[2J");
    if (client->json)
        cli_print(reply.body);
    else
        code = show(client, &reply.json);
    if (client->watch.is_on && !client->watch.has_screen && !client->json)
        putchar('\n'); /* between one table and the next */
    (void)fflush(stdout);
    return code;
}

static int keep_looking(struct admin_client *client, const struct admin_question *question,
                        admin_show *show, int64_t interval)
{
    bool *has_screen = &client->watch.has_screen;
    struct admin_client own = *client; /* with memory for one look */
    int code = EXIT_DONE;
    int key = TERMINAL_NOTHING;
    own.watch.has_screen = *has_screen = !client->json && terminal_is_there();
    terminal_watch_end();
    if (*has_screen)
        terminal_enter();
    while (code != EXIT_NOT_RUNNING && code != EXIT_NOT_PERMITTED && key != 'q' &&
           key != TERMINAL_END) {
        arena_init(&own.arena, NULL, 0);
        code = look(&own, question, show);
        arena_done(&own.arena);
        if (code != EXIT_NOT_RUNNING && code != EXIT_NOT_PERMITTED)
            key = terminal_key(*has_screen, interval);
    }
    terminal_leave();
    return code;
}

int admin_look(struct admin_client *client, const struct admin_question *question, admin_show *show,
               const char *command)
{
    const char *written = client->watch.interval;
    int64_t interval = written == NULL ? INTERVAL_MS : admin_duration(written) / MILLISECONDS(1);
    if (written != NULL && !client->watch.is_on)
        return cli_usage_error(command, "--interval says how often --watch looks");
    if (interval < INTERVAL_LEAST_MS || interval > INTERVAL_MOST_MS)
        return cli_usage_error(command, "--interval is 50ms to 60m");
    return client->watch.is_on ? keep_looking(client, question, show, interval)
                               : look(client, question, show);
}
