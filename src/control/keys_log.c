/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of logs, and the checks of what they say. */
#include "control/config_build.h"

#include "base/clock.h"
#include "control/access_log.h"
#include "control/log_target.h"

static const char *const LOG_KINDS[] = {"access", "error", "audit", NULL};
static const char *const LOG_LEVELS[] = {"debug", "info", "warn", "error", NULL};

static const struct option LOG_ARGUMENTS[] = {
    {.name = "kind",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .words = LOG_KINDS,
     .offset = offsetof(struct log_config, kind),
     .doc = "access: a line for each exchange, and there may be several such logs; error: what "
            "went wrong; audit: what operators change, which is part of the error log otherwise."},
    {0},
};
static const struct option LOG_OPTIONS[] = {
    {.name = "to",
     .type = OPTION_STRING,
     .standard = "stderr",
     .offset = offsetof(struct log_config, to),
     .doc = "stdout, stderr, file:PATH, journal (or journal:PATH of its socket), syslog (the "
            "system's, or syslog:unix:PATH, syslog:IP:PORT by UDP, syslog:tcp:IP:PORT)."},
    {.name = "format",
     .type = OPTION_STRING,
     .standard = "json",
     .offset = offsetof(struct log_config, format),
     .doc = "How a line of the access log looks: json, combined, common, or a template in quotes "
            "with the names of the JSON keys in braces, and {header.NAME}."},
    {.name = "level",
     .type = OPTION_ENUM,
     .standard = "info",
     .words = LOG_LEVELS,
     .offset = offsetof(struct log_config, level),
     .doc = "The least important lines that the error log shows."},
    {.name = "sample",
     .type = OPTION_STRING,
     .standard = "1/1",
     .offset = offsetof(struct log_config, sample),
     .doc = "1/N: of the exchanges that the access log would show one of N, by chance."},
    {.name = "buffer",
     .type = OPTION_SIZE,
     .standard = "64KiB",
     .min = 4096,
     .max = 64 * 1024 * 1024,
     .offset = offsetof(struct log_config, buffer),
     .doc = "How much of the access log a worker gathers before it hands it over; 8 MiB wait for "
            "a target, and what comes then is dropped and counted."},
    {.name = "flush",
     .type = OPTION_DURATION,
     .standard = "1s",
     .min = MILLISECONDS(10),
     .max = SECONDS(60),
     .offset = offsetof(struct log_config, flush),
     .doc = "How long a line is kept by its worker at most."},
    {0},
};
static const struct option ONLY_ARGUMENTS[] = {
    {.name = "status",
     .type = OPTION_STATUS_RANGE,
     .flags = OPTION_MANY,
     .offset = offsetof(struct log_only_config, statuses),
     .doc = "Statuses, ranges or classes: 404 500-504 5xx; 499: the client went away."},
    {0},
};
static const struct option ONLY_OPTIONS[] = {
    {.name = "slow",
     .type = OPTION_DURATION,
     .min = MILLISECONDS(1),
     .max = SECONDS(INT32_MAX),
     .offset = offsetof(struct log_only_config, slow),
     .doc = "Also those that took so long."},
    {.name = "failed",
     .type = OPTION_FLAG,
     .offset = offsetof(struct log_only_config, failed),
     .doc = "Also those with a reason: refused, broken off, or not answered by a server."},
    {0},
};
static const struct option MASK_OPTIONS[] = {
    {.name = "v4",
     .type = OPTION_INT,
     .standard = "24",
     .max = 32,
     .offset = offsetof(struct log_mask_config, v4),
     .doc = "Bits of an IPv4 address."},
    {.name = "v6",
     .type = OPTION_INT,
     .standard = "48",
     .max = 128,
     .offset = offsetof(struct log_mask_config, v6),
     .doc = "Bits of an IPv6 address."},
    {0},
};
static const struct option REDACT_ARGUMENTS[] = {
    {.name = "parameter",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct words_config, words),
     .doc = "Names, whatever their case."},
    {0},
};

