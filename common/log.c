#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/redact.h"
#include "common/text.h"

#define LINE_MAX_BYTES 8192
#define VALUE_MAX_BYTES 1024

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static atomic_int log_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&log_level, (int)level);
}

bool log_is_on(enum log_level level)
{
    return (int)level <= atomic_load(&log_level);
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; name && i < ARRAY_LEN(level_names); i++) {
        if (text_equal_nocase(str_of(name), level_names[i])) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

static bool is_bare(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\')
            return false;
    }
    return s.n > 0;
}

static void add_value(struct buf *line, const char *key, struct str s)
{
    struct buf clean = BUF_INIT(VALUE_MAX_BYTES * 2), masked = BUF_INIT(VALUE_MAX_BYTES * 8);
    text_clean(&clean, s, VALUE_MAX_BYTES, TEXT_ONE_LINE);
    if (redact_is_secret_name(str_of(key)))
        buf_adds(&masked, s.n ? "[redacted:secret]" : "");
    else
        redact(&masked, buf_str(&clean));
    struct str v = buf_str(&masked);
    bool bare = is_bare(v);
    buf_adds(line, bare ? "" : "\"");
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '"' || v.p[i] == '\\')
            buf_addc(line, '\\');
        buf_addc(line, v.p[i]);
    }
    buf_adds(line, bare ? "" : "\"");
    buf_done(&masked);
    buf_done(&clean);
}

static void write_all(const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(STDERR_FILENO, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return; // nobody reads the log, or too slowly: it never stops the work
        p += w;
        n -= (size_t)w;
    }
}

void log_at(enum log_level level, const char *msg, ...)
{
    if ((int)level > atomic_load(&log_level))
        return;
    char now[RFC3339_SIZE];
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    buf_addf(&line, "time=%s level=%s msg=", rfc3339_format(clock_wall_ms(), now),
             level_names[level]);
    add_value(&line, "msg", str_of(msg));
    va_list args;
    va_start(args, msg);
    const char *key;
    while ((key = va_arg(args, const char *))) {
        const char *value = va_arg(args, const char *);
        size_t before = line.len;
        if (!value)
            continue;
        buf_addf(&line, " %s=", key);
        add_value(&line, key, str_of(value));
        if (line.error) { // too long: without this pair and those after it
            line.error = 0;
            buf_truncate(&line, before);
            break;
        }
    }
    va_end(args);
    line.max++;
    buf_addc(&line, '\n');
    write_all(line.data, line.data ? line.len : 0);
    buf_done(&line);
}

const char *log_int(int64_t v)
{
    static _Thread_local char ring[8][24];
    static _Thread_local unsigned at;
    char *out = ring[at++ % ARRAY_LEN(ring)];
    snprintf(out, sizeof ring[0], "%lld", (long long)v);
    return out;
}
