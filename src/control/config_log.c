/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says of logs: checked, and made what they go by. */
#include "control/access_log.h"
#include "control/config_build.h"

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

/* Only JSON and logfmt have keys. */
static bool has_keys(struct builder *builder, const struct config_item *item,
                     const struct access_log_config *log)
{
    if (log->shape.format == ACCESS_LOG_JSON || log->shape.format == ACCESS_LOG_LOGFMT)
        return true;
    CONFIG_REPORT(builder->errors, CONFIG_LOG_KEYLESS, item->node->place, item->node->name,
                  log->format);
    return false;
}

static void build_fields(struct builder *builder, const struct config_item *item,
                         struct access_log_config *to)
{
    const struct slice_list *words = &((const struct words_config *)item->config)->words;
    const char *why;
    for (size_t i = 0; i < words->count && has_keys(builder, item, to); i++) {
        if (access_log_shape_show(words->items[i], &to->shape, &why))
            continue;
        struct slice like = access_log_field_like(slice_from(words->items[i], 1));
        struct config_error *error =
            CONFIG_REPORT(builder->errors, CONFIG_LOG_FIELD, item->node->values[i].place,
                          words->items[i], slice_from_cstring(why));
        if (like.size > 0)
            config_error_note(builder->errors, error, "did you mean %c%.*s?",
                              words->items[i].data[0] == '-' ? '-' : '+', SLICE_ARG(like));
    }
}

static void build_headers(struct builder *builder, const struct config_item *item,
                          struct access_log_config *to)
{
    const struct log_headers_config *config = item->config;
    if (!has_keys(builder, item, to))
        return;
    if (config->names.count > ACCESS_LOG_HEADERS_MAX) {
        CONFIG_REPORT(builder->errors, CONFIG_RANGE, item->node->place,
                      SLICE("the number of fields"), SLICE("headers"));
        return;
    }
    struct access_log_header *headers =
        arena_alloc(builder->arena, (config->names.count + 1) * sizeof *headers);
    for (size_t i = 0; i < config->names.count; i++) {
        const char *why = access_log_header_parse(config->names.items[i], config->is_unsafe,
                                                  builder->arena, &headers[i]);
        if (why != NULL)
            CONFIG_REPORT(builder->errors, CONFIG_LOG_HEADER, item->node->values[i].place,
                          config->names.items[i], slice_from_cstring(why));
        for (size_t k = 0; why == NULL && k < to->shape.headers_count; k++)
            if (slice_equal(headers[k].key, headers[i].key))
                why = "";
        if (why == NULL) /* once is enough */
            headers[to->shape.headers_count++] = headers[i];
    }
    to->shape.headers = headers;
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
        .to = log->to,
        .format = log->format,
        .buffer = log->buffer,
        .flush = log->flush,
        .rotation = config_log_rotation(item),
        .may_hold = log->on_full == 1,
    };
    to->shape = ACCESS_LOG_PLAIN;
    if (!access_log_shape_parse(log->format, builder->arena, &to->shape, &bad, &why))
        report_format(builder, item, bad, why);
    if (!read_sample(log->sample, &to->sample))
        CONFIG_REPORT(builder->errors, CONFIG_LOG_SAMPLE, place_of(item, "sample"), log->sample);
    if (item->block == NULL)
        return;
    check_only(builder, item->block);
    build_inner(item->block, to);
    const struct config_item *fields = config_block_find(item->block, "fields", 0);
    const struct config_item *headers = config_block_find(item->block, "headers", 0);
    if (fields != NULL)
        build_fields(builder, fields, to);
    if (headers != NULL)
        build_headers(builder, headers, to);
}

struct log_rotation config_log_rotation(const struct config_item *item)
{
    const struct config_item *rotate =
        item->block == NULL ? NULL : config_block_find(item->block, "rotate", 0);
    const struct log_rotate_config *config = rotate == NULL ? NULL : rotate->config;
    if (config == NULL || config->size <= 0)
        return (struct log_rotation){0};
    return (struct log_rotation){config->size, config->keep};
}

/* Keys that only an access log has. */
static void check_kind(struct builder *builder, const struct config_item *item)
{
    static const char *const OF_ACCESS[] = {"only", "mask_ip", "redact", "fields", "headers"};
    const struct log_config *log = item->config;
    if (log->kind == LOG_KIND_ACCESS || item->block == NULL)
        return;
    for (size_t i = 0; i < sizeof OF_ACCESS / sizeof OF_ACCESS[0]; i++) {
        const struct config_item *key = config_block_find(item->block, OF_ACCESS[i], 0);
        if (key != NULL)
            CONFIG_REPORT(builder->errors, CONFIG_LOG_KIND, key->node->place, key->node->name,
                          slice_from_cstring(log_name_text((enum log_name)log->kind)));
    }
    if (log->on_full != 0)
        CONFIG_REPORT(builder->errors, CONFIG_LOG_KIND, place_of(item, "on_full"), SLICE("on_full"),
                      slice_from_cstring(log_name_text((enum log_name)log->kind)));
}

/* Only files are renamed; and two logs that write to one place go by one rule. */
static void check_target(struct builder *builder, const struct config_item *const *items, size_t at)
{
    const struct log_config *log = items[at]->config;
    struct log_rotation rotation = config_log_rotation(items[at]);
    if (rotation.size > 0 && !slice_starts(log->to, SLICE("file:")))
        CONFIG_REPORT(builder->errors, CONFIG_LOG_ROTATE,
                      config_block_find(items[at]->block, "rotate", 0)->node->place, log->to);
    for (size_t i = 0; i < at; i++) {
        const struct log_config *before = items[i]->config;
        struct log_rotation other = config_log_rotation(items[i]);
        if (!slice_equal(before->to, log->to) ||
            (slice_starts(log->to, SLICE("std")) && before->on_full == log->on_full) ||
            (other.size == rotation.size && other.keep == rotation.keep &&
             before->on_full == log->on_full))
            continue;
        struct config_error *error =
            CONFIG_REPORT(builder->errors, CONFIG_LOG_DIFFERS, place_of(items[at], "to"), log->to);
        config_error_note(builder->errors, error, "the other log is written at line %u",
                          items[i]->node->place.line);
        return;
    }
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
        check_kind(builder, items[i]);
        check_target(builder, items, i);
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
