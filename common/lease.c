#include "common/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"

// A pid alone may have been given to another process, or be of another boot or another container.
struct self {
    int64_t pid, started; // clock ticks after boot: field 22 of /proc/PID/stat (proc(5))
    char boot_id[40];
    char place[80]; // boot_id and pid namespace
};

static size_t read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static int64_t start_of(int64_t pid)
{
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    if (!read_small(path, stat, sizeof stat))
        return -1;
    char *p = strrchr(stat, ')'); // the name in parentheses may hold anything
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoll(p + 1, NULL, 10) : -1;
}

static const struct self *self(void)
{
    static struct self me;
    if (me.pid != getpid()) {
        me.pid = getpid();
        me.started = start_of(me.pid);
        read_small("/proc/sys/kernel/random/boot_id", me.boot_id, sizeof me.boot_id);
        me.boot_id[strcspn(me.boot_id, "\n")] = '\0';
        char ns[32];
        ssize_t n = readlink("/proc/self/ns/pid", ns, sizeof ns - 1); // "pid:[4026531836]"
        ns[n > 0 ? n : 0] = '\0';
        snprintf(me.place, sizeof me.place, "%s %s", me.boot_id, ns);
    }
    return &me;
}

// Of another container of this machine nothing but the heartbeat tells.
static bool is_alive(int64_t pid, int64_t started, const char *place)
{
    size_t boot = strlen(self()->boot_id);
    if (strncmp(place, self()->boot_id, boot) != 0 || (place[boot] && place[boot] != ' '))
        return false;
    if (place[boot] && strcmp(place, self()->place) != 0)
        return true;
    return start_of(pid) == started && started >= 0;
}

static bool is_me(int64_t pid, int64_t started)
{
    return pid == self()->pid && started == self()->started;
}

const char *lease_self(void)
{
    static char text[192];
    const struct self *me = self();
    snprintf(text, sizeof text, "%lld %lld %s", (long long)me->pid, (long long)me->started,
             me->boot_id);
    return text;
}

bool lease_alive(const char *process)
{
    char *end;
    int64_t pid = strtoll(process, &end, 10), started = strtoll(end, &end, 10);
    return *end == ' ' && is_alive(pid, started, end + 1);
}

int lease_read(struct store *s, const char *channel, struct lease_info *ret_info)
{
    struct stmt *q =
        store_sql(s, "SELECT pid, started, boot_id, beat_at, since FROM lease WHERE channel = ?");
    bind_text(q, 1, channel);
    int r = stmt_step(q);
    struct lease_info info = {0};
    if (r > 0) {
        info.pid = col_int(q, 0);
        info.age_ms = clock_boot_ms() - col_int(q, 3);
        info.since = col_int(q, 4);
        info.fresh =
            info.age_ms < LEASE_STALE_MS && is_alive(info.pid, col_int(q, 1), col_text(q, 2));
        stmt_reset(q);
    }
    if (r < 0)
        return r;
    *ret_info = info;
    return 0;
}

static int write_lease(struct store *s, const char *channel, bool renew)
{
    const struct self *me = self();
    struct stmt *q = store_sql(
        s, "INSERT INTO lease(channel, pid, started, boot_id, beat_at, since) VALUES(?1, ?2, ?3, "
           "?4, ?5, ?6) "
           "ON CONFLICT(channel) DO UPDATE SET pid = ?2, started = ?3, boot_id = ?4, beat_at = ?5, "
           "since = CASE WHEN ?7 THEN since ELSE ?6 END");
    bind_text(q, 1, channel);
    bind_int(q, 2, me->pid);
    bind_int(q, 3, me->started);
    bind_text(q, 4, me->place);
    bind_int(q, 5, clock_boot_ms());
    bind_int(q, 6, clock_wall_ms());
    bind_int(q, 7, renew);
    return stmt_run(q);
}

int lease_beat(struct store *s, const char *channel)
{
    struct lease_info held;
    // A heartbeat needs no fsync: after a power cut nobody holds anything.
    int r = stmt_run(store_sql(s, "PRAGMA synchronous=NORMAL"));
    if (r == 0)
        r = store_begin(s);
    if (r == 0) {
        r = lease_read(s, channel, &held);
        bool ours = r == 0 && is_me(held.pid, self()->started);
        bool free_to_take = r == 0 && (ours || !held.fresh);
        if (free_to_take)
            r = write_lease(s, channel, ours && held.fresh);
        if (r == 0)
            r = store_commit(s);
        else
            store_rollback(s);
        if (r == 0)
            r = free_to_take;
    }
    int full = stmt_run(store_sql(s, "PRAGMA synchronous=FULL"));
    return full < 0 ? full : r;
}

void lease_release(struct store *s, const char *channel)
{
    struct stmt *q =
        store_sql(s, "UPDATE lease SET started = -1 WHERE channel = ? AND pid = ? AND started = ?");
    bind_text(q, 1, channel);
    bind_int(q, 2, self()->pid);
    bind_int(q, 3, self()->started);
    if (stmt_run(q) < 0)
        return;
}

int listener_shared(struct store *s, const char *address)
{
    struct stmt *q = store_sql(s, "SELECT pid, started, boot_id FROM listener WHERE address = ?");
    bind_text(q, 1, address);
    int r, shared = 0;
    while ((r = stmt_step(q)) > 0)
        shared |= !is_me(col_int(q, 0), col_int(q, 1)) &&
                  is_alive(col_int(q, 0), col_int(q, 1), col_text(q, 2));
    return r < 0 ? r : shared;
}

// SQLite begins and ends a transaction on a full disk or a file that it may only read, and skips a
// write that changes nothing.
int listener_beat(struct store *s, const char *address)
{
    int r = stmt_run(store_sql(s, "PRAGMA synchronous=NORMAL"));
    if (r == 0)
        r = store_begin(s);
    if (r == 0) {
        listener_remove(s);
        r = listener_add(s, address);
        if (r >= 0)
            r = store_commit(s);
        else
            store_rollback(s);
    }
    int full = stmt_run(store_sql(s, "PRAGMA synchronous=FULL"));
    return full < 0 ? full : r;
}

int listener_add(struct store *s, const char *address)
{
    int shared = listener_shared(s, address);
    if (shared < 0)
        return shared;
    struct stmt *q = store_sql(
        s, "INSERT OR REPLACE INTO listener(pid, started, boot_id, address) VALUES(?, ?, ?, ?)");
    bind_int(q, 1, self()->pid);
    bind_int(q, 2, self()->started);
    bind_text(q, 3, self()->place);
    bind_text(q, 4, address);
    int r = stmt_run(q);
    return r < 0 ? r : shared;
}

void listener_remove(struct store *s)
{
    struct stmt *q = store_sql(s, "DELETE FROM listener WHERE pid = ? AND started = ?");
    bind_int(q, 1, self()->pid);
    bind_int(q, 2, self()->started);
    if (stmt_run(q) < 0)
        return;
}
