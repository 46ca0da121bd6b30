/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/filter.h"

#include <ctype.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "common/xmem.h"
#include "schema/limits.h"

#define DEPTH_MAX 50    /* of parentheses and "not" */
#define WORDS_MAX 200   /* conditions of one filter */
#define PATTERN_MAX 200 /* of a regular expression: what it is made into grows much faster */

enum what { OR, AND, NOT, TRUTH, EQUAL, DIFFERENT, LESS, LESS_EQUAL, MORE, MORE_EQUAL, REGEX, NO_REGEX, GLOB, NO_GLOB };

struct filter {
	enum what what;
	struct filter *a, *b; /* OR, AND; NOT: a alone */
	char field[NAME_LEN + 1];
	enum filter_kind kind;
	char *text;
	int64_t number;       /* SIZE, NUMBER, BOOL */
	regex_t *regex;
};

struct parser {
	const char *p;
	filter_kind_fn *kind;
	void *arg;
	int depth, n;
	struct err *err;
};

void filter_free(struct filter *f)
{
	if (!f)
		return;
	filter_free(f->a);
	filter_free(f->b);
	free(f->text);
	if (f->regex)
		regfree(f->regex);
	free(f->regex);
	free(f);
}

static struct filter *node(enum what what, struct filter *a, struct filter *b)
{
	struct filter *f = xcalloc(1, sizeof(*f));

	f->what = what;
	f->a = a;
	f->b = b;
	return f;
}

/* ---- words -------------------------------------------------------------------------------------- */

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void skip(struct parser *p)
{
	while (isspace((unsigned char)*p->p))
		p->p++;
}

static struct filter *expected(struct parser *p, const char *what)
{
	skip(p);
	if (*p->p)
		(void)err_set(p->err, ERR_BAD_VALUE, "filter: expected %s at '%.40s'", what, p->p);
	else
		(void)err_set(p->err, ERR_BAD_VALUE, "filter: expected %s at its end", what);
	(void)err_hint(p->err, "for example 'name =~ m/^web/ and not (status == \"running\")'; see gnt(8)");
	return NULL;
}

/* A sign, or a word with nothing of a word behind it. */
static bool take(struct parser *p, const char *text)
{
	size_t n = strlen(text);

	skip(p);
	if (strncmp(p->p, text, n) != 0 || (in_word(text[0]) && in_word(p->p[n])))
		return false;
	p->p += n;
	return true;
}

static bool take_field(struct parser *p, char out[NAME_LEN + 1])
{
	size_t n = 0;

	skip(p);
	if (!isalpha((unsigned char)*p->p))
		return false;
	while (in_word(p->p[n]) || p->p[n] == '/' || p->p[n] == '.') /* be/memory */
		n++;
	if (n > NAME_LEN)
		return false;
	(void)snprintf(out, NAME_LEN + 1, "%.*s", (int)n, p->p);
	p->p += n;
	return true;
}

/* "..." or '...', where a backslash takes what is behind it as it is. NULL = none. */
static char *take_string(struct parser *p)
{
	skip(p);
	char quote = *p->p;
	if (quote != '"' && quote != '\'')
		return NULL;
	AUTO_FREE char *out = xcalloc(1, strlen(p->p) + 1);
	size_t n = 0;
	const char *c = p->p + 1;

	for (; *c && *c != quote; c++) {
		if (*c == '\\' && c[1])
			c++;
		out[n++] = *c;
	}
	if (!*c)
		return NULL;
	p->p = c + 1;
	return TAKE(out);
}

/* ---- conditions ----------------------------------------------------------------------------------- */

