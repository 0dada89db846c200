/* SPDX-License-Identifier: Apache-2.0 */
/* A server that does so many requests at a time, each in its time, and requests that come as they
 * like: where does the limit come to stand? Time is made up, chance comes from a seed. */
#include "upstream/origin.h"

enum {
    SLOTS_MAX = 1000,
    WAITING_MAX = 4096,
};

/* Answers in the order in which requests came. */
struct model {
    struct upstream *upstream;
    int slots;
    double service_ms; /* the mean of one */
    double rate;       /* of requests, per second */
    bool is_even;      /* each takes as long as the other; else some take very long */
    struct random random;
    double free_at[SLOTS_MAX]; /* ms */
    struct {
        double began, ends;
    } work[WAITING_MAX];
    int in_work;
    double now; /* ms */
    /* Since the last reset. */
    double since, sum_ms;
    int asked, answered;
};

static double uniform(struct model *model)
{
    return (random_below(&model->random, 1000000) + 0.5) / 1e6;
}

static double service_of(struct model *model)
{
    if (model->is_even)
        return model->service_ms;
    /* Nine of ten take half of the mean or so, one takes long. */
    return uniform(model) < 0.1 ? model->service_ms * 5.5
                                : model->service_ms * (0.25 + uniform(model) * 0.5);
}

static void ask(struct model *model)
{
    bool is_counted;
    model->asked++;
    if (!breaker_enter(model->upstream, &is_counted))
        return;
    int slot = 0;
    for (int i = 1; i < model->slots; i++)
        if (model->free_at[i] < model->free_at[slot])
            slot = i;
    double starts = model->free_at[slot] > model->now ? model->free_at[slot] : model->now;
    assert_true(model->in_work < WAITING_MAX);
    model->free_at[slot] = starts + service_of(model);
    model->work[model->in_work].began = model->now;
    model->work[model->in_work++].ends = model->free_at[slot];
}

static void answer(struct model *model, int which)
{
    double took = model->now - model->work[which].began;
    model->work[which] = model->work[--model->in_work];
    breaker_leave(model->upstream);
    breaker_measure(model->upstream, (int64_t)(took * 1e6));
    model->answered++;
    model->sum_ms += took;
}

/* Until the next request: a tenth of the mean as often as chance wants. */
static double gap(struct model *model)
{
    double tenths = 1;
    while (random_below(&model->random, 10) != 0)
        tenths++;
    return tenths * 100 / model->rate;
}

/* Lets so many seconds pass; what is counted begins anew with it. */
static void run_for(struct model *model, double seconds)
{
    double end = model->now + seconds * 1000;
    double next = model->now;
    model->since = model->now;
    model->sum_ms = 0;
    model->asked = model->answered = 0;
    for (;;) {
        int first = -1;
        for (int i = 0; i < model->in_work; i++)
            if (first < 0 || model->work[i].ends < model->work[first].ends)
                first = i;
        bool is_answer = first >= 0 && model->work[first].ends <= next;
        double at = is_answer ? model->work[first].ends : next;
        if (at > end)
            break;
        test_thread.now += (int64_t)((at - model->now) * 1e6);
        model->now = at;
        if (is_answer) {
            answer(model, first);
        } else {
            ask(model);
            next += gap(model);
        }
    }
}

static double throughput(const struct model *model)
{
    return model->answered / (model->now - model->since) * 1000;
}

static double mean_ms(const struct model *model)
{
    return model->sum_ms / model->answered;
}

static double capacity(const struct model *model)
{
    return model->slots / model->service_ms * 1000;
}

static struct address nowhere[1];

static struct model *new_model(int slots, double service_ms, bool is_even, int64_t least)
{
    static struct model model;
    memset(&model, 0, sizeof model);
    test_thread.random = (struct random){{3, 1, 4, 1}};
    model.upstream = make_upstream(nowhere, 1, NULL);
    model.upstream->rules_now->config.adaptive_min = least;
    model.upstream->rules_now->config.adaptive_max = 2000;
    model.slots = slots;
    model.service_ms = service_ms;
    model.is_even = is_even;
    model.random = (struct random){{17, 4, 1999, (uint64_t)slots}};
    return &model;
}

/* Twice as much is asked as can be done. */
static void finds_the_knee(int slots, double service_ms, bool is_even, int64_t least)
{
    struct model *model = new_model(slots, service_ms, is_even, least);
    model->rate = 2 * capacity(model);
    run_for(model, 8);
    run_for(model, 20);
    print_message("%4d of %.0f ms%s: limit %u, %.0f%% of what can be done, %.2f of its time\n",
                  slots, service_ms, is_even ? "" : ", uneven", breaker_limit(model->upstream),
                  100 * throughput(model) / capacity(model), mean_ms(model) / service_ms);
    assert_true(throughput(model) > 0.9 * capacity(model));
    assert_true(mean_ms(model) < 1.6 * service_ms);
    drop_upstream(model->upstream);
}

