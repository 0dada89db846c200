/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/certs: the certificates that sites show, as clients see them now. */
#include "base/clock.h"
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/certificates_inside.h"
#include "control/service.h"
#include "control/snapshot.h"
#include "net/tls_show.h"

enum { DAY_S = 24 * 3600 };

static const char *state_of(const struct tls_shown *shown, int64_t now)
{
    if (shown->expires <= now)
        return "expired";
    if (shown->begins > now)
        return "not yet valid";
    return shown->expires - now < CERTIFICATES_SOON_S ? "soon" : "ok";
}

/* The line that it comes from. */
static const struct shown *source_of(const struct site_certificates *site, struct slice fingerprint)
{
    for (size_t i = 0; i < site->count; i++)
        if (slice_equal(fingerprint, (struct slice){site->shown[i].fingerprint,
                                                    sizeof site->shown[i].fingerprint}))
            return &site->shown[i];
    return NULL;
}

static void write_source(const struct shown *source, struct buffer *out)
{
    if (source == NULL)
        return;
    json_field(out, "source", source->is_local ? SLICE("local") : SLICE("file"));
    if (!source->is_local) {
        json_field(out, "file", source->chain_path);
        json_field(out, "key_file", source->key_path);
    }
}

static void write_one(struct admin_request *r, const struct site_certificates *site,
                      const struct tls_shown *shown, struct buffer *out)
{
    int64_t now = clock_wall() / SECONDS(1);
    const struct slice_list *hosts = &site->site->hosts;
    buffer_append_byte(out, '{');
    json_field(out, "site", hosts->count > 0 ? hosts->items[0] : SLICE(""));
    json_field(out, "at", config_item_at(r->arena, site->site->item));
    admin_json_list(out, "names", shown->names, shown->names_count);
    json_field(out, "subject", shown->subject);
    json_field(out, "issuer", shown->issuer);
    admin_json_bool(out, "self_signed", shown->is_self_signed);
    json_field(out, "key", shown->key);
    json_field(out, "fingerprint", shown->fingerprint);
    admin_json_time(out, "begins", shown->begins * SECONDS(1));
    admin_json_time(out, "expires", shown->expires * SECONDS(1));
    json_field_int(out, "days_left", (shown->expires - now) / DAY_S);
    json_field(out, "state", slice_from_cstring(state_of(shown, now)));
    admin_json_time(out, "stapled_until", shown->stapled_until * SECONDS(1));
    write_source(source_of(site, shown->fingerprint), out);
    buffer_append_byte(out, '}');
}

/* Those of one site; *is_first: nothing stands before them. */
static void write_site(struct admin_request *r, const struct site_certificates *site,
                       struct buffer *out, bool *is_first)
{
    struct tls_shown *shown = arena_alloc(r->arena, TLS_CERTIFICATES_MAX * sizeof *shown);
    size_t count = tls_context_show(site->context, r->arena, shown, TLS_CERTIFICATES_MAX);
    for (size_t j = 0; j < count; j++) {
        if (!*is_first)
            buffer_append_byte(out, ',');
        *is_first = false;
        write_one(r, site, &shown[j], out);
    }
}

void admin_get_certs(struct admin_request *r)
{
    const struct certificates *certificates = service_snapshot()->certificates;
    struct buffer out = admin_json(r);
    bool is_first = true;
    json_name(&out, "certs");
    buffer_append_byte(&out, '[');
    for (size_t i = 0; certificates != NULL && i < certificates->count; i++)
        if (certificates->sites[i].context != NULL)
            write_site(r, &certificates->sites[i], &out, &is_first);
    buffer_append(&out, SLICE("]}\n"));
    admin_answer(r, 200, &out);
}

void admin_renew_cert(struct admin_request *r)
{
    struct certificates *certificates = service_snapshot()->certificates;
    struct slice name = r->parts[2];
    char why[CERTIFICATES_WHY_MAX];
    enum status status =
        certificates == NULL ? ERR_UNREACHABLE : certificates_renew(certificates, name, why);
    if (status == ERR_UNREACHABLE) {
        admin_problem(r, 404, "not-found", "Nothing is shown under this name",
                      SLICE("GET /v1/certs"));
        return;
    }
    admin_audit(r, arena_format(r->arena, "renew the certificate of %.*s", SLICE_ARG(name)),
                status == OK ? "done" : status_name(status));
    if (status == ERR_TIMEOUT) {
        admin_problem(r, 503, "busy", "A reload is under way", SLICE(""));
        return;
    }
    if (status != OK) {
        admin_problem(r, 422, "invalid-certificate", "What is there cannot be shown",
                      arena_copy(r->arena, slice_from_cstring(why)));
        return;
    }
    struct buffer out = admin_json(r);
    json_field(&out, "renewed", name);
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 200, &out);
}
