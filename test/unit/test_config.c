#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "common/config.h"
#include "test/support/log_capture.h"
#include "test/support/temp_dir.h"

static char home[TEMP_DIR_SIZE];
static char why[1024];
static const char *said; // on stderr, by the last load

static int setup(void **state)
{
    (void)state;
    clearenv();
    temp_dir_make(home);
    setenv("HOME", home, 1);
    setenv("SRE_CONFIG", temp_path(home, "config.env"), 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_dir_remove(home);
    return 0;
}

static int load(struct config *c)
{
    struct buf b = BUF_INIT(4096);
    log_capture_begin();
    int r = config_load(c, &b);
    said = log_capture_end();
    snprintf(why, sizeof why, "%s", buf_cstr(&b));
    buf_done(&b);
    return r;
}

static void file_is(const char *text)
{
    temp_write(temp_path(home, "config.env"), str_of(text), 0600);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config c;
    assert_int_equal(load(&c), 0);
    assert_string_equal(said, "");
    assert_string_equal(c.state_dir, temp_path(home, ".local/state/sre-channels"));
    assert_string_equal(c.prod_clusters, "");
    assert_string_equal(c.dev_clusters, "");
    assert_int_equal(c.retention_days, 365);
    assert_int_equal(c.log, LOG_INFO);
    assert_string_equal(c.read_hosts, "");
    assert_int_equal(c.canary_s, 0);
    assert_string_equal(c.ping_url, "");
    assert_string_equal(c.listen, "127.0.0.1:8788");
    assert_string_equal(c.token, "");
    assert_string_equal(c.hmac_secret, "");
    assert_int_equal(c.max_body, 16777216);
    assert_int_equal(c.event_bytes, 4096);
    assert_int_equal(c.events_per_min, 20);
    assert_int_equal(c.take_s, 300);
    assert_int_equal(c.unattended_s, 900);
    assert_int_equal(c.flap_s, 600);
    assert_int_equal(c.stale_days, 7);
    assert_string_equal(c.watchdog_alert, "Watchdog");
    assert_int_equal(c.watchdog_s, 0);
    assert_string_equal(c.slack_bot_token, "");
    assert_string_equal(c.slack_app_token, "");
    assert_string_equal(c.slack_users, "");
    assert_string_equal(c.slack_api_url, "https://slack.com/api/");
    assert_int_equal(c.slack_nag_s, 600);
    config_done(&c);
    config_done(&c);
}

// The folder of playbooks stands beside the folder of the executable.
static void test_playbooks_default(void **state)
{
    (void)state;
    struct config c;
    char exe[512];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0';
    *strrchr(exe, '/') = '\0';
    assert_int_equal(load(&c), 0);
    assert_string_equal(c.playbooks, temp_path(exe, "playbooks"));
    config_done(&c);
}

static void test_xdg(void **state)
{
    (void)state;
    struct config c;
    unsetenv("SRE_CONFIG");
    assert_int_equal(load(&c), 0);
    assert_string_equal(c.file, temp_path(home, ".config/sre-channels/config.env"));
    config_done(&c);

    setenv("XDG_CONFIG_HOME", "/etc/xdg", 1);
    setenv("XDG_STATE_HOME", "/var/lib/x", 1);
    assert_int_equal(load(&c), 0);
    assert_string_equal(c.file, "/etc/xdg/sre-channels/config.env");
    assert_string_equal(c.state_dir, "/var/lib/x/sre-channels");
    config_done(&c);

    // XDG Base Directory: a relative path is to be ignored.
    setenv("XDG_CONFIG_HOME", "xdg", 1);
    setenv("XDG_STATE_HOME", "xdg", 1);
    setenv("SRE_CONFIG", "", 1);
    assert_int_equal(load(&c), 0);
    assert_string_equal(c.file, temp_path(home, ".config/sre-channels/config.env"));
    assert_string_equal(c.state_dir, temp_path(home, ".local/state/sre-channels"));
    config_done(&c);
}

#define FIELD(f) offsetof(struct config, f)

static const struct number {
    const char *key;
    size_t offset;
    bool may_be_off;
} numbers[] = {
    {"SRE_RETENTION_DAYS", FIELD(retention_days), true},
    {"SRE_CANARY_SECONDS", FIELD(canary_s), true},
    {"WEBHOOK_MAX_BODY", FIELD(max_body), false},
    {"SRE_EVENT_BYTES", FIELD(event_bytes), false},
    {"SRE_EVENTS_PER_MINUTE", FIELD(events_per_min), false},
    {"SRE_TAKE_SECONDS", FIELD(take_s), true},
    {"SRE_UNATTENDED_SECONDS", FIELD(unattended_s), true},
    {"SRE_FLAP_SECONDS", FIELD(flap_s), true},
    {"SRE_STALE_DAYS", FIELD(stale_days), true},
    {"SRE_WATCHDOG_SECONDS", FIELD(watchdog_s), true},
    {"SLACK_NAG_SECONDS", FIELD(slack_nag_s), true},
};

static int64_t number_of(const struct config *c, const struct number *n)
{
    int64_t v;
    memcpy(&v, (const char *)c + n->offset, sizeof v);
    return v;
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {"-1",
                                      "1.5",
                                      "7d",
                                      " 7",
                                      "7 ",
                                      "+7",
                                      "0x10",
                                      "1e3",
                                      "x",
                                      "1000000001",
                                      "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct number *n = &numbers[i];
        struct config c;
        setenv(n->key, "1", 1);
        assert_int_equal(load(&c), 0);
        assert_int_equal(number_of(&c, n), 1);
        config_done(&c);
        setenv(n->key, "1000000000", 1);
        assert_int_equal(load(&c), 0);
        assert_int_equal(number_of(&c, n), 1000000000);
        config_done(&c);
        setenv(n->key, "0", 1);
        assert_int_equal(load(&c), n->may_be_off ? 0 : -EINVAL);
        if (n->may_be_off)
            assert_int_equal(number_of(&c, n), 0);
        config_done(&c);
        for (size_t j = 0; j < ARRAY_LEN(bad); j++) {
            setenv(n->key, bad[j], 1);
            assert_int_equal(load(&c), -EINVAL);
            char want[128];
            snprintf(want, sizeof want, "%s must be a whole number from %d to 1000000000", n->key,
                     !n->may_be_off);
            assert_string_equal(why, want);
        }
        unsetenv(n->key);
    }
}

static void test_text_rules(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        bool good;
    } cases[] = {
        {"SRE_LOG", "error", true},
        {"SRE_LOG", "warn", true},
        {"SRE_LOG", "debug", true},
        {"SRE_LOG", "loud", false},
        {"SRE_LOG", "2", false},
        {"SRE_PING_URL", "https://hc.example/ping", true},
        {"SRE_PING_URL", "http://hc.example/ping", true},
        {"SRE_PING_URL", "hc.example", false},
        {"SRE_PING_URL", "file:///etc/passwd", false},
        {"WEBHOOK_LISTEN", "0.0.0.0:1", true},
        {"WEBHOOK_LISTEN", "127.0.0.1:0", true},
        {"WEBHOOK_LISTEN", "[::1]:8788", true},
        {"WEBHOOK_LISTEN", "8788", false},
        {"WEBHOOK_LISTEN", "::1:8788", false},
        {"WEBHOOK_LISTEN", "127.0.0.1:65536", false},
        {"SLACK_BOT_TOKEN", "xoxb-1-a", true},
        {"SLACK_BOT_TOKEN", "xapp-1-a", false},
        {"SLACK_BOT_TOKEN", "XOXB-1", false},
        {"SLACK_APP_TOKEN", "xapp-1-a", true},
        {"SLACK_APP_TOKEN", "xoxb-1-a", false},
        {"SLACK_ALLOWED_USERS", "U012AB3CD", true},
        {"SLACK_ALLOWED_USERS", "U012AB3CD, W9ZZ", true},
        {"SLACK_ALLOWED_USERS", "alice", false},
        {"SLACK_ALLOWED_USERS", "u012ab3cd", false},
        {"SLACK_ALLOWED_USERS", "C012AB3CD", false},
        {"SLACK_ALLOWED_USERS", "U012AB3CD;U2222", false},
        {"SLACK_ALLOWED_USERS", "U1", false},
        {"SLACK_API_URL", "https://slack.example/api/", true},
        {"SLACK_API_URL", "http://127.0.0.1:9/api/", true},
        {"SLACK_API_URL", "http://127.8.9.1/api/", true},
        {"SLACK_API_URL", "http://localhost:9/api/", true},
        {"SLACK_API_URL", "http://localhost", true},
        {"SLACK_API_URL", "http://[::1]:9/api/", true},
        {"SLACK_API_URL", "http://slack.com/api/", false},
        {"SLACK_API_URL", "https://", false},
        {"SLACK_API_URL", "ftp://127.0.0.1/", false},
        {"SLACK_API_URL", "slack.com", false},
        {"SLACK_API_URL", "http://localhost.evil.example/", false},
        {"SLACK_API_URL", "http://127.evil.example/", false},
        {"SLACK_API_URL", "http://127.0.0.1.evil.example/", false},
        {"SLACK_API_URL", "http://127.0.0.1@evil.example/", false},
        {"SLACK_API_URL", "http://[::1].evil.example/", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config c;
        setenv(cases[i].key, cases[i].value, 1);
        if (load(&c) != (cases[i].good ? 0 : -EINVAL))
            fail_msg("%s=%s", cases[i].key, cases[i].value);
        if (cases[i].good) {
            assert_string_equal(why, "");
        } else {
            assert_memory_equal(why, cases[i].key, strlen(cases[i].key));
            assert_non_null(strstr(why, " must "));
            assert_null(strstr(why, cases[i].value)); // it may be a misplaced secret
        }
        config_done(&c);
        unsetenv(cases[i].key);
    }
}

static void test_values_arrive(void **state)
{
    (void)state;
    struct config c;
    file_is("SRE_STATE_DIR=/s\nSRE_PLAYBOOKS=/p\nSRE_PROD_CLUSTERS=a*\nSRE_DEV_CLUSTERS=b*\n"
            "SRE_LOG=debug\nSRE_READ_HOSTS=h:1\nSRE_PING_URL=http://u\nWEBHOOK_LISTEN=[::]:1\n"
            "WEBHOOK_TOKEN=t\nWEBHOOK_HMAC_SECRET=h\nSRE_WATCHDOG_ALERT=W\n"
            "SLACK_BOT_TOKEN=xoxb-b\nSLACK_APP_TOKEN=xapp-a\nSLACK_ALLOWED_USERS=U123\n"
            "SLACK_API_URL=https://s\n");
    assert_int_equal(load(&c), 0);
    assert_string_equal(said, "");
    assert_string_equal(c.state_dir, "/s");
    assert_string_equal(c.playbooks, "/p");
    assert_string_equal(c.prod_clusters, "a*");
    assert_string_equal(c.dev_clusters, "b*");
    assert_int_equal(c.log, LOG_DEBUG);
    assert_string_equal(c.read_hosts, "h:1");
    assert_string_equal(c.ping_url, "http://u");
    assert_string_equal(c.listen, "[::]:1");
    assert_string_equal(c.token, "t");
    assert_string_equal(c.hmac_secret, "h");
    assert_string_equal(c.watchdog_alert, "W");
    assert_string_equal(c.slack_bot_token, "xoxb-b");
    assert_string_equal(c.slack_app_token, "xapp-a");
    assert_string_equal(c.slack_users, "U123");
    assert_string_equal(c.slack_api_url, "https://s");
    config_done(&c);
}

static void test_what_slack_lacks(void **state)
{
    (void)state;
    struct config c;
    file_is("SLACK_APP_TOKEN=xapp-a\nSLACK_ALLOWED_USERS=,\n"); // a list of nobody
    assert_int_equal(load(&c), 0);
    assert_string_equal(config_slack_lacks(&c, 0), "SLACK_BOT_TOKEN");
    assert_string_equal(config_slack_lacks(&c, 1), "SLACK_ALLOWED_USERS");
    assert_null(config_slack_lacks(&c, 2));
    config_done(&c);
    file_is("SLACK_BOT_TOKEN=xoxb-b\nSLACK_APP_TOKEN=xapp-a\nSLACK_ALLOWED_USERS=U123\n");
    assert_int_equal(load(&c), 0);
    assert_null(config_slack_lacks(&c, 0));
    config_done(&c);
}

static void test_environment_first(void **state)
{
    (void)state;
    struct config c;
    file_is("WEBHOOK_TOKEN=of the file\nSRE_TAKE_SECONDS=5\nSRE_FLAP_SECONDS=\n");
    assert_int_equal(load(&c), 0);
    assert_string_equal(c.token, "of the file");
    assert_int_equal(c.take_s, 5);
    assert_int_equal(c.flap_s, 600); // empty: as if it were not there
    config_done(&c);

    setenv("WEBHOOK_TOKEN", "of the environment", 1);
    setenv("SRE_TAKE_SECONDS", "", 1);
    assert_int_equal(load(&c), 0);
    assert_string_equal(c.token, "of the environment");
    assert_int_equal(c.take_s, 5);
    config_done(&c);

    // What the environment overrides is not looked at; what it does not is.
    file_is("SRE_TAKE_SECONDS=nonsense\n");
    setenv("SRE_TAKE_SECONDS", "6", 1);
    assert_int_equal(load(&c), 0);
    assert_int_equal(c.take_s, 6);
    config_done(&c);
    unsetenv("SRE_TAKE_SECONDS");
    assert_int_equal(load(&c), -EINVAL);
}

static void test_lines(void **state)
{
    (void)state;
    struct config c;
    file_is("# a comment\n"
            "\n"
            "   \t\r\n"
            "export WEBHOOK_TOKEN=\"a # b\"\r\n"
            "  WEBHOOK_HMAC_SECRET = 'x\"y' \n"
            "SRE_READ_HOSTS=a=b==\n"
            "SRE_WATCHDOG_ALERT='mixed\"\n"
            "SRE_PROD_CLUSTERS=first\n"
            "SRE_PROD_CLUSTERS=last\n"
            "exports=1\n"
            "SRE_DEV_CLUSTERS=\"no newline at the end\"");
    assert_int_equal(load(&c), 0);
    assert_string_equal(said, "");
    assert_string_equal(c.token, "a # b");
    assert_string_equal(c.hmac_secret, "x\"y");
    assert_string_equal(c.read_hosts, "a=b==");
    assert_string_equal(c.watchdog_alert, "'mixed\"");
    assert_string_equal(c.prod_clusters, "last");
    assert_string_equal(c.dev_clusters, "no newline at the end");
    config_done(&c);

    file_is("SRE_LOG=info\n# two\nWEBHOOK_TOKEN secret\n");
    assert_int_equal(load(&c), -EINVAL);
    assert_non_null(strstr(why, "config.env line 3 must be KEY=value"));
    assert_null(strstr(why, "secret"));

    static const char with_nul[] = "SRE_LOG=in\0fo\n";
    temp_write(temp_path(home, "config.env"), (struct str){with_nul, sizeof with_nul - 1}, 0600);
    assert_int_equal(load(&c), -EINVAL);
    assert_non_null(strstr(why, "line 1"));
}

static void test_unknown_keys(void **state)
{
    (void)state;
    struct config c;
    file_is("SRE_TAKE_SECOND=1\nOTHER_TOOL=1\nsre_log=debug\n");
    setenv("WEBHOOK_TOKN", "s3cret", 1);
    setenv("SLACK_USERS_ALLOWED", "U1", 1);
    setenv("SREX", "1", 1);
    assert_int_equal(load(&c), 0);
    assert_non_null(strstr(said, "level=warn"));
    assert_non_null(strstr(said, "key=SRE_TAKE_SECOND nearest=SRE_TAKE_SECONDS"));
    assert_non_null(strstr(said, "key=WEBHOOK_TOKN nearest=WEBHOOK_TOKEN"));
    assert_non_null(strstr(said, "key=SLACK_USERS_ALLOWED nearest=SLACK_"));
    assert_null(strstr(said, "s3cret"));
    assert_null(strstr(said, "OTHER_TOOL"));
    assert_null(strstr(said, "SREX"));
    assert_null(strstr(said, "SRE_CONFIG"));
    assert_null(strstr(said, "sre_log"));
    assert_int_equal(c.take_s, 300);
    assert_int_equal(c.log, LOG_INFO);
    config_done(&c);
}

static void test_secrets_need_a_private_file(void **state)
{
    (void)state;
    static const char *const secrets[] = {"WEBHOOK_TOKEN=s3cret", "WEBHOOK_HMAC_SECRET=s3cret",
                                          "SLACK_BOT_TOKEN=xoxb-s3cret",
                                          "SLACK_APP_TOKEN=xapp-s3cret"};
    const char *file = temp_path(home, "config.env");
    struct config c;
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        static const mode_t open_to_others[] = {0640, 0604, 0644, 0444};
        for (size_t j = 0; j < ARRAY_LEN(open_to_others); j++) {
            temp_write(file, str_of(secrets[i]), open_to_others[j]);
            assert_int_equal(load(&c), -EACCES);
            char key[64];
            snprintf(key, sizeof key, "%.*s", (int)strcspn(secrets[i], "="), secrets[i]);
            assert_non_null(strstr(why, key));
            assert_non_null(strstr(why, "chmod 600"));
            assert_null(strstr(why, "s3cret"));
        }
        temp_write(file, str_of(secrets[i]), 0600);
        assert_int_equal(load(&c), 0);
        config_done(&c);
    }
    temp_write(file, str_of("SRE_LOG=info\nWEBHOOK_TOKEN=\n"), 0644); // nothing to hide
    assert_int_equal(load(&c), 0);
    config_done(&c);
}

