#include "common/checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define LONG_PAGES 2000 // the log is moved from then on
#define REST_PAGES 256  // so much is moved on the loop: a few milliseconds

struct checkpoint {
    uv_work_t work;
    uv_loop_t *loop;
    struct store *store;
    char *path; // of the database, while the thread works; NULL otherwise
    int error;
    int64_t moved;   // pages of the log that are in the database
    int64_t next_at; // pages of the log: not before
    bool closed;
};

static void on_work(uv_work_t *work)
{
    struct checkpoint *c = work->data;
    c->error = store_checkpoint_aside(c->path, &c->moved);
}

static void on_worked(uv_work_t *work, int status)
{
    struct checkpoint *c = work->data;
    int64_t pages = store_wal_pages(c->store);
    free(c->path);
    c->path = NULL;
    if (c->closed) {
        free(c);
        return;
    }
    if (status == 0 && c->error == 0 && pages - c->moved <= REST_PAGES) {
        store_checkpoint(c->store);
        c->next_at = LONG_PAGES;
    } else if (status == 0 && c->error == 0 && pages - c->moved < LONG_PAGES) {
        c->next_at = 0; // it came in meanwhile: once more, that is less
    } else {
        log_debug("the log cannot be moved yet", "pages", log_int(pages)); // somebody reads
        c->next_at = pages + LONG_PAGES;
    }
}

int checkpoint_new(uv_loop_t *loop, struct store *s, struct checkpoint **ret)
{
    struct checkpoint *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    *c = (struct checkpoint){.loop = loop, .store = s, .next_at = LONG_PAGES};
    c->work.data = c;
    *ret = c;
    return 0;
}

void checkpoint_look(struct checkpoint *c)
{
    if (c->path || store_wal_pages(c->store) < c->next_at)
        return;
    c->path = strdup(store_path(c->store));
    if (c->path && uv_queue_work(c->loop, &c->work, on_work, on_worked) < 0) {
        free(c->path);
        c->path = NULL;
    }
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c)
        return;
    c->closed = true;
    if (!c->path)
        free(c);
}
