/* SPDX-License-Identifier: Apache-2.0 */
/* The two text formats: Prometheus' 0.0.4 and OpenMetrics 1.0. They differ in the names of counters
 * and in how bounds are written. */
#include "base/clock.h"
#include "control/metrics.h"

static void escaped(struct buffer *out, struct slice text, bool is_label)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\\')
            buffer_append(out, SLICE("\\\\"));
        else if (c == '\n')
            buffer_append(out, SLICE("\\n"));
        else if (c == '"' && is_label)
            buffer_append(out, SLICE("\\\""));
        else
            buffer_append_byte(out, c);
    }
}

static bool is_counter(const struct metrics_out *m)
{
    return m->type[0] == 'c';
}

void metrics_family(struct metrics_out *m, const char *name, const char *type, const char *help)
{
    m->name = name;
    m->type = type;
    const char *total = is_counter(m) && m->format == METRICS_PROMETHEUS ? "_total" : "";
    buffer_format(m->out, "# HELP %s%s ", name, total);
    escaped(m->out, slice_from_cstring(help), m->format == METRICS_OPENMETRICS);
    buffer_format(m->out, "\n# TYPE %s%s %s\n", name, total, type);
}

static void begin(struct metrics_out *m, const char *suffix)
{
    m->has_labels = false;
    m->is_dropped = m->samples >= m->samples_max;
    if (m->is_dropped) {
        m->dropped++;
        return;
    }
    m->samples++;
    buffer_append(m->out, slice_from_cstring(m->name));
    buffer_append(m->out, slice_from_cstring(suffix));
}

void metrics_sample(struct metrics_out *m)
{
    begin(m, is_counter(m) ? "_total" : "");
}

void metrics_label(struct metrics_out *m, const char *name, struct slice value)
{
    if (m->is_dropped)
        return;
    buffer_append_byte(m->out, m->has_labels ? ',' : '{');
    buffer_append(m->out, slice_from_cstring(name));
    buffer_append(m->out, SLICE("=\""));
    escaped(m->out, value, true);
    buffer_append_byte(m->out, '"');
    m->has_labels = true;
}

static void end_labels(struct metrics_out *m)
{
    buffer_append(m->out, m->has_labels ? SLICE("} ") : SLICE(" "));
}

void metrics_value(struct metrics_out *m, uint64_t value)
{
    if (m->is_dropped)
        return;
    end_labels(m);
    buffer_append_u64(m->out, value);
    buffer_append_byte(m->out, '\n');
}

void metrics_seconds(struct metrics_out *m, int64_t value)
{
    if (m->is_dropped)
        return;
    end_labels(m);
    buffer_format(m->out, "%lld.%09lld\n", (long long)(value / SECONDS(1)),
                  (long long)(value % SECONDS(1)));
}

static void labels(struct metrics_out *m, const struct metrics_labels *l)
{
    for (size_t i = 0; i < l->count; i++)
        metrics_label(m, l->names[i], l->values[i]);
}

static struct slice bound(const struct metrics_out *m, size_t i, char text[32])
{
    struct buffer out = buffer_fixed(text, 32);
    if (i == HISTOGRAM_BOUNDS)
        return SLICE("+Inf");
    buffer_format(&out, "%g", (double)HISTOGRAM_BOUND[i] / 1e9);
    if (m->format == METRICS_OPENMETRICS && HISTOGRAM_BOUND[i] % 1000000000 == 0)
        buffer_append(&out, SLICE(".0"));
    return buffer_slice(&out);
}

void metrics_histogram(struct metrics_out *m, const struct histogram *histogram,
                       const struct metrics_labels *l)
{
    uint64_t count = 0;
    char text[32];
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count += histogram->buckets[i];
        begin(m, "_bucket");
        labels(m, l);
        metrics_label(m, "le", bound(m, i, text));
        metrics_value(m, count);
    }
    begin(m, "_sum");
    labels(m, l);
    metrics_seconds(m, (int64_t)histogram->sum);
    begin(m, "_count");
    labels(m, l);
    metrics_value(m, count);
}
