/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: which columns there are, which are asked for, and the table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "common/units.h"
#include "common/xmem.h"

#define COLUMNS_MAX 32
#define JOBS_USUAL 100 /* job list's limit when none is given */

struct column {
	const char *key, *title;
	char how;     /* 's' text, 'b' yes or no, 'n' number, 'm' MiB, 't' time */
	bool usual;   /* shown without -o */
};

static const struct column node_columns[] = {
	{ "name", "Node", 's', true },           { "role", "R", 's', true },             { "status", "Status", 's', true },
	{ "dtotal", "DTotal", 'm', true },       { "dfree", "DFree", 'm', true },        { "mtotal", "MTotal", 'm', true },
	{ "mfree", "MFree", 'm', true },         { "pinst_cnt", "Pinst", 'n', true },    { "sinst_cnt", "Sinst", 'n', true },
	{ "mnode", "MNode", 'm', false },        { "ctotal", "CTotal", 'n', false },     { "pip", "PrimaryIP", 's', false },
	{ "sip", "SecondaryIP", 's', false },    { "drained", "Drained", 'b', false },   { "offline", "Offline", 'b', false },
	{ "master_candidate", "MasterC", 'b', false }, { "master_capable", "MasterCapable", 'b', false }, { "witness", "Witness", 'b', false },
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

static const struct column tail_columns[] = {
	{ "instance", "Instance", 's', true },   { "node", "Node", 's', true },           { "disk", "Disk", 'n', true },
	{ "size", "Size", 'm', true },           { "state", "State", 's', true },         { "until_ms", "Until", 't', true },
	{ "device", "Look_at", 's', true },      { "kept_ms", "Kept", 't', false },       { "gen", "Generation", 'n', false },
	{ NULL, NULL, 0, false },
};

/* Ganeti's words for fields that have another name here; titles are the field's. */
static const struct {
	const char *word, *key;
} other_words[] = {
	{ "snodes", "snode" },        { "be/memory", "memory" },      { "be/maxmem", "memory" },    { "be/vcpus", "vcpus" },     { "disk_usage", "disk" },
	{ "disk.count", "disk_count" }, { "nic.count", "nic_count" }, { "nic.mac/0", "mac" },       { "ctime", "created_ms" },   { "received_ts", "created_ms" },
	{ "start_ts", "started_ms" }, { "end_ts", "ended_ms" },       { "status", "state" },
};

static const struct column *columns_of(enum op_index op)
{
	switch (op) {
	case OP_node_list: return node_columns;
	case OP_instance_list: return instance_columns;
	case OP_job_list: return job_columns;
	case OP_cluster_ha_report: return ha_columns;
	case OP_event_list: return event_columns;
	case OP_disk_tails: return tail_columns;
	default: return NULL;
	}
}

bool list_is(enum op_index op)
{
	return columns_of(op) != NULL;
}

/* Lists whose key, the first field of all, can be given, and whose rows can be filtered: all but those that are a command's work too. */
bool list_filters(enum op_index op)
{
	return list_is(op) && op_infos[op].kind == OP_QUERY;
}

const char *list_field(enum op_index op, size_t i)
{
	return columns_of(op)[i].key;
}

static const struct column *called(const struct column *all, const char *key)
{
	for (; all->key; all++)
		if (strcmp(all->key, key) == 0)
			return all;
	return NULL;
}

static const struct column *find(const struct column *all, const char *word)
{
	const struct column *c = called(all, word);

	for (size_t i = 0; !c && i < ARRAY_SIZE(other_words); i++)
		if (strcmp(other_words[i].word, word) == 0)
			c = called(all, other_words[i].key);
	return c;
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

/* ---- which rows -------------------------------------------------------------------------------------- */

static enum filter_kind kind(const struct column *c)
{
	return c->how == 'b' ? FILTER_BOOL : c->how == 'm' ? FILTER_SIZE : c->how == 's' ? FILTER_TEXT : FILTER_NUMBER;
}

static int kind_of(void *arg, char field[NAME_LEN + 1], struct err *err)
{
	const struct column *all = arg, *c = find(all, field);

	if (!c)
		return unknown_field(all, field, err);
	(void)str_copy(field, NAME_LEN + 1, c->key);
	return (int)kind(c);
}

static bool any_glob(const struct command *c)
{
	for (int i = 0; i < c->n_words; i++)
		if (filter_is_glob(c->words[i]))
			return true;
	return false;
}

/* Words are a filter, names with * and ? in them, or names: those the master looks up, and says which does not exist. */
static int take_words(struct command *c, struct err *err)
{
	const struct column *all = columns_of(c->op);
	const struct field *names = c->op != OP_event_list ? schema_find(op_infos[c->op].args, "names") : NULL;
	int rc = 0;

	if (c->opt.filter && c->n_words != 1) {
		if (c->n_words)
			(void)err_set(err, ERR_BAD_REQUEST, "'%s' is one word too many: a filter is one word", c->words[1]);
		else
			(void)err_set(err, ERR_BAD_REQUEST, "no filter is given");
		return err_hint(err, "put it in quotes: --filter '%s == ...'", all[0].key);
	}
	if (c->opt.filter || (c->n_words == 1 && filter_looks_like(c->words[0])))
		return filter_parse(c->words[0], kind_of, (void *)(uintptr_t)all, &c->filter, err);
	if (c->n_words == 0)
		return 0;
	if (c->op == OP_event_list || c->op == OP_cluster_ha_report)
		return err_set(err, ERR_BAD_REQUEST, "'%s' is one word too many", c->words[0]),
		       err_hint(err, "a filter says which rows: --filter '%s'", c->op == OP_event_list ? "text =~ m/.../" : "instance == \"...\"");
	if (!names || any_glob(c))
		return filter_of_words(all[0].key, kind(&all[0]), c->words, c->n_words, &c->filter, err);
	for (int i = 0; i < c->n_words && rc == 0; i++)
		rc = field_set_text(names, c->args, c->words[i], err);
	return rc;
}

static void want(void *arg, const char *field)
{
	struct op_list *a = arg;

	if (!strs_has(a->fields, a->n_fields, field))
		strs_add(&a->fields, &a->n_fields, field);
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
	if (rc == 0 && list_filters(c->op))
		rc = take_words(c, err);
	if (rc < 0)
		return rc;
	if ((c->opt.output || c->filter) && (c->op == OP_node_list || c->op == OP_instance_list)) {
		for (int i = 0; i < n; i++) /* the master sends no others */
			want(c->args, cols[i]->key);
		if (c->filter)
			filter_fields(c->filter, want, c->args);
	}
	struct op_job_list *jobs = c->op == OP_job_list && c->filter ? c->args : NULL;
	if (jobs && jobs->limit == JOBS_USUAL)
		jobs->limit = JOBS_KEPT_MAX; /* of all of them, unless so many were asked for */
	json_decref(c->given);
	c->given = schema_encode(op_infos[c->op].args, c->args);
	return 0;
}

json_t *list_kept(const struct command *c, const json_t *result)
{
	json_t *kept = json_array(), *row;
	size_t i;

	json_array_foreach(result, i, row)
		if (filter_match(c->filter, row))
			(void)json_array_append(kept, row);
	return kept;
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

/* Rows are objects; long lists name their columns once: {"columns": [...], "rows": [[...], ...]}. */
struct rows {
	const json_t *all;
	const struct column *const *cols;
	size_t place[COLUMNS_MAX]; /* of cols[k] in a row that is a list */
	int n;
	char unit;
};

static void rows_init(struct rows *r, const json_t *result)
{
	const json_t *names = json_object_get(result, "columns");
	size_t i;
	json_t *name;

	r->all = names ? json_object_get(result, "rows") : result;
	for (int k = 0; k < r->n; k++) {
		r->place[k] = json_array_size(names); /* none: an empty cell */
		json_array_foreach(names, i, name)
			if (strcmp(json_string_value(name) ? json_string_value(name) : "", r->cols[k]->key) == 0)
				r->place[k] = i;
	}
}

/* room: for what is not a string already. */
static const char *cell(const struct rows *r, int k, const json_t *row, char *room, size_t size)
{
	const struct column *c = r->cols[k];
	const json_t *v = json_is_array(row) ? json_array_get(row, r->place[k]) : json_object_get(row, c->key);

	if (json_is_string(v))
		return json_string_value(v);
	if (c->how == 'm' && json_is_integer(v))
		size_cell(json_integer_value(v), r->unit, room, size);
	else
		render_value(v, c->how, room, size);
	return room;
}

static void raw_table(const struct rows *r, const struct options *o)
{
	size_t i;
	json_t *row;
	char room[512];

	for (int k = 0; k < r->n && !o->no_headers; k++)
		(void)printf("%s%s%s", k ? o->separator : "", r->cols[k]->title, k == r->n - 1 ? "\n" : "");
	json_array_foreach(r->all, i, row)
		for (int k = 0; k < r->n; k++)
			(void)printf("%s%s%s", k ? o->separator : "", cell(r, k, row, room, sizeof(room)), k == r->n - 1 ? "\n" : "");
}

static void pretty_table(const struct rows *r, const struct options *o)
{
	AUTO(table_free) struct table *t = table_new((size_t)r->n, !o->no_headers);
	size_t i;
	json_t *row;
	char room[512];

	for (int k = 0; k < r->n; k++)
		table_column(t, (size_t)k, r->cols[k]->title, !strchr("sbt", r->cols[k]->how));
	json_array_foreach(r->all, i, row)
		for (int k = 0; k < r->n; k++)
			table_cell(t, cell(r, k, row, room, sizeof(room)));
	table_print(t, stdout);
}

void list_render(const struct command *c, const json_t *result)
{
	const struct column *cols[COLUMNS_MAX];
	struct err err = ERR_INIT;
	struct rows r = { .cols = cols, .unit = c->opt.units ? c->opt.units[0] : c->opt.separator ? 'm' : 'h' }; /* as in Ganeti: for machines in MiB */

	if (choose(c->op, c->opt.output, cols, &r.n, &err) < 0)
		return; /* list_check() has said so */
	rows_init(&r, result);
	(c->opt.separator ? raw_table : pretty_table)(&r, &c->opt);
}
