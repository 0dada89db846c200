/* SPDX-License-Identifier: Apache-2.0 */
/* weir proxy FROM TO…: the configuration of one site, written for you. */
#include "cli/cli.h"

#include "base/buffer.h"
#include "control/local_authority.h"
#include "control/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct proxy_arguments {
    const char *from;
    char **to;
    int to_count;
    const char *access_log;
    bool has_tls; /* with a certificate of the local authority */
    bool prints;
};

/* FROM is an address to listen on (any site), or a host name (on port 80, with TLS 443). */
static void write_site(struct buffer *out, const char *from, bool has_tls)
{
    struct slice text = slice_from_cstring(from);
    struct address address;
    bool is_address = address_parse(text, 0, &address) || slice_find(text, ':') < text.size;
    if (is_address)
        buffer_format(out, "site * {\n    listen %s%s\n", from, has_tls ? " tls" : "");
    else
        buffer_format(out, "site %s {\n", from);
    if (has_tls)
        buffer_append(out, SLICE("    tls local\n"));
}

static void write_configuration(struct buffer *out, const struct proxy_arguments *arguments)
{
    if (arguments->access_log != NULL)
        buffer_format(out, "log access {\n    to     stdout\n    format %s\n}\n\n",
                      arguments->access_log);
    if (arguments->to_count > 1) {
        buffer_append(out, SLICE("upstream servers {\n"));
        for (int i = 0; i < arguments->to_count; i++)
            buffer_format(out, "    server %s\n", arguments->to[i]);
        buffer_append(out, SLICE("}\n\n"));
    }
    write_site(out, arguments->from, arguments->has_tls);
    buffer_format(out, "    proxy %s\n}\n", arguments->to_count > 1 ? "servers" : arguments->to[0]);
}

/* Words that would be more than words in a configuration are none that an address has. */
static bool is_plain(const char *word)
{
    return word[0] != '\0' && strpbrk(word, " \t\n\r\"'{};#$\\") == NULL;
}

static int read_arguments(int argc, char **argv, struct proxy_arguments *arguments)
{
    int words = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--print-config") == 0) {
            arguments->prints = true;
        } else if (strcmp(argv[i], "--access-log") == 0 && i + 1 < argc) {
            arguments->access_log = argv[++i];
        } else if (strcmp(argv[i], "--tls") == 0 && i + 1 < argc) {
            if (strcmp(argv[++i], "local") != 0)
                return cli_usage("proxy", "--tls takes the word local, not \"%s\"", argv[i]);
            arguments->has_tls = true;
        } else if (argv[i][0] == '-') {
            return cli_usage("proxy", "unknown option \"%s\"", argv[i]);
        } else if (!is_plain(argv[i])) {
            return cli_usage("proxy", "\"%s\" is no address", argv[i]);
        } else if (words++ == 0) {
            arguments->from = argv[i];
        } else {
            arguments->to[arguments->to_count++] = argv[i];
        }
    }
    if (arguments->to_count == 0)
        return cli_usage("proxy", words == 0 ? "FROM and TO are missing" : "TO is missing");
    if (arguments->access_log != NULL && !is_plain(arguments->access_log))
        return cli_usage("proxy", "\"%s\" is no log format", arguments->access_log);
    return EXIT_DONE;
}

int command_proxy(int argc, char **argv)
{
    struct proxy_arguments arguments = {.to = memory_zero((size_t)argc * sizeof(char *))};
    int code = read_arguments(argc, argv, &arguments);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer text = buffer_in(&arena, 1024);
    if (code == EXIT_DONE) {
        write_configuration(&text, &arguments);
        if (arguments.has_tls && !arguments.prints)
            fprintf(stderr,
                    "weir: the local authority is %s; browsers and curl --cacert must be "
                    "told to trust it\n",
                    local_authority_path());
        if (arguments.prints)
            fwrite(text.data, 1, text.size, stdout);
        else
            code = run_configuration(buffer_slice(&text), "weir proxy");
    }
    arena_done(&arena);
    free(arguments.to);
    return code;
}
