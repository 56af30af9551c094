// Reserved words and the heads of compound commands (XCU 2.4, 2.9.4).

#include "channels/webhook/shell_parser.h"

#include <string.h>

// for NAME [in word...]; the words end with the command.
static void for_head(struct sw_lister *l)
{
    struct sw_parser *p = l->p;
    struct sw_raw raw = {0};

    l->cur.kind = SW_FOR;
    l->cur.named = true;
    sw_skip_blanks(p);
    if (sw_peek(p, 0) == '(')
        sw_doubt(p->st, "an arithmetic loop");
    sw_read_word(p, &raw);
    if (raw.n == 0)
        return;
    if (sw_var_find(p->st, raw.c, raw.n))
        sw_doubt(p->st, "a variable that is assigned again");
    sw_set_variable(p->st, raw.c, raw.n, NULL, false);
    sw_finish_word(p->st, &raw, &l->cur.words);
}

// The pattern of a case, up to its parenthesis; or esac.
void sw_case_pattern(struct sw_lister *l)
{
    struct sw_parser *p = l->p;

    sw_skip_lines(p);
    if (sw_peek(p, 0) == '(')
        p->pos++;
    for (;;) {
        struct sw_raw raw = {0};

        sw_skip_blanks(p);
        sw_read_word(p, &raw);
        if (sw_raw_is(&raw, "esac")) {
            l->cases--;
            sw_close_compound(l);
            return;
        }
        sw_skip_blanks(p);
        if (sw_peek(p, 0) != '|')
            break;
        p->pos++;
    }
    if (sw_peek(p, 0) == ')')
        p->pos++;
    else
        sw_doubt(p->st, "a pattern of a case");
}

static void case_head(struct sw_lister *l)
{
    struct sw_parser *p = l->p;
    struct sw_raw raw = {0}, in = {0};

    sw_open_compound(l);
    l->cases++;
    sw_skip_blanks(p);
    sw_read_word(p, &raw);
    l->cur.kind = SW_CASE;
    l->cur.named = true;
    sw_finish_word(p->st, &raw, &l->cur.words);
    sw_skip_lines(p);
    sw_read_word(p, &in);
    if (!sw_raw_is(&in, "in"))
        sw_doubt(p->st, "a case without its in");
    sw_end_command(l, SEP_LIST);
    sw_case_pattern(l);
}

// [[ ... ]]
static void test_head(struct sw_lister *l)
{
    struct sw_parser *p = l->p;

    l->cur.kind = SW_TEST;
    l->cur.named = true;
    for (;;) {
        struct sw_raw raw = {0};
        int c;

        sw_skip_lines(p);
        c = sw_peek(p, 0);
        if (c < 0) {
            sw_doubt(p->st, "a test without its end");
            return;
        }
        if (strchr("()<>|&;", c) && !(strchr("<>", c) && sw_peek(p, 1) == '(')) {
            sw_raw_put(p->st, &raw, (char)c, SW_PLAIN);
            p->pos++;
        } else {
            sw_read_word(p, &raw);
        }
        if (sw_raw_is(&raw, "]]")) {
            l->cur.closed = true;
            return;
        }
        sw_finish_word(p->st, &raw, &l->cur.words);
    }
}

static void function_head(struct sw_lister *l)
{
    struct sw_parser *p = l->p;
    struct sw_raw raw = {0};

    sw_doubt(p->st, "a function");
    sw_skip_blanks(p);
    sw_read_word(p, &raw);
    sw_skip_blanks(p);
    if (sw_peek(p, 0) == '(' && sw_peek(p, 1) == ')')
        p->pos += 2;
}

// True if the word was a reserved one; it is then done with (XCU 2.4).
bool sw_reserved(struct sw_lister *l, const struct sw_raw *raw)
{
    static const char *const neutral[] = {"!", "then", "elif", "else", "do"};

    for (size_t i = 0; i < sizeof(neutral) / sizeof(neutral[0]); i++)
        if (sw_raw_is(raw, neutral[i]))
            return true;
    if (sw_raw_is(raw, "if") || sw_raw_is(raw, "{")) {
        sw_open_compound(l);
    } else if (sw_raw_is(raw, "while") || sw_raw_is(raw, "until")) {
        sw_open_compound(l);
        l->loops++;
    } else if (sw_raw_is(raw, "for") || sw_raw_is(raw, "select")) {
        sw_open_compound(l);
        l->loops++;
        for_head(l);
    } else if (sw_raw_is(raw, "fi") || sw_raw_is(raw, "}")) {
        sw_close_compound(l);
    } else if (sw_raw_is(raw, "done")) {
        l->loops -= l->loops > 0;
        sw_close_compound(l);
    } else if (sw_raw_is(raw, "case")) {
        case_head(l);
    } else if (sw_raw_is(raw, "esac")) {
        l->cases -= l->cases > 0;
        sw_close_compound(l);
    } else if (sw_raw_is(raw, "[[")) {
        test_head(l);
    } else if (sw_raw_is(raw, "function")) {
        function_head(l);
    } else if (sw_raw_is(raw, "coproc")) {
        sw_doubt(l->p->st, "a coprocess");
    } else {
        return false;
    }
    return true;
}
