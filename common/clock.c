#include "common/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

int64_t clock_boot_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

const char *rfc3339_format(int64_t wall_ms, char out[RFC3339_SIZE])
{
    time_t s = (time_t)(wall_ms / 1000);
    int ms = (int)(wall_ms % 1000);
    if (ms < 0) {
        ms += 1000;
        s--;
    }
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(out, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    if (ms)
        snprintf(out + n, RFC3339_SIZE - n, ".%03dZ", ms);
    else
        snprintf(out + n, RFC3339_SIZE - n, "Z");
    return out;
}

// Reads exactly n digits, or returns -1.
static int digits(struct str *s, size_t n)
{
    int v = 0;
    if (s->n < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return -1;
        v = v * 10 + (s->p[i] - '0');
    }
    s->p += n;
    s->n -= n;
    return v;
}

static bool skip(struct str *s, const char *any)
{
    if (!s->n || !strchr(any, s->p[0]) || !s->p[0])
        return false;
    s->p++;
    s->n--;
    return true;
}

static int fraction_ms(struct str *s)
{
    int ms = 0, scale = 100, n = 0;
    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; s->p++, s->n--, n++) {
        ms += (s->p[0] - '0') * scale;
        scale /= 10;
    }
    return n >= 1 && n <= 9 ? ms : -1;
}

static int offset_s(struct str *s)
{
    if (skip(s, "Zz"))
        return 0;
    int sign = s->n && s->p[0] == '-' ? -1 : 1;
    if (!skip(s, "+-"))
        return -1;
    int h = digits(s, 2);
    bool colon = skip(s, ":");
    int m = digits(s, 2);
    if (h < 0 || h > 23 || !colon || m < 0 || m > 59)
        return -1;
    return sign * (h * 3600 + m * 60);
}

// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
static int64_t days_of(int y, int m, int d)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t years = y - 1;
    int64_t days = years * 365 + years / 4 - years / 100 + years / 400 + before[m - 1] + d - 1;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return days + (leap && m > 2) - 719162;
}

int rfc3339_parse(struct str s, int64_t *ret_wall_ms)
{
    int y = digits(&s, 4);
    bool ok = y >= 1 && skip(&s, "-");
    int mo = ok ? digits(&s, 2) : -1;
    ok = ok && mo >= 1 && mo <= 12 && skip(&s, "-");
    int d = ok ? digits(&s, 2) : -1;
    ok = ok && d >= 1 && d <= 31 && skip(&s, "Tt ");
    int h = ok ? digits(&s, 2) : -1;
    ok = ok && h >= 0 && h <= 23 && skip(&s, ":");
    int mi = ok ? digits(&s, 2) : -1;
    ok = ok && mi >= 0 && mi <= 59 && skip(&s, ":");
    int sec = ok ? digits(&s, 2) : -1;
    if (!ok || sec < 0 || sec > 60)
        return -EINVAL;
    int ms = skip(&s, ".") ? fraction_ms(&s) : 0;
    bool zulu = s.n && (s.p[0] == 'Z' || s.p[0] == 'z');
    int off = offset_s(&s);
    if (ms < 0 || s.n || (!zulu && off == -1))
        return -EINVAL;
    int64_t seconds = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - off;
    *ret_wall_ms = seconds * 1000 + ms;
    return 0;
}

const char *duration_format(int64_t ms, char out[DURATION_SIZE])
{
    int64_t min = ms > 0 ? ms / 60000 : 0;
    int64_t h = min / 60, d = h / 24;
    if (d)
        snprintf(out, DURATION_SIZE, h % 24 ? "%lld d %lld h" : "%lld d", (long long)d,
                 (long long)(h % 24));
    else if (h)
        snprintf(out, DURATION_SIZE, min % 60 ? "%lld h %lld min" : "%lld h", (long long)h,
                 (long long)(min % 60));
    else
        snprintf(out, DURATION_SIZE, "%lld min", (long long)min);
    return out;
}
