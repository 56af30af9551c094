#include "common/redact.h"

#include "common/secret_name.h"
#include "common/text.h"

// One pass. Only a few rare bytes (separators, `A`, `J`, `b`) can be the point where a secret is
// recognised; everything else is skipped by table. A rule looks a bounded way around that point,
// and what it masks is skipped as a whole, so the pass is linear.

#define NAME_MAX_BYTES 64 // how much of the name before `=` or `:` is looked at
#define PREFIX_LOOK 64    // how much of a token is looked at before it counts as one
#define URL_LOOK 256      // how far the end of a URL's authority is looked for
#define BLANKS_MAX 3      // blanks allowed around a separator

struct scan {
    struct buf *out;
    const char *p;
    size_t n;
    size_t done;     // up to here it is written
    size_t jwt_dead; // a JWT that begins before this offset was ruled out
    int found;
};

static const bool trigger[256] = {
    ['_'] = true, ['-'] = true, ['.'] = true, [':'] = true, ['='] = true,
    ['%'] = true, ['A'] = true, ['J'] = true, ['b'] = true, ['B'] = true,
};

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_token_char(char c)
{
    return is_alnum(c) || c == '_' || c == '-';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool starts_with(const struct scan *s, size_t at, const char *word)
{
    size_t n = strlen(word);
    return s->n - at >= n && memcmp(s->p + at, word, n) == 0;
}

static bool starts_nocase(const struct scan *s, size_t at, const char *word)
{
    size_t n = strlen(word);
    return s->n - at >= n && text_equal_nocase((struct str){s->p + at, n}, word);
}

static bool ends_with(const struct scan *s, size_t end, const char *word, size_t n)
{
    return end - s->done >= n && memcmp(s->p + end - n, word, n) == 0;
}

// Is the byte before `at` part of the same word? Not when it ends an escape: \n, %3D.
static bool is_glued(const struct scan *s, size_t at)
{
    if (at == s->done || !is_alnum(s->p[at - 1]))
        return false;
    return !(at >= s->done + 2 && s->p[at - 2] == '\\') &&
           !(at >= s->done + 3 && s->p[at - 3] == '%');
}

static size_t token_end(const struct scan *s, size_t at)
{
    while (at < s->n && is_token_char(s->p[at]))
        at++;
    return at;
}

// Writes what stands before the secret, then its mask. Returns where to go on.
static size_t mask(struct scan *s, size_t from, size_t to, const char *kind)
{
    buf_add(s->out, s->p + s->done, from - s->done);
    buf_adds(s->out, "[redacted:");
    buf_adds(s->out, kind);
    buf_adds(s->out, "]");
    s->done = to;
    s->found++;
    return to;
}

// Tokens that say what they are. `min` token characters must follow; `mixed`: a capital and a digit
// among them, and no letter or digit before the prefix, since words end like it.
struct prefix {
    const char *text;
    const char *kind;
    unsigned char len, min;
    bool mixed;
};

#define PREFIX(text, kind, min, mixed)                                                             \
    {                                                                                              \
        text, kind, sizeof(text) - 1, min, mixed                                                   \
    }

static const struct prefix underscore_prefixes[] = {
    PREFIX("ghp_", "github", 20, false),      PREFIX("gho_", "github", 20, false),
    PREFIX("ghu_", "github", 20, false),      PREFIX("ghs_", "github", 20, false),
    PREFIX("ghr_", "github", 20, false),      PREFIX("github_pat_", "github", 20, false),
    PREFIX("sk_live_", "stripe", 10, false),  PREFIX("sk_test_", "stripe", 10, false),
    PREFIX("rk_live_", "stripe", 10, false),  PREFIX("rk_test_", "stripe", 10, false),
    PREFIX("whsec_", "stripe", 16, false),    PREFIX("npm_", "npm", 30, false),
    PREFIX("glsa_", "grafana", 30, false),    PREFIX("glc_", "grafana", 30, false),
    PREFIX("hf_", "huggingface", 30, true),   PREFIX("dop_v1_", "digitalocean", 40, false),
    PREFIX("dckr_pat_", "docker", 20, false), PREFIX("shpat_", "shopify", 30, false),
    PREFIX("lin_api_", "linear", 30, false),  PREFIX("sntrys_", "sentry", 30, false),
};

static const struct prefix dash_prefixes[] = {
    PREFIX("glpat-", "gitlab", 16, false),    PREFIX("gldt-", "gitlab", 16, false),
    PREFIX("glrt-", "gitlab", 16, false),     PREFIX("glcbt-", "gitlab", 16, false),
    PREFIX("glptt-", "gitlab", 16, false),    PREFIX("glft-", "gitlab", 16, false),
    PREFIX("glsoat-", "gitlab", 16, false),   PREFIX("glagent-", "gitlab", 16, false),
    PREFIX("xoxb-", "slack", 10, false),      PREFIX("xoxp-", "slack", 10, false),
    PREFIX("xoxa-", "slack", 10, false),      PREFIX("xoxr-", "slack", 10, false),
    PREFIX("xoxs-", "slack", 10, false),      PREFIX("xoxc-", "slack", 10, false),
    PREFIX("xoxd-", "slack", 10, false),      PREFIX("xoxe-", "slack", 10, false),
    PREFIX("xapp-", "slack", 10, false),      PREFIX("sk-ant-", "api_key", 16, false),
    PREFIX("sk-proj-", "api_key", 16, false), PREFIX("sk-", "api_key", 20, true),
    PREFIX("pypi-", "pypi", 40, false),       PREFIX("tskey-", "tailscale", 16, false),
    PREFIX("NRAK-", "newrelic", 20, false),   PREFIX("GOCSPX-", "google", 20, false),
};

static const struct prefix other_prefixes[] = {
    PREFIX("xoxe.", "slack", 10, false), PREFIX("ya29.", "google", 20, false),
    PREFIX("hvs.", "vault", 20, false),  PREFIX("hvb.", "vault", 20, false),
    PREFIX("SG.", "sendgrid", 20, true), PREFIX("AKIA", "aws", 16, true),
    PREFIX("ASIA", "aws", 16, true),     PREFIX("AIza", "google", 30, false),
};

static bool is_mixed(const char *p, size_t n)
{
    bool capital = false, digit = false;
    for (size_t i = 0; i < n && i < PREFIX_LOOK; i++) {
        capital |= p[i] >= 'A' && p[i] <= 'Z';
        digit |= p[i] >= '0' && p[i] <= '9';
    }
    return capital && digit;
}

// Does x end before `end`, and what follows it look like a token? Returns where to go on, or 0.
static size_t try_prefix(struct scan *s, size_t end, const struct prefix *x)
{
    size_t start = end - x->len, body = end;
    if (memcmp(s->p + start, x->text, x->len) != 0 || (x->mixed && is_glued(s, start)))
        return 0;
    while (body < s->n && body - end < PREFIX_LOOK && is_token_char(s->p[body]))
        body++;
    if (body - end < x->min || (x->mixed && !is_mixed(s->p + end, body - end)))
        return 0;
    size_t stop = token_end(s, body);
    if (x->text[0] == 'S' && stop < s->n && s->p[stop] == '.') // SendGrid's has two parts
        stop = token_end(s, stop + 1);
    return mask(s, start, stop, x->kind);
}

static size_t try_prefixes(struct scan *s, size_t end, const struct prefix *x, size_t count)
{
    char last = s->p[end - 1], before = end >= s->done + 2 ? s->p[end - 2] : '\0';
    for (; count; count--, x++) {
        if (x->text[x->len - 2] != before || x->text[x->len - 1] != last || end - s->done < x->len)
            continue;
        size_t next = try_prefix(s, end, x);
        if (next)
            return next;
    }
    return 0;
}

#define TRY(s, end, table) try_prefixes(s, end, table, ARRAY_LEN(table))

// header.payload.signature, each base64url, the first two JSON objects (RFC 7519).
static size_t try_jwt(struct scan *s, size_t start)
{
    if (start < s->jwt_dead)
        return 0;
    size_t head = token_end(s, start);
    size_t body = head < s->n && s->p[head] == '.' ? token_end(s, head + 1) : head;
    if (head - start < 10 || body - head < 10) {
        s->jwt_dead = head;
        return 0;
    }
    size_t stop = body < s->n && s->p[body] == '.' ? token_end(s, body + 1) : body;
    return mask(s, start, stop, "jwt");
}

static size_t try_pem(struct scan *s, size_t start)
{
    static const char end_mark[] = "-----END ";
    if (!starts_with(s, start, "-----BEGIN "))
        return 0;
    const char *end = memmem(s->p + start, s->n - start, end_mark, sizeof end_mark - 1);
    if (!end)
        return mask(s, start, s->n, "pem"); // cut before its end
    size_t label = (size_t)(end - s->p) + sizeof end_mark - 1, at = label;
    while (at < s->n && at - label < NAME_MAX_BYTES && (is_alnum(s->p[at]) || s->p[at] == ' '))
        at++;
    return mask(s, start, starts_with(s, at, "-----") ? at + 5 : label, "pem");
}

// Does a credential follow a scheme word, rather than prose ("Basic authentication failed")?
static bool is_credential(const char *p, size_t n)
{
    if (n < 8)
        return false;
    for (size_t i = 0; i < n && i < PREFIX_LOOK; i++) {
        if ((p[i] >= '0' && p[i] <= '9') || (i && p[i] >= 'A' && p[i] <= 'Z') || p[i] == '=')
            return true;
    }
    return n >= 24;
}

static size_t credential_end(const struct scan *s, size_t at)
{
    while (at < s->n && (is_token_char(s->p[at]) || strchr("+/=.~", s->p[at] ? s->p[at] : ' ')))
        at++;
    return at;
}

// "Bearer X" and "Basic X" (RFC 6750, RFC 7617) wherever they stand.
static size_t try_scheme(struct scan *s, size_t start)
{
    size_t at = start;
    if (starts_nocase(s, start, "bearer"))
        at += 6;
    else if (starts_nocase(s, start, "basic"))
        at += 5;
    if (at == start || is_glued(s, start))
        return 0;
    size_t word = at;
    while (at < s->n && at - word < BLANKS_MAX && (s->p[at] == ' ' || s->p[at] == '+'))
        at++;
    if (at == word && starts_with(s, at, "%20"))
        at += 3;
    size_t stop = at > word ? credential_end(s, at) : at;
    if (!is_credential(s->p + at, stop - at))
        return 0;
    return mask(s, at, stop, "authorization");
}

// A token that begins or goes on at i and says what it is, wherever it stands.
static size_t try_token(struct scan *s, size_t i)
{
    switch (s->p[i]) {
    case '-':
        return TRY(s, i + 1, dash_prefixes);
    case '_':
        return TRY(s, i + 1, underscore_prefixes);
    case '.':
        return TRY(s, i + 1, other_prefixes);
    case 'A':
        // AKIA and ASIA end in it, AIza begins with it.
        return TRY(s, starts_with(s, i, "AIza") ? i + 4 : i + 1, other_prefixes);
    case 'J':
        return i >= s->done + 2 && ends_with(s, i + 1, "eyJ", 3) ? try_jwt(s, i - 2) : 0;
    default:
        return 0;
    }
}

// For what a rule is about to step over.
static void mask_tokens(struct scan *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        size_t next = try_token(s, i);
        if (next > i)
            i = next - 1;
    }
}

