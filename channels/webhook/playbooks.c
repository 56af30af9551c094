#include "channels/webhook/playbooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"

#define MAX_PLAYBOOKS 512
#define MAX_HEAD (16 * 1024) // the front matter is at the top
#define MAX_PATTERNS (8 * 1024)

struct playbook {
    char *name;     // owned
    char *patterns; // owned; one a line
};

struct playbooks {
    struct playbook books[MAX_PLAYBOOKS];
    size_t n;
};

// ---- front matter ----

static bool value_of(struct str line, const char *key, struct str *ret_value)
{
    size_t n = strlen(key);
    if (line.n <= n || memcmp(line.p, key, n) != 0 || line.p[n] != ':')
        return false;
    *ret_value = text_trim((struct str){line.p + n + 1, line.n - n - 1});
    return true;
}

// The end of one item of an inline list: a comma inside quotes belongs to it.
static size_t item_length(struct str s)
{
    char quote = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == ',')
            return i;
    }
    return s.n;
}

static void add_patterns(struct str list, struct buf *out)
{
    if (list.n >= 2 && list.p[0] == '[' && list.p[list.n - 1] == ']')
        list = (struct str){list.p + 1, list.n - 2};
    while (list.n) {
        size_t n = item_length(list);
        struct str item = text_unquote(text_trim((struct str){list.p, n}));
        if (item.n) {
            buf_add(out, item.p, item.n);
            buf_addc(out, '\n');
        }
        n += n < list.n;
        list = (struct str){list.p + n, list.n - n};
    }
}

int playbook_front_matter(struct str file, struct buf *ret_name, struct buf *ret_patterns)
{
    struct str value, line = text_trim(text_next_line(&file));
    if (!str_is(line, "---"))
        return -EINVAL;
    while (file.n) {
        line = text_next_line(&file);
        if (str_is(text_trim(line), "---"))
            return ret_name->error ? ret_name->error : ret_patterns->error;
        if (value_of(line, "name", &value)) {
            value = text_unquote(value);
            buf_add(ret_name, value.p, value.n);
        } else if (value_of(line, "alerts", &value)) {
            add_patterns(value, ret_patterns);
        }
    }
    return -EINVAL; // no second ---
}

// ---- the folder ----

static int read_head(int dir, const char *name, struct buf *out)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = buf_reserve(out, MAX_HEAD);
    ssize_t n = r == 0 ? read(fd, out->data, MAX_HEAD) : 0;
    close(fd);
    if (r == 0 && n < 0)
        r = -errno;
    if (r == 0)
        out->len = (size_t)n;
    return r;
}

static int add_book(struct playbooks *p, int dir, const char *file)
{
    struct buf head = BUF_INIT(MAX_HEAD), name = BUF_INIT(256), patterns = BUF_INIT(MAX_PATTERNS);
    int r = read_head(dir, file, &head);
    if (r == 0)
        r = playbook_front_matter(buf_str(&head), &name, &patterns);
    if (r == 0 && !name.len)
        r = buf_add(&name, file, strlen(file) - 3); // the file's name without .md
    if (r == 0) {
        struct playbook *book = &p->books[p->n];
        book->name = buf_take(&name);
        book->patterns = buf_take(&patterns);
        if (book->name)
            p->n++;
    } else if (strcmp(file, "README.md") != 0) {
        log_warn("playbook left out", "file", file, "why",
                 r == -EINVAL ? "no front matter" : strerror(-r));
    }
    buf_done(&head);
    buf_done(&name);
    buf_done(&patterns);
    return r == -ENOMEM ? r : 0;
}

int playbooks_load(const char *folder, struct playbooks **ret_playbooks)
{
    struct playbooks *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    int r = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; r == 0 && d && p->n < MAX_PLAYBOOKS && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n > 3 && strcmp(e->d_name + n - 3, ".md") == 0)
            r = add_book(p, dirfd(d), e->d_name);
    }
    if (d)
        closedir(d);
    if (r < 0) {
        playbooks_free(p);
        return r;
    }
    *ret_playbooks = p;
    return 0;
}

void playbooks_free(struct playbooks *p)
{
    for (size_t i = 0; p && i < p->n; i++) {
        free(p->books[i].name);
        free(p->books[i].patterns);
    }
    free(p);
}

size_t playbooks_count(const struct playbooks *p)
{
    return p ? p->n : 0;
}

// How well a pattern fits: literal characters + 1, more than any glob for the exact name, 0 for not
// at all.
static size_t fit(struct str pattern, const char *alertname)
{
    size_t literal = 1;
    if (str_is(pattern, alertname))
        return SIZE_MAX;
    if (!glob_match(pattern, str_of(alertname)))
        return 0;
    for (size_t i = 0; i < pattern.n; i++)
        literal += pattern.p[i] != '*' && pattern.p[i] != '?';
    return literal;
}

const char *playbooks_find(const struct playbooks *p, const char *alertname)
{
    const char *found = NULL;
    size_t best = 0;
    for (size_t i = 0; p && i < p->n; i++) {
        struct str rest = str_of(p->books[i].patterns);
        while (rest.n) {
            size_t f = fit(text_next_line(&rest), alertname);
            if (f > best) {
                best = f;
                found = p->books[i].name;
            }
        }
    }
    return found;
}
