/* SPDX-License-Identifier: Apache-2.0 */
/* weir demo: a proxy on loopback before three small servers of its own. Writes no file, but for the
 * local authority when TLS is asked for. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/demo_origin.h"
#include "control/local_authority.h"
#include "fiber/signal.h"
#include "net/socket.h"

#include <stdio.h>
#include <string.h>

static const char USAGE[] =
    "usage: weir demo [--tls=local] [--print-config]\n"
    "\n"
    "Starts three small servers, one of them slow and one failing now and then, and a proxy in\n"
    "front of them on 127.0.0.1. Writes no file (with --tls that of the local authority); Ctrl-C "
    "ends it.\n"
    "\n"
    "  --tls=local     speak TLS, with a certificate of a local authority\n"
    "  --print-config  print a configuration like the demo's instead\n";

enum {
    SERVERS = 3,
    PORT_FIRST = 8080,
    PORT_LAST = 8180,
};

static const char *const NAMES[SERVERS] = {"demo-1", "demo-2 (slow)",
                                           "demo-3 (failing now and then)"};

/* The first port from 8080 on that nobody listens on. */
static uint16_t free_port(void)
{
    for (unsigned port = PORT_FIRST; port <= PORT_LAST; port++) {
        struct address address;
        const char *error;
        char text[32];
        snprintf(text, sizeof text, "127.0.0.1:%u", port);
        if (!address_parse(slice_from_cstring(text), 0, &address) ||
            socket_probe(&address, &error) != OK)
            continue;
        return (uint16_t)port;
    }
    return 0;
}

static void write_configuration(struct buffer *out, uint16_t port, const struct address *servers,
                                bool has_tls)
{
    buffer_append(out,
                  SLICE("# The demo of weir: three servers, one slow, one failing now and then.\n"
                        "upstream demo {\n"));
    for (int i = 0; i < SERVERS; i++) {
        char text[ADDRESS_TEXT_MAX];
        struct slice address = address_format(&servers[i], text);
        buffer_format(out, "    server %.*s\n", SLICE_ARG(address));
    }
    buffer_format(out,
                  "}\n\nsite * {\n    listen 127.0.0.1:%u%s\n"
                  "%s    header set X-Demo weir\n"
                  "    error_page 502 503 504 \"no demo server answers\\n\" type=text/plain\n"
                  "    proxy demo tries=3\n}\n",
                  port, has_tls ? " tls" : "", has_tls ? "    tls local\n" : "");
}

static void introduce(uint16_t port, bool has_tls)
{
    const char *s = has_tls ? "s" : "";
    fprintf(
        stderr,
        "\n  proxy   http%s://127.0.0.1:%u      %d demo servers behind it, 1 slow, 1 failing now "
        "and then\n"
        "  try     curl -i http%s://127.0.0.1:%u/api/hello      (balanced, retried)\n"
        "          curl -N http%s://127.0.0.1:%u/sse     ws%s://127.0.0.1:%u/chat\n"
        "%s%s%s"
        "  config  weir demo --print-config > weir.conf     then: weir run\n\n"
        "Ctrl-C stops it and leaves nothing behind%s.\n\n",
        s, port, SERVERS, s, port, s, port, s, port,
        has_tls ? "  trust   the local authority: curl --cacert " : "",
        has_tls ? local_authority_path() : "", has_tls ? "\n" : "",
        has_tls ? " but the local authority" : "");
}

/* What is printed is to be kept: it names three servers of the reader's own to be filled in. */
static int print(bool has_tls)
{
    struct arena arena;
    struct address servers[SERVERS];
    arena_init(&arena, NULL, 0);
    struct buffer text = buffer_in(&arena, 1024);
    for (int i = 0; i < SERVERS; i++) {
        char address[32];
        snprintf(address, sizeof address, "127.0.0.1:%d", 3000 + i);
        if (!address_parse(slice_from_cstring(address), 0, &servers[i]))
            continue;
    }
    write_configuration(&text, PORT_FIRST, servers, has_tls);
    fwrite(text.data, 1, text.size, stdout);
    arena_done(&arena);
    return EXIT_DONE;
}

static int demonstrate(bool has_tls)
{
    uint16_t port = free_port();
    if (port == 0) {
        fprintf(stderr, "weir: no port from %d to %d is free\n", PORT_FIRST, PORT_LAST);
        return EXIT_FAILED;
    }
    signal_block_all(); /* the servers' threads must not take those for control */
    struct demo_origin *origins[SERVERS];
    struct address addresses[SERVERS];
    for (int i = 0; i < SERVERS; i++)
        if (demo_origin_start(NAMES[i], (enum demo_mood)i, &origins[i], &addresses[i]) != OK) {
            fprintf(stderr, "weir: a demo server could not be started\n");
            return EXIT_FAILED;
        }
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer text = buffer_in(&arena, 1024);
    write_configuration(&text, port, addresses, has_tls);
    introduce(port, has_tls);
    int code = run_configuration(buffer_slice(&text), "weir demo");
    for (int i = 0; i < SERVERS; i++)
        demo_origin_stop(origins[i]);
    arena_done(&arena);
    return code;
}

int command_demo(int argc, char **argv)
{
    bool prints = false;
    const char *tls = NULL;
    const struct cli_option table[] = {
        {"--tls", "local", NULL, &tls},
        {"--print-config", NULL, &prints, NULL},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 0)
        return cli_usage_error("demo", "takes no \"%s\"", argv[1]);
    if (tls != NULL && strcmp(tls, "local") != 0)
        return cli_usage_error("demo", "--tls takes the word local, not \"%s\"", tls);
    return prints ? print(tls != NULL) : demonstrate(tls != NULL);
}
