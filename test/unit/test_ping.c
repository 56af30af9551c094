#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/pager.h"
#include "channels/webhook/ping.h"
#include "common/clock.h"
#include "common/lease.h"
#include "test/support/loopback.h"
#include "test/support/temp_store.h"

static struct temp_store t;

static int setup(void **state)
{
    static char none[] = "", some[] = "x";
    (void)state;
    unset_proxies();
    temp_store_open(&t);
    t.config.ping_url = none;
    t.config.slack_bot_token = t.config.slack_app_token = t.config.slack_users = some;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_store_close(&t);
    return 0;
}

static const char *trouble(enum ping_by by)
{
    return ping_trouble(t.store, &t.config, by, clock_wall_ms());
}

static void test_what_is_well(void **state)
{
    static char none[] = "";
    (void)state;
    assert_null(trouble(PING_BY_SESSION));
    assert_non_null(strstr(trouble(PING_BY_STANDBY), "no Slack channel runs"));
    assert_int_equal(lease_beat(t.store, "slack"), 1);
    assert_null(trouble(PING_BY_STANDBY));

    assert_int_equal(pager_agent_failed(t.store, "out of quota", clock_wall_ms()), 0);
    assert_string_equal(trouble(PING_BY_SESSION), "the agent cannot work");
    assert_null(trouble(PING_BY_STANDBY));
    run_sql(t.store, "UPDATE page SET at = at - 400000");
    assert_non_null(strstr(trouble(PING_BY_STANDBY), "does not reach Slack"));
    run_sql(t.store, "UPDATE page SET queued = 1");
    assert_null(trouble(PING_BY_STANDBY));
    run_sql(t.store,
            "INSERT INTO slack_outbox(key, at, op, user_id) SELECT 'k', at, 0, 'U1' FROM page");
    assert_non_null(strstr(trouble(PING_BY_STANDBY), "does not reach Slack"));
    t.config.slack_bot_token = none;
    assert_non_null(strstr(trouble(PING_BY_STANDBY), "not configured"));
    assert_int_equal(pager_agent_works(t.store, clock_wall_ms()), 0);
    assert_null(trouble(PING_BY_SESSION));

    run_sql(t.store,
            "INSERT INTO watchdog(cluster, seen_at, seen_boot, silent) VALUES('c', 1, 1, 1)");
    assert_null(trouble(PING_BY_SESSION)); // the watch is off
    t.config.watchdog_s = 60;
    assert_non_null(strstr(trouble(PING_BY_SESSION), "silent"));
}

static void on_bytes(struct peer *p)
{
    bool *got = p->server->data;
    if (!strstr(buf_cstr(&p->in), "\r\n\r\n"))
        return;
    assert_memory_equal(p->in.data, "GET /ping HTTP/1.1\r\n", 20);
    peer_puts(p, "HTTP/1.1 500 Not Today\r\nContent-Length: 0\r\n\r\n");
    buf_clear(&p->in);
    p->server->accepted += 100; // counted as pings
    *got = true;
}

static void test_every_minute(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct ping *p;
    bool got = false;
    char url[64];
    struct loopback server = {.on_bytes = on_bytes, .data = &got};
    assert_int_equal(uv_loop_init(&loop), 0);
    loopback_start(&server, &loop);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/ping", server.port);
    t.config.ping_url = url;
    assert_int_equal(ping_new(&loop, t.store, &t.config, &p), 0);
    ping_run(p, PING_BY_NOBODY, 1000, clock_wall_ms());
    for (int64_t now = 1000; now <= 181000; now += 10000) { // a failure is not tried again sooner
        got = false;
        ping_run(p, PING_BY_SESSION, now, clock_wall_ms());
        if ((now - 1000) % PING_EVERY_MS == 0) {
            assert_true(loopback_wait(&loop, &got, 5000));
            loopback_pause(&loop, 50); // the answer
        }
    }
    assert_int_equal(server.accepted / 100, 4);
    assert_int_equal(pager_agent_failed(t.store, "x", clock_wall_ms()), 0);
    ping_run(p, PING_BY_SESSION, 241000, clock_wall_ms());
    loopback_pause(&loop, 50);
    assert_int_equal(server.accepted / 100, 4);
    ping_close(p);
    loopback_stop(&server);
    loopback_finish(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_minute, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
