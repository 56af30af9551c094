// What test/bench/run measures with, so that the measuring itself costs next to nothing.
//
//   bench_load post PORT CONNECTIONS ALERTS MIX SALT seconds N | posts N
//       Posts Alertmanager bodies of ALERTS alerts over kept-alive connections to 127.0.0.1, the
//       next one of a connection when its last is answered, for N seconds or N posts in all. Waits
//       for every answer; prints one line of JSON. Of four alerts one is of a new problem, one is a
//       new member of a recent problem, two repeat a recent alert. The fingerprint of the n-th
//       distinct alert is SALT (8 hex digits) and n (8 hex digits).
//   bench_load spawn line|exit FILE -- COMMAND...
//       Starts COMMAND with FILE as the beginning of its stdin; prints the microseconds until its
//       first line, or until it ended.
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    HEAD_ROOM = 256,        // before the body, for the head that tells its length
    ALERT_MAX = 2048,       // bytes of one alert's text
    ANSWER_MAX = 256 << 10, // of one answer: ours names each incident
    LATENCIES_MAX = 4 << 20,
    RECENT = 1000, // how far back a repeat, or the problem of a new member, may be
};

struct connection {
    int fd;
    bool waiting;
    uint64_t sent_at;
    size_t length; // of answer
    char *answer;
};

