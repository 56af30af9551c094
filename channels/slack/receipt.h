#pragma once

// Tool calls that wait until Slack has what they wrote, for its message_ts. Whatever happens they
// are answered: what is stored is sent sooner or later, and the tool must not repeat it.

#include <uv.h>

#include "channels/slack/engine.h"
#include "mcp/call.h"

enum {
    RECEIPT_WAIT_MS = 8000,
    RECEIPT_MAX_ROWS = 64, // of one call
};

struct receipts {
    uv_loop_t *loop; // borrowed, as the next two
    struct store *store;
    struct engine *engine;
    struct receipt *head;
};

// Finishes the call once these rows of the outbox were sent, one was refused, or RECEIPT_WAIT_MS
// have passed. Takes the call. user: whom they are for; the fallback for the name of the chat.
void receipt_wait(struct receipts *all, struct mcp_call *call, const int64_t *rows, size_t n,
                  const char *user);
void receipts_look(struct receipts *all); // rows may have been sent
void receipts_end(struct receipts *all); // answers all; memory is freed in a later turn of the loop
