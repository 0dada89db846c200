/* SPDX-License-Identifier: Apache-2.0 */
/* A file as the answer of an exchange: for every step that sends files. Conditions, ranges, HEAD
 * and precompressed copies are seen to here. */
#pragma once

#include "exchange/file_cache.h"
#include "exchange/step.h"

struct exchange;

/* Endings of names that have another type than media_type() says, or that it does not know. */
struct file_type {
    struct slice extension, type;
};

/* Copies of a file that lie beside it, encoded: style.css.br. */
enum file_coding {
    FILE_CODING_ZSTD,
    FILE_CODING_BROTLI,
    FILE_CODING_GZIP,
    FILE_CODINGS,
};

struct file_answer {
    const struct file_root *root;
    const struct file_type *types; /* looked at before the known ones */
    size_t types_count;
    enum file_coding codings[FILE_CODINGS]; /* the best first */
    size_t codings_count;
};

/* The place of a URL's canonical path in a directory: decoded, without slashes at its ends; "." for
 * "/". `is_directory`: it ended with one. False: no file can have that name. */
bool file_answer_place(struct slice url_path, struct arena *arena, struct slice *path,
                       bool *is_directory);

/* Answers with the regular file at `path` (of the arena or longer), 200, 206, 304, 412 or 416; what
 * is no such file is answered as of file_answer_failure(). The method is GET or HEAD, or is taken
 * for GET. Fields that stand in x->response stay, a Content-Type too. Always ANSWERED, but FAILED
 * when the client is gone. */
enum verdict file_answer(struct exchange *x, const struct file_answer *how, struct slice path);
/* The same of a file that was found there; the caller leaves it. */
enum verdict file_answer_with(struct exchange *x, const struct file_answer *how, struct slice path,
                              struct open_file *file);
/* 404, 403, 503 or 500 for what file_cache_open() came to. */
enum verdict file_answer_failure(struct exchange *x, enum status status);
/* An answer without a file: its status is its text. */
enum verdict file_answer_status(struct exchange *x, int status, const char *detail);
