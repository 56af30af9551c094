#include "channels/webhook/proposal_list.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/proposal_render.h"

#define TAIL_ROOM 512 // of both forms together

int proposal_list_make(struct store *s, int64_t days, int64_t now, struct proposal_list *ret_list)
{
    struct proposals found = {.n = 0};
    struct proposal_list l = {.days = days, .now = now};
    int r = proposals_find(s, days, now, &found);
    if (r < 0)
        return r;
    l.cut = found.data.cut;
    l.drafts = calloc(found.n ? found.n : 1, sizeof *l.drafts);
    r = l.drafts ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < found.n; i++) {
        r = proposal_render(s, &found.items[i], days, &l.drafts[l.n]);
        if (r == 0)
            l.n++;
        else if (r == -E2BIG) // of absurdly long names: it cannot be said
            r = 0;
    }
    proposals_done(&found);
    if (r < 0)
        proposal_list_done(&l);
    else
        *ret_list = l;
    return r;
}

void proposal_list_done(struct proposal_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        proposal_draft_done(&l->drafts[i]);
    free(l->drafts);
    *l = (struct proposal_list){.n = 0};
}

int proposal_list_save(struct store *s, struct proposal_list *l)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < l->n; i++)
        r = proposal_save(s, &l->drafts[i], l->now);
    return r;
}

struct writing {
    struct store *store;
    const struct proposal_list *list;
    struct jw json;
    struct buf *text;
    size_t max_bytes;
    size_t shown, left_out;
};

static int write_one(struct writing *w, int64_t id)
{
    // A member of an array: a comma is due but for the first. Taken back where it does not fit.
    struct jw before = w->json;
    size_t json_len = w->json.out->len, text_len = w->text->len;
    int r = proposal_write(w->store, id, w->list->now, &w->json, w->text);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (!w->json.out->error && !w->text->error &&
        w->json.out->len + w->text->len + TAIL_ROOM <= w->max_bytes) {
        w->shown++;
        return 0;
    }
    if (w->json.out->error || w->text->error)
        return w->json.out->error ? w->json.out->error : w->text->error;
    buf_truncate(w->json.out, json_len);
    buf_truncate(w->text, text_len);
    w->json = before;
    w->left_out++;
    return 0;
}

static bool is_drafted(const struct proposal_list *l, int64_t id)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->drafts[i].id == id)
            return true;
    return false;
}

static int write_decided(struct writing *w)
{
    int64_t id = INT64_MAX;
    int r = 0;
    for (int i = 0; r == 0 && i < 50; i++) {
        r = proposal_next_decided(w->store, id, w->list->now, &id);
        if (r < 0 || id == 0)
            break;
        if (!is_drafted(w->list, id))
            r = write_one(w, id);
    }
    return r;
}

int proposal_list_write(struct store *s, const struct proposal_list *l, size_t max_bytes,
                        struct buf *json, struct buf *text)
{
    struct writing w = {
        .store = s, .list = l, .json = JW(json), .text = text, .max_bytes = max_bytes};
    int64_t rejected = 0;
    int r = 0;
    jw_object(&w.json);
    jw_key(&w.json, "proposals");
    jw_array(&w.json);
    for (size_t i = 0; r == 0 && i < l->n; i++) {
        if (l->drafts[i].id)
            r = write_one(&w, l->drafts[i].id);
        else
            rejected++;
    }
    if (r == 0)
        r = write_decided(&w);
    jw_array_end(&w.json);
    jw_kint(&w.json, "days", l->days);
    jw_kint(&w.json, "left_out", (int64_t)w.left_out);
    jw_kint(&w.json, "rejected", rejected);
    jw_kbool(&w.json, "newest_only", l->cut);
    jw_object_end(&w.json);
    if (!w.shown && !w.left_out)
        buf_addf(text, "nothing to propose from the last %lld days\n", (long long)l->days);
    if (w.left_out)
        buf_addf(text, "%zu more are left out: decide on these first\n", w.left_out);
    if (rejected)
        buf_addf(text, "%lld stay away because they were rejected\n", (long long)rejected);
    if (l->cut)
        buf_adds(text, "the window holds more incidents than were looked at: the newest ones\n");
    return r < 0 ? r : json->error ? json->error : text->error;
}
