/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, by the rows of schema/ops.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/xmem.h"

static const struct {
	const char *group, *alias, *verb;
} aliases[] = {
	{ "instance", "start", "startup" }, { "instance", "stop", "shutdown" }, { "instance", "show", "info" }, { "node", "show", "info" },
	{ "job", "show", "info" },          { "cluster", "show", "info" },      { "cluster", "masterfailover", "master-failover" },
};

const char *argv_alias(const char *group, const char *verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (strcmp(aliases[i].group, group) == 0 && strcmp(aliases[i].alias, verb) == 0)
			return aliases[i].verb;
	return verb;
}

/* Options of gnt itself. */
static const struct {
	const char *name, *brief;
	size_t offset;
	bool value;
} common[] = {
	{ "json", NULL, offsetof(struct options, json), false },
	{ "submit", NULL, offsetof(struct options, submit), false },
	{ "dry-run", NULL, offsetof(struct options, dry_run), false },
	{ "yes", "y", offsetof(struct options, yes), false },
	{ "help", "h", offsetof(struct options, help), false },
	{ "quiet", "q", offsetof(struct options, quiet), false },
	{ "no-headers", NULL, offsetof(struct options, no_headers), false },
	{ "reason", NULL, offsetof(struct options, reason), true },
	{ "socket", NULL, offsetof(struct options, socket), true },
	{ "output", "o", offsetof(struct options, output), true },
};

const char *argv_common_option(size_t i)
{
	return i < ARRAY_SIZE(common) ? common[i].name : NULL;
}

static bool same_option(const char *field, const char *word, size_t n)
{
	if (strlen(field) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (field[i] != word[i] && !(field[i] == '_' && word[i] == '-'))
			return false;
	return true;
}

static bool is_positional(const struct field *f)
{
	return f->cli[0] == '@';
}

static const struct field *long_option(const struct schema *s, const char *word, size_t n)
{
	for (int i = 0; i < s->n_fields; i++)
		if (!is_positional(&s->fields[i]) && !(s->fields[i].flags & FIELD_HIDDEN) && same_option(s->fields[i].name, word, n))
			return &s->fields[i];
	return NULL;
}

static const struct field *short_option(const struct schema *s, char c)
{
	for (int i = 0; i < s->n_fields; i++)
		if (s->fields[i].cli[0] == '-' && s->fields[i].cli[1] == c)
			return &s->fields[i];
	return NULL;
}

static const struct field *positional(const struct schema *s, int index)
{
	for (int i = 0; i < s->n_fields; i++)
		if (is_positional(&s->fields[i]) && (index-- == 0 || (s->fields[i].flags & FIELD_REST)))
			return &s->fields[i];
	return NULL;
}

static int unknown_option(const struct schema *s, const char *word, struct err *err)
{
	char name[64];
	int rc = err_set(err, ERR_BAD_REQUEST, "unknown option '%s'", word);
	const char *near;

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + (word[1] == '-' ? 2 : 1));
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	near = schema_nearest(s, name);
	if (near) {
		char dashed[64];

		(void)str_copy(dashed, sizeof(dashed), near);
		for (char *c = dashed; *c; c++)
			if (*c == '_')
				*c = '-';
		(void)err_hint(err, "did you mean '--%s'?", dashed);
	}
	return rc;
}

static bool take_common(struct options *o, const char *name, size_t n, bool brief, const char *value, bool *ret_used_value)
{
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		const char *mine = brief ? common[i].brief : common[i].name;

		if (!mine || strlen(mine) != n || strncmp(mine, name, n) != 0)
			continue;
		if (common[i].value) {
			if (!value)
				return false;
			*(const char **)(void *)((char *)o + common[i].offset) = value;
			*ret_used_value = true;
		} else {
			*(bool *)(void *)((char *)o + common[i].offset) = true;
		}
		return true;
	}
	return false;
}

/* A field was named on the command line: into the struct, and noted as said. */
static int set_field(struct command *c, const struct field *f, const char *text, struct err *err)
{
	return field_set_text(f, c->args, text, err);
}

static bool takes_value(const struct field *f)
{
	return f->type != FIELD_BOOL;
}

