#pragma once

// setup and teardown of tests that each want a new store, `t`. Include after cmocka.h.

#include "test/support/temp_store.h"

static struct temp_store t;

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_store_close(&t);
    return 0;
}
