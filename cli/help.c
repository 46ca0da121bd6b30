/* SPDX-License-Identifier: Apache-2.0 */
/* Help and completion: all from the rows. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/xmem.h"

static const struct {
	const char *group, *what;
} groups[] = {
	{ "cluster", "the cluster itself: init, verify, settings" },
	{ "node", "its machines: prepare, add, evacuate, fence" },
	{ "instance", "guests: add, migrate, fail over, disks" },
	{ "disk", "what was kept of replicas that lost" },
	{ "job", "what runs and what ran" },
	{ "event", "what happened" },
	{ "debug", "trying things out" },
};

int help_is_group(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (strcmp(groups[i].group, word) == 0)
			return 1;
	return 0;
}

int help_no_group(const char *word, struct err *err)
{
	const char *words[ARRAY_SIZE(groups) + 1] = { NULL };

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		words[i] = groups[i].group;
	const char *habit = habit_command(word, NULL), *near = words_nearest(words, word);
	(void)err_set(err, ERR_BAD_REQUEST, "'%s' is no group of commands", word);
	if (habit)
		return err_hint(err, "%s", habit);
	return near ? err_hint(err, "did you mean 'gnt %s'?", near) : err_hint(err, "'gnt --help' lists them");
}

void help_dashed(const char *name)
{
	(void)fputs(argv_dashed(name, (char[NAME_LEN + 1]){ 0 }), stdout);
}

void help_all(void)
{
	(void)puts("usage: gnt GROUP COMMAND [OPTIONS] [ARGUMENTS]\n");
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		(void)printf("  %-10s %s\n", groups[i].group, groups[i].what);
	(void)puts("\n'gnt GROUP --help' lists its commands, 'gnt GROUP COMMAND --help' its options.\n"
		   "gnt-cluster, gnt-node, gnt-instance and gnt-job are the same as gnt with the group.");
}

void help_group(const char *group)
{
	(void)printf("usage: gnt %s COMMAND [OPTIONS] [ARGUMENTS]\n\n", group);
	for (int i = 0; i < OP_COUNT; i++) {
		if (strcmp(op_infos[i].group, group) != 0 || help_is_internal((enum op_index)i))
			continue;
		(void)printf("  ");
		help_dashed(op_infos[i].verb);
		(void)printf("%*s%s\n", (int)(20 - strlen(op_infos[i].verb)), "", op_infos[i].summary);
	}
}

const char *help_placeholder(const struct field *f)
{
	switch (f->type) {
	case FIELD_INT: return "N";
	case FIELD_SIZE: return "SIZE";
	case FIELD_ENUM: return "WORD";
	case FIELD_OBJ: return "KEY=VALUE,...";
	case FIELD_LIST: return "N:KEY=VALUE,...";
	case FIELD_STRS: return "A,B,...";
	default: return "TEXT";
	}
}

static void keys(const struct schema *s)
{
	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (argv_hidden(f))
			continue;
		(void)printf("        %-24s %s", f->name, f->help);
		for (int k = 0; f->type == FIELD_ENUM && f->names[k]; k++)
			(void)printf("%s%s", k ? ", " : " (", f->names[k]);
		(void)puts(f->type == FIELD_ENUM ? ")" : "");
	}
}

static void option(const struct field *f)
{
	bool brief = f->cli[0] == '-', value = f->type != FIELD_BOOL;
	char left[80];

	(void)snprintf(left, sizeof(left), "%s%s--%s%s%s", brief ? f->cli : "", brief ? ", " : "", argv_dashed(f->name, (char[NAME_LEN + 1]){ 0 }),
		       value ? " " : "", value ? help_placeholder(f) : "");
	(void)printf("  %-34s %s", left, f->help);
	if (f->type == FIELD_ENUM)
		for (int k = 0; f->names[k]; k++)
			(void)printf("%s%s", k ? ", " : ": ", f->names[k]);
	if (f->def && f->type != FIELD_BOOL)
		(void)printf(" (default %s)", f->def);
	(void)puts("");
	if (f->sub)
		keys(f->sub);
}

void help_op(enum op_index op)
{
	const struct op_info *o = &op_infos[op];
	const struct schema *s = o->args;

	(void)printf("usage: gnt %s ", o->group);
	help_dashed(o->verb);
	(void)printf(" [OPTIONS]");
	if (list_filters(op))
		(void)printf(op == OP_job_list ? " [ID... | FILTER]" : op_infos[op].args == &op_list_schema && op != OP_event_list ? " [NAME... | FILTER]" : " [FILTER]");
	for (int i = 0; i < s->n_fields; i++)
		if (argv_positional(&s->fields[i]) && !argv_hidden(&s->fields[i]) && !list_filters(op)) {
			bool required = s->fields[i].flags & FIELD_REQUIRED;

			(void)printf(required ? " " : " [");
			for (const char *c = s->fields[i].name; *c; c++)
				(void)putchar(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
			(void)printf("%s%s", (s->fields[i].flags & FIELD_REST) || many_is(op) || argv_several(op) ? "..." : "", required ? "" : "]");
		}
	(void)printf("\n\n%s\n\n", o->summary);
	for (int i = 0; i < s->n_fields; i++)
		if (!argv_positional(&s->fields[i]) && !argv_hidden(&s->fields[i]))
			option(&s->fields[i]);
	if (o->kind == OP_JOB)
		(void)puts("  --submit                           do not wait for the job: print its number\n"
			   "  --print-jobid                      print its number, and wait\n"
			   "  --dry-run                          print the plan: steps, nodes, undo, locks; change nothing");
	if (o->acl == OP_ADMIN && !schema_find(s, "reason"))
		(void)puts("  --reason TEXT                      why, for the record");
	if (o->danger == OP_ASK && !schema_find(s, "yes"))
		(void)puts(schema_find(s, "force") ? "  -y, --yes                          do not ask" :
						     "  -y, --yes, -f, --force             do not ask");
	if (many_is(op))
		(void)puts("  --all                              every instance (several are listed first, and you are asked)\n"
			   "  --node                             the names are nodes: their primary and secondary instances\n"
			   "  --primary                          the names are nodes: their primary instances\n"
			   "  --secondary                        the names are nodes: their secondary instances\n"
			   "  -y, --yes, --force-multiple        do not ask");
	if (list_filters(op))
		(void)puts("  -F, --filter                       the word is a filter, as in 'name =~ m/^web/ and not status == \"running\"'");
	if (list_is(op)) {
		(void)puts("  -o, --output FIELD,...             these fields (+FIELD,...: these too)\n"
			   "  --no-headers                       no line of titles\n"
			   "  --separator TEXT                   between columns, for scripts\n"
			   "  --units UNIT                       of sizes: h (fitting), m, g, t");
		(void)printf("                                     fields:");
		for (size_t i = 0; list_field(op, i); i++)
			(void)printf("%s %s", i && i % 7 == 0 ? "\n                                            " : "", list_field(op, i));
		(void)puts("");
	}
	(void)puts("  -q, --quiet                        no progress\n"
		   "  --json                             print JSON");
}

/* Words of one line of a completion script. */
static void complete_with(const char *indent, const char *pattern)
{
	(void)printf("%s%s) words='", indent, pattern);
}