struct load {
    struct connection connections[CONNECTIONS_MAX];
    size_t connection_count;
    unsigned alerts_per_post;
    const char *mix; // four letters
    const char *salt;
    char *request;     // HEAD_ROOM, then the body
    uint64_t alerts;   // made so far
    uint32_t distinct; // fingerprints
    uint32_t problems;
    uint32_t *problem_of; // of each distinct alert
    size_t problem_of_size;
    uint64_t posts, accepted_not_200;
    uint32_t *latencies; // microseconds x 10
    size_t latency_count;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *take(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        fail("memory");
    return memory;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t note_distinct(struct load *l, uint32_t problem)
{
    if (l->distinct == l->problem_of_size) {
        l->problem_of_size = l->problem_of_size ? l->problem_of_size * 2 : 1 << 16;
        l->problem_of = realloc(l->problem_of, l->problem_of_size * sizeof *l->problem_of);
        if (!l->problem_of)
            fail("memory");
    }
    l->problem_of[l->distinct] = problem;
    return l->distinct++;
}

// Which alert comes next, by the mix. The first is always of a new problem.
static uint32_t next_alert(struct load *l)
{
    uint64_t n = l->alerts++;
    uint32_t back = (uint32_t)(n * 2654435761u % RECENT);
    char kind = l->distinct ? l->mix[n % 4] : 'n';
    if (kind == 'n')
        return note_distinct(l, l->problems++);
    if (kind == 'm')
        return note_distinct(l, l->problems - 1 - back % l->problems);
    return l->distinct - 1 - back % l->distinct;
}

static size_t write_alert(struct load *l, char *to)
{
    static const char *const severities[] = {"warning", "error", "info", "critical"};
    uint32_t id = next_alert(l), p = l->problem_of[id];
    int n = snprintf(
        to, ALERT_MAX,
        "{\"status\":\"firing\",\"labels\":{\"alertname\":\"KubePodCrashLooping%u\",\"cluster\":"
        "\"platform-%s-%u\","
        "\"container\":\"app\",\"endpoint\":\"http\",\"instance\":\"10.%u.%u.%u:8080\",\"job\":"
        "\"kube-state-metrics\","
        "\"namespace\":\"team-%u\",\"pod\":\"svc-%s-%u-7c9d8b5f4-%05x\",\"prometheus\":"
        "\"monitoring/k8s\","
        "\"service\":\"svc-%s-%u\",\"severity\":\"%s\",\"uid\":\"5d0c1f9e-1be7-4d0b-9c1b-%08x\"},"
        "\"annotations\":{\"description\":\"Pod team-%u/svc-%u-7c9d8b5f4-%05x (app) is in waiting "
        "state (reason: CrashLoopBackOff) "
        "for longer than 15 "
        "minutes.\",\"runbook_url\":\"https://runbooks.example.com/kubernetes/"
        "kubepodcrashlooping\","
        "\"summary\":\"Pod is crash "
        "looping.\"},\"startsAt\":\"2026-11-24T03:12:09.123Z\",\"endsAt\":\"0001-01-01T00:00:00Z\","
        "\"generatorURL\":\"https://prometheus.example.com/"
        "graph?g0.expr=max_over_time%%28kube_pod_container_status_waiting"
        "%%5B5m%%5D%%29+%%3E%%3D+1&g0.tab=1\",\"fingerprint\":\"%s%08x\"}",
        p % 20, p % 3 ? "dev" : "prod", p % 5, id >> 16 & 255, id >> 8 & 255, id & 255, p % 10,
        l->salt, p, id, l->salt, p, severities[p % 4], id, p % 10, p, id, l->salt, id);
    if (n < 0 || n >= ALERT_MAX)
        fail("an alert is too long");
    return (size_t)n;
}

// Returns where the request begins.
static char *write_request(struct load *l, size_t *ret_length)
{
    static const char begin[] = "{\"receiver\":\"sre\",\"status\":\"firing\",\"alerts\":[";
    static const char end[] = "],\"groupLabels\":{},\"commonLabels\":{},\"commonAnnotations\":{},"
                              "\"externalURL\":\"https://"
                              "alertmanager.example.com\",\"version\":\"4\",\"groupKey\":\"{}:{}\","
                              "\"truncatedAlerts\":0}";
    char *body = l->request + HEAD_ROOM, *at = body;
    at = (char *)memcpy(at, begin, sizeof begin - 1) + sizeof begin - 1;
    for (unsigned i = 0; i < l->alerts_per_post; i++) {
        if (i)
            *at++ = ',';
        at += write_alert(l, at);
    }
    at = (char *)memcpy(at, end, sizeof end - 1) + sizeof end - 1;
    char head[HEAD_ROOM];
    int head_length = snprintf(head, sizeof head,
                               "POST /webhook/alertmanager HTTP/1.1\r\nHost: "
                               "127.0.0.1\r\nUser-Agent: Alertmanager/0.27.0\r\n"
                               "Content-Type: application/json\r\nContent-Length: %td\r\n\r\n",
                               at - body);
    char *start = body - head_length;
    memcpy(start, head, (size_t)head_length);
    *ret_length = (size_t)(at - start);
    return start;
}

static void send_next(struct load *l, struct connection *c)
{
    size_t length;
    char *from = write_request(l, &length);
    c->sent_at = now_ns();
    c->waiting = true;
    c->length = 0;
    while (length) {
        ssize_t n = send(c->fd, from, length, MSG_NOSIGNAL);
        if (n < 0)
            fail("send");
        from += n;
        length -= (size_t)n;
    }
    l->posts++;
}

// True once the answer is whole.
static bool read_answer(struct load *l, struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->length, ANSWER_MAX - 1 - c->length, 0);
    if (n <= 0)
        fail("the server closed a connection");
    c->length += (size_t)n;
    c->answer[c->length] = 0;
    const char *body = strstr(c->answer, "\r\n\r\n");
    if (!body)
        return false;
    const char *told = strcasestr(c->answer, "\r\ncontent-length:");
    if (!told || told > body)
        fail("an answer without a length");
    if (c->length < (size_t)(body + 4 - c->answer) + strtoul(told + 17, NULL, 10))
        return false;
    uint64_t took = (now_ns() - c->sent_at) / 100;
    if (l->latency_count < LATENCIES_MAX)
        l->latencies[l->latency_count++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    if (strncmp(c->answer + 8, " 200", 4) != 0)
        l->accepted_not_200++;
    c->waiting = false;
    return true;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct load *l, unsigned percent)
{
    return l->latency_count ? l->latencies[(l->latency_count - 1) * percent / 100] / 10.0 : 0;
}

static void run_posts(struct load *l, uint64_t end_ns, uint64_t posts_max)
{
    int poll = epoll_create1(0);
    for (size_t i = 0; i < l->connection_count; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, l->connections[i].fd, &e))
            fail("epoll");
    }
    size_t waiting = 0;
    for (size_t i = 0; i < l->connection_count && l->posts < posts_max; i++, waiting++)
        send_next(l, &l->connections[i]);
    while (waiting) {
        struct epoll_event ready[CONNECTIONS_MAX];
        int n = epoll_wait(poll, ready, CONNECTIONS_MAX, 30000);
        if (n <= 0)
            fail("no answer for 30 s");
        for (int i = 0; i < n; i++) {
            struct connection *c = &l->connections[ready[i].data.u32];
            if (!read_answer(l, c))
                continue;
            if (now_ns() < end_ns && l->posts < posts_max)
                send_next(l, c);
            else
                waiting--;
        }
    }
    close(poll);
}

