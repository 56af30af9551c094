#pragma once

// An incident as one JSON object, with the names of `webhook-channel export`, for tools,
// subcommands and --json alike.

#include "channels/webhook/view.h"
#include "common/json.h"

// The scalar members, without braces: inside an object of the caller.
int incident_json_scalars(struct jw *w, struct store *s, const struct incident_view *v) MUST_CHECK;

// The whole object: scalars, alerts, verdicts, and with `timeline` what happened when. It stays
// near max_bytes: the latest verdicts take a quarter of it, the latest steps of the timeline and
// the alerts what is left; "verdicts_left_out" and "alerts_left_out" count the rest. 0, or a store
// error.
int incident_json(struct jw *w, struct store *s, const struct incident_view *v, bool timeline,
                  size_t max_bytes) MUST_CHECK;
