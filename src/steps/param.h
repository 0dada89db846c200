/* SPDX-License-Identifier: Apache-2.0 */
/* param NAME VALUE: a line in the block of php, fastcgi, scgi or uwsgi. */
#pragma once

#include "http/cgi.h"

struct exchange;

/* Sets it, over one that stands there already. */
void param_set(const void *config, struct exchange *x, struct cgi_parameters *parameters);
