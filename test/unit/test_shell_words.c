#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channels/webhook/shell_words.h"

#include <errno.h>

// One line a case. Commands are joined by " ; ", words by "|"; @ is an unknown expansion, ~ behind
// a word says that it may split; `< p l a` in front: piped, in a loop, arithmetic.
static const struct {
    const char *text;
    const char *expect;
    bool certain;
} cases[] = {
    {"", "", true},
    {"   # nothing", "", true},
    {"ls -l /tmp", "ls|-l|/tmp", true},
    {"a;b&c&&d||e|f\ng", "a ; b ; c ; d ; e ; p f ; g", true},
    {"a |& b", "a ; p b", true},
    {"a |\n b", "a ; p b", true},
    {"a &&\n\n b", "a ; b", true},
    {"'a b' \"c d\" e\\ f g''h", "a b|c d|e f|gh", true},
    {"ku\\\nbectl", "kubectl", true},
    {"$'\\x6bube\\143tl' $'a\\tb'", "kubectl|a\tb", true},
    {"$'\\u0061'", "a", true},
    {"$\"x\"", "x", true},
    {"a#b #c", "a#b", true},
    {"''", "", true},
    {"echo ''", "echo|", true},
    {"echo $X", "echo|@~", true},
    {"echo \"$X\" '$X' \\$X", "echo|@|$X|$X", true},
    {"echo a$X'b'", "echo|a@b~", true},
    {"echo \"$@\"", "echo|@~", true},
    {"echo ${X}", "echo|@~", true},
    {"echo ${X:-y}", "echo|@~", false},
    {"echo ${X:-$(a b)}", "a|b ; echo|@~", false},
    {"echo \"${X:-\"$(a b)\"}\"", "a|b ; echo|@", false},
    {"echo $(a b) c", "a|b ; echo|@~|c", true},
    {"echo \"$(a \"b c\" | d)\"", "a|b c ; p d ; echo|@", true},
    {"echo `a \\`b\\``", "b ; a|@~ ; echo|@~", true},
    {"echo $(a $(b $(c)))", "c ; b|@~ ; a|@~ ; echo|@~", true},
    {"echo $((1 + 2))", "echo|0", true},
    {"echo $(($(date +%s) - 3600))", "a date|+%s ; echo|0", true},
    {"echo $((x))", "x ; echo|@~", false},
    {"echo $(( $X ))", "echo|0", false},
    {"diff <(a b) <(c)", "a|b ; c ; diff|@|@", true},
    {"a > >(b)", "p b ; a >@", true},
    {"A=1 B='x y' cmd z", "A=1 B=x y: cmd|z", true},
    {"A=x; cmd $A \"$A\" '$A'", "A=x: ; cmd|x|x|$A", true},
    {"A='x y'; cmd $A \"$A\"", "A=x y: ; cmd|x|y|x y", true},
    {"A=x && cmd $A", "A=x: ; cmd|x", true},
    {"true && A=x; cmd $A", "true ; A=x: ; cmd|x", false},
    {"A=x; A=y; cmd $A", "A=x: ; A=y: ; cmd|y", true},
    {"A=x; (A=y); cmd $A", "A=x: ; A=y: ; cmd|y", false},
    {"A=x; for i in 1; do c $A; A=y; done", "A=x: ; l i|in|1 ; l c|x ; l A=y:", false},
    {"A=$(x); c $A", "x ; A=@: ; c|@~", true},
    {"A=x | c $A", "A=x: ; p c|x", false},
    {"A=x c $A", "A=x: c|@~", true},
    {"c$IFS-l", "c|-l", true},
    {"c${IFS}-l", "c|-l", true},
    {"ls $HOME/.kube", "ls|~/.kube", true},
    {"a=(1 2)", "a=: ; 1|2", false},
    {"a[0]=1", "a[0]=1:", false},
    {"{a,b,c}", "a|b|c", true},
    {"x{a,b{1,2}}y", "xay|xb1y|xb2y", true},
    {"x{a,'b,c'}", "xa|xb,c", true},
    {"x{a}", "x{a}", true},
    {"'{a,b}' \\{a,b}", "{a,b}|{a,b}", true},
    {"{1..3}", "1..3", false},
    {"jq {.a}", "jq|{.a}", true},
    {"ls *.c a? [ab] '*' \\*", "ls|*.c~|a?~|[ab]~|*|*", true},
    {"[ -f x ]", "[|-f|x|]", true},
    {"{ a; b; }", "a ; b", true},
    {"(a; b) | (c; d)", "a ; b ; p c ; p d", true},
    {"a | { b; c; }; d", "a ; p b ; p c ; d", true},
    {"if a; then b; elif c; then d; else e; fi", "a ; b ; c ; d ; e", true},
    {"while a; do b; done", "l a ; l b", true},
    {"until a\ndo\nb\ndone\nc", "l a ; l b ; c", true},
    {"for x in a $(b); do c $x; done", "l b ; l x|in|a|@~ ; l c|@~", true},
    {"for ((i=0;i<3;i++)); do c; done", "l i=0 ; l i <3 ; l i++ ; l c", false},
    {"a | while read x; do b; done", "a ; l p read|x ; l p b", true},
    {"case $x in a|b) c;; (d) e;; *) f; esac; g", "@~ ; c ; e ; f ; g", true},
    {"echo $(case x in x) a;; esac)", "x ; a ; echo|@~", true},
    {"[[ -n $x && a == b* ]] && c", "-n|@~|&|&|a|==|b*~ ; c", true},
    {"[[ $(a) =~ (b|c) ]]", "a ; @~|=~|(|b|||c|)", true},
    {"[[ $ )(]]", "$|)|(", true},
    {"! a", "a", true},
    {"f() { a; }; f", "a ; f", false},
    {"function f { a; }", "a", false},
    {"echo if then", "echo|if|then", true},
    {"\\if a", "if|a", true},
    {"a > /dev/null 2>&1", "a >/dev/null =1", true},
    {"a 2> f >>g <h", "a >f >g <h", true},
    {"a &>f", "a >f", true},
    {"a >&f", "a >f", true},
    {"a 12>f", "a >f", true},
    {"a '2'>f", "a|2 >f", true},
    {"a >$X", "a >@", true},
    {"> f", " >f", true},
    {"$(< f)", " <f ; @~", true},
    {"a {fd}> f", "a|{fd} >f", false},
    {"sh <<< 'a b'", "sh <<a b", true},
    {"sh <<E\na $x $(b)\nE\nc", "b ; sh <<a @ @\n ; c", true},
    {"sh <<'E'\na $x\nE\nc", "sh <<a $x\n ; c", true},
    {"sh <<-E\n\ta\n\tE\nc", "sh <<a\n ; c", true},
    {"cat <<E | sh\na\nE", "cat <<a\n ; p sh", true},
    {"a <<A <<B\n1\nA\n2\nB\nc", "a <<1\n <<2\n ; c", true},
    {"cat <<E\na\\\nE\nb\nE\nc", "cat <<aE\nb\n ; c", true},
    {"cat <<'E'\na\\\nE\nc", "cat <<a\\\n ; c", true},
    {"X=E; cat <<$X\n$X\nc\nE", "X=E: ; cat << ; E ; c ; E", false},
    {"c $\\\nX", "c|@~", false},
    {"X=a; c $X\\\nY", "X=a: ; c|aY", false},
    {"a <<E\nb", "a <<b\n", false},
    {"a <<E", "a <<", false},
    {"a 'b", "a|b", false},
    {"a \"b", "a|b", false},
    {"a $(b", "b ; a|@~", false},
    {"a `b", "a", false},
    {"a )", "a", false},
    {"(a", "a", false},
    {"if a; then b", "a ; b", false},
    {"a\x01", "a?", false},
    {"a\rb", "a\rb", false},
    {"ls *(x)", "ls|*~ ; x", false},
    {"$[1]", "$[1]~", false},
    {"coproc a", "a", false},
    {"a;;b", "a ; b", false},
};

