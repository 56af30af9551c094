#include "mcp/stdio.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "mcp/frame.h"
#include "mcp/stdio_fd.h"

// Output is collected in `pending` and handed to libuv once per turn of the loop: `kick` is an idle
// handle, which runs before the loop waits and keeps it from waiting, wherever it was started. One
// uv_write is under way at a time; its bytes are `writing`.
//
// Input is one chunk at a time. Lines of it that must wait for the reader of stdout stay in the
// chunk, and nothing more is read until it is used up: that bounds what a flood of requests can
// make us hold.

#define CHUNK (64u << 10)
#define KEEP_MEMORY STDIO_PAUSE // a queue that grew larger is given back when it is empty

enum state { RUNNING, FLUSHING, CLOSING };

struct mcp_stdio {
    uv_loop_t *loop;
    void (*on_end)(int reason, void *data);
    void *data;
    struct mcp_server *server; // borrowed; NULL: nobody reads lines
    enum state state;
    unsigned handles; // that are being closed or will be; the last frees

    struct stdio_fd in;
    struct frame frame;
    struct str input; // what of the chunk was not dispatched
    bool reading, eof;

    struct stdio_fd out;
    struct buf pending, writing;
    uv_write_t write_req;
    bool write_active, broken;

    uv_idle_t kick;
    uv_timer_t timer;     // FLUSHING: the deadline; else watches a reader that is behind
    uint64_t taken;       // bytes that the sink took, ever
    uint64_t last_passed; // of these, passed on to the reader by the timer's last look
    bool was_stuck;       // at that look
    bool ended;           // on_end was called
    int end_reason;       // of `broken`
    char chunk[CHUNK];
};

static void update_input(struct mcp_stdio *io);
static void dispatch(struct mcp_stdio *io);

static size_t waiting(const struct mcp_stdio *io)
{
    return io->pending.len +
           (io->write_active ? uv_stream_get_write_queue_size(&io->out.u.stream) : 0);
}

static void end(struct mcp_stdio *io, int reason)
{
    if (io->ended || io->state != RUNNING)
        return;
    io->ended = true;
    update_input(io);
    io->on_end(reason, io->data);
}

// Closing

static void on_handle_closed(uv_handle_t *handle)
{
    struct mcp_stdio *io = handle->data;
    if (--io->handles > 0)
        return;
    frame_done(&io->frame);
    buf_done(&io->pending);
    buf_done(&io->writing);
    free(io);
}

static void close_fd(struct mcp_stdio *io, struct stdio_fd *e)
{
    if (!stdio_fd_is_open(e))
        return;
    e->u.handle.data = io;
    io->handles++;
    stdio_fd_close(e, on_handle_closed);
}

static void begin_close(struct mcp_stdio *io)
{
    if (io->state == CLOSING)
        return;
    io->state = CLOSING;
    if (io->server)
        mcp_server_disconnect(io->server);
    io->server = NULL;
    close_fd(io, &io->in);
    close_fd(io, &io->out);
    uv_close((uv_handle_t *)&io->kick, on_handle_closed);
    uv_close((uv_handle_t *)&io->timer, on_handle_closed);
}

// Output

static void on_kick(uv_idle_t *idle);

static void kick(struct mcp_stdio *io)
{
    if (io->state != CLOSING)
        uv_idle_start(&io->kick, on_kick);
}

// Nothing can be written any more. Said from the loop, since a write may come from anywhere.
static void break_output(struct mcp_stdio *io, int reason)
{
    if (io->broken)
        return;
    io->broken = true;
    io->end_reason = reason == -ECONNRESET || reason == -ECONNABORTED ? -EPIPE : reason;
    buf_done(&io->pending);
    kick(io);
}

static void write_file(struct mcp_stdio *io)
{
    while (io->pending.len > 0) {
        ssize_t n = write(io->out.fd, io->pending.data, io->pending.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            break_output(io, -errno);
            return;
        }
        buf_consume(&io->pending, (size_t)n);
    }
}

static void on_written(uv_write_t *req, int status);

