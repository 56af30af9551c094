#pragma once

// Tickets as the store knows them (common/schema.c): one for each problem, and the outbox
// of what is still to be written to Jira or GitLab. What is tried is noted before it is tried, so
// that a death in between is seen.

#include "common/buf.h"
#include "common/store.h"

#define TICKET_MAX_OPEN 200      // in the outbox
#define TICKET_MAX_INCIDENTS 100 // of one call

enum ticket_op { TICKET_OP_CREATE, TICKET_OP_COMMENT };

struct ticket_new {                               // all borrowed; texts are clean and redacted
    const char *title, *body, *labels, *assignee; // labels: a JSON array
    int64_t ids[TICKET_MAX_INCIDENTS];
    int n;
    int64_t unknown; // set when there is no such incident
};
// In the caller's transaction. The ticket of one of their problems gets a comment; without one a
// new ticket. -ENOENT, -ENOBUFS (the outbox is full), or a store error.
int ticket_queue(struct store *s, struct ticket_new *t, int64_t now, int64_t *ret_ticket,
                 int64_t *ret_row) MUST_CHECK;

struct ticket_row {
    int64_t id, ticket_id, op, attempts;
    char mark[32], note[48], key[64];
    const char *title, *body, *labels, *assignee, *incidents;
    char *strings; // owned
};
// Takes the next that is due for this process. 1, 0 for none, or <0. Own transaction.
int ticket_claim(struct store *s, int64_t now, struct ticket_row *ret_row) MUST_CHECK;
void ticket_row_done(struct ticket_row *row);

// How the attempt ended; each in a transaction of its own.
int ticket_created(struct store *s, const struct ticket_row *row, const char *key, const char *url,
                   int64_t now) MUST_CHECK;
int ticket_commented(struct store *s, const struct ticket_row *row, int64_t now) MUST_CHECK;
// The ticket is closed or gone: a new one for the same problems.
int ticket_renew(struct store *s, const struct ticket_row *row, int64_t now) MUST_CHECK;
int ticket_without_assignee(struct store *s, const struct ticket_row *row) MUST_CHECK;
int ticket_later(struct store *s, const struct ticket_row *row, int64_t due_at,
                 const char *why) MUST_CHECK;
// For good: the owner hears of it.
int ticket_given_up(struct store *s, const struct ticket_row *row, const char *why,
                    int64_t now) MUST_CHECK;

struct ticket_state {
    bool waits; // its row is still in the outbox
    bool exists;
    char key[64], url[512], why[300]; // why: the last attempt failed
};
int ticket_state_read(struct store *s, int64_t row, struct ticket_state *ret_state) MUST_CHECK;

// The ticket of an incident: 1 and its key and address (borrowed until the next call), 0 for none.
int ticket_of_incident(struct store *s, int64_t incident_id, char key[64],
                       char url[512]) MUST_CHECK;
