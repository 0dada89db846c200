/* SPDX-License-Identifier: Apache-2.0 */
/* Where an address is at home, by databases in the format of MaxMind (libmaxminddb). */
#pragma once

#include "fiber/held.h"
#include "net/address.h"

/* The databases of a configuration; NULL: there is none. */
struct geo {
    const struct held *country;
    const struct held *network;
};

/* What tells a database of countries (or cities) and one of networks (ASN) apart; `parsed` is of
 * geo_file. */
enum geo_content { GEO_COUNTRY, GEO_NETWORK };
extern const struct held_kind geo_file;
enum geo_content geo_content_of(const struct held *file);

enum {
    GEO_COUNTRY_SIZE = 2, /* ISO 3166-1 alpha-2 */
};

/* "DE"; empty: not known. Up to a microsecond. `into` has room for GEO_COUNTRY_SIZE bytes. */
struct slice geo_country(const struct geo *geo, const struct address *address, char *into);
/* The number of the autonomous system; 0: not known. */
uint32_t geo_network(const struct geo *geo, const struct address *address);
