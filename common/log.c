/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The one global of the project: the log sink. */
static struct {
	const char *program;
	enum log_level max_level;
	bool journal;
} sink = { "gantry", LOG_LEVEL_INFO, false };

void log_init(const char *program, enum log_level max_level)
{
	sink.program = program;
	sink.max_level = max_level;
	sink.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	if (level > sink.max_level)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *p = line; *p; p++) /* a record is one line, whatever the outside put into it */
		if ((unsigned char)*p < ' ')
			*p = ' ';
	if (sink.journal)
		(void)fprintf(stderr, "<%d>%s\n", (int)level, line);
	else
		(void)fprintf(stderr, "%s[%d] %s\n", sink.program, (int)level, line);
}

void log_err_record(enum log_level level, const char *context, const struct err *err)
{
	log_write(level, "%s: %s error=%s%s%s%s%s; hint: %s", context, err->msg, err_name(err->code),
		  err->node[0] ? " node=" : "", err->node, err->step[0] ? " step=" : "", err->step,
		  err_hint_text(err));
}
