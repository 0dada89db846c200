/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "cli/cli.h"

#include <ares.h>
#include <pcre2.h>
#include <stdio.h>

static const char USAGE[] = "usage: weir version [--verbose]\n"
                            "\n"
                            "Prints the version.\n"
                            "\n"
                            "  -v, --verbose  compiler and libraries too\n";

int command_version(int argc, char **argv)
{
    bool is_verbose = false;
    const struct cli_option table[] = {
        {"-v", NULL, &is_verbose, NULL},
        {"--verbose", NULL, &is_verbose, NULL},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 0)
        return cli_usage_error("version", "takes no \"%s\"", argv[1]);
    printf("weir " WEIR_VERSION " (%s)\n", WEIR_COMMIT);
    if (is_verbose) {
        char pcre[64] = "";
        pcre2_config(PCRE2_CONFIG_VERSION, pcre);
        printf("compiler  %s\nc-ares    %s\nPCRE2     %s\n", __VERSION__, ares_version(NULL), pcre);
    }
    return EXIT_DONE;
}
