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

/* Options of gnt itself, and where they mean something. */
enum scope { EVERYWHERE, JOBS, LISTS, FILTERS, MANY, CHANGES };
static const struct {
	const char *name, *brief;
	size_t offset;
	bool value;
	enum scope scope;
} common[] = {
	{ "json", NULL, offsetof(struct options, json), false, EVERYWHERE },
	{ "submit", NULL, offsetof(struct options, submit), false, JOBS },
	{ "dry-run", NULL, offsetof(struct options, dry_run), false, JOBS },
	{ "print-jobid", NULL, offsetof(struct options, print_jobid), false, JOBS },
	{ "yes", "y", offsetof(struct options, yes), false, EVERYWHERE },
	{ "force", "f", offsetof(struct options, yes), false, CHANGES },
	{ "help", "h", offsetof(struct options, help), false, EVERYWHERE },
	{ "quiet", "q", offsetof(struct options, quiet), false, EVERYWHERE },
	{ "no-headers", NULL, offsetof(struct options, no_headers), false, LISTS },
	{ "separator", NULL, offsetof(struct options, separator), true, LISTS },
	{ "units", NULL, offsetof(struct options, units), true, LISTS },
	{ "output", "o", offsetof(struct options, output), true, LISTS },
	{ "filter", "F", offsetof(struct options, filter), false, FILTERS },
	{ "all", NULL, offsetof(struct options, all), false, MANY },
	{ "node", NULL, offsetof(struct options, node), false, MANY },
	{ "primary", NULL, offsetof(struct options, primary), false, MANY },
	{ "secondary", NULL, offsetof(struct options, secondary), false, MANY },
	{ "force-multiple", NULL, offsetof(struct options, force_multiple), false, MANY },
	{ "reason", NULL, offsetof(struct options, reason), true, EVERYWHERE },
	{ "socket", NULL, offsetof(struct options, socket), true, EVERYWHERE },
};

const char *argv_common_option(size_t i)
{
	return i < ARRAY_SIZE(common) ? common[i].name : NULL;
}

bool argv_common_applies(size_t i, enum op_index op)
{
	switch (common[i].scope) {
	case JOBS: return op_infos[op].kind == OP_JOB;
	case LISTS: return list_is(op);
	case FILTERS: return list_filters(op);
	case MANY: return many_is(op);
	case CHANGES: return op_infos[op].acl == OP_ADMIN && !schema_find(op_infos[op].args, "force"); /* Ganeti's word for it */
	case EVERYWHERE:
	default: return true;
	}
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

const char *argv_dashed(const char *name, char out[NAME_LEN + 1])
{
	(void)str_copy(out, NAME_LEN + 1, name);
	for (char *c = out; *c; c++)
		if (*c == '_')
			*c = '-';
	return out;
}

static const char *verb_text(enum op_index op, char out[NAME_LEN + 1])
{
	return argv_dashed(op_infos[op].verb, out);
}

bool argv_positional(const struct field *f)
{
	return f->cli[0] == '@';
}

bool argv_hidden(const struct field *f)
{
	return (f->flags & FIELD_HIDDEN) != 0;
}

static const struct field *long_option(const struct schema *s, const char *word, size_t n)
{
	for (int i = 0; i < s->n_fields; i++)
		if (!argv_positional(&s->fields[i]) && !argv_hidden(&s->fields[i]) && same_option(s->fields[i].name, word, n))
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
		if (argv_positional(&s->fields[i]) && (index-- == 0 || (s->fields[i].flags & FIELD_REST)))
			return &s->fields[i];
	return NULL;
}

/* The nearest of the command's own options and of gnt's. */
static int unknown_option(enum op_index op, const char *word, struct err *err)
{
	const struct schema *s = op_infos[op].args;
	const char *words[64 + ARRAY_SIZE(common) + 1] = { NULL };
	char name[64];
	size_t n = 0;

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 1 + (word[1] == '-'), "="), word + 1 + (word[1] == '-'));
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	for (int i = 0; i < s->n_fields && n < 64; i++)
		if (!argv_positional(&s->fields[i]) && !argv_hidden(&s->fields[i]))
			words[n++] = s->fields[i].name;
	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		if (argv_common_applies(i, op))
			words[n++] = common[i].name;
	(void)err_set(err, ERR_BAD_REQUEST, "'gnt %s %s' has no option '%.*s'", op_infos[op].group, verb_text(op, (char[NAME_LEN + 1]){ 0 }),
		      (int)strcspn(word, "="), word);
	const char *habit = habit_option(op_infos[op].group, verb_text(op, (char[NAME_LEN + 1]){ 0 }), word);
	if (habit)
		return err_hint(err, "%s", habit);
	const char *near = word[1] == '-' ? words_nearest(words, name) : NULL;
	for (int i = 0; !near && word[1] == '-' && i < s->n_fields; i++) { /* --memory is -B memory= */
		const struct field *f = &s->fields[i];
		const char *key = f->type == FIELD_OBJ ? schema_nearest(f->sub, name) : NULL;

		if (key)
			return err_hint(err, "did you mean '%s%s %s=...'?", f->cli[0] == '-' ? f->cli : "--", f->cli[0] == '-' ? "" : f->name, key);
	}
	if (!near)
		return err_hint(err, "see 'gnt %s %s --help'", op_infos[op].group, verb_text(op, (char[NAME_LEN + 1]){ 0 }));
	return err_hint(err, "did you mean '--%s'?", argv_dashed(near, (char[NAME_LEN + 1]){ 0 }));
}

