/* SPDX-License-Identifier: Apache-2.0 */
/* allow and deny: the lines of a site and its route form one list, in which the first that fits
 * decides. Who fits none is let in, unless there is an allow: then only those are who fit one. */
#include "steps/access.h"

#include "base/list.h"
#include "exchange/exchange.h"
#include "exchange/geo.h"
#include "exchange/network_set.h"
#include "exchange/variable.h"
#include "fiber/held.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FILE_SIZE_MAX = 64 * 1024 * 1024,
    FILES_MAX = 8,
};

enum status_close { STATUS_CLOSE = 0 };
static const char *const CLOSE[] = {"close", NULL};

struct access_config {
    struct slice_list who;
    struct slice_list methods;
    struct slice_list headers;
    struct slice_list cookies;
    struct slice_list tls;
    struct slice_list countries;
    struct slice_list numbers; /* of autonomous systems */
    uint32_t *number;
    const struct template **fact; /* for each of tls what it looks at */
    int64_t status;               /* of deny; STATUS_CLOSE: none */
    bool is_everyone;
    struct network_set *networks; /* written in the line */
    const struct held *files[FILES_MAX];
    size_t files_count;
    struct slice at;  /* "weir.conf:12" */
    bool is_last;     /* of the list */
    bool needs_allow; /* the list has an allow: who fits nothing is not let in */
};

static const struct option ARGUMENTS[] = {
    {.name = "who",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct access_config, who),
     .doc = "Addresses and networks, file:PATH for a file of them, one to a line, or all."},
    {0},
};

#define CONDITIONS                                                                                 \
    {.name = "method",                                                                             \
     .type = OPTION_METHOD,                                                                        \
     .flags = OPTION_MANY,                                                                         \
     .offset = offsetof(struct access_config, methods),                                            \
     .doc = "Only requests with one of these methods."},                                           \
        {.name = "header",                                                                         \
         .type = OPTION_STRING,                                                                    \
         .flags = OPTION_MANY,                                                                     \
         .offset = offsetof(struct access_config, headers),                                        \
         .doc = "Only requests with all of these fields: NAME, or NAME:VALUE."},                   \
        {.name = "cookie",                                                                         \
         .type = OPTION_STRING,                                                                    \
         .flags = OPTION_MANY,                                                                     \
         .offset = offsetof(struct access_config, cookies),                                        \
         .doc = "Only requests with all of these cookies: NAME, or NAME:VALUE."},                  \
        {.name = "tls",                                                                            \
         .type = OPTION_STRING,                                                                    \
         .flags = OPTION_MANY,                                                                     \
         .offset = offsetof(struct access_config, tls),                                            \
         .doc = "Only connections of TLS of which all of these hold: FACT:VALUE, or FACT for any " \
                "value but an empty one. Facts are version, sni, cipher, resumed, client_name, "   \
                "client_fingerprint and client_verified, with the values of {tls.FACT}."},         \
        {.name = "country",                                                                        \
         .type = OPTION_NAME,                                                                      \
         .flags = OPTION_MANY,                                                                     \
         .offset = offsetof(struct access_config, countries),                                      \
         .doc = "Only clients of one of these countries, as two letters; needs geoip."},           \
    {                                                                                              \
        .name = "network", .type = OPTION_STRING, .flags = OPTION_MANY,                            \
        .offset = offsetof(struct access_config, numbers),                                         \
        .doc = "Only clients of one of these autonomous systems, by number; needs geoip."          \
    }

static const struct option ALLOW_OPTIONS[] = {
    CONDITIONS,
    {0},
};

static const struct option DENY_OPTIONS[] = {
    CONDITIONS,
    {.name = "status",
     .type = OPTION_INT,
     .standard = "403",
     .min = 400,
     .max = 599,
     .words = CLOSE,
     .offset = offsetof(struct access_config, status),
     .doc = "The status of the refusal, or close: the connection ends without an answer."},
    {0},
};

static const struct key key_allow = {
    .name = "allow",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = ALLOW_OPTIONS,
    .config_size = sizeof(struct access_config),
    .doc = "Lets clients in. The allow and deny lines of a site and its route form one list, in "
           "the order in which they stand: the first that fits decides. Who fits none is let in, "
           "but not where there is an allow.",
    .example = "allow 10.0.0.0/8 2001:db8::/32",
    .since = "0.1",
};

static const struct key key_deny = {
    .name = "deny",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = DENY_OPTIONS,
    .config_size = sizeof(struct access_config),
    .doc = "Keeps clients out; see allow. A file is read again when it changes; one that is wrong "
           "then leaves the last good one in its place.",
    .example = "deny 192.0.2.0/24 method=POST status=404",
    .since = "0.1",
};

