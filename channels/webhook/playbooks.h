#pragma once

// Which playbook is for which alert: the front matter of the files in SRE_PLAYBOOKS.

#include "common/buf.h"

struct playbooks;

// Reads every *.md of the folder: lines `name: N` and `alerts: [A, "B c", D*]` between the two
// `---`. A file that cannot be read or has no front matter is left out and said in the log. A
// missing folder is an empty one (*ret_n = 0). -ENOMEM.
int playbooks_load(const char *folder, struct playbooks **ret_playbooks) MUST_CHECK;
void playbooks_free(struct playbooks *p); // NULL is fine
size_t playbooks_count(const struct playbooks *p);

// The name of the playbook whose pattern fits best: the exact name, else the glob with the most
// literal characters. NULL if none fits. Valid until the playbooks are freed.
const char *playbooks_find(const struct playbooks *p, const char *alertname);

// Front matter of one file, pure: the name (or fallback) and the patterns joined by '\n', appended.
// -EINVAL: there is none.
int playbook_front_matter(struct str file, struct buf *ret_name,
                          struct buf *ret_patterns) MUST_CHECK;
