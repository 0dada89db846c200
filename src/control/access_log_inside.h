/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the access log's formats share: the names of its keys. */
#pragma once

#include "control/access_log_format.h"

enum access_log_name {
#define LOG_TEXT(name, value)    LOG_NAME_##name,
#define LOG_WORD(name, value)    LOG_NAME_##name,
#define LOG_NUMBER(name, value)  LOG_NAME_##name,
#define LOG_SECONDS(name, value) LOG_NAME_##name,
#include "control/access_log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_SECONDS
    ACCESS_LOG_NAMES,
};

/* A bit for each key that is shown unless the configuration says otherwise. */
#define ACCESS_LOG_USUAL ((UINT64_C(1) << (LOG_NAME_config + 1)) - 1)

/* Text, and then a key (ACCESS_LOG_NAMES: none) or a field of the request or the response. */
struct access_log_piece {
    struct slice text;
    unsigned name;
    struct access_log_header header; /* its name is empty: none */
};
