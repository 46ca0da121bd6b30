/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gnt --dump-schema=FORMAT [WHAT...]: the rows of schema/ as text, for what is built from them.
 *   bash                    completion
 *   json                    everything: requests, objects, steps, messages, errors
 *   words                   one line a request, common option, error, message, step, tab-separated: for scripts and tests
 *   man op GROUP VERB       heading and synopsis, in scdoc      man options GROUP VERB   its options
 *   man params NAME         keys of a parameter group           man error NAME [TEXT]    an error, with what it means
 *   man message NAME        fields of a message                 man steps                all step kinds
 *   adoc commands GROUP | params NAME | messages | steps | errors   the same as AsciiDoc tables
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "schema/msgs.h"
#include "schema/steps.h"

#define msg_settings_schema step_settings_schema /* the one message whose fields are a step's */

static const struct {
	const char *name;
	const struct schema *schema;
} messages[] = {
#define MSG(n) { #n, &msg_##n##_schema },
	MSGS(MSG)
#undef MSG
};

static const struct {
	int number;
	const char *name, *class, *hint;
	bool retryable;
	int exit_status;
} errors[] = {
#define ERROR(number_, name_, class_, retryable_, exit_, hint_) \
	{ .number = (number_), .name = #name_, .class = #class_, .hint = (hint_), .retryable = (retryable_), .exit_status = (exit_) },
#include "schema/errors.def"
#undef ERROR
};

static const struct schema *const params[] = { &beparams_schema, &hvparams_schema, &disk_schema, &nic_schema };
static const struct schema *const objects[] = {
	&cluster_schema, &node_schema, &instance_schema, &ownership_schema, &beparams_schema, &hvparams_schema, &disk_schema,
	&nic_schema,	 &token_schema, &job_schema,	  &plan_step_schema, &job_record_schema, &observed_schema,
};

static const char *const kind_words[] = { "query", "job", "quick", "local", "client" };
static const char *const lock_words[] = { "nothing", "the instance", "the node", "the cluster" };
static const char *const where_words[] = { "node", "master", "store" };
static const char *const undo_words[] = { "yes", "nothing to undo", "forward only" };
static const char *const class_words[] = { "20 s", "120 s", "15 min", "none" };
static const char *const type_words[] = { "text", "text", "number", "size", "yes or no", "word", "object", "list", "texts", "any JSON" };

/* ---- text: escaped for scdoc ('*' and '_' mark words there) or for an AsciiDoc cell ---------------------------- */

static void scd(const char *s)
{
	for (; *s; s++) {
		if (strchr("\\*_", *s))
			(void)putchar('\\');
		(void)putchar(*s);
	}
}

static void adoc(const char *s)
{
	for (; *s; s++) {
		if (*s == '|')
			(void)putchar('\\');
		(void)putchar(*s);
	}
}

static void upper(const char *s)
{
	for (; *s; s++) {
		if (*s == '_')
			(void)putchar('\\');
		(void)putchar(*s >= 'a' && *s <= 'z' ? *s - 32 : *s);
	}
}

/* ---- fields -------------------------------------------------------------------------------------------------------- */

/* "number from 1 to 600", "one of drbd, plain": what may stand there. */
static void kind_of(const struct field *f, void (*put)(const char *))
{
	char text[96] = "";

	switch (f->type) {
	case FIELD_INT:
		if (f->max == INT64_MAX)
			(void)snprintf(text, sizeof(text), "number from %lld", (long long)f->min);
		else
			(void)snprintf(text, sizeof(text), "number from %lld to %lld", (long long)f->min, (long long)f->max);
		break;
	case FIELD_SIZE:
		(void)snprintf(text, sizeof(text), "size, %lld MiB or more; m, g, t are understood", (long long)f->min);
		break;
	case FIELD_STR:
	case FIELD_TEXT:
		(void)snprintf(text, sizeof(text), "at most %lld characters", (long long)f->max);
		break;
	case FIELD_LIST:
	case FIELD_STRS:
		(void)snprintf(text, sizeof(text), "at most %lld", (long long)f->max);
		break;
	case FIELD_BOOL: put("yes or no"); break;
	case FIELD_ENUM:
		put("one of ");
		for (int i = 0; f->names[i]; i++) {
			put(i ? ", " : "");
			put(f->names[i]);
		}
		break;
	case FIELD_OBJ:
	case FIELD_JSON:
	default: break;
	}
	put(text);
	if (f->def && f->def[0]) {
		put("; default ");
		put(f->def);
	}
}

static bool is_params(const struct schema *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		if (s == params[i])
			return true;
	return false;
}

static void man_option(const struct field *f)
{
	if (argv_positional(f)) {
		(void)printf("_");
		upper(f->name);
		(void)printf("_%s\n\t", f->flags & FIELD_REST ? "..." : "");
	} else {
		if (f->cli[0] == '-')
			(void)printf("*%s*, ", f->cli);
		(void)printf("*--");
		help_dashed(f->name);
		(void)printf(f->type == FIELD_BOOL ? "* [yes|no]\n\t" : "* _%s_\n\t", help_placeholder(f));
	}
	scd(f->help);
	bool flag = f->type == FIELD_BOOL && (!f->def || strcmp(f->def, "no") == 0); /* off unless given: needs no words */
	if (!flag && (f->type == FIELD_INT || f->type == FIELD_ENUM || f->type == FIELD_SIZE || (f->def && f->def[0]))) {
		(void)printf(" (");
		kind_of(f, scd);
		(void)printf(")");
	}
	if (f->sub && is_params(f->sub)) {
		(void)printf("; keys: ");
		for (int i = 0, n = 0; i < f->sub->n_fields; i++)
			if (!argv_hidden(&f->sub->fields[i])) {
				(void)printf(n++ ? ", *" : "*");
				scd(f->sub->fields[i].name);
				(void)printf("*");
			}
	}
	(void)puts(f->flags & FIELD_REQUIRED && !argv_positional(f) ? ". Required.\n" : ".\n");
}

/* ---- requests ---------------------------------------------------------------------------------------------------------- */

bool help_is_internal(enum op_index op)
{
	return strstr(op_infos[op].summary, "(internal") != NULL;
}

static void man_op(const struct op_info *o)
{
	(void)printf("## ");
	help_dashed(o->verb);
	(void)printf("\n\n*gnt %s ", o->group);
	help_dashed(o->verb);
	(void)printf("* [_OPTION_...]");
	for (int i = 0; i < o->args->n_fields; i++) {
		const struct field *f = &o->args->fields[i];

		if (!argv_positional(f) || argv_hidden(f))
			continue;
		(void)printf(f->flags & FIELD_REQUIRED ? " _" : " [_");
		upper(f->name);
		(void)printf("_%s%s", f->flags & FIELD_REST ? "..." : "", f->flags & FIELD_REQUIRED ? "" : "]");
	}
	(void)printf("\n\n");
	(void)putchar(o->summary[0] >= 'a' && o->summary[0] <= 'z' ? o->summary[0] - 32 : o->summary[0]);
	scd(o->summary + 1);
	(void)printf(". %s.%s\n", o->acl == OP_ADMIN ? "For admins" : "For readers too",
		     o->danger == OP_ASK ? " Asks first; *--yes* does not." : "");
}

static void man_options(const struct op_info *o)
{
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < o->args->n_fields; i++)
			if (!argv_hidden(&o->args->fields[i]) && argv_positional(&o->args->fields[i]) == (pass == 0))
				man_option(&o->args->fields[i]);
	if (o->kind == OP_JOB)
		(void)puts("Takes *--submit*, *--dry-run* and *--reason* as every job does.\n");
}