static int post_main(char **words)
{
    static struct load l;
    l.connection_count = strtoul(words[1], NULL, 10);
    l.alerts_per_post = (unsigned)strtoul(words[2], NULL, 10);
    l.mix = words[3];
    l.salt = words[4];
    bool timed = !strcmp(words[5], "seconds");
    double limit = strtod(words[6], NULL);
    if (!l.connection_count || l.connection_count > CONNECTIONS_MAX || !l.alerts_per_post ||
        strlen(l.salt) != 8)
        return 2;
    l.request = take(HEAD_ROOM + 1024 + (size_t)l.alerts_per_post * ALERT_MAX);
    l.latencies = take(LATENCIES_MAX * sizeof *l.latencies);
    for (size_t i = 0; i < l.connection_count; i++)
        l.connections[i] = (struct connection){
            .fd = connect_to((uint16_t)strtoul(words[0], NULL, 10)), .answer = take(ANSWER_MAX)};

    uint64_t begin = now_ns();
    run_posts(&l, timed ? begin + (uint64_t)(limit * 1e9) : UINT64_MAX,
              timed ? UINT64_MAX : (uint64_t)limit);
    double seconds = (double)(now_ns() - begin) / 1e9;
    qsort(l.latencies, l.latency_count, sizeof *l.latencies, by_value);
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    printf(
        "{\"posts\":%" PRIu64 ",\"alerts\":%" PRIu64 ",\"distinct\":%" PRIu32
        ",\"problems\":%" PRIu32 ",\"not_200\":%" PRIu64
        ",\"seconds\":%.4f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"own_cpu_s\":%.3f}\n",
        l.posts, l.alerts, l.distinct, l.problems, l.accepted_not_200, seconds, percentile(&l, 50),
        percentile(&l, 99), percentile(&l, 100),
        (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
            (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6);
    return 0;
}

static size_t read_file(const char *name, char *to, size_t size)
{
    FILE *f = fopen(name, "r");
    if (!f)
        fail(name);
    size_t n = fread(to, 1, size, f);
    fclose(f);
    return n;
}

static int spawn_main(const char *until, const char *file, char **command)
{
    extern char **environ;
    static char input[64 << 10], output[64 << 10];
    size_t length = read_file(file, input, sizeof input);
    int in[2], out[2];
    if (pipe(in) || pipe(out))
        fail("pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
    for (int i = 0; i < 4; i++)
        posix_spawn_file_actions_addclose(&actions, i < 2 ? in[i] : out[i - 2]);
    pid_t pid;
    uint64_t begin = now_ns();
    int error = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
    if (error) {
        errno = error;
        fail(command[0]);
    }
    close(in[0]);
    close(out[1]);
    if (write(in[1], input, length) != (ssize_t)length)
        fail("its stdin");
    bool whole = !strcmp(until, "exit");
    if (whole)
        close(in[1]);
    size_t got = 0;
    for (ssize_t n; (n = read(out[0], output + got, sizeof output - got)) > 0;) {
        got += (size_t)n;
        if (!whole && memchr(output, '\n', got))
            break;
    }
    if (!got)
        fail("it wrote nothing");
    if (!whole)
        printf("%.1f\n", (double)(now_ns() - begin) / 1e3);
    if (!whole)
        kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (whole)
        printf("%.1f\n", (double)(now_ns() - begin) / 1e3);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 9 && !strcmp(argv[1], "post"))
        return post_main(argv + 2);
    if (argc > 5 && !strcmp(argv[1], "spawn") && !strcmp(argv[4], "--"))
        return spawn_main(argv[2], argv[3], argv + 5);
    fprintf(stderr, "usage: see the head of load.c\n");
    return 2;
}
