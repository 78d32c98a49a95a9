/* formats/date.h - the days of the Gregorian calendar. Inline, for the loops of formats/text_kernel.c. */
#ifndef LUM_FORMATS_DATE_H
#define LUM_FORMATS_DATE_H

#include <stdbool.h>
#include <stdint.h>

static inline bool lum__is_leap_year(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

/* Leap years before `year`, counted from the year 1. */
static inline int64_t lum__leap_years_before(int year) { return (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400; }

/* Days from 1970-01-01 to a day of the Gregorian calendar; false if there is no such day. Years 1 to 9999. */
static inline bool lum__days_of_date(int year, int month, int day, int64_t *out)
{
    static const int days_before_month[13] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

    if (year < 1 || month < 1 || month > 12 || day < 1) return false;
    int leap = lum__is_leap_year(year);
    int month_days = days_before_month[month] - days_before_month[month - 1] + (month == 2 && leap);
    if (day > month_days) return false;
    *out = (int64_t)365 * (year - 1970) + lum__leap_years_before(year) - lum__leap_years_before(1970) +
           days_before_month[month - 1] + (month > 2 && leap) + day - 1;
    return true;
}

#endif
