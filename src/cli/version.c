/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/json.h"
#include "cli/config_args.h"

#include <ares.h>
#include <pcre2.h>
#include <stdio.h>

static const char USAGE[] = "usage: weir version [--verbose] [--json]\n"
                            "\n"
                            "Prints the version.\n"
                            "\n"
                            "  -v, --verbose  compiler and libraries too\n"
                            "  --json         all of that, as one JSON object\n";

static void print_json(const char *pcre)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer out = buffer_in(&arena, 512);
    buffer_append_byte(&out, '{');
    json_field(&out, "version", SLICE(WEIR_VERSION));
    json_field(&out, "commit", SLICE(WEIR_COMMIT));
    json_field(&out, "compiler", SLICE(__VERSION__));
    json_field(&out, "c-ares", slice_from_cstring(ares_version(NULL)));
    json_field(&out, "pcre2", slice_from_cstring(pcre));
    buffer_append(&out, SLICE("}\n"));
    cli_print(buffer_slice(&out));
    arena_done(&arena);
}

int command_version(int argc, char **argv)
{
    bool is_verbose = false;
    bool json = false;
    char pcre[64] = "";
    const struct cli_option table[] = {
        {"-v", NULL, &is_verbose, NULL},
        {"--verbose", NULL, &is_verbose, NULL},
        {"--json", NULL, &json, NULL},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 0)
        return cli_usage_error("version", "takes no \"%s\"", argv[1]);
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    if (json) {
        print_json(pcre);
        return EXIT_DONE;
    }
    printf("weir " WEIR_VERSION " (%s)\n", WEIR_COMMIT);
    if (is_verbose)
        printf("compiler  %s\nc-ares    %s\nPCRE2     %s\n", __VERSION__, ares_version(NULL), pcre);
    return EXIT_DONE;
}