static bool is_port(const struct scan *s, size_t from, size_t to)
{
    size_t i = from;
    while (i < to && s->p[i] >= '0' && s->p[i] <= '9')
        i++;
    return i == to;
}

static bool ends_url(char c)
{
    return is_space(c) || c == '"' || c == '\'' || c == '<' || c == '>' || c == '`';
}

// The password of scheme://user:PASSWORD@host (RFC 3986, 3.2.1), also one with a slash left
// unescaped.
static size_t try_url(struct scan *s, size_t colon)
{
    size_t at = colon + 3, pass = 0, end = 0;
    bool slash = false;
    for (size_t i = at; i < s->n && i - at < URL_LOOK && !ends_url(s->p[i]); i++) {
        char c = s->p[i];
        if (!pass && starts_with(s, i, "[redacted:"))
            i += sizeof "[redacted:" - 1;
        else if (c == ':' && !pass)
            pass = i + 1;
        else if (c == '@' && pass)
            end = i;
        else if (c == '/' && !slash && (!pass || end || is_port(s, pass, i)))
            break; // the authority ends here
        slash |= c == '/';
        if (slash && end)
            break;
    }
    if (end <= pass || starts_with(s, pass, "[redacted:"))
        return 0;
    mask_tokens(s, at, pass); // https://TOKEN:x-oauth-basic@host
    return mask(s, pass, end, "password");
}