/* --name=value, --name value, --flag, --flag yes|no. Returns words used, or an error. */
static int option_long(struct command *c, const char *word, const char *next, struct err *err)
{
	const char *eq = strchr(word, '='), *value = eq ? eq + 1 : next;
	size_t n = eq ? (size_t)(eq - word - 2) : strlen(word + 2);
	const struct field *f = long_option(op_infos[c->op].args, word + 2, n);
	bool used = false;

	if (!f) {
		if (take_common(&c->opt, word + 2, n, false, value, &used))
			return used && !eq ? 2 : 1;
		return unknown_option(op_infos[c->op].args, word, err);
	}
	if (!takes_value(f)) {
		bool said = !eq && next && (strcmp(next, "yes") == 0 || strcmp(next, "no") == 0);
		int rc = set_field(c, f, eq ? value : said ? next : "yes", err);

		return rc < 0 ? rc : said ? 2 : 1;
	}
	if (!value)
		return err_set(err, ERR_BAD_REQUEST, "option '%s' needs a value", word);
	int rc = set_field(c, f, value, err);
	return rc < 0 ? rc : eq ? 1 : 2;
}

static int option_short(struct command *c, const char *word, const char *next, struct err *err)
{
	const struct field *f = short_option(op_infos[c->op].args, word[1]);
	const char *value = word[2] ? word + 2 : next;
	bool used = false;

	if (!f) {
		if (take_common(&c->opt, word + 1, 1, true, value, &used))
			return used && !word[2] ? 2 : 1;
		return unknown_option(op_infos[c->op].args, word, err);
	}
	if (!takes_value(f)) { /* Ganeti writes "-D yes" */
		bool said = !word[2] && next && (strcmp(next, "yes") == 0 || strcmp(next, "no") == 0);
		int rc = set_field(c, f, said ? next : "yes", err);

		return rc < 0 ? rc : said ? 2 : 1;
	}
	if (!value)
		return err_set(err, ERR_BAD_REQUEST, "option '%s' needs a value", word);
	int rc = set_field(c, f, value, err);
	return rc < 0 ? rc : word[2] ? 1 : 2;
}

static int check_required(const struct command *c, struct err *err)
{
	const struct schema *s = op_infos[c->op].args;

	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (!(f->flags & FIELD_REQUIRED) || field_is_set(f, c->args))
			continue;
		(void)err_set(err, ERR_BAD_REQUEST, is_positional(f) ? "%s is missing" : "option '--%s' is missing", is_positional(f) ? f->help : f->name);
		return err_hint(err, "see 'gnt %s %s --help'", op_infos[c->op].group, op_infos[c->op].verb);
	}
	return 0;
}

static int words(struct command *c, int argc, char **argv, struct err *err)
{
	bool rest = false;
	int n_positional = 0;

	for (int i = 0; i < argc;) {
		const char *w = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
		int used = 1;

		if (!rest && strcmp(w, "--") == 0) {
			rest = true;
		} else if (!rest && w[0] == '-' && w[1] == '-') {
			used = option_long(c, w, next, err);
		} else if (!rest && w[0] == '-' && w[1]) {
			used = option_short(c, w, next, err);
		} else {
			const struct field *f = positional(op_infos[c->op].args, n_positional++);
			int rc = f ? set_field(c, f, w, err) : err_set(err, ERR_BAD_REQUEST, "'%s' is one word too many", w);

			if (rc < 0)
				used = rc;
		}
		if (used < 0)
			return used;
		i += used;
	}
	return 0;
}

static int find_op(const char *group, const char *verb, struct err *err)
{
	int op = op_by_words(group, argv_alias(group, verb));

	if (op >= 0)
		return op;
	(void)err_set(err, ERR_BAD_REQUEST, "'gnt %s' has no command '%s'", group, verb);
	return err_hint(err, "'gnt %s --help' lists them", group);
}

int argv_parse(int argc, char **argv, struct command *ret, struct err *err)
{
	struct command c = { .args = NULL };
	int op = find_op(argv[0], argv[1], err);

	if (op < 0)
		return op;
	c.op = (enum op_index)op;
	c.args = xcalloc(1, op_infos[op].args->size);
	schema_init(op_infos[op].args, c.args);
	int rc = words(&c, argc - 2, argv + 2, err);
	if (rc == 0 && !c.opt.help)
		rc = check_required(&c, err);
	/* --yes is gnt's own, but 'node prepare' has it as an argument too. */
	const struct field *yes = schema_find(op_infos[op].args, "yes");
	if (rc == 0 && yes && c.opt.yes)
		rc = field_set_text(yes, c.args, "yes", err);
	if (rc == 0 && yes && field_int(yes, c.args) == 1)
		c.opt.yes = true;
	if (rc < 0) {
		command_done(&c);
		return rc;
	}
	c.given = schema_encode(op_infos[op].args, c.args);
	*ret = c;
	return 0;
}

void command_done(struct command *c)
{
	if (c->args) {
		schema_done(op_infos[c->op].args, c->args);
		free(c->args);
	}
	json_decref(c->given);
	json_decref(c->details);
	memset(c, 0, sizeof(*c));
}
