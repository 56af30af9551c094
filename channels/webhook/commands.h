#pragma once

// The subcommands (`--help` lists them). Each gets the words behind its name and returns the exit
// status: 0, 1 failed, 2 bad usage.

#include "common/config.h"

int command_briefing(const struct config *c, int argc, char **argv);
int command_history(const struct config *c, int argc, char **argv);
int command_incidents(const struct config *c, int argc, char **argv);
int command_proposals(const struct config *c, int argc, char **argv);
int command_export(const struct config *c, int argc, char **argv);
int command_doctor(const struct config *c, int argc, char **argv);
int command_audit(const struct config *c, int argc, char **argv);
int command_report(const struct config *c, int argc, char **argv);
int command_postmortem(const struct config *c, int argc, char **argv);
int command_agent_failed(const struct config *c, int argc, char **argv);
int command_guard(const struct config *c, int argc, char **argv);
int command_console(const struct config *c, int argc, char **argv);

// For them: says on stderr what was wrong with the words; returns 2.
int command_usage(const char *name, struct buf *why);
