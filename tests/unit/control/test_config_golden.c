/* SPDX-License-Identifier: Apache-2.0 */
/* Every error that an operator can be told has a file that provokes it, and the text that is then
 * shown: tests/golden/config/CODE/{input.conf,expected.txt}. WRITE_GOLDEN=1 writes the texts anew,
 * for reading the difference. A folder whose now.txt holds seconds since 1970 is read at that time.
 */
#include "base/clock.h"
#include "control/certificates.h"
#include "control/fake_steps.h"
#include "control/names.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t fixed_now; /* seconds since 1970; 0: the clock's */

int64_t clock_monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return SECONDS(now.tv_sec) + now.tv_nsec;
}

int64_t clock_wall(void)
{
    return SECONDS(fixed_now != 0 ? fixed_now : time(NULL));
}

static void read_now(void)
{
    char text[32] = "0";
    FILE *file = fopen("now.txt", "r");
    if (file != NULL) {
        assert_non_null(fgets(text, sizeof text, file));
        fclose(file);
    }
    fixed_now = strtoll(text, NULL, 10);
}

static const char *folder(void)
{
    const char *set = getenv("GOLDEN_CONFIG");
    return set != NULL ? set : "tests/golden/config";
}

/* What prepare() of a step would say, so that its code has a place to be shown. */
static void prepare_steps(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->sites_count; i++) {
        for (size_t j = 0; j < config->sites[i].routes_count; j++) {
            const struct config_path *path = &config->sites[i].routes[j].path;
            if (path->count == 0 || path->steps[path->count - 1]->key != &FAKE_REDIRECT)
                continue;
            const struct fake_config *redirect = path->steps[path->count - 1]->config;
            if (redirect->status < 300 || redirect->status > 399)
                config_report_step(errors, path->steps[path->count - 1], "status",
                                   SLICE("a redirect has a status from 300 to 399"));
        }
    }
    for (size_t i = 0; i < config->upstreams_count; i++)
        for (size_t j = 0; j < config->upstreams[i].servers_count; j++) {
            const struct config_item *server = config->upstreams[i].servers[j];
            const struct server_line_config *line = server->config;
            if (slice_find(line->address, '.') < line->address.size &&
                slice_ends(line->address, SLICE(".invalid:80")))
                names_report(errors, server, slice_first(line->address, line->address.size - 3),
                             "there is no such name");
        }
    config_errors_sort(errors);
}

/* What is wrong with files shows when they are loaded. */
static void load_certificates(const struct config *config, struct config_errors *errors)
{
    struct certificates *certificates = certificates_new(config, false, NULL);
    for (size_t i = 0; i < config->sites_count; i++)
        certificates_context(certificates, &config->sites[i], errors);
    certificates_free(certificates);
    config_errors_sort(errors);
}

static struct slice shown(const char *path, struct arena *arena, struct config_errors *errors)
{
    const char *name = strrchr(path, '/') + 1;
    struct config_request request = {
        .path = slice_from_cstring(name),
        .check_files = true,
        .is_json = strcmp(name, "input.json") == 0,
        .source = &FAKE_SOURCE,
        .schema = fake_schema(),
    };
    const struct config *config = config_load(&request, arena, errors);
    if (errors->errors == 0)
        prepare_steps(config, errors);
    if (errors->errors == 0)
        load_certificates(config, errors);
    struct buffer out = buffer_in(arena, 1024);
    config_errors_render(errors, false, &out);
    return buffer_slice(&out);
}

/* The loader works from the input's folder: names in messages are the same everywhere. */
static void check_folder(const char *base, const char *code)
{
    char path[1000];
    struct arena arena;
    struct config_errors errors;
    struct slice expected = {0};
    const char *why = "";
    arena_init(&arena, NULL, 0);
    config_errors_init(&errors, &arena);
    snprintf(path, sizeof(path), "%s/%s", base, code);
    assert_int_equal(chdir(path), 0);
    read_now();
    bool is_json = access("input.json", R_OK) == 0;
    struct slice text = shown(is_json ? "./input.json" : "./input.conf", &arena, &errors);
    if (getenv("WRITE_GOLDEN") != NULL) {
        FILE *file = fopen("expected.txt", "w");
        assert_non_null(file);
        fwrite(text.data, 1, text.size, file);
        fclose(file);
    }
    if (fake_read("expected.txt", 1 << 20, &arena, &expected, &why) != OK)
        fail_msg("%s/expected.txt: %s", path, why);
    if (!slice_equal(text, expected))
        fail_msg("%s shows:\n%.*s\ninstead of:\n%.*s", path, SLICE_ARG(text), SLICE_ARG(expected));
    /* A folder with the name of a code provokes that code. */
    bool is_code = (code[0] == 'E' || code[0] == 'W') && code[1] >= '0' && code[1] <= '9';
    bool is_found = !is_code;
    for (size_t i = 0; i < errors.count; i++)
        is_found = is_found || strcmp(config_code_name(errors.items[i].code), code) == 0;
    if (!is_found)
        fail_msg("%s does not provoke its code:\n%.*s", path, SLICE_ARG(text));
    arena_done(&arena);
}

static void each_folder_shows_what_is_expected(void **state)
{
    (void)state;
    char base[400];
    assert_non_null(realpath(folder(), base));
    DIR *directory = opendir(base);
    assert_non_null(directory);
    size_t count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] == '.')
            continue;
        check_folder(base, entry->d_name);
        assert_int_equal(chdir(base), 0);
        count++;
    }
    closedir(directory);
    assert_true(count >= CONFIG_CODES);
    assert_int_equal(chdir("../../.."), 0);
}

static void each_code_has_a_folder(void **state)
{
    (void)state;
    for (int code = 0; code < CONFIG_CODES; code++) {
        char path[1000];
        snprintf(path, sizeof(path), "%s/%s/expected.txt", folder(),
                 config_code_name((enum config_code)code));
        if (access(path, R_OK) != 0)
            fail_msg("%s is missing", path);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        struct arena arena;
        struct config_errors errors;
        arena_init(&arena, NULL, 0);
        config_errors_init(&errors, &arena);
        struct slice text = shown(argv[1], &arena, &errors);
        printf("%.*s", SLICE_ARG(text));
        arena_done(&arena);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_a_folder),
        cmocka_unit_test(each_folder_shows_what_is_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
