#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/redact.h"

static void check(const char *in, const char *want, int found)
{
    struct buf out = BUF_INIT(100000), again = BUF_INIT(100000);
    assert_int_equal(redact(&out, str_of(in)), found);
    assert_string_equal(buf_cstr(&out), want);
    assert_int_equal(redact(&again, buf_str(&out)), 0);
    assert_string_equal(buf_cstr(&again), want);
    buf_done(&out);
    buf_done(&again);
}

static void masked(const char *in, const char *want)
{
    check(in, want, 1);
}

static void kept(const char *in)
{
    check(in, in, 0);
}

// Tokens are put together here, so that no scanner takes this file for a leak.
static void token(const char *prefix, const char *kind)
{
    char in[200], want[100];
    snprintf(in, sizeof in, "a %sAbCdEfGhIj0123456789aBcDeFgHiJkLmNoPqRsTuVwX012 z", prefix);
    snprintf(want, sizeof want, "a [redacted:%s] z", kind);
    masked(in, want);
    snprintf(in, sizeof in, "\\n%s0123456789aBcDeFgHiJkLmNoPqRsTuVwX012AbCdEfGhIj, z", prefix);
    snprintf(want, sizeof want, "\\n[redacted:%s], z", kind);
    masked(in, want);
}

static void test_provider_tokens(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"ghp_", "github"},        {"gho_", "github"},      {"ghs_", "github"},
        {"github_pat_", "github"}, {"glpat-", "gitlab"},    {"glrt-", "gitlab"},
        {"xoxb-", "slack"},        {"xoxp-", "slack"},      {"xapp-", "slack"},
        {"xoxe.", "slack"},        {"sk_live_", "stripe"},  {"rk_test_", "stripe"},
        {"sk-ant-", "api_key"},    {"sk-proj-", "api_key"}, {"sk-", "api_key"},
        {"npm_", "npm"},           {"pypi-", "pypi"},       {"glsa_", "grafana"},
        {"hf_", "huggingface"},    {"hvs.", "vault"},       {"SG.", "sendgrid"},
        {"AKIA", "aws"},           {"ASIA", "aws"},         {"AIza", "google"},
        {"ya29.", "google"},       {"GOCSPX-", "google"},   {"dop_v1_", "digitalocean"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        token(rows[i][0], rows[i][1]);
    masked("12345678:AAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa x", "[redacted:telegram] x");
    masked("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_x.", "[redacted:jwt].");
    masked("jwt%3DeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "jwt%3D[redacted:jwt]");
}

// SendGrid's has two parts, and no part of it stays.
static void test_a_token_of_two_parts(void **state)
{
    (void)state;
    masked("a SG"
           ".AbCdEfGhIj0123456789aB.cDeFgHiJkLmNoPqRsTuVwX0123456789aBcDeFgHiJk z",
           "a [redacted:sendgrid] z");
}

static void test_authorization(void **state)
{
    (void)state;
    masked("Authorization: Bearer abc", "Authorization: Bearer [redacted:authorization]");
    masked("curl -H \"authorization: Basic dTpw\" http://x",
           "curl -H \"authorization: Basic [redacted:authorization]\" http://x");
    masked("{\"Authorization\":\"Bearer a b\",\"x\":1}",
           "{\"Authorization\":\"Bearer [redacted:authorization]\",\"x\":1}");
    masked("Proxy-Authorization: Digest username=\"u\", response=\"r\"\nnext",
           "Proxy-Authorization: Digest [redacted:authorization]\nnext");
    masked("Authorization: s3cr3t rest", "Authorization: [redacted:authorization] rest");
    masked("sent bearer Zm9vYmFy0 to", "sent bearer [redacted:authorization] to");
    masked("BASIC dXNlcjpwYXNz", "BASIC [redacted:authorization]");
    masked("Bearer%20Zm9vYmFy0", "Bearer%20[redacted:authorization]");
    masked("Set-Cookie: a=1; session=zz\nHost: x", "Set-Cookie: [redacted:cookie]\nHost: x");
    kept("Basic authentication failed");
    kept("the bearer token expired");
    kept("Bearer authentication is required");
    kept("forbearer abcdefgh1");
}

static void test_urls(void **state)
{
    (void)state;
    masked("postgres://app:hunter2@db:5432/x", "postgres://app:[redacted:password]@db:5432/x");
    masked("redis://:p/w@host/0", "redis://:[redacted:password]@host/0");
    masked("http://u:p@ss@h/", "http://u:[redacted:password]@h/");
    masked("amqp://u:12345@h", "amqp://u:[redacted:password]@h");
    kept("http://host:8080/path?mail=a@b");
    kept("http://user@host/");
    kept("http://[::1]:80/x");
    kept("http://host/a:b@c");
    kept("see http://host:80 and mail bob@example.com");
    // The name is a token, too. Put together here, as above.
    check("https://g"
          "hp_0123456789aBcDeFgHiJkLmNoPq:x-oauth-basic@h/",
          "https://[redacted:github]:[redacted:password]@h/", 2);
    masked("https://h/?token=abc&x=1", "https://h/?token=[redacted:token]&x=1");
    masked("https://h/?q=password%3Dabc%26x", "https://h/?q=password%3D[redacted:password]%26x");
}

static void test_pairs(void **state)
{
    (void)state;
    masked("password=hunter2 user=bob", "password=[redacted:password] user=bob");
    masked("DB_PASSWORD: 'hun ter' x", "DB_PASSWORD: '[redacted:password]' x");
    masked("{\"password\": \"a\\\"b\", \"u\": 1}",
           "{\"password\": \"[redacted:password]\", \"u\": 1}");
    masked("{\\\"api_key\\\":\\\"abc\\\",\\\"u\\\":1}",
           "{\\\"api_key\\\":\\\"[redacted:api_key]\\\",\\\"u\\\":1}");
    masked("apiKey=abc,user=bob", "apiKey=[redacted:api_key],user=bob");
    masked("Password=a,b;c", "Password=[redacted:password]");
    masked("Server=x;Pwd=a;Database=y", "Server=x;Pwd=[redacted:password];Database=y");
    masked("aws_secret_access_key = wJalr/K7", "aws_secret_access_key = [redacted:access_key]");
    masked("client-secret:abc", "client-secret:[redacted:secret]");
    masked("X-Auth-Token: abc", "X-Auth-Token: [redacted:token]");
    masked("PGPASSWORD2=x", "PGPASSWORD2=[redacted:password]");
    masked("mysql --password hunter2 -u x", "mysql --password [redacted:password] -u x");
    check("gl"
          "pat--A1b2C3d4E5f6G7h8-password hunter2",
          "[redacted:gitlab] [redacted:password]",
          2); // as an option that begins with the token's dash
    masked("--token=abc", "--token=[redacted:token]");
    masked("private_key=\"line\nleft\"", "private_key=\"[redacted:private_key]\nleft\"");
    masked("secret=\"open", "secret=\"[redacted:secret]");
    masked("AccountKey=abc==;x=1", "AccountKey=[redacted:access_key];x=1");
    check("pass=a token=b", "pass=[redacted:password] token=[redacted:token]", 2);
    masked("password=abc\\ndef", "password=[redacted:password]\\ndef"); // within a JSON text
    masked("token=a\\\"b", "token=[redacted:token]\\\"b");
    kept("tokens=4096");
    kept("secretName: my-tls");
    kept("password_policy=strict");
    kept("bypass=1 compass=2");
    kept("password=");
    kept("password=null");
    kept("password: ${DB_PASS}");
    kept("password={{ .Values.x }}");
    kept("token=***");
    kept("pods: 3, key: value, disk=87%");
}

static void test_pem(void **state)
{
    (void)state;
    masked("x\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\ny",
           "x\n[redacted:pem]\ny");
    masked("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Blb", "[redacted:pem]");
    kept("------------\n-- total --");
    // Without a label the mask ends there: it cuts no character and no other secret.
    masked("-----BEGIN X-----\nA\n-----END \xf0\x9f\x98\x80", "[redacted:pem]\xf0\x9f\x98\x80");
}

static void test_ordinary_alert_text(void **state)
{
    (void)state;
    kept("");
    kept("Pod default/checkout-7d9c8b5f4-x2x9k (app) is in waiting state (reason: "
         "CrashLoopBackOff).");
    kept("http://prometheus.local:9090/"
         "graph?g0.expr=rate%28http_requests_total%5B5m%5D%29+%3E+0.05&g0.tab=1");
    kept("task-runner-deployment-7d9c8b5f4-QWERTY0");
    kept("disk-usage-warning-for-node-A-0123456789");
    kept("sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    kept("019c2e1e-f7ee-7a7a-ab66-ebeb03e90d26");
    kept("eyJ is the begin of a token, eyJabc.def is none");
}

static void test_names(void **state)
{
    (void)state;
    assert_true(redact_is_secret_name(str_of("password")));
    assert_true(redact_is_secret_name(str_of("db.Password")));
    assert_true(redact_is_secret_name(str_of("X-API-Key")));
    assert_true(redact_is_secret_name(str_of("vault_secret_id")));
    assert_false(redact_is_secret_name(str_of("alertname")));
    assert_false(redact_is_secret_name(str_of("secret_name")));
    assert_false(redact_is_secret_name(str_of("")));
}

static void test_linear_on_hostile_text(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "eyJ",     "eyJaaaaaaaaaa.",  "sk-",          "--",         "--token",
        "://",     "a://b:c",         "password=***", "cookie=***", "authorization: digest ***",
        "bearer ", "-----BEGIN ",     "token='${",    "_",          "A",
        "%3D",     "secret=\"null\"", "xoxb-",        "1:AA",       "pw:\\\"",
    };
    size_t n = 1 << 17;
    char *p = malloc(n);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i]);
        for (size_t at = 0; at < n; at++)
            p[at] = rows[i][at % len];
        struct buf out = BUF_INIT(64 << 20);
        clock_t begin = clock();
        assert_true(redact(&out, (struct str){p, n}) >= 0);
        assert_true(clock() - begin < 2 * CLOCKS_PER_SEC);
        buf_done(&out);
    }
    free(p);
}

static void test_every_prefix_of_a_secret_text(void **state)
{
    (void)state;
    static const char text[] =
        "x --token a 'password': \\\"b\\\" u://v:w@h Authorization: Digest q "
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c -----BEGIN X-----\n-----END X----- %3D";
    for (size_t n = 0; n < sizeof text; n++) {
        char *exact = malloc(n + 1); // so that a sanitizer sees a read behind the end
        memcpy(exact + 1, text, n);
        struct buf out = BUF_INIT(4096);
        assert_true(redact(&out, (struct str){exact + 1, n}) >= 0);
        buf_done(&out);
        free(exact);
    }
    struct buf tiny = BUF_INIT(5);
    assert_int_equal(redact(&tiny, str_of("password=x")), -E2BIG);
    buf_done(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_provider_tokens),
        cmocka_unit_test(test_a_token_of_two_parts),
        cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_pem),
        cmocka_unit_test(test_ordinary_alert_text),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_linear_on_hostile_text),
        cmocka_unit_test(test_every_prefix_of_a_secret_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
