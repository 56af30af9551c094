#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/http_server.h"
#include "common/text.h"

#define MAX_FILE (256 * 1024)
#define MAX_NUMBER 1000000000

enum kind {
    TEXT,      // anything
    SECRET,    // text; the file that holds it must be private
    PATH,      // ~/ is expanded
    COUNT,     // 1 to MAX_NUMBER
    SECONDS,   // 0 = off, to MAX_NUMBER
    LEVEL,     // log level
    ADDRESS,   // host:port
    URL,       // http(s)
    TOKEN_URL, // https, or http on loopback: a token goes there
    BOT_TOKEN, // xoxb-
    APP_TOKEN, // xapp-
    USERS,     // comma-separated Slack user ids
};

struct key {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *fallback; // NULL: worked out in default_of
};

#define FIELD(f) offsetof(struct config, f)

static const struct key keys[] = {
    {"SRE_STATE_DIR", PATH, FIELD(state_dir), NULL},
    {"SRE_PLAYBOOKS", PATH, FIELD(playbooks), NULL},
    {"SRE_PROD_CLUSTERS", TEXT, FIELD(prod_clusters), ""},
    {"SRE_DEV_CLUSTERS", TEXT, FIELD(dev_clusters), ""},
    {"SRE_RETENTION_DAYS", SECONDS, FIELD(retention_days), "365"},
    {"SRE_LOG", LEVEL, FIELD(log), "info"},
    {"SRE_READ_HOSTS", TEXT, FIELD(read_hosts), ""},
    {"SRE_CANARY_SECONDS", SECONDS, FIELD(canary_s), "0"},
    {"SRE_PING_URL", URL, FIELD(ping_url), ""},
    {"WEBHOOK_LISTEN", ADDRESS, FIELD(listen), "127.0.0.1:8788"},
    {"WEBHOOK_TOKEN", SECRET, FIELD(token), ""},
    {"WEBHOOK_HMAC_SECRET", SECRET, FIELD(hmac_secret), ""},
    {"WEBHOOK_MAX_BODY", COUNT, FIELD(max_body), "16777216"},
    {"SRE_EVENT_BYTES", COUNT, FIELD(event_bytes), "4096"},
    {"SRE_EVENTS_PER_MINUTE", COUNT, FIELD(events_per_min), "20"},
    {"SRE_TAKE_SECONDS", SECONDS, FIELD(take_s), "300"},
    {"SRE_UNATTENDED_SECONDS", SECONDS, FIELD(unattended_s), "900"},
    {"SRE_FLAP_SECONDS", SECONDS, FIELD(flap_s), "600"},
    {"SRE_STALE_DAYS", SECONDS, FIELD(stale_days), "7"},
    {"SRE_WATCHDOG_ALERT", TEXT, FIELD(watchdog_alert), "Watchdog"},
    {"SRE_WATCHDOG_SECONDS", SECONDS, FIELD(watchdog_s), "0"},
    {"SLACK_BOT_TOKEN", BOT_TOKEN, FIELD(slack_bot_token), ""},
    {"SLACK_APP_TOKEN", APP_TOKEN, FIELD(slack_app_token), ""},
    {"SLACK_ALLOWED_USERS", USERS, FIELD(slack_users), ""},
    {"SLACK_API_URL", TOKEN_URL, FIELD(slack_api_url), "https://slack.com/api/"},
    {"PATROL_URL", TOKEN_URL, FIELD(patrol_url), ""},
    {"PATROL_TOKEN", SECRET, FIELD(patrol_token), ""},
    {"PATROL_CLUSTER", TEXT, FIELD(patrol_cluster), ""},
    {"PATROL_QUERIES", PATH, FIELD(patrol_queries), NULL},
    {"PATROL_SECONDS", SECONDS, FIELD(patrol_s), "300"},
    {"SLACK_NAG_SECONDS", SECONDS, FIELD(slack_nag_s), "600"},
    {"JIRA_URL", TOKEN_URL, FIELD(jira_url), ""},
    {"JIRA_EMAIL", TEXT, FIELD(jira_email), ""},
    {"JIRA_TOKEN", SECRET, FIELD(jira_token), ""},
    {"JIRA_PROJECT", TEXT, FIELD(jira_project), ""},
    {"JIRA_ISSUE_TYPE", TEXT, FIELD(jira_issue_type), "Task"},
    {"GITLAB_URL", TOKEN_URL, FIELD(gitlab_url), ""},
    {"GITLAB_TOKEN", SECRET, FIELD(gitlab_token), ""},
    {"GITLAB_PROJECT", TEXT, FIELD(gitlab_project), ""},
};

