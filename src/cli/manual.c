/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manual.h"

#include "cli/cli.h"
#include "control/config.h"
#include "control/config_docs.h"

/* A text that roff shows as it is; at the start of a line a dot or quote would be a request. */
static void put_text(struct buffer *out, struct slice text)
{
    if (text.size > 0 && (text.data[0] == '.' || text.data[0] == '\''))
        buffer_append(out, SLICE("\\&"));
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\\')
            buffer_append(out, SLICE("\\e"));
        else if (text.data[i] == '-')
            buffer_append(out, SLICE("\\-"));
        else
            buffer_append_byte(out, text.data[i]);
    }
}

static void put_lines(struct buffer *out, struct slice text)
{
    while (text.size > 0) {
        struct slice line = slice_first(text, slice_find(text, '\n'));
        text = slice_from(text, line.size + 1);
        put_text(out, line);
        buffer_append_byte(out, '\n');
    }
}

static void put_head(struct buffer *out, const char *name, const char *section, const char *what)
{
    buffer_format(out,
                  ".\\\" Generated from the program's tables: weir schema \\-\\-manual=%s.%s\n"
                  ".TH %s %s \"\" \"weir " WEIR_VERSION
                  "\" \"weir\"\n.ad l\n.nh\n.SH NAME\n%s \\- %s\n",
                  name, section, name, section, name, what);
}

struct collected {
    struct buffer *out;
};

static void put_usage(void *argument, const struct cli_option *options, const char *usage)
{
    struct collected *collected = argument;
    (void)options;
    buffer_append(collected->out, SLICE(".nf\n"));
    put_lines(collected->out, slice_from_cstring(usage));
    buffer_append(collected->out, SLICE(".fi\n"));
}

static void put_entries(struct buffer *out, const char *const entries[][2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append(out, SLICE(".TP\n"));
        put_lines(out, slice_from_cstring(entries[i][0]));
        put_lines(out, slice_from_cstring(entries[i][1]));
    }
}

static void write_commands(struct buffer *out)
{
    static const char *const CODES[][2] = {
        {"0", "Done."},
        {"1", "The operation failed."},
        {"2", "The command line is wrong."},
        {"69", "No weir runs there."},
        {"75", "In conflict with what is there; try again."},
        {"77", "Not permitted."},
        {"78", "The configuration is not usable."},
    };
    static const char *const VARIABLES[][2] = {
        {"WEIR_CONFIG", "The configuration, where none is named."},
        {"WEIR_ADMIN", "Where a running weir is asked: unix:/path, an address or https://..."},
        {"WEIR_ADMIN_TOKEN", "The token for an admin API over HTTP."},
        {"WEIR_ADMIN_CA", "A PEM file: who signs the certificate of an admin API over TLS, where "
                          "the system's authorities do not."},
        {"WEIR_ADMIN_CERT", "A PEM file: the certificate that it is shown."},
        {"WEIR_ADMIN_KEY", "Its key, where it does not stand in that file."},
        {"NO_COLOR", "No colours on terminals."},
        {"STATE_DIRECTORY", "Where weir keeps what it wants to find again."},
    };
    static const char *const FILES[][2] = {
        {"/etc/weir/weir.conf", "The configuration."},
        {"/run/weir/admin.sock", "The admin API."},
        {"/var/lib/weir", "Overrides, versions of the configuration, keys of local authorities."},
    };
    put_head(out, "weir", "8", "a reverse proxy");
    buffer_append(out, SLICE(".SH SYNOPSIS\n.B weir\n.I COMMAND\n[\\fIARGUMENTS\\fR]\n"
                             ".SH DESCRIPTION\n"));
    put_lines(out, SLICE("weir takes requests of clients and has servers answer them, as "
                         "weir.conf(5) says.\nWithout a command it serves the configuration that "
                         "is found: $WEIR_CONFIG,\n./weir.conf, /etc/weir/weir.conf.\n"));
    buffer_append(out, SLICE(".SH COMMANDS\n"));
    for (size_t i = 0; cli_command(i) != NULL; i++) {
        const struct cli_command *command = cli_command(i);
        struct collected collected = {out};
        buffer_format(out, ".SS weir %s\n", command->name);
        cli_collect(command->function, command->name, put_usage, &collected);
    }
    buffer_append(out, SLICE(".SH EXIT STATUS\n"));
    put_entries(out, CODES, sizeof CODES / sizeof *CODES);
    buffer_append(out, SLICE(".SH ENVIRONMENT\n"));
    put_entries(out, VARIABLES, sizeof VARIABLES / sizeof *VARIABLES);
    buffer_append(out, SLICE(".SH FILES\n"));
    put_entries(out, FILES, sizeof FILES / sizeof *FILES);
    buffer_append(out, SLICE(".SH SEE ALSO\n.BR weir.conf (5)\n"));
}

