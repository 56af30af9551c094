// The configuration file.

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"
#include "test/fuzz/fuzz.h"

static int fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char path[64];
    (void)argc, (void)argv;
    fd = memfd_create("config", 0);
    CHECK(fd >= 0 && fchmod(fd, 0600) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    clearenv();
    setenv("SRE_CONFIG", path, 1);
    log_set_level(LOG_ERROR); // unknown keys are warned of
    return 0;
}

static void check(const struct config *c)
{
    const char *const texts[] = {c->state_dir,      c->playbooks,       c->prod_clusters,
                                 c->dev_clusters,   c->read_hosts,      c->ping_url,
                                 c->listen,         c->token,           c->hmac_secret,
                                 c->watchdog_alert, c->slack_bot_token, c->slack_app_token,
                                 c->slack_users,    c->slack_api_url,   c->file};
    const int64_t counts[] = {c->max_body, c->event_bytes, c->events_per_min};
    const int64_t times[] = {c->retention_days, c->canary_s,   c->take_s,     c->unattended_s,
                             c->flap_s,         c->stale_days, c->watchdog_s, c->slack_nag_s};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        CHECK(texts[i]);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        CHECK(counts[i] >= 1 && counts[i] <= 1000000000);
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        CHECK(times[i] >= 0 && times[i] <= 1000000000);
    CHECK(c->log <= LOG_DEBUG);
    CHECK(config_is_prod(c, "") && config_is_prod(c, NULL));
    (void)config_is_prod(c, "dev-1");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct config c;
    struct buf why = BUF_INIT(4096);
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n);
    int r = config_load(&c, &why);
    if (r == 0) {
        CHECK(!why.len);
        check(&c);
        config_done(&c);
    } else {
        CHECK(r != -ENOMEM && why.len);
    }
    buf_done(&why);
    return 0;
}
