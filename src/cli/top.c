/* SPDX-License-Identifier: Apache-2.0 */
/* weir top: a screen of what a running weir does, drawn anew each second. */
#include "base/json.h"
#include "cli/config_args.h"
#include "cli/top_numbers.h"
#include "fiber/terminal.h"

#include <stdio.h>
#include <stdlib.h>

static const char USAGE[] =
    "usage: weir top [OPTIONS]\n"
    "\n"
    "Shows what a running weir does: requests, times and errors of its sites and servers, and the\n"
    "latest events. Keys: q ends, p pauses, s sorts by another column, 1 shows all, 2 sites, 3\n"
    "servers, 4 events; / takes a text: only sites, servers and events with it are shown, Enter "
    "keeps\n"
    "it, Escape takes it away.\n"
    "\n"
    "  --once           one screen, and the end\n"
    "  --filter=TEXT    only sites, servers and events with that text\n"
    "  --interval=TIME  between two looks: 1s, 500ms; 1s when it is left out\n" //
    ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong command line, 69 no weir runs, 77 not permitted.\n";

enum {
    FILTER_MAX = 60,
    KEY_ESCAPE = 27,
    KEY_BACKSPACE = 127,
};

enum view { VIEW_ALL, VIEW_SITES, VIEW_SERVERS, VIEW_EVENTS };
enum sort { SORT_REQUESTS, SORT_ERRORS, SORT_TIME, SORT_NAME, SORTS };
static const char *const SORT_NAMES[] = {"requests", "errors", "p99", "name"};

struct screen {
    struct admin_client client;
    struct top *top;
    struct buffer out; /* of the client's arena */
    int rows, columns;
    enum view view;
    enum sort sort;
    char filter[FILTER_MAX + 1];
    bool is_typing; /* it, key by key */
    bool is_paused, is_once, is_terminal, with_colour;
    int64_t interval; /* ms */
};

/* "1,734", "12.3k", "4.5M". */
static void put_number(struct buffer *out, double number, int width)
{
    char text[32];
    if (number >= 1e9)
        (void)snprintf(text, sizeof text, "%.1fG", number / 1e9);
    else if (number >= 1e6)
        (void)snprintf(text, sizeof text, "%.1fM", number / 1e6);
    else if (number >= 1e4)
        (void)snprintf(text, sizeof text, "%.1fk", number / 1e3);
    else
        (void)snprintf(text, sizeof text, "%.0f", number);
    buffer_format(out, "%*s", width, text);
}

static void put_time(struct buffer *out, double ms, int width)
{
    char text[32] = "-";
    if (ms >= 10000)
        (void)snprintf(text, sizeof text, "%.0fs", ms / 1000);
    else if (ms >= 1000)
        (void)snprintf(text, sizeof text, "%.1fs", ms / 1000);
    else if (ms >= 10)
        (void)snprintf(text, sizeof text, "%.0fms", ms);
    else if (ms >= 0)
        (void)snprintf(text, sizeof text, "%.1fms", ms);
    buffer_format(out, "%*s", width, text);
}

static void put_share(struct buffer *out, double part, double whole, int width)
{
    if (whole > 0)
        buffer_format(out, "%*.1f%%", width - 1, part * 100 / whole);
    else
        buffer_format(out, "%*s", width, "-");
}

static double rate(const struct screen *s, double count)
{
    return s->top->seconds > 0 ? count / s->top->seconds : 0;
}

