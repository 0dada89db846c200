/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's WebSocket (RFC 6455): repeats what it is told. */
#pragma once

#include "http/message.h"
#include "net/stream.h"

/* Answers the handshake and echoes frames until the client closes. Always ERR_CLOSED at the end. */
MUST_CHECK enum status demo_websocket(struct stream *stream, const struct request_head *head,
                                      struct slice rest);
/* The answer to a key: base64(SHA-1(key + the GUID of the RFC)); 28 bytes. */
void demo_websocket_accept(struct slice key, char accept[28]);
