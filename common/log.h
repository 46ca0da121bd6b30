/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log sink: records with key=value fields, to stderr (systemd's journal takes it from there with a
 * <N> level prefix when JOURNAL_STREAM is set). Only daemons' top handlers log; libraries return errors.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/err.h"

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Borrows program for good. Records above max_level are dropped. */
void log_init(const char *program, enum log_level max_level);
/* One line, cut at 2 KiB, control characters blanked. Text in fmt; fields as "key=value key=value" at its end by convention. */
void log_write(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
/* One line for an error that ends here: "context: msg; hint: ...". */
void log_err_record(enum log_level level, const char *context, const struct err *err);

#define log_error(...) log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
