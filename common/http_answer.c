#include "common/http_answer.h"

#include <stdio.h>

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "";
}

void http_date(time_t at, char out[HTTP_DATE_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    if (!gmtime_r(&at, &t)) {
        out[0] = '\0';
        return;
    }
    snprintf(out, HTTP_DATE_SIZE, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + 3 * t.tm_wday,
             t.tm_mday, months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

size_t http_answer_head(const struct http_answer *a, char out[HTTP_ANSWER_SIZE])
{
    bool bodyless = a->status == 204 || a->status == 304;
    char length[48] = "", type[128] = "";
    if (!bodyless)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", a->length);
    if (a->content_type && !bodyless)
        snprintf(type, sizeof type, "Content-Type: %.100s\r\n", a->content_type);
    const char *connection = !a->keep_alive  ? "Connection: close\r\n"
                             : a->minor == 0 ? "Connection: keep-alive\r\n"
                                             : "";
    int n = snprintf(out, HTTP_ANSWER_SIZE, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s", a->status,
                     http_reason(a->status), a->date, type, length, connection);
    return (size_t)n;
}
