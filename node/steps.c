/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's actions on real disks and workers: records in files, steps on worker threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "io/files.h"
#include "io/journal.h"
#include "node/node.h"

#define RECORD_MAX (256 * 1024)
#define JOURNAL_BYTES ((size_t)1024 * 1024)

struct running { /* one PROBE or EXEC on a worker */
	struct list link;
	struct noded *node;
	uint64_t token;
	bool probe;
	struct exec_call call;
	void *args;
	bool canceled; /* read by the worker: a plain flag, set once */
	int64_t job;
	int index;
	/* results */
	bool done;
	json_t *result;
	json_t *before; /* PROBE: found; EXEC of an undo: known. A copy, a worker reads it */
};

struct progress_note {
	struct noded *node;
	struct msg_step_progress msg;
};

/* ---- records: on the disk before the agent goes on ------------------------------------------------------ */

struct persist {
	struct list link;
	uint64_t token;
	char *key, *text; /* text NULL = the record goes */
	bool begins; /* a do: it needs room to end, too */
	int rc;
};

struct batch { /* what came while the one before was written */
	struct noded *node;
	struct list records;
};

static void persist_free(struct persist *p)
{
	list_del(&p->link);
	free(p->key);
	free(p->text);
	free(p);
}

static bool is_do(const char *key)
{
	size_t n = strlen(key);

	return n > 3 && strcmp(key + n - 3, ".do") == 0;
}

/* One write and one fdatasync for all of them, and nobody is told before it. */
static int persist_work(void *arg, struct err *err)
{
	struct batch *b = arg;
	size_t n = 0, i = 0;

	list_for_each(l, &b->records)
		n++;
	AUTO_FREE struct journal_entry *entries = xcalloc(n, sizeof(*entries));
	list_for_each(l, &b->records) {
		const struct persist *p = list_entry(l, struct persist, link);

		entries[i++] = (struct journal_entry){ .key = p->key, .text = p->text, .begins = p->begins };
	}
	int rc = journal_write(b->node->journal, entries, n, err);
	i = 0;
	list_for_each(l, &b->records) {
		struct persist *p = list_entry(l, struct persist, link);

		p->rc = entries[i++].rc;
	}
	return rc;
}

static void start_batch(struct noded *n);

static void persist_done(void *arg, int rc, const struct err *err)
{
	struct batch *b = arg;
	struct noded *n = b->node;

	if (rc < 0) /* or the daemon ends and none was written */
		log_err_record(LOG_LEVEL_ERR, "agent records", err);
	list_for_each_safe(l, &b->records) {
		struct persist *p = list_entry(l, struct persist, link);

		if (rc == 0 && p->rc < 0)
			log_error("agent record '%s' was refused: no room in the journal", p->key);
		if (!n->stopping)
			agent_persisted(n->agent, p->token, rc == 0 && p->rc == 0);
		persist_free(p);
	}
	free(b);
	n->persisting = false;
	if (!n->stopping && !list_empty(&n->records))
		start_batch(n);
}

static void start_batch(struct noded *n)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	struct worker_job job = { .work = persist_work, .done = persist_done, .arg = b };

	b->node = n;
	list_init(&b->records);
	list_for_each_safe(l, &n->records) {
		list_del(l);
		list_add_tail(&b->records, l);
	}
	n->persisting = true;
	workers_submit(n->workers, "agent", &job); /* one lane, one batch at a time: records reach the disk in order */
}

static void persist(struct noded *n, const struct agent_action *a)
{
	struct persist *p = xcalloc(1, sizeof(*p));

	p->token = a->token;
	p->key = xstrdup(a->record_key);
	p->begins = is_do(a->record_key);
	p->text = a->record_text ? xstrdup(a->record_text) : NULL;
	list_add_tail(&n->records, &p->link);
	if (!n->persisting)
		start_batch(n);
}

/* ---- steps ------------------------------------------------------------------------------------------------ */

