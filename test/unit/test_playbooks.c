#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "channels/webhook/playbooks.h"
#include "test/support/log_capture.h"
#include "test/support/temp_dir.h"

static char name[512], patterns[16384];

static int read_front(struct str file)
{
    struct buf n = BUF_INIT(256), p = BUF_INIT(8192);
    int r = playbook_front_matter(file, &n, &p);
    snprintf(name, sizeof name, "%s", buf_cstr(&n));
    snprintf(patterns, sizeof patterns, "%s", buf_cstr(&p));
    buf_done(&n);
    buf_done(&p);
    return r;
}

static void test_front_matter(void **state)
{
    (void)state;
    assert_int_equal(
        read_front(str_of(
            "---\nname: pods\nalerts: [A, \"B c\", 'D,e', F*]\nother: x\n---\n# Text\nname: no\n")),
        0);
    assert_string_equal(name, "pods");
    assert_string_equal(patterns, "A\nB c\nD,e\nF*\n");

    assert_int_equal(read_front(str_of("--- \r\nname: \"a b\"\r\nalerts: One, Two\r\n---")), 0);
    assert_string_equal(name, "a b");
    assert_string_equal(patterns, "One\nTwo\n");

    assert_int_equal(read_front(str_of("---\nalerts: []\nalerts: [,, \"\" ,]\n---\n")), 0);
    assert_string_equal(name, "");
    assert_string_equal(patterns, "");
    assert_int_equal(read_front(str_of("---\nnames: x\nalerts2: [A]\n name: y\n---\n")), 0);
    assert_string_equal(name, "");
}

static void test_no_front_matter(void **state)
{
    (void)state;
    static const char *const none[] = {
        "", "---", "# Title\n", "---\nname: a\n", "\n---\nname: a\n---\n", "----\nname: a\n----\n"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_int_equal(read_front(str_of(none[i])), -EINVAL);

    static char huge[20000];
    int n = snprintf(huge, sizeof huge, "---\nalerts: [");
    memset(huge + n, 'a', sizeof huge - 50 - (size_t)n);
    snprintf(huge + sizeof huge - 50, 50, "]\n---\n");
    assert_int_equal(read_front(str_of(huge)), -E2BIG);
}

// Every prefix of a file, in memory of just its size, ends in one of the known ways.
static void test_every_prefix(void **state)
{
    (void)state;
    const char *file = "---\nname: 'a'\nalerts: [\"x, y\", z']\n---\n";
    for (size_t n = 0; n <= strlen(file); n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, file, n);
        int r = read_front((struct str){copy, n});
        assert_true(r == 0 || r == -EINVAL);
        free(copy);
    }
}

static void test_folder(void **state)
{
    (void)state;
    char dir[TEMP_DIR_SIZE];
    struct playbooks *p = NULL;
    temp_dir_make(dir);
    temp_write(temp_path(dir, "a.md"),
               str_of("---\nname: exact\nalerts: [KubePodCrashLooping]\n---\n"), 0600);
    temp_write(temp_path(dir, "b.md"),
               str_of("---\nname: pods\nalerts: [KubePod*, Disk?Full]\n---\n"), 0600);
    temp_write(temp_path(dir, "fallback.md"), str_of("---\nalerts: [\"*\"]\n---\n"), 0600);
    temp_write(temp_path(dir, "broken.md"), str_of("no front matter"), 0600);
    temp_write(temp_path(dir, "README.md"), str_of("# Playbooks"), 0600);
    temp_write(temp_path(dir, "notes.txt"), str_of("---\nname: txt\nalerts: [Txt]\n---\n"), 0600);
    assert_int_equal(mkdir(temp_path(dir, "folder.md"), 0700), 0);
    log_capture_begin();
    assert_int_equal(playbooks_load(dir, &p), 0);
    const char *said = log_capture_end();
    assert_non_null(strstr(said, "broken.md"));
    assert_non_null(strstr(said, "folder.md"));
    assert_null(strstr(said, "README"));
    assert_int_equal(playbooks_count(p), 3);
    assert_string_equal(playbooks_find(p, "KubePodCrashLooping"), "exact");
    assert_string_equal(playbooks_find(p, "KubePodCrashLoopingX"), "pods");
    assert_string_equal(playbooks_find(p, "Disk1Full"), "pods");
    assert_string_equal(playbooks_find(p, "Disk12Full"), "fallback"); // named by its file
    assert_string_equal(playbooks_find(p, "kubepodcrashlooping"), "fallback");
    assert_string_equal(playbooks_find(p, "Txt"), "fallback");
    playbooks_free(p);
    temp_dir_remove(dir);
}

static void test_no_folder(void **state)
{
    (void)state;
    struct playbooks *p = NULL;
    assert_int_equal(playbooks_load("/nonexistent/playbooks", &p), 0);
    assert_int_equal(playbooks_count(p), 0);
    assert_null(playbooks_find(p, "A"));
    playbooks_free(p);
    playbooks_free(NULL);
    assert_null(playbooks_find(NULL, "A"));
    assert_int_equal(playbooks_count(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_matter), cmocka_unit_test(test_no_front_matter),
        cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_folder),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