static const struct key *key_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_is(name, keys[i].name))
            return &keys[i];
    return NULL;
}

static bool is_number(enum kind kind)
{
    return kind == COUNT || kind == SECONDS;
}

static bool is_secret(enum kind kind)
{
    return kind == SECRET || kind == BOT_TOKEN || kind == APP_TOKEN;
}

// ---- values ----

static const char *home_dir(void)
{
    const char *home = getenv("HOME");
    if (home && home[0] == '/')
        return home;
    const struct passwd *pw = getpwuid(getuid());
    return pw ? pw->pw_dir : "/";
}

static char *join(const char *a, const char *b)
{
    char *out = NULL;
    return asprintf(&out, "%s%s", a, b) < 0 ? NULL : out;
}

// $XDG_x or ~/<below>, then /sre-channels<tail>. XDG Base Directory: a relative value is ignored.
static char *xdg_path(const char *variable, const char *below, const char *tail)
{
    const char *base = getenv(variable);
    char *out = NULL;
    int n = base && base[0] == '/'
                ? asprintf(&out, "%s/sre-channels%s", base, tail)
                : asprintf(&out, "%s/%s/sre-channels%s", home_dir(), below, tail);
    return n < 0 ? NULL : out;
}

bool config_project(char out[CONFIG_PROJECT_SIZE])
{
    ssize_t n = readlink("/proc/self/exe", out, CONFIG_PROJECT_SIZE - 1);
    out[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(out, '/');
        if (slash)
            *slash = '\0';
    }
    return n > 0;
}

// A folder of the project; of the working folder where the project's is not known.
static char *in_project(const char *name)
{
    char project[CONFIG_PROJECT_SIZE];
    return config_project(project) ? join(project, name) : strdup(name + 1);
}

static char *default_of(const struct key *key)
{
    if (key->fallback)
        return strdup(key->fallback);
    if (key->offset == FIELD(state_dir))
        return xdg_path("XDG_STATE_HOME", ".local/state", "");
    return in_project(key->offset == FIELD(playbooks) ? "/playbooks" : "/deploy/patrol");
}

static int parse_number(const char *text, int64_t min, int64_t *ret)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || text[0] < '0' || text[0] > '9' || v < min || v > MAX_NUMBER)
        return -EINVAL;
    *ret = v;
    return 0;
}

static bool has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_token_url(const char *s)
{
    if (has_prefix(s, "https://"))
        return s[8] != '\0';
    if (!has_prefix(s, "http://"))
        return false;
    // The host alone decides: neither 127.0.0.1.evil.example nor 127.0.0.1@evil.example is local.
    char address[HTTP_HOST_SIZE];
    int n = (int)strcspn(s + 7, "/?#");
    if ((size_t)snprintf(address, sizeof address, "%.*s:80", n, s + 7) >= sizeof address)
        return false;
    if (http_address_is_loopback(address))
        return true;
    address[n] = '\0'; // it names a port of its own
    return http_address_is_loopback(address);
}

static bool are_user_ids(const char *s)
{
    while (*s) {
        s += strspn(s, ", ");
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
        if (n && (n < 3 || (s[0] != 'U' && s[0] != 'W')))
            return false;
        s += n;
        if (*s && *s != ',' && *s != ' ')
            return false;
    }
    return true;
}