static int compile(struct filter *f, bool any_case, struct err *err)
{
	const char *brace = strchr(f->text, '{');
	char why[128];

	if (strlen(f->text) > PATTERN_MAX || (brace && strchr(brace + 1, '{')))
		return err_set(err, ERR_TOO_BIG, "filter: the regular expression is too large"),
		       err_hint(err, "at most %d characters, and one {n,m}", PATTERN_MAX);
	f->regex = xcalloc(1, sizeof(*f->regex));
	int rc = regcomp(f->regex, f->text, REG_EXTENDED | REG_NOSUB | (any_case ? REG_ICASE : 0));
	if (rc == 0)
		return 0;
	(void)regerror(rc, f->regex, why, sizeof(why));
	free(f->regex);
	f->regex = NULL;
	return err_set(err, ERR_BAD_VALUE, "filter: regular expression '%.60s': %s", f->text, why),
	       err_hint(err, "POSIX extended regular expressions: see regex(7)");
}

/* m/.../i; the mark may be any that is no letter. */
static struct filter *pattern(struct parser *p, struct filter *f)
{
	skip(p);
	char mark = p->p[0] == 'm' ? p->p[1] : '\0';
	const char *end = mark && ispunct((unsigned char)mark) ? strchr(p->p + 2, mark) : NULL;

	if (!end) {
		filter_free(f);
		return expected(p, "m/REGULAR EXPRESSION/");
	}
	f->text = xasprintf("%.*s", (int)(end - p->p - 2), p->p + 2);
	p->p = end + 1;
	bool any_case = *p->p == 'i';
	p->p += any_case;
	if (in_word(*p->p)) {
		filter_free(f);
		return expected(p, "no other flag than i");
	}
	if (compile(f, any_case, p->err) < 0) {
		filter_free(f);
		return NULL;
	}
	return f;
}

static bool yes_or_no(const char *text, int64_t *ret)
{
	static const char *const words[] = { "no", "yes", "false", "true", "False", "True" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], text) == 0) {
			*ret = (int64_t)(i % 2);
			return true;
		}
	return false;
}

/* Takes a value that fits the field. */
static struct filter *value(struct parser *p, struct filter *f)
{
	static const char *const wants[] = { "text in quotes", "a number", "a size", "yes or no" };
	const char *at = p->p;
	AUTO_FREE char *word = take_string(p);
	bool quoted = word != NULL, ok = false;
	struct err why = ERR_INIT;

	if (!word) {
		skip(p);
		size_t n = *p->p == '-';
		while (in_word(p->p[n]) || p->p[n] == '.')
			n++;
		word = xasprintf("%.*s", (int)n, p->p);
		p->p += n;
	}
	switch (f->kind) {
	case FILTER_TEXT: ok = quoted; break;
	case FILTER_NUMBER: ok = !quoted && units_parse_int(word, INT64_MIN + 1, INT64_MAX, &f->number, &why) == 0; break;
	case FILTER_SIZE: ok = !quoted && units_parse_mib(word, &f->number, &why) == 0; break;
	case FILTER_BOOL:
	default: ok = yes_or_no(word, &f->number); break;
	}
	if (!ok) {
		char what[NAME_LEN + 40];

		(void)snprintf(what, sizeof(what), "%s for '%s'", wants[f->kind], f->field);
		p->p = at;
		filter_free(f);
		return expected(p, what);
	}
	f->text = TAKE(word);
	return f;
}

static struct filter *glob(struct parser *p, struct filter *f)
{
	f->text = take_string(p);
	if (f->text)
		return f;
	filter_free(f);
	return expected(p, "a pattern in quotes");
}

static struct filter *compared(struct parser *p, struct filter *f)
{
	static const struct {
		const char *sign;
		enum what what;
	} signs[] = { /* the longer first */
		{ "==", EQUAL },      { "=~", REGEX },        { "=*", GLOB },       { "=", EQUAL },     { "!=", DIFFERENT }, { "!~", NO_REGEX },
		{ "!*", NO_GLOB },    { "<=", LESS_EQUAL },   { ">=", MORE_EQUAL }, { "<", LESS },      { ">", MORE },
	};
	size_t i = 0;

