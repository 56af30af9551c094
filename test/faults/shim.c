// Preloaded into a program under test: the FAULT_AT-th call of the kind FAULT_KIND fails, as it
// does on a machine that is out of memory, disk or luck. FAULT_REPORT is a file of two 64-bit
// numbers: how many such calls there were, and whether one was failed. With FAULT_TRACE stderr is
// told where. FAULT_STACKS is a file that gets a line for each different way that led to such a
// call: its number, a blank, and a hash that is the same in each run; FAULT_STACK is such a hash:
// the first call with it fails.
//
// alloc   malloc, calloc, realloc: by the program, SQLite, cJSON and libcurl. libuv aborts where
//         it cannot grow its table of watchers, and libc is not ours.
// write   write, writev, pwrite: no space in a file, a broken pipe elsewhere
// sync    fsync, fdatasync, ftruncate: an I/O error
// sqlite  sqlite3_open_v2, _prepare_v2, _prepare_v3, _step, _exec: an I/O error, a full disk, a
// lock
//         or no memory, in turn
// socket  socket, bind, listen, accept4, connect, send, sendmsg, recv, recvmsg, and read on a
// socket

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

struct sqlite3;
struct sqlite3_stmt;

enum kind { NONE, ALLOC, WRITE, SYNC, SQLITE, SOCKET };
static const char *const kinds[] = {"", "alloc", "write", "sync", "sqlite", "socket"};

struct report {
    _Atomic uint64_t calls, failed;
};
static struct report *report;
static enum kind kind;
static uint64_t fail_at, fail_stack;
static int stacks = -1; // FAULT_STACKS

__attribute__((constructor)) static void start(void)
{
    const char *named = getenv("FAULT_KIND"), *at = getenv("FAULT_AT"),
               *file = getenv("FAULT_REPORT");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0 || !named)
        return;
    void *p = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return;
    report = p;
    fail_at = at ? strtoull(at, NULL, 10) : 0;
    const char *stack = getenv("FAULT_STACK"), *stacks_file = getenv("FAULT_STACKS");
    fail_stack = stack ? strtoull(stack, NULL, 16) : 0;
    if (stacks_file)
        stacks = open(stacks_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], named) == 0)
            kind = (enum kind)i;
    unsetenv("LD_PRELOAD"); // not for what it starts
}

// ---- the way that led to a call ----

enum { STACK_DEPTH = 24, STACKS_MAX = 1 << 16 };

struct walk {
    uint64_t hash;
    unsigned depth;
};

