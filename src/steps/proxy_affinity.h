/* SPDX-License-Identifier: Apache-2.0 */
/* What ties a client to a server: found in the request, and told to the client in a cookie. */
#pragma once

struct exchange;
struct upstream_call;

/* Fills what the upstream of the call wants to know of the request. */
void proxy_affinity_ask(struct exchange *x, struct upstream_call *call);
/* After an answer: sets the cookie where one is due. */
void proxy_affinity_answer(struct exchange *x, const struct upstream_call *call);
