// The door: whether it is locked, and who stands in it.

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channels/webhook/doctor.h"
#include "common/http_address.h"
#include "common/lease.h"

#define TOKEN_MIN 16

static void check_token(struct doctor *d)
{
    const struct config *c = d->config;
    char mend[4400];
    size_t n = strlen(c->token);
    snprintf(mend, sizeof mend, "echo \"WEBHOOK_TOKEN=$(openssl rand -hex 32)\" >>'%s'", c->file);
    if (!c->token[0] && !c->hmac_secret[0])
        doctor_say(d, http_address_is_loopback(c->listen) ? DOCTOR_WARN : DOCTOR_FAIL, "token",
                   mend,
                   http_address_is_loopback(c->listen)
                       ? "none: every program of this machine may post, and read /metrics"
                       : "none, and WEBHOOK_LISTEN is beyond loopback: refused at the start");
    else if (n && n < TOKEN_MIN)
        doctor_say(d, DOCTOR_WARN, "token", mend, "of %zu characters: it can be guessed", n);
    else
        doctor_say(d, DOCTOR_OK, "token", NULL, "set");
}

// 1 = somebody listens, 0 = it is free, else a negative errno: why nobody could.
static int look(const char *address)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int r = http_address_resolve(address, &sa, &len), on = 1;
    if (r < 0)
        return r;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    r = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (r == 0)
        r = bind(fd, (struct sockaddr *)&sa, len);
    r = r < 0 ? -errno : 0;
    close(fd);
    return r == -EADDRINUSE ? 1 : r;
}

void doctor_port(struct doctor *d, struct store *s)
{
    const char *address = d->config->listen;
    char mend[256];
    check_token(d);
    int r = look(address);
    const char *port = strrchr(address, ':');
    snprintf(mend, sizeof mend, "ss -ltnp 'sport = %s' names it; end it, or set WEBHOOK_LISTEN",
             port ? port : ":8788");
    if (r < 0)
        doctor_say(d, DOCTOR_FAIL, "port",
                   "ip addr; then set WEBHOOK_LISTEN to an address of this machine, the port above "
                   "1023",
                   "%s cannot be listened on: %s", address, strerror(-r));
    else if (r == 0)
        doctor_say(d, DOCTOR_OK, "port", NULL, "%s is free: nobody listens now", address);
    else if (s && listener_shared(s, address) > 0)
        doctor_say(d, DOCTOR_OK, "port", NULL, "%s: ours listens", address);
    else
        doctor_say(d, DOCTOR_FAIL, "port", mend, "%s: another program has it", address);
}
