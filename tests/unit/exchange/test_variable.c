/* SPDX-License-Identifier: Apache-2.0 */
/* Placeholders, and who the client is behind trusted proxies. */
#include "exchange/cidr.h"
#include "exchange/exchange.h"
#include "exchange/variable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct field items[16];
static struct exchange exchange;

static void open_exchange(void)
{
    exchange = (struct exchange){.client_ip = SLICE("192.0.2.7"), .scheme = SLICE("http")};
    arena_init(&exchange.arena, NULL, 0);
    fields_init(&exchange.request.head.fields, NULL, items, 16);
    exchange.request.head.host = SLICE("example.com");
    exchange.request.head.method_text = SLICE("GET");
    exchange.request.head.query = SLICE("q=1");
    exchange.request.head.has_query = true;
    exchange.request.path = SLICE("/a b");
    exchange.request_id = SLICE("id-1");
    struct fields *fields = &exchange.request.head.fields;
    assert_true(fields_add_named(fields, SLICE("X-Two"), SLICE("one")));
    assert_true(fields_add_named(fields, SLICE("x-two"), SLICE("two")));
    assert_true(fields_add(fields, FIELD_COOKIE, SLICE("a=1; sid=x=y;b=")));
}

static void expansion(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"{{}}", "{}"},
        {"a}}b{{c", "a}b{c"},
        {"a}b", "a}b"},
        {"{{{host}}}", "{example.com}"},
        {"{client_ip}|{scheme}|{method}|{request_id}", "192.0.2.7|http|GET|id-1"},
        {"{path}?{query}", "/a b?q=1"},
        {"{uri}", "/a b?q=1"},
        {"{header.X-Two}", "one, two"},
        {"{header.x-two}", "one, two"},
        {"<{header.X-None}>", "<>"},
        {"{cookie.sid}|{cookie.b}|{cookie.none}", "x=y||"},
        {"{user}{tls.sni}{tls.version}{upstream}{status}{sticky}{mirror}", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct template *compiled;
        size_t at, size;
        struct slice suggestion, text = slice_from_cstring(table[i][0]);
        open_exchange();
        assert_true(template_compile(text, &exchange.arena, &compiled, &at, &size, &suggestion));
        struct slice made = template_expand(compiled, &exchange);
        if (!slice_equal(made, slice_from_cstring(table[i][1])))
            fail_msg("%s gave %.*s", table[i][0], SLICE_ARG(made));
        assert_int_equal(template_is_constant(compiled), i < 5);
        arena_done(&exchange.arena);
    }
}

/* What clients bring is text in a page, whichever quotes it stands between. */
static void markup(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"<b>'\"&", "<b>'\"&"},
        {"<b title='{header.X}'>{host}</b>",
         "<b title='&lt;i&gt; &amp;amp; &quot;q&quot; &#39;a&#39;'>example.com</b>"},
        {"{header.X}", "&lt;i&gt; &amp;amp; &quot;q&quot; &#39;a&#39;"},
        {"{{{header.None}}}", "{}"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct template *compiled;
        size_t at, size;
        struct slice suggestion;
        open_exchange();
        assert_true(fields_add_named(&exchange.request.head.fields, SLICE("X"),
                                     SLICE("<i> &amp; \"q\" 'a'")));
        assert_true(template_compile(slice_from_cstring(table[i][0]), &exchange.arena, &compiled,
                                     &at, &size, &suggestion));
        struct slice made = template_expand_markup(compiled, &exchange);
        assert_true(slice_equal(made, slice_from_cstring(table[i][1])));
        arena_done(&exchange.arena);
    }
}

static void mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at, size;
        const char *suggestion;
    } table[] = {
        {"ab{hots}", 2, 6, "host"},    {"{hos", 0, 4, "host"}, {"{}", 0, 2, ""},
        {"{header.}", 0, 9, "header"}, {"{xyz}", 0, 5, ""},    {"{{{pat}", 2, 5, "path"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct arena arena;
        const struct template *compiled;
        size_t at = 99, size = 99;
        struct slice suggestion = SLICE("?");
        arena_init(&arena, NULL, 0);
        assert_false(template_compile(slice_from_cstring(table[i].text), &arena, &compiled, &at,
                                      &size, &suggestion));
        assert_int_equal(at, table[i].at);
        assert_int_equal(size, table[i].size);
        if (!slice_equal(suggestion, slice_from_cstring(table[i].suggestion)))
            fail_msg("%s: %.*s", table[i].text, SLICE_ARG(suggestion));
        arena_done(&arena);
    }
}

static void every_name_has_a_sentence(void **state)
{
    (void)state;
    open_exchange();
    size_t count = 0;
    for (; variable_name(count) != NULL; count++)
        assert_true(strlen(variable_doc(count)) > 10);
    assert_int_equal(count, 36);
    assert_true(slice_equal(variable_value(&exchange, SLICE("path")), SLICE("/a b")));
    assert_int_equal(variable_value(&exchange, SLICE("nothing")).size, 0);
    arena_done(&exchange.arena);
}

static void the_client_behind_proxies(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *forwarded[2], *client;
    } table[] = {
        {"10.0.0.1", {NULL, NULL}, "10.0.0.1"},
        {"10.0.0.1", {"203.0.113.9", NULL}, "203.0.113.9"},
        {"10.0.0.1", {"198.51.100.1, 203.0.113.9", NULL}, "203.0.113.9"}, /* the left is a claim */
        {"10.0.0.1", {"203.0.113.9, 10.0.0.2,10.0.0.3", NULL}, "203.0.113.9"},
        {"10.0.0.1", {"10.0.0.9, 10.0.0.2", NULL}, "10.0.0.9"}, /* all are ours: the first */
        {"10.0.0.1", {"203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
        {"10.0.0.1", {"203.0.113.9:4711, 10.0.0.2", NULL}, "203.0.113.9"},
        {"10.0.0.1", {"[2001:db8::1]:80", NULL}, "2001:db8::1"},
        {"10.0.0.1", {"2001:db8::1", NULL}, "2001:db8::1"},
        {"10.0.0.1", {"unknown, 10.0.0.2", NULL}, "10.0.0.2"},
        {"10.0.0.1", {"203.0.113.9, nonsense", NULL}, "10.0.0.1"},
        {"10.0.0.1", {"unix:/x", NULL}, "10.0.0.1"},
        {"10.0.0.1", {"", NULL}, "10.0.0.1"},
        {"10.0.0.1", {"203.0.113.9,", NULL}, "10.0.0.1"},
        {"10.0.0.1", {"::ffff:203.0.113.9", NULL}, "203.0.113.9"},
    };
    struct cidr trusted;
    assert_true(cidr_parse(SLICE("10.0.0.0/8"), &trusted));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct address peer;
        open_exchange();
        assert_true(address_parse_ip(slice_from_cstring(table[i].peer), &peer));
        exchange.client = exchange.peer = &peer;
        for (int f = 0; f < 2 && table[i].forwarded[f] != NULL; f++)
            assert_true(fields_add_named(&exchange.request.head.fields, SLICE("X-Forwarded-For"),
                                         slice_from_cstring(table[i].forwarded[f])));
        exchange_find_client(&exchange, &trusted, 1);
        if (!slice_equal(exchange.client_ip, slice_from_cstring(table[i].client)))
            fail_msg("row %zu gave %.*s", i, SLICE_ARG(exchange.client_ip));
        arena_done(&exchange.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expansion),
        cmocka_unit_test(markup),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(every_name_has_a_sentence),
        cmocka_unit_test(the_client_behind_proxies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
