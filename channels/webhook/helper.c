#include "channels/webhook/helper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buf.h"

#define PART (64 * 1024)

struct helper {
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t timer;
    struct buf out;                                       // owned
    void (*done)(int status, struct str out, void *data); // NULL: nobody asks any more
    void *data;
    int open; // handles that are not closed yet
    int status;
    bool exited, ended, failed;
    char part[PART];
};

static void on_closed(uv_handle_t *handle)
{
    struct helper *h = handle->data;
    if (--h->open)
        return;
    buf_done(&h->out);
    free(h);
}

static void close_all(struct helper *h)
{
    uv_handle_t *const all[] = {(uv_handle_t *)&h->process, (uv_handle_t *)&h->pipe,
                                (uv_handle_t *)&h->timer};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!uv_is_closing(all[i]))
            uv_close(all[i], on_closed);
}

// Over when it has exited and all that it said is in.
static void finish_if_over(struct helper *h)
{
    if (!h->exited || !h->ended)
        return;
    if (h->done)
        h->done(h->failed ? -1 : h->status, buf_str(&h->out), h->data);
    close_all(h);
}

static void give_up(struct helper *h)
{
    h->failed = true;
    if (!h->exited)
        uv_process_kill(&h->process, SIGKILL);
}

static void on_end(uv_process_t *p, int64_t status, int signal)
{
    struct helper *h = p->data;
    h->exited = true;
    h->status = signal ? -1 : (int)status;
    finish_if_over(h);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct helper *h = handle->data;
    (void)suggested;
    *ret = uv_buf_init(h->part, sizeof h->part);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct helper *h = stream->data;
    if (n > 0 && !h->failed && buf_add(&h->out, bytes->base, (size_t)n) < 0)
        give_up(h);
    if (n >= 0)
        return;
    uv_read_stop(stream);
    h->ended = true;
    finish_if_over(h);
}

static void on_timer(uv_timer_t *t)
{
    give_up(t->data);
}

static int spawn(uv_loop_t *loop, struct helper *h, const struct helper_run *run)
{
    char self[] = "/proc/self/exe"; // this very program, even after an upgrade
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&h->pipe},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO}};
    uv_process_options_t options = {.exit_cb = on_end,
                                    .file = self,
                                    .args = run->words,
                                    .stdio = stdio,
                                    .stdio_count = ARRAY_LEN(stdio)};
    int r = uv_spawn(loop, &h->process, &options);
    return r < 0 ? r : uv_read_start((uv_stream_t *)&h->pipe, on_alloc, on_read);
}

int helper_start(uv_loop_t *loop, const struct helper_run *run, struct helper **ret)
{
    struct helper *h = calloc(1, sizeof *h);
    if (!h)
        return UV_ENOMEM;
    h->out = BUF_INIT(run->max_output);
    h->done = run->done;
    h->data = run->data;
    h->process.data = h->pipe.data = h->timer.data = h;
    h->open = 3;
    uv_pipe_init(loop, &h->pipe, 0);
    uv_timer_init(loop, &h->timer);
    int r = spawn(loop, h, run);
    if (r < 0) {
        close_all(h); // also the process, which uv_spawn leaves as a handle
        return r;
    }
    uv_timer_start(&h->timer, on_timer, (uint64_t)run->patience_ms, 0);
    *ret = h;
    return 0;
}

void helper_stop(struct helper *h)
{
    if (!h)
        return;
    h->done = NULL;
    give_up(h); // closed once it has been waited for
}
