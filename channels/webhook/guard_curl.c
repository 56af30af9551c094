// curl: GET from the hosts of SRE_READ_HOSTS, to standard output.

#include "channels/webhook/guard_policy.h"

#include "common/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum curl_rule {
    CURL_OK,
    CURL_ASKS,
    CURL_DENIED,
    CURL_METHOD, // -X
    CURL_HEADER, // -H
    CURL_DATA,   // -d: only with -G
    CURL_OUTPUT, // -o
    CURL_FORMAT, // -w
    CURL_URL,
    CURL_GET // -G
};

// Long options may be abbreviated in older versions, so an unknown one asks.
static const struct option {
    const char *name;
    char letter;
    bool value;
    enum curl_rule rule;
} options[] = {
    {"silent", 's', false, CURL_OK},
    {"show-error", 'S', false, CURL_OK},
    {"fail", 'f', false, CURL_OK},
    {"fail-with-body", 0, false, CURL_OK},
    {"include", 'i', false, CURL_OK},
    {"head", 'I', false, CURL_OK},
    {"compressed", 0, false, CURL_OK},
    {"globoff", 'g', false, CURL_OK},
    {"no-buffer", 'N', false, CURL_OK},
    {"progress-bar", '#', false, CURL_OK},
    {"no-progress-meter", 0, false, CURL_OK},
    {"http1.1", 0, false, CURL_OK},
    {"http2", 0, false, CURL_OK},
    {"ipv4", '4', false, CURL_OK},
    {"ipv6", '6', false, CURL_OK},
    {"disable", 'q', false, CURL_OK},
    {"version", 'V', false, CURL_OK},
    {"help", 'h', false, CURL_OK},
    {"path-as-is", 0, false, CURL_OK},
    {"max-time", 'm', true, CURL_OK},
    {"connect-timeout", 0, true, CURL_OK},
    {"retry", 0, true, CURL_OK},
    {"retry-delay", 0, true, CURL_OK},
    {"retry-max-time", 0, true, CURL_OK},
    {"retry-connrefused", 0, false, CURL_OK},
    {"max-filesize", 0, true, CURL_OK},
    {"user-agent", 'A', true, CURL_OK},
    {"range", 'r', true, CURL_OK},
    {"get", 'G', false, CURL_GET},
    {"request", 'X', true, CURL_METHOD},
    {"header", 'H', true, CURL_HEADER},
    {"data", 'd', true, CURL_DATA},
    {"data-ascii", 0, true, CURL_DATA},
    {"data-raw", 0, true, CURL_DATA},
    {"data-urlencode", 0, true, CURL_DATA},
    {"url-query", 0, true, CURL_DATA},
    {"output", 'o', true, CURL_OUTPUT},
    {"write-out", 'w', true, CURL_FORMAT},
    {"url", 0, true, CURL_URL},
    {"location", 'L', false, CURL_ASKS},
    {"location-trusted", 0, false, CURL_DENIED},
    {"insecure", 'k', false, CURL_ASKS},
    {"verbose", 'v', false, CURL_ASKS},
    {"user", 'u', true, CURL_ASKS},
    {"cookie", 'b', true, CURL_ASKS},
    {"cookie-jar", 'c', true, CURL_ASKS},
    {"dump-header", 'D', true, CURL_OUTPUT},
    {"remote-name", 'O', false, CURL_ASKS},
    {"remote-header-name", 'J', false, CURL_ASKS},
    {"next", ':', false, CURL_ASKS},
    {"parallel", 'Z', false, CURL_ASKS},
    {"netrc", 'n', false, CURL_ASKS},
    {"cert", 'E', true, CURL_ASKS},
    {"cacert", 0, true, CURL_ASKS},
    {"key", 0, true, CURL_DENIED},
    {"data-binary", 0, true, CURL_DENIED},
    {"json", 0, true, CURL_DENIED},
    {"form", 'F', true, CURL_DENIED},
    {"form-string", 0, true, CURL_DENIED},
    {"upload-file", 'T', true, CURL_DENIED},
    {"config", 'K', true, CURL_DENIED},
    {"proxy", 'x', true, CURL_DENIED},
    {"preproxy", 0, true, CURL_DENIED},
    {"socks5", 0, true, CURL_DENIED},
    {"resolve", 0, true, CURL_DENIED},
    {"connect-to", 0, true, CURL_DENIED},
    {"unix-socket", 0, true, CURL_DENIED},
    {"abstract-unix-socket", 0, true, CURL_DENIED},
    {"doh-url", 0, true, CURL_DENIED},
    {"dns-servers", 0, true, CURL_DENIED},
    {"quote", 'Q', true, CURL_DENIED},
    {"telnet-option", 't', true, CURL_DENIED},
    {"referer", 'e', true, CURL_ASKS},
    {"trace", 0, true, CURL_ASKS},
    {"trace-ascii", 0, true, CURL_ASKS},
    {"stderr", 0, true, CURL_ASKS},
};