static const struct key LOG = {
    .name = "log",
    .contexts = IN_TOP,
    .flags = KEY_MANY | KEY_SECTION | KEY_BARE,
    .inner = IN_LOG,
    .arguments = LOG_ARGUMENTS,
    .options = LOG_OPTIONS,
    .config_size = sizeof(struct log_config),
    .doc = "Where logs go. There is no access log unless one is written; the error log goes to "
           "stderr.",
    .example = "log access to=file:/var/log/weir/access.log format=json",
    .since = "0.1",
};
static const struct key ONLY = {
    .name = "only",
    .contexts = IN_LOG,
    .arguments = ONLY_ARGUMENTS,
    .options = ONLY_OPTIONS,
    .config_size = sizeof(struct log_only_config),
    .doc = "Which exchanges the access log shows: those of which one of these is true.",
    .example = "only 5xx slow=1s failed",
    .since = "0.1",
};
static const struct key MASK_IP = {
    .name = "mask_ip",
    .contexts = IN_LOG,
    .options = MASK_OPTIONS,
    .config_size = sizeof(struct log_mask_config),
    .doc = "The access log shows only the beginning of clients' addresses, the rest is zero.",
    .example = "mask_ip v4=24 v6=48",
    .since = "0.1",
};
static const struct key REDACT = {
    .name = "redact",
    .contexts = IN_LOG,
    .arguments = REDACT_ARGUMENTS,
    .config_size = sizeof(struct words_config),
    .doc = "Parameters of queries whose values the access log does not show, in the URI and in the "
           "referer.",
    .example = "redact token password",
    .since = "0.1",
};
const struct key *const KEYS_LOG[] = {&LOG, &ONLY, &MASK_IP, &REDACT, NULL};

/* Where an option is written, beside its key or on a line of its own; else the key. */
static struct config_place place_of(const struct config_item *item, const char *name)
{
    struct slice option = slice_from_cstring(name);
    for (size_t i = 0; i < item->node->options_count; i++)
        if (slice_equal(item->node->options[i].name.text, option))
            return item->node->options[i].value.place;
    for (const struct config_node *line = item->node->children; line != NULL; line = line->next)
        if (slice_equal(line->name, option) && line->values_count > 0)
            return line->values[0].place;
    return item->node->place;
}

static void report_again(struct builder *builder, const struct config_item *item,
                         const struct config_item *before)
{
    const struct config_word *word = &item->node->values[0];
    struct config_error *error =
        CONFIG_REPORT(builder->errors, CONFIG_NAME_TWICE, word->place, SLICE("log"), word->text);
    config_error_note(builder->errors, error, "first defined at line %u", before->node->place.line);
}

static void check_to(struct builder *builder, const struct config_item *item)
{
    const struct log_config *log = item->config;
    const char *why = log_target_look(log->to);
    if (why == NULL)
        return;
    struct config_error *error =
        CONFIG_REPORT(builder->errors, CONFIG_LOG_TO, place_of(item, "to"), log->to);
    config_error_note(builder->errors, error, "%s", why);
}

static void report_format(struct builder *builder, const struct config_item *item, struct slice bad,
                          const char *why)
{
    const struct log_config *log = item->config;
    struct slice name = slice_of(bad.data + 1, bad.size < 2 ? 0 : bad.size - 2);
    struct slice like = access_log_field_like(name);
    bool is_placeholder = bad.size > 2 && bad.data[0] == '{' && bad.size < log->format.size + 1 &&
                          bad.data[bad.size - 1] == '}';
    if (!is_placeholder) {
        CONFIG_REPORT(builder->errors, CONFIG_LOG_FORMAT, place_of(item, "format"), log->format,
                      slice_from_cstring(why));
        return;
    }
    struct config_error *error =
        CONFIG_REPORT(builder->errors, CONFIG_PLACEHOLDER, place_of(item, "format"), name);
    if (like.size > 0)
        config_error_note(builder->errors, error, "did you mean {%.*s}?", SLICE_ARG(like));
    else
        config_error_note(builder->errors, error, "%s", why);
}