static void send_progress(void *arg)
{
	struct progress_note *p = arg;

	if (!p->node->stopping)
		uplink_send(p->node, "step_progress", &msg_step_progress_schema, &p->msg);
	free(p);
}

static void on_progress(void *arg, int permille, const char *text)
{
	struct running *r = arg;
	struct progress_note *p = xcalloc(1, sizeof(*p));

	p->node = r->node;
	schema_init(&msg_step_progress_schema, &p->msg);
	p->msg.job = r->job;
	p->msg.index = r->index;
	p->msg.permille = permille < 0 ? 0 : permille > 1000 ? 1000 : permille;
	(void)str_copy(p->msg.text, sizeof(p->msg.text), text ? text : "");
	loop_post(r->node->loop, send_progress, p);
}

static int step_work(void *arg, struct err *err)
{
	struct running *r = arg;

	if (r->probe)
		return exec_probe(&r->node->env, &r->call, &r->done, err);
	return exec_run(&r->node->env, &r->call, &r->result, err);
}

static bool touches_volumes(enum step_kind k)
{
	return k == STEP_KIND_tail_keep || k == STEP_KIND_volume_create || k == STEP_KIND_volume_grow || k == STEP_KIND_volume_remove;
}

/* It takes the replica from its mirror. */
static bool parts(const struct running *r)
{
	if (r->probe)
		return false;
	if (r->call.dir != STEP_DO)
		return r->call.kind == STEP_KIND_drbd_attach || r->call.kind == STEP_KIND_drbd_connect;
	return r->call.kind == STEP_KIND_drbd_cut || r->call.kind == STEP_KIND_drbd_down;
}

bool steps_parting(const struct noded *n, const char *instance)
{
	list_for_each(l, &n->steps) {
		const struct running *r = list_entry(l, struct running, link);

		if (parts(r) && strcmp(((const struct step_resource *)r->args)->uuid, instance) == 0)
			return true;
	}
	return false;
}

static void note_parted(struct noded *n, const struct running *r)
{
	struct gen_entry *e = parts(r) ? arbitrate_entry(n, ((const struct step_resource *)r->args)->uuid) : NULL;

	if (e)
		e->parted_ms = loop_now_ms(n->loop);
}

static void step_done(void *arg, int rc, const struct err *err)
{
	struct running *r = arg;
	struct noded *n = r->node;

	note_parted(n, r);
	if (rc == 0 && !r->probe && r->call.kind == STEP_KIND_node_leave)
		n->leaves = (struct leaves){ .with_answer = true, .job = r->job, .index = r->index };
	if (rc < 0 && !r->probe)
		log_err_record(LOG_LEVEL_WARNING, step_infos[r->call.kind].name, err);
	list_del(&r->link);
	if (!n->stopping) {
		if (r->probe)
			agent_probed(n->agent, r->token, rc, r->done, r->before, err);
		else
			agent_executed(n->agent, r->token, rc, r->result, err);
		n->look_volumes = n->look_volumes || (!r->probe && touches_volumes(r->call.kind));
		observe_now(n);
	}
	if (rc == -ERR_TIMEOUT && err->code == ERR_TIMEOUT && strcmp(err->step, WORKER_STEP_DEADLINE) == 0)
		return; /* written off: the stuck thread still uses r */
	schema_done(step_infos[r->call.kind].args, r->args);
	free(r->args);
	json_decref(r->result);
	json_decref(r->before);
	free(r);
}

