#include "channels/slack/outcome.h"

#include "channels/slack/inbox.h"
#include "channels/slack/permission.h"

static bool is_owner(const struct inbound *in, const struct outbox_row *row)
{
    return strcmp(row->user, in->people->owner) == 0;
}

int outcome_sent(const struct inbound *in, const struct outbox_row *row, const char *channel,
                 const char *ts, struct moment now)
{
    int r = 0;
    if (row->op != OUT_POST)
        return 0;
    if (row->ref == REF_PROMPT)
        return prompt_posted(in->store, row->ref_id, channel, ts, now);
    if (row->ref == REF_PROMPT_NAG)
        return prompt_nagged(in->store, row->ref_id, in->people, now);
    if (row->ref == REF_NAG && in->people->nag_ms)
        r = escalation_nagged(in->store, row->ref_id, in->people, now);
    if (row->ref == REF_ESCALATION && is_owner(in, row)) {
        int64_t sent = row->state == OUT_ATTEMPTED ? row->attempted_at : now.wall;
        r = escalation_posted(in->store, row->ref_id, channel, ts, in->people, sent, now);
    }
    if (r == 0 && (row->ref == REF_ESCALATION || row->ref == REF_NAG))
        r = inbound_posted(in, row->ref_id, channel, ts, now);
    return r < 0 ? r : 0;
}

// An escalation that this person cannot get: the agent is told, and the second person if it was the
// owner.
int outcome_failed(const struct inbound *in, const struct outbox_row *row, const char *error,
                   struct moment now)
{
    if (row->op != OUT_POST || row->ref != REF_ESCALATION)
        return 0;
    struct buf text = BUF_INIT(1024);
    buf_addf(&text, "Escalation #%lld could not be delivered to %s: Slack refused it (%s)",
             (long long)row->ref_id, row->user, error);
    int r = inbox_add(in->store,
                      &(struct inbox_new){.kind = INBOX_INTERACTION,
                                          .user = row->user,
                                          .text = buf_str(&text),
                                          .escalation_id = row->ref_id},
                      now.wall);
    buf_done(&text);
    if (r == 0 && is_owner(in, row) && in->people->second[0])
        r = outbox_add(in->store,
                       &(struct outbox_new){.op = OUT_POST,
                                            .ref = REF_ESCALATION,
                                            .ref_id = row->ref_id,
                                            .user = in->people->second},
                       NULL);
    return r;
}
