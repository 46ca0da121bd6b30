/* SPDX-License-Identifier: Apache-2.0 */
/* One command for several instances: a request and a job for each, all filed first and then followed. One that is refused does not keep the others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/xmem.h"

struct one {
	const char *name;
	json_t *answer; /* to its request */
	json_t *last;   /* of its job */
	struct err err; /* code 0: done */
};

struct many {
	struct command *c;
	char **names;
	int n, failed;
	struct one *ones;
};

/* Names are checked by each request; nodes by asking for them, as one that is misspelt would mean nobody. */
static int find(struct many *m, struct err *err)
{
	AUTO(call_close) struct cli_link *l = NULL;
	AUTO_JSON json_t *rows = NULL, *nodes = NULL, *words = json_array();
	struct options plain = { .json = m->c->opt.json };
	int64_t stale = 0;
	bool by_node = m->c->opt.node || m->c->opt.primary || m->c->opt.secondary;
	int rc = by_node || m->c->opt.all ? call_open(m->c, &l, err) : 0;

	for (int i = 0; i < m->c->n_words; i++)
		(void)json_array_append_new(words, json_string(m->c->words[i]));
	if (rc == 0 && by_node) {
		AUTO_JSON json_t *args = json_pack("{s:O}", "names", words);

		rc = call_request(l, "node.list", args, &plain, ANSWER_MS, &nodes, &stale, err);
	}
	if (rc == 0 && l) {
		AUTO_JSON json_t *args = json_pack("{s:[s,s,s]}", "fields", "name", "pnode", "snode");

		rc = call_request(l, "instance.list", args, &plain, ANSWER_MS, &rows, &stale, err);
	}
	if (rc < 0)
		return rc;
	many_choose(m->c, rows, &m->names, &m->n);
	if (m->n == 0)
		return err_set(err, ERR_NOT_FOUND, "no instance is meant by that"), err_hint(err, "'gnt instance list -o name,pnode,snode' shows what is where");
	return 0;
}

/* As in Ganeti: with their names, and also when each was named. */
static int confirm(const struct many *m, struct err *err)
{
	const struct options *o = &m->c->opt;
	const char *verb = op_infos[m->c->op].verb;
	char answer[16];

	if (m->n == 1 || o->yes || o->force_multiple || o->dry_run)
		return 0;
	if (!isatty(STDIN_FILENO))
		return err_set(err, ERR_REFUSED, "'gnt instance %s' of %d instances asks first, and there is nobody to ask", verb, m->n);
	(void)fprintf(stderr, "These %d instances:\n", m->n);
	for (int i = 0; i < m->n; i++)
		(void)fprintf(stderr, "  %s\n", m->names[i]);
	(void)fprintf(stderr, "%s: are you sure? (y/N) ", verb);
	if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
		return err_set(err, ERR_REFUSED, "not confirmed");
	return 0;
}

static void failed(struct many *m, struct one *o, const struct err *err)
{
	o->err = *err;
	m->failed++;
	if (!m->c->opt.json)
		(void)fprintf(stderr, "%s: error: %s\n", o->name, err->msg);
}

/* A link of its own for each: who asks is told once a link, and every job shall know who filed it. */
static void file(struct many *m, struct one *o)
{
	AUTO(call_close) struct cli_link *l = NULL;
	AUTO_JSON json_t *args = json_deep_copy(m->c->given);
	struct err err = ERR_INIT;
	int64_t stale = 0;

	(void)json_object_set_new(args, "name", json_string(o->name));
	int rc = call_open(m->c, &l, &err);
	if (rc == 0)
		rc = call_request(l, op_infos[m->c->op].name, args, &m->c->opt, ANSWER_MS, &o->answer, &stale, &err);
	if (rc < 0)
		failed(m, o, &err);
	else if (m->c->opt.submit && !m->c->opt.json)
		(void)printf("%lld\n", (long long)json_int(o->answer, "job", 0));
	else if (m->c->opt.dry_run && !m->c->opt.json)
		render_plan(o->answer);
	else if (m->c->opt.print_jobid)
		render_job_number(&m->c->opt, json_int(o->answer, "job", 0));
}

/* 1 = the person went away; the jobs did not. */
static int follow(struct many *m, struct cli_link *l, struct one *o, struct err *err)
{
	struct err one = ERR_INIT;
	int64_t job = json_int(o->answer, "job", 0);

	if (!m->c->opt.json && !m->c->opt.quiet)
		(void)fprintf(stderr, "%s: job %lld\n", o->name, (long long)job);
	o->last = json_incref(json_object_get(o->answer, "last"));
	int rc = o->last ? follow_ended(o->last, &m->c->opt, &one) : follow_job(l, job, &m->c->opt, &o->last, &one);
	if (follow_interrupted()) {
		*err = one;
		(void)err_hint(err, "all of these jobs go on: 'gnt job list'; 'gnt job watch N' comes back to one");
		return 1;
	}
	if (rc < 0)
		failed(m, o, &one);
	return 0;
}

static void print_json(const struct many *m)
{
	AUTO_JSON json_t *all = json_array();

	for (int i = 0; i < m->n; i++) {
		const struct one *o = &m->ones[i];
		json_t *j = json_pack("{s:s}", "name", o->name);

		if (o->answer)
			(void)json_object_update(j, o->last ? o->last : o->answer);
		if (o->err.code)
			(void)json_object_set_new(j, "error", json_pack("{s:s, s:s, s:s}", "name", err_name(o->err.code), "msg", o->err.msg, "hint", err_hint_text(&o->err)));
		(void)json_array_append_new(all, j);
	}
	render_result(m->c, all);
}

/* The first failure is the command's. */
static int result(const struct many *m, struct err *err)
{
	for (int i = 0; i < m->n; i++) {
		const struct one *o = &m->ones[i];

		if (!o->err.code)
			continue;
		if (m->failed == 1) {
			*err = o->err;
			return err_wrap(err, "instance '%s'", o->name);
		}
		(void)err_set(err, o->err.code, "%d of %d instances: not done", m->failed, m->n);
		return err_hint(err, "why stands above, for each");
	}
	return 0;
}

static int run(struct many *m, struct err *err)
{
	AUTO(call_close) struct cli_link *l = NULL;
	const struct options *opt = &m->c->opt;
	int rc = find(m, err);

	if (rc == 0)
		rc = confirm(m, err);
	if (rc < 0)
		return rc;
	m->ones = xcalloc((size_t)m->n, sizeof(*m->ones));
	for (int i = 0; i < m->n; i++) {
		m->ones[i].name = m->names[i];
		file(m, &m->ones[i]);
	}
	if (!opt->submit && !opt->dry_run)
		rc = call_open(m->c, &l, err);
	for (int i = 0; l && i < m->n; i++)
		if (!m->ones[i].err.code && follow(m, l, &m->ones[i], err))
			return -err->code;
	if (rc < 0)
		return rc;
	if (opt->json)
		print_json(m);
	return result(m, err);
}

int many_run(struct command *c, struct err *err)
{
	struct many m = { .c = c };
	int rc = run(&m, err);

	for (int i = 0; m.ones && i < m.n; i++) {
		json_decref(m.ones[i].answer);
		json_decref(m.ones[i].last);
	}
	free(m.ones);
	strs_clear(&m.names, &m.n);
	return rc;
}
