#include "channels/webhook/terms.h"

static const char *const statuses[] = {"firing", "resolved", "stale"};
static const char *const states[] = {"new", "pushed", "taken", "decided"};
const char *const verdict_names[] = {"noise", "auto_fixed", "escalated", "real", "unsure", NULL};

const char *const severity_words[] = {"critical", "error", "warning", "info", "unknown", NULL};

const char *status_name(int64_t status)
{
    return status >= 0 && status < (int64_t)ARRAY_LEN(statuses) ? statuses[status] : "unknown";
}

const char *state_name(int64_t state)
{
    return state >= 0 && state < (int64_t)ARRAY_LEN(states) ? states[state] : "unknown";
}

const char *verdict_name(int64_t verdict)
{
    return verdict >= VERDICT_NOISE && verdict <= VERDICT_UNSURE ? verdict_names[verdict - 1]
                                                                 : NULL;
}

enum verdict verdict_named(const char *name)
{
    for (int i = 0; verdict_names[i]; i++)
        if (strcmp(name, verdict_names[i]) == 0)
            return (enum verdict)(i + 1);
    return VERDICT_NONE;
}