/* A word for --reason and the like is missing. */
static bool wants_value(enum op_index op, const char *name, size_t n, bool brief)
{
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		const char *mine = brief ? common[i].brief : common[i].name;

		if (mine && strlen(mine) == n && strncmp(mine, name, n) == 0 && argv_common_applies(i, op))
			return common[i].value;
	}
	return false;
}

static int needs_value(const char *word, struct err *err)
{
	(void)err_set(err, ERR_BAD_REQUEST, "option '%s' needs a value", word);
	return err_hint(err, "write it behind, as in '%s VALUE'", word);
}

/* --json=xyz, -yes: what is glued to an option that is only said or not would be lost. */
static int takes_no_value(const char *name, size_t n, const char *value, struct err *err)
{
	(void)err_set(err, ERR_BAD_REQUEST, "option '%.*s' takes no value, '%s' was given", (int)n, name, value);
	return err_hint(err, "write '%.*s' alone", (int)n, name);
}

static bool take_common(enum op_index op, struct options *o, const char *name, size_t n, bool brief, const char *value, bool *ret_used_value)
{
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		const char *mine = brief ? common[i].brief : common[i].name;

		if (!mine || strlen(mine) != n || strncmp(mine, name, n) != 0 || !argv_common_applies(i, op))
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

/* --filter=EXPR and --primary=NODE: these say what the words are, and here is the word. */
static bool is_of_words(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		if (strlen(common[i].name) == n && strncmp(common[i].name, name, n) == 0)
			return common[i].scope == FILTERS || (common[i].scope == MANY && offsetof(struct options, all) != common[i].offset &&
							      offsetof(struct options, force_multiple) != common[i].offset);
	return false;
}

/* As the usage line has it, or as an option: "NEW_NAME", "--tail-keep". */
static const char *as_typed(const struct field *f, char out[NAME_LEN + 3])
{
	char dashed[NAME_LEN + 1];

	if (argv_positional(f))
		(void)str_copy(out, NAME_LEN + 3, f->name);
	else
		(void)snprintf(out, NAME_LEN + 3, "--%s", argv_dashed(f->name, dashed));
	for (char *c = out; argv_positional(f) && *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	return out;
}

/* "tail_keep: '5' is out of range" says what it is called inside. */
static void name_as_typed(const struct field *f, struct err *err)
{
	size_t n = strlen(f->name);

	if (strncmp(err->msg, f->name, n) != 0 || err->msg[n] != ':')
		return;
	AUTO_FREE char *rest = xstrdup(err->msg + n);
	(void)snprintf(err->msg, sizeof(err->msg), "%s%s", as_typed(f, (char[NAME_LEN + 3]){ 0 }), rest);
}

/* A field was named on the command line: into the struct, and noted as said. */
static int set_field(struct command *c, const struct field *f, const char *text, struct err *err)
{
	if (f->sub == &hvparams_schema && strncmp(text, "kvm", 3) == 0 && (!text[3] || text[3] == ':')) { /* Ganeti's HYPERVISOR:KEY=VALUE,... */
		if (!text[3] || !text[4])
			return 0;
		text += 4;
	}
	const struct field *reset = f->type == FIELD_OBJ ? schema_find(op_infos[c->op].args, "reset") : NULL;

	int rc = reset ? field_set_text_or_reset(f, c->args, text, (char ***)(void *)((char *)c->args + reset->offset),
						 (int *)(void *)((char *)c->args + reset->n_offset), err) :
			 field_set_text(f, c->args, text, err);
	if (rc < 0)
		name_as_typed(f, err);
	return rc;
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
		bool taken = take_common(c->op, &c->opt, word + 2, n, false, value, &used);

		if (taken && eq && is_of_words(word + 2, n)) {
			strs_add(&c->words, &c->n_words, eq + 1);
			return 1;
		}
		if (taken)
			return eq && !used ? takes_no_value(word, n + 2, eq + 1, err) : used && !eq ? 2 : 1;
		if (!value && wants_value(c->op, word + 2, n, false))
			return needs_value(word, err);
		return unknown_option(c->op, word, err);
	}
	if (!takes_value(f)) {
		bool said = !eq && next && (strcmp(next, "yes") == 0 || strcmp(next, "no") == 0);
		int rc = set_field(c, f, eq ? value : said ? next : "yes", err);

		return rc < 0 ? rc : said ? 2 : 1;
	}
	if (!value)
		return needs_value(word, err);
	int rc = set_field(c, f, value, err);
	return rc < 0 ? rc : eq ? 1 : 2;
}

static int option_short(struct command *c, const char *word, const char *next, struct err *err)
{
	const struct field *f = short_option(op_infos[c->op].args, word[1]);
	const char *value = word[2] ? word + 2 : next;
	bool used = false;

	if (!f) {
		if (take_common(c->op, &c->opt, word + 1, 1, true, value, &used))
			return word[2] && !used ? takes_no_value(word, 2, word + 2, err) : used && !word[2] ? 2 : 1;
		if (!value && wants_value(c->op, word + 1, 1, true))
			return needs_value(word, err);
		return unknown_option(c->op, word, err);
	}
	if (!takes_value(f)) { /* Ganeti writes "-D yes" */
		if (word[2]) {
			int rc = f->def ? takes_no_value(word, 2, word + 2, err) : set_field(c, f, word + 2, err);

			return rc < 0 ? rc : 1;
		}
		bool said = next && (strcmp(next, "yes") == 0 || strcmp(next, "no") == 0);
		int rc = set_field(c, f, said ? next : "yes", err);

		return rc < 0 ? rc : said ? 2 : 1;
	}
	if (!value)
		return needs_value(word, err);
	int rc = set_field(c, f, value, err);
	return rc < 0 ? rc : word[2] ? 1 : 2;
}

static int check_required(const struct command *c, struct err *err)
{
	const struct schema *s = op_infos[c->op].args;

	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (!(f->flags & FIELD_REQUIRED) || field_is_set(f, c->args) || (c->many && argv_positional(f)))
			continue;
		char name[NAME_LEN + 3];
		(void)err_set(err, ERR_BAD_REQUEST, argv_positional(f) ? "%s is missing: %s" : "option '%s' is missing: %s", as_typed(f, name), f->help);
		return err_hint(err, "see 'gnt %s %s --help'", op_infos[c->op].group, verb_text(c->op, (char[NAME_LEN + 1]){ 0 }));
	}
	return 0;
}

