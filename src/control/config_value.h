/* SPDX-License-Identifier: Apache-2.0 */
/* The types of values, one reader each: inside of config_value_read(). */
#pragma once

#include "control/config_schema.h"

/* A value on its way into its field. */
struct config_value {
    struct config_decoder *decoder;
    const struct option *option;
    const char *label;
    const struct config_word *word;
    void *field;
};

bool config_number_read(const struct config_value *value);   /* INT SIZE DURATION PERCENT STATUS */
bool config_rate_read(const struct config_value *value);     /* RATE */
bool config_address_read(const struct config_value *value);  /* ADDRESS SERVER CIDR HOST URL */
bool config_template_read(const struct config_value *value); /* TEMPLATE */
bool config_text_read(const struct config_value *value);     /* the other slices */

/* Reports and returns false. */
bool config_value_fail(const struct config_value *value, enum config_code code, const char *why,
                       const char *note_format, ...) __attribute__((format(printf, 4, 5)));
static inline bool config_value_store(const struct config_value *value, struct slice text)
{
    *(struct slice *)value->field = text;
    return true;
}
/* Writes a number in the unit of its type: "30s", "16KiB". */
void config_number_write(struct buffer *out, enum option_type type, int64_t number);
