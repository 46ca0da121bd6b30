/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/exec.h"

#include <ctype.h>
#include <string.h>

void exec_last_line(const struct buf *text, char *out, size_t size)
{
	const char *s = buf_str(text);
	size_t end = strlen(s);

	while (end > 0 && isspace((unsigned char)s[end - 1]))
		end--;
	size_t start = end;
	while (start > 0 && s[start - 1] != '\n')
		start--;
	while (start < end && isspace((unsigned char)s[start]))
		start++;
	size_t n = end - start < size - 1 ? end - start : size - 1;
	memcpy(out, s + start, n);
	out[n] = '\0';
	/* It goes into one line of an error: no control characters from outside. */
	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)out[i]))
			out[i] = ' ';
}

static void command_text(const char *const argv[], struct buf *out)
{
	enum { SHOWN_MAX = 160 };

	for (int i = 0; argv[i]; i++) {
		if (out->len + strlen(argv[i]) > SHOWN_MAX) {
			buf_puts(out, " ...");
			return;
		}
		buf_printf(out, "%s%s", i ? " " : "", argv[i]);
	}
}

int exec_failed(const char *const argv[], const struct runner_result *res, enum err_code code, struct err *err)
{
	AUTO_BUF struct buf command = BUF_INIT;
	char why[256];

	command_text(argv, &command);
	exec_last_line(&res->err, why, sizeof(why));
	if (!why[0])
		exec_last_line(&res->out, why, sizeof(why));
	return err_set(err, code, "command '%s' ended with status %d%s%s", buf_str(&command), res->status,
		       why[0] ? ": " : "", why);
}

bool exec_said(const struct runner_result *res, const char *text)
{
	return strcasestr(buf_str(&res->err), text) || strcasestr(buf_str(&res->out), text);
}

bool word_is_plain(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (n == 0 || n > max || s[0] == '-' || s[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isascii((unsigned char)s[i]) || (!isalnum((unsigned char)s[i]) && !strchr("._+-", s[i])))
			return false;
	return true;
}

bool word_is_uuid(const char *s)
{
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return s[36] == '\0';
}

bool word_is_path(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (n < 2 || n > max || s[0] != '/' || strstr(s, "/../") || (n >= 3 && strcmp(s + n - 3, "/..") == 0))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isascii((unsigned char)s[i]) || !isgraph((unsigned char)s[i]) || strchr("\"'\\;{}", s[i]))
			return false;
	return true;
}
