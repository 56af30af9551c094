// The scanner against cJSON: both take and refuse the same texts, and see the same in them. Then
// the writer: what it prints reads back as the same tree.

#include "common/json.h"
#include "common/json_scan.h"
#include "test/fuzz/fuzz.h"

static void compare(struct json_scan *s, const cJSON *tree);

static void compare_members(struct json_scan *s, const cJSON *tree)
{
    const cJSON *child = tree->child;
    struct str key;
    int r;
    CHECK(json_scan_enter(s, '{') == 0);
    while ((r = json_scan_key(s, &key)) > 0) {
        struct buf text = BUF_INIT(key.n * 3 + 1);
        CHECK(child);
        CHECK(json_scan_text(&text, key) == 0);
        CHECK(strcmp(buf_cstr(&text), child->string) == 0);
        buf_done(&text);
        compare(s, child);
        child = child->next;
    }
    CHECK(r == 0 && !child);
}

static void compare_elements(struct json_scan *s, const cJSON *tree)
{
    const cJSON *child = tree->child;
    int r;
    CHECK(json_scan_enter(s, '[') == 0);
    while ((r = json_scan_item(s)) > 0) {
        CHECK(child);
        compare(s, child);
        child = child->next;
    }
    CHECK(r == 0 && !child);
}

static void compare_string(struct str raw, const cJSON *tree)
{
    struct buf text = BUF_INIT(raw.n * 3 + 1);
    CHECK(cJSON_IsString(tree));
    CHECK(json_scan_text(&text, (struct str){raw.p + 1, raw.n - 2}) == 0);
    CHECK(text.len == strlen(tree->valuestring));
    CHECK(strcmp(buf_cstr(&text), tree->valuestring) == 0);
    CHECK(utf8_valid(buf_str(&text)));
    buf_done(&text);
}

static void compare(struct json_scan *s, const cJSON *tree)
{
    struct str value;
    char c = json_scan_peek(s);
    if (c == '{') {
        CHECK(cJSON_IsObject(tree));
        compare_members(s, tree);
        return;
    }
    if (c == '[') {
        CHECK(cJSON_IsArray(tree));
        compare_elements(s, tree);
        return;
    }
    CHECK(json_scan_value(s, &value) == 0);
    if (c == '"')
        compare_string(value, tree);
    else if (c == 't')
        CHECK(cJSON_IsTrue(tree));
    else if (c == 'f')
        CHECK(cJSON_IsFalse(tree));
    else if (c == 'n')
        CHECK(cJSON_IsNull(tree));
    else
        CHECK(cJSON_IsNumber(tree) || cJSON_IsNull(tree));
}

static void check_writer(const cJSON *tree)
{
    struct buf out = BUF_INIT(1 << 20);
    struct jw w = JW(&out);
    const char *why;
    jw_cjson(&w, tree);
    if (!out.error) {
        CHECK(utf8_valid(buf_str(&out)));
        cJSON *again = json_parse(buf_str(&out), &why);
        CHECK(again);
        cJSON_Delete(again);
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str all = {(const char *)bytes, n};
    struct str text = fuzz_piece(&all, 0), value;
    struct json_scan s;
    const char *why = NULL;
    json_scan_init(&s, text, JSON_MAX_DEPTH);
    bool taken = json_scan_value(&s, &value) == 0 && json_scan_end(&s) == 0;
    cJSON *tree = json_parse(text, &why);
    if (taken) {
        CHECK(tree);
        json_scan_init(&s, text, JSON_MAX_DEPTH);
        compare(&s, tree);
        check_writer(tree);
    } else if (n < 3 || bytes[0] != 0xef) {
        CHECK(!tree && why);
        CHECK(utf8_valid(str_of(why)));
    }
    cJSON_Delete(tree);
    free((void *)text.p);
    return 0;
}
