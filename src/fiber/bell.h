/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor by which one thread wakes another's loop. */
#pragma once

#include "base/status.h"

MUST_CHECK enum status bell_open(int *fd);
void bell_ring(int fd);
/* Takes all rings so far: the descriptor is no longer readable. */
void bell_hush(int fd);
void bell_close(int fd);
