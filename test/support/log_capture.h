#pragma once

// What is written to stderr between begin and end. Include after cmocka.h.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int log_capture_saved = -1;
static FILE *log_capture_file;

static inline void log_capture_begin(void)
{
    assert_int_equal(log_capture_saved, -1);
    log_capture_file = tmpfile();
    assert_non_null(log_capture_file);
    log_capture_saved = dup(STDERR_FILENO);
    dup2(fileno(log_capture_file), STDERR_FILENO);
}

// Valid until the next end; cut at its size.
static inline const char *log_capture_end(void)
{
    static char text[32768];
    dup2(log_capture_saved, STDERR_FILENO);
    close(log_capture_saved);
    log_capture_saved = -1;
    rewind(log_capture_file);
    size_t n = fread(text, 1, sizeof text - 1, log_capture_file);
    text[n] = '\0';
    fclose(log_capture_file);
    return text;
}
