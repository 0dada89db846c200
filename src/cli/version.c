/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "cli/cli.h"

#include <ares.h>
#include <pcre2.h>
#include <stdio.h>

int command_version(int argc, char **argv)
{
    bool is_verbose =
        argc == 2 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--verbose") == 0);
    if (argc > 1 && !is_verbose)
        return cli_usage("version", "unknown argument \"%s\"", argv[1]);
    printf("weir 0.1.0 (%s)\n", WEIR_COMMIT);
    if (is_verbose) {
        char pcre[64] = "";
        pcre2_config(PCRE2_CONFIG_VERSION, pcre);
        printf("compiler  %s\nc-ares    %s\nPCRE2     %s\n", __VERSION__, ares_version(NULL), pcre);
    }
    return EXIT_DONE;
}