static void test_file_that_cannot_be_read(void **state)
{
    (void)state;
    struct config c;
    assert_int_equal(load(&c), 0); // none: an empty one
    config_done(&c);

    assert_int_equal(mkdir(temp_path(home, "config.env"), 0700), 0);
    assert_true(load(&c) < 0);
    assert_non_null(strstr(why, "cannot read"));
    assert_int_equal(rmdir(temp_path(home, "config.env")), 0);

    size_t big = 300 * 1024;
    char *comments = malloc(big);
    memset(comments, '#', big);
    temp_write(temp_path(home, "config.env"), (struct str){comments, big}, 0600);
    free(comments);
    assert_int_equal(load(&c), -E2BIG);

    if (geteuid() != 0) {
        temp_write(temp_path(home, "config.env"), str_of("SRE_LOG=debug"), 0);
        assert_int_equal(load(&c), -EACCES);
    }
}

static void test_home(void **state)
{
    (void)state;
    struct config c;
    file_is("SRE_STATE_DIR=~/state\nSRE_PLAYBOOKS=~other/p\nSRE_READ_HOSTS=~/h\n");
    assert_int_equal(load(&c), 0);
    assert_string_equal(c.state_dir, temp_path(home, "state"));
    assert_string_equal(c.playbooks, "~other/p");
    assert_string_equal(c.read_hosts, "~/h"); // no path
    config_done(&c);
}