static void run_step(struct noded *n, const struct agent_action *a)
{
	const struct step_info *info = &step_infos[a->step];
	struct running *r = xcalloc(1, sizeof(*r));
	struct err err = ERR_INIT;
	AUTO_JSON json_t *none = json_object();

	r->node = n;
	r->token = a->token;
	r->probe = a->kind == AGENT_PROBE;
	r->args = xcalloc(1, info->args->size);
	list_add_tail(&n->steps, &r->link);
	if (schema_decode(info->args, r->args, a->args ? a->args : none, &err) < 0) {
		schema_init(info->args, r->args);
		step_done(r, -err.code, &err);
		return;
	}
	r->job = a->result.job;
	r->index = (int)a->result.index;
	r->before = a->before ? json_deep_copy(a->before) : NULL;
	r->call = (struct exec_call){ .kind = a->step, .dir = a->dir, .args = r->args, .canceled = &r->canceled, .progress = on_progress,
				      .progress_arg = r, .ret_before = r->probe ? &r->before : NULL, .before = r->probe ? NULL : r->before };
	log_info("%s %s %s job=%lld step=%d", r->probe ? "probe" : a->dir == STEP_DO ? "do" : "undo", info->name, exec_lane(&r->call),
		 (long long)r->job, r->index);
	struct worker_job job = { .work = step_work, .done = step_done, .arg = r, .deadline_ms = exec_deadline_ms(&n->env, a->step) };
	workers_submit(n->workers, exec_lane(&r->call), &job);
}

struct cancel_job {
	struct noded *node;
	enum step_kind kind;
	void *args;
};

static int cancel_work(void *arg, struct err *err)
{
	struct cancel_job *c = arg;

	return exec_cancel(&c->node->env, c->kind, c->args, err);
}

static void cancel_done(void *arg, int rc, const struct err *err)
{
	struct cancel_job *c = arg;

	if (rc < 0)
		log_err_record(LOG_LEVEL_WARNING, "cancel", err);
	schema_done(step_infos[c->kind].args, c->args);
	free(c->args);
	free(c);
}

static void cancel_step(struct noded *n, uint64_t token)
{
	list_for_each(l, &n->steps) {
		struct running *r = list_entry(l, struct running, link);

		if (r->token != token || r->canceled)
			continue;
		__atomic_store_n(&r->canceled, true, __ATOMIC_RELEASE);
		struct cancel_job *c = xcalloc(1, sizeof(*c));
		c->node = n;
		c->kind = r->call.kind;
		c->args = xcalloc(1, step_infos[c->kind].args->size);
		schema_copy(step_infos[c->kind].args, c->args, r->args);
		struct worker_job job = { .work = cancel_work, .done = cancel_done, .arg = c, .deadline_ms = 30000 };
		workers_submit(n->workers, "cancel", &job);
	}
}

/* ---- where an order came from ------------------------------------------------------------------------------ */

/*
 * Its answer goes back by the network that brought it last: the master gives its orders again when a link of ours is dead, over the one that is
 * not; here the dead one may still look alive (doc/protocol.adoc, "A link's life").
 */
struct asked {
	struct list link;
	int64_t job, index;
	int dir, side;
};

static struct asked *asked_find(struct noded *n, int64_t job, int64_t index, int dir)
{
	list_for_each(l, &n->asked) {
		struct asked *a = list_entry(l, struct asked, link);

		if (a->job == job && a->index == index && a->dir == dir)
			return a;
	}
	return NULL;
}

static void asked_drop(struct asked *a)
{
	list_del(&a->link);
	free(a);
}

static void asked_by(struct noded *n, const struct msg_step *m, int side)
{
	struct asked *a = asked_find(n, m->job, m->index, m->dir);

	if (!a) {
		a = xcalloc(1, sizeof(*a));
		a->job = m->job;
		a->index = m->index;
		a->dir = m->dir;
		list_add_tail(&n->asked, &a->link);
	}
	a->side = side;
}

static void leave_later(void *arg)
{
	node_left(arg);
}

static void answer(struct noded *n, const struct msg_step_result *m)
{
	struct asked *a = asked_find(n, m->job, m->index, m->dir);

	uplink_send_by(n, a ? a->side : 1, "step_result", &msg_step_result_schema, m);
	if (a)
		asked_drop(a);
	if (n->leaves.with_answer && m->job == n->leaves.job && m->index == n->leaves.index) {
		n->leaves.with_answer = false;
		loop_post(n->loop, leave_later, n); /* what is queued is still sent */
	}
}

