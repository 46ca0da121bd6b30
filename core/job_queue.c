/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs before they run: filed, queued, and planned when their locks are held (doc/locking.adoc). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"

/* ---- queue and locks ----------------------------------------------------------------------------- */

static bool shares_lock(const struct job *a, const struct job *b)
{
	for (int i = 0; i < a->n_locks; i++)
		if (strs_has(b->locks, b->n_locks, a->locks[i]))
			return true;
	return false;
}

/* All or nothing; whoever came first goes first, so that nobody starves (no lock order, no deadlock). */
static const struct cjob *blocker(const struct core *c, const struct cjob *j)
{
	if (j->j.n_locks == 0)
		return NULL;
	for (int i = 0; i < c->n_open && c->open[i] != j; i++)
		if (!job_ended(c->open[i]) && shares_lock(&j->j, &c->open[i]->j))
			return c->open[i];
	for (int i = 0; i < c->n_open; i++) /* a later one that got in before its lock was asked for */
		if (c->open[i] != j && !job_ended(c->open[i]) && c->open[i]->j.state >= JOB_RUNNING && shares_lock(&j->j, &c->open[i]->j))
			return c->open[i];
	return NULL;
}

static int plan_job(struct core *c, struct cjob *j, struct plan *p, struct err *err)
{
	int op = op_by_name(j->j.op);
	const struct schema *s = op_infos[op].args;
	void *args = xcalloc(1, s->size);
	int rc = schema_decode(s, args, j->j.args, err);

	if (rc == 0) {
		rc = plan_run(&c->st, (enum op_index)op, args, &c->rng, p, err);
		schema_done(s, args);
	}
	free(args);
	return rc;
}

static void take_plan(struct core *c, struct cjob *j, struct plan *p)
{
	free(j->j.steps);
	j->j.steps = p->steps;
	j->j.n_steps = p->n_steps;
	p->steps = NULL;
	p->n_steps = 0;
	(void)str_copy(j->j.summary, sizeof(j->j.summary), p->summary);
	if (p->result) {
		json_decref(j->j.result);
		j->j.result = json_incref(p->result);
	}
	for (int i = 0; i < p->n_reservations; i++)
		state_reserve(&c->st, j->j.id, p->reservations[i].node, p->reservations[i].vg, p->reservations[i].memory_mib,
			      p->reservations[i].disk_mib);
}

/* What is refused has no plan that would say what it was about. */
static void name_refused(struct cjob *j)
{
	const char *about = json_str(j->j.args, "name", "");

	(void)snprintf(j->j.summary, sizeof(j->j.summary), "%s%s%s%s", j->j.op, about[0] ? " '" : "", about, about[0] ? "'" : "");
}

static void start_job(struct core *c, struct cjob *j)
{
	struct err err = ERR_INIT;
	AUTO_PLAN struct plan p = { 0 };

	plan_init(&p);
	job_set_busy(c, j, j->j.id);
	c->st.planning_job = j->j.id;
	int planned = plan_job(c, j, &p, &err);
	c->st.planning_job = 0;
	if (planned < 0) {
		job_set_error(j, &err);
		name_refused(j);
		job_end(c, j, JOB_ERROR);
		return;
	}
	take_plan(c, j, &p);
	j->trial = false;
	j->j.started_ms = c->st.wall_ms;
	sm_move(&job_sm, &j->j.state, JOB_RUNNING);
	job_put(c, j);
	job_advance(c, j);
}

/*
 * Who shares places. What a guest waits for that is down has its own; so has what one command files by the hundred and what takes as long as a resync:
 * neither keeps the others waiting for hours.
 */
enum places { PLACES_FAILOVER, PLACES_BULK, PLACES_OTHER, PLACES };

static enum places places_of(const struct cjob *j)
{
	switch (op_by_name(j->j.op)) {
	case OP_instance_failover:
	case OP_node_fence: return PLACES_FAILOVER;
	case OP_instance_add:
	case OP_instance_migrate:
	case OP_instance_replace_disks: return PLACES_BULK;
	default: return PLACES_OTHER;
	}
}

/*
 * One that waits for a node which is lost does nothing, and takes no place: what is to be tidied on it may wait for ever, and the word that it is off, or that it
 * is not to be waited for, is a job too. That of a guest which comes back elsewhere above all.
 */
