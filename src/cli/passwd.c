/* SPDX-License-Identifier: Apache-2.0 */
/* weir passwd: users and passwords of basic_auth, keys of api_key. */
#include "base/base64.h"
#include "base/random.h"
#include "cli/config_args.h"
#include "fiber/file.h"
#include "net/api_keys.h"
#include "net/password.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: weir passwd [--method=METHOD] FILE USER\n"
    "       weir passwd --api-key FILE NAME\n"
    "       weir passwd --delete FILE NAME\n"
    "\n"
    "Sets the password of a user in a file for basic_auth. It is asked for twice on a terminal,\n"
    "else read as one line from standard input. The file is made (0640) if it is not there, and\n"
    "replaced as a whole: weir reads it again by itself.\n"
    "\n"
    "  --method=METHOD  yescrypt (the default), bcrypt or sha512\n"
    "  --api-key        makes a key for api_key instead, and prints it this once: the file has\n"
    "                   its SHA-256 alone\n"
    "  --delete         takes a user or key out of the file\n";

enum {
    MODE = 0640,
    BCRYPT_MAX = 72, /* bytes that it looks at */
    KEY_BYTES = 32,
};

/* Reads a line without its end; false: there is none, or it is too long. */
static bool read_line(char line[PASSWORD_MAX + 2])
{
    if (fgets(line, PASSWORD_MAX + 2, stdin) == NULL)
        return false;
    size_t size = strlen(line);
    bool is_whole = size > 0 && line[size - 1] == '\n';
    if (!is_whole && size > PASSWORD_MAX)
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

static bool ask(const char *question, char line[PASSWORD_MAX + 2])
{
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    /* Before the question: who answers at once is neither seen nor thrown away. */
    bool is_read = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
    fputs(question, stderr);
    is_read = is_read && read_line(line);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputs("\n", stderr);
    return is_read;
}

/* NULL: it is there. */
static const char *read_password(char password[PASSWORD_MAX + 2])
{
    char again[PASSWORD_MAX + 2];
    if (isatty(STDIN_FILENO) == 0) {
        if (!read_line(password))
            return "no password came, or one longer than 511 bytes";
    } else {
        if (!ask("password: ", password) || !ask("once more: ", again))
            return "no password came, or one longer than 511 bytes";
        bool is_same = strcmp(password, again) == 0;
        OPENSSL_cleanse(again, sizeof again);
        if (!is_same)
            return "these are two different passwords";
    }
    return password[0] == '\0' ? "an empty password protects nothing" : NULL;
}

/* The text with the line of that name replaced, or added at the end; without `line`: gone. */
static bool put_line(struct slice text, struct slice name, struct slice line, struct buffer *out)
{
    bool is_there = false;
    while (text.size > 0) {
        size_t size = slice_find(text, '\n');
        struct slice old = slice_first(text, size);
        text = slice_from(text, size + 1);
        bool is_own = slice_starts(old, name) && old.size > name.size && old.data[name.size] == ':';
        if (is_own && (is_there || line.size == 0)) {
            is_there = true;
            continue;
        }
        buffer_append(out, is_own ? line : old);
        buffer_append_byte(out, '\n');
        is_there = is_there || is_own;
    }
    if (!is_there && line.size > 0) {
        buffer_append(out, line);
        buffer_append_byte(out, '\n');
    }
    return is_there;
}

static int complain(const char *file, const char *what, const char *why)
{
    fprintf(stderr, "weir passwd: %s: %s%s\n", file, what, why);
    return EXIT_FAILED;
}

/* A file that weir would refuse is not made worse. */
static bool is_good(struct slice text, bool is_key, char why[PASSWORD_WHY_MAX])
{
    if (slice_trim(text).size == 0)
        return true;
    if (is_key) {
        struct api_keys *keys = api_keys_read(text, why);
        if (keys != NULL)
            api_keys_free(keys);
        return keys != NULL;
    }
    struct passwords *passwords = passwords_read(text, why);
    if (passwords != NULL)
        passwords_free(passwords);
    return passwords != NULL;
}

struct change {
    const char *file;
    struct slice name, line; /* no line: it is deleted */
    bool is_key;
};

static int write_change(const struct change *change, struct arena *arena)
{
    struct slice text = SLICE("");
    const char *reason = "";
    char why[PASSWORD_WHY_MAX] = "";
    enum status status = file_read(change->file, PASSWORDS_SIZE_MAX, arena, &text, &reason);
    bool is_new = status == ERR_UNREACHABLE;
    if (status != OK && (!is_new || change->line.size == 0))
        return complain(change->file, "cannot be read: ", reason);
    struct buffer out = buffer_in(arena, text.size + change->line.size + 16);
    bool was_there = put_line(text, change->name, change->line, &out);
    if (change->line.size == 0 && !was_there)
        return complain(change->file, "has no line of that name", "");
    bool is_kept = change->line.size == 0; /* a deletion may mend a file */
    if (!is_good(buffer_slice(&out), change->is_key, why) && !is_kept)
        return complain(change->file, "", why);
    status = is_new ? file_create(change->file, buffer_slice(&out), MODE, &reason)
                    : file_rewrite(change->file, buffer_slice(&out), &reason);
    if (status != OK)
        return complain(change->file, "cannot be written: ", reason);
    return EXIT_DONE;
}

static int set_password(struct change *change, enum password_method method, struct arena *arena)
{
    char password[PASSWORD_MAX + 2] = "";
    char hash[PASSWORD_HASH_MAX];
    const char *why = read_password(password);
    if (why == NULL && method == PASSWORD_BCRYPT && strlen(password) > BCRYPT_MAX)
        why = "bcrypt looks at 72 bytes of a password only; take yescrypt";
    bool is_hashed = why == NULL && password_hash(slice_from_cstring(password), method, hash);
    OPENSSL_cleanse(password, sizeof password);
    if (why == NULL && !is_hashed)
        why = "the system's libcrypt cannot hash so";
    if (why != NULL)
        return complain(change->file, why, "");
    change->line = arena_format(arena, "%.*s:%s", SLICE_ARG(change->name), hash);
    return write_change(change, arena);
}

static int make_key(struct change *change, struct arena *arena)
{
    char bytes[KEY_BYTES];
    unsigned char digest[API_KEY_DIGEST_SIZE];
    struct buffer key = buffer_in(arena, 64);
    struct buffer line = buffer_in(arena, 128);
    random_bytes(bytes, sizeof bytes);
    base64_encode(BASE64_URL, slice_of(bytes, sizeof bytes), &key);
    api_key_digest(buffer_slice(&key), digest);
    buffer_format(&line, "%.*s:", SLICE_ARG(change->name));
    for (size_t i = 0; i < sizeof digest; i++)
        buffer_format(&line, "%02x", digest[i]);
    change->line = buffer_slice(&line);
    int code = write_change(change, arena);
    if (code == EXIT_DONE)
        printf("%.*s\n", SLICE_ARG(buffer_slice(&key)));
    return code;
}

int command_passwd(int argc, char **argv)
{
    bool is_deletion = false;
    struct change change = {0};
    const char *word = "yescrypt";
    enum password_method method;
    const struct cli_option table[] = {
        {"--method", "METHOD", NULL, &word},
        {"--api-key", NULL, &change.is_key, NULL},
        {"--delete", NULL, &is_deletion, NULL},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count != 2)
        return cli_usage_error("passwd", "takes a file and a name");
    if (!password_method_of(slice_from_cstring(word), &method))
        return cli_usage_error("passwd", "\"%s\" is no method: yescrypt, bcrypt or sha512", word);
    change.file = argv[1];
    change.name = slice_from_cstring(argv[2]);
    if (!password_user_is_good(change.name) || change.name.data[0] == '#')
        return cli_usage_error("passwd", "a name has no colon, no control byte and no # in front");
    struct arena arena;
    arena_init(&arena, NULL, 0);
    if (is_deletion)
        code = write_change(&change, &arena);
    else
        code = change.is_key ? make_key(&change, &arena) : set_password(&change, method, &arena);
    arena_done(&arena);
    return code;
}
