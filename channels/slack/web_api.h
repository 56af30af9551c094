#pragma once

// Slack's Web API: a form in, a judged answer out. Holds calls of a method back while Slack has
// asked to wait for it. Sources: docs.slack.dev, "Using the Slack Web API", "Rate limits", each
// method's page.

#include "common/http_client.h"
#include "common/json.h"

struct slack_api;

enum api_verdict {
    API_OK,
    API_RATE,      // not carried out: after retry_ms, not sooner
    API_RETRY,     // not carried out, or harmless to repeat
    API_AMBIGUOUS, // may have been carried out: look before repeating
    API_STOP,      // nothing works until a person acts: tokens, scopes, the app's settings
    API_REFUSED,   // this one request is wrong for good
};

struct api_answer {
    enum api_verdict verdict;
    const cJSON *json;  // NULL unless it was JSON
    const char *error;  // Slack's code, or what the transport said; "" with API_OK
    const char *needed; // the scope that is missing, or ""
    const char *scopes; // what the token may do (auth.test), or ""
    int64_t retry_ms;
};

typedef void (*api_fn)(const struct api_answer *a, void *data);

enum api_flags {
    API_APP_TOKEN = 1,  // else the bot's
    API_REPEATABLE = 2, // carried out twice it does no harm
};

// Borrows everything. base ends in '/' or not. -ENOMEM or a UV_E* code.
int slack_api_new(uv_loop_t *loop, const char *base, const char *bot_token, const char *app_token,
                  struct slack_api **ret_api) MUST_CHECK;
void slack_api_close(struct slack_api *a); // no callback comes any more; NULL is fine
void slack_api_abort(struct slack_api *a); // ends what is under way, as if it had failed

// Calls a method with a form (copied). done comes once, later. Errors of http_client_call.
int slack_api_call(struct slack_api *a, const char *method, struct str form, unsigned flags,
                   api_fn done, void *data) MUST_CHECK;
// The raw bytes of a file to the URL that files.getUploadURLExternal gave. API_OK: Slack has them.
int slack_api_upload(struct slack_api *a, const char *url, int fd, uint64_t size, api_fn done,
                     void *data) MUST_CHECK;
// ms until a call of this method would be allowed by an earlier Retry-After; 0 = now.
int64_t slack_api_blocked(const struct slack_api *a, const char *method);

// What the answer means. Pure. ok / error as in the JSON; http_status 0 with outcomes other than
// answered.
struct api_facts {
    enum http_outcome outcome;
    int status;
    bool is_json, ok;
    const char *error;
    bool repeatable;
};
enum api_verdict slack_api_judge(const struct api_facts *f);
// The token itself is refused: trying again soon is no use.
bool slack_api_is_token_error(const char *error);
