/* SPDX-License-Identifier: Apache-2.0 */
#include "http/accept.h"

int accept_weight(struct slice text)
{
    if (text.size == 0 || (text.data[0] != '0' && text.data[0] != '1') || text.size > 5 ||
        (text.size > 1 && text.data[1] != '.'))
        return ACCEPT_UNSAID;
    int weight = text.data[0] == '1' ? ACCEPT_MOST : 0;
    int place = 100;
    for (size_t i = 2; i < text.size; i++, place /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return ACCEPT_UNSAID;
        weight += (text.data[i] - '0') * place;
    }
    return weight > ACCEPT_MOST ? ACCEPT_UNSAID : weight;
}

/* Splits "text/html;q=0.5" into its name and its weight; other parameters say nothing to us. */
static struct slice split(struct slice element, int *weight)
{
    size_t end = slice_find(element, ';');
    struct slice name = slice_trim(slice_first(element, end));
    *weight = ACCEPT_MOST;
    while (end < element.size) {
        element = slice_from(element, end + 1);
        end = slice_find(element, ';');
        struct slice parameter = slice_trim(slice_first(element, end));
        if (slice_starts_nocase(parameter, SLICE("q=")))
            *weight = accept_weight(slice_from(parameter, 2));
    }
    if (*weight == ACCEPT_UNSAID) /* what is no weight is no wish */
        *weight = 0;
    return name;
}

int accept_type(struct slice value, struct slice type)
{
    struct slice kind = slice_first(type, slice_find(type, '/') + 1);
    struct slice element;
    int best = ACCEPT_UNSAID;
    int best_fit = 0;
    while (slice_next_element(&value, &element)) {
        int weight;
        struct slice range = split(element, &weight);
        int fit = 0;
        if (slice_equal_nocase(range, type))
            fit = 3;
        else if (range.size == kind.size + 1 && range.data[kind.size] == '*' &&
                 slice_starts_nocase(range, kind))
            fit = 2;
        else if (slice_equal(range, SLICE("*/*")))
            fit = 1;
        if (fit > best_fit) {
            best_fit = fit;
            best = weight;
        }
    }
    return best;
}