	while (i < ARRAY_SIZE(signs) && !take(p, signs[i].sign))
		i++;
	f->what = i < ARRAY_SIZE(signs) ? signs[i].what : TRUTH;
	bool by_text = f->what == REGEX || f->what == NO_REGEX || f->what == GLOB || f->what == NO_GLOB;
	bool by_order = f->what == LESS || f->what == LESS_EQUAL || f->what == MORE || f->what == MORE_EQUAL;
	if ((by_text && f->kind != FILTER_TEXT) || (by_order && f->kind == FILTER_BOOL)) {
		(void)err_set(p->err, ERR_BAD_VALUE, "filter: '%s' does not go with '%s', which is %s", signs[i].sign, f->field,
			      f->kind == FILTER_BOOL ? "yes or no" : "a number");
		(void)err_hint(p->err, f->kind == FILTER_BOOL ? "say '%s' alone, or 'not' before it" : "compare '%s' with a number, by one of == != < <= > >=", f->field);
		filter_free(f);
		return NULL;
	}
	if (f->what == TRUTH)
		return f;
	if (f->what == REGEX || f->what == NO_REGEX)
		return pattern(p, f);
	return f->what == GLOB || f->what == NO_GLOB ? glob(p, f) : value(p, f);
}

static struct filter *condition(struct parser *p)
{
	struct filter *f = node(TRUTH, NULL, NULL);
	AUTO_FREE char *text = take_string(p);

	if (text) {
		bool contains = take(p, "in") || (take(p, "not") && take(p, "in"));

		filter_free(f);
		if (!contains)
			return expected(p, "a field before what it is compared with");
		(void)err_set(p->err, ERR_NOT_SUPPORTED, "filter: '\"%.40s\" in FIELD' asks for a field that is a list: there is none", text);
		(void)err_hint(p->err, "say FIELD =~ m/%.40s/", text);
		return NULL;
	}
	if (!take_field(p, f->field)) {
		filter_free(f);
		return expected(p, "a field");
	}
	int kind = p->kind(p->arg, f->field, p->err);
	if (kind < 0 || ++p->n > WORDS_MAX) {
		if (kind >= 0)
			(void)err_set(p->err, ERR_TOO_BIG, "filter: more than %d conditions", WORDS_MAX);
		filter_free(f);
		return NULL;
	}
	f->kind = (enum filter_kind)kind;
	return compared(p, f);
}

/* ---- and, or, not ------------------------------------------------------------------------------------ */

static struct filter *any_of(struct parser *p);

static struct filter *single(struct parser *p)
{
	struct filter *f;

	if (++p->depth > DEPTH_MAX) {
		(void)err_set(p->err, ERR_TOO_BIG, "filter: deeper than %d parentheses", DEPTH_MAX);
		return NULL;
	}
	if (take(p, "!") || take(p, "not")) {
		f = single(p);
		f = f ? node(NOT, f, NULL) : NULL;
	} else if (take(p, "(")) {
		f = any_of(p);
		if (f && !take(p, ")")) {
			filter_free(f);
			f = expected(p, "')'");
		}
	} else {
		f = condition(p);
	}
	p->depth--;
	return f;
}

static struct filter *chain(struct parser *p, enum what what, const char *sign, const char *word, struct filter *(*next)(struct parser *p))
{
	struct filter *f = next(p);

	while (f && (take(p, sign) || take(p, word))) {
		struct filter *b = next(p);

		if (!b) {
			filter_free(f);
			return NULL;
		}
		f = node(what, f, b);
	}
	return f;
}

static struct filter *all_of(struct parser *p)
{
	return chain(p, AND, "&", "and", single);
}

static struct filter *any_of(struct parser *p)
{
	return chain(p, OR, "|", "or", all_of);
}