void help_dump_bash(void)
{
	(void)puts("# SPDX-License-Identifier: Apache-2.0\n"
		   "# Completion of gnt's commands and options; made by 'gnt --dump-schema=bash'.\n"
		   "_gnt()\n{\n"
		   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} at=$COMP_CWORD words='' group verb\n"
		   "\tlocal name=${COMP_WORDS[0]##*/}\n"
		   "\tCOMPREPLY=()\n"
		   "\tif [[ $name == gnt-* ]]; then # gnt-instance is gnt instance\n"
		   "\t\tgroup=${name#gnt-} verb=${COMP_WORDS[1]:-} at=$((at + 1))\n"
		   "\telse\n"
		   "\t\tgroup=${COMP_WORDS[1]:-} verb=${COMP_WORDS[2]:-}\n"
		   "\tfi\n"
		   "\tif [ \"$at\" = 1 ]; then");
	(void)printf("\t\twords='");
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		(void)printf("%s%s", i ? " " : "", groups[i].group);
	(void)puts("'\n\telif [ \"$at\" = 2 ]; then\n\t\tcase $group in");
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		complete_with("\t\t", groups[g].group);
		for (int i = 0; i < OP_COUNT; i++)
			if (strcmp(op_infos[i].group, groups[g].group) == 0 && !help_is_internal((enum op_index)i)) {
				help_dashed(op_infos[i].verb);
				(void)putchar(' ');
			}
		(void)puts("' ;;");
	}
	(void)puts("\t\tesac\n\telse\n\t\tcase $group.$verb in");
	for (int i = 0; i < OP_COUNT; i++) {
		const struct schema *s = op_infos[i].args;

		if (help_is_internal((enum op_index)i))
			continue;
		AUTO_FREE char *pattern = xasprintf("%s.%s", op_infos[i].group, argv_dashed(op_infos[i].verb, (char[NAME_LEN + 1]){ 0 }));
		complete_with("\t\t", pattern);
		for (int k = 0; k < s->n_fields; k++)
			if (!argv_positional(&s->fields[k]) && !argv_hidden(&s->fields[k])) {
				(void)printf("--");
				help_dashed(s->fields[k].name);
				(void)putchar(' ');
			}
		for (size_t k = 0; argv_common_option(k); k++)
			if (argv_common_applies(k, (enum op_index)i) && !schema_find(s, argv_common_option(k)))
				(void)printf("--%s ", argv_common_option(k));
		(void)puts("' ;;");
	}
	(void)puts("\t\tesac\n\tfi\n"
		   "\t[ -n \"$words\" ] && mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		   "\treturn 0\n}\n"
		   "complete -F _gnt gnt gnt-{cluster,node,instance,job}");
}

static bool has_verb(const char *group, const char *verb)
{
	int op = op_by_words(group, verb);

	return op >= 0 && !help_is_internal((enum op_index)op);
}

void help_fill_hint(const char *op_name, struct err *err)
{
	static const char at[] = "gnt GROUP ";
	int op = op_by_name(op_name);
	AUTO_FREE char *hint = xstrdup(err_hint_text(err));
	char *from = strstr(hint, at), verb[NAME_LEN + 1];

	if (op < 0 || !from)
		return;
	const char *group = op_infos[op].group, *rest = from + strlen(at);
	(void)argv_dashed(op_infos[op].verb, verb);
	*from = '\0';
	if (strncmp(rest, "VERB", 4) == 0)
		(void)err_hint(err, "%sgnt %s %s%s", hint, group, verb, rest + 4);
	else if ((strncmp(rest, "info", 4) == 0 && has_verb(group, "info")) || (strncmp(rest, "list", 4) == 0 && has_verb(group, "list")))
		(void)err_hint(err, "%sgnt %s %s", hint, group, rest);
	else
		(void)err_hint(err, "see 'gnt %s %s --help'", group, verb);
}
