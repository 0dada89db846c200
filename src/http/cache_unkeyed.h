/* SPDX-License-Identifier: Apache-2.0 */
/* Fields by which a client may talk a server into another answer than its URL's, without any cache
 * between them knowing: names of a host, a path, a scheme, a method or a client that frameworks
 * take for the request's own. */
#pragma once

#include "http/message.h"

bool cache_is_unkeyed(struct slice name);
/* Takes them all off, from a request whose answer may be stored for everybody. */
void cache_strip_unkeyed(struct fields *fields);
