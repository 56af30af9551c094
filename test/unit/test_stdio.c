#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "common/clock.h"
#include "mcp/channel.h"
#include "mcp/stdio.h"

// A server on descriptors whose other ends the test holds, all on one loop and one thread. The
// test's ends do not block.

#define PATIENCE_MS 5000

struct rig {
    uv_loop_t loop;
    struct mcp_stdio *io;
    struct mcp_server *server;
    int to, from; // what we write to, read from; -1 once closed
    struct buf got;
    unsigned ends;
    int reason;
    unsigned calls;
    struct mcp_call *kept;
    bool stop_in_call;
};

static void on_end(int reason, void *data)
{
    struct rig *r = data;
    r->ends++;
    r->reason = reason;
}

static void call_big(struct mcp_call *call, const cJSON *args, void *data)
{
    struct rig *r = data;
    (void)args;
    char text[8001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    r->calls++;
    mcp_call_finish(call, str_of(text), (struct str){NULL, 0});
}

static void call_keep(struct mcp_call *call, const cJSON *args, void *data)
{
    struct rig *r = data;
    (void)args;
    r->kept = call;
    if (r->stop_in_call)
        mcp_stdio_stop(r->io, 50);
}

static const struct mcp_tool tools[] = {{"big", NULL, "x", NULL, 0, 0, call_big},
                                        {"keep", NULL, "x", NULL, 0, 0, call_keep}};
static struct mcp_server_info info = {
    .name = "t", .version = "1", .tools = tools, .n_tools = ARRAY_LEN(tools)};

static void set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static void rig_start(struct rig *r, int in, int out, int to, int from)
{
    *r = (struct rig){.to = to, .from = from, .got = BUF_INIT(64u << 20)};
    uv_loop_init(&r->loop);
    assert_int_equal(mcp_stdio_open(&r->loop, in, out, on_end, r, &r->io), 0);
    info.data = r;
    r->server = mcp_server_new(&info, mcp_stdio_sink(r->io));
    mcp_stdio_attach(r->io, r->server);
    if (to >= 0)
        set_nonblocking(to);
    if (from >= 0)
        set_nonblocking(from);
}

static void rig_start_pipes(struct rig *r)
{
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    rig_start(r, in[0], out[1], in[1], out[0]);
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

// Reads what is there.
static void rig_read(struct rig *r)
{
    char bytes[65536];
    ssize_t n;
    while (r->from >= 0 && (n = read(r->from, bytes, sizeof bytes)) > 0)
        assert_int_equal(buf_add(&r->got, bytes, (size_t)n), 0);
}

static void turn(struct rig *r)
{
    if (!uv_run(&r->loop, UV_RUN_NOWAIT) || uv_backend_timeout(&r->loop) != 0)
        usleep(200);
}

static size_t count(const struct buf *b, const char *what)
{
    size_t n = 0;
    for (const char *p = buf_cstr(b); (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

// Runs the loop and reads until n lines came, or for PATIENCE_MS.
static void expect_lines(struct rig *r, size_t n)
{
    int64_t deadline = clock_boot_ms() + PATIENCE_MS;
    while (count(&r->got, "\n") < n && clock_boot_ms() < deadline) {
        turn(r);
        rig_read(r);
    }
    assert_int_equal(count(&r->got, "\n"), n);
}

static void expect_end(struct rig *r, int reason)
{
    int64_t deadline = clock_boot_ms() + PATIENCE_MS;
    while (r->ends == 0 && clock_boot_ms() < deadline)
        turn(r);
    assert_int_equal(r->ends, 1);
    assert_int_equal(r->reason, reason);
}

static void rig_send(struct rig *r, const char *text)
{
    size_t n = strlen(text);
    assert_int_equal(write(r->to, text, n), n);
}

// Stops, lets the loop run out, and checks that nothing is left of it.
static void rig_done(struct rig *r, unsigned flush_ms)
{
    int64_t start = clock_boot_ms();
    mcp_stdio_stop(r->io, flush_ms);
    mcp_stdio_stop(r->io, flush_ms);
    while (uv_run(&r->loop, UV_RUN_NOWAIT)) {
        rig_read(r);
        usleep(200);
        assert_true(clock_boot_ms() - start < PATIENCE_MS);
    }
    rig_read(r);
    assert_true(r->ends <= 1);
    mcp_server_free(r->server);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    shut(&r->to);
    shut(&r->from);
    buf_done(&r->got);
}

#define PING(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"ping\"}\n"
#define PONG(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{}}\n"
#define CALL(id, tool)                                                                             \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"" tool    \
    "\"}}\n"
#define HELLO                                                                                      \
    "{\"jsonrpc\":\"2.0\",\"id\":\"hi\",\"method\":\"initialize\",\"params\":{"                    \
    "\"protocolVersion\":\"2025-11-25\"}}\n"                                                       \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"

static void talk(struct rig *r)
{
    rig_send(r, PING("1"));
    expect_lines(r, 1);
    rig_send(r, PING("2") "\n" PING("3") "{\"jsonrpc\":\"2.0\",");
    expect_lines(r, 3);
    rig_send(r, "\"id\":4,\"method\":\"ping\"}\n");
    expect_lines(r, 4);
    assert_string_equal(buf_cstr(&r->got), PONG("1") PONG("2") PONG("3") PONG("4"));
}

static void test_pipes(void **state)
{
    (void)state;
    struct rig r;
    rig_start_pipes(&r);
    talk(&r);
    shut(&r.to);
    expect_end(&r, 0);
    rig_done(&r, 100);
}

static void test_one_socket_for_both(void **state)
{
    (void)state;
    struct rig r;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    rig_start(&r, pair[0], dup(pair[0]), pair[1], dup(pair[1]));
    talk(&r);
    shutdown(r.to, SHUT_WR); // still reading
    rig_read(&r);
    expect_end(&r, 0);
    rig_done(&r, 100);
}

static void test_tcp(void **state)
{
    (void)state;
    struct rig r;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, n), 0);
    int server = accept(listener, NULL, NULL);
    close(listener);
    rig_start(&r, server, dup(server), client, dup(client));
    talk(&r);
    // A reset is an end like any other.
    struct linger now = {1, 0};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    shut(&r.from);
    shut(&r.to);
    expect_end(&r, 0);
    rig_done(&r, 100);
}

static void test_files(void **state)
{
    (void)state;
    struct rig r;
    FILE *in = tmpfile(), *out = tmpfile();
    for (int i = 0; i < 5000; i++)
        fprintf(in, PING("%d"), i);
    fputs("{\"jsonrpc\":\"2.0\",\"id\":\"last\",\"method\":\"ping\"}", in); // no newline
    rewind(in);
    rig_start(&r, dup(fileno(in)), dup(fileno(out)), -1, -1);
    expect_end(&r, 0);
    rig_done(&r, 100);
    rewind(out);
    char line[256], want[256];
    for (int i = 0; i < 5000; i++) {
        snprintf(want, sizeof want, PONG("%d"), i);
        assert_non_null(fgets(line, sizeof line, out));
        assert_string_equal(line, want);
    }
    assert_non_null(fgets(line, sizeof line, out));
    assert_string_equal(line, PONG("\"last\""));
    assert_null(fgets(line, sizeof line, out));
    fclose(in);
    fclose(out);
}

static void test_devices(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, open("/dev/null", O_RDONLY), open("/dev/null", O_WRONLY), -1, -1);
    expect_end(&r, 0);
    rig_done(&r, 100);

    int in[2];
    assert_int_equal(pipe(in), 0);
    rig_start(&r, in[0], open("/dev/full", O_WRONLY), in[1], -1);
    rig_send(&r, PING("1"));
    expect_end(&r, -ENOSPC);
    rig_done(&r, 100);
}

static void test_terminal(void **state)
{
    (void)state;
    struct rig r;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY), shared = dup(slave);
    struct termios raw;
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    rig_start(&r, slave, dup(slave), master, dup(master));
    talk(&r);
    assert_false(fcntl(shared, F_GETFL) & O_NONBLOCK); // not even while it runs
    rig_done(&r, 100);
    close(shared);
}

static void test_refused_descriptors(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct mcp_stdio *io = NULL;
    int in[2], datagrams[2], event = eventfd(0, 0);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams), 0);
    uv_loop_init(&loop);
    assert_int_equal(mcp_stdio_open(&loop, 1000, in[1], on_end, NULL, &io), -EBADF);
    assert_int_equal(mcp_stdio_open(&loop, in[0], 1000, on_end, NULL, &io), -EBADF);
    assert_int_equal(mcp_stdio_open(&loop, event, in[1], on_end, NULL, &io), -ENOTSUP);
    assert_int_equal(mcp_stdio_open(&loop, in[0], datagrams[0], on_end, NULL, &io), -ENOTSUP);
    assert_null(io);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    close(in[0]);
    close(in[1]);
    close(datagrams[0]);
    close(datagrams[1]);
    close(event);
}

