/* SPDX-License-Identifier: Apache-2.0 */
#include "control/supervisor_message.h"

enum {
    COUNT_MAX = 65536,
    MODE_MAX = 07777,
};

/* `numbers`: how many stand before the text. */
static const struct {
    struct slice word;
    int numbers;
} KINDS[MESSAGE_KINDS] = {
    [MESSAGE_OPEN] = {{"open", 4}, 2},       [MESSAGE_CLOSE] = {{"close", 5}, 0},
    [MESSAGE_READY] = {{"ready", 5}, 0},     [MESSAGE_ALIVE] = {{"alive", 5}, 0},
    [MESSAGE_STATUS] = {{"status", 6}, 0},   [MESSAGE_RELOADING] = {{"reloading", 9}, 0},
    [MESSAGE_ENDING] = {{"ending", 6}, 0},   [MESSAGE_OPENED] = {{"opened", 6}, 1},
    [MESSAGE_REFUSED] = {{"refused", 7}, 1}, [MESSAGE_STEP] = {{"step", 4}, 0},
    [MESSAGE_DONE] = {{"done", 4}, 0},       [MESSAGE_FAILED] = {{"failed", 6}, 1},
    [MESSAGE_UPGRADE] = {{"upgrade", 7}, 0}, [MESSAGE_SHUTDOWN] = {{"shutdown", 8}, 0},
};

void message_write(struct buffer *out, const struct message *message)
{
    int numbers = KINDS[message->kind].numbers;
    buffer_append(out, KINDS[message->kind].word);
    if (numbers > 0)
        buffer_format(out, " %u", message->count);
    if (numbers > 1)
        buffer_format(out, " %u", message->mode);
    if (message->text.size > 0 && buffer_reserve(out, 1)) {
        buffer_append_byte(out, ' ');
        buffer_append(out, slice_first(message->text, out->capacity - out->size));
    }
}

/* The next word, and what stands behind the blank after it. */
static struct slice next_word(struct slice *rest)
{
    size_t blank = slice_find(*rest, ' ');
    struct slice word = slice_first(*rest, blank);
    *rest = slice_from(*rest, blank + 1);
    return word;
}

static bool next_number(struct slice *rest, uint64_t max, unsigned *number)
{
    uint64_t value;
    if (!slice_to_u64(next_word(rest), max, &value))
        return false;
    *number = (unsigned)value;
    return true;
}

bool message_read(struct slice line, struct message *message)
{
    struct slice word = next_word(&line);
    *message = (struct message){0};
    if (word.size == 0)
        return false;
    for (int kind = 1; kind < MESSAGE_KINDS; kind++)
        if (slice_equal(word, KINDS[kind].word))
            message->kind = (enum message_kind)kind;
    int numbers = KINDS[message->kind].numbers;
    if (numbers > 0 && !next_number(&line, COUNT_MAX, &message->count))
        return false;
    if (numbers > 1 && !next_number(&line, MODE_MAX, &message->mode))
        return false;
    message->text = line;
    return true;
}
