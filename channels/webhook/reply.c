#include "channels/webhook/reply.h"

#include <stdlib.h>

#include "common/counters.h"
#include "common/json.h"
#include "common/log.h"

void reply_json(struct http_request *r, int status, struct str json, const char *headers)
{
    free(http_user(r));
    http_set_user(r, NULL);
    http_respond(r, status, "application/json", json, headers);
}

void reply_count_refusal(int status)
{
    static const struct {
        int status;
        const char *name;
    } names[] = {
        {400, "sre_refused_total{status=\"400\"}"}, {401, "sre_refused_total{status=\"401\"}"},
        {404, "sre_refused_total{status=\"404\"}"}, {405, "sre_refused_total{status=\"405\"}"},
        {408, "sre_refused_total{status=\"408\"}"}, {411, "sre_refused_total{status=\"411\"}"},
        {413, "sre_refused_total{status=\"413\"}"}, {415, "sre_refused_total{status=\"415\"}"},
        {431, "sre_refused_total{status=\"431\"}"}, {503, "sre_refused_total{status=\"503\"}"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].status == status)
            counter_add(names[i].name, 1);
}

void reply_error(struct http_request *r, int status, const char *why, const char *headers)
{
    reply_count_refusal(status);
    struct buf json = BUF_INIT(4096);
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kstr(&w, "error", why);
    jw_object_end(&w);
    log_warn("request refused", "status", log_int(status), "why", why, "peer", http_peer(r));
    reply_json(r, status, buf_str(&json), headers);
    buf_done(&json);
}
