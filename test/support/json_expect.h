#pragma once

// Comparing JSON in tests: by value, whatever the order of members.

#include <stdlib.h>

#include "common/json.h"

// The value at a path such as "result/tools/0/name", or NULL.
static inline const cJSON *json_at(const cJSON *value, const char *path)
{
    char key[128];
    while (value && *path) {
        size_t n = strcspn(path, "/");
        if (n >= sizeof key)
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        value = cJSON_IsArray(value) ? cJSON_GetArrayItem(value, (int)strtol(key, NULL, 10))
                                     : json_get(value, key);
        path += n + (path[n] == '/');
    }
    return value;
}

static inline bool json_equals(const cJSON *value, const char *want_text)
{
    const char *why;
    cJSON *want = json_parse(str_of(want_text), &why);
    bool same = want && value && cJSON_Compare(value, want, true);
    cJSON_Delete(want);
    return same;
}
