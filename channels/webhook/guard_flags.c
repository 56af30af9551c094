#include "channels/webhook/guard_flags.h"

#include <stdio.h>
#include <strings.h>

struct reader {
    const struct flag_table *table;
    const char *verb;
    bool unknown_takes_value;
    struct flags *out;
};

static bool belongs(const struct reader *r, const struct flag_spec *s)
{
    char key[48];

    if (!r->verb)
        return s->global;
    if (!s->verbs)
        return true;
    snprintf(key, sizeof(key), " %s ", r->verb);
    return strstr(s->verbs, key) != NULL;
}

// pflag's normaliser of kubectl takes `_` for `-`.
static bool same_name(const char *given, size_t len, const char *name)
{
    if (strlen(name) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (given[i] != name[i] && !(given[i] == '_' && name[i] == '-'))
            return false;
    return true;
}

static const struct flag_spec *find_spec(const struct reader *r, const char *name, size_t len,
                                         char letter)
{
    for (size_t i = 0; i < r->table->n; i++) {
        const struct flag_spec *s = &r->table->specs[i];

        if (belongs(r, s) && (letter ? s->letter == letter : same_name(name, len, s->name)))
            return s;
    }
    return NULL;
}

static void doubt(struct flags *f, const char *why)
{
    if (!f->doubt)
        f->doubt = why;
}

// A file pattern in an output template: -o jsonpath={.items[*].x} without quotes. Whatever files it
// met would have to begin like the template, so it stays one harmless word.
static bool is_template(const struct sw_word *w)
{
    static const char *const prefixes[] = {
        "jsonpath=", "jsonpath-as-json=", "custom-columns=", "go-template="};
    size_t literal = strcspn(w->text, "*?[");

    if (!w->glob || w->vars)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        const char *at = strstr(w->text, prefixes[i]);

        if (at && (size_t)(at - w->text) + strlen(prefixes[i]) <= literal)
            return true;
    }
    return false;
}

static void keep(struct flags *f, const struct flag_spec *spec, const char *text,
                 const struct sw_word *w)
{
    if (f->nvalues == FLAGS_MAX) {
        doubt(f, "too many flags");
        return;
    }
    bool is_pattern = w && w->splits && !is_template(w);

    f->values[f->nvalues++] = (struct flag_value){
        .spec = spec,
        .text = text,
        .unknown = text && (strchr(text, SW_HOLE) || is_pattern),
        .splits = is_pattern,
    };
}

// Takes the next word as the value of a flag. Returns how many words were taken.
static size_t next_value(struct reader *r, const struct flag_spec *spec,
                         const struct guard_call *call, size_t i)
{
    if (i + 1 >= call->n) {
        doubt(r->out, "a flag without its value");
        return 0;
    }
    if (spec)
        keep(r->out, spec, call->w[i + 1].text, &call->w[i + 1]);
    return 1;
}

static size_t read_long(struct reader *r, const struct guard_call *call, size_t i)
{
    const struct sw_word *w = &call->w[i];
    const char *name = w->text + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct flag_spec *spec = find_spec(r, name, len, 0);

    if (memchr(name, SW_HOLE, len))
        doubt(r->out, "a flag that is not written out");
    if (!spec) {
        doubt(r->out, "an unknown flag");
        return !equals && r->unknown_takes_value ? next_value(r, NULL, call, i) : 0;
    }
    if (equals || spec->kind == FLAG_BOOL) {
        keep(r->out, spec, equals ? equals + 1 : NULL, w);
        return 0;
    }
    return next_value(r, spec, call, i);
}

static size_t read_short(struct reader *r, const struct guard_call *call, size_t i)
{
    const struct sw_word *w = &call->w[i];

    for (const char *c = w->text + 1; *c; c++) {
        const struct flag_spec *spec = find_spec(r, NULL, 0, *c);

        if (*c == SW_HOLE)
            doubt(r->out, "a flag that is not written out");
        if (!spec) {
            doubt(r->out, "an unknown flag");
            return !c[1] && r->unknown_takes_value ? next_value(r, NULL, call, i) : 0;
        }
        if (spec->kind == FLAG_VALUE) {
            if (!c[1])
                return next_value(r, spec, call, i);
            keep(r->out, spec, c + 1 + (c[1] == '='), w);
            return 0;
        }
        if (c[1] == '=') {
            keep(r->out, spec, c + 2, w);
            return 0;
        }
        keep(r->out, spec, NULL, w);
    }
    return 0;
}

static void add_word(struct flags *f, const struct sw_word *w)
{
    if (f->nwords == FLAGS_MAX)
        doubt(f, "too many arguments");
    else
        f->words[f->nwords++] = w;
}

void flags_read(const struct flag_table *t, const struct guard_call *call, const char *verb,
                bool unknown_takes_value, struct flags *ret)
{
    struct reader r = {t, verb, unknown_takes_value, ret};
    bool ended = false;

    *ret = (struct flags){0};
    for (size_t i = 1; i < call->n; i++) {
        const char *text = call->w[i].text;

        if (!ended && strcmp(text, "--") == 0)
            ended = true;
        else if (!ended && text[0] == '-' && text[1] == '-')
            i += read_long(&r, call, i);
        else if (!ended && text[0] == '-' && text[1])
            i += read_short(&r, call, i);
        else
            add_word(ret, &call->w[i]);
        if (!verb && ret->nwords)
            return;
    }
}

const struct flag_value *flags_find(const struct flags *f, const char *name)
{
    for (size_t i = f->nvalues; i > 0; i--)
        if (strcmp(f->values[i - 1].spec->name, name) == 0)
            return &f->values[i - 1];
    return NULL;
}

bool flags_set(const struct flags *f, const char *name)
{
    const struct flag_value *v = flags_find(f, name);

    return v && !(v->text && (strcasecmp(v->text, "false") == 0 || strcasecmp(v->text, "f") == 0 ||
                              strcmp(v->text, "0") == 0));
}

const char *flags_text(const struct flags *f, const char *name)
{
    const struct flag_value *v = flags_find(f, name);

    return v && v->text && !v->unknown ? v->text : "";
}

void flags_judge(struct guard_judge *j, const struct flags *f, const char *program)
{
    for (size_t i = 0; i < f->nvalues; i++) {
        const struct flag_value *v = &f->values[i];

        if (v->spec->rule == FLAG_DENIED)
            guard_say(j, GUARD_DENY, "%s --%s is forbidden", program, v->spec->name);
        else if (v->spec->rule == FLAG_ASKS)
            guard_say(j, GUARD_ASK, "%s --%s needs a person's word", program, v->spec->name);
        if (v->splits)
            guard_say(j, GUARD_ASK, "%s --%s: write its value out, in quotes", program,
                      v->spec->name);
    }
    if (f->doubt)
        guard_say(j, GUARD_ASK, "%s: %s", program, f->doubt);
}