// What the value must be, for the message; NULL when it is fine.
static const char *broken_rule(enum kind kind, const char *v)
{
    char host[256];
    int port;
    enum log_level level;
    switch (kind) {
    case ADDRESS:
        return http_address_parse(v, host, sizeof host, &port) < 0
                   ? "must be address:port, IPv6 in brackets"
                   : NULL;
    case LEVEL:
        return log_level_parse(v, &level) < 0 ? "must be error, warn, info or debug" : NULL;
    case URL:
        return *v && !has_prefix(v, "http://") && !has_prefix(v, "https://")
                   ? "must be an http(s) URL"
                   : NULL;
    case TOKEN_URL:
        return *v && !is_token_url(v) ? "must be an https URL (plain http only for loopback)"
                                      : NULL;
    case BOT_TOKEN:
        return *v && !has_prefix(v, "xoxb-") ? "must start with xoxb-" : NULL;
    case APP_TOKEN:
        return *v && !has_prefix(v, "xapp-") ? "must start with xapp-" : NULL;
    case USERS:
        return are_user_ids(v) ? NULL : "must be Slack user ids such as U012AB3CD, comma-separated";
    default:
        return NULL;
    }
}

static int set_text(struct config *c, const struct key *key, const char *value)
{
    char *copy =
        key->kind == PATH && has_prefix(value, "~/") ? join(home_dir(), value + 1) : strdup(value);
    if (!copy)
        return -ENOMEM;
    char **field = (char **)(void *)((char *)c + key->offset);
    free(*field);
    *field = copy;
    return 0;
}

static int set_value(struct config *c, const struct key *key, const char *value, struct buf *why)
{
    if (is_number(key->kind)) {
        int64_t min = key->kind == COUNT ? 1 : 0;
        if (parse_number(value, min, (int64_t *)(void *)((char *)c + key->offset)) == 0)
            return 0;
        buf_addf(why, "%s must be a whole number from %d to %d", key->name, (int)min, MAX_NUMBER);
        return -EINVAL;
    }
    const char *rule = broken_rule(key->kind, value);
    if (rule) { // the value itself is not shown: it may be a misplaced secret
        buf_addf(why, "%s %s", key->name, rule);
        return -EINVAL;
    }
    if (key->kind == LEVEL)
        return log_level_parse(value, &c->log);
    return set_text(c, key, value);
}

// ---- unknown keys ----

