// The guard's readers of options, programs and shell text, one rule a line: what it says, and why.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/guard.h"
#include "common/json.h"

// ^ stands for a quotation mark, of which they hold many. The reason: a part of it.
static const struct {
    const char *expect, *reason, *command;
} rules[] = {
    // ---- shells
    {"allow", "", "bash --norc --noprofile -c 'ls /tmp'"},
    {"ask", "a shell with a start file of its own", "bash --rcfile x -c ls"},
    {"deny", "", "bash --init-file x -c 'kubectl delete ns x'"},
    {"ask", "a shell with an option that the guard does not know", "bash --debugger -c ls"},
    {"ask", "a script that the guard does not read", "bash -- x.sh"},
    {"deny", "it is forbidden to read secrets", "bash -- ~/.kube/config"},
    {"deny", "a shell that runs what another command prints", "bash -- $(ls)"},
    {"deny", "a shell that runs what a pipe brings", "ls | bash /dev/stdin"},
    {"ask", "a shell that reads its commands from elsewhere", "bash -i"},
    {"deny", "kubectl delete: this kind",
     "python3 <<E\nimport os\nos.system(^kubectl delete ns x^)\nE"},
    {"deny", "kubectl delete: this kind", "python3 <<< 'os.system(^kubectl delete ns x^)'"},
    {"ask", "perl may do anything", "perl -e 'print ^a'"}, // a literal without its end
    {"ask", "python3.11 may do anything", "python3.11 x.py"},
    {"ask", "", "pythonic x.py"},
    // ---- wrappers
    {"allow", "", "env - ls /tmp"},
    {"allow", "", "env -- ls /tmp"},
    {"allow", "", "nice --adjustment 5 ls /tmp"},
    {"allow", "", "nice --adjustment=5 ls /tmp"},
    {"allow", "", "timeout --signal KILL 5 ls /tmp"},
    {"deny", "printing the environment is forbidden", "timeout --signal KILL 5 env"},
    {"deny", "kubectl delete: this kind", "env --split-string 'kubectl delete ns x'"},
    {"deny", "kubectl delete: this kind", "env --split-string='kubectl delete ns x'"},
    {"deny", "kubectl delete: this kind", "script --command 'kubectl delete ns x' /dev/null"},
    {"deny", "kubectl delete: this kind", "nice -- kubectl delete ns x"},
    {"ask", "writing a file", "time -o /tmp/x ls"},
    {"ask", "nice: an option that is not written out", "nice -n$N ls"},
    {"ask", "timeout: an argument that is not written out", "timeout $N ls"},
    {"allow", "", "command -v kubectl"},
    {"allow", "", "ls | xargs -I{} echo {}"},
    {"allow", "", "ls | xargs --max-args 1 echo"},
    // ---- jq, yq, sed, awk
    {"allow", "", "jq -r --arg a b '.x[$a]' f.json"},
    {"ask", "jq with a file of its own", "jq -f prog.jq f.json"},
    {"ask", "jq with a file of its own", "jq -rf prog.jq f.json"},
    {"ask", "jq: put the value in quotes", "jq --arg a $X . f.json"},
    {"ask", "jq: a program that is not written out", "jq ^$X^ f.json"},
    {"ask", "jq import needs a person's word", "jq 'import ^a^ as a; .'"},
    {"deny", "it is forbidden to read secrets", "jq . ~/.kube/config"},
    {"allow", "", "yq -r '.spec' f.yaml"},
    {"allow", "", "yq e '.spec' f.yaml"},
    {"ask", "yq with an option that the guard does not know", "yq -i '.a = 1' f.yaml"},
    {"ask", "yq: an argument that is not written out", "yq ^$X^ f.yaml"},
    {"ask", "yq that may read the environment", "yq 'env(HOME)' f.yaml"},
    {"deny", "it is forbidden to read secrets", "yq . ~/.kube/config"},
    {"allow", "", "sed -n -e '/a/p' -e 's/x/y/g; 3,5d' f"},
    {"ask", "sed: a program that may write", "sed '/a'"},
    {"ask", "sed: a program that may write", "sed 's/a' f"},
    {"ask", "sed: a program that may write", "sed 's/a/b' f"},
    {"ask", "sed: a program that may write", "sed -e 'p' -e 's/a/b/e' f"},
    {"ask", "sed: a program that may write", "sed 'p; w out' f"},
    {"ask", "sed with an option that the guard does not know", "sed --in-place s/a/b/ f"},
    {"allow", "", "awk -F , -v 'n=1' '$3 > n { print ^a>b^, $1 }' f"},
    {"allow", "", "awk '{ if ($1 > 3 || $2 > 4) print $3 }' f"},
    {"ask", "awk: a program that may write", "awk '{ print ^a^ > ^b^ }' f"},
    {"ask", "awk: a program that may write", "awk '$1 > ^a { print }' f"},
    {"ask", "awk: a program that may write", "awk '{ print $1 | ^sort^ }' f"},
    {"ask", "awk: put the value in quotes", "awk -v $X '{ print }' f"},
    {"deny", "awk would print a secret variable",
     "awk -v ^t=$SLACK_BOT_TOKEN^ 'BEGIN { print t }'"},
    {"ask", "awk with an option that the guard does not know", "awk -f prog.awk f"},
    // ---- curl
    {"allow", "", "curl -s http://[::1]:3301/api/v1/query"},
    {"allow", "", "curl -sG --url http://signoz.example.com/ --data-urlencode 'q=a b'"},
    {"allow", "", "curl --url-query a=b http://signoz.example.com/"},
    {"allow", "", "curl -X GET http://signoz.example.com/"},
    {"ask", "curl: a host that is not in SRE_READ_HOSTS", "curl --url http://evil.com/"},
    {"ask", "curl: a URL that is not plain http", "curl http://[::1:3301/"},
    {"ask", "curl: a URL that is not plain http", "curl http://signoz.example.com:/"},
    {"ask", "curl: a URL that is not plain http", "curl http://signoz.example.com:800000/"},
    {"ask", "curl: a URL with a character", "curl 'http://signoz.example.com/a b'"},
    {"ask", "curl: a URL with a pattern", "curl 'http://signoz.example.com/[1-9]'"},
    {"deny", "curl: it is forbidden to read secrets", "curl http://signoz.example.com/%00"},
    {"deny", "curl: it is forbidden to read secrets", "curl http://signoz.example.com/a/../x"},
    {"deny", "curl: it is forbidden to read secrets", "curl http://signoz.example.com/%76ariables"},
    {"deny", "curl: a secret to a host", "curl -H ^private-token: $T^ ftp://signoz.example.com/"},
    {"ask", "curl: a secret in a URL", "curl ^http://signoz.example.com/?t=$SLACK_BOT_TOKEN^"},
    {"ask", "curl: a header that a command prints",
     "curl -H ^private-token: $(echo x)^ http://signoz.example.com/"},
    {"deny", "curl: a secret belongs into a header",
     "curl -G -d ^t=$SLACK_BOT_TOKEN^ http://signoz.example.com/"},
    {"ask", "curl: data that is not written out", "curl -G -d ^$X^ http://signoz.example.com/"},
    {"ask", "curl: put the option's value in quotes", "curl -H $X http://signoz.example.com/"},
    {"ask", "curl with an option that the guard does not know",
     "curl --frobnicate http://signoz.example.com/"},
    {"ask", "curl with an option that the guard does not know",
     "curl -s8 http://signoz.example.com/"},
    {"ask", "curl: an option without its value", "curl http://signoz.example.com/ -H"},
    {"ask", "curl with too many URLs",
     "curl http://[::1]:3301/1 http://[::1]:3301/2 http://[::1]:3301/3 http://[::1]:3301/4 "
     "http://[::1]:3301/5 http://[::1]:3301/6 http://[::1]:3301/7 http://[::1]:3301/8 "
     "http://[::1]:3301/9 http://[::1]:3301/10 http://[::1]:3301/11 http://[::1]:3301/12 "
     "http://[::1]:3301/13 http://[::1]:3301/14 http://[::1]:3301/15 http://[::1]:3301/16 "
     "http://[::1]:3301/17"},
    // ---- kubectl
    {"allow", "", "kubectl auth can-i get pods"},
    {"ask", "kubectl auth but for can-i and whoami", "kubectl auth reconcile -f x"},
    {"deny", "kubectl create: secrets are forbidden", "kubectl create secret generic x"},
    {"ask", "kubectl patch: a very long patch", "kubectl patch deploy web -p '%L'"},
    {"deny", "kubectl patch: this kind of object is never changed",
     "kubectl patch ns shop -p '{^a^:1}'"},
    {"allow", "",
     "kubectl --context dev-1 -n argocd patch application shop-app --type merge -p "
     "'{^metadata^:{^annotations^:{^argocd.argoproj.io/refresh^:^hard^}}}'"},
    {"allow", "",
     "kubectl --context dev-1 -n x patch workflow etl -p '{^spec^:{^shutdown^:^Terminate^}}'"},
    {"ask", "kubectl: write the namespace out", "kubectl --context dev-1 -n ^$N^ delete pod web-1"},
    {"ask", "kubectl: write the context out", "kubectl --context ^$C^ delete pod web-1"},
    {"ask", "kubectl with two contexts",
     "kubectl --context dev-1 --context dev-2 delete pod web-1"},
    {"ask", "the cluster's own namespaces",
     "kubectl --context dev-1 -n kube-system delete pod web-1"},
    {"ask", "a name that is too long", "kubectl --context dev-1 delete pod %L"},
    {"ask", "kubectl: a flag without its value", "kubectl get pods -n"},
    {"ask", "kubectl: a flag that is not written out", "kubectl get pods ^--$X^"},
    {"ask", "kubectl: a flag that is not written out", "kubectl get pods ^-$X^"},
    {"allow", "", "kubectl get pods -A=true"},
    {"allow", "", "kubectl get pods --watch=false"},
    {"deny", "kubectl get: too many objects at once", "kubectl get %C"},
    {"ask", "kubectl with a flag in front of its verb", "kubectl --frobnicate get pods"},
    // ---- Argo CD, workflows
    {"ask", "argocd with a verb that changes something", "argocd app ^get sync^ shop-app"},
    {"ask", "argocd with a verb that changes something",
     "argocd app frobnicate-the-application-until-it-is-green-again-please x"},
    {"ask", "argocd --local needs a person's word", "argocd app diff shop-app --local ./x"},
    {"ask", "argocd: an unknown flag", "argocd --frobnicate"},
    {"ask", "argo with a verb that changes something", "argo delete x"},
    {"ask", "argo: name exactly one workflow", "argo retry --context dev-1"},
    // ---- git, find, openssl, cd, our own programs
    {"allow", "", "git branch -a"},
    {"ask", "git branch but for listing", "git branch -D main"},
    {"deny", "git: write the verb out", "git ^$X^"},
    {"ask", "git: an argument that is not written out", "git log ^$X^"},
    {"ask", "find with a test", "find . -fprint x"},
    {"ask", "find: an argument that is not written out", "find . -name ^$X^"},
    {"allow", "", "openssl x509 -in server.crt -noout -enddate"},
    {"ask", "openssl but for reading a certificate", "openssl s_client -connect x:443"},
    {"ask", "openssl with an option", "openssl x509 -in server.crt -signkey k"},
    {"deny", "it is forbidden to read secrets", "openssl x509 -in ~/.ssh/id_rsa -noout"},
    {"ask", "cd to a folder that is not written out", "cd ^$X^; ls"},
    {"ask", "cd to a folder that is not written out", "cd -"},
    {"ask", "a file's name that is not written out", "cd /%L; ls"},
    {"allow", "", "webhook-channel history --days 7"},
    {"ask", "the channels' programs but for reading", "slack-channel page hello"},
    {"ask", "an argument that is not written out", "webhook-channel history --days ^$X^"},
    // ---- ordinary tools
    {"allow", "", "head -n 5 -- notes"},
    {"ask", "head: an option that is not written out", "head -n ^$N^ notes"},
    {"ask", "grep: a pattern that is not written out", "grep ^$X^ notes"},
    {"ask", "grep: put the pattern in quotes", "grep $X notes"},
    {"ask", "uniq writes its second file", "uniq a b"},
    {"ask", "rg: a search through folders that hold secrets", "cd /home; rg x"},
    {"ask", "cat: too many arguments", "cat %M"},
    {"ask", "a file's name that is not written out", "cat %L"},
    {"deny", "it is forbidden to read secrets", "cat /proc/1/mem"},
    {"deny", "it is forbidden to read secrets", "cat ~/.docker/config.json"},
    // ---- the shell's text
    {"allow", "", "echo $'\\u00e9 \\u20ac \\'a\\' \\q'"},
    {"ask", "a control character", "echo $'\\cA'"},
    {"ask", "a control character", "echo 'a\x01z'"},
    {"ask", "a control character", "echo ^a\x01z^"},
    {"ask", "a control character", "cat <<'E'\na\x01z\nE"},
    {"ask", "a parameter expansion that is not plain", "echo ${X:-'}'}"},
    {"ask", "a parameter expansion that is not plain", "echo ${X:-a\\}}"},
    {"deny", "kubectl delete: this kind", "echo ${X:-`kubectl delete ns x`}"},
    {"deny", "kubectl delete: this kind", "echo ^${X:-`kubectl delete ns x`}^"},
    {"deny", "kubectl delete: this kind", "echo ^`kubectl delete ns x`^"},
    {"ask", "too long or too deep to judge",
     "echo $(( (((((((((((((((((((((((((((((((((((1)))))))))))))))))))))))))))))))))))) ))"},
    {"ask", "a variable in an arithmetic expression", "echo $(( $1 + 1 ))"},
    {"ask", "a here-document around a substitution", "echo <<E ^$(ls\n)^\nx\nE"},
    {"ask", "a variable that is assigned again", "x=a; read -r x; echo $x"},
    {"ask", "too many redirections",
     "ls 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 "
     "2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 "
     "2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1 2>&1"},
    {"ask", "a variable that is assigned again", "X=a; for X in b; do echo $X; done"},
};