int filter_parse(const char *text, filter_kind_fn *kind, void *arg, struct filter **ret, struct err *err)
{
	struct err why = ERR_INIT;
	struct parser p = { .p = text, .kind = kind, .arg = arg, .err = &why };
	struct filter *f = any_of(&p);

	skip(&p);
	if (f && *p.p) {
		filter_free(f);
		f = expected(&p, "'and', 'or' or the end");
	}
	if (!f) {
		if (err)
			*err = why;
		return -why.code;
	}
	*ret = f;
	return 0;
}

int filter_of_words(const char *field, enum filter_kind kind, char *const *words, int n, struct filter **ret, struct err *err)
{
	AUTO(filter_free) struct filter *all = NULL;

	for (int i = 0; i < n; i++) {
		struct filter *f = node(filter_is_glob(words[i]) && kind == FILTER_TEXT ? GLOB : EQUAL, NULL, NULL);

		(void)str_copy(f->field, sizeof(f->field), field);
		f->kind = kind;
		f->text = xstrdup(words[i]);
		all = all ? node(OR, all, f) : f; /* freed with it */
		if (kind == FILTER_NUMBER && units_parse_int(words[i], INT64_MIN + 1, INT64_MAX, &f->number, err) < 0)
			return err_wrap(err, "%s", field);
	}
	*ret = TAKE(all);
	return 0;
}

/* ---- rows --------------------------------------------------------------------------------------------- */

static bool ordered(enum what what, int order)
{
	switch (what) {
	case LESS: return order < 0;
	case LESS_EQUAL: return order <= 0;
	case MORE: return order > 0;
	case MORE_EQUAL: return order >= 0;
	default: return order == 0;
	}
}

static bool compare(const struct filter *f, const json_t *v)
{
	if (f->kind == FILTER_TEXT && json_is_string(v)) {
		const char *s = json_string_value(v);

		if (f->what == REGEX)
			return regexec(f->regex, s, 0, NULL, 0) == 0;
		return f->what == GLOB ? fnmatch(f->text, s, 0) == 0 : ordered(f->what, strcmp(s, f->text));
	}
	if (f->kind == FILTER_BOOL && json_is_boolean(v))
		return json_is_true(v) == (f->number == 1);
	if ((f->kind == FILTER_NUMBER || f->kind == FILTER_SIZE) && json_is_integer(v)) {
		int64_t n = json_integer_value(v);

		return ordered(f->what, n < f->number ? -1 : n > f->number);
	}
	return false;
}

static bool truth(const json_t *v)
{
	if (json_is_string(v))
		return json_string_value(v)[0] != '\0';
	return json_is_integer(v) ? json_integer_value(v) != 0 : json_is_true(v);
}

static bool is_not(const struct filter *f, enum what what, const json_t *v)
{
	struct filter positive = *f;

	positive.what = what;
	return !compare(&positive, v);
}

bool filter_match(const struct filter *f, const json_t *row)
{
	const json_t *v = f->field[0] ? json_object_get(row, f->field) : NULL;

	switch (f->what) {
	case OR: return filter_match(f->a, row) || filter_match(f->b, row);
	case AND: return filter_match(f->a, row) && filter_match(f->b, row);
	case NOT: return !filter_match(f->a, row);
	case TRUTH: return truth(v);
	case DIFFERENT: return is_not(f, EQUAL, v);
	case NO_REGEX: return is_not(f, REGEX, v);
	case NO_GLOB: return is_not(f, GLOB, v);
	default: return compare(f, v);
	}
}

void filter_fields(const struct filter *f, void (*each)(void *arg, const char *field), void *arg)
{
	if (f->a)
		filter_fields(f->a, each, arg);
	if (f->b)
		filter_fields(f->b, each, arg);
	if (f->field[0])
		each(arg, f->field);
}

bool filter_looks_like(const char *word)
{
	return word[strcspn(word, "()=!~<>|&\"' \t\n")] != '\0';
}

bool filter_is_glob(const char *word)
{
	return word[strcspn(word, "*?")] != '\0';
}
