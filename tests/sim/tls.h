/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of the simulated world: frames in clear, with a handshake that agrees on a name and a
 * protocol. A certificate has to be there and is not looked at. */
#pragma once

#include "base/slice.h"
#include "net/tls_client.h"

/* What a client of weir's offers. */
struct slice tls_client_name(const struct tls_client *client);
const struct slice *tls_client_protocols(const struct tls_client *client, size_t *count);
