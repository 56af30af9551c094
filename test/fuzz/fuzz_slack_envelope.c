// What comes over Socket Mode, and whether it may be listened to.

#include <errno.h>

#include "channels/slack/access.h"
#include "channels/slack/envelope.h"
#include "channels/slack/inbound.h"
#include "channels/slack/permission.h"
#include "test/fuzz/fuzz.h"

static void check_event(const struct slack_event *e)
{
    const char *const texts[] = {
        e->event_id,  e->team,  e->user,          e->channel,  e->channel_type, e->ts,
        e->thread_ts, e->text,  e->subtype,       e->bot_id,   e->author_app,   e->reaction,
        e->action,    e->value, e->client_msg_id, e->old_text, e->edited_ts,    e->command};
    struct access a = {.team = "T1", .bot_user = "UBOT", .bot_id = "B1", .app = "A1"};
    access_set_users(&a, "U1,U2");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        CHECK(texts[i] && utf8_valid(str_of(texts[i])));
    CHECK(slack_ts_us(e->ts) >= 0);
    enum access_verdict v = access_check(&a, e);
    CHECK(v != ACCESS_OK || strcmp(e->user, "U1") == 0 || strcmp(e->user, "U2") == 0);
    bool allow;
    char id[8];
    if (permission_parse(str_of(e->text), &allow, id))
        CHECK(strlen(id) == 5);
    (void)inbound_is_acknowledgement(str_of(e->text));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str all = {(const char *)bytes, n}, text = fuzz_piece(&all, 0);
    struct envelope e;
    int r = envelope_read(text, &e);
    CHECK(r == 0 || r == -EINVAL);
    if (r == 0) {
        CHECK(e.id && e.reason && e.app_id);
        check_event(&e.event);
        struct slack_event again;
        event_from_history(e.root, "D1", &again);
        check_event(&again);
        envelope_done(&e);
    }
    free((void *)text.p);
    return 0;
}
