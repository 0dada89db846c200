/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/grpc.h"

#include "base/clock.h"
#include "fiber/thread.h"

enum {
    TIMEOUT_DIGITS_MAX = 8,
    TIMEOUT_MAX = 99999999,
};

/* The codes of gRPC that a proxy has a use for. */
enum {
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
};

bool grpc_is_call(const struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    if (head->major != 2)
        return false;
    const struct field *type = fields_find(&head->fields, FIELD_CONTENT_TYPE);
    if (type == NULL || !slice_starts_nocase(type->value, SLICE("application/grpc")))
        return false;
    struct slice rest = slice_from(type->value, sizeof "application/grpc" - 1);
    return rest.size == 0 || rest.data[0] == '+' || rest.data[0] == ';';
}

int64_t grpc_timeout(const struct exchange *x)
{
    const struct field *field = fields_find_named(&x->request.head.fields, SLICE("grpc-timeout"));
    uint64_t count;
    if (field == NULL || field->value.size < 2 || field->value.size > TIMEOUT_DIGITS_MAX + 1)
        return CLOCK_NEVER;
    size_t digits = field->value.size - 1;
    if (!slice_to_u64(slice_first(field->value, digits), TIMEOUT_MAX, &count))
        return CLOCK_NEVER;
    int64_t unit;
    switch (field->value.data[digits]) {
    case 'H':
        unit = SECONDS(3600);
        break;
    case 'M':
        unit = SECONDS(60);
        break;
    case 'S':
        unit = SECONDS(1);
        break;
    case 'm':
        unit = MILLISECONDS(1);
        break;
    case 'u':
        unit = 1000;
        break;
    case 'n':
        unit = 1;
        break;
    default:
        return CLOCK_NEVER;
    }
    return (int64_t)count > CLOCK_NEVER / unit ? CLOCK_NEVER : (int64_t)count * unit;
}

int grpc_status_of(int status, bool is_late)
{
    if (is_late)
        return GRPC_DEADLINE_EXCEEDED;
    switch (status) {
    case 400:
        return GRPC_INTERNAL; /* as gRPC's own table for answers of HTTP has it */
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
    case 405:
        return GRPC_UNIMPLEMENTED;
    case 408:
    case 504:
        return GRPC_UNAVAILABLE;
    case 413:
    case 431:
        return GRPC_RESOURCE_EXHAUSTED;
    case 414:
    case 417:
    case 421:
        return GRPC_INVALID_ARGUMENT;
    case 429:
    case 502:
    case 503:
        return GRPC_UNAVAILABLE;
    default:
        return status >= 500 ? GRPC_UNAVAILABLE : GRPC_INTERNAL;
    }
}

void grpc_build_error(struct exchange *x)
{
    const char *why = x->blame.why == NULL ? "" : x->blame.why;
    bool is_late = x->deadline != CLOCK_NEVER && loop_now() >= x->deadline;
    int status = grpc_status_of(x->blame.answer, is_late);
    response_replace(x, 200, SLICE("application/grpc"), SLICE(""));
    struct fields *fields = &x->response.fields;
    fields_add_named(fields, SLICE("grpc-status"), arena_format(&x->arena, "%d", status));
    fields_add_named(fields, SLICE("grpc-message"),
                     arena_format(&x->arena, "weir: %d %s", x->blame.answer, why));
}
