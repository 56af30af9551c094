#include "common/curl_loop.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000, // DNS to the end of TLS
    MAX_IDLE_CONNECTIONS = 4,
};

struct curl_loop {
    CURLM *multi;
    uv_loop_t *loop;
    uv_timer_t timer;
    unsigned handles; // uv handles not closed yet; the last one frees
    bool closing;
    struct curl_transfer *first;
};

struct socket_poll {
    uv_poll_t poll;
    struct curl_loop *owner;
    curl_socket_t fd;
};

static void handle_closed(struct curl_loop *c)
{
    if (--c->handles > 0)
        return;
    free(c);
    libcurl.global_cleanup();
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct socket_poll *p = handle->data;
    handle_closed(p->owner);
    free(p);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void end(struct curl_transfer *t, CURLcode result)
{
    t->done = true;
    t->on_done(t, result);
}

// Reports what is over. Any on_done may remove transfers, add some or close the loop, so nothing is
// kept across it.
static void report(struct curl_loop *c)
{
    int left;
    CURLMsg *m;
    while (!c->closing && (m = libcurl.multi_info_read(c->multi, &left))) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct curl_transfer *t = NULL;
        CURLcode result = m->data.result;
        libcurl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        end(t, result);
    }
}

// The multi handle is of no more use (no memory for a socket's poll handle): nobody must wait for
// it.
static void fail_all(struct curl_loop *c)
{
    while (!c->closing) {
        struct curl_transfer *t = c->first;
        while (t && t->done)
            t = t->next;
        if (!t)
            return;
        end(t, CURLE_OUT_OF_MEMORY);
    }
}

static void act(struct curl_loop *c, curl_socket_t fd, int events)
{
    int running;
    if (libcurl.multi_socket_action(c->multi, fd, events, &running) == CURLM_OK)
        report(c);
    else
        fail_all(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket_poll *p = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(p->owner, p->fd, flags);
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static struct socket_poll *poll_new(struct curl_loop *c, curl_socket_t fd)
{
    struct socket_poll *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    if (uv_poll_init_socket(c->loop, &p->poll, fd) < 0) {
        free(p);
        return NULL;
    }
    p->poll.data = p;
    p->owner = c;
    p->fd = fd;
    c->handles++;
    return p;
}

// CURLMOPT_SOCKETFUNCTION: what libcurl wants to know of a socket.
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *of_socket)
{
    (void)easy;
    struct curl_loop *c = user;
    struct socket_poll *p = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (p) {
            uv_poll_stop(&p->poll); // frees the descriptor for another poll handle at once
            uv_close((uv_handle_t *)&p->poll, on_poll_closed);
            libcurl.multi_assign(c->multi, fd, NULL);
        }
        return 0;
    }
    if (!p) {
        p = poll_new(c, fd);
        if (!p)
            return -1;
        libcurl.multi_assign(c->multi, fd, p);
    }
    int events = 0;
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    return uv_poll_start(&p->poll, events, on_poll) < 0 ? -1 : 0;
}

// CURLMOPT_TIMERFUNCTION. Acting within it would recurse, so "now" is a millisecond ahead.
static int on_timeout_change(CURLM *multi, long ms, void *user)
{
    (void)multi;
    struct curl_loop *c = user;
    if (ms < 0)
        return uv_timer_stop(&c->timer);
    return uv_timer_start(&c->timer, on_timer, ms > 0 ? (uint64_t)ms : 1, 0);
}

int curl_loop_new(uv_loop_t *loop, struct curl_loop **ret_loop)
{
    int r = curl_lib_load();
    if (r < 0)
        return r;
    struct curl_loop *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    if (libcurl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(c);
        return -ENOMEM;
    }
    c->multi = libcurl.multi_init();
    r = c->multi ? uv_timer_init(loop, &c->timer) : -ENOMEM;
    if (r < 0) {
        libcurl.multi_cleanup(c->multi);
        libcurl.global_cleanup();
        free(c);
        return r;
    }
    c->loop = loop;
    c->timer.data = c;
    c->handles = 1;
    libcurl.multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    libcurl.multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    libcurl.multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout_change);
    libcurl.multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    libcurl.multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)MAX_IDLE_CONNECTIONS);
    *ret_loop = c;
    return 0;
}

