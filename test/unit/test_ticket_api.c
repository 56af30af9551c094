// What is asked of Jira and GitLab, and what each of their answers means.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/ticket_api.h"

static char jira_url[] = "https://jira.example.com//", gitlab_url[] = "https://gitlab.example.com/",
            token[] = "secret", email[] = "sre@example.com", no_email[] = "",
            project[] = "A \"B\" \\C", gitlab_project[] = "ops/alerts", type[] = "Task";
static struct config config = {.jira_url = jira_url,
                               .jira_token = token,
                               .jira_email = email,
                               .jira_project = project,
                               .jira_issue_type = type,
                               .gitlab_url = gitlab_url,
                               .gitlab_token = token,
                               .gitlab_project = gitlab_project};
static const struct ticket_words words = {.title = "t",
                                          .body = "b",
                                          .mark = "sre-1",
                                          .note = "sre-note-1",
                                          .key = "7",
                                          .labels = "[]",
                                          .assignee = ""};

static void asks(enum ticket_system system, enum ticket_step step, const char *method,
                 const char *url, const char *body)
{
    struct ticket_request r;
    assert_int_equal(ticket_request_write(&r, &config, system, step, &words), 0);
    assert_string_equal(r.method, method);
    assert_string_equal(buf_cstr(&r.url), url);
    assert_string_equal(buf_cstr(&r.body), body);
    ticket_request_done(&r);
}

static void test_what_is_asked(void **state)
{
    (void)state;
    asks(TICKET_JIRA_UNKNOWN, TICKET_DETECT, "GET",
         "https://jira.example.com/rest/api/2/serverInfo", "");
    // The project's name cannot leave its quotes.
    asks(TICKET_JIRA_CLOUD, TICKET_SEARCH, "POST", "https://jira.example.com/rest/api/3/search/jql",
         "{\"jql\":\"project = \\\"A \\\\\\\"B\\\\\\\" \\\\\\\\C\\\" AND labels = "
         "\\\"sre-1\\\"\",\"maxResults\":1,\"fields\":[\"status\"]}");
    asks(TICKET_GITLAB, TICKET_SEARCH, "GET",
         "https://gitlab.example.com/api/v4/projects/ops%2Falerts/"
         "issues?in=description&per_page=1&search=sre-1",
         "");
    asks(TICKET_GITLAB, TICKET_STATUS, "GET",
         "https://gitlab.example.com/api/v4/projects/ops%2Falerts/issues/7", "");
    asks(TICKET_GITLAB, TICKET_LOOK, "GET",
         "https://gitlab.example.com/api/v4/projects/ops%2Falerts/issues/7/"
         "notes?sort=desc&order_by=created_at&per_page=50",
         "");
}

