/* SPDX-License-Identifier: Apache-2.0 */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
	int code;
	const char *name;
	enum err_class class;
	bool retryable;
	int exit_status;
	const char *hint;
};

static const struct err_row rows[] = {
#define ERROR(n, nm, cl, re, ex, hi) { n, #nm, ERR_CLASS_##cl, re, ex, hi },
#include "schema/errors.def"
#undef ERROR
};

static const struct err_row *row_of(int code)
{
	static const struct err_row unknown = { 0, "UNKNOWN", ERR_CLASS_INTERNAL, false, 1, "" };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return &unknown;
}

int(err_set)(struct err *err, enum err_code code, const char *fmt, ...)
{
	if (err) {
		va_list ap;

		memset(err, 0, sizeof(*err));
		err->code = (int)code;
		va_start(ap, fmt);
		(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
	}
	return -(int)code;
}

int err_hint(struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -(int)ERR_INTERNAL;
	va_start(ap, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return -err->code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char head[sizeof(err->msg)], tail[sizeof(err->msg)];
	va_list ap;

	if (!err)
		return -(int)ERR_INTERNAL;
	va_start(ap, fmt);
	(void)vsnprintf(head, sizeof(head), fmt, ap);
	va_end(ap);
	memcpy(tail, err->msg, sizeof(tail));
	size_t n = strlen(head);
	if (n > sizeof(err->msg) - 3)
		n = sizeof(err->msg) - 3;
	memcpy(err->msg, head, n);
	memcpy(err->msg + n, ": ", 2);
	(void)snprintf(err->msg + n + 2, sizeof(err->msg) - n - 2, "%s", tail);
	return -err->code;
}

int err_errno(struct err *err, enum err_code code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (!err)
		return -(int)code;
	memset(err, 0, sizeof(*err));
	err->code = (int)code;
	va_start(ap, fmt);
	int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg)) {
		char text[128];
		const char *why = strerror_r(saved, text, sizeof(text));

		(void)snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", why);
	}
	return -(int)code;
}

void err_clear(struct err *err)
{
	memset(err, 0, sizeof(*err));
}

const char *err_name(int code)
{
	return row_of(code)->name;
}

int err_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].code;
	return ERR_INTERNAL;
}

enum err_class err_class(int code)
{
	return row_of(code)->class;
}

bool err_retryable(int code)
{
	return row_of(code)->retryable;
}

int err_exit_status(int code)
{
	return row_of(code)->exit_status;
}

const char *err_hint_text(const struct err *err)
{
	return err->hint[0] ? err->hint : row_of(err->code)->hint;
}
