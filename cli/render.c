/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as tables and as indented text. */
#include <assert.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "common/units.h"
#include "common/xmem.h"

struct column {
	const char *key, *title;
	char how; /* 's' text, 'n' number, 'm' MiB, 't' time */
};

static const struct column node_columns[] = {
	{ "name", "Node", 's' },      { "role", "R", 's' },         { "status", "Status", 's' }, { "dtotal", "DTotal", 'm' }, { "dfree", "DFree", 'm' },
	{ "mtotal", "MTotal", 'm' },  { "mfree", "MFree", 'm' },    { "pinst_cnt", "Pinst", 'n' }, { "sinst_cnt", "Sinst", 'n' }, { NULL, NULL, 0 },
};
static const struct column instance_columns[] = {
	{ "name", "Instance", 's' }, { "disk_template", "Disks", 's' }, { "pnode", "Primary_node", 's' }, { "snode", "Secondary_node", 's' },
	{ "status", "Status", 's' }, { "oper_ram", "Memory", 'm' },     { NULL, NULL, 0 },
};
static const struct column job_columns[] = {
	{ "id", "ID", 'n' }, { "state", "Status", 's' }, { "summary", "Summary", 's' }, { "user", "User", 's' }, { "error", "Error", 's' }, { NULL, NULL, 0 },
};
static const struct column ha_columns[] = {
	{ "node", "If_dies", 's' }, { "instance", "Instance", 's' }, { "comes_back", "Returns", 's' }, { "to", "On", 's' },
	{ "seconds", "Seconds", 'n' }, { "out_of_sync_kib", "Unsynced_KiB", 'n' }, { "why", "Why_not", 's' }, { NULL, NULL, 0 },
};
static const struct column event_columns[] = { { "wall_ms", "Time", 't' }, { "text", "Event", 's' }, { NULL, NULL, 0 } };

static void cell(const json_t *v, char how, char *out, size_t size)
{
	out[0] = '\0';
	if (!v)
		return;
	if (how == 'm' && json_is_integer(v)) {
		units_format_mib(json_integer_value(v), out, (int)size);
	} else if (how == 't' && json_is_integer(v)) {
		time_t t = (time_t)(json_integer_value(v) / 1000);
		struct tm tm;

		if (localtime_r(&t, &tm))
			(void)strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm);
	} else if (json_is_string(v)) {
		(void)snprintf(out, size, "%s", json_string_value(v));
	} else if (json_is_integer(v)) {
		(void)snprintf(out, size, "%lld", (long long)json_integer_value(v));
	} else if (json_is_boolean(v)) {
		(void)snprintf(out, size, "%s", json_is_true(v) ? "yes" : "no");
	}
}

/* Long lists name their columns once: {"columns": [...], "rows": [[...], ...]}. */
static bool has_columns(const json_t *r)
{
	return json_is_array(json_object_get(r, "columns")) && json_is_array(json_object_get(r, "rows"));
}

/* The same as every other list has it: an object a row. */
static json_t *as_objects(const json_t *r)
{
	const json_t *columns = json_object_get(r, "columns");
	json_t *list = json_array(), *row, *name;
	size_t i, k;

	json_array_foreach(json_object_get(r, "rows"), i, row) {
		json_t *o = json_object();

		json_array_foreach(columns, k, name)
			(void)json_object_set(o, json_string_value(name), json_array_get(row, k));
		(void)json_array_append_new(list, o);
	}
	return list;
}

/* Where column key stands in a row; -1 = rows are objects, or there is none. */
static int place_of(const json_t *r, const char *key)
{
	json_t *name;
	size_t k;

	json_array_foreach(json_object_get(r, "columns"), k, name)
		if (strcmp(json_string_value(name), key) == 0)
			return (int)k;
	return -1;
}

#define COLUMNS_MAX 16

static void table(const json_t *result, const struct column *cols, const struct options *o)
{
	const json_t *rows = has_columns(result) ? json_object_get(result, "rows") : result;
	int place[COLUMNS_MAX];
	struct libscols_table *t = scols_new_table();
	size_t i;
	json_t *row;
	char text[512];

	if (!t)
		abort();
	scols_table_enable_noheadings(t, o->no_headers);
	for (const struct column *c = cols; c->key; c++) {
		assert(c - cols < COLUMNS_MAX);
		place[c - cols] = place_of(result, c->key);
		(void)scols_table_new_column(t, c->title, 0, c->how == 's' || c->how == 't' ? 0 : SCOLS_FL_RIGHT);
	}
	json_array_foreach(rows, i, row) {
		struct libscols_line *l = scols_table_new_line(t, NULL);
		size_t k = 0;

		for (const struct column *c = cols; c->key; c++) {
			int at = place[c - cols];

			cell(at >= 0 ? json_array_get(row, (size_t)at) : json_object_get(row, c->key), c->how, text, sizeof(text));
			if (scols_line_set_data(l, k++, text) != 0)
				abort();
		}
	}
	(void)scols_print_table(t);
	scols_unref_table(t);
}