static void *read_networks(struct slice text, char why[HELD_WHY_MAX])
{
    struct network_set *set = network_set_new();
    bool is_blank = true;
    for (unsigned line = 1; text.size > 0; line++) {
        size_t end = slice_find(text, '\n');
        struct slice word = slice_first(text, end);
        text = slice_from(text, end + 1);
        if (slice_ends(word, SLICE("\r")))
            word.size--;
        is_blank = is_blank && slice_trim(word).size == 0;
        word = slice_trim(slice_first(word, slice_find(word, '#')));
        struct cidr network;
        if (word.size == 0)
            continue;
        if (!cidr_parse(word, &network)) {
            (void)snprintf(why, HELD_WHY_MAX,
                           "is wrong in line %u: \"%.*s\" is no address and no network", line,
                           (int)(word.size < 64 ? word.size : 64), word.data);
            network_set_free(set);
            return NULL;
        }
        network_set_add(set, &network);
    }
    if (is_blank) { /* more likely cut short than meant: a deny of it would let everybody in */
        (void)snprintf(why, HELD_WHY_MAX,
                       "is empty; a list that is to have nobody says so in a remark (# nobody)");
        network_set_free(set);
        return NULL;
    }
    network_set_seal(set);
    return set;
}

static void release_networks(void *set)
{
    network_set_free(set);
}

static const struct held_kind NETWORKS = {
    .name = "list of addresses",
    .size_max = FILE_SIZE_MAX,
    .read = read_networks,
    .release = release_networks,
};

static bool add_file(struct access_config *c, struct slice path, struct prepare *p)
{
    if (c->files_count == FILES_MAX) {
        p->error(p, "who", "at most %d files in one line", FILES_MAX);
        return false;
    }
    const struct held *file = p->open_file(p, "who", path, &NETWORKS);
    if (file == NULL)
        return p->without_files;
    c->files[c->files_count++] = file;
    return true;
}

static bool prepare_geo(struct access_config *c, struct prepare *p)
{
    for (size_t i = 0; i < c->countries.count; i++) {
        struct slice word = c->countries.items[i];
        bool is_code = word.size == GEO_COUNTRY_SIZE && word.data[0] >= 'A' &&
                       word.data[0] <= 'Z' && word.data[1] >= 'A' && word.data[1] <= 'Z';
        if (is_code)
            continue;
        p->error(p, "country", "\"%.*s\" is no country; they are written as two letters: DE",
                 SLICE_ARG(word));
        return false;
    }
    c->number = arena_alloc(p->arena, (c->numbers.count + 1) * sizeof *c->number);
    for (size_t i = 0; i < c->numbers.count; i++) {
        struct slice word = c->numbers.items[i];
        uint64_t number;
        if (!slice_to_u64(slice_from(word, slice_starts(word, SLICE("AS")) ? 2 : 0), UINT32_MAX,
                          &number)) {
            p->error(p, "network", "\"%.*s\" is no number of an autonomous system: AS64496",
                     SLICE_ARG(word));
            return false;
        }
        c->number[i] = (uint32_t)number;
    }
    bool is_missing = (c->countries.count > 0 && p->geo->country == NULL) ||
                      (c->numbers.count > 0 && p->geo->network == NULL);
    if (is_missing && !p->without_files)
        p->error(p, c->countries.count > 0 ? "country" : "network",
                 "no database says where addresses are at home; write geoip FILE at the top");
    return !is_missing || p->without_files;
}

/* "NAME" or "NAME:VALUE" taken apart; false: any value will do. */
static bool take_apart(struct slice text, struct slice *name, struct slice *value)
{
    size_t colon = slice_find(text, ':');
    *name = slice_first(text, colon);
    *value = slice_trim(slice_from(text, colon + 1));
    return colon < text.size;
}

static bool prepare_tls(struct access_config *c, struct prepare *p)
{
    static const char *const FACTS[] = {"version",        "sni",         "cipher",
                                        "resumed",        "client_name", "client_fingerprint",
                                        "client_verified"};
    c->fact = arena_alloc(p->arena, (c->tls.count + 1) * sizeof(struct template *));
    for (size_t i = 0; i < c->tls.count; i++) {
        struct slice name;
        struct slice value;
        bool is_known = false;
        bool has_value = take_apart(c->tls.items[i], &name, &value);
        for (size_t k = 0; k < sizeof FACTS / sizeof *FACTS; k++)
            is_known = is_known || slice_equal(name, slice_from_cstring(FACTS[k]));
        if (!is_known || (has_value && value.size == 0)) {
            p->error(p, "tls",
                     "\"%.*s\" is no fact of TLS; there are version:1.2, sni:example.com, cipher, "
                     "resumed, client_name, client_fingerprint and client_verified",
                     SLICE_ARG(c->tls.items[i]));
            return false;
        }
        c->fact[i] =
            p->compile_template(p, "tls", arena_format(p->arena, "{tls.%.*s}", SLICE_ARG(name)));
        if (c->fact[i] == NULL)
            return false;
    }
    return true;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct access_config *c = config;
    if (!prepare_geo(c, p) || !prepare_tls(c, p))
        return ERR_CONFIG;
    c->networks = network_set_new();
    p->keep(p, release_networks, c->networks);
    for (size_t i = 0; i < c->who.count; i++) {
        struct slice word = c->who.items[i];
        struct cidr network;
        if (slice_equal(word, SLICE("all"))) {
            c->is_everyone = true;
        } else if (slice_starts(word, SLICE("file:"))) {
            if (!add_file(c, slice_from(word, 5), p))
                return ERR_CONFIG;
        } else if (cidr_parse(word, &network)) {
            network_set_add(c->networks, &network);
        } else {
            p->error(p, "who",
                     "\"%.*s\" is no address and no network; there are 10.0.0.0/8, "
                     "2001:db8::1, file:PATH and all",
                     SLICE_ARG(word));
            return ERR_CONFIG;
        }
    }
    network_set_seal(c->networks);
    return OK;
}

