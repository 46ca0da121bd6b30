/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look over the text before libconfig 1.5 reads it: that version wraps numbers past 32 bits without a word, follows
 * @include to any file, and recurses as deep as the text nests. A text in quotes that does not end it calls a "syntax error".
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "io/conf_rows.h"

#define NESTING_MAX 8

struct scan {
	const char *name;
	const char *p;
	int line, depth;
	struct err *err;
};

static void skip(struct scan *s, size_t n)
{
	for (; n > 0 && *s->p; n--)
		if (*s->p++ == '\n')
			s->line++;
}

static int skip_string(struct scan *s)
{
	int line = s->line;

	skip(s, 1);
	while (*s->p && *s->p != '"')
		skip(s, *s->p == '\\' ? 2 : 1);
	if (!*s->p)
		return err_set(s->err, ERR_BAD_VALUE, "%s:%d: the text in quotes does not end", s->name, line);
	skip(s, 1);
	return 0;
}

static bool skip_comment(struct scan *s)
{
	if (*s->p == '#' || strncmp(s->p, "//", 2) == 0) {
		skip(s, strcspn(s->p, "\n"));
		return true;
	}
	if (strncmp(s->p, "/*", 2) != 0)
		return false;
	const char *end = strstr(s->p + 2, "*/");
	skip(s, end ? (size_t)(end + 2 - s->p) : strlen(s->p));
	return true;
}

static int check_number(struct scan *s)
{
	bool hex = s->p[0] == '0' && (s->p[1] == 'x' || s->p[1] == 'X'), negative = s->p[-1] == '-';
	const char *digits = s->p + (hex ? 2 : 0);
	size_t n = hex ? strspn(digits, "0123456789abcdefABCDEF") : strspn(digits, "0123456789");
	size_t zeros = strspn(digits, "0");
	unsigned long long v = 0;

	if (zeros > n)
		zeros = n;
	if (n - zeros <= 10) {
		for (size_t i = zeros; i < n; i++) {
			unsigned char d = (unsigned char)digits[i];

			v = v * (hex ? 16 : 10) + (unsigned)(isdigit(d) ? d - '0' : tolower(d) - 'a' + 10);
		}
	}
	if (n - zeros > 10 || v > 2147483647ULL + (negative ? 1 : 0))
		return err_set(s->err, ERR_BAD_VALUE, "%s:%d: number '%s%.*s' is too large", s->name, s->line, negative ? "-" : "",
			       n > 24 ? 24 : (int)(n + (size_t)(digits - s->p)), s->p);
	skip(s, n + (size_t)(digits - s->p));
	while (isalnum((unsigned char)*s->p) || *s->p == '.') /* suffix, fraction */
		skip(s, 1);
	return 0;
}

static int check_sign(struct scan *s)
{
	if (*s->p == '@')
		return err_set(s->err, ERR_BAD_VALUE, "%s:%d: '@include' is not allowed here", s->name, s->line);
	if (strchr("({[", *s->p) && ++s->depth > NESTING_MAX)
		return err_set(s->err, ERR_BAD_VALUE, "%s:%d: nested deeper than %d", s->name, s->line, NESTING_MAX);
	if (strchr(")}]", *s->p))
		s->depth--;
	skip(s, 1);
	return 0;
}

int conf_scan(const char *name, const char *text, struct err *err)
{
	struct scan s = { .name = name, .p = text, .line = 1, .err = err };

	while (*s.p) {
		int rc = 0;

		if (*s.p == '"')
			rc = skip_string(&s);
		else if (skip_comment(&s))
			continue;
		else if (isdigit((unsigned char)*s.p) && s.p > text)
			rc = check_number(&s);
		else if (isalnum((unsigned char)*s.p) || *s.p == '_')
			while (isalnum((unsigned char)*s.p) || *s.p == '_' || *s.p == '-' || *s.p == '*')
				skip(&s, 1);
		else
			rc = check_sign(&s);
		if (rc < 0)
			return rc;
	}
	return 0;
}
