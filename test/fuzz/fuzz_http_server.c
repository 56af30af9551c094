// The server over a socket pair: connections, pipelined requests, answers now and later, and what a
// body is read as.

#include <sys/socket.h>
#include <unistd.h>

#include "channels/webhook/auth.h"
#include "channels/webhook/notification.h"
#include "common/http_conn.h"
#include "test/fuzz/fuzz.h"

static uv_loop_t loop;
static struct http_server *server;
static struct http_request *waiting; // owed an answer
static unsigned opened, ended;       // requests that on_headers let in, and their ends

static int on_headers(struct http_request *r, void *data)
{
    (void)data;
    struct auth_headers h = {.authorization = http_header(r, "Authorization")};
    if (auth_headers_check(&h, "", "") != AUTH_OK || str_is(http_path(r), "/no")) {
        http_respond(r, 404, "text/plain", str_of("no"), NULL);
        return 1;
    }
    opened++;
    return 0;
}

static void on_request(struct http_request *r, void *data)
{
    (void)data;
    struct notification note = {0};
    struct notification_hints hints = {.user_agent = http_header(r, "User-Agent")};
    const char *why;
    ended++;
    if (str_is(http_path(r), "/later")) {
        CHECK(!waiting);
        waiting = r;
        ended--;
        return;
    }
    int e = notification_open(&note, http_body(r), &hints, &why);
    http_respond(r, e == 0 ? 200 : 400, "text/plain", str_of("done"), NULL);
    notification_close(&note);
}

static void on_too_large(struct http_request *r, uint64_t bytes, void *data)
{
    (void)data;
    CHECK(bytes > 256);
    ended++;
    http_respond(r, 413, "text/plain", str_of("too large"), NULL);
}

static void on_abort(struct http_request *r, void *data)
{
    (void)data;
    if (waiting == r)
        waiting = NULL;
    ended++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct http_handler handler = {.on_headers = on_headers,
                                                .on_request = on_request,
                                                .on_too_large = on_too_large,
                                                .on_abort = on_abort};
    static const struct http_limits limits = {.max_body = 256,
                                              .max_bodies = 400,
                                              .max_head = 512,
                                              .max_headers = 8,
                                              .max_connections = 8,
                                              .request_ms = 60000,
                                              .idle_ms = 60000,
                                              .write_ms = 60000};
    (void)argc, (void)argv;
    CHECK(uv_loop_init(&loop) == 0);
    CHECK(http_server_start(&loop, "127.0.0.1:0", false, &limits, &handler, NULL, &server) == 0);
    return 0;
}

static void turn(int fd)
{
    char out[4096];
    ssize_t n;
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    while ((n = recv(fd, out, sizeof out, MSG_DONTWAIT)) > 0)
        ;
}

static void answer_late(int fd)
{
    while (waiting) {
        struct http_request *r = waiting;
        waiting = NULL;
        ended++;
        http_respond(r, 200, "text/plain", str_of("late"), NULL);
        turn(fd); // the next one may be there already
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const struct sockaddr_storage peer = {.ss_family = AF_INET};
    struct str in = {(const char *)bytes, n};
    size_t step = (fuzz_pick(&in, 16) + 1) * 32;
    int fd[2];
    opened = ended = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    CHECK(http_conn_open(server, fd[0], &peer, false) == 0);
    while (in.n) {
        size_t part = step < in.n ? step : in.n;
        if (send(fd[1], in.p, part, MSG_NOSIGNAL) < 0)
            break;
        in = (struct str){in.p + part, in.n - part};
        turn(fd[1]);
        if (step % 64)
            answer_late(fd[1]);
    }
    answer_late(fd[1]);
    close(fd[1]);
    for (int i = 0; i < 8 && server->handles; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(server->handles == 0 && server->live == 0 && server->bodies == 0);
    CHECK(!waiting && opened == ended);
    return 0;
}
