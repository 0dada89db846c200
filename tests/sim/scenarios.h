/* SPDX-License-Identifier: Apache-2.0 */
/* All scenarios: each is a function that sets it up, and perhaps one that looks at the end. */
#pragma once

#include "scenario.h"

/* PLAIN(name), CHECKED(name) */
#define SCENARIO_LIST(PLAIN, CHECKED)                                                              \
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
    PLAIN(too_many_interims)                                                                       \
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
    PLAIN(server_closes)                                                                           \
    PLAIN(server_closes_unsaid)                                                                    \
    PLAIN(old_server)                                                                              \
    PLAIN(slow_server)                                                                             \
    PLAIN(early_answer)                                                                            \
    PLAIN(early_answer_and_close)                                                                  \
    PLAIN(short_answer)                                                                            \
    PLAIN(short_head)                                                                              \
    PLAIN(reset_inside)                                                                            \
    PLAIN(long_answer)                                                                             \
    PLAIN(garbage)                                                                                 \
    PLAIN(two_lengths)                                                                             \
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
    PLAIN(several_workers)                                                                         \
    CHECKED(head_never_ends)                                                                       \
    CHECKED(head_drips)                                                                            \
    CHECKED(body_stops)                                                                            \
    CHECKED(body_stops_streamed)                                                                   \
    CHECKED(body_drips)                                                                            \
    CHECKED(client_idles)                                                                          \
    CHECKED(client_says_nothing)                                                                   \
    CHECKED(client_does_not_read)                                                                  \
    CHECKED(server_is_silent)                                                                      \
    CHECKED(server_never_answers)                                                                  \
    CHECKED(server_never_answers_stream)                                                           \
    CHECKED(server_stops_inside)                                                                   \
    CHECKED(server_reads_nothing)                                                                  \
    CHECKED(whole_takes_too_long)                                                                  \
    CHECKED(queue_is_too_long)                                                                     \
    CHECKED(tunnel_idles)                                                                          \
    CHECKED(pool_idles)                                                                            \
    CHECKED(drain_is_over)                                                                         \
    CHECKED(server_is_back)                                                                        \
    CHECKED(connection_grows_old)

#define PLAIN(name) void name(void);
#define CHECKED(name)                                                                              \
    void name(void);                                                                               \
    void name##_check(void);
SCENARIO_LIST(PLAIN, CHECKED)
#undef PLAIN
#undef CHECKED
