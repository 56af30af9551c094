// `report`: the page, into a file.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channels/webhook/commands.h"
#include "channels/webhook/report.h"
#include "channels/webhook/weekly.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/output.h"

#define PATIENCE_MS 5000

static int write_durably(int fd, struct str page)
{
    int r = write_all(fd, page);
    return r == 0 && fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -errno : r;
}

// Whoever reads the file sees the old page or the new one, never a part. 0600: it tells what is
// wrong with the clusters.
static int write_file(const char *path, struct str page)
{
    char *next = NULL;
    if (asprintf(&next, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return -ENOMEM;
    int fd = open(next, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : write_durably(fd, page);
    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(next, path) < 0)
        r = -errno;
    if (r < 0 && fd >= 0)
        unlink(next);
    free(next);
    return r;
}

static int print_page(struct store *s, int64_t days, const char *file)
{
    struct buf page = BUF_INIT(REPORT_HTML_MAX);
    struct report *report = malloc(sizeof *report);
    int r = report ? report_read(s, days, clock_wall_ms(), report) : -ENOMEM;
    if (r < 0)
        fprintf(stderr, "report: %s\n", store_error(s)[0] ? store_error(s) : strerror(-r));
    else if ((r = report_html(report, &page)) < 0)
        fprintf(stderr, "report: %s\n", strerror(-r));
    else if ((r = strcmp(file, "-") == 0 ? output(buf_str(&page))
                                         : write_file(file, buf_str(&page))) < 0)
        fprintf(stderr, "report: cannot write %s: %s\n", file, strerror(-r));
    free(report);
    buf_done(&page);
    return r;
}

int command_report(const struct config *c, int argc, char **argv)
{
    struct option options[] = {
        {.name = "--days", .kind = OPTION_NUMBER, .min = 1, .max = REPORT_DAYS_MAX, .number = 7},
        {.name = "--html", .kind = OPTION_TEXT},
        {.name = "--weekly", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(512);
    struct store *s;
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("report", &why);
    if (!options[2].number && (!options[1].text || !options[1].text[0])) {
        buf_adds(&why, "--html FILE is needed (- is the standard output)");
        return command_usage("report", &why);
    }
    if (store_open(c->state_dir, false, &s) < 0)
        return 1;
    store_busy_timeout(s, PATIENCE_MS);
    int r;
    if (options[2].number) {
        r = weekly_tell(s, c, clock_wall_ms());
        if (r < 0)
            fprintf(stderr, "report: %s\n", store_error(s)[0] ? store_error(s) : strerror(-r));
    } else {
        r = print_page(s, options[0].number, options[1].text);
    }
    store_close(s);
    return r < 0;
}