static void adoc_commands(const char *group)
{
	(void)puts("[cols=\"2,5,1,1,1\"]\n|===\n| command | what it does | kind | holds alone | for");
	for (int i = 0; i < OP_COUNT; i++) {
		const struct op_info *o = &op_infos[i];

		if (strcmp(o->group, group) != 0 || help_is_internal((enum op_index)i))
			continue;
		(void)printf("| `gnt %s ", o->group);
		help_dashed(o->verb);
		(void)printf("` | ");
		adoc(o->summary);
		(void)printf(" | %s | %s | %s\n", kind_words[o->kind], o->kind == OP_JOB ? lock_words[o->lock] : "-",
			     o->acl == OP_ADMIN ? "admins" : "readers");
	}
	(void)puts("|===");
}

/* ---- parameter groups, messages, steps, errors --------------------------------------------------------------------------- */

static void man_fields(const struct schema *s)
{
	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (argv_hidden(f) && is_params(s))
			continue;
		(void)printf("*");
		scd(f->name);
		(void)printf("*\n\t");
		scd(f->help);
		(void)printf(" (%s", type_words[f->type]);
		if (f->type != FIELD_JSON && f->type != FIELD_OBJ && f->type != FIELD_BOOL) {
			(void)printf(": ");
			kind_of(f, scd);
		}
		(void)puts(f->flags & FIELD_REQUIRED ? "; required).\n" : ").\n");
	}
}

