/* SPDX-License-Identifier: Apache-2.0 */
/* What a try says about the speed of its server. */
#include "upstream/call_inside.h"
#include "upstream/server.h"

void call_note_time(const struct upstream_call *call, struct server *server, enum status status)
{
    bool is_telling = status != ERR_CANCELLED && !call->client_failed;
    if (upstream_rules(call->upstream)->balance != BALANCE_LEAST_TIME || !is_telling)
        return;
    int answer = status == OK ? call->head.status : 502;
    if (answer >= 502 && answer <= 504)
        server_timed(server, 0, true);
    else if (call->inside->is_kept) /* else the pace was the client's */
        server_timed(server, call->connect_time + call->first_byte_time, false);
}
