/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the machine, and a gate that they pass together: what a `struct thread` runs on. */
#pragma once

struct native;
struct gate;

/* Runs run(argument) on a thread of its own; NULL: the kernel has none. */
struct native *native_start(void (*run)(void *argument), void *argument);
/* Waits for its end and frees it. */
void native_join(struct native *native);

/* Opens each time that `count` threads stand before it. */
struct gate *gate_new(unsigned count);
void gate_pass(struct gate *gate);
void gate_free(struct gate *gate);
