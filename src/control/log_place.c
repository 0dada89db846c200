/* SPDX-License-Identifier: Apache-2.0 */
#include "control/log_place.h"

#include "base/buffer.h"

static const char JOURNAL[] = "/run/systemd/journal/socket";
static const char DEVICE[] = "/dev/log";

static bool read_unix(struct slice path, struct address *address)
{
    char text[sizeof address->un.sun_path + sizeof "unix:"];
    struct buffer out = buffer_fixed(text, sizeof text);
    buffer_append(&out, SLICE("unix:"));
    buffer_append(&out, path);
    return !out.is_full && slice_starts(path, SLICE("/")) &&
           address_parse(buffer_slice(&out), 0, address);
}

static const char *read_syslog(struct slice to, struct log_place *place)
{
    enum { SYSLOG_PORT = 514, STREAM_PORT = 601 };
    place->form = LOG_FORM_SYSLOG;
    if (to.size == 0)
        return read_unix(slice_from_cstring(DEVICE), &place->address) ? NULL : "";
    bool is_stream = slice_starts(to, SLICE("tcp:"));
    if (is_stream)
        place->form = LOG_FORM_SYSLOG_STREAM;
    if (is_stream || slice_starts(to, SLICE("udp:")))
        to = slice_from(to, sizeof "tcp:" - 1);
    uint16_t port = is_stream ? STREAM_PORT : SYSLOG_PORT;
    bool is_good = address_parse(to, port, &place->address);
    if (!is_good && address_parse_ip(to, &place->address)) {
        address_set_port(&place->address, port);
        is_good = true;
    }
    bool is_unix = is_good && place->address.any.sa_family == AF_UNIX;
    return is_good && !(is_unix && is_stream)
               ? NULL
               : "write syslog, syslog:unix:/PATH, syslog:IP:PORT or "
                 "syslog:tcp:IP:PORT; names are not looked up";
}

static bool take(struct slice *to, const char *word)
{
    struct slice prefix = slice_from_cstring(word);
    if (!slice_starts(*to, prefix))
        return false;
    struct slice rest = slice_from(*to, prefix.size);
    if (rest.size > 0 && rest.data[0] != ':')
        return false;
    if (rest.size == 1)
        return false; /* nothing behind the colon */
    *to = slice_from(rest, 1);
    return true;
}

const char *log_place_read(struct slice to, struct log_place *place)
{
    *place = (struct log_place){.fd = -1};
    if (slice_equal(to, SLICE("stdout")) || slice_equal(to, SLICE("stderr"))) {
        place->form = LOG_FORM_STANDARD;
        place->fd = slice_equal(to, SLICE("stdout")) ? 1 : 2;
        return NULL;
    }
    if (slice_starts(to, SLICE("file:")) && to.size > sizeof "file:" - 1) {
        place->form = LOG_FORM_FILE;
        place->path = slice_from(to, sizeof "file:" - 1);
        return NULL;
    }
    if (take(&to, "journal")) {
        place->form = LOG_FORM_JOURNAL;
        return read_unix(to.size == 0 ? slice_from_cstring(JOURNAL) : to, &place->address)
                   ? NULL
                   : "write journal, or journal:/PATH of its socket";
    }
    if (take(&to, "syslog"))
        return read_syslog(to, place);
    return "write stdout, stderr, file:PATH, syslog or journal";
}
