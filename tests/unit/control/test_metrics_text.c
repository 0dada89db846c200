/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "control/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char memory[8192];

static struct metrics_out begin(struct buffer *out, enum metrics_format format, size_t most)
{
    *out = buffer_fixed(memory, sizeof memory - 1);
    return (struct metrics_out){.out = out, .format = format, .samples_max = most};
}

static const char *text_of(struct buffer *out)
{
    assert_false(out->is_full);
    memory[out->size] = '\0';
    return memory;
}

static void names_of_counters(void **state)
{
    (void)state;
    struct buffer out;
    struct metrics_out m = begin(&out, METRICS_PROMETHEUS, 10);
    metrics_family(&m, "a", "counter", "A \"b\" \\ c.");
    metrics_sample(&m);
    metrics_value(&m, 18446744073709551615ULL);
    assert_string_equal(text_of(&out), "# HELP a_total A \"b\" \\\\ c.\n# TYPE a_total counter\n"
                                       "a_total 18446744073709551615\n");
    m = begin(&out, METRICS_OPENMETRICS, 10);
    metrics_family(&m, "a", "counter", "A \"b\".");
    metrics_sample(&m);
    metrics_value(&m, 1);
    assert_string_equal(text_of(&out), "# HELP a A \\\"b\\\".\n# TYPE a counter\na_total 1\n");
}

static void labels_are_escaped(void **state)
{
    (void)state;
    struct buffer out;
    struct metrics_out m = begin(&out, METRICS_PROMETHEUS, 10);
    metrics_family(&m, "g", "gauge", "");
    metrics_sample(&m);
    metrics_label(&m, "x", SLICE("a\"b\\c\nd"));
    metrics_label(&m, "y", SLICE(""));
    metrics_seconds(&m, SECONDS(1795273030) + 5);
    assert_string_equal(text_of(&out), "# HELP g \n# TYPE g gauge\n"
                                       "g{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 1795273030.000000005\n");
}

static void samples_are_bounded(void **state)
{
    (void)state;
    struct buffer out;
    struct metrics_out m = begin(&out, METRICS_PROMETHEUS, 2);
    metrics_family(&m, "g", "gauge", "");
    for (unsigned i = 0; i < 5; i++) {
        metrics_sample(&m);
        metrics_label(&m, "x", SLICE("y"));
        metrics_value(&m, i);
    }
    assert_int_equal(m.dropped, 3);
    assert_string_equal(text_of(&out), "# HELP g \n# TYPE g gauge\ng{x=\"y\"} 0\ng{x=\"y\"} 1\n");
}

static void histograms(void **state)
{
    (void)state;
    struct buffer out;
    struct histogram h = {0};
    struct metrics_labels labels = {{"site"}, {SLICE("s")}, 1};
    histogram_add(&h, MILLISECONDS(1));
    histogram_add(&h, SECONDS(1));
    histogram_add(&h, SECONDS(31));
    struct metrics_out m = begin(&out, METRICS_OPENMETRICS, 100);
    metrics_family(&m, "h", "histogram", "");
    metrics_histogram(&m, &h, &labels);
    const char *text = text_of(&out);
    assert_non_null(strstr(text, "\nh_bucket{site=\"s\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr(text, "\nh_bucket{site=\"s\",le=\"0.75\"} 1\n"));
    assert_non_null(strstr(text, "\nh_bucket{site=\"s\",le=\"1.0\"} 2\n"));
    assert_non_null(strstr(text, "\nh_bucket{site=\"s\",le=\"30.0\"} 2\n"));
    assert_non_null(strstr(text, "\nh_bucket{site=\"s\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "\nh_sum{site=\"s\"} 32.001000000\nh_count{site=\"s\"} 3\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_counters),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(samples_are_bounded),
        cmocka_unit_test(histograms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
