/* SPDX-License-Identifier: Apache-2.0 */
/* Help and completion: all from the rows. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
	const char *group, *what;
} groups[] = {
	{ "cluster", "the cluster itself: init, verify, settings" },
	{ "node", "its machines: prepare, add, evacuate, fence" },
	{ "instance", "guests: add, migrate, fail over, disks" },
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

static void dashed(const char *name)
{
	for (; *name; name++)
		(void)putchar(*name == '_' ? '-' : *name);
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
		dashed(op_infos[i].verb);
		(void)printf("%*s%s\n", (int)(20 - strlen(op_infos[i].verb)), "", op_infos[i].summary);
	}
}

static const char *placeholder(const struct field *f)
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

		if (f->flags & FIELD_HIDDEN)
			continue;
		(void)printf("        %-24s %s", f->name, f->help);
		for (int k = 0; f->type == FIELD_ENUM && f->names[k]; k++)
			(void)printf("%s%s", k ? ", " : " (", f->names[k]);
		(void)puts(f->type == FIELD_ENUM ? ")" : "");
	}
}

static void option(const struct field *f)
{
	char left[80];
	size_t n = (size_t)snprintf(left, sizeof(left), "%s%s--", f->cli[0] == '-' ? f->cli : "", f->cli[0] == '-' ? ", " : "");

	for (const char *c = f->name; *c && n + 1 < sizeof(left); c++)
		left[n++] = *c == '_' ? '-' : *c;
	left[n] = '\0';
	if (f->type != FIELD_BOOL)
		(void)snprintf(left + n, sizeof(left) - n, " %s", placeholder(f));
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
	dashed(o->verb);
	(void)printf(" [OPTIONS]");
	for (int i = 0; i < s->n_fields; i++)
		if (s->fields[i].cli[0] == '@' && !(s->fields[i].flags & FIELD_HIDDEN)) {
			bool required = s->fields[i].flags & FIELD_REQUIRED;

			(void)printf(required ? " " : " [");
			for (const char *c = s->fields[i].name; *c; c++)
				(void)putchar(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
			(void)printf("%s%s", s->fields[i].flags & FIELD_REST ? "..." : "", required ? "" : "]");
		}
	(void)printf("\n\n%s\n\n", o->summary);
	for (int i = 0; i < s->n_fields; i++)
		if (s->fields[i].cli[0] != '@' && !(s->fields[i].flags & FIELD_HIDDEN))
			option(&s->fields[i]);
	if (o->kind == OP_JOB)
		(void)puts("  --submit                           do not wait for the job\n"
			   "  --dry-run                          print the plan: steps, nodes, undo, locks\n"
			   "  --reason TEXT                      why, for the record");
	if (o->danger == OP_ASK)
		(void)puts("  -y, --yes                          do not ask");
	(void)puts("  --json                             print JSON");
}

void help_dump_bash(void)
{
	(void)puts("# SPDX-License-Identifier: Apache-2.0\n_gnt()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} group=${COMP_WORDS[1]} verb=${COMP_WORDS[2]}");
	(void)printf("\tcase $COMP_CWORD in\n\t1) COMPREPLY=($(compgen -W '");
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		(void)printf("%s%s", i ? " " : "", groups[i].group);
	(void)puts("' -- \"$cur\"));;\n\t2) case $group in");
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		(void)printf("\t   %s) COMPREPLY=($(compgen -W '", groups[g].group);
		for (int i = 0; i < OP_COUNT; i++)
			if (strcmp(op_infos[i].group, groups[g].group) == 0 && !help_is_internal((enum op_index)i)) {
				dashed(op_infos[i].verb);
				(void)putchar(' ');
			}
		(void)puts("' -- \"$cur\"));;");
	}
	(void)puts("\t   esac;;\n\t*) case $group.$verb in");
	for (int i = 0; i < OP_COUNT; i++) {
		(void)printf("\t   %s.", op_infos[i].group);
		dashed(op_infos[i].verb);
		(void)printf(") COMPREPLY=($(compgen -W '");
		for (int k = 0; k < op_infos[i].args->n_fields; k++)
			if (op_infos[i].args->fields[k].cli[0] != '@' && !(op_infos[i].args->fields[k].flags & FIELD_HIDDEN)) {
				(void)printf("--");
				dashed(op_infos[i].args->fields[k].name);
				(void)putchar(' ');
			}
		(void)puts("--json --help' -- \"$cur\"));;");
	}
	(void)puts("\t   esac;;\n\tesac\n}\ncomplete -F _gnt gnt");
}