static void write_stream(struct mcp_stdio *io)
{
    if (io->write_active || io->pending.len == 0)
        return;
    struct buf empty = io->writing;
    io->writing = io->pending;
    io->pending = empty;
    uv_buf_t bytes = uv_buf_init(io->writing.data, (unsigned)io->writing.len);
    int r = uv_write(&io->write_req, &io->out.u.stream, &bytes, 1, on_written);
    if (r < 0)
        break_output(io, r);
    else
        io->write_active = true;
}

static void flush(struct mcp_stdio *io)
{
    if (io->broken)
        return;
    if (io->out.is_file)
        write_file(io);
    else
        write_stream(io);
}

static void after_output(struct mcp_stdio *io)
{
    if (io->state == FLUSHING && (io->broken || waiting(io) == 0))
        begin_close(io);
    else if (io->broken)
        end(io, io->end_reason);
    else
        dispatch(io);
}

static void on_kick(uv_idle_t *idle)
{
    struct mcp_stdio *io = idle->data;
    uv_idle_stop(idle);
    flush(io);
    after_output(io);
}

static void on_written(uv_write_t *req, int status)
{
    struct mcp_stdio *io = req->handle->data;
    io->write_active = false;
    if (io->writing.cap > KEEP_MEMORY)
        buf_done(&io->writing);
    else
        buf_clear(&io->writing);
    if (io->state == CLOSING)
        return;
    if (status < 0)
        break_output(io, status);
    else
        flush(io);
    after_output(io);
}

static int sink_write(void *data, struct str line, bool is_event)
{
    struct mcp_stdio *io = data;
    if (io->state == CLOSING || io->broken)
        return -EPIPE;
    if (is_event && waiting(io) > STDIO_PAUSE)
        return -ENOBUFS;
    int r = buf_add(&io->pending, line.p, line.n);
    if (r < 0) {
        io->pending.error = 0;
        r = r == -E2BIG ? -ENOBUFS : r;
        if (!is_event) // the client would wait for it for ever
            break_output(io, r);
        return r;
    }
    io->taken += line.n;
    kick(io);
    return 0;
}

// Input

static bool reader_is_behind(const struct mcp_stdio *io)
{
    return waiting(io) > STDIO_PAUSE;
}

// What is called may write to io, stop it or attach another server.
static void dispatch_lines(struct mcp_stdio *io)
{
    struct str line;
    while (io->state == RUNNING && io->server && !io->ended && !reader_is_behind(io)) {
        int r = frame_next(&io->frame, &io->input, &line);
        if (r == 0 && io->eof)
            r = frame_rest(&io->frame, &line);
        if (r == 0)
            break;
        if (r > 0)
            mcp_server_line(io->server, line);
        else
            mcp_server_line_too_long(io->server);
    }
}

static void dispatch(struct mcp_stdio *io)
{
    dispatch_lines(io);
    if (io->state != RUNNING)
        return;
    if (io->eof && io->input.n == 0 && io->server && !reader_is_behind(io))
        end(io, 0);
    else
        update_input(io);
}

static void on_input(struct mcp_stdio *io, ssize_t n)
{
    if (n > 0)
        io->input = (struct str){io->chunk, (size_t)n};
    else
        io->eof = true; // an error too: a reset connection, a terminal that was hung up
    dispatch(io);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    struct mcp_stdio *io = handle->data;
    (void)suggested;
    *ret_buf = uv_buf_init(io->chunk, CHUNK);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    (void)bytes;
    if (n != 0)
        on_input(stream->data, n);
}

static void on_idle_read(uv_idle_t *idle)
{
    struct mcp_stdio *io = idle->data;
    ssize_t n = read(io->in.fd, io->chunk, CHUNK);
    if (n >= 0 || errno != EINTR)
        on_input(io, n);
}

static void start_reading(struct mcp_stdio *io)
{
    int r = io->in.is_file ? uv_idle_start(&io->in.u.idle, on_idle_read)
                           : uv_read_start(&io->in.u.stream, on_alloc, on_read);
    io->reading = r == 0;
    if (r < 0) {
        io->eof = true;
        kick(io);
    }
}

static void stop_reading(struct mcp_stdio *io)
{
    if (io->in.is_file)
        uv_idle_stop(&io->in.u.idle);
    else
        uv_read_stop(&io->in.u.stream);
    io->reading = false;
}