static void test_blocking_mode_is_put_back(void **state)
{
    (void)state;
    struct rig r;
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
    int shared_in = dup(in[0]), shared_out = dup(out[0]);
    rig_start(&r, in[0], out[0], in[1], out[1]);
    talk(&r);
    rig_done(&r, 100);
    assert_false(fcntl(shared_in, F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(shared_out, F_GETFL) & O_NONBLOCK);

    // What did not block before does not block after.
    set_nonblocking(shared_in);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
    rig_start(&r, dup(shared_in), out[0], -1, out[1]);
    rig_done(&r, 100);
    assert_true(fcntl(shared_in, F_GETFL) & O_NONBLOCK);
    close(shared_in);
    close(shared_out);
}

static void test_end_comes_after_all_answers(void **state)
{
    (void)state;
    struct rig r;
    rig_start_pipes(&r);
    rig_send(&r, HELLO);
    for (int i = 0; i < 20; i++)
        rig_send(&r, CALL("7", "big"));
    rig_send(&r, "{\"jsonrpc\":\"2.0\",\"id\":\"rest\",\"method\":\"ping\"}");
    shut(&r.to);
    expect_end(&r, 0);
    assert_int_equal(r.calls, 20);
    rig_done(&r, 1000);
}

static void test_reader_gone(void **state)
{
    (void)state;
    struct rig r;
    rig_start_pipes(&r);
    rig_send(&r, HELLO);
    expect_lines(&r, 1);
    shut(&r.from);
    rig_send(&r, PING("1"));
    expect_end(&r, -EPIPE);
    assert_int_equal(channel_event(r.server, str_of("x"), NULL, 0), -EPIPE);
    rig_done(&r, 100);
}

static void test_long_line(void **state)
{
    (void)state;
    struct rig r;
    char chunk[4096];
    rig_start_pipes(&r);
    memset(chunk, 'x', sizeof chunk);
    for (size_t sent = 0; sent < STDIO_MAX_LINE + 2 * sizeof chunk;) {
        ssize_t n = write(r.to, chunk, sizeof chunk);
        if (n > 0)
            sent += (size_t)n;
        else
            turn(&r);
    }
    expect_lines(&r, 1);
    assert_non_null(strstr(buf_cstr(&r.got), "\"id\":null,\"error\":{\"code\":-32600,"));
    while (write(r.to, "\n", 1) != 1)
        turn(&r);
    rig_send(&r, PING("1"));
    expect_lines(&r, 2);
    assert_non_null(strstr(buf_cstr(&r.got), PONG("1")));
    rig_done(&r, 100);
}

// Sends calls without reading a byte until nothing moves any more; returns how many went in.
static size_t flood(struct rig *r)
{
    const char *request = CALL("7", "big");
    size_t n = strlen(request), sent = 0;
    int64_t quiet_since = clock_boot_ms();
    while (clock_boot_ms() - quiet_since < 100) {
        while (write(r->to, request, n) == (ssize_t)n) {
            sent++;
            quiet_since = clock_boot_ms();
        }
        turn(r);
    }
    return sent;
}

static void rig_start_flooded(struct rig *r, size_t *ret_sent)
{
    rig_start_pipes(r);
    fcntl(r->to, F_SETPIPE_SZ, 4096);
    rig_send(r, HELLO);
    *ret_sent = flood(r);
}

static void test_full_stdout(void **state)
{
    (void)state;
    struct rig r;
    size_t sent;
    rig_start_flooded(&r, &sent);
    // It went on until STDIO_PAUSE bytes waited besides the 64 KB in the pipe, and then stopped.
    assert_true(r.calls >= STDIO_PAUSE / 8100 && r.calls < (STDIO_PAUSE + 65536) / 8000 + 3);
    assert_true(sent > r.calls); // the rest was not even read
    assert_int_equal(channel_event(r.server, str_of("x"), NULL, 0), -ENOBUFS);
    assert_true(channel_permission_answer(r.server, "abcde", true) > 0);
    assert_int_equal(r.ends, 0);
    // The reader comes back: every request is answered, and once.
    expect_lines(&r, sent + 2);
    assert_int_equal(r.calls, sent);
    assert_true(channel_event(r.server, str_of("x"), NULL, 0) > 0);
    expect_lines(&r, sent + 3);
    rig_done(&r, 100);
}

static void test_client_that_neither_reads_nor_writes_is_gone(void **state)
{
    (void)state;
    struct rig r;
    size_t sent;
    rig_start_flooded(&r, &sent);
    shut(&r.to);
    int64_t start = clock_boot_ms();
    expect_end(&r, 0);
    assert_true(clock_boot_ms() - start < 1000);
    shut(&r.from);
    rig_done(&r, 100);
}

static void test_slow_reader_gets_all(void **state)
{
    (void)state;
    struct rig r;
    size_t sent;
    rig_start_flooded(&r, &sent);
    shut(&r.to); // a client that has said all it has to say
    char bytes[16384];
    int64_t next = 0, deadline = clock_boot_ms() + 4 * PATIENCE_MS;
    while (r.ends == 0 && clock_boot_ms() < deadline) {
        turn(&r);
        if (clock_boot_ms() < next)
            continue;
        next = clock_boot_ms() + 5;
        ssize_t n = read(r.from, bytes, sizeof bytes);
        if (n > 0)
            buf_add(&r.got, bytes, (size_t)n);
    }
    assert_int_equal(r.ends, 1);
    assert_int_equal(r.reason, 0);
    assert_int_equal(r.calls, sent);
    rig_done(&r, 1000);
}

static void test_stop_does_not_wait_for_a_reader(void **state)
{
    (void)state;
    struct rig r;
    size_t sent;
    rig_start_flooded(&r, &sent);
    int from = r.from;
    r.from = -1; // rig_done is not to read
    int64_t start = clock_boot_ms();
    rig_done(&r, 60);
    int64_t took = clock_boot_ms() - start;
    assert_true(took >= 50 && took < 1000);
    close(from);
}

static void test_late_answer_after_stop(void **state)
{
    (void)state;
    struct rig r;
    rig_start_pipes(&r);
    r.stop_in_call = true;
    rig_send(&r, HELLO CALL("1", "keep") PING("2"));
    int64_t deadline = clock_boot_ms() + PATIENCE_MS;
    while (uv_run(&r.loop, UV_RUN_NOWAIT) && clock_boot_ms() < deadline)
        usleep(200);
    rig_read(&r);
    assert_int_equal(count(&r.got, "\n"), 1); // nothing is dispatched behind the stop
    mcp_call_finish(r.kept, str_of("late"), (struct str){NULL, 0});
    assert_int_equal(mcp_server_calls(r.server), 0);
    mcp_server_free(r.server);
    assert_int_equal(uv_loop_close(&r.loop), 0);
    shut(&r.to);
    shut(&r.from);
    buf_done(&r.got);
}

static void test_attach_later(void **state)
{
    (void)state;
    struct rig r;
    rig_start_pipes(&r);
    mcp_stdio_attach(r.io, NULL);
    rig_send(&r, PING("1"));
    for (int i = 0; i < 20; i++)
        turn(&r);
    rig_read(&r);
    assert_int_equal(r.got.len, 0);
    mcp_stdio_attach(r.io, r.server);
    expect_lines(&r, 1);
    rig_done(&r, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_one_socket_for_both),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_refused_descriptors),
        cmocka_unit_test(test_blocking_mode_is_put_back),
        cmocka_unit_test(test_end_comes_after_all_answers),
        cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_full_stdout),
        cmocka_unit_test(test_client_that_neither_reads_nor_writes_is_gone),
        cmocka_unit_test(test_slow_reader_gets_all),
        cmocka_unit_test(test_stop_does_not_wait_for_a_reader),
        cmocka_unit_test(test_late_answer_after_stop),
        cmocka_unit_test(test_attach_later),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
