/* SPDX-License-Identifier: Apache-2.0 */
/* What other threads want done on this thread's loop: the inside of thread_post(). */
#pragma once

#include "base/status.h"

struct thread;

MUST_CHECK enum status mailbox_open(struct thread *thread);
void mailbox_close(struct thread *thread);
