/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/pressure.h"

enum {
    SLACK = 2, /* hundredths by which a level is left later than it was reached */
};

/* In hundredths of the budget. */
static const int BEGINS[] = {0, 85, 92, 95, 98};

static int64_t part(int64_t budget, int hundredths)
{
    return budget / 100 * hundredths + budget % 100 * hundredths / 100;
}

enum pressure pressure_next(enum pressure now, int64_t used, int64_t budget)
{
    enum pressure level = PRESSURE_END;
    while (level > PRESSURE_NONE &&
           used < part(budget, BEGINS[level] - ((int)level <= (int)now ? SLACK : 0)))
        level--;
    return level;
}

int64_t pressure_room(int64_t used, int64_t budget)
{
    int64_t until = part(budget, BEGINS[PRESSURE_REFUSE]);
    return used < until ? until - used : 0;
}

int64_t pressure_spare(int64_t used, int64_t budget)
{
    return part(budget, BEGINS[PRESSURE_TRIM] - SLACK) - used;
}

int64_t pressure_excess(int64_t used, int64_t budget)
{
    int64_t until = part(budget, BEGINS[PRESSURE_CLOSE] - SLACK);
    return used > until ? used - until : 0;
}

const char *pressure_name(enum pressure level)
{
    static const char *const NAMES[] = {"normal", "trim", "close", "refuse", "end"};
    return NAMES[level];
}