static bool takes_place(const struct core *c, const struct cjob *j)
{
	if (j->j.state < JOB_RUNNING || job_ended(j))
		return false;
	const char *node = j->waiting && j->cur < j->j.n_steps ? j->j.steps[j->cur].node : "";
	const struct snode *n = node[0] ? state_node(&c->st, node) : NULL;

	return !n || n->connected || (n->n.liveness != NODE_LOST && n->n.liveness != NODE_FENCED);
}

static void running(const struct core *c, int ret[PLACES])
{
	memset(ret, 0, PLACES * sizeof(*ret));
	for (int i = 0; i < c->n_open; i++)
		if (takes_place(c, c->open[i]))
			ret[places_of(c->open[i])]++;
}

static void let_wait(struct core *c, struct cjob *j, const struct cjob *blocker)
{
	if (j->j.state != JOB_QUEUED)
		return;
	sm_move(&job_sm, &j->j.state, JOB_WAITING);
	job_put(c, j);
	if (blocker)
		job_news(c, j, "waiting for job %lld (%s)", (long long)blocker->j.id, blocker->j.op);
}

void job_schedule(struct core *c)
{
	for (bool again = true; again;) {
		int taken[PLACES];

		running(c, taken);
		again = false;
		for (int i = 0; i < c->n_open; i++) {
			struct cjob *j = c->open[i];

			if (j->j.state != JOB_QUEUED && j->j.state != JOB_WAITING)
				continue;
			int *n = &taken[places_of(j)];
			/* When all places are taken nobody's locks are looked at: thousands may be queued. */
			const struct cjob *b = *n < JOBS_RUNNING_MAX ? blocker(c, j) : NULL;

			if (b || *n >= JOBS_RUNNING_MAX) {
				let_wait(c, j, b);
				continue;
			}
			start_job(c, j);
			*n += takes_place(c, j);
			again = again || job_ended(j);
			outbox_flush(c->out); /* each job is a unit of its own: many may have waited for the same one */
		}
	}
}

int job_submit(struct core *c, enum op_index op, const json_t *args, const struct msg_request *from, int64_t *ret_id, struct err *err)
{
	struct cjob *old = job_of_request(c, from->id);

	if (old) {
		*ret_id = old->j.id;
		return 0;
	}
	if (core_jobs_open(c) >= JOBS_QUEUED_MAX)
		return err_set(err, ERR_QUEUE_FULL, "%d jobs are queued already", JOBS_QUEUED_MAX);
	struct cjob *j = job_append(c);

	j->trial = true;
	j->j.id = ++c->last_job;
	(void)str_copy(j->j.op, sizeof(j->j.op), op_infos[op].name);
	j->j.args = args ? json_deep_copy(args) : json_object();
	(void)str_copy(j->j.request_id, sizeof(j->j.request_id), from->id);
	(void)str_copy(j->j.user, sizeof(j->j.user), from->user[0] ? from->user : "gantry");
	j->j.reason = from->reason ? xstrdup(from->reason) : NULL;
	j->j.created_ms = c->st.wall_ms;
	*ret_id = j->j.id;
	char number[24];
	(void)snprintf(number, sizeof(number), "%lld", (long long)j->j.id);
	outbox_put(c->out, "/gantry/lastjob", xstrdup(number));

	void *a = xcalloc(1, op_infos[op].args->size);
	int rc = schema_decode(op_infos[op].args, a, j->j.args, err);
	if (rc == 0) {
		rc = plan_locks(&c->st, op, a, &j->j.locks, &j->j.n_locks, err);
		schema_done(op_infos[op].args, a);
	}
	free(a);
	if (rc < 0) {
		c->last_job--;
		job_drop_newest(c);
		return rc;
	}
	job_opened(c, j);
	job_put(c, j);
	core_event(c, "job %lld (%s%s%s) filed by %s%s%s", (long long)j->j.id, j->j.op, json_str(j->j.args, "name", "")[0] ? " " : "",
		   json_str(j->j.args, "name", ""), j->j.user, j->j.reason ? ": " : "", j->j.reason ? j->j.reason : "");
	job_schedule(c);
	return 0;
}
