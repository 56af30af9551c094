#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "channels/webhook/ticket_text.h"

static const char *adf(const char *text)
{
    static char out[4096];
    struct buf b = BUF_INIT(sizeof out - 1);
    struct jw w = JW(&b);
    ticket_adf(&w, str_of(text));
    assert_int_equal(b.error, 0);
    snprintf(out, sizeof out, "%s", buf_cstr(&b));
    buf_done(&b);
    return out;
}

#define DOC(content) "{\"version\":1,\"type\":\"doc\",\"content\":[" content "]}"
#define NODE(type, content) "{\"type\":\"" type "\",\"content\":[" content "]}"
#define TEXT(s) "{\"type\":\"text\",\"text\":\"" s "\"}"
#define LINK(s)                                                                                    \
    "{\"type\":\"text\",\"text\":\"" s "\",\"marks\":[{\"type\":\"link\",\"attrs\":{\"href\":\"" s \
    "\"}}]}"
#define ITEM(content) NODE("listItem", NODE("paragraph", content))

static void test_adf(void **state)
{
    (void)state;
    assert_string_equal(adf(""), DOC(""));
    assert_string_equal(adf("\n\n"), DOC(""));
    assert_string_equal(adf("a\n\n b"), DOC(NODE("paragraph", TEXT("a")) "," //
                                            NODE("paragraph", TEXT("b"))));
    assert_string_equal(adf("- a\n* b\nc"),
                        DOC(NODE("bulletList", ITEM(TEXT("a")) "," ITEM(TEXT("b"))) "," //
                            NODE("paragraph", TEXT("c"))));
    assert_string_equal(adf("- a"), DOC(NODE("bulletList", ITEM(TEXT("a")))));
    assert_string_equal(adf("```sh\nx - y\n\nz\n```\nb"),
                        DOC(NODE("codeBlock", TEXT("x - y\\n\\nz")) "," //
                            NODE("paragraph", TEXT("b"))));
    assert_string_equal(adf("```\n```"), DOC(NODE("codeBlock", "")));
    assert_string_equal(adf("```\nopen"), DOC(NODE("codeBlock", TEXT("open"))));
    assert_string_equal(adf("see https://a.b/c_d (https://e)"),
                        DOC(NODE("paragraph", TEXT("see ") "," LINK("https://a.b/c_d") "," TEXT(
                                                  " (") "," LINK("https://e") "," TEXT(")"))));
}

static void check(int (*render)(struct buf *, struct str), const char *text, const char *want)
{
    struct buf b = BUF_INIT(4096);
    assert_int_equal(render(&b, str_of(text)), 0);
    assert_string_equal(buf_cstr(&b), want);
    buf_done(&b);
}

static void test_wiki(void **state)
{
    (void)state;
    check(ticket_wiki, "a {b} [c] *d*\n- e", "a \\{b\\} \\[c\\] \\*d\\*\n* e\n");
    check(ticket_wiki, "```\n*x* {code}\n```", "{code}\n*x* (code}\n{code}\n");
    check(ticket_wiki, "```\nopen", "{code}\nopen\n{code}\n");
    check(ticket_wiki, "https://a/b_c d_e", "https://a/b_c d\\_e\n");
}

static void test_markdown(void **state)
{
    (void)state;
    check(ticket_markdown, "/close\n  /label x\na /b", "\\/close\n  \\/label x\na /b\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adf),
        cmocka_unit_test(test_wiki),
        cmocka_unit_test(test_markdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
