// Front matter of a playbook.

#include <errno.h>

#include "channels/webhook/playbooks.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str all = {(const char *)bytes, n}, file = fuzz_piece(&all, 0);
    struct buf name = BUF_INIT(n + 16), patterns = BUF_INIT(n + 16);
    int r = playbook_front_matter(file, &name, &patterns);
    CHECK(r == 0 || r == -EINVAL);
    if (r == 0) {
        CHECK(name.len <= n && patterns.len <= n);
        CHECK(!name.len || !memchr(name.data, '\n', name.len));
        CHECK(!memmem(buf_cstr(&patterns), patterns.len, "\n\n", 2));
    }
    buf_done(&name);
    buf_done(&patterns);
    free((void *)file.p);
    return 0;
}
