#include "channels/webhook/ticket_api.h"

#include <stdio.h>

#include "channels/webhook/ticket_text.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_TEXT (64 * 1024)
#define MAX_AUTH 2048

// ---- which ----

static void need(struct buf *out, const char *name, const char *value)
{
    if (!value[0])
        buf_addf(out, "%s%s", out->len ? ", " : "", name);
}

enum ticket_system ticket_system_of(const struct config *c, struct buf *ret_missing)
{
    struct buf jira = BUF_INIT(256), gitlab = BUF_INIT(256);
    need(&jira, "JIRA_URL", c->jira_url);
    need(&jira, "JIRA_TOKEN", c->jira_token);
    need(&jira, "JIRA_PROJECT", c->jira_project);
    need(&gitlab, "GITLAB_URL", c->gitlab_url);
    need(&gitlab, "GITLAB_TOKEN", c->gitlab_token);
    need(&gitlab, "GITLAB_PROJECT", c->gitlab_project);
    enum ticket_system system = TICKET_NONE;
    if (!jira.len)
        system = strstr(c->jira_url, ".atlassian.net") ? TICKET_JIRA_CLOUD : TICKET_JIRA_UNKNOWN;
    else if (!gitlab.len)
        system = TICKET_GITLAB;
    else
        buf_addf(ret_missing, "for Jira %s (and JIRA_EMAIL for Jira Cloud); for GitLab %s",
                 buf_cstr(&jira), buf_cstr(&gitlab));
    buf_done(&jira);
    buf_done(&gitlab);
    return system;
}

// ---- requests ----

