// Text to and from Slack: escaped so that it can do nothing, split so that nothing is lost.

#include "channels/slack/blocks.h"
#include "channels/slack/markdown.h"
#include "channels/slack/mrkdwn.h"
#include "channels/slack/split.h"
#include "common/json.h"
#include "test/fuzz/fuzz.h"

static int on_part(struct str part, void *data)
{
    size_t *parts = data;
    CHECK(part.n && utf8_count(part) <= 100);
    ++*parts;
    return 0;
}

static void check_blocks(struct str text)
{
    struct buf out = BUF_INIT(1 << 20);
    struct jw w = JW(&out);
    size_t budget = BLOCKS_MAX_TEXT;
    const char *why;
    jw_array(&w);
    CHECK(blocks_sections(&w, text, &budget) == 0);
    blocks_context(&w, text);
    jw_array_end(&w);
    CHECK(!out.error && budget <= BLOCKS_MAX_TEXT);
    cJSON *tree = json_parse(buf_str(&out), &why);
    CHECK(cJSON_IsArray(tree));
    cJSON_Delete(tree);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str all = {(const char *)bytes, n}, raw = fuzz_piece(&all, 0);
    struct buf clean = BUF_INIT(raw.n * 3 + 64), escaped = BUF_INIT(raw.n * 16 + 64),
               back = BUF_INIT(raw.n * 16 + 64), shown = BUF_INIT(raw.n * 32 + 64),
               marked = BUF_INIT(raw.n * 32 + 1024);
    CHECK(text_clean(&clean, raw, SIZE_MAX / 2, 0) == 0);
    struct str s = buf_str(&clean);

    CHECK(mrkdwn_escape(&escaped, s) == 0);
    CHECK(!escaped.len ||
          (!memchr(escaped.data, '<', escaped.len) && !memchr(escaped.data, '>', escaped.len)));
    CHECK(mrkdwn_unescape(&back, buf_str(&escaped)) == 0);
    CHECK(back.len == s.n && (!s.n || memcmp(back.data, s.p, s.n) == 0));
    buf_clear(&back);
    CHECK(mrkdwn_unescape(&back, raw) == 0);

    CHECK(mrkdwn_literal(&shown, raw) == 0);
    CHECK(utf8_valid(buf_str(&shown)));

    CHECK(markdown_to_mrkdwn(&marked, s) == 0);
    CHECK(utf8_valid(buf_str(&marked)));
    CHECK(!marked.len || !memmem(marked.data, marked.len, "<!", 2));
    CHECK(!marked.len || !memmem(marked.data, marked.len, "<@", 2));
    size_t parts = 0;
    CHECK(split_text(buf_str(&marked), 100, on_part, &parts) == 0);
    if (marked.len < BLOCKS_MAX_TEXT / 2)
        check_blocks(buf_str(&marked));
    buf_done(&clean);
    buf_done(&escaped);
    buf_done(&back);
    buf_done(&shown);
    buf_done(&marked);
    free((void *)raw.p);
    return 0;
}
