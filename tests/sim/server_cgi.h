/* SPDX-License-Identifier: Apache-2.0 */
/* A program behind FastCGI: reads records and parameters strictly, answers as the ledger says, cut
 * into records of any size with padding and words beside, and misbehaves as servers do. */
#pragma once

#include "net.h"

struct cgi_server {
    struct service service;
    unsigned connections, requests;
    bool closes_always; /* whatever it is asked for: a connection is good for one request */
};
void cgi_server_start(struct cgi_server *server, const char *address,
                      const struct network *network);
