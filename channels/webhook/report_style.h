#pragma once

// The look of the report page, and the policy that lets the browser take nothing but that.

#include "common/buf.h"

void report_style(struct buf *out);

// Content-Security-Policy (CSP Level 3, W3C): no script, no request, no frame; this style alone,
// named by its hash. For the header also who may frame it, which a <meta> cannot say.
void report_policy(struct buf *out, bool header);
