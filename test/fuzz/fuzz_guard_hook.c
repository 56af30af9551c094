// The hook's JSON: an answer is one of three words, in JSON, or the call is blocked.

#include <errno.h>

#include "channels/webhook/guard.h"
#include "common/json.h"
#include "test/fuzz/fuzz.h"

static char dev[] = "dev-*", empty[] = "";
static struct config config = {.dev_clusters = dev,
                               .prod_clusters = empty,
                               .read_hosts = empty,
                               .state_dir = empty,
                               .file = empty};
static const struct guard_world world = {
    .config = &config, .home = "/nonexistent/home", .cwd = "/nonexistent/cwd", .kubeconfig = ""};

static int open_incident(void *data, const char *cluster, const char *ns, const char *workload)
{
    (void)data, (void)cluster, (void)ns;
    return workload[0] == 'w';
}

static int recent_actions(void *data, const char *cluster, const char *ns, const char *workload,
                          int64_t since_ms)
{
    (void)data, (void)cluster, (void)ns, (void)workload, (void)since_ms;
    return 0;
}

static int record(void *data, const struct guard_decision *d)
{
    enum guard_verdict *noted = data;
    *noted = d->verdict;
    fuzz_check_masked(str_of(d->input));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *const words[] = {"allow", "ask", "deny"};
    enum guard_verdict noted = GUARD_DENY;
    struct guard_facts facts = {&noted, open_incident, recent_actions, record};
    struct buf out = BUF_INIT(64 * 1024);
    const char *why;
    struct str all = {(const char *)bytes, n}, hook = fuzz_piece(&all, 0);
    int r = guard_decide(&world, &facts, 1700000000000, hook, &out);
    if (r == 0) {
        cJSON *tree = json_parse(buf_str(&out), &why);
        const char *said = json_str(json_obj(tree, "hookSpecificOutput"), "permissionDecision");
        CHECK(said && strcmp(said, words[noted]) == 0);
        cJSON_Delete(tree);
    } else {
        CHECK(r < 0 && r != -ENOMEM);
    }
    buf_done(&out);
    free((void *)hook.p);
    return 0;
}
