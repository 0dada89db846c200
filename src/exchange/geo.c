/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/geo.h"

#include "base/arena.h"
#include "fiber/file.h"

#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZE_MAX_BYTES = 512 * 1024 * 1024,
};

/* An open database. */
struct geo_database {
    MMDB_s file;
    enum geo_content content;
};

/* The library maps a file; a copy of our own is what nobody can cut short under it. */
static void *read_database(struct slice text, char why[HELD_WHY_MAX])
{
    char path[FILE_TEMPORARY_PATH_MAX];
    const char *reason = "";
    if (file_temporary(text, path, &reason) != OK) {
        (void)snprintf(why, HELD_WHY_MAX, "a copy cannot be made: %s", reason);
        return NULL;
    }
    struct geo_database *database = memory_zero(sizeof *database);
    int error = MMDB_open(path, MMDB_MODE_MMAP, &database->file);
    file_remove(path);
    if (error != MMDB_SUCCESS) {
        (void)snprintf(why, HELD_WHY_MAX, "%s", MMDB_strerror(error));
        free(database);
        return NULL;
    }
    const char *type = database->file.metadata.database_type;
    database->content = strstr(type, "ASN") != NULL ? GEO_NETWORK : GEO_COUNTRY;
    return database;
}

static void release(void *parsed)
{
    struct geo_database *database = parsed;
    MMDB_close(&database->file);
    free(database);
}

const struct held_kind geo_file = {
    .name = "database of addresses",
    .size_max = SIZE_MAX_BYTES,
    .read = read_database,
    .release = release,
};

enum geo_content geo_content_of(const struct held *file)
{
    const struct geo_database *database = held_now(file);
    return database->content;
}

/* The value at a path of names; false: there is none of that type. */
static bool find(const struct held *file, const struct address *address, const char *const *path,
                 uint32_t type, MMDB_entry_data_s *data)
{
    if (address->any.sa_family == AF_UNIX || address->size == 0)
        return false;
    const struct geo_database *database = held_now(file);
    const struct sockaddr *asked = &address->any;
    struct sockaddr_in inner = {.sin_family = AF_INET};
    if (asked->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
        memcpy(&inner.sin_addr, address->v6.sin6_addr.s6_addr + 12, sizeof inner.sin_addr);
        asked = (const struct sockaddr *)&inner;
    }
    int error = MMDB_SUCCESS;
    MMDB_lookup_result_s result = MMDB_lookup_sockaddr(&database->file, asked, &error);
    return error == MMDB_SUCCESS && result.found_entry &&
           MMDB_aget_value(&result.entry, data, path) == MMDB_SUCCESS && data->has_data &&
           data->type == type;
}

struct slice geo_country(const struct geo *geo, const struct address *address, char *into)
{
    static const char *const PATH[] = {"country", "iso_code", NULL};
    MMDB_entry_data_s data;
    if (geo == NULL || geo->country == NULL ||
        !find(geo->country, address, PATH, MMDB_DATA_TYPE_UTF8_STRING, &data) ||
        data.data_size != GEO_COUNTRY_SIZE)
        return SLICE("");
    memcpy(into, data.utf8_string, GEO_COUNTRY_SIZE);
    return slice_of(into, GEO_COUNTRY_SIZE);
}

uint32_t geo_network(const struct geo *geo, const struct address *address)
{
    static const char *const PATH[] = {"autonomous_system_number", NULL};
    MMDB_entry_data_s data;
    if (geo == NULL || geo->network == NULL ||
        !find(geo->network, address, PATH, MMDB_DATA_TYPE_UINT32, &data))
        return 0;
    return data.uint32;
}
