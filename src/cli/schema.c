/* SPDX-License-Identifier: Apache-2.0 */
/* weir schema: the language as data. */
#include "cli/config_args.h"
#include "cli/manual.h"
#include "control/config_docs.h"

static const char USAGE[] =
    "usage: weir schema [--keys|--reference=PAGE|--manual=PAGE]\n"
    "\n"
    "Prints the JSON Schema of the configuration's JSON form.\n"
    "\n"
    "  --keys            a line for each key instead\n"
    "  --reference=PAGE  a page of the reference: keys.md, errors.md or placeholders.md\n"
    "  --manual=PAGE     a manual page: weir.8 or weir.conf.5\n";

static bool print_page(const char *wanted, struct buffer *out)
{
    const char *name;
    for (size_t i = 0;; i++) {
        out->size = 0;
        if (!config_docs_page(config_schema(), i, &name, out))
            return false;
        if (strcmp(name, wanted) == 0)
            return true;
    }
}

int command_schema(int argc, char **argv)
{
    bool is_list = false;
    const char *page = NULL;
    const char *manual = NULL;
    const struct cli_option table[] = {
        {"--keys", NULL, &is_list, NULL},
        {"--reference", "PAGE", NULL, &page},
        {"--manual", "PAGE", NULL, &manual},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 0)
        return cli_usage_error("schema", "takes no file");
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer out = buffer_in(&arena, 16384);
    bool is_good = true;
    if (manual != NULL)
        is_good = manual_write(slice_from_cstring(manual), &out);
    else if (page != NULL)
        is_good = print_page(page, &out);
    else if (is_list)
        config_docs_list(config_schema(), &out);
    else
        config_docs_schema(config_schema(), &out);
    code = EXIT_DONE;
    if (is_good)
        cli_print(buffer_slice(&out));
    else
        code = cli_usage_error("schema", "there is no page %s", manual != NULL ? manual : page);
    arena_done(&arena);
    return code;
}
