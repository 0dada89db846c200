/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of this machine. */
#pragma once

#include "net/address.h"

/* Whether one of its interfaces has that address, whatever the port. Asks the kernel. */
bool interfaces_have(const struct address *address);
