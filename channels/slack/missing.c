#include "channels/slack/missing.h"

static const char *place_of(const char *key)
{
    return strcmp(key, "SLACK_BOT_TOKEN") == 0 ? "xoxb-..., from \"OAuth & Permissions\""
           : strcmp(key, "SLACK_APP_TOKEN") == 0
               ? "xapp-..., from \"Basic Information\", scope connections:write"
               : "your Slack member id, U...";
}

int slack_config_missing(const struct config *config, struct buf *out)
{
    const char *key;
    for (size_t n = 0; (key = config_slack_lacks(config, n)); n++)
        buf_addf(out, "%s%s (%s)", n ? ", " : "", key, place_of(key));
    return out->error;
}
