/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: which columns there are, which are asked for, and the table. */
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/units.h"
#include "common/xmem.h"

#define COLUMNS_MAX 32

struct column {
	const char *key, *title;
	char how;     /* 's' text, 'n' number, 'm' MiB, 't' time */
	bool usual;   /* shown without -o */
};

static const struct column node_columns[] = {
	{ "name", "Node", 's', true },           { "role", "R", 's', true },             { "status", "Status", 's', true },
	{ "dtotal", "DTotal", 'm', true },       { "dfree", "DFree", 'm', true },        { "mtotal", "MTotal", 'm', true },
	{ "mfree", "MFree", 'm', true },         { "pinst_cnt", "Pinst", 'n', true },    { "sinst_cnt", "Sinst", 'n', true },
	{ "mnode", "MNode", 'm', false },        { "ctotal", "CTotal", 'n', false },     { "pip", "PrimaryIP", 's', false },
	{ "sip", "SecondaryIP", 's', false },    { "drained", "Drained", 's', false },   { "offline", "Offline", 's', false },
	{ "master_candidate", "MasterC", 's', false }, { "master_capable", "MasterCapable", 's', false }, { "witness", "Witness", 's', false },
	{ "version", "Version", 's', false },    { "hypervisor", "Hypervisor", 's', false }, { "uuid", "UUID", 's', false },
	{ NULL, NULL, 0, false },
};
static const struct column instance_columns[] = {
	{ "name", "Instance", 's', true },       { "disk_template", "Disks", 's', true }, { "pnode", "Primary_node", 's', true },
	{ "snode", "Secondary_node", 's', true }, { "status", "Status", 's', true },      { "oper_ram", "Memory", 'm', true },
	{ "disk", "DiskSize", 'm', false },      { "current", "Current", 'n', false },    { "admin_state", "Admin", 's', false },
	{ "memory", "ConfMem", 'm', false },     { "vcpus", "VCPUs", 'n', false },        { "ha", "HA", 's', false },
	{ "disk_count", "DiskCount", 'n', false }, { "nic_count", "NICs", 'n', false },   { "mac", "MAC", 's', false },
	{ "gen", "Generation", 'n', false },     { "created_ms", "Created", 't', false }, { "uuid", "UUID", 's', false },
	{ NULL, NULL, 0, false },
};
static const struct column job_columns[] = {
	{ "id", "ID", 'n', true },               { "state", "Status", 's', true },        { "summary", "Summary", 's', true },
	{ "user", "User", 's', true },           { "error", "Error", 's', true },         { "op", "Request", 's', false },
	{ "reason", "Reason", 's', false },      { "created_ms", "Received", 't', false }, { "started_ms", "Start", 't', false },
	{ "ended_ms", "End", 't', false },       { NULL, NULL, 0, false },
};
static const struct column ha_columns[] = {
	{ "node", "If_dies", 's', true },        { "instance", "Instance", 's', true },   { "comes_back", "Returns", 's', true },
	{ "to", "On", 's', true },               { "seconds", "Seconds", 'n', true },     { "out_of_sync_kib", "Unsynced_KiB", 'n', true },
	{ "why", "Why_not", 's', true },         { "memory", "ConfMem", 'm', false },     { NULL, NULL, 0, false },
};
static const struct column event_columns[] = {
	{ "wall_ms", "Time", 't', true }, { "text", "Event", 's', true }, { NULL, NULL, 0, false },
};

static const struct column *columns_of(enum op_index op)
{
	switch (op) {
	case OP_node_list: return node_columns;
	case OP_instance_list: return instance_columns;
	case OP_job_list: return job_columns;
	case OP_cluster_ha_report: return ha_columns;
	case OP_event_list: return event_columns;
	default: return NULL;
	}
}

bool list_is(enum op_index op)
{
	return columns_of(op) != NULL;
}

const char *list_field(enum op_index op, size_t i)
{
	return columns_of(op)[i].key;
}

static const struct column *find(const struct column *all, const char *key)
{
	for (; all->key; all++)
		if (strcmp(all->key, key) == 0)
			return all;
	return NULL;
}

static int unknown_field(const struct column *all, const char *word, struct err *err)
{
	const char *keys[COLUMNS_MAX + 1] = { NULL };

	for (int i = 0; all[i].key && i < COLUMNS_MAX; i++)
		keys[i] = all[i].key;
	const char *near = words_nearest(keys, word);
	(void)err_set(err, ERR_UNKNOWN_FIELD, "unknown field '%s'", word);
	return near ? err_hint(err, "did you mean '%s'?", near) : err_hint(err, "the command's --help names all fields");
}

