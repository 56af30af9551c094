// Files: a URL, the bytes, then the message (docs.slack.dev, "Working with files").

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channels/slack/lane.h"

static int open_file(struct lane *l, struct stat *st)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", l->x->files, l->row.key) >= sizeof path)
        return -ENAMETOOLONG;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (fstat(fd, st) == 0)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

static void on_completed(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict == API_OK)
        lane_sent(l, "");
    else
        lane_unsuccessful(l, a, "files.completeUploadExternal");
}

static void complete(struct lane *l)
{
    struct buf form = BUF_INIT(LANE_MAX_FORM), files = BUF_INIT(4096);
    struct jw w = JW(&files);
    if (!lane_attempt(l))
        return;
    jw_array(&w);
    jw_object(&w);
    jw_kstr(&w, "id", l->row.file_id);
    jw_kstr(&w, "title", l->row.body);
    jw_object_end(&w);
    jw_array_end(&w);
    http_form_add(&form, "files", buf_str(&files));
    http_form_add(&form, "channel_id", str_of(l->channel));
    if (l->row.thread_ts[0])
        http_form_add(&form, "thread_ts", str_of(l->row.thread_ts));
    buf_done(&files);
    if (lane_call(l, "files.completeUploadExternal", &form, 0, on_completed) < 0)
        lane_requeue(l, false);
}

static void on_uploaded(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict == API_OK)
        complete(l);
    else // the URL may have run out: a new one next time
        lane_unsuccessful(l, a, "upload");
}

static void on_upload_url(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    const char *url = json_str(a->json, "upload_url"), *id = json_str(a->json, "file_id");
    if (a->verdict != API_OK || !url || !id) {
        lane_unsuccessful(l, a, "files.getUploadURLExternal");
        return;
    }
    snprintf(l->row.file_id, sizeof l->row.file_id, "%s", id);
    struct stat st;
    int r = outbox_set_file(l->x->store, l->row.id, id);
    int fd = r == 0 ? open_file(l, &st) : r;
    r = fd < 0 ? fd : slack_api_upload(l->x->api, url, fd, (uint64_t)st.st_size, on_uploaded, l);
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        lane_back_off(l, 1000);
        lane_requeue(l, false);
    }
}

void lane_upload(struct lane *l)
{
    struct stat st;
    int fd = open_file(l, &st);
    if (fd < 0) {
        lane_failed(l, "the file is gone");
        return;
    }
    close(fd);
    struct buf form = BUF_INIT(LANE_MAX_FORM);
    char size[24];
    snprintf(size, sizeof size, "%lld", (long long)st.st_size);
    http_form_add(&form, "filename", str_of(l->row.body));
    http_form_add(&form, "length", str_of(size));
    if (lane_call(l, "files.getUploadURLExternal", &form, API_REPEATABLE, on_upload_url) < 0)
        lane_again(l);
}