/* `words` in backquotes are bold. */
static void put_marked(struct buffer *out, struct slice text)
{
    bool is_marked = false;
    while (text.size > 0) {
        struct slice part = slice_first(text, slice_find(text, '`'));
        put_text(out, part);
        if (part.size < text.size) {
            is_marked = !is_marked;
            buffer_append(out, is_marked ? SLICE("\\fB") : SLICE("\\fR"));
        }
        text = slice_from(text, part.size + 1);
    }
    buffer_append_byte(out, '\n');
}

/* "- `name`: what it is": a paragraph with a label. */
static void put_item(struct buffer *out, struct slice item)
{
    size_t end = slice_find_slice(item, SLICE("`: "));
    buffer_append(out, SLICE(".TP\n"));
    if (end == item.size) {
        put_marked(out, item);
        return;
    }
    put_marked(out, slice_first(item, end + 1));
    put_marked(out, slice_from(item, end + 3));
}

/* The page of the reference, in the other language. */
static void write_keys(struct buffer *out)
{
    struct buffer page = buffer_in(out->arena, 65536);
    const char *name;
    bool is_code = false;
    (void)config_docs_page(config_schema(), 0, &name, &page);
    put_head(out, "weir.conf", "5", "the configuration of weir");
    buffer_append(out, SLICE(".SH DESCRIPTION\n"));
    put_lines(out, SLICE("A line is a key, its values, options as name=value, and for some keys a "
                         "block in\nbraces; # begins a comment. weir check says all that is "
                         "wrong; weir help KEY\nexplains a key.\n"));
    struct slice rest = buffer_slice(&page);
    rest = slice_from(rest, slice_find_slice(rest, SLICE("\n## ")));
    while (rest.size > 0) {
        struct slice line = slice_first(rest, slice_find(rest, '\n'));
        rest = slice_from(rest, line.size + 1);
        if (slice_equal(line, SLICE("```"))) {
            is_code = !is_code;
            buffer_append(out, is_code ? SLICE(".nf\n") : SLICE(".fi\n"));
        } else if (is_code) {
            put_lines(out, line);
        } else if (slice_starts(line, SLICE("### "))) {
            buffer_format(out, ".SS %.*s\n", SLICE_ARG(slice_from(line, 4)));
        } else if (slice_starts(line, SLICE("## "))) {
            buffer_format(out, ".SH KEYS IN: %.*s\n", SLICE_ARG(slice_from(line, 7)));
        } else if (slice_starts(line, SLICE("- "))) {
            put_item(out, slice_from(line, 2));
        } else if (slice_starts(line, SLICE("Example: "))) {
            buffer_append(out, SLICE(".PP\n"));
            put_marked(out, line);
        } else if (line.size > 0) {
            put_marked(out, line);
        }
    }
    buffer_append(out, SLICE(".SH SEE ALSO\n.BR weir (8)\n"));
}

bool manual_write(struct slice page, struct buffer *out)
{
    if (slice_equal(page, SLICE("weir.8")))
        write_commands(out);
    else if (slice_equal(page, SLICE("weir.conf.5")))
        write_keys(out);
    else
        return false;
    return true;
}
