/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs after a take-over: read from the store, put where they stood, and gone on with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/inside.h"

static int load_record(struct cjob *j, const char *text, struct err *err)
{
	static const unsigned char to[] = {
		[RECORD_STARTED] = STEP_STARTED,      [RECORD_DONE] = STEP_DONE,     [RECORD_FAILED] = STEP_FAILED,
		[RECORD_UNDO_STARTED] = STEP_UNDOING, [RECORD_UNDONE] = STEP_UNDONE, [RECORD_UNDO_FAILED] = STEP_UNDOING,
	};
	struct job_record r;
	int rc = schema_decode_text(&job_record_schema, &r, text, err);

	if (rc < 0)
		return rc;
	if (r.step >= j->j.n_steps) {
		schema_done(&job_record_schema, &r);
		return err_set(err, ERR_INTERNAL, "journal of job %lld names step %lld, which its plan does not have",
			       (long long)j->j.id, (long long)r.step);
	}
	j->step[r.step] = to[r.event];
	if (r.at_ms != FIELD_UNSET)
		job_note_time(j, (int)r.step, (enum record_event)r.event, r.at_ms);
	/* A failed step that was passed over is followed by later records; one that was not is followed by the undo. */
	j->n_records++;
	schema_done(&job_record_schema, &r);
	return 0;
}

/* An open job that this version cannot go on with must not be touched by it: a newer one has made it. */
static int check_job(const struct cjob *j, const char *id, struct err *err)
{
	char mine[24];
	int op = op_by_name(j->j.op);

	(void)snprintf(mine, sizeof(mine), "%lld", (long long)j->j.id);
	if (strcmp(mine, id) != 0)
		return err_set(err, ERR_INTERNAL, "the job calls itself %s", mine);
	if (job_ended(j))
		return 0;
	bool known = op >= 0 && plan_for((enum op_index)op);
	const char *what = j->j.op;
	for (int i = 0; known && i < j->j.n_steps; i++) {
		known = step_kind_by_name(j->j.steps[i].kind) >= 0;
		what = j->j.steps[i].kind;
	}
	if (known)
		return 0;
	return err_set(err, ERR_INTERNAL, "the job is not done, and this version does not know its '%s'", what),
	       err_hint(err, "upgrade Gantry on this node to the version of the other nodes");
}

int job_load(struct core *c, const struct core_kv *kvs, int n, struct err *err)
{
	struct cjob *j = NULL;

	/* Key order puts /gantry/job/12 right before /gantry/job/12/000000, but 12/... also before 13: ids are sorted afterwards. */
	for (int i = 0; i < n; i++) {
		const char *tail = kvs[i].key + strlen("/gantry/job/");
		const char *slash = strchr(tail, '/');
		int rc;

		if (!slash) {
			j = job_append(c);
			rc = schema_decode_text(&job_schema, &j->j, kvs[i].value, err);
			if (rc < 0)
				schema_init(&job_schema, &j->j);
			else
				rc = check_job(j, tail, err);
		} else {
			char id[24];
			struct cjob *of = NULL;

			(void)snprintf(id, sizeof(id), "%.*s", (int)(slash - tail), tail);
			for (int k = 0; k < c->n_jobs && !of; k++) {
				char mine[24];

				(void)snprintf(mine, sizeof(mine), "%lld", (long long)c->jobs[k]->j.id);
				if (strcmp(mine, id) == 0)
					of = c->jobs[k];
			}
			rc = of ? load_record(of, kvs[i].value, err) :
				  err_set(err, ERR_INTERNAL, "journal record without a job");
		}
		if (rc < 0)
			return err_wrap(err, "%s", kvs[i].key);
	}
	return 0;
}

/* Where a job stood: the first step that is not behind it, or when undoing the last that is not undone. */
static void find_place(struct cjob *j)
{
	if (j->j.state == JOB_UNDOING || (j->j.state == JOB_STUCK && !job_past_pivot(j))) {
		j->cur = j->j.n_steps - 1;
		while (j->cur > 0 && (j->step[j->cur] == STEP_PENDING || j->step[j->cur] == STEP_UNDONE))
			j->cur--;
		return;
	}
	j->cur = 0;
	for (int i = 0; i < j->j.n_steps; i++)
		if (j->step[i] == STEP_DONE || j->step[i] == STEP_SKIPPED)
			j->cur = i + 1;
	for (int i = 0; i < j->cur; i++) /* failed, but others were done after it: it was passed over */
		if (j->step[i] == STEP_FAILED)
			j->step[i] = STEP_SKIPPED;
	while (j->cur < j->j.n_steps && j->step[j->cur] == STEP_FAILED && job_past_pivot(j)) {
		j->step[j->cur] = STEP_SKIPPED;
		j->cur++;
	}
}

/* The journal of one that has ended is gone. */
static void recall_states(struct cjob *j)
{
	for (int i = 0; i < j->j.n_steps; i++)
		if (j->j.steps[i].state >= 0)
			j->step[i] = (unsigned char)j->j.steps[i].state;
		else if (j->j.state == JOB_SUCCESS)
			j->step[i] = STEP_DONE; /* kept at level 1, which does not say */
}

void job_resume(struct core *c)
{
	job_list_loaded(c);
	for (int i = 0; i < c->n_jobs; i++) {
		struct cjob *j = c->jobs[i];

		if (j->j.id > c->last_job)
			c->last_job = j->j.id;
		if (job_ended(j)) {
			recall_states(j);
			continue;
		}
		if (j->j.state == JOB_QUEUED || j->j.state == JOB_WAITING) {
			j->trial = true;
			continue;
		}
		job_set_busy(c, j, j->j.id);
		find_place(j);
		job_news(c, j, "taken over by a new master");
		/* Orders whose fate is unknown are given again, unchanged: the node answers from its record or probes. */
		job_advance(c, j);
		outbox_flush(c->out);
	}
	job_schedule(c);
}
