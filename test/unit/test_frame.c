#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "mcp/frame.h"

// What came out, as "line|line|!|line|": ! is a line that was refused.
static void drain(struct frame *f, struct str input, struct buf *out)
{
    struct str line;
    int r;
    while ((r = frame_next(f, &input, &line)) != 0) {
        if (r < 0) {
            assert_int_equal(r, -E2BIG);
            buf_addc(out, '!');
        } else {
            buf_add(out, line.p, line.n);
        }
        buf_addc(out, '|');
    }
    assert_int_equal(input.n, 0);
}

static void check_chunks(const char *text, size_t max_line, size_t chunk, const char *want)
{
    struct frame f;
    struct buf out = BUF_INIT(1 << 20);
    size_t n = strlen(text);
    frame_init(&f, max_line);
    for (size_t i = 0; i < n; i += chunk) {
        // A copy of its own size, so that a read past its end is seen.
        size_t len = n - i < chunk ? n - i : chunk;
        char *copy = malloc(len);
        memcpy(copy, text + i, len);
        drain(&f, (struct str){copy, len}, &out);
        free(copy);
    }
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
    frame_done(&f);
}

static void test_lines_of_any_chunk_size(void **state)
{
    (void)state;
    for (size_t chunk = 1; chunk < 40; chunk++) {
        check_chunks("one\ntwo\r\n\nthree and more\n\r\nrest", 100, chunk,
                     "one|two||three and more||");
        check_chunks("12345678\n123456789\n1234567890123456789012345\nok\n\n", 8, chunk,
                     "12345678|!|!|ok||");
    }
}

static void test_long_line_is_reported_before_its_end(void **state)
{
    (void)state;
    struct frame f;
    struct str input, line;
    frame_init(&f, 4);
    input = str_of("12345");
    assert_int_equal(frame_next(&f, &input, &line), -E2BIG);
    assert_int_equal(frame_next(&f, &input, &line), 0);
    input = str_of("6789");
    assert_int_equal(frame_next(&f, &input, &line), 0);
    assert_int_equal(frame_rest(&f, &line), 0);
    input = str_of("\nnext\n");
    assert_int_equal(frame_next(&f, &input, &line), 1);
    assert_true(str_is(line, "next"));
    frame_done(&f);
}

static void test_rest_without_newline(void **state)
{
    (void)state;
    struct frame f;
    struct str input = str_of("a\nlast\r"), line;
    frame_init(&f, 100);
    assert_int_equal(frame_next(&f, &input, &line), 1);
    assert_int_equal(frame_next(&f, &input, &line), 0);
    assert_int_equal(frame_rest(&f, &line), 1);
    assert_true(str_is(line, "last"));
    assert_int_equal(frame_rest(&f, &line), 0);
    frame_done(&f);
}

static void test_memory_of_a_long_line_is_given_back(void **state)
{
    (void)state;
    struct frame f;
    size_t n = 1 << 20;
    char *text = malloc(n);
    struct str input, line;
    memset(text, 'x', n);
    frame_init(&f, n);
    input = (struct str){text, n};
    assert_int_equal(frame_next(&f, &input, &line), 0);
    input = str_of("\n");
    assert_int_equal(frame_next(&f, &input, &line), 1);
    assert_int_equal(line.n, n);
    assert_int_equal(frame_next(&f, &input, &line), 0);
    assert_null(f.partial.data);
    free(text);
    frame_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_any_chunk_size),
        cmocka_unit_test(test_long_line_is_reported_before_its_end),
        cmocka_unit_test(test_rest_without_newline),
        cmocka_unit_test(test_memory_of_a_long_line_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