static bool read_sample(struct slice text, int64_t *share)
{
    uint64_t number;
    if (!slice_starts(text, SLICE("1/")) || !slice_to_u64(slice_from(text, 2), 1000000, &number) ||
        number == 0)
        return false;
    *share = (int64_t)number;
    return true;
}

static void build_inner(const struct config_block *block, struct access_log_config *to)
{
    const struct config_item *only = config_block_find(block, "only", 0);
    const struct config_item *mask = config_block_find(block, "mask_ip", 0);
    const struct config_item *redact = config_block_find(block, "redact", 0);
    to->only.any = true;
    if (only != NULL) {
        const struct log_only_config *config = only->config;
        for (size_t i = 0; i < config->statuses.count; i++)
            log_condition_add_status(&to->only, config->statuses.items[i]);
        to->only.slow = config->slow;
        to->only.failed = config->failed;
    }
    if (mask != NULL) {
        const struct log_mask_config *config = mask->config;
        to->shape.mask_v4 = (int)config->v4;
        to->shape.mask_v6 = (int)config->v6;
    }
    if (redact != NULL)
        to->shape.redact = ((const struct words_config *)redact->config)->words;
}

static void check_only(struct builder *builder, const struct config_block *block)
{
    const struct config_item *only = config_block_find(block, "only", 0);
    if (only == NULL)
        return;
    const struct log_only_config *config = only->config;
    if (config->statuses.count > LOG_CONDITION_STATUSES_MAX)
        CONFIG_REPORT(builder->errors, CONFIG_RANGE, only->node->place,
                      SLICE("the number of statuses"), SLICE("only"));
}

static void build_access(struct builder *builder, const struct config_item *item,
                         struct access_log_config *to)
{
    const struct log_config *log = item->config;
    struct slice bad;
    const char *why;
    *to = (struct access_log_config){
        .to = log->to, .format = log->format, .buffer = log->buffer, .flush = log->flush};
    to->shape = ACCESS_LOG_PLAIN;
    if (!access_log_shape_parse(log->format, builder->arena, &to->shape, &bad, &why))
        report_format(builder, item, bad, why);
    if (!read_sample(log->sample, &to->sample))
        CONFIG_REPORT(builder->errors, CONFIG_LOG_SAMPLE, place_of(item, "sample"), log->sample);
    if (item->block == NULL)
        return;
    check_only(builder, item->block);
    build_inner(item->block, to);
}

void config_build_logs(struct builder *builder)
{
    struct config *config = builder->config;
    size_t count;
    const struct config_item **items = config_items(builder->arena, &config->top, "log", &count);
    const struct config_item **access = arena_alloc(builder->arena, (count + 1) * sizeof *access);
    struct access_log_config *logs = arena_alloc(builder->arena, (count + 1) * sizeof *logs);
    for (size_t i = 0; i < count; i++) {
        const struct log_config *log = items[i]->config;
        check_to(builder, items[i]);
        if (items[i]->node->values_count == 0)
            continue; /* said already: the kind is missing */
        const struct config_item **one =
            log->kind == LOG_KIND_ERROR ? &config->error_log : &config->audit_log;
        if (log->kind == LOG_KIND_ACCESS) {
            access[config->access_logs_count] = items[i];
            build_access(builder, items[i], &logs[config->access_logs_count++]);
        } else if (*one != NULL) {
            report_again(builder, items[i], *one);
        } else {
            *one = items[i];
        }
    }
    if (config->access_logs_count > ACCESS_LOGS_MAX)
        CONFIG_REPORT(builder->errors, CONFIG_RANGE, access[ACCESS_LOGS_MAX]->node->place,
                      SLICE("the number of access logs"), SLICE("log"));
    config->access_log_items = access;
    config->access_logs = logs;
}