/* "a,b" = these; "+a,b" = these too. Gives the columns. */
static int choose(enum op_index op, const char *output, const struct column *ret[COLUMNS_MAX], int *ret_n, struct err *err)
{
	const struct column *all = columns_of(op);
	bool more = output && output[0] == '+';
	AUTO_FREE char *copy = xstrdup(output ? output + more : "");

	*ret_n = 0;
	for (const struct column *c = all; c->key && (!output || more); c++)
		if (c->usual)
			ret[(*ret_n)++] = c;
	for (char *save = NULL, *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		const struct column *c = find(all, w);

		if (!c)
			return unknown_field(all, w, err);
		if (*ret_n == COLUMNS_MAX)
			return err_set(err, ERR_TOO_BIG, "more than %d fields", COLUMNS_MAX);
		ret[(*ret_n)++] = c;
	}
	if (*ret_n == 0)
		return err_set(err, ERR_BAD_VALUE, "option '-o' names no field"), err_hint(err, "for example -o name,status");
	return 0;
}

int list_check(struct command *c, struct err *err)
{
	const struct column *cols[COLUMNS_MAX];
	int n = 0;

	if (!columns_of(c->op))
		return 0;
	if (c->opt.units && (strlen(c->opt.units) != 1 || !strchr("hmgt", c->opt.units[0])))
		return err_set(err, ERR_BAD_VALUE, "'%s' is no unit", c->opt.units), err_hint(err, "one of: h, m, g, t");
	int rc = choose(c->op, c->opt.output, cols, &n, err);
	if (rc < 0 || !c->opt.output || (c->op != OP_node_list && c->op != OP_instance_list))
		return rc;
	struct op_list *a = c->args;
	for (int i = 0; i < n; i++) /* the master sends no others */
		strs_add(&a->fields, &a->n_fields, cols[i]->key);
	json_decref(c->given);
	c->given = schema_encode(op_infos[c->op].args, a);
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------------- */

static void size_cell(int64_t mib, char unit, char *out, size_t size)
{
	if (unit == 'h')
		units_format_mib(mib, out, (int)size);
	else if (unit == 'm')
		(void)snprintf(out, size, "%lld", (long long)mib);
	else
		(void)snprintf(out, size, "%.1f", (double)mib / (unit == 'g' ? 1024 : 1024 * 1024));
}

static void cell(const struct column *c, const json_t *row, char unit, char *out, size_t size)
{
	const json_t *v = json_object_get(row, c->key);

	if (c->how == 'm' && json_is_integer(v))
		size_cell(json_integer_value(v), unit, out, size);
	else
		render_value(v, c->how, out, size);
}

static void raw_table(const json_t *rows, const struct column *const *cols, int n, const struct options *o, char unit)
{
	size_t i;
	json_t *row;
	char text[512];

	for (int k = 0; k < n && !o->no_headers; k++)
		(void)printf("%s%s%s", k ? o->separator : "", cols[k]->title, k == n - 1 ? "\n" : "");
	json_array_foreach(rows, i, row)
		for (int k = 0; k < n; k++) {
			cell(cols[k], row, unit, text, sizeof(text));
			(void)printf("%s%s%s", k ? o->separator : "", text, k == n - 1 ? "\n" : "");
		}
}

static void pretty_table(const json_t *rows, const struct column *const *cols, int n, const struct options *o, char unit)
{
	struct libscols_table *t = scols_new_table();
	size_t i;
	json_t *row;
	char text[512];

	if (!t)
		abort();
	scols_table_enable_noheadings(t, o->no_headers);
	for (int k = 0; k < n; k++)
		(void)scols_table_new_column(t, cols[k]->title, 0, cols[k]->how == 's' || cols[k]->how == 't' ? 0 : SCOLS_FL_RIGHT);
	json_array_foreach(rows, i, row) {
		struct libscols_line *l = scols_table_new_line(t, NULL);

		for (int k = 0; k < n; k++) {
			cell(cols[k], row, unit, text, sizeof(text));
			if (scols_line_set_data(l, (size_t)k, text) != 0)
				abort();
		}
	}
	(void)scols_print_table(t);
	scols_unref_table(t);
}

void list_render(const struct command *c, const json_t *rows)
{
	const struct column *cols[COLUMNS_MAX];
	struct err err = ERR_INIT;
	int n = 0;
	char unit = c->opt.units ? c->opt.units[0] : c->opt.separator ? 'm' : 'h'; /* as in Ganeti: for machines in MiB */

	if (choose(c->op, c->opt.output, cols, &n, &err) < 0)
		return; /* list_check() has said so */
	(c->opt.separator ? raw_table : pretty_table)(rows, cols, n, &c->opt, unit);
}
