#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "channels/slack/markdown.h"
#include "channels/slack/mrkdwn.h"
#include "channels/slack/split.h"
#include "common/text.h"

static void check(int (*convert)(struct buf *, struct str), const char *in, const char *want)
{
    struct buf out = BUF_INIT(1 << 20);
    assert_int_equal(convert(&out, str_of(in)), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
}

static void test_markdown(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"a & b <c>", "a &amp; b &lt;c&gt;"},
        {"<!channel> <@U123> <!here|x>", "&lt;!channel&gt; &lt;@U123&gt; &lt;!here|x&gt;"},
        {"**bold** *it* _it_ ~~gone~~", "*bold* _it_ _it_ ~gone~"},
        {"***both***", "*_both_*"},
        {"__bold__", "*bold*"},
        {"pod_name_x and 2 * 3 * 4", "pod_name_x and 2 * 3 * 4"},
        {"**open", "**open"},
        {"\\*not\\* \\_x\\_", "*not* _x_"},
        {"`a < b` ``x`y``", "`a &lt; b` `x'y`"},
        {"`open", "`open"},
        {"[text](https://e.com/a_b?c=1&d=2)", "<https://e.com/a_b?c=1&amp;d=2|text>"},
        {"[a|b](https://e.com/x|y>z)", "<https://e.com/x%7Cy%3Ez|a b>"},
        {"[x](javascript:alert(1))", "x (javascript:alert(1))"},
        {"![alt](https://e.com/i.png)", "<https://e.com/i.png|alt>"},
        {"<https://e.com/a*b*c>", "<https://e.com/a*b*c>"},
        {"see https://e.com/a_b_c.", "see https://e.com/a_b_c."},
        {"# Head **x**", "*Head x*"},
        {"###### Six ##", "*Six*"},
        {"####### no", "####### no"},
        {"#no", "#no"},
        {"- a\n  * b\n+ c\n- [ ] d\n- [x] e",
         "\xe2\x80\xa2 a\n  \xe2\x80\xa2 b\n\xe2\x80\xa2 c\n\xe2\x98\x90 d\n\xe2\x98\x91 e"},
        {"1. one\n2. two", "1. one\n2. two"},
        {"> said **so**", "> said *so*"},
        {"---", "\xe2\x80\x94\xe2\x80\x94\xe2\x80\x94"},
        {"```yaml\na: *b*\n<x>\n```\nafter", "```\na: *b*\n&lt;x&gt;\n```\nafter"},
        {"```\nunclosed", "```\nunclosed\n```"},
        {"~~~\n```\n~~~", "```\n'''\n```"},
        {"| a | bb |\n|---|:-:|\n| ccc | d |", "```\na    bb\nccc  d\n```"},
        {"| a | b |\n|---|---|\nafter", "```\na  b\n```\nafter"},
        {"a | b", "a | b"},
        {"one\n\ntwo\n", "one\n\ntwo"},
        {"a\r\nb", "a\nb"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(markdown_to_mrkdwn, rows[i].in, rows[i].want);
}

// Whatever the model writes, nothing of it is markup of Slack's but what the converter made.
static void test_markdown_hostile(void **state)
{
    (void)state;
    static const char *const words[] = {
        "*", "**", "`", "```", "\n", "<!channel>", "[", "](",       ")", "<@U", ">",  "https://",
        "|", "\\", "_", "~~",  "# ", "- ",         "a", "\xc3\xa9", " ", "---", "|-", "&"};
    srand(7);
    for (int round = 0; round < 3000; round++) {
        struct buf in = BUF_INIT(4096), out = BUF_INIT(1 << 16);
        for (int n = rand() % 24; n >= 0; n--)
            buf_adds(&in, words[(size_t)rand() % ARRAY_LEN(words)]);
        assert_int_equal(markdown_to_mrkdwn(&out, buf_str(&in)), 0);
        assert_true(utf8_valid(buf_str(&out)));
        for (const char *p = buf_cstr(&out); (p = strchr(p, '<')); p++)
            if (strncmp(p, "<http", 5) != 0)
                fail_msg("%s\n->\n%s", buf_cstr(&in), buf_cstr(&out));
        buf_done(&in);
        buf_done(&out);
    }
}

static void test_markdown_is_linear(void **state)
{
    (void)state;
    struct buf in = BUF_INIT(1 << 18), out = BUF_INIT(1 << 20);
    for (int i = 0; i < 20000; i++)
        buf_adds(&in, i % 2 ? "[a" : "*b ");
    assert_int_equal(markdown_to_mrkdwn(&out, buf_str(&in)), 0);
    buf_done(&in);
    buf_done(&out);
}

static void test_unescape(void **state)
{
    (void)state;
    check(mrkdwn_unescape, "a &lt;b&gt; &amp;amp; &quot;", "a <b> &amp; &quot;");
    check(mrkdwn_unescape, "<https://e.com/?a=1&amp;b=2>", "https://e.com/?a=1&b=2");
    check(mrkdwn_unescape, "<https://e.com|e.com> <https://e.com|here>",
          "https://e.com here (https://e.com)");
    check(mrkdwn_unescape, "<mailto:a@b.c|a@b.c>", "a@b.c");
    check(mrkdwn_unescape, "<@U123> <#C1|x> <http open", "<@U123> <#C1|x> <http open");
}

static void test_literal(void **state)
{
    (void)state;
    check(mrkdwn_literal, "rm -rf \xe2\x80\xae/\n\ta", "rm -rf \\u{202E}/\n\ta");
    check(mrkdwn_literal, "a\xe2\x80\x8b\x1b[0m\x7f", "a\\u{200B}\\u{001B}[0m\\u{007F}");
    check(mrkdwn_literal, "\xff<&", "\\xFF<&");
    check(mrkdwn_literal, "caf\xc3\xa9 \xf0\x9f\x8e\x89", "caf\xc3\xa9 \xf0\x9f\x8e\x89");
}

struct parts {
    struct buf all;
    size_t n, max;
};

static int collect(struct str part, void *data)
{
    struct parts *p = data;
    size_t fences = 0;
    assert_true(utf8_valid(part));
    assert_true(utf8_count(part) <= p->max);
    for (size_t i = 0; i + 3 <= part.n; i++)
        fences += memcmp(part.p + i, "```", 3) == 0 && (i == 0 || part.p[i - 1] == '\n');
    assert_int_equal(fences % 2, 0);
    buf_add(&p->all, part.p, part.n);
    buf_addc(&p->all, '|');
    p->n++;
    return 0;
}

static void split(struct parts *p, size_t max, const char *text)
{
    *p = (struct parts){.all = BUF_INIT(1 << 20), .max = max};
    assert_int_equal(split_text(str_of(text), max, collect, p), 0);
}

static void test_split_places(void **state)
{
    (void)state;
    struct parts p;
    char text[400];
    split(&p, 100, "");
    assert_int_equal(p.n, 0);
    buf_done(&p.all);
    memset(text, 'a', sizeof text);
    text[60] = text[61] = '\n'; // a paragraph beats a later line
    text[80] = '\n';
    text[150] = '\0';
    split(&p, 100, text);
    assert_int_equal(p.n, 2);
    assert_int_equal(strchr(p.all.data, '|') - p.all.data, 60);
    buf_done(&p.all);
    memset(text, 'a', sizeof text); // no place at all
    text[250] = '\0';
    split(&p, 100, text);
    assert_int_equal(p.n, 3);
    buf_done(&p.all);
    memset(text, 'a', sizeof text); // an entity is not cut
    memcpy(text + 93, "&amp;", 5);
    text[150] = '\0';
    split(&p, 100, text);
    assert_int_equal(strchr(p.all.data, '|') - p.all.data, 93);
    buf_done(&p.all);
}

static void test_split_keeps_everything(void **state)
{
    (void)state;
    static const char *const words[] = {"word ",
                                        "\n",
                                        "\n\n",
                                        "\n```\n",
                                        "\xc3\xa9\xc3\xa9",
                                        "&amp;",
                                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                        "<https://e.com/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|b c>"};
    srand(11);
    for (int round = 0; round < 2000; round++) {
        struct buf text = BUF_INIT(1 << 16);
        bool fence = false;
        for (int n = rand() % 60; n >= 0; n--) {
            size_t k = (size_t)rand() % ARRAY_LEN(words);
            fence ^= k == 3;
            buf_adds(&text, words[k]);
        }
        if (fence)
            buf_adds(&text, "\n```");
        struct parts p;
        split(&p, 100 + (size_t)rand() % 100, buf_cstr(&text));
        // The letters are all there, in order.
        const char *a = buf_cstr(&text), *b = buf_cstr(&p.all);
        for (;;) {
            while (*a && strchr(" \n`", *a))
                a++;
            while (*b && strchr(" \n`|", *b) && !(*b == '|' && *a == '|'))
                b++;
            assert_int_equal(*a, *b);
            if (!*a)
                break;
            a++, b++;
        }
        buf_done(&p.all);
        buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_markdown_hostile),
        cmocka_unit_test(test_markdown_is_linear),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_split_places),
        cmocka_unit_test(test_split_keeps_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
