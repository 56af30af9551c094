#include "common/secret_name.h"

#define NAME_MAX_BYTES 64 // how much of a name is looked at, from its end

struct keyword {
    const char *text;
    const char *kind;
    bool whole; // the whole last word of the name, not just its end
};

// Separators are taken out of a name before it is compared: api_key, api-key and apiKey are one.
static const struct keyword keywords[] = {
    {"password", "password", false},
    {"passwd", "password", false},
    {"passphrase", "password", false},
    {"passwort", "password", false},
    {"pwd", "password", false},
    {"pass", "password", true},
    {"pw", "password", true},
    {"secret", "secret", false},
    {"secrets", "secret", true},
    {"token", "token", false},
    {"apikey", "api_key", false},
    {"accesskey", "access_key", false},
    {"accountkey", "access_key", false},
    {"privatekey", "private_key", false},
    {"encryptionkey", "secret", false},
    {"signingkey", "secret", false},
    {"sharedkey", "secret", false},
    {"secretkey", "secret", false},
    {"masterkey", "secret", false},
    {"credential", "secret", false},
    {"credentials", "secret", false},
    {"authorization", "authorization", false},
    {"cookie", "cookie", false},
    {"signature", "signature", true},
    {"sig", "signature", true},
    {"connectionstring", "secret", false},
};

// What may stand behind a keyword and still name the secret itself.
static const char *const key_tails[] = {"value", "data", "hash", "base64",
                                        "b64",   "key",  "id",   "str"};

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

// Is there anything of a keyword in it? Nearly every name is dismissed here.
static bool may_be_secret(struct str name)
{
    for (size_t i = 0; i + 1 < name.n; i++) {
        char b = lower(name.p[i + 1]), c = i + 2 < name.n ? lower(name.p[i + 2]) : '\0';
        switch (lower(name.p[i])) {
        case 'p': // pass, pwd, pw, private
            if (b == 'w' || (b == 'a' && c == 's'))
                return true;
            break;
        case 's': // secret, sig
            if ((b == 'e' && c == 'c') || (b == 'i' && c == 'g'))
                return true;
            break;
        case 't':
            if (b == 'o' && c == 'k')
                return true;
            break;
        case 'k':
            if (b == 'e' && c == 'y')
                return true;
            break;
        case 'c': // credential, cookie, connectionstring
            if ((b == 'r' && c == 'e') || (b == 'o' && (c == 'o' || c == 'n')))
                return true;
            break;
        case 'a':
            if (b == 'u' && c == 't')
                return true;
            break;
        default:
            break;
        }
    }
    return false;
}

static struct str without_tail(struct str name)
{
    while (name.n && name.p[name.n - 1] >= '0' && name.p[name.n - 1] <= '9')
        name.n--;
    return name;
}

static bool ends_with_keyword(struct str flat, struct str last, const struct keyword *k)
{
    size_t n = strlen(k->text);
    if (k->whole)
        return str_is(last, k->text);
    return flat.n >= n && memcmp(flat.p + flat.n - n, k->text, n) == 0;
}

const char *secret_name_kind(struct str name)
{
    char flat[NAME_MAX_BYTES];
    size_t n = 0, word = 0;
    bool was_lower = false;
    if (!may_be_secret(name))
        return NULL;
    if (name.n > NAME_MAX_BYTES)
        name = (struct str){name.p + name.n - NAME_MAX_BYTES, NAME_MAX_BYTES};
    name = without_tail(name);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!is_alnum(c) || (was_lower && c >= 'A' && c <= 'Z'))
            word = n;
        was_lower = c >= 'a' && c <= 'z';
        if (is_alnum(c))
            flat[n++] = lower(c);
    }
    struct str whole = {flat, n}, last = {flat + word, n - word};
    for (size_t t = 0; t <= ARRAY_LEN(key_tails); t++) {
        struct str cut = whole;
        if (t) {
            size_t len = strlen(key_tails[t - 1]);
            if (n < len || memcmp(flat + n - len, key_tails[t - 1], len) != 0)
                continue;
            cut.n -= len;
        }
        for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
            if ((t == 0 || !keywords[i].whole) && ends_with_keyword(cut, last, &keywords[i]))
                return keywords[i].kind;
        }
    }
    return NULL;
}
