// `doctor`: what a new installation gets wrong, one line each, with the command that mends it.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "channels/webhook/commands.h"
#include "channels/webhook/doctor.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/output.h"
#include "common/text.h"

#define MAX_REPORT (256 * 1024)
#define MAX_LINE 2048

static void one_line(struct buf *out, const char *text)
{
    (void)text_clean(out, text_trim(str_of(text)), MAX_LINE, TEXT_ONE_LINE);
}

void doctor_say(struct doctor *d, enum doctor_result result, const char *check, const char *mend,
                const char *found, ...)
{
    static const char *const words[] = {"ok", "warn", "fail"};
    struct buf clean = BUF_INIT(2 * MAX_LINE), cure = BUF_INIT(2 * MAX_LINE);
    char line[MAX_LINE];
    va_list args;
    va_start(args, found);
    vsnprintf(line, sizeof line, found, args);
    va_end(args);
    one_line(&clean, line);
    if (result != DOCTOR_OK && mend)
        one_line(&cure, mend);
    d->failed |= result == DOCTOR_FAIL;
    buf_addf(&d->text, "%-4s  %-14s %s%s%s\n", words[result], check, buf_cstr(&clean),
             cure.len ? " -> " : "", buf_cstr(&cure));
    jw_object(&d->w);
    jw_kstr(&d->w, "check", check);
    jw_kstr(&d->w, "result", words[result]);
    jw_kstr(&d->w, "found", buf_cstr(&clean));
    jw_kstr(&d->w, "mend", cure.len ? buf_cstr(&cure) : NULL);
    jw_object_end(&d->w);
    buf_done(&clean);
    buf_done(&cure);
}

int doctor_read(const char *path, struct buf *out)
{
    char part[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        buf_add(out, part, n);
    int r = ferror(f) ? -EIO : out->error;
    fclose(f);
    return r;
}

int command_doctor(const struct config *c, int argc, char **argv)
{
    struct option options[] = {{.name = "--json", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(256);
    struct doctor d = {.config = c,
                       .now = clock_wall_ms(),
                       .text = BUF_INIT(MAX_REPORT),
                       .json = BUF_INIT(MAX_REPORT)};
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("doctor", &why);
    d.w = JW(&d.json);
    config_project(d.project);
    jw_object(&d.w);
    jw_key(&d.w, "checks");
    jw_array(&d.w);
    doctor_machine(&d);
    doctor_store(&d);
    doctor_client(&d);
    doctor_around(&d);
    jw_array_end(&d.w);
    jw_kbool(&d.w, "ok", !d.failed);
    jw_object_end(&d.w);
    buf_addc(&d.json, '\n');
    int e = output_flush(options[0].number ? &d.json : &d.text);
    buf_done(&d.text);
    buf_done(&d.json);
    return e < 0 || d.failed;
}