static void append(char *out, const char *text)
{
    size_t used = strlen(out);

    snprintf(out + used, 4096 - used, "%s", text);
}

static void append_word(char *out, const struct sw_word *w)
{
    for (const char *t = w->text; *t; t++) {
        char c[2] = {*t == SW_HOLE ? '@' : *t, '\0'};

        append(out, c);
    }
}

static void render(const struct sw_script *s, char *out)
{
    static const char *const marks[] = {" <", " >", " <>", " =", " <<", " <<"};

    *out = '\0';
    for (size_t i = 0; i < s->ncommands; i++) {
        const struct sw_command *c = &s->commands[i];

        append(out, i ? " ; " : "");
        append(out, c->in_loop ? "l " : "");
        append(out, c->piped_in ? "p " : "");
        append(out, c->in_arith ? "a " : "");
        for (size_t k = 0; k < c->nassigns; k++) {
            append(out, k ? " " : "");
            append_word(out, &c->assigns[k]);
        }
        append(out, c->nassigns ? (c->nwords ? ": " : ":") : "");
        for (size_t k = 0; k < c->nwords; k++) {
            append(out, k ? "|" : "");
            append_word(out, &c->words[k]);
            append(out, c->words[k].splits ? "~" : "");
        }
        for (size_t k = 0; k < c->nredirects; k++) {
            append(out, marks[c->redirects[k].kind]);
            append_word(out, &c->redirects[k].target);
        }
    }
}

