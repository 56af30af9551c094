// Which files may be sent, and that what is sent is a copy.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channels/slack/attach.h"
#include "test/support/temp_dir.h"

static char dir[TEMP_DIR_SIZE], folder[PATH_MAX], path[2 * PATH_MAX];
static struct attach_rules rules;
static struct buf why;

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make(const char *name, const char *content)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    assert_true(fputs(content, f) >= 0);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    temp_dir_make(dir);
    assert_non_null(realpath(dir, folder));
    rules = (struct attach_rules){.folder = folder, .state_dir = "", .config_file = ""};
    why = BUF_INIT(1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&why);
    temp_dir_remove(dir);
    return 0;
}

static void refused(const char *name, const char *words)
{
    char shown[256];
    buf_clear(&why);
    assert_true(attach_open(&rules, name, shown, &why) < 0);
    if (!strstr(buf_cstr(&why), words))
        fail_msg("%s: \"%s\" and not \"%s\"", name, buf_cstr(&why), words);
}

static void taken(const char *name, const char *as)
{
    char shown[256];
    int fd = attach_open(&rules, name, shown, &why);
    assert_true(fd >= 0);
    assert_string_equal(shown, as);
    close(fd);
}

static void test_what_is_no_file_to_send(void **state)
{
    (void)state;
    make("empty", "");
    refused("empty", "is empty");
    refused("gone", "does not exist");
    assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
    refused("sub", "is not a regular file");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    refused("pipe", "is not a regular file"); // and nobody waits for its writer
    make("huge", "x");
    assert_int_equal(truncate(in_folder("huge"), ATTACH_MAX_BYTES + 1), 0);
    refused("huge", "is larger than 20 MiB");
    assert_int_equal(truncate(in_folder("huge"), ATTACH_MAX_BYTES), 0);
    taken("huge", "huge");
    char longest[PATH_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    refused(longest, "does not exist");
}

// A second name may be that of a secret which its folder protects.
static void test_a_hard_link(void **state)
{
    (void)state;
    char other[PATH_MAX];
    make("one", "x");
    snprintf(other, sizeof other, "%s/two", dir);
    assert_int_equal(link(in_folder("one"), other), 0);
    refused("one", "has a second name");
    assert_int_equal(unlink(other), 0);
    taken("one", "one");
}

static void test_the_configuration_and_the_state(void **state)
{
    (void)state;
    char config[PATH_MAX + 32], state_dir[PATH_MAX + 32];
    make("config.env", "SLACK_BOT_TOKEN=xoxb-1\n");
    assert_int_equal(mkdir(in_folder("state"), 0700), 0);
    make("state/incidents.db", "x");
    snprintf(config, sizeof config, "%s/config.env", folder);
    snprintf(state_dir, sizeof state_dir, "%s/state", folder);
    rules.config_file = config;
    rules.state_dir = state_dir;
    refused("config.env", "is the configuration");
    refused("state/incidents.db", "belongs to the state");
    assert_int_equal(symlink("config.env", in_folder("harmless")), 0);
    refused("harmless", "is the configuration");
    rules.config_file = "/nonexistent/config.env";
    taken("config.env", "config.env");
}

// As "/" does, the project's folder may end with a slash: what is hidden is hidden in it, too.
static void test_a_folder_with_a_slash(void **state)
{
    (void)state;
    make("a.txt", "x");
    rules.folder = "/";
    taken(in_folder("a.txt"), "a.txt");
    make(".hidden", "x");
    refused(in_folder(".hidden"), "is hidden");
    char slash[PATH_MAX + 2];
    snprintf(slash, sizeof slash, "%s/", folder);
    rules.folder = slash;
    taken(in_folder("a.txt"), "a.txt");
    refused(in_folder(".hidden"), "is hidden");
    refused("/etc/passwd", "is outside");
}

static void test_unreadable(void **state)
{
    (void)state;
    if (geteuid() == 0)
        skip();
    make("locked", "x");
    assert_int_equal(chmod(in_folder("locked"), 0), 0);
    refused("locked", "cannot be read");
}

static void test_a_copy_is_kept(void **state)
{
    (void)state;
    char kept[PATH_MAX + 16], name[PATH_MAX + 32], shown[256], content[16] = "";
    struct stat st;
    make("a.txt", "as it was");
    snprintf(kept, sizeof kept, "%s/kept", folder);
    int fd = attach_open(&rules, "a.txt", shown, &why);
    assert_true(fd >= 0);
    assert_int_equal(attach_keep(fd, kept, "key"), 0);
    make("a.txt", "changed");
    snprintf(name, sizeof name, "%s/key", kept);
    assert_int_equal(stat(kept, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    assert_non_null(fgets(content, sizeof content, f));
    fclose(f);
    assert_string_equal(content, "as it was");
    // Never over what is there; never into what is no folder.
    assert_int_equal(attach_keep(fd, kept, "key"), -EEXIST);
    assert_int_equal(attach_keep(fd, in_folder("a.txt"), "key"), -ENOTDIR);
    assert_int_equal(attach_keep(fd, "/nonexistent/folder", "key"), -ENOENT);
    close(fd);
}

// One that grew since it was looked at is not cut, and nothing of it stays.
static void test_a_file_that_grew(void **state)
{
    (void)state;
    char kept[PATH_MAX + 16], name[PATH_MAX + 32], shown[256];
    make("log", "x");
    snprintf(kept, sizeof kept, "%s/kept", folder);
    snprintf(name, sizeof name, "%s/key", kept);
    int fd = attach_open(&rules, "log", shown, &why);
    assert_true(fd >= 0);
    assert_int_equal(truncate(in_folder("log"), ATTACH_MAX_BYTES + 1), 0);
    assert_int_equal(attach_keep(fd, kept, "key"), -E2BIG);
    assert_int_equal(access(name, F_OK), -1);
    close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_is_no_file_to_send),
        T(test_a_hard_link),
        T(test_the_configuration_and_the_state),
        T(test_a_folder_with_a_slash),
        T(test_unreadable),
        T(test_a_copy_is_kept),
        T(test_a_file_that_grew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