/* "-D maybe node1": the word behind an option that wants yes or no was taken for a name, and now there is one too many. */
static int too_many(const struct command *c, int i, char **argv, struct err *err)
{
	const struct schema *s = op_infos[c->op].args;

	for (int k = 0; k + 1 <= i; k++) {
		const char *w = argv[k];
		const struct field *f = w[0] != '-' ? NULL : w[1] == '-' ? long_option(s, w + 2, strlen(w + 2)) : w[1] && !w[2] ? short_option(s, w[1]) : NULL;

		if (f && f->type == FIELD_BOOL && !f->def && argv[k + 1][0] != '-' && strcmp(argv[k + 1], "yes") != 0 && strcmp(argv[k + 1], "no") != 0)
			return err_set(err, ERR_BAD_VALUE, "option '%s': '%s' is neither yes nor no", w, argv[k + 1]),
			       err_hint(err, "write '%s yes' or '%s no'", w, w);
	}
	(void)err_set(err, ERR_BAD_REQUEST, "'%s' is one word too many", argv[i]);
	return err_hint(err, "see 'gnt %s %s --help'", op_infos[c->op].group, verb_text(c->op, (char[NAME_LEN + 1]){ 0 }));
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
		} else if (list_filters(c->op) || many_is(c->op)) {
			strs_add(&c->words, &c->n_words, w);
		} else if (argv_several(c->op)) { /* each is looked at; the request is about the last of them, until it is told otherwise */
			strs_add(&c->words, &c->n_words, w);
			used = set_field(c, positional(op_infos[c->op].args, 0), w, err) < 0 ? -err->code : 1;
		} else {
			const struct field *f = positional(op_infos[c->op].args, n_positional++);
			int rc = f ? set_field(c, f, w, err) : too_many(c, i, argv, err);

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
	const char *words[OP_COUNT + 1] = { NULL };
	char names[OP_COUNT][NAME_LEN + 1];
	int op = op_by_words(group, argv_alias(group, verb)), n = 0;

	if (op >= 0)
		return op;
	for (int i = 0; i < OP_COUNT; i++)
		if (strcmp(op_infos[i].group, group) == 0 && !help_is_internal((enum op_index)i)) {
			words[n] = verb_text((enum op_index)i, names[n]);
			n++;
		}
	const char *habit = habit_command(group, verb), *near = words_nearest(words, verb);
	(void)err_set(err, ERR_BAD_REQUEST, "'gnt %s' has no command '%s'", group, verb);
	if (habit)
		return err_hint(err, "%s", habit);
	return near ? err_hint(err, "did you mean 'gnt %s %s'?", group, near) : err_hint(err, "'gnt %s --help' lists them", group);
}

