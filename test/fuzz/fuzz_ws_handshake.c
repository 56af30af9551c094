// The answer to a WebSocket upgrade: whole and in pieces it is judged alike.

#include <errno.h>

#include "common/crypto.h"
#include "common/ws_handshake.h"
#include "test/fuzz/fuzz.h"

static const uint8_t nonce[WS_NONCE_SIZE] = "0123456789abcdef";

struct judged {
    int verdict, status;
    int64_t retry_after_s;
    size_t used;
};

static struct judged judge(struct str in, size_t step)
{
    struct judged j = {0};
    struct ws_handshake *h = ws_handshake_new(nonce);
    CHECK(h);
    while (j.verdict == 0 && in.n) {
        struct str piece = fuzz_piece(&in, step);
        size_t used = 0;
        j.verdict = ws_handshake_feed(h, piece.p, piece.n, &used);
        if (j.verdict == 1)
            CHECK(used <= piece.n);
        j.used += j.verdict == 1 ? used : piece.n;
        free((void *)piece.p);
    }
    j.status = ws_handshake_status(h);
    j.retry_after_s = ws_handshake_retry_after_s(h);
    CHECK(j.verdict == 0 || j.verdict == 1 || j.verdict == -ECONNREFUSED || j.verdict == -EPROTO ||
          j.verdict == -E2BIG);
    CHECK(j.verdict >= 0 || ws_handshake_error(h)[0]);
    fuzz_check_clean(str_of(ws_handshake_error(h)), 512, true);
    CHECK(j.retry_after_s >= 0);
    CHECK(j.verdict != 1 || j.status == 101);
    ws_handshake_free(h);
    return j;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str in = {(const char *)bytes, n};
    size_t step = fuzz_pick(&in, 64) + 1;
    struct judged whole = judge(in, 0), parts = judge(in, step);
    CHECK(whole.verdict == parts.verdict);
    CHECK(whole.status == parts.status);
    CHECK(whole.verdict != 1 || whole.used == parts.used);
    CHECK(whole.verdict != -ECONNREFUSED || whole.retry_after_s == parts.retry_after_s);
    return 0;
}
