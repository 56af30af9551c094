#include "common/curl_pipe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/curl_loop.h"

struct curl_pipe {
    const struct curl_pipe_events *events;
    void *data;
    uv_loop_t *loop;
    struct curl_loop *curl;
    struct curl_transfer transfer;
    char curl_error[CURL_ERROR_SIZE];
    uv_idle_t idle;
    uv_poll_t poll; // ours: libcurl's own watch of the socket ends when it has connected
    bool has_poll;
    unsigned handles; // uv handles not closed yet; the last one frees

    // TLS wants a write that did not go through repeated with the same bytes at the same place. So
    // they stay here, and nothing is added while `blocked`.
    char out[PIPE_OUT_SIZE];
    size_t out_at, out_len;
    bool blocked;
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct curl_pipe *p = handle->data;
    if (--p->handles == 0)
        free(p);
}

void curl_pipe_close(struct curl_pipe *p)
{
    if (!p)
        return;
    if (p->has_poll) {
        uv_poll_stop(&p->poll);
        uv_close((uv_handle_t *)&p->poll, on_handle_closed);
    }
    curl_loop_remove(p->curl, &p->transfer); // closes the socket
    libcurl.easy_cleanup(p->transfer.easy);
    curl_loop_close(p->curl);
    uv_close((uv_handle_t *)&p->idle, on_handle_closed);
}

ssize_t curl_pipe_read(struct curl_pipe *p, void *to, size_t n)
{
    size_t got = 0;
    CURLcode r = libcurl.easy_recv(p->transfer.easy, to, n, &got);
    if (r == CURLE_AGAIN)
        return 0;
    return r == CURLE_OK && got > 0 ? (ssize_t)got : -ECONNRESET;
}

int curl_pipe_flush(struct curl_pipe *p)
{
    while (p->out_at < p->out_len) {
        size_t n = 0;
        CURLcode r =
            libcurl.easy_send(p->transfer.easy, p->out + p->out_at, p->out_len - p->out_at, &n);
        p->blocked = r == CURLE_AGAIN;
        if (p->blocked)
            return 0;
        if (r != CURLE_OK)
            return -ECONNRESET;
        p->out_at += n;
    }
    p->out_at = p->out_len = 0;
    return 1;
}

ssize_t curl_pipe_put(struct curl_pipe *p, const void *bytes, size_t n)
{
    int r = 1;
    if (p->blocked || p->out_len == PIPE_OUT_SIZE)
        r = curl_pipe_flush(p);
    if (r <= 0)
        return r;
    size_t room = PIPE_OUT_SIZE - p->out_len;
    size_t take = n < room ? n : room;
    memcpy(p->out + p->out_len, bytes, take);
    p->out_len += take;
    return (ssize_t)take;
}

size_t curl_pipe_pending(const struct curl_pipe *p)
{
    return p->out_len - p->out_at;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events; // an error shows in the next read or write
    struct curl_pipe *p = poll->data;
    p->events->on_ready(p->data);
}

void curl_pipe_watch(struct curl_pipe *p, bool reading)
{
    int events = (reading ? UV_READABLE : 0) | (curl_pipe_pending(p) ? UV_WRITABLE : 0);
    if (events)
        uv_poll_start(&p->poll, events, on_poll);
    else
        uv_poll_stop(&p->poll);
}

static void on_idle(uv_idle_t *idle)
{
    struct curl_pipe *p = idle->data;
    uv_idle_stop(idle);
    p->events->on_ready(p->data);
}

void curl_pipe_again(struct curl_pipe *p)
{
    uv_idle_start(&p->idle, on_idle);
}

static int start_poll(struct curl_pipe *p)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    libcurl.easy_getinfo(p->transfer.easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD)
        return -ENOTCONN;
    int r = uv_poll_init_socket(p->loop, &p->poll, fd);
    if (r < 0)
        return r;
    p->poll.data = p;
    p->has_poll = true;
    p->handles++;
    return 0;
}

static void on_done(struct curl_transfer *t, CURLcode result)
{
    struct curl_pipe *p = CONTAINER_OF(t, struct curl_pipe, transfer);
    if (result != CURLE_OK) {
        const char *text = p->curl_error[0] ? p->curl_error : libcurl.easy_strerror(result);
        p->events->on_failed(result == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO, text, p->data);
    } else if (start_poll(p) < 0) {
        p->events->on_failed(-EIO, "no poll handle for the socket", p->data);
    } else {
        p->events->on_connected(p->data);
    }
}

// CURLOPT_SOCKOPTFUNCTION: that a peer is gone shows in what we write, long before the kernel's
// fifteen minutes.
static int on_socket_made(void *user, curl_socket_t fd, curlsocktype purpose)
{
    (void)user, (void)purpose;
    unsigned ms = PIPE_USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    return CURL_SOCKOPT_OK;
}

static int prepare(struct curl_pipe *p, const char *url, bool allow_plain_loopback)
{
    int error = 0;
    CURL *easy = curl_loop_easy(url, allow_plain_loopback ? PLAIN_LOOPBACK : PLAIN_NEVER, &error);
    p->transfer = (struct curl_transfer){.easy = easy, .on_done = on_done};
    if (!easy)
        return error;
    libcurl.easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    libcurl.easy_setopt(easy, CURLOPT_ERRORBUFFER, p->curl_error);
    libcurl.easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    return curl_loop_add(p->curl, &p->transfer);
}

int curl_pipe_open(uv_loop_t *loop, const char *url, bool allow_plain_loopback,
                   const struct curl_pipe_events *events, void *data, struct curl_pipe **ret_pipe)
{
    struct curl_pipe *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->events = events;
    p->data = data;
    p->loop = loop;
    int r = curl_loop_new(loop, &p->curl);
    if (r < 0) {
        free(p);
        return r;
    }
    r = prepare(p, url, allow_plain_loopback);
    if (r < 0) {
        libcurl.easy_cleanup(p->transfer.easy);
        curl_loop_close(p->curl);
        free(p);
        return r;
    }
    uv_idle_init(loop, &p->idle);
    p->idle.data = p;
    p->handles = 1;
    *ret_pipe = p;
    return 0;
}

int curl_pipe_split_url(const char *url, struct buf *authority, struct buf *target)
{
    int r = curl_lib_load();
    if (r < 0)
        return r;
    CURLU *u = libcurl.url();
    char *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    r = u ? 0 : -ENOMEM;
    if (r == 0 && (libcurl.url_set(u, CURLUPART_URL, url, 0) ||
                   libcurl.url_get(u, CURLUPART_HOST, &host, 0) ||
                   libcurl.url_get(u, CURLUPART_PATH, &path, 0)))
        r = -EINVAL;
    if (r == 0) {
        libcurl.url_get(u, CURLUPART_PORT, &port, 0);   // absent unless the URL names one
        libcurl.url_get(u, CURLUPART_QUERY, &query, 0); // likewise
        buf_addf(authority, "%s%s%s", host, port ? ":" : "", port ? port : "");
        buf_addf(target, "%s%s%s", path, query ? "?" : "", query ? query : "");
        r = authority->error ? authority->error : target->error;
    }
    libcurl.free(host);
    libcurl.free(port);
    libcurl.free(path);
    libcurl.free(query);
    libcurl.url_cleanup(u);
    return r == -E2BIG ? -EINVAL : r;
}