static void escape(struct buf *out, const char *s)
{
    for (; *s; s++)
        if (strchr("-._~", *s) || (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
            (*s >= 'A' && *s <= 'Z'))
            buf_addc(out, *s);
        else
            buf_addf(out, "%%%02X", (unsigned char)*s);
}

static void base(struct buf *out, const char *url)
{
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    buf_add(out, url, n);
}

static int authorize(struct buf *out, const struct config *c, bool gitlab)
{
    if (gitlab)
        return buf_addf(out, "PRIVATE-TOKEN: %s", c->gitlab_token);
    if (!c->jira_email[0]) // a personal access token
        return buf_addf(out, "Authorization: Bearer %s", c->jira_token);
    char encoded[MAX_AUTH];
    struct buf pair = BUF_INIT(MAX_AUTH / 2);
    int r = buf_addf(&pair, "%s:%s", c->jira_email, c->jira_token);
    if (r == 0) {
        size_t n = base64_encode(buf_str(&pair), encoded, sizeof encoded);
        r = buf_addf(out, "Authorization: Basic %.*s", (int)n, encoded);
    }
    buf_done(&pair);
    return r;
}

// The text as the system's value of a member.
static int rich(struct jw *w, enum ticket_system system, struct str text)
{
    struct buf b = BUF_INIT(4 * MAX_TEXT);
    int r = 0;
    if (system == TICKET_JIRA_CLOUD) {
        ticket_adf(w, text);
    } else {
        r = system == TICKET_GITLAB ? ticket_markdown(&b, text) : ticket_wiki(&b, text);
        jw_strn(w, buf_str(&b));
    }
    buf_done(&b);
    return r;
}

static void jira_labels(struct jw *w, const struct ticket_words *t)
{
    const char *why;
    cJSON *labels = json_parse(str_of(t->labels), &why);
    const cJSON *l;
    jw_key(w, "labels");
    jw_array(w);
    jw_str(w, t->mark);
    cJSON_ArrayForEach(l, labels)
    {
        char one[256]; // a label has no spaces
        snprintf(one, sizeof one, "%s", cJSON_IsString(l) ? l->valuestring : "");
        for (char *p = one; *p; p++)
            if (*p == ' ')
                *p = '-';
        jw_str(w, one);
    }
    jw_array_end(w);
    cJSON_Delete(labels);
}

static int jira_create(struct jw *w, const struct config *c, enum ticket_system system,
                       const struct ticket_words *t)
{
    jw_object(w);
    jw_key(w, "fields");
    jw_object(w);
    jw_key(w, "project");
    jw_object(w);
    jw_kstr(w, "key", c->jira_project);
    jw_object_end(w);
    jw_key(w, "issuetype");
    jw_object(w);
    jw_kstr(w, "name", c->jira_issue_type);
    jw_object_end(w);
    jw_kstr(w, "summary", t->title);
    jw_key(w, "description");
    int r = rich(w, system, str_of(t->body));
    jira_labels(w, t);
    if (t->assignee[0]) {
        jw_key(w, "assignee");
        jw_object(w);
        jw_kstr(w, system == TICKET_JIRA_CLOUD ? "id" : "name", t->assignee);
        jw_object_end(w);
    }
    jw_object_end(w);
    jw_object_end(w);
    return r;
}

static void jira_search(struct jw *w, const struct config *c, const struct ticket_words *t)
{
    struct buf jql = BUF_INIT(512);
    buf_adds(&jql, "project = \"");
    for (const char *p = c->jira_project; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_addc(&jql, '\\');
        buf_addc(&jql, *p);
    }
    buf_addf(&jql, "\" AND labels = \"%s\"", t->mark);
    jw_object(w);
    jw_kstr(w, "jql", buf_cstr(&jql));
    jw_kint(w, "maxResults", 1);
    jw_key(w, "fields");
    jw_array(w);
    jw_str(w, "status");
    jw_array_end(w);
    jw_object_end(w);
    buf_done(&jql);
}

static int comment(struct jw *w, enum ticket_system system, const struct ticket_words *t)
{
    struct buf text = BUF_INIT(2 * MAX_TEXT);
    buf_addf(&text, "%s\n\n%s\n", t->body, t->note);
    jw_object(w);
    jw_key(w, "body");
    int r = text.error ? text.error : rich(w, system, buf_str(&text));
    jw_object_end(w);
    buf_done(&text);
    return r;
}

static int jira_write(struct ticket_request *r, const struct config *c, enum ticket_system system,
                      enum ticket_step step, const struct ticket_words *t)
{
    struct jw w = JW(&r->body);
    bool cloud = system == TICKET_JIRA_CLOUD;
    int e = 0;
    base(&r->url, c->jira_url);
    buf_addf(&r->url, "/rest/api/%d/", cloud ? 3 : 2);
    r->method = "GET";
    switch (step) {
    case TICKET_DETECT:
        buf_adds(&r->url, "serverInfo");
        break;
    case TICKET_SEARCH:
        r->method = "POST";
        buf_adds(&r->url, cloud ? "search/jql" : "search");
        jira_search(&w, c, t);
        break;
    case TICKET_CREATE:
        r->method = "POST";
        buf_adds(&r->url, "issue");
        e = jira_create(&w, c, system, t);
        break;
    case TICKET_STATUS:
        buf_addf(&r->url, "issue/%s?fields=status", t->key);
        break;
    case TICKET_LOOK:
        buf_addf(&r->url, "issue/%s/comment?orderBy=-created&maxResults=50", t->key);
        break;
    case TICKET_COMMENT:
        r->method = "POST";
        buf_addf(&r->url, "issue/%s/comment", t->key);
        e = comment(&w, system, t);
        break;
    }
    return e;
}

static int gitlab_create(struct jw *w, const struct ticket_words *t)
{
    struct buf text = BUF_INIT(4 * MAX_TEXT), labels = BUF_INIT(4096);
    const char *why;
    cJSON *list = json_parse(str_of(t->labels), &why);
    const cJSON *l;
    cJSON_ArrayForEach(l, list) if (cJSON_IsString(l))
        buf_addf(&labels, "%s%s", labels.len ? "," : "", l->valuestring);
    cJSON_Delete(list);
    int r = ticket_markdown(&text, str_of(t->body));
    buf_addf(&text, "\n%s\n", t->mark);
    if (t->assignee[0]) // a quick action knows names; the API only numbers
        buf_addf(&text, "\n/assign @%s\n", t->assignee);
    jw_object(w);
    jw_kstr(w, "title", t->title);
    jw_key(w, "description");
    jw_strn(w, buf_str(&text));
    if (labels.len)
        jw_kstr(w, "labels", buf_cstr(&labels));
    jw_object_end(w);
    r = r < 0 ? r : text.error ? text.error : labels.error;
    buf_done(&text);
    buf_done(&labels);
    return r;
}

static int gitlab_write(struct ticket_request *r, const struct config *c, enum ticket_step step,
                        const struct ticket_words *t)
{
    struct jw w = JW(&r->body);
    base(&r->url, c->gitlab_url);
    buf_adds(&r->url, "/api/v4/projects/");
    escape(&r->url, c->gitlab_project);
    buf_adds(&r->url, "/issues");
    r->method = "GET";
    switch (step) {
    case TICKET_DETECT:
        return -1;
    case TICKET_SEARCH:
        buf_addf(&r->url, "?in=description&per_page=1&search=%s", t->mark);
        return 0;
    case TICKET_CREATE:
        r->method = "POST";
        return gitlab_create(&w, t);
    case TICKET_STATUS:
        buf_addf(&r->url, "/%s", t->key);
        return 0;
    case TICKET_LOOK:
        buf_addf(&r->url, "/%s/notes?sort=desc&order_by=created_at&per_page=50", t->key);
        return 0;
    case TICKET_COMMENT:
        r->method = "POST";
        buf_addf(&r->url, "/%s/notes", t->key);
        return comment(&w, TICKET_GITLAB, t);
    }
    return 0;
}

int ticket_request_write(struct ticket_request *r, const struct config *c,
                         enum ticket_system system, enum ticket_step step,
                         const struct ticket_words *words)
{
    *r = (struct ticket_request){
        .url = BUF_INIT(4096), .body = BUF_INIT(16 * MAX_TEXT), .auth = BUF_INIT(MAX_AUTH)};
    int e = authorize(&r->auth, c, system == TICKET_GITLAB);
    if (e == 0)
        e = system == TICKET_GITLAB ? gitlab_write(r, c, step, words)
                                    : jira_write(r, c, system, step, words);
    return e < 0 ? e : r->url.error ? r->url.error : r->body.error;
}

void ticket_request_done(struct ticket_request *r)
{
    buf_done(&r->url);
    buf_done(&r->body);
    buf_done(&r->auth);
}

// ---- answers ----

// Jira: {"errorMessages": [...], "errors": {field: text}}; GitLab: {"message": ...} or {"error":
// ...}.
static void reason(const cJSON *json, struct buf *out)
{
    const cJSON *e;
    cJSON_ArrayForEach(e, json_arr(json, "errorMessages")) if (cJSON_IsString(e))
        buf_addf(out, "%s%s", out->len ? "; " : "", e->valuestring);
    cJSON_ArrayForEach(e, json_obj(json, "errors")) if (cJSON_IsString(e))
        buf_addf(out, "%s%s: %s", out->len ? "; " : "", e->string, e->valuestring);
    const cJSON *m = json_get(json, "message");
    if (cJSON_IsString(m))
        buf_adds(out, m->valuestring);
    else if (cJSON_IsObject(m)) {
        struct jw w = JW(out);
        jw_cjson(&w, m);
    } else if (json_str(json, "error"))
        buf_adds(out, json_str(json, "error"));
}

static void fail(struct ticket_answer *a, enum ticket_verdict verdict, int status,
                 const cJSON *json)
{
    struct buf text = BUF_INIT(2048), clean = BUF_INIT(1024);
    reason(json, &text);
    text_clean(&clean, buf_str(&text), 220, TEXT_ONE_LINE);
    const char *hint =
        status == 401 || status == 403 ? ": the token is not accepted, or may not do that" : "";
    snprintf(a->why, sizeof a->why, "HTTP status %d%s%s%.220s", status, hint, clean.len ? ": " : "",
             buf_cstr(&clean));
    a->verdict = verdict;
    buf_done(&text);
    buf_done(&clean);
}

static void take_key(struct ticket_answer *a, const struct config *c, bool gitlab,
                     const cJSON *issue)
{
    const char *key = json_str(issue, "key"), *url = json_str(issue, "web_url");
    struct buf b = BUF_INIT(sizeof a->url - 1);
    if (gitlab) {
        int64_t iid = json_int(issue, "iid", 0);
        if (iid > 0)
            snprintf(a->key, sizeof a->key, "%lld", (long long)iid);
        buf_adds(&b, url ? url : "");
    } else if (key && strlen(key) < sizeof a->key &&
               strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(key)) {
        snprintf(a->key, sizeof a->key, "%s", key);
        base(&b, c->jira_url);
        buf_addf(&b, "/browse/%s", key);
    }
    snprintf(a->url, sizeof a->url, "%s", buf_cstr(&b));
    a->verdict = a->key[0] ? TICKET_OK : TICKET_ABSENT;
    buf_done(&b);
}

static bool is_open(bool gitlab, const cJSON *json)
{
    if (gitlab)
        return strcmp(json_str(json, "state") ? json_str(json, "state") : "", "closed") != 0;
    const char *category =
        json_str(json_obj(json_obj(json_obj(json, "fields"), "status"), "statusCategory"), "key");
    return !category || strcmp(category, "done") != 0;
}

static bool names_assignee(const cJSON *json)
{
    return json_get(json_obj(json, "errors"), "assignee") != NULL;
}

static void read_good(struct ticket_answer *a, const struct config *c, bool gitlab,
                      enum ticket_step step, const struct ticket_words *words, const cJSON *json,
                      struct str body)
{
    const cJSON *list = gitlab ? json : json_arr(json, "issues");
    const char *type;
    a->verdict = TICKET_OK;
    switch (step) {
    case TICKET_DETECT:
        type = json_str(json, "deploymentType");
        a->system = type && strcmp(type, "Cloud") == 0 ? TICKET_JIRA_CLOUD : TICKET_JIRA_SERVER;
        break;
    case TICKET_SEARCH:
        take_key(a, c, gitlab, cJSON_GetArrayItem(list, 0));
        break;
    case TICKET_CREATE:
        take_key(a, c, gitlab, json);
        if (a->verdict != TICKET_OK)
            fail(a, TICKET_UNSURE, 200, json);
        break;
    case TICKET_STATUS:
        a->verdict = is_open(gitlab, json) ? TICKET_OK : TICKET_ABSENT;
        break;
    case TICKET_LOOK:
        a->verdict =
            memmem(body.p, body.n, words->note, strlen(words->note)) ? TICKET_OK : TICKET_ABSENT;
        break;
    case TICKET_COMMENT:
        break;
    }
}

static void read_bad(struct ticket_answer *a, const struct config *c, enum ticket_step step,
                     int status, const cJSON *json)
{
    bool writes = step == TICKET_CREATE || step == TICKET_COMMENT;
    if (step == TICKET_DETECT && status == 404) { // too old to tell, or in front of it something is
        a->verdict = TICKET_OK;
        a->system = strchr(c->jira_email, '@') ? TICKET_JIRA_CLOUD : TICKET_JIRA_SERVER;
    } else if (step == TICKET_STATUS && status == 404) {
        a->verdict = TICKET_ABSENT;
    } else if (status >= 500) {
        fail(a, writes && status != 503 ? TICKET_UNSURE : TICKET_WAIT, status, json);
    } else if (step == TICKET_CREATE && status == 400 && names_assignee(json)) {
        fail(a, TICKET_BAD_ASSIGNEE, status, json);
    } else if (writes && (status == 400 || status == 413 || status == 422)) {
        fail(a, TICKET_REFUSED, status, json);
    } else {
        fail(a, TICKET_WAIT, status, json);
    }
}

void ticket_answer_read(struct ticket_answer *a, const struct config *c, enum ticket_system system,
                        enum ticket_step step, const struct ticket_words *words, int status,
                        bool asked, const char *why, struct str body)
{
    const char *parse_error;
    *a = (struct ticket_answer){.verdict = asked ? TICKET_UNSURE : TICKET_WAIT};
    if (status == 0) {
        snprintf(a->why, sizeof a->why, "%s", why);
        return;
    }
    cJSON *json = json_parse(body, &parse_error);
    if (status >= 200 && status < 300 && (json || step == TICKET_COMMENT))
        read_good(a, c, system == TICKET_GITLAB, step, words, json, body);
    else
        read_bad(a, c, step, status >= 200 && status < 300 ? 502 : status, json);
    cJSON_Delete(json);
}
