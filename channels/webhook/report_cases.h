#pragma once

// The report's sections that name cases one by one. Each is appended to the page.

#include "channels/webhook/report.h"

void report_noise_section(const struct report *r, struct buf *out); // and what would help
void report_real_section(const struct report *r, struct buf *out);
void report_escalation_section(const struct report *r, struct buf *out);
