#pragma once

// A delivery with its store, a session whose lines land in a buffer, and a clock that the test
// moves. Include after cmocka.h.

#include "channels/webhook/delivery.h"
#include "common/clock.h"
#include "test/support/fake_clock.h"
#include "test/support/mcp_bench.h"
#include "test/support/temp_store.h"

#include "test/support/alert_maker.h"

struct delivery_bench {
    struct temp_store t;
    struct mcp_bench mcp;
    uv_loop_t loop;
    struct group_commit *commit;
    struct delivery *delivery;
};

static inline void delivery_bench_open(struct delivery_bench *b)
{
    memset(b, 0, sizeof *b);
    fake_wall_shift_ms = 0;
    temp_store_open(&b->t);
    store_busy_timeout(b->t.store, 0);
    uv_loop_init(&b->loop);
    assert_int_equal(group_commit_new(&b->loop, b->t.store, &b->commit), 0);
    b->mcp.info =
        (struct mcp_server_info){.name = "webhook", .version = "1", .capabilities = MCP_CHANNEL};
    bench_start(&b->mcp);
}

// Time passes; the loop is looked after every 50 ms, or four times a second for longer whiles.
static inline void pass(struct delivery_bench *b, int64_t ms)
{
    int64_t step = ms > 5000 ? 250 : 50;
    for (; ms > 0; ms -= step) {
        fake_elapsed_ms += ms < step ? ms : step;
        uv_run(&b->loop, UV_RUN_NOWAIT);
    }
}

// The process begins; the client has not said anything yet.
static inline void begin(struct delivery_bench *b)
{
    uv_update_time(&b->loop);
    assert_int_equal(
        delivery_new(&b->loop, b->t.store, b->commit, &b->t.config, b->mcp.server, &b->delivery),
        0);
    bench_handshake(&b->mcp);
}

// ... and a session that has had its first push.
static inline void attach(struct delivery_bench *b)
{
    begin(b);
    delivery_session_ready(b->delivery);
    pass(b, 2000);
    assert_true(delivery_attached(b->delivery));
}

static inline void detach(struct delivery_bench *b)
{
    delivery_close(b->delivery);
    b->delivery = NULL;
    uv_run(&b->loop, UV_RUN_NOWAIT);
}

static inline void delivery_bench_close(struct delivery_bench *b)
{
    delivery_close(b->delivery);
    group_commit_close(b->commit);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    bench_done(&b->mcp);
    temp_store_close(&b->t);
}

// An alert is committed, and the delivery hears of it.
static inline int64_t arrive(struct delivery_bench *b, struct alert a)
{
    int64_t id = take_alert(&b->t, clock_wall_ms(), a);
    if (b->delivery)
        delivery_wake(b->delivery);
    return id;
}

static inline size_t events_waiting(const struct delivery_bench *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->mcp.lines.len; i++)
        n += b->mcp.lines.data[i] == '\n';
    return n;
}

// Takes the oldest event out: its params, which live until the next call. Fails if there is none.
static inline const cJSON *next_event(struct delivery_bench *b)
{
    static cJSON *tree;
    const char *why = "";
    cJSON_Delete(tree);
    tree = NULL;
    if (!b)
        return NULL;
    const char *nl = b->mcp.lines.len ? memchr(b->mcp.lines.data, '\n', b->mcp.lines.len) : NULL;
    if (!nl)
        fail_msg("no event came");
    size_t n = (size_t)(nl + 1 - b->mcp.lines.data);
    tree = json_parse((struct str){b->mcp.lines.data, n}, &why);
    assert_non_null(tree);
    assert_string_equal(json_str(tree, "method"), "notifications/claude/channel");
    buf_consume(&b->mcp.lines, n);
    return json_get(tree, "params");
}

static inline const char *meta_value(const cJSON *event, const char *key)
{
    const char *v = json_str(json_get(event, "meta"), key);
    return v ? v : "(none)";
}

static inline const char *content_of(const cJSON *event)
{
    const char *v = json_str(event, "content");
    return v ? v : "";
}

static inline int64_t incident_int(struct delivery_bench *b, const char *sql, int64_t id)
{
    return ask_int_with(b->t.store, sql, id);
}
#define STATE_OF(b, id) incident_int(b, "SELECT state FROM incident WHERE id = ?", id)
#define DUE_OF(b, id) incident_int(b, "SELECT due_at FROM incident WHERE id = ?", id)
#define DELIVERIES_OF(b, id) incident_int(b, "SELECT deliveries FROM incident WHERE id = ?", id)
