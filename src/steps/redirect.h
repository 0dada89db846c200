/* SPDX-License-Identifier: Apache-2.0 */
/* What the snapshot builder fills in for the aliases of a site. */
#pragma once

#include "exchange/step.h"

struct redirect_config {
    struct slice to; /* a template */
    int64_t status;
    const struct template *to_template;
};

extern const struct step step_redirect;
