// What a Slack event does to the store, twice: the second time it changes nothing.

#include "test/fuzz/fuzz_store.h"

#include "channels/slack/inbound.h"
#include "channels/slack/message.h"
#include "channels/slack/outbox.h"
#include "channels/slack/permission.h"
#include "common/json.h"

static const struct escalation_people people = {.owner = "U1", .second = "U2", .nag_ms = 600000};
static const struct moment now = {1800000000000, 5000000};
static struct access allowed;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_store_open();
    access_set_users(&allowed, "U1,U2");
    return 0;
}

// An escalation and a prompt that can be answered, known to Slack as 17.000001 and 17.000002 in D1.
static void prepare(void)
{
    struct store *s = fuzz_store.store;
    struct escalation_new e = {
        .title = "t", .body = "b", .severity = "error", .action = "", .by = "agent"};
    struct prompt_new p = {
        .request_id = "abcde", .tool = "Bash", .description = "d", .preview = "ls"};
    int64_t id = 0;
    CHECK(escalation_add(s, &e, &people, now, &id) == 0);
    CHECK(escalation_posted(s, id, "D1", "17.000001", &people, now.wall, now) == 0);
    CHECK(prompt_add(s, &p, "session", &people, now, &id) == 0);
    CHECK(prompt_posted(s, id, "D1", "17.000002", now) == 0);
}

static void render_outbox(void)
{
    struct outbox_row row;
    while (outbox_head(fuzz_store.store, 0, &row) > 0) {
        struct message m;
        const char *why;
        int r = message_render(fuzz_store.store, &row, now.wall, &m);
        if (r == 0) {
            CHECK(utf8_valid(buf_str(&m.text)));
            cJSON *blocks = m.blocks.len ? json_parse(buf_str(&m.blocks), &why) : NULL;
            CHECK(!m.blocks.len || cJSON_IsArray(blocks));
            cJSON_Delete(blocks);
        }
        message_done(&m);
        CHECK(outbox_failed(fuzz_store.store, row.id, "seen", now.wall) >= 0);
        outbox_row_done(&row);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct envelope e;
    struct inbound in = {
        .store = fuzz_store.store, .access = &allowed, .people = &people, .batch = true};
    if (envelope_read((struct str){(const char *)bytes, n}, &e) < 0)
        return 0;
    CHECK(store_begin(fuzz_store.store) == 0);
    prepare();
    CHECK(inbound_event(&in, &e.event, "Ev1", now) >= 0);
    CHECK(inbound_event(&in, &e.event, "Ev1", now) == 0);
    render_outbox();
    store_rollback(fuzz_store.store);
    envelope_done(&e);
    return 0;
}
