/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the names of sites lead here: who looks for them and comes elsewhere gets neither pages
 * nor certificates. */
#include "cli/doctor.h"
#include "control/names.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "net/interfaces.h"
#include "net/resolver.h"

#include <stdlib.h>

enum {
    NAMES_MAX = 100, /* that are asked for */
};

struct asked {
    struct slice host;
    struct address address; /* the first; size 0: none */
    bool is_here, is_told;
    size_t *left;
};

/* Names that lead nowhere by definition (RFC 6761, RFC 2606), or only here. */
static bool is_special(struct slice host)
{
    static const struct slice ENDS[] = {
        {".test", 5},        {".example", 8},     {".invalid", 8},
        {".localhost", 10},  {".local", 6},       {".internal", 9},
        {"example.com", 11}, {"example.org", 11}, {"example.net", 11}};
    struct address address;
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        if (slice_ends(host, ENDS[i]))
            return true;
    return slice_find(host, '.') == host.size || slice_find(host, '*') < host.size ||
           address_parse_ip(host, &address);
}

static void on_addresses(void *argument, const struct address *addresses, size_t count,
                         const char *why)
{
    struct asked *asked = argument;
    (void)why;
    if (asked->is_told)
        return;
    asked->is_told = true;
    for (size_t i = 0; i < count; i++)
        asked->is_here = asked->is_here || interfaces_have(&addresses[i]);
    if (count > 0)
        asked->address = addresses[0];
    if (--*asked->left == 0)
        loop_stop();
}

static void ask(const struct config *config, struct asked *names, size_t count)
{
    static struct thread thread; /* too large for a frame */
    struct resolver *resolver;
    size_t left = count + 1; /* ours, so that it does not end before all are asked for */
    if (thread_init(&thread, "names", -1) != OK)
        return;
    if (names_open_resolver(config, &resolver) == OK) {
        for (size_t i = 0; i < count; i++) {
            names[i].left = &left;
            resolver_follow(resolver, names[i].host, 80, on_addresses, &names[i]);
        }
        if (--left > 0)
            loop_run();
        resolver_free(resolver);
    }
    thread_done(&thread);
}

static void say(struct doctor *d, const struct asked *name)
{
    char text[ADDRESS_TEXT_MAX];
    if (name->address.size == 0)
        doctor_find(d, DOCTOR_WARNING, "site",
                    arena_format(d->arena, "%.*s has no address: clients do not find it",
                                 SLICE_ARG(name->host)),
                    "a record A or AAAA with this machine's address");
    else if (!name->is_here)
        doctor_find(d, DOCTOR_NOTE, "site",
                    arena_format(d->arena, "%.*s is %.*s, which is no address of this machine",
                                 SLICE_ARG(name->host),
                                 SLICE_ARG(address_format_ip(&name->address, text))),
                    "right behind a NAT or a balancer; else its DNS record is wrong");
    else
        doctor_find(d, DOCTOR_GOOD, "site",
                    arena_format(d->arena, "%.*s leads here", SLICE_ARG(name->host)), NULL);
}

void doctor_look_at_names(struct doctor *d, const struct config *config)
{
    struct asked *names = arena_zero(d->arena, NAMES_MAX * sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < config->sites_count && !d->no_names; i++)
        for (size_t h = 0; h < config->sites[i].hosts.count && count < NAMES_MAX; h++)
            if (!is_special(config->sites[i].hosts.items[h]))
                names[count++].host = config->sites[i].hosts.items[h];
    if (count > 0)
        ask(config, names, count);
    for (size_t i = 0; i < count; i++)
        say(d, &names[i]);
}
