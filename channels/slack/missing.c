#include "channels/slack/missing.h"

#include "channels/slack/access.h"

int slack_config_missing(const struct config *config, struct buf *out)
{
    const struct {
        const char *value, *what;
    } needed[] = {
        {config->slack_bot_token, "SLACK_BOT_TOKEN (xoxb-..., from \"OAuth & Permissions\")"},
        {config->slack_app_token,
         "SLACK_APP_TOKEN (xapp-..., from \"Basic Information\", scope connections:write)"},
        {config->slack_users, "SLACK_ALLOWED_USERS (your Slack member id, U...)"},
    };
    struct access a = {.n_users = 0};
    access_set_users(&a, config->slack_users);
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!needed[i].value[0] || (i == 2 && !a.n_users))
            buf_addf(out, "%s%s", out->len ? ", " : "", needed[i].what);
    return out->error;
}
