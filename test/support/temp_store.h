#pragma once

// A store in a folder of its own, a configuration with the defaults, and short ways to ask the
// store. Include after cmocka.h.

#include "common/config.h"
#include "common/store.h"
#include "test/support/temp_dir.h"

struct temp_store {
    char dir[TEMP_DIR_SIZE];
    struct store *store;
    struct config config; // its strings are literals: no config_done
};

static inline void temp_store_open(struct temp_store *t)
{
    temp_dir_make(t->dir);
    assert_int_equal(store_open(t->dir, true, &t->store), 0);
    t->config = (struct config){
        .state_dir = t->dir,
        .playbooks = t->dir,
        .retention_days = 365,
        .max_body = 16777216,
        .event_bytes = 4096,
        .events_per_min = 20,
        .take_s = 300,
        .unattended_s = 900,
        .flap_s = 600,
        .stale_days = 7,
    };
    static char no_cluster[] = "", dev[] = "dev-*", watchdog[] = "Watchdog";
    t->config.prod_clusters = t->config.ping_url = no_cluster;
    t->config.jira_url = t->config.jira_token = t->config.jira_project = no_cluster;
    t->config.gitlab_url = t->config.gitlab_token = t->config.gitlab_project = no_cluster;
    t->config.dev_clusters = dev;
    t->config.watchdog_alert = watchdog;
}

static inline void temp_store_close(struct temp_store *t)
{
    store_close(t->store);
    temp_dir_remove(t->dir);
}

// `sql` must be a literal. The number in the first row; -1 for NULL, -2 for no row.
static inline int64_t ask_int_with(struct store *s, const char *sql, int64_t parameter)
{
    struct stmt *q = store_sql(s, sql);
    if (strchr(sql, '?'))
        bind_int(q, 1, parameter);
    int r = stmt_step(q);
    if (r < 0)
        fail_msg("%s: %s", sql, store_error(s));
    int64_t v = r == 0 ? -2 : col_is_null(q, 0) ? -1 : col_int(q, 0);
    stmt_reset(q);
    return v;
}

static inline int64_t ask_int(struct store *s, const char *sql)
{
    return ask_int_with(s, sql, 0);
}

// The text in the first row, "" for none; valid until the next call.
static inline const char *ask_text(struct store *s, const char *sql)
{
    static char text[8192];
    struct stmt *q = store_sql(s, sql);
    int r = stmt_step(q);
    if (r < 0)
        fail_msg("%s: %s", sql, store_error(s));
    snprintf(text, sizeof text, "%s", r > 0 ? col_text(q, 0) : "");
    stmt_reset(q);
    return text;
}

static inline void run_sql(struct store *s, const char *sql)
{
    if (stmt_run(store_sql(s, sql)) < 0)
        fail_msg("%s: %s", sql, store_error(s));
}
