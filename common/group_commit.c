#include "common/group_commit.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/counters.h"

#define RETRY_MS 5
#define MAX_GROUP 512 // jobs in one transaction

struct group_commit {
    uv_check_t check; // after the poll phase: everything that this iteration read shares the commit
    uv_idle_t idle;   // keeps the next poll from sleeping while jobs wait
    uv_timer_t retry; // another process holds the lock
    unsigned open_handles;
    struct store *store;
    struct commit_job *head, **tail;
    void (*on_commit)(void *data);
    void *on_commit_data;
};

static void queue_add(struct group_commit *g, struct commit_job *job)
{
    job->next = NULL;
    *g->tail = job;
    g->tail = &job->next;
}

static struct commit_job *queue_take(struct group_commit *g)
{
    struct commit_job *job = g->head;
    if (!job)
        return NULL;
    g->head = job->next;
    if (!g->head)
        g->tail = &g->head;
    return job;
}

static void on_idle(uv_idle_t *h)
{
    (void)h;
}

static void wake(struct group_commit *g)
{
    if (g->head && !uv_is_active((uv_handle_t *)&g->retry))
        uv_idle_start(&g->idle, on_idle);
    else
        uv_idle_stop(&g->idle);
}

struct group {
    struct commit_job *jobs[MAX_GROUP];
    int result[MAX_GROUP];
    size_t n;
};

static int commit(struct store *s)
{
    int64_t began = clock_boot_ms();
    int r = store_commit(s);
    counter_observe("sre_commit_seconds", clock_boot_ms() - began);
    return r;
}

static int apply_all(struct store *s, struct group *group, size_t *ret_called)
{
    for (size_t i = 0; i < group->n; i++) {
        group->result[i] = group->jobs[i]->apply(group->jobs[i], s);
        *ret_called = i + 1;
        if (group->result[i] < 0)
            return group->result[i];
    }
    return 0;
}

// 0 = committed, each job's own result in `result`; otherwise nothing of it is in the store.
static int run_group(struct store *s, struct group *group)
{
    size_t called = 0;
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = apply_all(s, group, &called);
    if (r == 0)
        r = commit(s);
    else
        store_rollback(s);
    for (size_t i = 0; i < called; i++)
        group->jobs[i]->rolled_back = r < 0;
    return r;
}

static void finish(struct group_commit *g, struct commit_job *job, int result)
{
    if (result > 0)
        queue_add(g, job);
    else
        job->done(job, result);
}

static void retry_later(struct group_commit *g, const struct group *group);

// One bad job must not take the others with it: each gets a transaction of its own.
static void run_one_by_one(struct group_commit *g, const struct group *group)
{
    for (size_t i = 0; i < group->n; i++) {
        struct group one = {.jobs = {group->jobs[i]}, .n = 1};
        int r = run_group(g->store, &one);
        if (r == -EBUSY) { // another process came in between
            struct group rest = {.n = group->n - i};
            memcpy(rest.jobs, group->jobs + i, rest.n * sizeof rest.jobs[0]);
            retry_later(g, &rest);
            return;
        }
        finish(g, group->jobs[i], r < 0 ? r : one.result[0]);
    }
}

static void run_queue(struct group_commit *g)
{
    struct group group = {.n = 0};
    while (group.n < MAX_GROUP && (group.jobs[group.n] = queue_take(g)))
        group.n++;
    if (!group.n)
        return;
    int r = run_group(g->store, &group);
    if (r == -EBUSY) {
        retry_later(g, &group);
        return;
    }
    if (r < 0 && group.n > 1)
        run_one_by_one(g, &group);
    else
        for (size_t i = 0; i < group.n; i++)
            finish(g, group.jobs[i], r < 0 ? r : group.result[i]);
    if (g->on_commit)
        g->on_commit(g->on_commit_data);
}

static void on_check(uv_check_t *h)
{
    struct group_commit *g = h->data;
    if (g->head && !uv_is_active((uv_handle_t *)&g->retry))
        run_queue(g);
    wake(g);
}

static void on_retry(uv_timer_t *h)
{
    wake(h->data); // the timer is no longer active: the next check runs the queue
}

static void retry_later(struct group_commit *g, const struct group *group)
{
    struct commit_job *newer = g->head, **newer_tail = g->tail;
    int64_t now = clock_boot_ms();
    g->head = NULL;
    g->tail = &g->head;
    for (size_t i = 0; i < group->n; i++) {
        if (group->jobs[i]->deadline > now)
            queue_add(g, group->jobs[i]);
        else
            group->jobs[i]->done(group->jobs[i], -EBUSY);
    }
    if (newer) {
        *g->tail = newer;
        g->tail = newer_tail;
    }
    if (g->head)
        uv_timer_start(&g->retry, on_retry, RETRY_MS, 0);
}

int group_commit_new(uv_loop_t *loop, struct store *s, struct group_commit **ret)
{
    struct group_commit *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    g->store = s;
    g->tail = &g->head;
    uv_check_init(loop, &g->check);
    uv_idle_init(loop, &g->idle);
    uv_timer_init(loop, &g->retry);
    g->check.data = g->idle.data = g->retry.data = g;
    uv_check_start(&g->check, on_check);
    uv_unref((uv_handle_t *)&g->check);
    *ret = g;
    return 0;
}

void group_commit_on_commit(struct group_commit *g, void (*fn)(void *data), void *data)
{
    g->on_commit = fn;
    g->on_commit_data = data;
}

void group_commit_submit(struct group_commit *g, struct commit_job *job, int64_t patience_ms)
{
    job->deadline = clock_boot_ms() + patience_ms;
    queue_add(g, job);
    wake(g);
}

bool group_commit_idle(const struct group_commit *g)
{
    return !g->head;
}

static void on_closed(uv_handle_t *h)
{
    struct group_commit *g = h->data;
    if (--g->open_handles == 0)
        free(g);
}

void group_commit_close(struct group_commit *g)
{
    if (!g)
        return;
    uv_timer_stop(&g->retry);
    run_queue(g);
    for (struct commit_job *job; (job = queue_take(g));)
        job->done(job, -ECANCELED);
    g->open_handles = 3;
    uv_close((uv_handle_t *)&g->check, on_closed);
    uv_close((uv_handle_t *)&g->idle, on_closed);
    uv_close((uv_handle_t *)&g->retry, on_closed);
}