bool argv_several(enum op_index op)
{
	return op_infos[op].args == &op_job_id_schema || op == OP_job_wait;
}

int argv_choose(struct command *c, int i, struct err *err)
{
	int rc = set_field(c, positional(op_infos[c->op].args, 0), c->words[i], err);

	json_decref(c->given);
	c->given = schema_encode(op_infos[c->op].args, c->args);
	return rc;
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
		rc = many_is(c.op) ? many_take(&c, err) : 0;
	if (rc == 0 && !c.opt.help)
		rc = check_required(&c, err);
	if (rc < 0 && err && !err->hint[0])
		(void)err_hint(err, "see 'gnt %s %s --help'", op_infos[op].group, verb_text(c.op, (char[NAME_LEN + 1]){ 0 }));
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
	rc = c.opt.help ? 0 : list_check(&c, err);
	if (rc < 0) {
		help_fill_hint(op_infos[op].name, err);
		command_done(&c);
		return rc;
	}
	/* 'node fence' has a reason of its own, for the evidence: it is the request's too. */
	if (!c.opt.reason && schema_find(op_infos[op].args, "reason"))
		c.opt.reason = json_str(c.given, "reason", NULL);
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
	strs_clear(&c->words, &c->n_words);
	filter_free(c->filter);
	memset(c, 0, sizeof(*c));
}
