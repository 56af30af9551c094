#include "common/curl_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#include "common/log.h"

// The name that the library's ABI has had since 2006.
#define CURL_LIB_NAME "libcurl.so.4"

struct curl_lib libcurl;

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define CURL_LIB_ROW(name) {"curl_" #name, offsetof(struct curl_lib, name)},
    CURL_LIB_FUNCTIONS(CURL_LIB_ROW)
#undef CURL_LIB_ROW
};

static int find_all(void *library)
{
    struct curl_lib found;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        void *f = dlsym(library, functions[i].name);
        if (!f)
            return -ELIBACC;
        memcpy((char *)&found + functions[i].offset, &f, sizeof f);
    }
    libcurl = found;
    return 0;
}

int curl_lib_load(void)
{
    static bool was_said;
    if (libcurl.url)
        return 0;
    void *library = dlopen(CURL_LIB_NAME, RTLD_NOW | RTLD_LOCAL);
    int r = library ? find_all(library) : -ELIBACC;
    if (r < 0 && !was_said) {
        log_error("libcurl cannot be loaded: install libcurl4", "why", dlerror());
        was_said = true;
    }
    return r;
}