static void test_environment_of_a_cluster(void **state)
{
    (void)state;
    char prod[] = "prod-*, core , *-live", dev[] = "dev-*,*test*,prod-sandbox,core";
    const struct config c = {.prod_clusters = prod, .dev_clusters = dev};
    assert_true(config_is_prod(&c, NULL));
    assert_true(config_is_prod(&c, ""));
    assert_true(config_is_prod(&c, "unheard-of"));
    assert_true(config_is_prod(&c, "prod-1"));
    assert_true(config_is_prod(&c, "prod-sandbox")); // in both: prod wins
    assert_true(config_is_prod(&c, "core"));
    assert_true(config_is_prod(&c, "test-live"));
    assert_false(config_is_prod(&c, "dev-1"));
    assert_false(config_is_prod(&c, "a-test-b"));
    assert_true(config_is_prod(&c, "DEV-1"));
    assert_true(config_is_prod(&c, "xdev-1"));

    char none[] = "", commas[] = " , ,";
    const struct config empty = {.prod_clusters = none, .dev_clusters = commas};
    assert_true(config_is_prod(&empty, "dev"));
    assert_true(config_is_prod(&empty, " "));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_defaults),
        T(test_playbooks_default),
        T(test_xdg),
        T(test_numbers),
        T(test_text_rules),
        T(test_values_arrive),
        T(test_what_slack_lacks),
        T(test_environment_first),
        T(test_lines),
        T(test_unknown_keys),
        T(test_secrets_need_a_private_file),
        T(test_file_that_cannot_be_read),
        T(test_home),
        T(test_environment_of_a_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
