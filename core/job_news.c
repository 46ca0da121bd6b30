/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs and plans as clients see them: news, those who wait for it, JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"

json_t *job_news_json(const struct core *c, const struct cjob *j, int64_t seen)
{
	json_t *lines = json_array();

	(void)c;
	if (j->n_news - seen > STEP_LOG_MAX)
		seen = j->n_news - STEP_LOG_MAX;
	for (int64_t k = seen < 0 ? 0 : seen; k < j->n_news; k++)
		json_array_append_new(lines, json_string(j->news[k % STEP_LOG_MAX]));
	json_t *o = json_pack("{s:I, s:s, s:s, s:b, s:o, s:I, s:i, s:i, s:i, s:s}", "id", (json_int_t)j->j.id, "op", j->j.op,
			      "state", job_state_names[j->j.state], "ended", job_ended(j), "news", lines, "seen",
			      (json_int_t)j->n_news, "step", j->cur, "steps", j->j.n_steps, "permille", j->permille,
			      "progress", j->progress ? j->progress : "");
	if (j->j.summary[0])
		json_object_set_new(o, "summary", json_string(j->j.summary));
	if (j->j.error[0]) {
		json_object_set_new(o, "error", json_string(j->j.error));
		json_object_set_new(o, "error_msg", json_string(j->j.error_msg ? j->j.error_msg : ""));
		json_object_set_new(o, "error_hint", json_string(j->j.error_hint ? j->j.error_hint : ""));
	}
	if (j->result)
		json_object_set_new(o, "result", json_loads(j->result, JSON_DECODE_ANY, NULL));
	else if (j->j.result)
		json_object_set(o, "result", j->j.result);
	return o;
}

void job_answer_waiters(struct core *c, struct cjob *j)
{
	list_for_each_safe(l, &j->waiters) {
		struct waiter *w = list_entry(l, struct waiter, link);

		if (w->joins && !job_ended(j))
			continue;
		if (w->joins) {
			core_joined(c, w->client, &j->j);
			list_del(l);
			free(w);
			continue;
		}
		if (j->n_news <= w->seen && !job_ended(j) && c->st.now_ms < w->deadline_ms)
			continue;
		core_reply_ok(c, w->client, w->id, job_news_json(c, j, w->seen));
		list_del(l);
		free(w);
	}
}

void job_news(struct core *c, struct cjob *j, const char *fmt, ...)
{
	char line[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (j->n_news < STEP_LOG_MAX) /* most jobs have a few lines, and a thousand that have ended are kept */
		j->news = xrealloc(j->news, (size_t)(j->n_news + 1) * sizeof(*j->news));
	else
		free(j->news[j->n_news % STEP_LOG_MAX]);
	j->news[j->n_news++ % STEP_LOG_MAX] = xstrdup(line);
	job_answer_waiters(c, j);
}

void job_wait(struct core *c, struct cjob *j, uint64_t client, const char *id, int64_t seen, int64_t wait_ms)
{
	struct waiter *w = xcalloc(1, sizeof(*w));

	w->client = client;
	(void)str_copy(w->id, sizeof(w->id), id);
	w->seen = seen;
	w->deadline_ms = c->st.now_ms + wait_ms;
	list_add_tail(&j->waiters, &w->link);
	job_answer_waiters(c, j);
}

void job_wait_join(struct core *c, struct cjob *j, uint64_t client)
{
	struct waiter *w = xcalloc(1, sizeof(*w));

	w->client = client;
	w->joins = true;
	list_add_tail(&j->waiters, &w->link);
	job_answer_waiters(c, j);
}

/* A machine that hung up before its job had its turn does not become a node. */
void job_client_gone(struct core *c, uint64_t client)
{
	int64_t joins = 0;
	struct err ignored = ERR_INIT;

	for (int i = 0; i < c->n_jobs; i++)
		list_for_each_safe(l, &c->jobs[i]->waiters) {
			struct waiter *w = list_entry(l, struct waiter, link);

			if (w->client != client)
				continue;
			if (w->joins && (c->jobs[i]->j.state == JOB_QUEUED || c->jobs[i]->j.state == JOB_WAITING))
				joins = c->jobs[i]->j.id;
			list_del(l);
			free(w);
		}
	if (joins) {
		IGNORE(job_cancel(c, joins, &ignored));
		outbox_flush(c->out);
	}
}

json_t *plan_json(const struct core *c, const struct plan *p, char *const *locks, int n_locks)
{
	json_t *steps = json_array(), *lk = json_array();

	for (int i = 0; i < p->n_steps; i++) {
		const struct step_info *info = &step_infos[step_kind_by_name(p->steps[i].kind)];

		json_array_append_new(steps, json_pack("{s:i, s:s, s:s, s:s, s:s, s:b}", "n", i, "kind", p->steps[i].kind, "node",
						       job_step_node(c, &p->steps[i]), "text", p->steps[i].text, "undo",
						       info->undo == STEP_UNDO ? "yes" : info->undo == STEP_NONE ? "none" : "forward only",
						       "pivot", p->steps[i].pivot == 1));
	}
	for (int i = 0; i < n_locks; i++)
		json_array_append_new(lk, json_string(locks[i]));
	return json_pack("{s:s, s:o, s:o}", "summary", p->summary, "steps", steps, "locks", lk);
}
