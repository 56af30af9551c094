#pragma once

// Private to the sender: one person's row under way, and the steps that its kinds take. Each step
// ends in one of lane_sent, lane_failed, lane_pointless, lane_requeue or lane_again, or in a call
// whose answer does.

#include "channels/slack/sender.h"
#include "common/backoff.h"

enum { LANE_MAX_FORM = 1 << 20 };

// One person's row under way, or the wait before its next attempt.
struct lane {
    struct sender *x;
    char user[24];
    bool busy;
    int64_t not_before; // boot ms
    struct backoff backoff;
    struct outbox_row row;
    char channel[24]; // of the direct messages; "" while unknown
    char cursor[256];
    bool looked_in_thread; // of the two places to look, the thread is done
    int pages;
    struct buf text; // what was rendered, to be recognised
};

struct sender {
    struct store *store;
    struct slack_api *api;
    const struct access *access;
    const char *files;
    struct sender_handler handler;
    uv_timer_t timer;
    struct lane lanes[ACCESS_MAX_USERS];
    char stopped[192]; // why nothing is sent, or ""
    int64_t stopped_until;
    bool draining;
};

// ---- how an attempt ends ----

void lane_end(struct lane *l); // frees what belongs to the row
void lane_wait(struct lane *l, int64_t ms);
void lane_back_off(struct lane *l, int64_t at_least);
void lane_again(struct lane *l);               // later, as it stands in the store
void lane_requeue(struct lane *l, bool plain); // later: it was not sent for sure
void lane_sent(struct lane *l, const char *ts);
void lane_failed(struct lane *l, const char *error); // refused for good
void lane_pointless(struct lane *l);                 // no longer worth saying
// What every call's answer but success leads to.
void lane_unsuccessful(struct lane *l, const struct api_answer *a, const char *method);

// Notes in the store that it may be sent from now on. False: it could not, and the lane waits.
bool lane_attempt(struct lane *l) MUST_CHECK;
// Calls a method with a form (taken). <0: it was not called and the lane waits; the caller ends it.
int lane_call(struct lane *l, const char *method, struct buf *form, unsigned flags,
              api_fn done) MUST_CHECK;

// ---- the steps ----

void lane_look(struct lane *l); // for what may have been sent (send_look.c)
void lane_post(struct lane *l);
void lane_update(struct lane *l);
void lane_react(struct lane *l);
void lane_upload(struct lane *l); // send_file.c