// A Telegram bot token: 8 to 10 digits, `:`, `AA` and 33 characters.
static size_t try_telegram(struct scan *s, size_t colon)
{
    size_t start = colon;
    while (start > s->done && colon - start < 11 && s->p[start - 1] >= '0' &&
           s->p[start - 1] <= '9')
        start--;
    if (colon - start < 8 || colon - start > 10 || !starts_with(s, colon + 1, "AA"))
        return 0;
    size_t stop = token_end(s, colon + 1);
    return stop - colon - 1 >= 33 ? mask(s, start, stop, "telegram") : 0;
}

bool redact_is_secret_name(struct str name)
{
    return secret_name_kind(name) != NULL;
}

// The name that ends before `end`: "name", 'name', \"name\" or bare, blanks allowed.
static struct str name_before(const struct scan *s, size_t end)
{
    size_t floor = s->done;
    for (int i = 0; i < BLANKS_MAX && end > floor && s->p[end - 1] == ' '; i++)
        end--;
    if (end > floor && (s->p[end - 1] == '"' || s->p[end - 1] == '\''))
        end--;
    if (end > floor && s->p[end - 1] == '\\')
        end--;
    size_t start = end;
    while (start > floor && end - start < NAME_MAX_BYTES &&
           (is_token_char(s->p[start - 1]) || s->p[start - 1] == '.'))
        start--;
    return (struct str){s->p + start, end - start};
}