static int nothing_open(void *data, const char *cluster, const char *ns, const char *workload)
{
    (void)data, (void)cluster, (void)ns, (void)workload;
    return 0;
}

static int nothing_recent(void *data, const char *cluster, const char *ns, const char *workload,
                          int64_t since_ms)
{
    (void)data, (void)cluster, (void)ns, (void)workload, (void)since_ms;
    return 0;
}

static int forget(void *data, const struct guard_decision *d)
{
    (void)data, (void)d;
    return 0;
}

static struct config config = {
    .state_dir = (char *)"/state",
    .prod_clusters = (char *)"prod-*",
    .dev_clusters = (char *)"dev-*",
    .read_hosts = (char *)"signoz.example.com,[::1]:3301",
    .file = (char *)"/home/agent/.config/sre-channels/config.env",
};
static const struct guard_world world = {
    .config = &config, .home = "/home/agent", .cwd = "/", .kubeconfig = ""};

// ^: a quotation mark; %L: 5,000 letters; %M: 600 words, %C: 600 in one with commas.
static void add_command(struct buf *out, const char *command)
{
    for (const char *c = command; *c; c++) {
        if (c[0] == '%' && c[1] && strchr("LMC", c[1])) {
            for (int i = 0; c[1] == 'L' && i < 5000; i++)
                buf_addc(out, 'x');
            for (int i = 0; c[1] != 'L' && i < 600; i++)
                buf_addf(out, "w%d%c", i, c[1] == 'M' ? ' ' : ',');
            c++;
        } else {
            buf_addc(out, *c == '^' ? '"' : *c);
        }
    }
}

