// Command lines as the guard judges them. It never fails on one, and a forbidden command that is
// plainly there is never allowed, whatever stands around it.

#include "channels/webhook/guard.h"
#include "test/fuzz/fuzz.h"

static char dev[] = "dev-*", hosts[] = "signoz:8080", empty[] = "";
static struct config config = {.dev_clusters = dev,
                               .prod_clusters = empty,
                               .read_hosts = hosts,
                               .state_dir = empty,
                               .file = empty};
// Folders that do not exist: what is judged does not depend on the machine.
static const struct guard_world world = {
    .config = &config, .home = "/nonexistent/home", .cwd = "/nonexistent/cwd", .kubeconfig = ""};

static const char *const forbidden[] = {
    "kubectl delete ns shop",
    "kubectl delete pvc data-0",
    "kubectl delete pods --all -A",
    "kubectl get secret db -o yaml",
    "helm uninstall shop",
    "argocd app delete shop",
    "kubectl -n argocd delete app shop",
    "git push --force",
};

static enum guard_verdict judge(struct str text)
{
    struct guard_judge j = {.world = &world};
    guard_judge_text(&j, text.p, text.n);
    CHECK(j.verdict <= GUARD_DENY);
    CHECK(j.nactions <= GUARD_MAX_ACTIONS);
    CHECK(memchr(j.reason, 0, sizeof j.reason));
    CHECK(j.verdict == GUARD_ALLOW || j.reason[0]);
    return j.verdict;
}

static enum guard_verdict judge_parts(const char *a, struct str b, const char *c)
{
    struct buf text = BUF_INIT(b.n + 256);
    buf_adds(&text, a);
    buf_add(&text, b.p, b.n);
    buf_adds(&text, c);
    enum guard_verdict v = judge(buf_str(&text));
    buf_done(&text);
    return v;
}

// Nothing in it quotes, comments, opens or defines: what stands behind it is a command of its own.
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ./=_,:@%+-|&;",
                    s.p[i] ? s.p[i] : '#'))
            return false;
    return true;
}

// One forbidden command in one place for each input, as its first byte tells.
static void check_forbidden(struct str text, size_t pick)
{
    const char *ban = forbidden[pick % ARRAY_LEN(forbidden)];
    size_t place = pick / ARRAY_LEN(forbidden) % 4;
    char line[128];
    if (place == 0 || !is_plain(text)) {
        snprintf(line, sizeof line, "%s\n", ban);
        CHECK(judge_parts(line, text, "") != GUARD_ALLOW); // a shell reads the first line first
        return;
    }
    snprintf(line, sizeof line, place == 1 ? " ; %s" : " | %s ", ban);
    CHECK(judge_parts(place == 3 ? "( " : "", text, line) != GUARD_ALLOW);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str all = {(const char *)bytes, n};
    size_t pick = fuzz_pick(&all, 256);
    struct str text = fuzz_piece(&all, 0);
    judge(text);
    check_forbidden(text, pick);
    free((void *)text.p);
    return 0;
}
