/* SPDX-License-Identifier: Apache-2.0 */
/* weir proxy FROM TO…: the configuration of one site, written for you. */
#include "cli/cli.h"

#include "base/buffer.h"
#include "control/local_authority.h"
#include "control/snapshot.h"

#include <stdio.h>
#include <string.h>

static const char USAGE[] =
    "usage: weir proxy FROM TO... [--tls=local] [--access-log=FORMAT] [--print-config]\n"
    "\n"
    "Proxies without a configuration file. FROM is an address to listen on (:8080,\n"
    "127.0.0.1:8080) or a host name (served on port 80, with --tls on 443); TO are the servers.\n"
    "\n"
    "  --tls=local          speak TLS, with a certificate of a local authority\n"
    "  --access-log=FORMAT  a line for each request on stdout: json, combined or common\n"
    "  --print-config       print the configuration instead of serving it\n";

struct proxy_arguments {
    const char *from;
    char **to;
    int to_count;
    const char *access_log;
    const char *tls; /* local: with a certificate of the local authority; NULL: none */
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
    write_site(out, arguments->from, arguments->tls != NULL);
    buffer_format(out, "    proxy %s\n}\n", arguments->to_count > 1 ? "servers" : arguments->to[0]);
}

/* Words that would be more than words in a configuration are none that an address has. */
static bool is_plain(const char *word)
{
    return word[0] != '\0' && strpbrk(word, " \t\n\r\"'{};#$\\") == NULL;
}

static int check_words(const struct proxy_arguments *arguments)
{
    if (arguments->to_count < 1)
        return cli_usage_error("proxy", arguments->from == NULL ? "FROM and TO are missing"
                                                                : "TO is missing");
    if (arguments->from == NULL || !is_plain(arguments->from))
        return cli_usage_error("proxy", "\"%s\" is no address", arguments->from);
    for (int i = 0; i < arguments->to_count; i++)
        if (!is_plain(arguments->to[i]))
            return cli_usage_error("proxy", "\"%s\" is no address", arguments->to[i]);
    if (arguments->access_log != NULL && !is_plain(arguments->access_log))
        return cli_usage_error("proxy", "\"%s\" is no log format", arguments->access_log);
    if (arguments->tls != NULL && strcmp(arguments->tls, "local") != 0)
        return cli_usage_error("proxy", "--tls takes the word local, not \"%s\"", arguments->tls);
    return -1;
}

int command_proxy(int argc, char **argv)
{
    struct proxy_arguments arguments = {0};
    const struct cli_option table[] = {
        {"--tls", "local", NULL, &arguments.tls},
        {"--access-log", "FORMAT", NULL, &arguments.access_log},
        {"--print-config", NULL, &arguments.prints, NULL},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    arguments.from = count > 0 ? argv[1] : NULL;
    arguments.to = argv + 2;
    arguments.to_count = count - 1;
    code = check_words(&arguments);
    if (code >= 0)
        return code;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer text = buffer_in(&arena, 1024);
    write_configuration(&text, &arguments);
    if (arguments.tls != NULL && !arguments.prints)
        fprintf(stderr,
                "weir: the local authority is %s; browsers and curl --cacert must be told to trust "
                "it\n",
                local_authority_path());
    code = EXIT_DONE;
    if (arguments.prints)
        fwrite(text.data, 1, text.size, stdout);
    else
        code = run_configuration(buffer_slice(&text), "weir proxy");
    arena_done(&arena);
    return code;
}