static size_t edit_distance(struct str a, struct str b)
{
    size_t row[64];
    if (b.n + 1 > ARRAY_LEN(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t up = row[j], best = diagonal + (a.p[i - 1] != b.p[j - 1]);
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[b.n];
}

static bool is_ours(struct str name)
{
    static const char *const prefixes[] = {"SRE_", "WEBHOOK_", "SLACK_", "PATROL_"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (name.n > strlen(prefixes[i]) && memcmp(name.p, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void warn_if_unknown(struct str name)
{
    if (name.n > 63 || !is_ours(name) || str_is(name, "SRE_CONFIG") || key_named(name))
        return;
    const char *nearest = keys[0].name;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        size_t d = edit_distance(name, str_of(keys[i].name));
        if (d < least) {
            least = d;
            nearest = keys[i].name;
        }
    }
    char copy[64];
    memcpy(copy, name.p, name.n);
    copy[name.n] = '\0';
    log_warn("unknown configuration key", "key", copy, "nearest", nearest);
}

// ---- the file ----

struct file_values {
    char *value[ARRAY_LEN(keys)]; // owned, NULL when the file does not have it
};

static int read_line(struct file_values *f, struct str line, int number, const char *path,
                     struct buf *why)
{
    line = text_trim(line);
    if (line.n > 7 && memcmp(line.p, "export ", 7) == 0)
        line = text_trim((struct str){line.p + 7, line.n - 7});
    if (!line.n || line.p[0] == '#')
        return 0;
    const char *eq = memchr(line.p, '=', line.n);
    if (!eq || memchr(line.p, '\0', line.n)) {
        buf_addf(why, "%s line %d must be KEY=value", path, number);
        return -EINVAL;
    }
    struct str name = text_trim((struct str){line.p, (size_t)(eq - line.p)});
    struct str value =
        text_unquote(text_trim((struct str){eq + 1, line.n - (size_t)(eq + 1 - line.p)}));
    warn_if_unknown(name);
    const struct key *key = key_named(name);
    if (!key)
        return 0;
    char *copy = strndup(value.p, value.n);
    if (!copy)
        return -ENOMEM;
    free(f->value[key - keys]);
    f->value[key - keys] = copy;
    return 0;
}

static int read_lines(struct file_values *f, struct str text, const char *path, struct buf *why)
{
    int r = 0;
    for (int number = 1; r == 0 && text.n; number++) {
        const char *nl = memchr(text.p, '\n', text.n);
        struct str line = {text.p, nl ? (size_t)(nl - text.p) : text.n};
        r = read_line(f, line, number, path, why);
        size_t used = line.n + (nl ? 1 : 0);
        text = (struct str){text.p + used, text.n - used};
    }
    return r;
}

static int check_private(const struct file_values *f, const struct stat *st, const char *path,
                         struct buf *why)
{
    if (!(st->st_mode & (S_IRGRP | S_IROTH)))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (is_secret(keys[i].kind) && f->value[i] && f->value[i][0]) {
            buf_addf(why, "%s holds %s and others can read it: chmod 600 it", path, keys[i].name);
            return -EACCES;
        }
    return 0;
}

static int read_file(struct file_values *f, const char *path, struct buf *why)
{
    int r = 0;
    struct stat st;
    struct buf text = BUF_INIT(MAX_FILE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0; // a configuration file that does not exist is an empty one
    if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
        r = errno ? -errno : -EISDIR;
        buf_addf(why, "cannot read %s: %s", path, strerror(-r));
        goto out;
    }
    for (ssize_t n = 1; n > 0;) {
        char part[4096];
        n = read(fd, part, sizeof part);
        if (n < 0 || buf_add(&text, part, (size_t)n) < 0) {
            r = n < 0 ? -errno : -E2BIG;
            buf_addf(why, "cannot read %s: %s", path, strerror(-r));
            goto out;
        }
    }
    r = read_lines(f, buf_str(&text), path, why);
    if (r == 0)
        r = check_private(f, &st, path, why);
out:
    buf_done(&text);
    if (fd >= 0)
        close(fd);
    return r;
}

// ---- together ----

static int set_key(struct config *c, const struct key *key, const char *from_file, struct buf *why)
{
    const char *value = getenv(key->name);
    if (!value || !*value)
        value = from_file;
    if (value && *value)
        return set_value(c, key, value, why);
    char *fallback = default_of(key);
    int r = fallback ? set_value(c, key, fallback, why) : -ENOMEM;
    free(fallback);
    return r;
}

int config_load(struct config *c, struct buf *ret_why)
{
    extern char **environ;
    struct file_values file = {0};
    *c = (struct config){0};
    const char *named = getenv("SRE_CONFIG");
    c->file =
        named && *named ? strdup(named) : xdg_path("XDG_CONFIG_HOME", ".config", "/config.env");
    int r = c->file ? read_file(&file, c->file, ret_why) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++)
        r = set_key(c, &keys[i], file.value[i], ret_why);
    for (char **e = environ; r == 0 && *e; e++)
        warn_if_unknown((struct str){*e, strcspn(*e, "=")});
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        free(file.value[i]);
    if (r < 0)
        config_done(c);
    return r;
}

void config_done(struct config *c)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!is_number(keys[i].kind) && keys[i].kind != LEVEL)
            free(*(char **)(void *)((char *)c + keys[i].offset));
    free(c->file);
    *c = (struct config){0};
}

static bool list_matches(const char *globs, const char *name)
{
    for (const char *p = globs; *p;) {
        size_t n = strcspn(p, ",");
        struct str glob = text_trim((struct str){p, n});
        if (glob.n && glob_match(glob, str_of(name)))
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

bool config_is_prod(const struct config *c, const char *cluster)
{
    if (!cluster || !*cluster)
        return true;
    return list_matches(c->prod_clusters, cluster) || !list_matches(c->dev_clusters, cluster);
}

const char *config_slack_lacks(const struct config *c, size_t n)
{
    const char *const lacks[] = {
        c->slack_bot_token[0] ? NULL : "SLACK_BOT_TOKEN",
        c->slack_app_token[0] ? NULL : "SLACK_APP_TOKEN",
        c->slack_users[strspn(c->slack_users, ", ")] ? NULL : "SLACK_ALLOWED_USERS",
    };
    for (size_t i = 0; i < ARRAY_LEN(lacks); i++)
        if (lacks[i] && n-- == 0)
            return lacks[i];
    return NULL;
}