// Is what follows a `,` or `;` another pair, rather than the rest of the password?
static bool pair_follows(const struct scan *s, size_t at)
{
    if (at == s->n || s->p[at] == ' ' || s->p[at] == '"' || s->p[at] == '\'' || s->p[at] == '\\')
        return true;
    size_t name = at;
    while (at < s->n && at - name < NAME_MAX_BYTES && (is_token_char(s->p[at]) || s->p[at] == '.'))
        at++;
    return at < s->n && at > name && (s->p[at] == '=' || s->p[at] == ':');
}

static size_t bare_end(const struct scan *s, size_t at)
{
    for (; at < s->n; at++) {
        char c = s->p[at];
        if (is_space(c) || c == '"' || c == '\'' || c == '&' || c == '`' || c == '<')
            break;
        if (c == '\\' && at + 1 < s->n && strchr("\"'nrt", s->p[at + 1]))
            break;
        if (c == '%' && starts_with(s, at, "%26"))
            break;
        if ((c == ',' || c == ';') && pair_follows(s, at + 1))
            break;
    }
    return at;
}

// Up to the closing quote, which is written as the opening one was (`"`, `'` or `\"`), or to the
// end of the line.
static size_t quoted_end(const struct scan *s, size_t at, char quote, bool escaped)
{
    for (; at < s->n && s->p[at] != '\n'; at++) {
        if (s->p[at] == '\\' && at + 1 < s->n) {
            if (escaped && s->p[at + 1] == quote)
                break;
            at++;
        } else if (!escaped && s->p[at] == quote) {
            break;
        }
    }
    return at < s->n ? at : s->n;
}

// Values that tell nothing: masked already, or filled in later by somebody else.
static bool is_placeholder(const struct scan *s, size_t at)
{
    return starts_with(s, at, "[redacted:") || starts_with(s, at, "***") ||
           starts_with(s, at, "{{") || starts_with(s, at, "${");
}

static bool is_no_value(struct str v)
{
    static const char *const words[] = {"null",  "nil",       "none", "true",
                                        "false", "undefined", "<nil>"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (text_equal_nocase(v, words[i]))
            return true;
    }
    return v.n == 0;
}

