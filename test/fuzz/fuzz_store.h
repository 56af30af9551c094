#pragma once

// The unit tests' temporary store without cmocka. One store for the whole run: each input works in
// a transaction that is rolled back.

#include "test/fuzz/fuzz.h"

#define assert_true(what) CHECK(what)
#define assert_non_null(what) CHECK((what) != NULL)
#define assert_int_equal(a, b) CHECK((int64_t)(a) == (int64_t)(b))
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), abort())

#include "test/support/temp_store.h"

static struct temp_store fuzz_store;

static void fuzz_store_remove(void)
{
    temp_store_close(&fuzz_store);
}

static inline void fuzz_store_open(void)
{
    temp_store_open(&fuzz_store);
    atexit(fuzz_store_remove);
}
