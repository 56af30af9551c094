// The proposals of a report: computed as `tuning_proposals` does, with what each would have saved.

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/proposal_render.h"
#include "channels/webhook/report.h"

#define MIN_DAYS 30 // a week says too little of a rule
#define MAX_DAYS 365

// Finds or makes the rows. Where that cannot be (disk full, locked), the report does without
// numbers to decide by.
static bool remember(struct store *s, struct proposal_draft *drafts, size_t n, int64_t now)
{
    int e = store_begin(s);
    if (e < 0)
        return false;
    for (size_t i = 0; e == 0 && i < n; i++)
        e = proposal_save(s, &drafts[i], now);
    if (e == 0)
        return store_commit(s) == 0;
    store_rollback(s);
    return false;
}

static void fill(struct report_proposal *out, const struct proposal *p,
                 const struct proposal_draft *draft)
{
    struct buf text = BUF_INIT(4096);
    *out = (struct report_proposal){.id = draft->id,
                                    .scope = p->unit.scope,
                                    .of = (int64_t)p->chosen.of,
                                    .removed = (int64_t)p->chosen.removed,
                                    .real = (int64_t)p->chosen.real_removed,
                                    .undecided = (int64_t)p->chosen.other_removed};
    text_fit(p->unit.alertname, sizeof out->alertname, out->alertname);
    text_fit(p->unit.family, sizeof out->family, out->family);
    tuning_unit_service(&p->unit, &text);
    text_fit(buf_cstr(&text), sizeof out->service, out->service);
    buf_clear(&text);
    text_fit(draft->title, sizeof out->title, out->title);
    tuning_unit_title(&p->unit, &text);
    buf_adds(&text, ": ");
    bool begins = strncmp(draft->title, buf_cstr(&text), text.len) == 0; // else it was cut
    text_fit(begins ? draft->title + text.len : draft->title, sizeof out->change, out->change);
    buf_done(&text);
}

// As many as fit, but for those that a person rejected.
static int take(struct store *s, const struct proposals *found, struct report *r)
{
    struct proposal_draft *drafts = calloc(found->n ? found->n : 1, sizeof *drafts);
    size_t *of = calloc(found->n ? found->n : 1, sizeof *of), n = 0;
    int e = drafts && of ? 0 : -ENOMEM;
    for (size_t i = 0; e == 0 && i < found->n; i++) {
        e = proposal_render(s, &found->items[i], r->proposal_days, &drafts[n]);
        if (e == 0)
            of[n++] = i;
        else if (e == -E2BIG) // of absurdly long names: it cannot be said
            e = 0;
    }
    bool saved = e == 0 && remember(s, drafts, n, r->now);
    for (size_t i = 0; e == 0 && i < n; i++) {
        if (!saved)
            drafts[i].id = 0;
        if (saved && drafts[i].id == 0)
            continue;
        r->proposals_total++;
        if (r->n_proposals < REPORT_PROPOSALS_MAX)
            fill(&r->proposals[r->n_proposals++], &found->items[of[i]], &drafts[i]);
    }
    for (size_t i = 0; drafts && i < n; i++)
        proposal_draft_done(&drafts[i]);
    free(drafts);
    free(of);
    return e;
}

int report_read_proposals(struct store *s, struct report *r)
{
    struct proposals found = {.n = 0};
    r->proposal_days = r->days < MIN_DAYS ? MIN_DAYS : r->days > MAX_DAYS ? MAX_DAYS : r->days;
    int e = proposals_find(s, r->proposal_days, r->now, &found);
    if (e < 0)
        return e;
    e = take(s, &found, r);
    proposals_done(&found);
    return e;
}

const struct report_proposal *report_proposal_for(const struct report *r,
                                                  const struct recurring_line *line)
{
    for (int i = 0; i < r->n_proposals; i++) {
        const struct report_proposal *p = &r->proposals[i];
        if (strcmp(p->alertname, line->alertname) != 0)
            continue;
        if (p->scope == SCOPE_RULE || strcmp(p->service, line->where) == 0)
            return p;
        if (p->scope == SCOPE_FAMILY && p->family[0] &&
            strncmp(line->where, p->family, strlen(p->family)) == 0)
            return p;
    }
    return NULL;
}