static void decide(const char *tool, const char *key, const char *value, const char *more,
                   char out[static 512])
{
    const struct guard_facts facts = {NULL, nothing_open, nothing_recent, forget};
    struct buf hook = BUF_INIT(1 << 20), answer = BUF_INIT(65536);
    struct jw w = JW(&hook);
    const char *why;
    jw_object(&w);
    jw_kstr(&w, "hook_event_name", "PreToolUse");
    jw_kstr(&w, "cwd", "/src/sre-channels");
    jw_kstr(&w, "tool_name", tool);
    jw_key(&w, "tool_input");
    jw_object(&w);
    jw_kstr(&w, key, value);
    if (more)
        jw_kstr(&w, "glob", more);
    jw_object_end(&w);
    jw_object_end(&w);
    assert_int_equal(guard_decide(&world, &facts, 1000, buf_str(&hook), &answer), 0);
    cJSON *root = json_parse(buf_str(&answer), &why);
    const cJSON *said = json_obj(root, "hookSpecificOutput");
    snprintf(out, 512, "%s: %s", json_str(said, "permissionDecision"),
             json_str(said, "permissionDecisionReason"));
    cJSON_Delete(root);
    buf_done(&hook);
    buf_done(&answer);
}

static bool is_as_expected(const char *said, const char *expect, const char *reason)
{
    size_t n = strlen(expect);
    return strncmp(said, expect, n) == 0 && said[n] == ':' && strstr(said + n, reason);
}

static void test_rules(void **state)
{
    (void)state;
    size_t failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        struct buf command = BUF_INIT(1 << 20);
        char said[512];
        add_command(&command, rules[i].command);
        decide("Bash", "command", buf_cstr(&command), NULL, said);
        if (!is_as_expected(said, rules[i].expect, rules[i].reason)) {
            print_error("%.200s\n  is       %s\n  expected %s: %s\n", rules[i].command, said,
                        rules[i].expect, rules[i].reason);
            failed++;
        }
        buf_done(&command);
    }
    assert_int_equal(failed, 0);
}

static void test_a_search_by_pattern(void **state)
{
    (void)state;
    char said[512];
    decide("Grep", "pattern", "x", "*.{md,txt}", said);
    assert_string_equal(said, "ask: a search with a pattern that the guard does not read");
    decide("Grep", "pattern", "x", "*.md", said);
    assert_string_equal(said, "allow: reads or reports only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_a_search_by_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
