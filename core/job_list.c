/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs that the core knows. All of them stand in jobs[], by id, the newest JOBS_KEPT_MAX ended ones too; those that may not have
 * ended stand in open[] as well, so that what is done for every message walks over tens of jobs and not over a thousand.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"

/* FNV-1a; 0 stands for "has none". */
static uint64_t key_of(const char *request_id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	if (!request_id[0])
		return 0;
	for (const char *p = request_id; *p; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

static void *grown(void *list, int n, size_t size)
{
	return (n & (n - 1)) == 0 ? xrealloc(list, (size_t)(n ? 2 * n : 1) * size) : list;
}

struct cjob *job_append(struct core *c)
{
	struct cjob *j = xcalloc(1, sizeof(*j));

	schema_init(&job_schema, &j->j);
	list_init(&j->waiters);
	c->jobs = grown(c->jobs, c->n_jobs, sizeof(*c->jobs));
	c->job_keys = grown(c->job_keys, c->n_jobs, sizeof(*c->job_keys));
	c->job_keys[c->n_jobs] = 0;
	c->jobs[c->n_jobs++] = j;
	return j;
}

void job_opened(struct core *c, struct cjob *j)
{
	assert(c->n_jobs > 0 && c->jobs[c->n_jobs - 1] == j);
	c->job_keys[c->n_jobs - 1] = key_of(j->j.request_id);
	c->open = grown(c->open, c->n_open, sizeof(*c->open));
	c->open[c->n_open++] = j;
}

void job_drop_newest(struct core *c)
{
	struct cjob *j = c->jobs[--c->n_jobs];

	assert(c->n_open == 0 || c->open[c->n_open - 1] != j);
	job_free(j);
}

void job_slim(struct cjob *j)
{
	json_decref(j->j.args);
	j->j.args = NULL;
	if (j->j.result) {
		free(j->result);
		j->result = json_text(j->j.result);
		json_decref(j->j.result);
		j->j.result = NULL;
	}
	free(j->progress);
	j->progress = NULL;
}

static int by_id(const void *a, const void *b)
{
	const struct cjob *const *x = a, *const *y = b;

	return ((*x)->j.id > (*y)->j.id) - ((*x)->j.id < (*y)->j.id);
}

void job_list_loaded(struct core *c)
{
	if (c->n_jobs)
		qsort(c->jobs, (size_t)c->n_jobs, sizeof(struct cjob *), by_id);
	for (int i = 0; i < c->n_jobs; i++) {
		c->job_keys[i] = key_of(c->jobs[i]->j.request_id);
		if (job_ended(c->jobs[i])) {
			job_slim(c->jobs[i]);
			continue;
		}
		c->open = grown(c->open, c->n_open, sizeof(*c->open));
		c->open[c->n_open++] = c->jobs[i];
	}
}

void job_list_free(struct core *c)
{
	for (int i = 0; i < c->n_jobs; i++)
		job_free(c->jobs[i]);
	free(c->jobs);
	free(c->job_keys);
	free(c->open);
}

static int index_of(const struct core *c, int64_t id)
{
	int lo = 0, hi = c->n_jobs;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (c->jobs[mid]->j.id == id)
			return mid;
		if (c->jobs[mid]->j.id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

struct cjob *job_find(const struct core *c, int64_t id)
{
	int at = index_of(c, id);

	return at < 0 ? NULL : c->jobs[at];
}

struct cjob *job_of_request(const struct core *c, const char *request_id)
{
	uint64_t key = key_of(request_id);

	for (int i = c->n_jobs - 1; i >= 0 && key; i--)
		if (c->job_keys[i] == key && strcmp(c->jobs[i]->j.request_id, request_id) == 0)
			return c->jobs[i];
	return NULL;
}

bool job_pending(const struct core *c, enum op_index op, const char *arg_name)
{
	for (int i = 0; i < c->n_open; i++) {
		const struct cjob *j = c->open[i];

		if (!job_ended(j) && strcmp(j->j.op, op_infos[op].name) == 0 &&
		    (!arg_name || strcmp(json_str(j->j.args, "name", ""), arg_name) == 0))
			return true;
	}
	return false;
}

int core_jobs_open(const struct core *c)
{
	int n = 0;

	for (int i = 0; i < c->n_open; i++)
		n += !job_ended(c->open[i]);
	return n;
}

static void forget_ended(struct core *c)
{
	int kept = 0;

	for (int i = 0; i < c->n_open; i++)
		if (!job_ended(c->open[i]))
			c->open[kept++] = c->open[i];
	c->n_open = kept;
}

static void delete_job(struct core *c, struct cjob *j)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "/gantry/job/%lld", (long long)j->j.id);
	outbox_put(c->out, key, NULL);
	job_free(j);
}

#define ARCHIVED_AT_ONCE 32 /* a unit of writes has a limit */

void job_list_tidy(struct core *c)
{
	int drop, kept = 0;

	forget_ended(c);
	drop = c->n_jobs - c->n_open - JOBS_KEPT_MAX;
	if (drop <= 0)
		return;
	if (drop > ARCHIVED_AT_ONCE)
		drop = ARCHIVED_AT_ONCE;
	for (int i = 0; i < c->n_jobs; i++) {
		struct cjob *j = c->jobs[i];

		if (drop > 0 && job_ended(j) && list_empty(&j->waiters)) {
			delete_job(c, j);
			drop--;
		} else {
			c->jobs[kept] = j;
			c->job_keys[kept++] = c->job_keys[i];
		}
	}
	c->n_jobs = kept;
}

void job_archive(struct core *c, struct cjob *j)
{
	int at = index_of(c, j->j.id);

	assert(at >= 0 && job_ended(j));
	forget_ended(c);
	delete_job(c, j);
	memmove(c->jobs + at, c->jobs + at + 1, (size_t)(c->n_jobs - at - 1) * sizeof(*c->jobs));
	memmove(c->job_keys + at, c->job_keys + at + 1, (size_t)(c->n_jobs - at - 1) * sizeof(*c->job_keys));
	c->n_jobs--;
}