// Headers that name who asks and for what form; any other may change what a server does.
static const char *const headers[] = {"accept",           "authorization",  "signoz-api-key",
                                      "private-token",    "job-token",      "user-agent",
                                      "cache-control",    "content-type",   "if-none-match",
                                      "x-grafana-org-id", "accept-encoding"};

struct curl {
    struct guard_judge *j;
    const struct sw_word *urls[16];
    size_t nurls;
    bool sends_secret; // a header holds a variable
    bool get, data, method_given;
};

// ---- URLs -------------------------------------------------------------------------------------

// host[:port] is one of the list; without a port the entry means the scheme's own.
static bool is_listed(const char *list, struct str host, const char *port, bool https)
{
    while (*list) {
        size_t len = strcspn(list, ", \t"), name = len;
        const char *own = https ? "443" : "80";
        size_t own_len = strlen(own);

        for (size_t i = len; i > 0 && list[i - 1] != ']'; i--)
            if (list[i - 1] == ':') {
                name = i - 1;
                own = list + i;
                own_len = len - i;
                break;
            }
        if (name == host.n && name > 0 && strncasecmp(list, host.p, name) == 0 &&
            strlen(port) == own_len && memcmp(port, own, own_len) == 0)
            return true;
        list += len;
        list += strspn(list, ", \t");
    }
    return false;
}

// http(s)://HOST[:PORT] with nothing that curl and a reader could take differently. False if it is
// anything else.
static bool split_url(const char *url, struct str *ret_host, char port[static 8], bool *ret_https)
{
    const char *at;
    size_t n;

    if (strncasecmp(url, "http://", 7) == 0)
        *ret_https = false;
    else if (strncasecmp(url, "https://", 8) == 0)
        *ret_https = true;
    else
        return false;
    at = url + (*ret_https ? 8 : 7);
    ret_host->p = at;
    if (*at == '[') {
        n = 1 + strspn(at + 1, "0123456789abcdefABCDEF:");
        if (at[n] != ']')
            return false;
        n++;
    } else {
        n = 0;
        while (isalnum((unsigned char)at[n]) || at[n] == '-' || at[n] == '.')
            n++;
    }
    ret_host->n = n;
    if (n == 0)
        return false;
    at += n;
    snprintf(port, 8, "%s", *ret_https ? "443" : "80");
    if (*at == ':') {
        n = strspn(at + 1, "0123456789");
        if (n == 0 || n > 5)
            return false;
        snprintf(port, 8, "%.*s", (int)n, at + 1);
        at += n + 1;
    }
    return *at == '\0' || *at == '/' || *at == '?' || *at == '#';
}