static void run_the_knee_is_found(void)
{
    finds_the_knee(4, 20, true, 1);
    finds_the_knee(8, 20, true, 4);
    finds_the_knee(8, 5, false, 4);
    finds_the_knee(50, 20, true, 8);
    finds_the_knee(50, 20, false, 8);
    finds_the_knee(200, 50, true, 8);
    finds_the_knee(200, 50, false, 8);
    finds_the_knee(500, 100, false, 8);
}
ON_FIBER(the_knee_is_found)

/* As long as there is enough for all, nobody is sent away, whatever is tried out. */
static void run_who_sends_less_is_not_sent_away(void)
{
    static const bool EVEN[] = {true, false};
    for (size_t i = 0; i < 2; i++) {
        struct model *model = new_model(100, 20, EVEN[i], 8);
        model->rate = 0.7 * capacity(model);
        run_for(model, 5);
        run_for(model, 20);
        double lost = 1 - (double)model->answered / model->asked;
        print_message("at 70%%: %.4f%% sent away, limit %u\n", 100 * lost,
                      breaker_limit(model->upstream));
        assert_true(lost < 0.001);
        drop_upstream(model->upstream);
    }
}
ON_FIBER(who_sends_less_is_not_sent_away)

/* Five times slower for a while, and then as before. */
static void run_slowness_passes(void)
{
    struct model *model = new_model(50, 20, true, 8);
    model->rate = 1.5 * capacity(model);
    run_for(model, 10);
    model->service_ms = 100;
    run_for(model, 3);
    run_for(model, 10);
    print_message("slow: %.0f%%, %.2f\n", 100 * throughput(model) / capacity(model),
                  mean_ms(model) / 100);
    assert_true(mean_ms(model) < 2.0 * 100);
    assert_true(throughput(model) > 0.65 * capacity(model));
    model->service_ms = 20;
    run_for(model, 2);
    run_for(model, 2);
    print_message("2 s after: %.0f%%, %.2f\n", 100 * throughput(model) / capacity(model),
                  mean_ms(model) / 20);
    assert_true(throughput(model) > 0.9 * capacity(model));
    run_for(model, 20);
    run_for(model, 20);
    print_message("long after: %.0f%%, %.2f\n", 100 * throughput(model) / capacity(model),
                  mean_ms(model) / 20);
    assert_true(throughput(model) > 0.9 * capacity(model));
    assert_true(mean_ms(model) < 1.6 * 20);
    drop_upstream(model->upstream);
}
ON_FIBER(slowness_passes)

/* Half of what it can do goes, and comes back. */
static void run_servers_go_and_come(void)
{
    struct model *model = new_model(100, 20, false, 8);
    model->rate = 8000;
    run_for(model, 10);
    model->slots = 50;
    run_for(model, 5);
    run_for(model, 30);
    print_message("half: %.0f%%, %.2f\n", 100 * throughput(model) / capacity(model),
                  mean_ms(model) / 20);
    assert_true(throughput(model) > 0.9 * capacity(model));
    assert_true(mean_ms(model) < 1.6 * 20);
    model->slots = 100;
    run_for(model, 3);
    run_for(model, 20);
    print_message("whole: %.0f%%, %.2f\n", 100 * throughput(model) / capacity(model),
                  mean_ms(model) / 20);
    assert_true(throughput(model) > 0.9 * capacity(model));
    assert_true(mean_ms(model) < 1.6 * 20);
    drop_upstream(model->upstream);
}
ON_FIBER(servers_go_and_come)

static void run_it_stays_within_its_bounds(void)
{
    struct upstream *upstream = make_upstream(nowhere, 1, NULL);
    upstream->rules_now->config.adaptive_min = 3;
    upstream->rules_now->config.adaptive_max = 5;
    assert_int_equal(breaker_limit(upstream), 5);
    struct gradient_bounds bounds = {3, 5};
    for (int64_t i = 1; i < 20000; i++) {
        test_thread.now += MILLISECONDS(1);
        gradient_note_work(&upstream->breaker.gradient, breaker_limit(upstream));
        gradient_measure(&upstream->breaker.gradient, bounds, MILLISECONDS(i % 700));
        assert_in_range(breaker_limit(upstream), 3, 5);
    }
    drop_upstream(upstream);
}
ON_FIBER(it_stays_within_its_bounds)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_knee_is_found, world_open, world_close),
        cmocka_unit_test_setup_teardown(who_sends_less_is_not_sent_away, world_open, world_close),
        cmocka_unit_test_setup_teardown(slowness_passes, world_open, world_close),
        cmocka_unit_test_setup_teardown(servers_go_and_come, world_open, world_close),
        cmocka_unit_test_setup_teardown(it_stays_within_its_bounds, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
