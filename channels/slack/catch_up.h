#pragma once

// Reads what was said while no connection heard it: the history of each allowed user's direct
// messages and the replies of the threads that are alive. Slack buffers nothing for a client that
// is away. One run at a time.

#include "channels/slack/access.h"
#include "channels/slack/web_api.h"
#include "common/store.h"

struct catch_up;

struct catch_up_handler {
    // Around the messages of one place: they are stored together or not at all.
    int (*on_begin)(void *data);
    int (*on_commit)(bool keep, void *data);
    // A message, oldest first; it may have been seen before. 0, or <0 = stop: it will be read
    // again.
    int (*on_message)(const struct slack_event *e, void *data);
    // newest_us: the newest ts that was read (microseconds). more: the next run begins at once.
    void (*on_end)(bool complete, int64_t newest_us, bool more, void *data);
    void *data;
};

struct catch_up *catch_up_new(uv_loop_t *loop, struct store *s, struct slack_api *api,
                              const struct access *access, const struct catch_up_handler *handler);
void catch_up_close(struct catch_up *c); // the API is closed before; NULL is fine
// Starts a run, or one more after the present one.
void catch_up_start(struct catch_up *c);
// A quick look at what this user said since the last one, and at one thread ("" for none).
void catch_up_look(struct catch_up *c, const char *user, const char *thread_ts);
bool catch_up_running(const struct catch_up *c);
