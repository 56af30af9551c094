#include "channels/webhook/html.h"

#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "common/text.h"

#define MAX_CLEAN (256 * 1024)

int html_text(struct buf *out, const char *text, size_t max)
{
    struct buf clean = BUF_INIT(MAX_CLEAN);
    int r = text_clean(&clean, str_of(text), max, TEXT_ONE_LINE);
    for (const char *p = buf_cstr(&clean); r == 0 && *p;) {
        size_t plain = strcspn(p, "&<>\"'");
        buf_add(out, p, plain);
        p += plain;
        switch (*p) {
        case '&':
            buf_adds(out, "&amp;");
            break;
        case '<':
            buf_adds(out, "&lt;");
            break;
        case '>':
            buf_adds(out, "&gt;");
            break;
        case '"':
            buf_adds(out, "&quot;");
            break;
        case '\'':
            buf_adds(out, "&#39;");
            break;
        }
        p += *p != '\0';
        r = out->error;
    }
    buf_done(&clean);
    return r;
}

void html_number(struct buf *out, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu",
                       n < 0 ? 0ull - (unsigned long long)n : (unsigned long long)n);
    if (n < 0)
        buf_adds(out, "\xe2\x88\x92");
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            buf_addc(out, ',');
        buf_addc(out, digits[i]);
    }
}

void html_duration(struct buf *out, int64_t ms)
{
    char text[DURATION_SIZE];
    if (ms < 60 * 1000)
        buf_addf(out, "%lld s", (long long)(ms > 0 ? ms / 1000 : 0));
    else
        buf_adds(out, duration_format(ms, text));
}

void html_bytes(struct buf *out, int64_t n)
{
    static const char *const units[] = {"KB", "MB", "GB", "TB"};
    double v = (double)n;
    size_t unit = 0;
    if (n < 1000) {
        buf_addf(out, "%lld B", (long long)(n > 0 ? n : 0));
        return;
    }
    for (v /= 1000; v >= 999.5 && unit + 1 < ARRAY_LEN(units); v /= 1000)
        unit++;
    buf_addf(out, v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[unit]);
}

const char *html_date(int64_t ms, enum html_date form, char out[HTML_DATE_SIZE])
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t t = (time_t)(ms / 1000);
    struct tm tm = {0};
    gmtime_r(&t, &tm);
    int n = snprintf(out, HTML_DATE_SIZE, "%d %s", tm.tm_mday, months[tm.tm_mon]);
    char *rest = out + n;
    size_t room = HTML_DATE_SIZE - (size_t)n;
    switch (form) {
    case HTML_DATE_ISO:
        strftime(out, HTML_DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
        break;
    case HTML_DATE_FULL:
        strftime(rest, room, " %Y %H:%M", &tm);
        break;
    case HTML_DATE_DAY:
        strftime(rest, room, " %Y", &tm);
        break;
    case HTML_DATE_MINUTE:
        strftime(rest, room, " %H:%M", &tm);
        break;
    case HTML_DATE_SHORT:
        break;
    case HTML_DATE_SHORT_YEAR:
        snprintf(rest, room, " %02d", (tm.tm_year + 1900) % 100);
        break;
    }
    return out;
}