// A frame counts by where it is in its library, wherever that was loaded.
static _Unwind_Reason_Code add_frame(struct _Unwind_Context *c, void *data)
{
    struct walk *w = data;
    struct dl_find_object where;
    void *pc = (void *)_Unwind_GetIP(c);
    if (!pc || _dl_find_object(pc, &where) < 0)
        return _URC_END_OF_STACK;
    w->hash = (w->hash ^ ((uintptr_t)pc - where.dlfo_link_map->l_addr)) * 1099511628211u;
    w->hash ^= w->hash >> 29;
    return ++w->depth < STACK_DEPTH ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static uint64_t stack_hash(void)
{
    struct walk w = {14695981039346656037u, 0};
    _Unwind_Backtrace(add_frame, &w);
    return w.hash ? w.hash : 1;
}

// Has it not been seen before? A set that never forgets; a collision loses one stack in 2^48.
static bool is_new(uint64_t hash)
{
    static _Atomic uint64_t seen[STACKS_MAX];
    for (size_t i = 0; i < STACKS_MAX; i++) {
        uint64_t none = 0;
        _Atomic uint64_t *slot = &seen[(hash + i) % STACKS_MAX];
        if (atomic_compare_exchange_strong(slot, &none, hash))
            return true;
        if (none == hash)
            return false;
    }
    return false;
}

static void note_stack(uint64_t n, uint64_t hash)
{
    char line[64];
    size_t at = sizeof line;
    line[--at] = '\n';
    for (; hash; hash >>= 4)
        line[--at] = "0123456789abcdef"[hash & 15];
    line[--at] = ' ';
    for (; n; n /= 10)
        line[--at] = (char)('0' + n % 10);
    if (syscall(SYS_write, stacks, line + at, sizeof line - at) < 0)
        abort();
}

// Is it this call's turn?
static bool is_turn(uint64_t n)
{
    static _Thread_local bool within; // the unwinder may allocate
    static atomic_bool done;
    if ((stacks < 0 && !fail_stack) || within)
        return n == fail_at;
    within = true;
    uint64_t hash = stack_hash();
    within = false;
    if (stacks >= 0 && is_new(hash))
        note_stack(n, hash);
    return n == fail_at || (hash == fail_stack && !atomic_exchange(&done, true));
}

static bool fails(enum kind k)
{
    if (kind != k || !is_turn(atomic_fetch_add(&report->calls, 1) + 1))
        return false;
    atomic_fetch_add(&report->failed, 1);
    if (getenv("FAULT_TRACE")) {
        void *frames[32];
        backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
    }
    return true;
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

#define REAL(name)                                                                                 \
    static __typeof__(&name) real_##name;                                                          \
    if (!real_##name)                                                                              \
    *(void **)&real_##name = real(#name)

// ---- memory ----

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static bool is_library(const char *path, const char *name)
{
    const char *base = strrchr(path, '/');
    return strncmp(base ? base + 1 : path, name, strlen(name)) == 0;
}

// Calls from the program itself and from the libraries that are to be tested with it.
static bool counts(const void *caller)
{
    static const char *const tested[] = {"libsqlite3.", "libcjson.", "libcurl.", "libwslay."};
    struct dl_find_object where;
    if (kind != ALLOC || _dl_find_object((void *)(uintptr_t)caller, &where) < 0)
        return false;
    const char *path = where.dlfo_link_map->l_name;
    for (size_t i = 0; i < sizeof tested / sizeof *tested; i++)
        if (is_library(path, tested[i]))
            return true;
    return !*path; // the program's is empty
}

#define NO_MEMORY() (counts(__builtin_return_address(0)) && fails(ALLOC) && (errno = ENOMEM))

void *malloc(size_t n)
{
    return NO_MEMORY() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return NO_MEMORY() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return NO_MEMORY() ? NULL : __libc_realloc(p, n);
}

// ---- files and pipes ----

static bool is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

// To a file or a socket, which stdin and stdout are, too; not to stderr, nor to the pipes by which
// libuv locks and wakes itself: these cannot fail.
static bool fails_write(int fd)
{
    struct stat st;
    if (kind != WRITE || fd == 2 || fstat(fd, &st) < 0)
        return false;
    if ((!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)) || !fails(WRITE))
        return false;
    errno = S_ISREG(st.st_mode) ? ENOSPC : EPIPE;
    return true;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    REAL(write);
    return fails_write(fd) ? -1 : real_write(fd, bytes, n);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev);
    return fails_write(fd) ? -1 : real_writev(fd, parts, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    REAL(pwrite);
    return fails_write(fd) ? -1 : real_pwrite(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    REAL(pwrite64);
    return fails_write(fd) ? -1 : real_pwrite64(fd, bytes, n, at);
}

#define FAIL(k, number) (fails(k) && (errno = (number)))

int fsync(int fd)
{
    REAL(fsync);
    return FAIL(SYNC, EIO) ? -1 : real_fsync(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return FAIL(SYNC, EIO) ? -1 : real_fdatasync(fd);
}

int ftruncate(int fd, off_t n)
{
    REAL(ftruncate);
    return FAIL(SYNC, EIO) ? -1 : real_ftruncate(fd, n);
}

int ftruncate64(int fd, off64_t n)
{
    REAL(ftruncate64);
    return FAIL(SYNC, EIO) ? -1 : real_ftruncate64(fd, n);
}

// ---- SQLite ----

// Not for SQLite's own calls: what it would do with a failure that never happened within is nothing
// that a machine does.
static int sqlite_fault_of(const void *caller)
{
    static const int results[] = {10, 13, 5, 7}; // SQLITE_IOERR, _FULL, _BUSY, _NOMEM
    struct dl_find_object where;
    if (kind != SQLITE || _dl_find_object((void *)(uintptr_t)caller, &where) < 0 ||
        is_library(where.dlfo_link_map->l_name, "libsqlite3"))
        return 0;
    return fails(SQLITE) ? results[fail_at % 4] : 0;
}

#define sqlite_fault() sqlite_fault_of(__builtin_return_address(0))

int sqlite3_open_v2(const char *path, struct sqlite3 **ret, int flags, const char *vfs);
int sqlite3_prepare_v2(struct sqlite3 *db, const char *sql, int n, struct sqlite3_stmt **ret,
                       const char **tail);
int sqlite3_prepare_v3(struct sqlite3 *db, const char *sql, int n, unsigned flags,
                       struct sqlite3_stmt **ret, const char **tail);
int sqlite3_step(struct sqlite3_stmt *q);
int sqlite3_exec(struct sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                 void *data, char **ret_error);

int sqlite3_open_v2(const char *path, struct sqlite3 **ret, int flags, const char *vfs)
{
    REAL(sqlite3_open_v2);
    int r = sqlite_fault();
    if (r)
        *ret = NULL;
    return r ? r : real_sqlite3_open_v2(path, ret, flags, vfs);
}

int sqlite3_prepare_v2(struct sqlite3 *db, const char *sql, int n, struct sqlite3_stmt **ret,
                       const char **tail)
{
    REAL(sqlite3_prepare_v2);
    int r = sqlite_fault();
    if (r)
        *ret = NULL;
    return r ? r : real_sqlite3_prepare_v2(db, sql, n, ret, tail);
}

int sqlite3_prepare_v3(struct sqlite3 *db, const char *sql, int n, unsigned flags,
                       struct sqlite3_stmt **ret, const char **tail)
{
    REAL(sqlite3_prepare_v3);
    int r = sqlite_fault();
    if (r)
        *ret = NULL;
    return r ? r : real_sqlite3_prepare_v3(db, sql, n, flags, ret, tail);
}

int sqlite3_step(struct sqlite3_stmt *q)
{
    REAL(sqlite3_step);
    int r = sqlite_fault();
    return r ? r : real_sqlite3_step(q);
}

int sqlite3_exec(struct sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                 void *data, char **ret_error)
{
    REAL(sqlite3_exec);
    int r = sqlite_fault();
    if (r && ret_error)
        *ret_error = NULL;
    return r ? r : real_sqlite3_exec(db, sql, row, data, ret_error);
}

// ---- sockets ----

int socket(int domain, int type, int protocol)
{
    REAL(socket);
    return FAIL(SOCKET, EMFILE) ? -1 : real_socket(domain, type, protocol);
}

int bind(int fd, const struct sockaddr *to, socklen_t n)
{
    REAL(bind);
    return FAIL(SOCKET, EADDRINUSE) ? -1 : real_bind(fd, to, n);
}

int listen(int fd, int backlog)
{
    REAL(listen);
    return FAIL(SOCKET, EADDRINUSE) ? -1 : real_listen(fd, backlog);
}

int accept4(int fd, struct sockaddr *peer, socklen_t *n, int flags)
{
    REAL(accept4);
    return FAIL(SOCKET, EMFILE) ? -1 : real_accept4(fd, peer, n, flags);
}

int connect(int fd, const struct sockaddr *to, socklen_t n)
{
    REAL(connect);
    return FAIL(SOCKET, ECONNREFUSED) ? -1 : real_connect(fd, to, n);
}

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    REAL(send);
    return FAIL(SOCKET, ECONNRESET) ? -1 : real_send(fd, bytes, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    REAL(sendmsg);
    return FAIL(SOCKET, ECONNRESET) ? -1 : real_sendmsg(fd, m, flags);
}

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    REAL(recv);
    return FAIL(SOCKET, ECONNRESET) ? -1 : real_recv(fd, to, n, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    REAL(recvmsg);
    return FAIL(SOCKET, ECONNRESET) ? -1 : real_recvmsg(fd, m, flags);
}

ssize_t read(int fd, void *to, size_t n)
{
    REAL(read);
    if (kind == SOCKET && is_socket(fd) && FAIL(SOCKET, ECONNRESET))
        return -1;
    return real_read(fd, to, n);
}
