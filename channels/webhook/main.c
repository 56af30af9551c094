// Which of the things that this executable does.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "channels/webhook/commands.h"
#include "channels/webhook/serve.h"
#include "common/options.h"
#include "common/output.h"

static const char help[] =
    "webhook-channel: Alertmanager, SigNoz and Grafana webhooks for a Claude Code session\n"
    "\n"
    "  webhook-channel                MCP server on stdio, started by Claude Code; listens on "
    "WEBHOOK_LISTEN\n"
    "  webhook-channel briefing       [--days 7] [--json]\n"
    "  webhook-channel history        [--alertname A] [--service S] [--cluster C] [--namespace N] "
    "[--days 30] [--limit 20] [--json]\n"
    "  webhook-channel incidents      [--state undecided|open|all] [--limit 50] [--json]\n"
    "  webhook-channel proposals      [--days 30] [--json]   which alert rules to change\n"
    "  webhook-channel export         [--days N]    every incident as one JSON object a line\n"
    "  webhook-channel audit          [--days 7] [--incident ID] [--json]   who did what when\n"
    "  webhook-channel report         [--days 7] --html FILE   the report as one page; - is "
    "stdout\n"
    "  webhook-channel postmortem     INCIDENT_ID   a draft in Markdown, from the timeline\n"
    "  webhook-channel standby        keeps the port open and the watch up while no session runs\n"
    "  webhook-channel console        a stand-in session: shows each event, calls the tools; needs "
    "no Claude\n"
    "  webhook-channel doctor         [--json]      checks what a new installation gets wrong\n"
    "  webhook-channel guard                        PreToolUse hook: JSON on stdin, the decision "
    "on stdout\n"
    "  webhook-channel agent-failed                 StopFailure hook: JSON on stdin; alerts go to "
    "the owner until the next verdict\n"
    "  webhook-channel --version | --help\n"
    "\n"
    "Configuration: environment, then KEY=value lines of $SRE_CONFIG "
    "(~/.config/sre-channels/config.env).\n"
    "See README.md for the keys.\n";

static int command_standby(const struct config *c, int argc, char **argv)
{
    struct buf why = BUF_INIT(256);
    int words;
    if (options_parse(argc, argv, NULL, 0, NULL, 0, &words, &why) < 0)
        return command_usage("standby", &why);
    return serve(c, true);
}

static const struct {
    const char *name;
    int (*run)(const struct config *c, int argc, char **argv);
} commands[] = {
    {"briefing", command_briefing},     {"history", command_history},
    {"incidents", command_incidents},   {"proposals", command_proposals},
    {"export", command_export},         {"standby", command_standby},
    {"console", command_console},       {"doctor", command_doctor},
    {"guard", command_guard},           {"agent-failed", command_agent_failed},
    {"audit", command_audit},           {"report", command_report},
    {"postmortem", command_postmortem},
};

static bool asks_for_help(int argc, char **argv)
{
    return argc >= 2 &&
           (strcmp(argv[1], "--help") == 0 || (argc == 3 && strcmp(argv[2], "--help") == 0));
}

static int run_command(const struct config *c, int argc, char **argv)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(c, argc - 2, argv + 2);
    fprintf(stderr, "unknown command: %s\ntry: webhook-channel --help\n", argv[1]);
    return 2;
}

// A descriptor that is closed would be given to something else, which would then be read or written
// as stdin or stdout.
static int open_standard_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd < 0 ? -1 : close(fd);
}

int main(int argc, char **argv)
{
    struct config c;
    struct buf why = BUF_INIT(4096);
    signal(SIGPIPE, SIG_IGN);
    if (open_standard_fds() < 0)
        return 2;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return output(str_of("webhook-channel " SRE_VERSION "\n")) < 0;
    if (asks_for_help(argc, argv))
        return output(str_of(help)) < 0;
    if (config_load(&c, &why) < 0) {
        fprintf(stderr, "webhook-channel: %s\n", buf_cstr(&why));
        buf_done(&why);
        return argc > 1 && strcmp(argv[1], "guard") == 0 ? 2 : 1; // only 2 blocks the tool call
    }
    log_set_level(c.log);
    int status = argc == 1 ? serve(&c, false) : run_command(&c, argc, argv);
    config_done(&c);
    return status;
}