static void test_table(void **state)
{
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sw_script *s;
        char out[4096];

        assert_int_equal(sw_parse(cases[i].text, strlen(cases[i].text), &s), 0);
        render(s, out);
        if (strcmp(out, cases[i].expect) != 0 || s->certain != cases[i].certain) {
            print_error("%s\n  is       %s (%s)\n  expected %s\n", cases[i].text, out,
                        s->certain ? "certain" : s->why, cases[i].expect);
            failed++;
        }
        sw_free(s);
    }
    assert_int_equal(failed, 0);
}

// Every prefix of every case, and every case with one byte missing, ends without a fault.
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].text);

        for (size_t cut = 0; cut < len; cut++) {
            char *text = malloc(len);
            struct sw_script *s;

            assert_non_null(text);
            memcpy(text, cases[i].text, cut);
            assert_int_equal(sw_parse(text, cut, &s), 0);
            sw_free(s);
            memcpy(text + cut, cases[i].text + cut + 1, len - cut - 1);
            assert_int_equal(sw_parse(text, len - 1, &s), 0);
            sw_free(s);
            free(text);
        }
    }
}

static char *repeat(const char *piece, size_t n)
{
    size_t len = strlen(piece);
    char *text = malloc(n * len + 1);

    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, piece, len);
    text[n * len] = '\0';
    return text;
}

static int parse_repeated(const char *piece, size_t n)
{
    char *text = repeat(piece, n);
    struct sw_script *s = NULL;
    int r = sw_parse(text, strlen(text), &s);

    sw_free(s);
    free(text);
    return r;
}

static void test_caps(void **state)
{
    struct sw_script *s;

    (void)state;
    assert_int_equal(parse_repeated("x", SW_MAX_BYTES), 0);
    assert_int_equal(parse_repeated("x", SW_MAX_BYTES + 1), -E2BIG);
    assert_int_equal(parse_repeated("x ", SW_MAX_WORDS), 0);
    assert_int_equal(parse_repeated("x ", SW_MAX_WORDS + 1), -E2BIG);
    assert_int_equal(parse_repeated("x;", SW_MAX_COMMANDS), 0);
    assert_int_equal(parse_repeated("x;", SW_MAX_COMMANDS + 1), -E2BIG);
    assert_int_equal(parse_repeated("$(", SW_MAX_DEPTH), 0);
    assert_int_equal(parse_repeated("$(", SW_MAX_DEPTH + 1), -E2BIG);
    assert_int_equal(parse_repeated("(", SW_MAX_DEPTH + 1), -E2BIG);
    assert_int_equal(parse_repeated("{a,b}", 14), -E2BIG);
    assert_int_equal(parse_repeated("{", SW_MAX_BYTES), 0);
    assert_int_equal(parse_repeated("\"$(", SW_MAX_DEPTH + 1), -E2BIG);
    assert_int_equal(parse_repeated("${x:-", 10000), -E2BIG);
    assert_int_equal(sw_parse("a\0b", 3, &s), -EINVAL);
    sw_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_caps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
