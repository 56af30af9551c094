#pragma once

// What follows when an outbox row was sent, or refused for good. In the caller's transaction.

#include "channels/slack/inbound.h"
#include "channels/slack/outbox.h"

int outcome_sent(const struct inbound *in, const struct outbox_row *row, const char *channel,
                 const char *ts, struct moment now) MUST_CHECK;
int outcome_failed(const struct inbound *in, const struct outbox_row *row, const char *error,
                   struct moment now) MUST_CHECK;
