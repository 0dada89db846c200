/* SPDX-License-Identifier: Apache-2.0 */
/* All scenarios: each is a function that sets it up, and perhaps one that looks at the end. */
#pragma once

#include "scenario.h"

/* PLAIN(name), CHECKED(name); TIMEOUT(name): one that waits for a default to run out */
#define SCENARIO_LIST(PLAIN, CHECKED, TIMEOUT)                                                     \
    PLAIN(one_get)                                                                                 \
    PLAIN(many_gets)                                                                               \
    PLAIN(one_head)                                                                                \
    PLAIN(small_post)                                                                              \
    PLAIN(empty_post)                                                                              \
    PLAIN(large_post)                                                                              \
    PLAIN(chunked_post)                                                                            \
    PLAIN(patient_post)                                                                            \
    PLAIN(large_answer)                                                                            \
    PLAIN(chunked_answer)                                                                          \
    PLAIN(answer_until_close)                                                                      \
    PLAIN(old_client)                                                                              \
    PLAIN(interim_answers)                                                                         \
    CHECKED(too_many_interims)                                                                     \
    PLAIN(no_content)                                                                              \
    PLAIN(pipelined)                                                                               \
    PLAIN(byte_by_byte)                                                                            \
    PLAIN(slow_reader)                                                                             \
    PLAIN(paused_reader)                                                                           \
    PLAIN(client_leaves)                                                                           \
    PLAIN(client_leaves_inside)                                                                    \
    PLAIN(client_leaves_sending)                                                                   \
    PLAIN(upgrade)                                                                                 \
    PLAIN(upgrade_refused)                                                                         \
    PLAIN(server_says_close)                                                                       \
    PLAIN(server_closes)                                                                           \
    PLAIN(server_closes_unsaid)                                                                    \
    PLAIN(old_server)                                                                              \
    PLAIN(slow_server)                                                                             \
    PLAIN(early_answer)                                                                            \
    PLAIN(early_answer_and_close)                                                                  \
    PLAIN(short_answer)                                                                            \
    CHECKED(short_head)                                                                            \
    PLAIN(reset_inside)                                                                            \
    PLAIN(long_answer)                                                                             \
    CHECKED(garbage)                                                                               \
    CHECKED(two_lengths)                                                                           \
    CHECKED(hang_up)                                                                               \
    CHECKED(hang_up_on_post)                                                                       \
    PLAIN(reset_at_head)                                                                           \
    CHECKED(server_fails)                                                                          \
    PLAIN(server_refuses)                                                                          \
    PLAIN(all_refuse)                                                                              \
    PLAIN(unreachable)                                                                             \
    PLAIN(server_dies)                                                                             \
    PLAIN(server_vanishes)                                                                         \
    PLAIN(misframed)                                                                               \
    PLAIN(two_lengths_sent)                                                                        \
    PLAIN(bad_chunk)                                                                               \
    PLAIN(cut_off)                                                                                 \
    PLAIN(bare_lf)                                                                                 \
    PLAIN(few_descriptors)                                                                         \
    PLAIN(full_backlog)                                                                            \
    PLAIN(full_disk)                                                                               \
    PLAIN(unix_server)                                                                             \
    CHECKED(name_changes)                                                                          \
    PLAIN(unknown_name)                                                                            \
    PLAIN(clock_goes_back)                                                                         \
    PLAIN(all_ways)                                                                                \
    PLAIN(ways_of_bodies)                                                                          \
    PLAIN(ways_of_h2)                                                                              \
    PLAIN(bodies_of_h2)                                                                            \
    PLAIN(h2_get)                                                                                  \
    PLAIN(ways_of_tls)                                                                             \
    PLAIN(bodies_of_tls)                                                                           \
    PLAIN(tls_get)                                                                                 \
    PLAIN(tls_h1_get)                                                                              \
    PLAIN(tls_upgrade)                                                                             \
    PLAIN(tls_paused_reader)                                                                       \
    TIMEOUT(handshake_never_begins)                                                                \
    PLAIN(h2_grpc_fails)                                                                           \
    PLAIN(h2_grpc)                                                                                 \
    PLAIN(h2_crowd)                                                                                \
    PLAIN(h2_upgrade)                                                                              \
    PLAIN(h2_client_leaves)                                                                        \
    PLAIN(h2_paused_reader)                                                                        \
    PLAIN(h2_server_misbehaves)                                                                    \
    CHECKED(queue_moves_on)                                                                        \
    CHECKED(log_is_reopened)                                                                       \
    CHECKED(reload_under_load)                                                                     \
    CHECKED(reload_is_refused)                                                                     \
    CHECKED(reload_and_end)                                                                        \
    CHECKED(drain_says_close)                                                                      \
    CHECKED(drain_takes_who_waits)                                                                 \
    PLAIN(several_workers)                                                                         \
    TIMEOUT(head_never_ends)                                                                       \
    TIMEOUT(head_drips)                                                                            \
    TIMEOUT(body_stops)                                                                            \
    TIMEOUT(body_stops_streamed)                                                                   \
    TIMEOUT(body_drips)                                                                            \
    TIMEOUT(client_idles)                                                                          \
    TIMEOUT(client_says_nothing)                                                                   \
    TIMEOUT(client_does_not_read)                                                                  \
    TIMEOUT(second_head_never_ends)                                                                \
    TIMEOUT(body_is_left_undrained)                                                                \
    TIMEOUT(pool_is_told_less)                                                                     \
    TIMEOUT(events_may_be_silent)                                                                  \
    TIMEOUT(server_is_ejected)                                                                     \
    TIMEOUT(server_is_silent)                                                                      \
    TIMEOUT(server_never_answers)                                                                  \
    TIMEOUT(server_never_answers_stream)                                                           \
    TIMEOUT(server_stops_inside)                                                                   \
    TIMEOUT(server_reads_nothing)                                                                  \
    TIMEOUT(whole_takes_too_long)                                                                  \
    TIMEOUT(queue_is_too_long)                                                                     \
    TIMEOUT(tunnel_idles)                                                                          \
    TIMEOUT(pool_idles)                                                                            \
    TIMEOUT(drain_is_over)                                                                         \
    TIMEOUT(server_is_back)                                                                        \
    TIMEOUT(connection_grows_old)

#define PLAIN(name) void name(void);
#define CHECKED(name)                                                                              \
    void name(void);                                                                               \
    void name##_check(void);
SCENARIO_LIST(PLAIN, CHECKED, CHECKED)
#undef PLAIN
#undef CHECKED