static bool writer_is_gone(const struct mcp_stdio *io)
{
    struct pollfd p = {.fd = io->in.fd, .events = POLLRDHUP};
    return io->eof || (!io->in.is_file && poll(&p, 1, 0) > 0 && p.revents);
}

static bool reader_takes_none(const struct mcp_stdio *io)
{
    struct pollfd p = {.fd = io->out.fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 0;
}

// While we do not read we do not see the end of stdin either. A client that neither reads nor
// writes any more is gone; one that reads slowly is not, nor one that we ourselves kept waiting.
static void on_stall_timer(uv_timer_t *timer)
{
    struct mcp_stdio *io = timer->data;
    uint64_t passed = io->taken - waiting(io);
    bool stuck = reader_takes_none(io) && writer_is_gone(io);
    bool for_long = stuck && io->was_stuck && passed == io->last_passed;
    io->last_passed = passed;
    io->was_stuck = stuck;
    if (for_long)
        end(io, 0);
}

static void update_input(struct mcp_stdio *io)
{
    bool live = io->state == RUNNING && !io->ended && io->server;
    bool behind = live && reader_is_behind(io);
    bool read_more = live && !behind && !io->eof && !io->broken && io->input.n == 0;
    if (read_more && !io->reading)
        start_reading(io);
    else if (!read_more && io->reading)
        stop_reading(io);
    if (io->state != RUNNING)
        return;
    if (behind && !uv_is_active((uv_handle_t *)&io->timer)) {
        io->was_stuck = false;
        uv_timer_start(&io->timer, on_stall_timer, STDIO_STALL_MS, STDIO_STALL_MS);
    } else if (!behind) {
        uv_timer_stop(&io->timer);
    }
}

// Life

void mcp_stdio_attach(struct mcp_stdio *io, struct mcp_server *server)
{
    if (io->state == CLOSING)
        return;
    io->server = server;
    update_input(io);
    if (server && (io->input.n > 0 || io->eof))
        kick(io);
}

struct mcp_sink mcp_stdio_sink(struct mcp_stdio *io)
{
    return (struct mcp_sink){sink_write, io};
}

static void on_flush_deadline(uv_timer_t *timer)
{
    begin_close(timer->data);
}

void mcp_stdio_stop(struct mcp_stdio *io, unsigned flush_ms)
{
    if (io->state != RUNNING)
        return;
    io->state = FLUSHING;
    update_input(io);
    uv_update_time(io->loop); // the deadline counts from now, however long this turn took
    uv_timer_start(&io->timer, on_flush_deadline, flush_ms, 0);
    kick(io);
}

int mcp_stdio_open(uv_loop_t *loop, int in_fd, int out_fd, void (*on_end)(int reason, void *data),
                   void *data, struct mcp_stdio **ret_stdio)
{
    int in_type = stdio_fd_type(in_fd), out_type = stdio_fd_type(out_fd);
    if (in_type < 0 || out_type < 0)
        return in_type < 0 ? in_type : out_type;
    struct mcp_stdio *io = calloc(1, sizeof *io);
    if (!io)
        return -ENOMEM;
    io->loop = loop;
    io->on_end = on_end;
    io->data = data;
    io->pending = BUF_INIT(STDIO_MAX_QUEUE);
    io->writing = BUF_INIT(STDIO_MAX_QUEUE);
    frame_init(&io->frame, STDIO_MAX_LINE);
    uv_idle_init(loop, &io->kick);
    uv_timer_init(loop, &io->timer);
    io->kick.data = io->timer.data = io;
    io->handles = 2;
    int r = stdio_fd_open(&io->in, loop, in_fd, in_type);
    if (r == 0)
        r = stdio_fd_open(&io->out, loop, out_fd, out_type);
    io->in.u.handle.data = io->out.u.handle.data = io;
    if (r < 0) {
        begin_close(io); // freed when the loop runs
        return r;
    }
    *ret_stdio = io;
    return 0;
}

int mcp_stdio_start(uv_loop_t *loop, void (*on_end)(int reason, void *data), void *data,
                    struct mcp_stdio **ret_stdio)
{
    return mcp_stdio_open(loop, STDIN_FILENO, STDOUT_FILENO, on_end, data, ret_stdio);
}