static const struct {
    enum ticket_system system;
    enum ticket_step step;
    int status;
    const char *body;
    enum ticket_verdict verdict;
    const char *says; // its key when it is found, else the reason
} answers[] = {
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 201, "{\"key\":\"OPS-1\"}", TICKET_OK, "OPS-1"},
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 200, "{\"key\":\"<b>\"}", TICKET_UNSURE, "HTTP status 200"},
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 200, "<html>", TICKET_UNSURE, "HTTP status 502"},
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 400, "{\"errors\":{\"assignee\":\"no such\"}}",
     TICKET_BAD_ASSIGNEE, "HTTP status 400: assignee: no such"},
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 400,
     "{\"errorMessages\":[\"one\",\"two\",7],\"errors\":{\"summary\":\"x\\ny\",\"z\":{}}}",
     TICKET_REFUSED, "HTTP status 400: one; two; summary: x y"},
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 500, "", TICKET_UNSURE, "HTTP status 500"},
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 503, "", TICKET_WAIT, "HTTP status 503"},
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 413, "", TICKET_REFUSED, "HTTP status 413"},
    {TICKET_JIRA_CLOUD, TICKET_CREATE, 401, "", TICKET_WAIT,
     "HTTP status 401: the token is not accepted, or may not do that"},
    {TICKET_JIRA_CLOUD, TICKET_SEARCH, 200, "{\"issues\":[{\"key\":\"OPS-2\"}]}", TICKET_OK,
     "OPS-2"},
    {TICKET_JIRA_CLOUD, TICKET_SEARCH, 200, "{\"issues\":[]}", TICKET_ABSENT, ""},
    {TICKET_JIRA_CLOUD, TICKET_SEARCH, 500, "", TICKET_WAIT, "HTTP status 500"},
    {TICKET_JIRA_SERVER, TICKET_STATUS, 404, "{}", TICKET_ABSENT, ""},
    {TICKET_JIRA_SERVER, TICKET_STATUS, 200,
     "{\"fields\":{\"status\":{\"statusCategory\":{\"key\":\"done\"}}}}", TICKET_ABSENT, ""},
    {TICKET_JIRA_SERVER, TICKET_STATUS, 200, "{}", TICKET_OK, ""},
    {TICKET_JIRA_SERVER, TICKET_LOOK, 200, "{\"comments\":[\"sre-note-1\"]}", TICKET_OK, ""},
    {TICKET_JIRA_SERVER, TICKET_LOOK, 200, "{\"comments\":[]}", TICKET_ABSENT, ""},
    {TICKET_JIRA_SERVER, TICKET_COMMENT, 204, "", TICKET_OK, ""},
    {TICKET_JIRA_SERVER, TICKET_COMMENT, 400, "{}", TICKET_REFUSED, "HTTP status 400"},
    {TICKET_GITLAB, TICKET_CREATE, 201, "{\"iid\":12,\"web_url\":\"https://x/12\"}", TICKET_OK,
     "12"},
    {TICKET_GITLAB, TICKET_CREATE, 400, "{\"message\":{\"title\":[\"is too long\"]}}",
     TICKET_REFUSED, "HTTP status 400: {\"title\":[\"is too long\"]}"},
    {TICKET_GITLAB, TICKET_CREATE, 422, "{\"message\":\"no\"}", TICKET_REFUSED,
     "HTTP status 422: no"},
    {TICKET_GITLAB, TICKET_CREATE, 404, "{\"error\":\"404 Not Found\"}", TICKET_WAIT,
     "HTTP status 404: 404 Not Found"},
    {TICKET_GITLAB, TICKET_SEARCH, 200, "[{\"iid\":13}]", TICKET_OK, "13"},
    {TICKET_GITLAB, TICKET_SEARCH, 200, "[]", TICKET_ABSENT, ""},
    {TICKET_GITLAB, TICKET_STATUS, 200, "{\"state\":\"closed\"}", TICKET_ABSENT, ""},
    {TICKET_GITLAB, TICKET_STATUS, 200, "{}", TICKET_OK, ""},
};

static void test_what_the_answers_mean(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct ticket_answer a;
        ticket_answer_read(&a, &config, answers[i].system, answers[i].step, &words,
                           answers[i].status, true, "", str_of(answers[i].body));
        if (a.verdict != answers[i].verdict ||
            strcmp(a.key[0] ? a.key : a.why, answers[i].says) != 0)
            fail_msg("%zu: verdict %d, key \"%s\", \"%s\"", i, a.verdict, a.key, a.why);
    }
}

static void test_no_answer(void **state)
{
    (void)state;
    struct ticket_answer a;
    ticket_answer_read(&a, &config, TICKET_GITLAB, TICKET_CREATE, &words, 0, false, "refused",
                       str_of(""));
    assert_int_equal(a.verdict, TICKET_WAIT);
    assert_string_equal(a.why, "refused");
    ticket_answer_read(&a, &config, TICKET_GITLAB, TICKET_CREATE, &words, 0, true, "cut off",
                       str_of(""));
    assert_int_equal(a.verdict, TICKET_UNSURE);
}

static enum ticket_system detected(int status, const char *body)
{
    struct ticket_answer a;
    ticket_answer_read(&a, &config, TICKET_JIRA_UNKNOWN, TICKET_DETECT, &words, status, true, "",
                       str_of(body));
    assert_int_equal(a.verdict, TICKET_OK);
    return a.system;
}

// One too old to tell is known by how it is signed in to: with an address at Atlassian's.
static void test_which_jira(void **state)
{
    (void)state;
    assert_int_equal(detected(200, "{\"deploymentType\":\"Cloud\"}"), TICKET_JIRA_CLOUD);
    assert_int_equal(detected(200, "{\"deploymentType\":\"Server\"}"), TICKET_JIRA_SERVER);
    assert_int_equal(detected(200, "{}"), TICKET_JIRA_SERVER);
    assert_int_equal(detected(404, ""), TICKET_JIRA_CLOUD);
    config.jira_email = no_email;
    assert_int_equal(detected(404, ""), TICKET_JIRA_SERVER);
    config.jira_email = email;
}

static void test_a_link_is_to_be_opened(void **state)
{
    (void)state;
    struct ticket_answer a;
    ticket_answer_read(&a, &config, TICKET_JIRA_SERVER, TICKET_CREATE, &words, 201, true, "",
                       str_of("{\"key\":\"OPS-1\"}"));
    assert_string_equal(a.url, "https://jira.example.com/browse/OPS-1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked),
        cmocka_unit_test(test_what_the_answers_mean),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_which_jira),
        cmocka_unit_test(test_a_link_is_to_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
