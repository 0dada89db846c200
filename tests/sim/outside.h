/* SPDX-License-Identifier: Apache-2.0 */
/* What a scenario may do to the rest of weir's outside: names, files, signals. */
#pragma once

#include "net/address.h"

/* The addresses a name has from now on; none: it does not resolve. */
void names_set(const char *host, const struct address *addresses, size_t count);
/* Somebody has asked for it and has not been told yet. */
bool names_are_awaited(const char *host);

/* The same for its services. */
struct resolver_service;
void names_set_services(const char *host, const struct resolver_service *services, size_t count);

/* A file's text; made when it is not there. NULL data: it is removed. */
void files_set(const char *path, const char *text);
void files_set_bytes(const char *path, const void *data, size_t size);
/* What a file is beyond its text, and when (ns since 1970) it was changed last. */
enum file_being { FILE_IS_PLAIN, FILE_IS_PIPE, FILE_IS_FORBIDDEN };
void files_be(const char *path, enum file_being being, int64_t changed);
enum file_being files_being(const void *file);
/* The next file beneath a directory: the rest of its path. `at` begins with 0. False: no more. */
bool files_next(const char *directory, unsigned *at, const char **rest);
void files_move(const char *path, const char *to);
const char *files_text(const char *path, size_t *size);
/* The file at a path, for who opens it; NULL: there is none. What it has, and when it was changed.
 */
void *files_find(const char *path);
const char *files_content(const void *file, size_t *size, int64_t *changed);
/* How many more bytes the disk takes; what is written beyond is torn off. −1: all. */
void files_disk_left(int64_t bytes);
/* Lines that could not be written whole. */
unsigned files_torn(void);

/* The same of what is written at places (caches): whole writes fail beyond it. */
void files_room_left(int64_t bytes);
/* A bit of the nth of those files turns over. */
void files_spoil(unsigned nth);

/* All of those files as they are now, and as they were then: what a process that is killed, or
 * (`is_cut`) a machine without power, leaves behind. */
void files_keep_places(void);
void files_return_places(bool is_cut);

/* How long what is done aside (mostly for a disk) takes at most. */
void offload_takes(int64_t ns);

void signal_send(int number);
/* For another process. */
void signals_forget(void);
/* When it was sent first; 0: never. */
int64_t signal_sent_at(int number);

/* How often an event was logged. */
unsigned log_count(const char *event);