static void put_history(struct screen *s)
{
    static const char *const BARS[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double most = 1;
    for (size_t i = 0; i < TOP_HISTORY; i++)
        if (s->top->history[i] > most)
            most = s->top->history[i];
    for (size_t i = 0; i < TOP_HISTORY; i++) {
        size_t bar = (size_t)(s->top->history[i] * 7 / most);
        buffer_append(&s->out, slice_from_cstring(BARS[bar > 7 ? 7 : bar]));
    }
}

static void put_head(struct screen *s)
{
    const struct top *top = s->top;
    const struct top_counts *all = &top->all;
    double cpu = top->seconds > 0 ? (top->cpu - top->cpu_before) / top->seconds : 0;
    buffer_format(&s->out,
                  "weir %s  up %s  version %.0f  %.0f workers  cpu %.0f%%  rss %.0f MiB%s\n",
                  top->version, top->age, top->version_config, top->workers, cpu * 100,
                  top->resident / 1048576, s->is_paused ? "  PAUSED" : "");
    buffer_append(&s->out, SLICE("req/s "));
    put_number(&s->out, rate(s, all->requests), 0);
    buffer_append_byte(&s->out, ' ');
    put_history(s);
    buffer_append(&s->out, SLICE("  p50 "));
    put_time(&s->out, top_quantile(top, all, 0.5), 0);
    buffer_append(&s->out, SLICE("  p99 "));
    put_time(&s->out, top_quantile(top, all, 0.99), 0);
    buffer_append(&s->out, SLICE("  4xx "));
    put_share(&s->out, all->classes[4], all->requests, 0);
    buffer_append(&s->out, SLICE("  5xx "));
    put_share(&s->out, all->classes[5], all->requests, 0);
    buffer_format(&s->out, "  conns %.0f\n\n", top->connections);
}

static const struct screen *sorted_for; /* qsort takes no argument */

static double sort_key(const struct top_row *row)
{
    switch (sorted_for->sort) {
    case SORT_ERRORS:
        return row->since.classes[5];
    case SORT_TIME:
        return top_quantile(sorted_for->top, &row->since, 0.99);
    default:
        return row->since.requests;
    }
}

static int compare(const void *a, const void *b)
{
    const struct top_row *left = *(const struct top_row *const *)a;
    const struct top_row *right = *(const struct top_row *const *)b;
    double difference = sorted_for->sort == SORT_NAME ? 0 : sort_key(right) - sort_key(left);
    if (difference > 0 || difference < 0)
        return difference > 0 ? 1 : -1;
    int upstream = strcmp(left->upstream, right->upstream);
    return upstream != 0 ? upstream : strcmp(left->name, right->name);
}

static bool is_shown(const struct screen *s, const char *text)
{
    return strcasestr(text, s->filter) != NULL;
}

/* Those that the filter shows; *count becomes how many. */
static const struct top_row **sorted(struct screen *s, const struct top_row *rows, size_t *count)
{
    const struct top_row **list = arena_alloc(&s->client.arena, (*count + 1) * sizeof *list);
    size_t shown = 0;
    for (size_t i = 0; i < *count; i++)
        if (is_shown(s, rows[i].name) ||
            (rows[i].upstream[0] != '\0' && is_shown(s, rows[i].upstream)))
            list[shown++] = &rows[i];
    sorted_for = s;
    qsort(list, shown, sizeof *list, compare);
    *count = shown;
    return list;
}

static void put_sites(struct screen *s, size_t most)
{
    const struct top *top = s->top;
    size_t count = top->sites_count;
    const struct top_row **rows = sorted(s, top->sites, &count);
    buffer_format(&s->out, "%-28s %8s %8s %8s %6s %6s %6s %8s %8s %6s\n", "SITE", "REQ/S", "P50",
                  "P99", "2XX", "4XX", "5XX", "IN/s", "OUT/s", "OPEN");
    for (size_t i = 0; i < count && i < most; i++) {
        const struct top_counts *c = &rows[i]->since;
        buffer_format(&s->out, "%-28.28s ", rows[i]->name);
        put_number(&s->out, rate(s, c->requests), 8);
        put_time(&s->out, top_quantile(top, c, 0.5), 9);
        put_time(&s->out, top_quantile(top, c, 0.99), 9);
        put_share(&s->out, c->classes[2], c->requests, 7);
        put_share(&s->out, c->classes[4], c->requests, 7);
        put_share(&s->out, c->classes[5], c->requests, 7);
        put_number(&s->out, rate(s, c->bytes_in), 9);
        put_number(&s->out, rate(s, c->bytes_out), 9);
        put_number(&s->out, rows[i]->active, 7);
        buffer_append_byte(&s->out, '\n');
    }
    buffer_append_byte(&s->out, '\n');
}

static void put_servers(struct screen *s, size_t most)
{
    const struct top *top = s->top;
    size_t count = top->servers_count;
    const struct top_row **rows = sorted(s, top->servers, &count);
    buffer_format(&s->out, "%-16s %-24s %-12s %6s %6s %8s %6s %8s %8s\n", "UPSTREAM", "SERVER",
                  "STATE", "ACTIVE", "IDLE", "REQ/S", "FAIL", "P50", "P99");
    for (size_t i = 0; i < count && i < most; i++) {
        const struct top_counts *c = &rows[i]->since;
        buffer_format(&s->out, "%-16.16s %-24.24s %-12.12s %6.0f %6.0f ", rows[i]->upstream,
                      rows[i]->name, rows[i]->state, rows[i]->active, rows[i]->idle);
        put_number(&s->out, rate(s, c->requests), 8);
        put_share(&s->out, c->classes[5], c->requests, 7);
        put_time(&s->out, top_quantile(top, c, 0.5), 9);
        put_time(&s->out, top_quantile(top, c, 0.99), 9);
        buffer_append_byte(&s->out, '\n');
    }
    buffer_append_byte(&s->out, '\n');
}

static void put_events(struct screen *s)
{
    bool has_head = false;
    for (size_t i = 0; i < s->top->events_count; i++) {
        if (!is_shown(s, s->top->events[i]))
            continue;
        buffer_format(&s->out, "%s%s\n", has_head ? "" : "EVENTS\n", s->top->events[i]);
        has_head = true;
    }
}

/* The text in lines that fit, on a screen that is overwritten line by line: it does not flicker. */
static void show(struct screen *s)
{
    struct slice rest = buffer_slice(&s->out);
    if (!s->is_terminal) {
        cli_print(rest);
        (void)fflush(stdout);
        return;
    }
    (void)fputs("\033[H", stdout);
    for (int row = 0; row < s->rows && rest.size > 0; row++) {
        struct slice line = slice_first(rest, slice_find(rest, '\n'));
        size_t size = 0;
        rest = slice_from(rest, line.size + 1);
        for (int column = 0; size < line.size; size++) {
            bool is_first = ((unsigned char)line.data[size] & 0xc0) != 0x80; /* of a character */
            if (is_first && ++column > s->columns)
                break;
        }
        bool is_head = slice_starts(line, SLICE("SITE ")) ||
                       slice_starts(line, SLICE("UPSTREAM ")) || slice_equal(line, SLICE("EVENTS"));
        printf("%s%.*s%s\033[K%s", is_head ? "\033[7m" : "", (int)size, line.data,
               is_head ? "\033[0m" : "", row + 1 < s->rows ? "\r\n" : "");
    }
    (void)fputs("\033[J", stdout);
    (void)fflush(stdout);
}

static void draw(struct screen *s)
{
    s->rows = 24;
    s->columns = 80;
    if (s->is_terminal)
        terminal_size(&s->rows, &s->columns);
    s->out = buffer_in(&s->client.arena, 8192);
    size_t room = s->is_terminal ? (size_t)(s->rows > 10 ? s->rows - 7 : 3) : TOP_ROWS_MAX;
    put_head(s);
    if (s->view == VIEW_ALL || s->view == VIEW_SITES)
        put_sites(s, s->view == VIEW_ALL ? room / 3 : room);
    if (s->view == VIEW_ALL || s->view == VIEW_SERVERS)
        put_servers(s, s->view == VIEW_ALL ? room / 3 : room);
    if (s->view == VIEW_ALL || s->view == VIEW_EVENTS)
        put_events(s);
    if (s->is_terminal && (s->is_typing || s->filter[0] != '\0'))
        buffer_format(&s->out, "\n/%s%s\n", s->filter, s->is_typing ? "_" : "  (Escape: show all)");
    else if (s->is_terminal)
        buffer_format(
            &s->out,
            "\nq quit  p pause  s sort: %s  / filter  1 all  2 sites  3 servers  4 events\n",
            SORT_NAMES[s->sort]);
    show(s);
}

static void json_counts(const struct screen *s, const struct top_counts *c)
{
    printf("\"rate\":%.1f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"rate_4xx\":%.1f,\"rate_5xx\":%.1f",
           rate(s, c->requests), top_quantile(s->top, c, 0.5), top_quantile(s->top, c, 0.99),
           rate(s, c->classes[4]), rate(s, c->classes[5]));
}

static void json_text(struct screen *s, const char *name, const char *text)
{
    struct buffer out = buffer_in(&s->client.arena, 128);
    json_string(&out, slice_from_cstring(text));
    printf("\"%s\":%.*s,", name, SLICE_ARG(buffer_slice(&out)));
}

static void write_json(struct screen *s)
{
    const struct top *top = s->top;
    printf("{\"seconds\":%.3f,\"connections\":%.0f,\"resident\":%.0f,\"version\":%.0f,",
           top->seconds, top->connections, top->resident, top->version_config);
    json_counts(s, &top->all);
    printf(",\"sites\":[");
    const char *comma = "";
    for (size_t i = 0; i < top->sites_count; i++) {
        if (!is_shown(s, top->sites[i].name))
            continue;
        printf("%s{", comma);
        comma = ",";
        json_text(s, "name", top->sites[i].name);
        json_counts(s, &top->sites[i].since);
        printf(",\"in_flight\":%.0f}", top->sites[i].active);
    }
    printf("],\"servers\":[");
    comma = "";
    for (size_t i = 0; i < top->servers_count; i++) {
        if (!is_shown(s, top->servers[i].name) && !is_shown(s, top->servers[i].upstream))
            continue;
        printf("%s{", comma);
        comma = ",";
        json_text(s, "upstream", top->servers[i].upstream);
        json_text(s, "server", top->servers[i].name);
        json_text(s, "state", top->servers[i].state);
        json_counts(s, &top->servers[i].since);
        printf(",\"active\":%.0f,\"idle\":%.0f}", top->servers[i].active, top->servers[i].idle);
    }
    printf("]}\n");
    (void)fflush(stdout);
}

/* A key of the filter's text. */
static void type(struct screen *s, int key)
{
    size_t size = strlen(s->filter);
    if (key == KEY_ESCAPE)
        s->filter[0] = '\0';
    if (key == KEY_ESCAPE || key == '\r' || key == '\n')
        s->is_typing = false;
    if ((key == KEY_BACKSPACE || key == '\b') && size > 0)
        s->filter[size - 1] = '\0';
    if (key >= ' ' && key < KEY_BACKSPACE && size < FILTER_MAX) {
        s->filter[size] = (char)key;
        s->filter[size + 1] = '\0';
    }
}

static void press(struct screen *s, int key)
{
    if (s->is_typing) {
        type(s, key);
        return;
    }
    if (key == '/')
        s->is_typing = true;
    if (key == KEY_ESCAPE)
        s->filter[0] = '\0';
    if (key >= '1' && key <= '4')
        s->view = (enum view)(key - '1');
    if (key == 's')
        s->sort = (enum sort)((s->sort + 1) % SORTS);
    if (key == 'p')
        s->is_paused = !s->is_paused;
}

static void forget_memory(struct admin_client *client)
{
    arena_done(&client->arena);
    arena_init(&client->arena, NULL, 0);
}

static int watch(struct screen *s)
{
    int code = top_look(s->top, &s->client);
    if (code != EXIT_DONE)
        return code;
    if (s->is_terminal) {
        terminal_enter();
        draw(s);
    }
    for (;;) {
        int key = terminal_key(s->is_terminal, s->interval);
        if ((key == 'q' && !s->is_typing) || key == TERMINAL_END)
            break;
        press(s, key);
        forget_memory(&s->client);
        if (!s->is_paused)
            code = top_look(s->top, &s->client);
        if (code != EXIT_DONE)
            break;
        if (s->client.json)
            write_json(s);
        else
            draw(s);
        if (s->is_once)
            break;
    }
    terminal_leave();
    return code;
}

int command_top(int argc, char **argv)
{
    static struct top top; /* too large for a frame */
    struct screen s = {.top = &top};
    const char *interval = NULL, *filter = NULL;
    int count;
    admin_client_init(&s.client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(s.client),
        {"--once", NULL, &s.is_once, NULL},
        {"--interval", "TIME", NULL, &interval},
        {"--filter", "TEXT", NULL, &filter},
        {0},
    };
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code < 0 && filter != NULL && strlen(filter) > FILTER_MAX)
        code = cli_usage_error("top", "--filter is at most 60 bytes");
    else if (filter != NULL)
        (void)snprintf(s.filter, sizeof s.filter, "%s", filter);
    s.interval = interval == NULL ? 1000 : admin_duration(interval) / 1000000;
    if (code < 0 && count > 0)
        code = cli_usage_error("top", "takes no \"%s\"", argv[1]);
    if (code < 0 && (s.interval < 50 || s.interval > 3600000))
        code = cli_usage_error("top", "--interval is 50ms to 60m");
    if (code < 0) {
        s.is_terminal = !s.is_once && !s.client.json && terminal_is_there();
        terminal_watch_end();
        code = watch(&s);
    }
    return admin_client_end(&s.client, code);
}
