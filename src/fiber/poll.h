/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of the loop: which descriptors are ready. The simulated world replaces it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* A set of descriptors to wait on; −1: none is to be had. */
int poll_open(void);
void poll_close(int poll);
/* `events` as of epoll, `data` comes back with each event. False: the kernel refused. */
bool poll_add(int poll, int fd, uint32_t events, uint64_t data);
void poll_remove(int poll, int fd);
/* Sleeps until something is ready or for `timeout_ms` (−1: for ever); how many events there are. */
int poll_wait(int poll, struct epoll_event *events, int max, int timeout_ms);
