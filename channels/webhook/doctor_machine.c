// The machine below: configuration, clock, folder, disk.

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "channels/webhook/doctor.h"
#include "common/clock.h"
#include "common/program.h"

#define MIN_FREE_BYTES (256ull << 20)
#define LOW_FREE_BYTES (1024ull << 20)
#define EARLIEST_WALL_MS 1767225600000ll // 2026-01-01: before it the clock is not set
#define PROGRAM_MS 3000

static void check_configuration(struct doctor *d)
{
    struct stat st;
    char mend[4200];
    const char *file = d->config->file;
    if (stat(file, &st) < 0) {
        doctor_say(d, DOCTOR_OK, "configuration", NULL, "%s (not there: defaults and environment)",
                   file);
        return;
    }
    if (access(file, R_OK) < 0) {
        snprintf(mend, sizeof mend, "sudo chown \"$USER\" '%s'", file);
        doctor_say(d, DOCTOR_FAIL, "configuration", mend, "%s cannot be read", file);
        return;
    }
    snprintf(mend, sizeof mend, "chmod 600 '%s'", file);
    doctor_say(d, st.st_mode & 077 ? DOCTOR_WARN : DOCTOR_OK, "configuration", mend,
               st.st_mode & 077 ? "%s can be read by others: no secret may go into it" : "%s",
               file);
}

// 1 = yes, 0 = no, -1 = nobody knows.
static int is_synchronized(void)
{
    static const char *const ask[] = {"timedatectl",     "show",    "-p",
                                      "NTPSynchronized", "--value", NULL};
    struct buf said = BUF_INIT(64);
    struct timex t = {0};
    int r = program_run(ask, PROGRAM_MS, &said);
    int yes = r != 0 ? -1 : strncmp(buf_cstr(&said), "yes", 3) == 0;
    buf_done(&said);
    if (yes < 0 && adjtimex(&t) >= 0)
        yes = !(t.status & STA_UNSYNC);
    return yes;
}

static void check_clock(struct doctor *d)
{
    char at[RFC3339_SIZE];
    int in_sync = is_synchronized();
    rfc3339_format(d->now / 1000 * 1000, at);
    if (d->now < EARLIEST_WALL_MS)
        doctor_say(d, DOCTOR_FAIL, "clock", "sudo timedatectl set-ntp true", "not set: %s", at);
    else if (in_sync == 0)
        doctor_say(d, DOCTOR_WARN, "clock", "sudo timedatectl set-ntp true", "%s, not synchronized",
                   at);
    else
        doctor_say(d, DOCTOR_OK, "clock", NULL, "%s%s", at, in_sync > 0 ? ", synchronized" : "");
}

static void check_disk(struct doctor *d)
{
    struct statvfs fs;
    char mend[4200];
    if (statvfs(d->config->state_dir, &fs) < 0)
        return;
    unsigned long long left = (unsigned long long)fs.f_bavail * fs.f_frsize;
    snprintf(mend, sizeof mend,
             "free some space (du -xh '%s' | sort -h): without it alerts are answered 503",
             d->config->state_dir);
    doctor_say(d,
               left < MIN_FREE_BYTES   ? DOCTOR_FAIL
               : left < LOW_FREE_BYTES ? DOCTOR_WARN
                                       : DOCTOR_OK,
               "disk", mend, "%llu MB free", left >> 20);
}

static void check_state_dir(struct doctor *d)
{
    struct stat st;
    char mend[4200];
    const char *dir = d->config->state_dir;
    if (stat(dir, &st) < 0) {
        int e = errno;
        snprintf(mend, sizeof mend, "mkdir -p -m 700 '%s'", dir);
        doctor_say(d, e == ENOENT ? DOCTOR_WARN : DOCTOR_FAIL, "state folder", mend, "%s: %s", dir,
                   strerror(e));
        return;
    }
    if (st.st_uid != geteuid()) {
        snprintf(mend, sizeof mend, "sudo -u '#%u' -H %s/build/webhook-channel doctor",
                 (unsigned)st.st_uid, d->project);
        // Root can write there; others can't.
        doctor_say(d, geteuid() == 0 ? DOCTOR_WARN : DOCTOR_FAIL, "state folder", mend,
                   "%s belongs to user %u, who is to run this", dir, (unsigned)st.st_uid);
    } else if (access(dir, W_OK | X_OK) < 0) {
        snprintf(mend, sizeof mend, "chmod 700 '%s'", dir);
        doctor_say(d, DOCTOR_FAIL, "state folder", mend, "%s cannot be written", dir);
    } else {
        snprintf(mend, sizeof mend, "chmod 700 '%s'", dir);
        doctor_say(d, st.st_mode & 077 ? DOCTOR_FAIL : DOCTOR_OK, "state folder", mend,
                   "%s, mode %03o", dir, (unsigned)st.st_mode & 0777);
    }
    check_disk(d);
}

void doctor_machine(struct doctor *d)
{
    check_configuration(d);
    check_clock(d);
    check_state_dir(d);
}
