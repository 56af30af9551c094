// `doctor`: what a new installation gets wrong, one line each, with the command that mends it.

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "channels/webhook/census.h"
#include "channels/webhook/commands.h"
#include "channels/webhook/playbooks.h"
#include "common/clock.h"
#include "common/http_address.h"
#include "common/json.h"
#include "common/lease.h"
#include "common/options.h"
#include "common/output.h"
#include "common/store.h"

#define MAX_REPORT (256 * 1024)
#define MIN_FREE_BYTES (256ull << 20)
#define EARLIEST_WALL_MS 1767225600000ll // 2026-01-01: before it the clock is not set

struct report {
    struct buf text, json;
    struct jw w;
    bool failed;
};

enum result { GOOD, WARN, FAIL };

static void check(struct report *r, enum result result, const char *name, const char *found,
                  const char *mend)
{
    static const char *const words[] = {"ok", "warn", "fail"};
    r->failed |= result == FAIL;
    buf_addf(&r->text, "%-4s  %-14s %s", words[result], name, found);
    if (result != GOOD && mend)
        buf_addf(&r->text, " -> %s", mend);
    buf_addc(&r->text, '\n');
    jw_object(&r->w);
    jw_kstr(&r->w, "check", name);
    jw_kstr(&r->w, "result", words[result]);
    jw_kstr(&r->w, "found", found);
    jw_kstr(&r->w, "mend", result == GOOD ? NULL : mend);
    jw_object_end(&r->w);
}

static void check_versions(struct report *r)
{
    check(r, GOOD, "version", "webhook-channel " SRE_VERSION, NULL);
}

static void check_configuration(struct report *r, const struct config *c)
{
    char found[512];
    snprintf(found, sizeof found, "%s%s", c->file,
             access(c->file, R_OK) == 0 ? "" : " (not there: defaults and environment)");
    check(r, GOOD, "configuration", found, NULL);
}

static void check_clock(struct report *r)
{
    char at[RFC3339_SIZE];
    int64_t now = clock_wall_ms();
    check(r, now < EARLIEST_WALL_MS ? FAIL : GOOD, "clock", rfc3339_format(now / 1000 * 1000, at),
          "timedatectl set-ntp true");
}

static void check_state_dir(struct report *r, const struct config *c)
{
    struct stat st;
    struct statvfs fs;
    char found[512], mend[512];
    if (stat(c->state_dir, &st) < 0) {
        snprintf(found, sizeof found, "%s: %s", c->state_dir, strerror(errno));
        snprintf(mend, sizeof mend, "mkdir -p -m 700 '%s'", c->state_dir);
        check(r, errno == ENOENT ? WARN : FAIL, "state folder", found, mend);
        return;
    }
    snprintf(mend, sizeof mend, "chmod 700 '%s'", c->state_dir);
    snprintf(found, sizeof found, "%s, mode %03o", c->state_dir, (unsigned)st.st_mode & 0777);
    check(r, st.st_mode & 077 ? FAIL : GOOD, "state folder", found, mend);
    if (statvfs(c->state_dir, &fs) == 0) {
        unsigned long long left = (unsigned long long)fs.f_bavail * fs.f_frsize;
        snprintf(found, sizeof found, "%llu MB free", left >> 20);
        check(r, left < MIN_FREE_BYTES ? FAIL : GOOD, "disk", found,
              "free some space: without it alerts are answered 503");
    }
}

static void check_session(struct report *r, struct store *s)
{
    struct lease_info lease;
    char found[128];
    if (lease_read(s, "webhook", &lease) < 0)
        return;
    if (!lease.fresh) {
        check(r, WARN, "session", "no session is attached", "start Claude Code with ./start");
        return;
    }
    snprintf(found, sizeof found, "attached, pid %lld", (long long)lease.pid);
    check(r, GOOD, "session", found, NULL);
}

static void check_waiting(struct report *r, struct store *s)
{
    char found[128];
    int64_t n = 0;
    if (census_waiting(s, &n) < 0)
        return;
    snprintf(found, sizeof found, "%lld incidents wait for a verdict", (long long)n);
    check(r, GOOD, "incidents", found, NULL);
}

static void check_store(struct report *r, const struct config *c)
{
    struct store *s = NULL;
    char path[4200];
    struct stat st;
    snprintf(path, sizeof path, "%s/incidents.db", c->state_dir);
    if (stat(path, &st) < 0) {
        check(r, WARN, "database", "not there yet", "it is created at the first start");
        return;
    }
    if (store_open(c->state_dir, false, &s) < 0) {
        check(r, FAIL, "database", "cannot be opened",
              "start webhook-channel: it moves a damaged file aside and says so");
        return;
    }
    store_busy_timeout(s, 5000);
    bool good = store_check(s) == 0;
    check(r, good ? GOOD : FAIL, "database", good ? path : "damaged",
          "restart the session: the damaged file is moved aside");
    if (st.st_mode & 077)
        check(r, FAIL, "database mode", "others can read it", "chmod 600 it");
    check_session(r, s);
    check_waiting(r, s);
    store_close(s);
}

// Who answers on the port? 1 = somebody, 0 = nobody, <0 error.
static int port_answers(const char *address)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int r = http_address_resolve(address, &sa, &len);
    if (r < 0)
        return r;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    r = connect(fd, (struct sockaddr *)&sa, len) == 0;
    close(fd);
    return r;
}

static void check_port(struct report *r, const struct config *c)
{
    char found[512];
    bool open = !c->token[0] && !c->hmac_secret[0];
    int answers = port_answers(c->listen);
    if (open && !http_address_is_loopback(c->listen))
        check(r, FAIL, "token", "none, and WEBHOOK_LISTEN is beyond loopback: refused at start",
              "set WEBHOOK_TOKEN");
    else
        check(r, open ? WARN : GOOD, "token", open ? "none: every local process may post" : "set",
              "set WEBHOOK_TOKEN");
    snprintf(found, sizeof found, "%s: %s", c->listen,
             answers > 0 ? "something listens" : "nobody listens now");
    check(r, answers < 0 ? FAIL : GOOD, "port", found,
          "set WEBHOOK_LISTEN to an address of this machine");
}

static void check_playbooks(struct report *r, const struct config *c)
{
    struct playbooks *p = NULL;
    char found[512];
    if (playbooks_load(c->playbooks, &p) < 0)
        return;
    snprintf(found, sizeof found, "%zu in %s", playbooks_count(p), c->playbooks);
    check(r, playbooks_count(p) ? GOOD : FAIL, "playbooks", found,
          "set SRE_PLAYBOOKS to the project's playbooks folder");
    playbooks_free(p);
}

int command_doctor(const struct config *c, int argc, char **argv)
{
    struct option options[] = {{.name = "--json", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(256);
    struct report r = {.text = BUF_INIT(MAX_REPORT), .json = BUF_INIT(MAX_REPORT)};
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("doctor", &why);
    r.w = JW(&r.json);
    jw_object(&r.w);
    jw_key(&r.w, "checks");
    jw_array(&r.w);
    check_versions(&r);
    check_configuration(&r, c);
    check_clock(&r);
    check_state_dir(&r, c);
    check_store(&r, c);
    check_port(&r, c);
    check_playbooks(&r, c);
    jw_array_end(&r.w);
    jw_kbool(&r.w, "ok", !r.failed);
    jw_object_end(&r.w);
    buf_addc(&r.json, '\n');
    int e = output_flush(options[0].number ? &r.json : &r.text);
    buf_done(&r.text);
    buf_done(&r.json);
    return e < 0 || r.failed;
}
