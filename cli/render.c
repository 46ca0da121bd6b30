/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as tables and as indented text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "common/xmem.h"

void render_value(const json_t *v, char how, char *out, size_t size)
{
	out[0] = '\0';
	if (how == 't' && json_is_integer(v)) {
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

/* "created_ms" and "cert_expires_s" are times, "lease_ms" and "cert_life_s" are spans. */
static void render_stamp(const char *key, const json_t *v, char *out, size_t size)
{
	const char *unit = strrchr(key, '_');
	json_int_t n = json_integer_value(v);

	if (unit && strcmp(unit, "_s") == 0 && strstr(key, "expires"))
		n *= 1000;
	else if (!unit || strcmp(unit, "_ms") != 0)
		n = 0;
	AUTO_JSON json_t *ms = json_integer(n);
	render_value(n > INT64_C(1000000000000) ? ms : v, n > INT64_C(1000000000000) ? 't' : 's', out, size);
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
			render_stamp(key, e, text, sizeof(text));
			(void)printf("%*s%s: %s\n", 2 * depth, "", key, text);
		}
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, e) {
			if (json_is_object(e) || json_is_array(e)) {
				(void)printf("%*s-\n", 2 * depth, "");
				tree(e, depth + 1);
			} else {
				char text[512];

				render_value(e, 's', text, sizeof(text));
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
	(void)printf(json_array_size(json_object_get(p, "locks")) ? "locks:" : "locks: none");
	json_array_foreach(json_object_get(p, "locks"), i, s)
		(void)printf(" %s", json_string_value(s));
	(void)puts("");
	json_array_foreach(json_object_get(p, "steps"), i, s)
		(void)printf("%3zu  %-16s %-44s undo: %s%s\n", i + 1, json_str(s, "node", ""), json_str(s, "text", ""), json_str(s, "undo", ""),
			     json_bool(s, "pivot", false) ? "   <- from here on only forward" : "");
}

static void line(const char *name, const json_t *v, char how)
{
	char text[512];

	if (!v)
		return;
	render_value(v, how, text, sizeof(text));
	if (text[0])
		(void)printf("%-10s %s\n", name, text);
}

static void duration(int64_t ms, char *out, size_t size)
{
	long long s = (long long)(ms / 1000);

	if (s < 60)
		(void)snprintf(out, size, "%lld.%lld s", s, (long long)(ms % 1000 / 100));
	else if (s < 3600)
		(void)snprintf(out, size, "%lld m %02lld s", s / 60, s % 60);
	else
		(void)snprintf(out, size, "%lld h %02lld m", s / 3600, s / 60 % 60);
}

/* When it began (the day is the job's) and how long it took; of one that runs, how long by now. */
static void job_step(size_t i, const json_t *s)
{
	char began[32] = "", took[32] = "";

	render_value(json_object_get(s, "started_ms"), 't', began, sizeof(began));
	if (json_object_get(s, "took_ms"))
		duration(json_int(s, "took_ms", 0), took, sizeof(took));
	const char *clock = strchr(began, ' ');
	(void)printf("%3zu  %-9s %-16s %-8s %9s  %s\n", i + 1, json_str(s, "state", ""), json_str(s, "node", ""), clock ? clock + 1 : "", took,
		     json_str(s, "text", ""));
}

/* On its own line at once, before the job is waited for. The JSON of an answer has it anyway. */
void render_job_number(const struct options *o, int64_t job)
{
	if (o->json)
		return;
	(void)printf("%lld\n", (long long)job);
	(void)fflush(stdout);
}

static void hint_of(const json_t *j)
{
	struct err err = ERR_INIT;

	(void)err_hint(&err, "%s", json_str(j, "error_hint", ""));
	if (!err.hint[0])
		return;
	help_fill_hint(json_str(j, "op", ""), &err);
	(void)printf("%-10s %s\n", "Hint", err.hint);
}

/* Who asked for what, why, and how far it is. */
static void job_info(const json_t *j)
{
	size_t i;
	json_t *s;

	(void)printf("%-10s %lld\n", "Job", (long long)json_int(j, "id", 0));
	line("Request", json_object_get(j, "op"), 's');
	line("Summary", json_object_get(j, "summary"), 's');
	line("Status", json_object_get(j, "state"), 's');
	line("User", json_object_get(j, "user"), 's');
	line("Reason", json_object_get(j, "reason"), 's');
	line("Received", json_object_get(j, "created_ms"), 't');
	line("Start", json_object_get(j, "started_ms"), 't');
	line("End", json_object_get(j, "ended_ms"), 't');
	line("Error", json_object_get(j, "error_msg"), 's');
	hint_of(j);
	if (json_array_size(json_object_get(j, "plan")))
		(void)puts("Steps");
	json_array_foreach(json_object_get(j, "plan"), i, s)
		job_step(i, s);
	if (json_array_size(json_object_get(j, "news")))
		(void)puts("Log");
	json_array_foreach(json_object_get(j, "news"), i, s)
		(void)printf("  * %s\n", json_string_value(s));
}

void render_result(const struct command *c, const json_t *r)
{
	AUTO_JSON json_t *objects = has_columns(r) && (c->opt.json || c->filter || !list_is(c->op)) ? as_objects(r) : NULL;

	if (objects)
		r = objects;
	AUTO_JSON json_t *kept = c->filter ? list_kept(c, r) : NULL;
	if (kept)
		r = kept;
	if (c->opt.json) {
		AUTO_FREE char *text = json_dumps(r, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);

		(void)puts(text ? text : "null");
		return;
	}
	if (list_is(c->op)) {
		list_render(c, r);
		return;
	}
	switch (c->op) {
	case OP_job_info: job_info(r); return;
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

int render_error(const struct err *err, const json_t *details, bool json)
{
	if (json) {
		AUTO_JSON json_t *j = json_pack("{s:{s:s, s:s, s:s, s:s}}", "error", "name", err_name(err->code), "msg", err->msg, "hint",
						err_hint_text(err), "field", err->field);
		if (details)
			(void)json_object_update(json_object_get(j, "error"), (json_t *)(uintptr_t)details);
		AUTO_FREE char *text = json_dumps(j, JSON_INDENT(2));

		(void)puts(text);
	} else {
		(void)fprintf(stderr, "error: %s\n", err->msg);
		if (json_array_size(json_object_get(details, "missing")) > 1)
			render_missing(details);
		if (err_hint_text(err)[0])
			(void)fprintf(stderr, "hint: %s\n", err_hint_text(err));
	}
	return err_exit_status(err->code);
}
