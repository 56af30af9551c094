#include "channels/webhook/console_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/http_address.h"
#include "common/output.h"
#include "common/store.h"

#define MAX_LINE (8u << 20)
#define ANSWER_SECONDS 5
#define FIND_TRIES 50

static int send_line(struct console_peer *p, const struct buf *line)
{
    return line->error ? line->error : write_all(p->to, buf_str(line));
}

static int introduce(struct console_peer *p)
{
    static const char hello[] =
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
        "\"2025-11-25\","
        "\"capabilities\":{},\"clientInfo\":{\"name\":\"console\",\"version\":\"" SRE_VERSION
        "\"}}}\n"
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
    p->next_id = 1;
    return write_all(p->to, str_of(hello));
}

static void run_child(const int in[2], const int out[2])
{
    setpgid(0, 0); // Ctrl-C is the console's: the child ends with its stdin
    if (dup2(in[0], STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0)
        execl("/proc/self/exe", "webhook-channel", (char *)NULL);
    _exit(127);
}

int console_peer_start(struct console_peer *p)
{
    int in[2], out[2];
    *p = (struct console_peer){.in = BUF_INIT(MAX_LINE)};
    if (pipe2(in, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    p->pid = fork();
    if (p->pid < 0)
        return -errno;
    if (p->pid == 0)
        run_child(in, out);
    close(in[0]);
    close(out[1]);
    p->to = in[1];
    p->from = out[0];
    return introduce(p);
}

void console_peer_stop(struct console_peer *p)
{
    int status;
    close(p->to);
    waitpid(p->pid, &status, 0);
    close(p->from);
    buf_done(&p->in);
}

int64_t console_peer_call(struct console_peer *p, const char *tool, const char *args_json)
{
    struct buf line = BUF_INIT(MAX_LINE);
    struct jw w = JW(&line);
    jw_object(&w);
    jw_kstr(&w, "jsonrpc", "2.0");
    jw_kint(&w, "id", p->next_id);
    jw_kstr(&w, "method", "tools/call");
    jw_key(&w, "params");
    jw_object(&w);
    jw_kstr(&w, "name", tool);
    jw_key(&w, "arguments");
    jw_raw(&w, str_of(args_json));
    jw_object_end(&w);
    jw_object_end(&w);
    buf_addc(&line, '\n');
    if (send_line(p, &line) < 0)
        p->next_id = 0; // the child is gone; the next read says so
    buf_done(&line);
    return p->next_id++;
}

int console_peer_read(struct console_peer *p)
{
    char part[65536];
    ssize_t n = read(p->from, part, sizeof part);
    if (n <= 0)
        return n < 0 && errno == EINTR ? 1 : (int)n;
    int r = buf_add(&p->in, part, (size_t)n);
    return r < 0 ? r : 1;
}

cJSON *console_peer_next(struct console_peer *p)
{
    const char *nl = p->in.len ? memchr(p->in.data, '\n', p->in.len) : NULL;
    if (!nl)
        return NULL;
    const char *why;
    size_t n = (size_t)(nl - p->in.data);
    cJSON *message = json_parse((struct str){p->in.data, n}, &why);
    buf_consume(&p->in, n + 1);
    return message ? message : cJSON_CreateNull();
}

// ---- the sender ----

// Where the child listens: it notes that in the store once it does.
static int find_address(const struct console_peer *p, const struct config *c, char *out,
                        size_t size)
{
    struct store *s;
    int r = store_open(c->state_dir, false, &s);
    if (r < 0)
        return r;
    r = -ENOTCONN;
    for (int i = 0; r < 0 && i < FIND_TRIES; i++) {
        struct stmt *q = store_sql(s, "SELECT address FROM listener WHERE pid = ?");
        bind_int(q, 1, p->pid);
        if (stmt_step(q) > 0) {
            snprintf(out, size, "%s", col_text(q, 0));
            r = 0;
        }
        stmt_reset(q);
        if (r < 0)
            usleep(20000);
    }
    store_close(s);
    return r;
}

static int connect_to(const char *address)
{
    struct sockaddr_storage sa;
    socklen_t len;
    struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    int r = http_address_resolve(address, &sa, &len);
    int fd = r < 0 ? -1 : socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return r < 0 ? r : -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&sa, len) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static void add_credentials(struct buf *head, const struct config *c, struct str body)
{
    uint8_t mac[32];
    char hex[65];
    if (c->token[0]) {
        buf_addf(head, "Authorization: Bearer %s\r\n", c->token);
    } else if (c->hmac_secret[0]) {
        hmac_sha256(str_of(c->hmac_secret), body, (struct str){0}, mac);
        hex_encode((struct str){(const char *)mac, sizeof mac}, hex);
        buf_addf(head, "X-Grafana-Alerting-Signature: %s\r\n", hex);
    }
}

static int read_answer(int fd, struct buf *ret_answer)
{
    struct buf all = BUF_INIT(1u << 20);
    char part[4096];
    int status = -EPROTO;
    for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;)
        if (buf_add(&all, part, (size_t)n) < 0)
            break;
    const char *end = all.len ? strstr(buf_cstr(&all), "\r\n\r\n") : NULL;
    if (end && sscanf(buf_cstr(&all), "HTTP/1.1 %3d", &status) == 1)
        buf_adds(ret_answer, end + 4);
    buf_done(&all);
    return status;
}

int console_peer_post(struct console_peer *p, const struct config *c, const char *path,
                      struct str body, struct buf *ret_answer)
{
    char address[HTTP_ADDRESS_SIZE];
    struct buf head = BUF_INIT(8192);
    int r = find_address(p, c, address, sizeof address);
    int fd = r < 0 ? r : connect_to(address);
    if (fd < 0)
        return fd;
    buf_addf(&head,
             "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Alertmanager/\r\nConnection: close\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n",
             path, address, body.n);
    add_credentials(&head, c, body);
    buf_adds(&head, "\r\n");
    r = write_all(fd, buf_str(&head));
    if (r == 0)
        r = write_all(fd, body);
    if (r == 0)
        r = read_answer(fd, ret_answer);
    buf_done(&head);
    close(fd);
    return r;
}
