// Cleaning and masking of strangers' text, and globs.

#include "test/fuzz/fuzz.h"

// A secret in the midst of anything at all.
static void check_planted(struct str s)
{
    static const char secret[] = "gl"
                                 "pat-"
                                 "A1b2C3d4E5f6G7h8I9j0";
    if (s.n && memmem(s.p, s.n, secret + 6, sizeof secret - 7))
        return; // the fuzzer has learned it
    struct buf text = BUF_INIT(s.n + 64), masked = BUF_INIT(s.n * 4 + 1024);
    buf_add(&text, s.p, s.n / 2);
    buf_adds(&text, secret);
    buf_add(&text, s.p + s.n / 2, s.n - s.n / 2);
    CHECK(redact(&masked, buf_str(&text)) >= 1);
    if (memmem(masked.data, masked.len, secret + 6, sizeof secret - 7))
        fprintf(stderr, "%s\n-> %s\n", text.data, masked.data);
    CHECK(!memmem(masked.data, masked.len, secret + 6, sizeof secret - 7));
    buf_done(&text);
    buf_done(&masked);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str in = {(const char *)bytes, n};
    size_t max = fuzz_pick(&in, 256) * 8;
    bool one_line = max & 8;
    struct str s = fuzz_piece(&in, 0);
    struct buf clean = BUF_INIT(s.n * 3 + 64), again = BUF_INIT(s.n * 3 + 128),
               masked = BUF_INIT(s.n * 4 + 1024);

    CHECK(text_clean(&clean, s, max, one_line ? TEXT_ONE_LINE : 0) == 0);
    fuzz_check_clean(buf_str(&clean), max * 3 + 64, one_line);
    CHECK(text_clean(&again, buf_str(&clean), SIZE_MAX / 2, one_line ? TEXT_ONE_LINE : 0) == 0);
    CHECK(again.len == clean.len);
    CHECK(clean.len == 0 || memcmp(again.data, clean.data, clean.len) == 0);

    CHECK(redact(&masked, buf_str(&clean)) >= 0);
    CHECK(utf8_valid(buf_str(&masked)));
    fuzz_check_masked(buf_str(&masked));
    check_planted(s);

    size_t cut = utf8_prefix(s, max);
    CHECK(cut <= s.n && cut <= max);
    const char *middle = s.n ? memchr(s.p, '\n', s.n) : NULL;
    if (middle) {
        size_t at = (size_t)(middle - s.p);
        struct str a = {s.p, at}, b = {middle + 1, s.n - at - 1};
        (void)glob_match(a, b);
        if (a.n < 64 && !memchr(a.p, '*', a.n) && !memchr(a.p, '?', a.n))
            CHECK(glob_match(a, b) == (a.n == b.n && memcmp(a.p, b.p, a.n) == 0));
    }
    buf_done(&clean);
    buf_done(&again);
    buf_done(&masked);
    free((void *)s.p);
    return 0;
}