static void adoc_fields(const struct schema *s)
{
	(void)puts("[cols=\"1,1,3\"]\n|===\n| field | type | meaning");
	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (argv_hidden(f) && is_params(s))
			continue;
		(void)printf("| `%s`%s | %s", f->name, f->flags & FIELD_REQUIRED ? " (required)" : "", type_words[f->type]);
		if (f->sub)
			(void)printf(" `%s`", f->sub->name);
		(void)printf(" | ");
		adoc(f->help);
		if (f->type == FIELD_ENUM || f->type == FIELD_INT || f->type == FIELD_SIZE) {
			(void)printf(" (");
			kind_of(f, adoc);
			(void)printf(")");
		}
		(void)puts("");
	}
	(void)puts("|===");
}

static void steps_table(bool man)
{
	for (int i = 0; i < STEP_KIND_COUNT; i++) {
		const struct step_info *s = &step_infos[i];

		if (man) {
			(void)printf("*");
			scd(s->name);
			(void)printf("*\n\t");
			scd(s->summary);
			(void)printf(". On the %s; undo: %s; time: %s; tried again %d times.\n\n", where_words[s->where], undo_words[s->undo],
				     class_words[s->class], s->retries);
			continue;
		}
		if (i == 0)
			(void)puts("[cols=\"2,3,1,1,1,1\"]\n|===\n| step | what it does | where | undo | time | retries");
		(void)printf("| `%s` | ", s->name);
		adoc(s->summary);
		(void)printf(" | %s | %s | %s | %d\n", where_words[s->where], undo_words[s->undo], class_words[s->class], s->retries);
	}
	if (!man)
		(void)puts("|===");
}

static void adoc_errors(void)
{
	(void)puts("[cols=\"1,2,1,1,1,4\"]\n|===\n| number | name | class | retried | exit | hint when it brings none of its own");
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		(void)printf("| %d | `%s` | %s | %s | %d | ", errors[i].number, errors[i].name, errors[i].class, errors[i].retryable ? "yes" : "no",
			     errors[i].exit_status);
		adoc(errors[i].hint);
		(void)puts("");
	}
	(void)puts("|===");
}

static int man_error(const char *name, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (strcmp(errors[i].name, name) != 0)
			continue;
		(void)printf("*");
		scd(name);
		(void)printf("* (%d, exit status %d%s)\n\t", errors[i].number, errors[i].exit_status, errors[i].retryable ? ", tried again" : "");
		scd(text);
		(void)printf(" _Hint:_ ");
		scd(errors[i].hint);
		(void)puts(".\n");
		return 0;
	}
	return 2;
}

static const struct schema *named(const struct schema *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i]->name, name) == 0)
			return list[i];
	return NULL;
}

static const struct schema *message(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		if (strcmp(messages[i].name, name) == 0)
			return messages[i].schema;
	return NULL;
}

static int man(int argc, char **argv)
{
	const char *what = argv[0], *a = argc > 1 ? argv[1] : "", *b = argc > 2 ? argv[2] : "";
	int op = op_by_words(a, b);
	const struct schema *s = NULL;

	if (strcmp(what, "op") == 0 || strcmp(what, "options") == 0) {
		if (op < 0)
			return 2;
		(what[2] ? man_options : man_op)(&op_infos[op]);
		return 0;
	}
	if (strcmp(what, "error") == 0)
		return man_error(a, b);
	if (strcmp(what, "steps") == 0)
		return steps_table(true), 0;
	if (strcmp(what, "params") == 0)
		s = named(params, ARRAY_SIZE(params), a);
	else if (strcmp(what, "message") == 0)
		s = message(a);
	if (!s)
		return 2;
	man_fields(s);
	return 0;
}

static int adoc_table(int argc, char **argv)
{
	const char *what = argv[0], *a = argc > 1 ? argv[1] : "";

	if (strcmp(what, "commands") == 0 && help_is_group(a)) {
		adoc_commands(a);
	} else if (strcmp(what, "steps") == 0) {
		steps_table(false);
	} else if (strcmp(what, "errors") == 0) {
		adoc_errors();
	} else if (strcmp(what, "messages") == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
			(void)printf("%s=== %s\n\n", i ? "\n" : "", messages[i].name);
			adoc_fields(messages[i].schema);
		}
	} else if (strcmp(what, "params") == 0 && named(params, ARRAY_SIZE(params), a)) {
		adoc_fields(named(params, ARRAY_SIZE(params), a));
	} else {
		return 2;
	}
	return 0;
}

/* ---- for programs ------------------------------------------------------------------------------------------------------------ */

