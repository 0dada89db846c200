/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that say where addresses are at home, in MaxMind's format. */
#pragma once

struct geo_entry {
    const char *network;  /* "192.0.2.0/24", "2001:db8::/32" */
    const char *country;  /* of a database of countries … */
    unsigned long number; /* … or of networks */
};

/* Makes a file of them, up to one without a network; `type` is the kind of database that it says to
 * be. No network lies within another one. */
void geo_file_set(const char *path, const char *type, const struct geo_entry *entries);