// Paths of the APIs that hand out secrets: GitLab's CI variables, Kubernetes' secrets.
static bool asks_for_secrets(const char *escaped)
{
    static const char *const parts[] = {"/variables",     "/secrets",       "/secure_files",
                                        "/deploy_tokens", "/access_tokens", "/.env",
                                        "/proxy/",        "/exec",          "/triggers"};

    char url[4096];
    size_t n = 0;

    // %76ariables is variables to a server.
    for (const char *c = escaped; *c && n + 1 < sizeof(url); c++) {
        char hex[3] = {c[0] == '%' ? c[1] : '\0', c[0] == '%' && c[1] ? c[2] : '\0', '\0'};
        bool escape = isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]);

        url[n++] = escape ? (char)strtol(hex, NULL, 16) : *c;
        c += escape ? 2 : 0;
        if (!url[n - 1])
            return true;
    }
    url[n] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcasestr(url, parts[i]))
            return true;
    return n + 1 == sizeof(url) || strcasestr(url, "/../") != NULL;
}

// http://host@other: an @ in front of the path.
static bool has_user(const char *url)
{
    const char *slashes = strstr(url, "//"), *at = slashes ? slashes + 2 : url;

    return at[strcspn(at, "@/")] == '@';
}

static void judge_url(struct curl *c, const struct sw_word *w)
{
    struct str host;
    char port[8];
    bool https, listed;

    if (w->vars && w->splits)
        guard_say(c->j, GUARD_ASK, "curl: put the URL in quotes");
    if (has_user(w->text))
        guard_say(c->j, GUARD_DENY, "curl: a URL with a user's name");
    for (const char *t = w->text; *t; t++)
        if (*t != SW_HOLE && ((unsigned char)*t <= 0x20 || (unsigned char)*t > 0x7e))
            guard_say(c->j, GUARD_ASK, "curl: a URL with a character that it must not have");
    if (!split_url(w->text, &host, port, &https)) {
        if (c->sends_secret)
            guard_say(c->j, GUARD_DENY, "curl: a secret to a host that is not in SRE_READ_HOSTS");
        guard_say(c->j, GUARD_ASK, "curl: a URL that is not plain http or https");
        return;
    }
    if (strpbrk(w->text, "{}[]") && host.p[0] != '[')
        guard_say(c->j, GUARD_ASK, "curl: a URL with a pattern");
    listed = is_listed(c->j->world->config->read_hosts, host, port, https);
    if (!listed && c->sends_secret)
        guard_say(c->j, GUARD_DENY, "curl: a secret to a host that is not in SRE_READ_HOSTS");
    if (!listed)
        guard_say(c->j, GUARD_ASK, "curl: a host that is not in SRE_READ_HOSTS");
    if (guard_names_secret(w->vars))
        guard_say(c->j, listed ? GUARD_ASK : GUARD_DENY, "curl: a secret in a URL");
    if (asks_for_secrets(w->text))
        guard_say(c->j, GUARD_DENY, "curl: it is forbidden to read secrets");
}

// ---- Options ----------------------------------------------------------------------------------

static void judge_method(struct curl *c, const char *method)
{
    c->method_given = true;
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return;
    if (strcmp(method, "POST") == 0)
        guard_say(c->j, GUARD_ASK, "curl: only GET reads");
    else
        guard_say(c->j, GUARD_DENY, "curl: only GET reads");
}

static void judge_header(struct curl *c, const struct sw_word *w, const char *text)
{
    size_t len = strcspn(text, ":;");
    bool known = false;

    if (text[0] == '@')
        guard_say(c->j, GUARD_DENY, "curl: headers from a file");
    c->sends_secret |= w->vars != NULL;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        known |= text_equal_nocase((struct str){text, len}, headers[i]);
    if (!known || strpbrk(text, "\r\n"))
        guard_say(c->j, GUARD_ASK, "curl: a header that the guard does not know");
    if (w->vars && strchr(w->vars, '('))
        guard_say(c->j, GUARD_ASK, "curl: a header that a command prints");
}