void steps_forget(struct noded *n, int64_t job)
{
	list_for_each_safe(l, &n->asked)
		if (list_entry(l, struct asked, link)->job == job)
			asked_drop(list_entry(l, struct asked, link));
	agent_forget_job(n->agent, job);
}

static void emit(void *arg, const struct agent_action *a)
{
	struct noded *n = arg;

	switch (a->kind) {
	case AGENT_PERSIST: persist(n, a); return;
	case AGENT_PROBE:
	case AGENT_EXEC: run_step(n, a); return;
	case AGENT_CANCEL: cancel_step(n, a->token); return;
	case AGENT_REPLY: answer(n, &a->result); return;
	default: return;
	}
}

void steps_order(struct noded *n, const struct msg_step *m, int side)
{
	if (m->cancel != 1) /* the answer is the do's */
		asked_by(n, m, side);
	agent_step(n->agent, m);
}

/* ---- start: the durable records ------------------------------------------------------------------------------- */

static void load_record(void *arg, const char *key, const char *text)
{
	struct noded *n = arg;
	struct err why = ERR_INIT;

	if (agent_load(n->agent, key, text, &why) < 0)
		log_err_record(LOG_LEVEL_WARNING, key, &why);
}

/* Records of versions that wrote each into a file of its own go into the journal, once. */
static int take_files(struct noded *n, const char *dir, struct err *err)
{
	char **names = NULL;
	int n_names = 0, n_taken = 0, rc = dir_names(dir, &names, &n_names, err);
	AUTO_FREE struct journal_entry *entries = xcalloc((size_t)n_names + 1, sizeof(*entries));
	AUTO_FREE char **texts = xcalloc((size_t)n_names + 1, sizeof(*texts));

	for (int i = 0; i < n_names; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, names[i]);
		struct err why = ERR_INIT;

		if (strncmp(names[i], "journal.", 8) == 0)
			continue;
		if (file_read_text(path, RECORD_MAX, &texts[n_taken], &why) < 0) {
			log_err_record(LOG_LEVEL_WARNING, path, &why);
			continue;
		}
		texts[n_taken][strcspn(texts[n_taken], "\n")] = '\0';
		load_record(n, names[i], texts[n_taken]);
		entries[n_taken] = (struct journal_entry){ .key = names[i], .text = texts[n_taken] };
		n_taken++;
	}
	if (rc == 0 && n_taken)
		rc = journal_write(n->journal, entries, (size_t)n_taken, err);
	for (int i = 0; i < n_taken; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, entries[i].key);

		if (rc == 0 && entries[i].rc == 0)
			rc = file_remove(path, err);
		else if (rc == 0)
			rc = entries[i].rc;
		free(texts[i]);
	}
	strs_clear(&names, &n_names);
	return rc;
}

int steps_new(struct noded *n, struct err *err)
{
	AUTO_FREE char *dir = conf_state_path(&n->conf, "agent");
	int rc = dir_make(dir, 0700, err);

	if (rc < 0)
		return rc;
	list_init(&n->steps);
	list_init(&n->asked);
	list_init(&n->records);
	n->agent = agent_new(emit, n);
	rc = journal_open(dir, JOURNAL_BYTES, NULL, load_record, n, &n->journal, err);
	if (rc == 0)
		rc = take_files(n, dir, err);
	if (rc < 0)
		return rc;
	agent_ready(n->agent);
	return 0;
}

void steps_free(struct noded *n)
{
	list_for_each_safe(l, &n->records)
		persist_free(list_entry(l, struct persist, link));
	list_for_each_safe(l, &n->asked)
		asked_drop(list_entry(l, struct asked, link));
	agent_free(n->agent);
	n->agent = NULL;
	journal_free(n->journal);
	n->journal = NULL;
}