static bool is_one(const struct access_config *c, const struct address *client)
{
    if (c->is_everyone || network_set_has(c->networks, client))
        return true;
    for (size_t i = 0; i < c->files_count; i++)
        if (network_set_has(held_now(c->files[i]), client))
            return true;
    return false;
}

static bool is_method(const struct slice_list *methods, struct slice method)
{
    for (size_t i = 0; i < methods->count; i++)
        if (slice_equal(methods->items[i], method))
            return true;
    return methods->count == 0;
}

static bool has_header(const struct fields *fields, struct slice wanted)
{
    struct slice name;
    struct slice value;
    bool has_value = take_apart(wanted, &name, &value);
    for (uint32_t i = 0; i < fields->count; i++)
        if (slice_equal_nocase(fields->items[i].name, name) &&
            (!has_value || slice_equal(fields->items[i].value, value)))
            return true;
    return false;
}

static bool has_cookie(const struct fields *fields, struct slice wanted)
{
    struct slice name;
    struct slice value;
    struct slice found;
    bool has_value = take_apart(wanted, &name, &value);
    return cookie_find(fields, name, &found) && (!has_value || slice_equal(found, value));
}

static bool has_fact(struct exchange *x, const struct template *fact, struct slice wanted)
{
    struct slice name;
    struct slice value;
    bool has_value = take_apart(wanted, &name, &value);
    struct slice found = x->tls == NULL ? SLICE("") : template_expand(fact, x);
    return found.size > 0 && (!has_value || slice_equal(found, value));
}

static bool is_at_home(const struct access_config *c, const struct exchange *x)
{
    char code[GEO_COUNTRY_SIZE];
    bool is_in = c->countries.count == 0;
    struct slice country = is_in ? SLICE("") : geo_country(x->site->geo, x->client, code);
    for (size_t i = 0; i < c->countries.count && !is_in; i++)
        is_in = slice_equal(c->countries.items[i], country);
    if (!is_in || c->numbers.count == 0)
        return is_in;
    uint32_t number = geo_network(x->site->geo, x->client);
    for (size_t i = 0; i < c->numbers.count; i++)
        if (number != 0 && c->number[i] == number)
            return true;
    return false;
}

static bool fits(const struct access_config *c, struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    if (!is_one(c, x->client) || !is_method(&c->methods, head->method_text))
        return false;
    for (size_t i = 0; i < c->headers.count; i++)
        if (!has_header(&head->fields, c->headers.items[i]))
            return false;
    for (size_t i = 0; i < c->cookies.count; i++)
        if (!has_cookie(&head->fields, c->cookies.items[i]))
            return false;
    for (size_t i = 0; i < c->tls.count; i++)
        if (!has_fact(x, c->fact[i], c->tls.items[i]))
            return false;
    return is_at_home(c, x);
}

static enum verdict refuse(struct exchange *x, const struct access_config *c, const char *by,
                           int64_t status)
{
    x->refused_by = by;
    x->rule = c->at;
    return exchange_refuse_as(x, REFUSAL_DENIED, (int)status);
}

/* The last line of the list decides about who fitted none. */
static enum verdict close_list(struct exchange *x, const struct access_config *c)
{
    if (!c->is_last || !c->needs_allow || x->is_allowed)
        return NEXT;
    return refuse(x, c, key_allow.name, refusal_text(REFUSAL_DENIED)->status);
}

static enum verdict on_allow(struct exchange *x, const void *config)
{
    const struct access_config *c = config;
    if (!x->is_allowed)
        x->is_allowed = fits(c, x);
    return close_list(x, c);
}

static enum verdict on_deny(struct exchange *x, const void *config)
{
    const struct access_config *c = config;
    if (!x->is_allowed && fits(c, x))
        return refuse(x, c, key_deny.name, c->status);
    return close_list(x, c);
}

const struct step step_allow = {.key = &key_allow, .prepare = prepare, .on_request = on_allow};
const struct step step_deny = {.key = &key_deny, .prepare = prepare, .on_request = on_deny};

void access_settle(const struct step_use *uses, size_t count)
{
    bool has_allow = false;
    struct access_config *last = NULL;
    for (size_t i = 0; i < count; i++) {
        if (uses[i].step != &step_allow && uses[i].step != &step_deny)
            continue;
        last = (struct access_config *)(uintptr_t)uses[i].config; /* the route's own copy */
        last->at = uses[i].at;
        has_allow = has_allow || uses[i].step == &step_allow;
    }
    if (last == NULL)
        return;
    last->is_last = true;
    last->needs_allow = has_allow;
}