static json_t *fields_json(const struct schema *s)
{
	json_t *a = json_array();

	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];
		json_t *o = json_pack("{s:s, s:s, s:s, s:b}", "name", f->name, "type", type_words[f->type], "help", f->help, "required",
				      (f->flags & FIELD_REQUIRED) != 0);

		if (f->def)
			(void)json_object_set_new(o, "default", json_string(f->def));
		if (f->type == FIELD_INT || f->type == FIELD_SIZE)
			(void)json_object_set_new(o, "min", json_integer(f->min));
		if (f->max && f->max != INT64_MAX)
			(void)json_object_set_new(o, "max", json_integer(f->max));
		if (f->flags & FIELD_SECRET)
			(void)json_object_set_new(o, "secret", json_true());
		if (argv_hidden(f))
			(void)json_object_set_new(o, "hidden", json_true());
		if (argv_positional(f))
			(void)json_object_set_new(o, "positional", json_true());
		if (f->cli[0] == '-')
			(void)json_object_set_new(o, "short", json_string(f->cli));
		if (f->sub)
			(void)json_object_set_new(o, "of", json_string(f->sub->name));
		if (f->type == FIELD_ENUM) {
			json_t *words = json_array();

			for (int k = 0; f->names[k]; k++)
				(void)json_array_append_new(words, json_string(f->names[k]));
			(void)json_object_set_new(o, "words", words);
		}
		(void)json_array_append_new(a, o);
	}
	return a;
}

static void dump_json(void)
{
	json_t *ops = json_array(), *objs = json_object(), *steps = json_array(), *msgs = json_object(), *errs = json_array();

	for (int i = 0; i < OP_COUNT; i++) {
		const struct op_info *o = &op_infos[i];

		(void)json_array_append_new(ops, json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:o}", "id", o->id, "op", o->name, "group",
							   o->group, "verb", o->verb, "kind", kind_words[o->kind], "role",
							   o->acl == OP_ADMIN ? "admin" : "read", "asks", o->danger == OP_ASK, "internal",
							   help_is_internal((enum op_index)i), "summary", o->summary, "fields",
							   fields_json(o->args)));
	}
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		(void)json_object_set_new(objs, objects[i]->name, fields_json(objects[i]));
	for (int i = 0; i < STEP_KIND_COUNT; i++)
		(void)json_array_append_new(steps, json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:o}", "kind", step_infos[i].name, "where",
							     where_words[step_infos[i].where], "undo", undo_words[step_infos[i].undo], "time",
							     class_words[step_infos[i].class], "retries", step_infos[i].retries, "summary",
							     step_infos[i].summary, "fields", fields_json(step_infos[i].args)));
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		(void)json_object_set_new(msgs, messages[i].name, fields_json(messages[i].schema));
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		(void)json_array_append_new(errs, json_pack("{s:i, s:s, s:s, s:b, s:i, s:s}", "number", errors[i].number, "name", errors[i].name,
							    "class", errors[i].class, "retryable", errors[i].retryable, "exit",
							    errors[i].exit_status, "hint", errors[i].hint));
	AUTO_JSON json_t *all = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "version", PACKAGE_VERSION, "requests", ops, "objects", objs, "steps",
					  steps, "messages", msgs, "errors", errs);
	AUTO_FREE char *text = json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS);
	(void)puts(text);
}

/* op <group> <verb> <kind> <public|internal> <options, each with spaces around> */
static void dump_words(void)
{
	for (int i = 0; i < OP_COUNT; i++) {
		const struct op_info *o = &op_infos[i];

		(void)printf("op\t%s\t", o->group);
		help_dashed(o->verb);
		(void)printf("\t%s\t%s\t ", kind_words[o->kind], help_is_internal((enum op_index)i) ? "internal" : "public");
		for (int k = 0; k < o->args->n_fields; k++) {
			const struct field *f = &o->args->fields[k];

			if (argv_hidden(f) || argv_positional(f))
				continue;
			(void)printf("--");
			help_dashed(f->name);
			(void)printf(" %s%s", f->cli, f->cli[0] ? " " : "");
		}
		(void)puts("");
	}
	for (size_t i = 0; argv_common_option(i); i++)
		(void)printf("option\t--%s\n", argv_common_option(i));
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		(void)printf("error\t%s\n", errors[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		(void)printf("message\t%s\n", messages[i].name);
	for (int i = 0; i < STEP_KIND_COUNT; i++)
		(void)printf("step\t%s\n", step_infos[i].name);
}

int dump_schema(const char *format, int argc, char **argv)
{
	if (strcmp(format, "bash") == 0)
		help_dump_bash();
	else if (strcmp(format, "json") == 0)
		dump_json();
	else if (strcmp(format, "words") == 0)
		dump_words();
	else if (strcmp(format, "man") == 0 && argc > 0)
		return man(argc, argv);
	else if (strcmp(format, "adoc") == 0 && argc > 0)
		return adoc_table(argc, argv);
	else
		return 2;
	return 0;
}
