// What is around: systemd's units, the clusters. Asked only, nothing is changed.

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/doctor.h"
#include "common/clock.h"
#include "common/program.h"
#include "common/text.h"

#define PROGRAM_MS 3000
#define CLUSTERS_MAX 32

// ---- units ----

static const char *const units[] = {"sre-channels-standby@webhook.service",
                                    "sre-channels-standby@slack.service",
                                    "sre-channels-session.service", "sre-channels-restart.timer"};

static bool has_line(const struct buf *text, const char *line)
{
    struct str rest = buf_str(text);
    while (rest.n)
        if (str_is(text_trim(text_next_line(&rest)), line))
            return true;
    return false;
}

static int ask_systemd(const char *unit, struct buf *said)
{
    const char *const ask[] = {"systemctl", "show",
                               "--property=LoadState,ActiveState,UnitFileState", unit, NULL};
    return program_run(ask, PROGRAM_MS, said);
}

static void check_unit(struct doctor *d, const char *unit, const struct buf *said)
{
    char mend[256];
    bool enabled = has_line(said, "UnitFileState=enabled"),
         active = has_line(said, "ActiveState=active");
    if (enabled && active) {
        doctor_say(d, DOCTOR_OK, "unit", NULL, "%s is enabled and active", unit);
        return;
    }
    snprintf(mend, sizeof mend,
             enabled ? "sudo systemctl restart %s; journalctl -u %s -n 50"
                     : "sudo systemctl enable --now %s; journalctl -u %s -n 50",
             unit, unit);
    doctor_say(d, DOCTOR_FAIL, "unit", mend, "%s is %s%s%s", unit, enabled ? "" : "not enabled",
               enabled || active ? "" : ", and ", active ? "" : "not active");
}

static void check_units(struct doctor *d)
{
    int installed = 0;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct buf said = BUF_INIT(1024);
        int r = ask_systemd(units[i], &said);
        if (r == 0 && has_line(&said, "LoadState=loaded")) {
            check_unit(d, units[i], &said);
            installed++;
        }
        buf_done(&said);
        if (r != 0)
            break; // no systemd here
    }
    if (!installed)
        doctor_say(d, DOCTOR_OK, "unit", NULL,
                   "none is installed: sudo deploy/install sets up a machine that nobody watches");
}

// ---- clusters ----

struct cluster {
    char context[256];
    struct program program;
    int started; // 0, or why not
};

// All at once: one that does not answer costs its time only once.
static int start_each(struct str contexts, struct cluster clusters[CLUSTERS_MAX], int *ret_left_out)
{
    int n = 0;
    while (contexts.n) {
        struct str name = text_trim(text_next_line(&contexts));
        if (!name.n || name.n >= sizeof clusters->context)
            continue;
        if (n == CLUSTERS_MAX) {
            ++*ret_left_out;
            continue;
        }
        struct cluster *c = &clusters[n++];
        memcpy(c->context, name.p, name.n);
        c->context[name.n] = '\0';
        const char *const ask[] = {"kubectl", "--context", c->context, "--request-timeout=3s",
                                   "get",     "--raw",     "/readyz",  NULL};
        c->started = program_start(ask, &c->program);
    }
    return n;
}

static void check_cluster(struct doctor *d, struct cluster *c, int64_t deadline)
{
    struct buf said = BUF_INIT(512);
    char mend[512];
    int r = c->started < 0 ? c->started : program_end(&c->program, deadline, &said);
    snprintf(mend, sizeof mend, "kubectl --context '%s' get --raw /readyz", c->context);
    if (r == 0)
        doctor_say(d, DOCTOR_OK, "cluster", NULL, "%s answers", c->context);
    else
        doctor_say(d, DOCTOR_FAIL, "cluster", mend, "%s: %s", c->context,
                   r == -ETIMEDOUT ? "no answer in 3 s"
                   : r < 0         ? strerror(-r)
                   : said.len      ? buf_cstr(&said)
                                   : "kubectl fails");
    buf_done(&said);
}

static void check_clusters(struct doctor *d)
{
    static const char *const ask[] = {"kubectl", "config", "get-contexts", "-o", "name", NULL};
    static struct cluster clusters[CLUSTERS_MAX];
    struct buf contexts = BUF_INIT(64 * 1024);
    int left_out = 0, r = program_run(ask, PROGRAM_MS, &contexts);
    if (r == -ENOENT)
        doctor_say(d, DOCTOR_WARN, "cluster",
                   "install kubectl, and a kubeconfig as deploy/kubernetes/README.md has it",
                   "kubectl is not installed: the agent cannot look into a cluster");
    else if (r != 0)
        doctor_say(d, DOCTOR_FAIL, "cluster", "kubectl config get-contexts", "kubectl: %s",
                   r == -ETIMEDOUT ? "no answer" : buf_cstr(&contexts));
    int n = r == 0 ? start_each(buf_str(&contexts), clusters, &left_out) : 0;
    int64_t deadline = clock_boot_ms() + PROGRAM_MS;
    for (int i = 0; i < n; i++)
        check_cluster(d, &clusters[i], deadline);
    if (r == 0 && !n)
        doctor_say(d, DOCTOR_WARN, "cluster",
                   "make a kubeconfig as deploy/kubernetes/README.md has it",
                   "kubectl knows no cluster: the agent cannot look into one");
    if (left_out)
        doctor_say(d, DOCTOR_WARN, "cluster", "kubectl config get-contexts",
                   "%d more were not looked at", left_out);
    buf_done(&contexts);
}

void doctor_around(struct doctor *d)
{
    check_units(d);
    check_clusters(d);
}