static void tree(const json_t *v, int depth)
{
	const char *key;
	json_t *e;
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach((json_t *)(uintptr_t)v, key, e) {
			char text[512];

			if (json_is_object(e) || json_is_array(e)) {
				if (json_object_size(e) + json_array_size(e) == 0)
					continue;
				(void)printf("%*s%s:\n", 2 * depth, "", key);
				tree(e, depth + 1);
				continue;
			}
			bool stamp = strlen(key) > 3 && strcmp(key + strlen(key) - 3, "_ms") == 0 && json_integer_value(e) > 1000000000000LL;
			cell(e, stamp ? 't' : 's', text, sizeof(text));
			(void)printf("%*s%s: %s\n", 2 * depth, "", key, text);
		}
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, e) {
			if (json_is_object(e) || json_is_array(e)) {
				(void)printf("%*s-\n", 2 * depth, "");
				tree(e, depth + 1);
			} else {
				char text[512];

				cell(e, 's', text, sizeof(text));
				(void)printf("%*s- %s\n", 2 * depth, "", text);
			}
		}
	}
}

static void verify(const json_t *r)
{
	size_t i;
	json_t *f;

	json_array_foreach(json_object_get(r, "findings"), i, f)
		(void)printf("%s: %s\n  hint: %s\n", json_str(f, "level", ""), json_str(f, "text", ""), json_str(f, "hint", ""));
	(void)printf("%lld nodes, %lld instances: %lld errors, %lld warnings\n", (long long)json_int(r, "nodes", 0), (long long)json_int(r, "instances", 0),
		     (long long)json_int(r, "errors", 0), (long long)json_int(r, "warnings", 0));
}

void render_plan(const json_t *p)
{
	size_t i;
	json_t *s;

	if (json_object_get(p, "would_submit")) {
		json_array_foreach(json_object_get(p, "would_submit"), i, s)
			(void)printf("would submit: %s %s\n", json_str(s, "op", ""), json_str(json_object_get(s, "args"), "name", ""));
		return;
	}
	(void)printf("plan: %s\n", json_str(p, "summary", ""));
	(void)printf("locks:");
	json_array_foreach(json_object_get(p, "locks"), i, s)
		(void)printf(" %s", json_string_value(s));
	(void)puts("");
	json_array_foreach(json_object_get(p, "steps"), i, s)
		(void)printf("%3zu  %-16s %-44s undo: %s%s\n", i + 1, json_str(s, "node", ""), json_str(s, "text", ""), json_str(s, "undo", ""),
			     json_bool(s, "pivot", false) ? "   <- from here on only forward" : "");
}

void render_result(const struct command *c, const json_t *r)
{
	if (c->opt.json) {
		AUTO_JSON json_t *objects = has_columns(r) ? as_objects(r) : NULL;
		AUTO_FREE char *text = json_dumps(objects ? objects : r, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);

		(void)puts(text ? text : "null");
		return;
	}
	switch (c->op) {
	case OP_node_list: table(r, node_columns, &c->opt); return;
	case OP_instance_list: table(r, instance_columns, &c->opt); return;
	case OP_job_list: table(r, job_columns, &c->opt); return;
	case OP_cluster_ha_report: table(r, ha_columns, &c->opt); return;
	case OP_event_list: table(r, event_columns, &c->opt); return;
	case OP_cluster_verify: verify(r); return;
	case OP_cluster_getmaster: (void)puts(json_str(r, "master", "")); return;
	case OP_node_token: (void)puts(json_str(r, "token", "")); return;
	default: tree(r, 0); return;
	}
}

void render_missing(const json_t *details)
{
	size_t i;
	json_t *m;

	json_array_foreach(json_object_get(details, "missing"), i, m)
		(void)fprintf(stderr, "  * %s\n      %s\n", json_str(m, "what", ""), json_str(m, "fix", ""));
}