int curl_loop_add(struct curl_loop *c, struct curl_transfer *t)
{
    t->done = false;
    if (libcurl.easy_setopt(t->easy, CURLOPT_PRIVATE, t) != CURLE_OK ||
        libcurl.multi_add_handle(c->multi, t->easy) != CURLM_OK)
        return -ENOMEM;
    t->prev = NULL;
    t->next = c->first;
    if (c->first)
        c->first->prev = t;
    c->first = t;
    return 0;
}

void curl_loop_remove(struct curl_loop *c, struct curl_transfer *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        c->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->next = t->prev = NULL;
    libcurl.multi_remove_handle(c->multi, t->easy);
}

void curl_loop_close(struct curl_loop *c)
{
    if (!c)
        return;
    assert(!c->first && !c->closing);
    // Idle connections end here, and with them what is left of the poll handles.
    libcurl.multi_cleanup(c->multi);
    c->closing = true;
    uv_timer_stop(&c->timer);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

enum route { HTTPS, HTTP_LOOPBACK, HTTP_BEYOND };

// Which way it goes, or the error of curl_loop_easy.
static int check_url(const char *url, enum curl_plain plain)
{
    CURLU *u = libcurl.url();
    if (!u)
        return -ENOMEM;
    char *scheme = NULL, *host = NULL;
    int r = -EINVAL;
    if (libcurl.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        libcurl.url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        libcurl.url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        if (strcmp(scheme, "https") == 0)
            r = HTTPS;
        else if (strcmp(scheme, "http") == 0 && is_loopback(host))
            r = plain >= PLAIN_LOOPBACK ? (int)HTTP_LOOPBACK : -EPERM;
        else if (strcmp(scheme, "http") == 0)
            r = plain == PLAIN_ANYWHERE ? (int)HTTP_BEYOND : -EPERM;
    }
    libcurl.free(scheme);
    libcurl.free(host);
    libcurl.url_cleanup(u);
    return r;
}

static bool set_common(CURL *easy, const char *url, enum route route)
{
    const char *ca_file = getenv("SSL_CERT_FILE");
    if (ca_file && !*ca_file)
        ca_file = NULL;
    bool ok =
        libcurl.easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
        libcurl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, route == HTTPS ? "https" : "http") ==
            CURLE_OK &&
        // With h2 on offer a server may take it, and an upgrade then hangs without a word.
        libcurl.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
        libcurl.easy_setopt(easy, CURLOPT_USERAGENT, "sre-channels/" SRE_VERSION) == CURLE_OK &&
        libcurl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
        libcurl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        libcurl.easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
        libcurl.easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
        // Without it, giving up on a slow name server waits for its thread, and the whole loop with
        // it.
        libcurl.easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
        libcurl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS) == CURLE_OK;
    if (ok && route == HTTP_LOOPBACK)
        ok = libcurl.easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
    if (ok && ca_file)
        ok = libcurl.easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK;
    // With a folder beside the file libcurl parses the whole file again for every connection, some
    // 30 ms of the loop's.
    const char *file = NULL;
    if (ok && libcurl.easy_getinfo(easy, CURLINFO_CAINFO, &file) == CURLE_OK && (file || ca_file))
        ok = libcurl.easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    return ok;
}

CURL *curl_loop_easy(const char *url, enum curl_plain plain, int *ret_error)
{
    int r = check_url(url, plain);
    CURL *easy = r < 0 ? NULL : libcurl.easy_init();
    if (easy && set_common(easy, url, (enum route)r))
        return easy;
    libcurl.easy_cleanup(easy);
    *ret_error = r < 0 ? r : -ENOMEM;
    return NULL;
}
