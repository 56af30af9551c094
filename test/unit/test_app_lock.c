// One process an app token on this machine, and no file of somebody else's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channels/slack/app_lock.h"
#include "test/support/temp_dir.h"

#define TOKEN "xapp-1-A-secret"

static char dir[TEMP_DIR_SIZE];

static int setup(void **state)
{
    (void)state;
    temp_dir_make(dir);
    return setenv("XDG_RUNTIME_DIR", dir, 1);
}

static int teardown(void **state)
{
    (void)state;
    unsetenv("XDG_RUNTIME_DIR");
    temp_dir_remove(dir);
    return 0;
}

// The name of the only file there.
static const char *only_file(void)
{
    static char name[256];
    DIR *d = opendir(dir);
    assert_non_null(d);
    name[0] = '\0';
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            assert_string_equal(name, "");
            snprintf(name, sizeof name, "%s", e->d_name);
        }
    closedir(d);
    return name;
}

static void test_one_of_two(void **state)
{
    (void)state;
    struct app_lock *one, *two, *other;
    assert_int_equal(app_lock_take(TOKEN, &one), 0);
    assert_null(strstr(only_file(), "secret"));
    assert_int_equal(temp_mode(temp_path(dir, only_file())), 0600);
    assert_int_equal(app_lock_take(TOKEN, &two), -EBUSY);
    assert_int_equal(app_lock_take("xapp-1-B", &other), 0);
    app_lock_release(one);
    assert_int_equal(app_lock_take(TOKEN, &two), 0);
    app_lock_release(two);
    app_lock_release(other);
    app_lock_release(NULL);
}

// In a folder that everybody may write to somebody may have put something of that name.
static void test_what_is_not_our_file(void **state)
{
    (void)state;
    struct app_lock *l;
    assert_int_equal(app_lock_take(TOKEN, &l), 0);
    app_lock_release(l);
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path(dir, only_file()));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(app_lock_take(TOKEN, &l), -EISDIR);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(app_lock_take(TOKEN, &l), -ELOOP);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(app_lock_take(TOKEN, &l), -EPERM);
    if (geteuid() == 0) { // only root can make a file somebody else's
        assert_int_equal(unlink(path), 0);
        temp_write(path, str_of(""), 0600);
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_int_equal(app_lock_take(TOKEN, &l), -EPERM);
    }
}

// Without a folder of the session's own it is /tmp, whatever the variable holds.
static void test_no_such_folder(void **state)
{
    (void)state;
    struct app_lock *one, *two;
    char token[64];
    snprintf(token, sizeof token, "xapp-%d", (int)getpid());
    static const char *const folders[] = {"/nonexistent/folder", "relative", ""};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        assert_int_equal(setenv("XDG_RUNTIME_DIR", folders[i], 1), 0);
        assert_int_equal(app_lock_take(token, &one), 0);
        assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
        assert_int_equal(app_lock_take(token, &two), -EBUSY);
        app_lock_release(one);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_one_of_two),
        T(test_what_is_not_our_file),
        T(test_no_such_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