static void judge_data(struct curl *c, const struct option *o, const struct sw_word *w,
                       const char *text)
{
    size_t name = strcspn(text, "=@");

    c->data = true;
    if (strcmp(o->name, "url-query") == 0)
        c->get = true;
    if (guard_names_secret(w->vars))
        guard_say(c->j, GUARD_DENY, "curl: a secret belongs into a header");
    // @file and, for --data-urlencode, name@file: the file is sent.
    if (strcmp(o->name, "data-raw") != 0 && (text[0] == '@' || text[name] == '@'))
        guard_say(c->j, GUARD_DENY, "curl: sending a file");
    if (text[0] == SW_HOLE)
        guard_say(c->j, GUARD_ASK, "curl: data that is not written out");
}

static void judge_option(struct curl *c, const struct option *o, const struct sw_word *w,
                         const char *text)
{
    if (w->splits)
        guard_say(c->j, GUARD_ASK, "curl: put the option's value in quotes");
    switch (o->rule) {
    case CURL_OK:
        break;
    case CURL_ASKS:
        guard_say(c->j, GUARD_ASK, "curl --%s needs a person's word", o->name);
        break;
    case CURL_DENIED:
        guard_say(c->j, GUARD_DENY, "curl --%s is forbidden", o->name);
        break;
    case CURL_METHOD:
        judge_method(c, text);
        break;
    case CURL_HEADER:
        judge_header(c, w, text);
        break;
    case CURL_DATA:
        judge_data(c, o, w, text);
        break;
    case CURL_OUTPUT:
        if (strcmp(text, "/dev/null") != 0 && strcmp(text, "-") != 0)
            guard_say(c->j, GUARD_ASK, "curl: writing a file");
        break;
    case CURL_FORMAT:
        if (text[0] == '@' || strcasestr(text, "%output") || strchr(text, SW_HOLE))
            guard_say(c->j, GUARD_ASK, "curl: an output format from or to a file");
        break;
    case CURL_URL:
        if (c->nurls < ARRAY_LEN(c->urls))
            c->urls[c->nurls++] = w;
        break;
    case CURL_GET:
        c->get = true;
        break;
    }
}

static const struct option *find_option(const char *name, char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (letter ? options[i].letter == letter : name && strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

// Returns how many of the following words belong to the option.
static size_t read_option(struct curl *c, const struct guard_call *call, size_t i)
{
    const struct sw_word *w = &call->w[i], *next = i + 1 < call->n ? w + 1 : NULL;
    const struct option *o;

    if (w->text[1] == '-') {
        o = find_option(w->text + 2, 0);
        if (!o)
            guard_say(c->j, GUARD_ASK, "curl with an option that the guard does not know");
        else if (!o->value || next)
            judge_option(c, o, o->value ? next : w, o->value ? next->text : "");
        return o && o->value && next ? 1 : 0;
    }
    for (const char *l = w->text + 1; *l; l++) {
        o = find_option(NULL, *l);
        if (!o) {
            guard_say(c->j, GUARD_ASK, "curl with an option that the guard does not know");
            continue;
        }
        if (o->value && l[1]) {
            judge_option(c, o, w, l + 1);
            return 0;
        }
        if (o->value && !next)
            guard_say(c->j, GUARD_ASK, "curl: an option without its value");
        else
            judge_option(c, o, o->value ? next : w, o->value ? next->text : "");
        if (o->value)
            return next ? 1 : 0;
    }
    return 0;
}

void guard_curl(struct guard_judge *j, const struct guard_call *call)
{
    struct curl c = {.j = j};

    for (size_t i = 1; i < call->n; i++) {
        const struct sw_word *w = &call->w[i];

        if (w->text[0] == '-' && w->text[1]) {
            i += read_option(&c, call, i);
        } else if (c.nurls < ARRAY_LEN(c.urls)) {
            c.urls[c.nurls++] = w;
        } else {
            guard_say(j, GUARD_ASK, "curl with too many URLs");
        }
    }
    if (c.data && !c.get)
        guard_say(j, GUARD_ASK, "curl: only GET reads; with data, add -G");
    for (size_t i = 0; i < c.nurls; i++)
        judge_url(&c, c.urls[i]);
}
