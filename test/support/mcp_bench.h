#pragma once

// An MCP server whose lines land in a buffer: for tests of what it answers.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mcp/channel.h"
#include "test/support/json_expect.h"

struct mcp_bench {
    struct mcp_server_info info;
    struct mcp_server *server;
    struct buf lines; // all that was sent
    int sink_error;   // what the sink returns instead of taking a line
    unsigned events;  // lines that were sent as events
};

static inline int bench_write(void *data, struct str line, bool is_event)
{
    struct mcp_bench *b = data;
    if (b->sink_error)
        return b->sink_error;
    b->events += is_event;
    assert_true(line.n > 0 && memchr(line.p, '\n', line.n) == line.p + line.n - 1);
    return buf_add(&b->lines, line.p, line.n);
}

static inline void bench_start(struct mcp_bench *b)
{
    b->lines = BUF_INIT(16u << 20);
    b->server = mcp_server_new(&b->info, (struct mcp_sink){bench_write, b});
    assert_non_null(b->server);
}

static inline void bench_done(struct mcp_bench *b)
{
    mcp_server_free(b->server);
    buf_done(&b->lines);
}

// Sends one line; what comes back is in b->lines alone.
static inline const char *bench_send(struct mcp_bench *b, const char *text)
{
    buf_clear(&b->lines);
    // A copy without a NUL behind it, so that a read past its end is seen.
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    mcp_server_line(b->server, (struct str){copy, n});
    free(copy);
    return buf_cstr(&b->lines);
}

static inline void bench_handshake(struct mcp_bench *b)
{
    bench_send(b, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
                  "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},"
                  "\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}");
    bench_send(b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    buf_clear(&b->lines);
}

// What was sent, as a tree that the caller deletes; fails the test unless it is one line.
static inline cJSON *bench_answer(struct mcp_bench *b)
{
    const char *why = "";
    struct str all = buf_str(&b->lines);
    if (all.n == 0 || memchr(all.p, '\n', all.n) != all.p + all.n - 1)
        fail_msg("not one line: \"%s\"", buf_cstr(&b->lines));
    cJSON *tree = json_parse(all, &why);
    if (!tree)
        fail_msg("%s: %s", why, buf_cstr(&b->lines));
    return tree;
}