// Authorization: the scheme's name may stay. Schemes with parameters are masked to the end of the
// line.
static size_t after_scheme(const struct scan *s, size_t at, size_t *ret_stop, char quote)
{
    static const char *const one[] = {"bearer ", "basic ",     "token ",
                                      "apikey ", "negotiate ", "splunk "};
    static const char *const many[] = {"digest ", "oauth ", "aws4-hmac-sha256 ", "hmac ",
                                       "signature "};
    for (size_t i = 0; i < ARRAY_LEN(one); i++) {
        if (starts_nocase(s, at, one[i])) {
            at += strlen(one[i]);
            *ret_stop = quote ? *ret_stop : bare_end(s, at);
            return at;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        if (starts_nocase(s, at, many[i])) {
            at += strlen(many[i]);
            if (is_placeholder(s, at))
                return *ret_stop;
            while (!quote && *ret_stop < s->n && s->p[*ret_stop] != '\n')
                ++*ret_stop;
            return at;
        }
    }
    return at;
}

// The value that begins at `at`, after a name that says it is secret.
static size_t mask_value(struct scan *s, size_t at, const char *kind)
{
    for (int i = 0; i < BLANKS_MAX && at < s->n && (s->p[at] == ' ' || s->p[at] == '>'); i++)
        at++;
    bool escaped =
        at + 1 < s->n && s->p[at] == '\\' && (s->p[at + 1] == '"' || s->p[at + 1] == '\'');
    at += escaped;
    char quote = at < s->n && (s->p[at] == '"' || s->p[at] == '\'') ? s->p[at] : 0;
    at += quote != 0;
    if (is_placeholder(s, at))
        return 0;
    size_t stop = quote ? quoted_end(s, at, quote, escaped) : bare_end(s, at);
    if (str_is(str_of(kind), "authorization"))
        at = after_scheme(s, at, &stop, quote);
    else if (str_is(str_of(kind), "cookie"))
        while (!quote && stop < s->n && s->p[stop] != '\n' && s->p[stop] != '"' &&
               s->p[stop] != '\'')
            stop++;
    if (stop <= at || is_placeholder(s, at) || is_no_value((struct str){s->p + at, stop - at}))
        return 0;
    return mask(s, at, stop, kind);
}

static size_t try_pair(struct scan *s, size_t separator, size_t len)
{
    struct str name = name_before(s, separator);
    const char *kind = name.n >= 2 ? secret_name_kind(name) : NULL;
    return kind ? mask_value(s, separator + len, kind) : 0;
}

// --password VALUE, as on a command line.
static size_t try_option(struct scan *s, size_t dashes)
{
    size_t end = dashes + 2;
    while (end < s->n && end - dashes < NAME_MAX_BYTES && is_token_char(s->p[end]))
        end++;
    if (end == s->n || s->p[end] != ' ')
        return 0;
    const char *kind = secret_name_kind((struct str){s->p + dashes + 2, end - dashes - 2});
    if (!kind || (end + 1 < s->n && s->p[end + 1] == '-'))
        return 0;
    mask_tokens(s, dashes, end); // the first dash may be the last byte of a token's prefix
    size_t next = mask_value(s, end, kind);
    return next || s->done < dashes ? next : s->done;
}

static size_t try_colon(struct scan *s, size_t i)
{
    size_t next = 0;
    if (starts_with(s, i, "://"))
        return try_url(s, i);
    if (i > s->done && s->p[i - 1] >= '0' && s->p[i - 1] <= '9')
        next = try_telegram(s, i);
    return next ? next : try_pair(s, i, 1);
}

static size_t try_dash(struct scan *s, size_t i)
{
    size_t next = 0;
    if (s->n - i > 5 && s->p[i + 1] == '-')
        next = s->p[i + 2] == '-' ? try_pem(s, i) : try_option(s, i);
    return next ? next : try_token(s, i);
}

// A separator in the query of a URL.
static size_t try_percent(struct scan *s, size_t i)
{
    char c = s->n - i > 2 && s->p[i + 1] == '3' ? (char)(s->p[i + 2] | 0x20) : '\0';
    return c == 'd' || c == 'a' ? try_pair(s, i, 3) : 0;
}

// A rule that applies at i: where to go on, 0 if there is none.
static size_t try_at(struct scan *s, size_t i)
{
    switch (s->p[i]) {
    case '-':
        return try_dash(s, i);
    case 'b':
    case 'B':
        return s->n - i > 6 && strchr("eaEA", s->p[i + 1] ? s->p[i + 1] : ' ') ? try_scheme(s, i)
                                                                               : 0;
    case ':':
        return try_colon(s, i);
    case '=':
        return try_pair(s, i, 1);
    case '%':
        return try_percent(s, i);
    default:
        return try_token(s, i);
    }
}

int redact(struct buf *out, struct str text)
{
    struct scan s = {.out = out, .p = text.n ? text.p : "", .n = text.n};
    for (size_t i = 0; i < s.n; i++) {
        size_t next = trigger[(unsigned char)s.p[i]] ? try_at(&s, i) : 0;
        if (next > i)
            i = next - 1;
    }
    buf_add(out, s.p + s.done, s.n - s.done);
    return out->error ? out->error : s.found;
}
