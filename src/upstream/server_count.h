/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted of the tries at a server: by each worker for itself. */
#pragma once

#include "base/metric.h"
#include "upstream/server.h"

struct upstream_call;

/* A try on the chosen server is over: with an answer, or as call->error says. */
void server_count_try(const struct upstream_call *call, struct server *server, enum status status);
/* Its answer broke off. */
void server_count_broken(struct server *server, const char *error);
/* Another one follows it. */
void server_count_retry(struct server *server, enum upstream_retried why);
/* Releases the counts of a server that is freed. */
void server_forget_counts(struct server *server);
