#include "cli/chain_marks.h"

#include <stdlib.h>
#include <string.h>

void lum__chain_point_add(struct lum__chain_point *point, const struct lum__input_part *part, uint64_t rows_refused)
{
    point->sum = lum__input_sum_combine(point->sum, part->sum, part->bytes);
    point->bytes += part->bytes;
    point->at = part->end;
    point->rows = point->file_first_row + part->end.rows;
    point->rows_refused += rows_refused;
}

void lum__chain_point_end_file(struct lum__chain_point *point)
{
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(point->at.bytes >> 8 * i);
    point->sum = lum__input_sum(point->sum, length, sizeof length);
    point->file_first_row += point->at.rows;
    point->file++;
    point->at = (struct lum__input_point){0};
}

void lum__chain_marks_init(struct lum__chain_marks *marks)
{
    memset(marks, 0, sizeof *marks);
    pthread_mutex_init(&marks->mutex, NULL);
}

void lum__chain_marks_fini(struct lum__chain_marks *marks)
{
    pthread_mutex_destroy(&marks->mutex);
    free(marks->marks);
}

/* Under the mutex. */
static bool make_room(struct lum__chain_marks *marks)
{
    if (marks->first + marks->count < marks->capacity) return true;
    if (marks->first > marks->count) { /* most of the front is free */
        memmove(marks->marks, marks->marks + marks->first, marks->count * sizeof *marks->marks);
        marks->first = 0;
        return true;
    }
    size_t capacity = marks->capacity * 2 + 64;
    struct lum__chain_mark *grown = realloc(marks->marks, capacity * sizeof *grown);
    if (!grown) return false;
    marks->marks = grown;
    marks->capacity = capacity;
    return true;
}

lum_status lum__chain_marks_add(struct lum__chain_marks *marks, const struct lum__chain_mark *mark, uint64_t *number)
{
    pthread_mutex_lock(&marks->mutex);
    bool has_room = make_room(marks);
    *number = marks->first_number + marks->count;
    if (has_room) marks->marks[marks->first + marks->count++] = *mark;
    pthread_mutex_unlock(&marks->mutex);
    return has_room ? LUM_OK : LUM_ERR_NO_MEMORY;
}

void lum__chain_marks_done(struct lum__chain_marks *marks, uint64_t number, uint32_t sum, uint64_t rows_refused)
{
    pthread_mutex_lock(&marks->mutex);
    struct lum__chain_mark *mark = &marks->marks[marks->first + (number - marks->first_number)];
    mark->part.sum = sum;
    mark->rows_refused = rows_refused;
    mark->is_done = true;
    pthread_mutex_unlock(&marks->mutex);
}

void lum__chain_marks_take(struct lum__chain_marks *marks, uint64_t rows_end, struct lum__chain_point *out)
{
    pthread_mutex_lock(&marks->mutex);
    while (marks->count > 0 && marks->marks[marks->first].is_done && marks->marks[marks->first].rows_end <= rows_end) {
        const struct lum__chain_mark *mark = &marks->marks[marks->first++];
        marks->count--;
        marks->first_number++;
        lum__chain_point_add(&marks->now, &mark->part, mark->rows_refused);
        if (mark->ends_file) lum__chain_point_end_file(&marks->now);
    }
    *out = marks->now;
    pthread_mutex_unlock(&marks->mutex);
}
