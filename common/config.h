#pragma once

// Every setting of both channels (README, "Configuration"), read once: the environment first, then
// the lines of the configuration file. Validated at start; a bad value names its key and the rule.

#include "common/buf.h"
#include "common/log.h"

struct config {
    // All strings are owned, never NULL: "" when unset.
    char *state_dir;     // SRE_STATE_DIR
    char *playbooks;     // SRE_PLAYBOOKS
    char *prod_clusters; // SRE_PROD_CLUSTERS, comma-separated globs
    char *dev_clusters;  // SRE_DEV_CLUSTERS
    int64_t retention_days;
    enum log_level log;
    char *read_hosts; // SRE_READ_HOSTS, comma-separated host[:port]
    int64_t canary_s;
    char *ping_url;
    char *listen; // WEBHOOK_LISTEN
    char *token;  // WEBHOOK_TOKEN
    char *hmac_secret;
    int64_t max_body;       // bytes
    int64_t event_bytes;    // SRE_EVENT_BYTES
    int64_t events_per_min; // SRE_EVENTS_PER_MINUTE
    int64_t take_s;         // SRE_TAKE_SECONDS
    int64_t unattended_s;   // SRE_UNATTENDED_SECONDS
    int64_t flap_s;         // SRE_FLAP_SECONDS
    int64_t stale_days;     // SRE_STALE_DAYS
    char *watchdog_alert;
    int64_t watchdog_s;
    char *slack_bot_token;
    char *slack_app_token;
    char *slack_users; // SLACK_ALLOWED_USERS
    char *slack_api_url;
    int64_t slack_nag_s;
    char *patrol_url;     // PATROL_URL
    char *patrol_token;   // PATROL_TOKEN
    char *patrol_cluster; // PATROL_CLUSTER
    char *patrol_queries; // PATROL_QUERIES
    int64_t patrol_s;     // PATROL_SECONDS
    char *jira_url;
    char *jira_email; // or user name
    char *jira_token;
    char *jira_project; // key
    char *jira_issue_type;
    char *gitlab_url;
    char *gitlab_token;
    char *gitlab_project; // id or path
    char *file;           // the configuration file that was looked for
};

// Reads the environment and the file, warns (log) of unknown keys with the nearest known one.
// Returns 0, or -EINVAL with one line in ret_why (appended): the key and the rule; -EACCES when the
// file holds a secret and others can read it.
int config_load(struct config *c, struct buf *ret_why) MUST_CHECK;
void config_done(struct config *c);

// The project's folder: the one above the executable's, "" for the root. False when that cannot be
// found out.
#define CONFIG_PROJECT_SIZE 4096
bool config_project(char out[CONFIG_PROJECT_SIZE]);

// Is the cluster production? A glob of SRE_PROD_CLUSTERS wins, then one of SRE_DEV_CLUSTERS;
// neither, or no name, is prod.
bool config_is_prod(const struct config *c, const char *cluster);

// The n-th (from 0) of the keys that Slack cannot be used without and that are not set; NULL: no
// more.
const char *config_slack_lacks(const struct config *c, size_t n);
