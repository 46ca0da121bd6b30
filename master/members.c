/* SPDX-License-Identifier: Apache-2.0 */
/* etcd membership steps: found by peer URL, so that each may be repeated. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "core/state.h"
#include "master/bridge.h"

struct member_call {
	struct master *m;
	int64_t epoch;
	int64_t job;
	int index;
	enum step_dir dir;
	enum step_kind kind;
	struct step_member args;
};

static void finish(struct member_call *c, int rc, const struct err *err)
{
	struct master *m = c->m;

	/* A new core (another epoch) asks again by itself. */
	if (m->core && m->term.epoch == c->epoch)
		core_store_step_done(m->core, c->job, c->index, c->dir, rc, err);
	schema_done(&step_member_schema, &c->args);
	free(c);
}

static void changed(void *arg, int rc, const struct err *err, const struct store_member *list, int n)
{
	(void)list;
	(void)n;
	finish(arg, rc, err);
}

static void listed(void *arg, int rc, const struct err *err, const struct store_member *list, int n)
{
	struct member_call *c = arg;
	const struct store_member *found = NULL;
	struct store *s = c->m->store;

	if (rc < 0) {
		finish(c, rc, err);
		return;
	}
	for (int i = 0; i < n; i++)
		if (strcmp(list[i].peer_url, c->args.peer_url) == 0)
			found = &list[i];
	/* A promotion is undone by the removal: once its etcd is stopped, a voter of two takes the majority with it (doc/design/005). */
	bool remove = c->kind == STEP_KIND_member_remove || c->dir == STEP_UNDO_DIR;
	if (remove) {
		if (found)
			store_etcd_member_remove(s, found->id, changed, c);
		else
			finish(c, 0, NULL);
	} else if (c->kind == STEP_KIND_member_add) {
		if (found)
			finish(c, 0, NULL);
		else
			store_etcd_member_add(s, c->args.peer_url, true, changed, c);
	} else if (!found) {
		struct err gone = ERR_INIT;

		(void)err_set(&gone, ERR_WRONG_STATE, "etcd has no member at '%s'", c->args.peer_url);
		finish(c, -gone.code, &gone);
	} else if (found->learner) {
		store_etcd_member_promote(s, found->id, changed, c);
	} else {
		finish(c, 0, NULL);
	}
}

void master_store_step(struct master *m, const struct core_action *a)
{
	struct member_call *c = xcalloc(1, sizeof(*c));

	*c = (struct member_call){ .m = m, .epoch = m->term.epoch, .job = a->job, .index = a->index, .dir = a->dir, .kind = a->step };
	schema_copy(&step_member_schema, &c->args, a->member);
	store_etcd_members(m->store, listed, c);
}

void master_follow_voters(struct master *m)
{
	const struct state *st = core_state(m->core);
	char *urls[VOTERS_MAX + 1] = { NULL };
	int n = 0;

	for (int pass = 0; pass < 2; pass++) /* our own member first: it answers without a network */
		for (int i = 0; i < st->n_nodes && n < VOTERS_MAX; i++) {
			const struct node *v = &st->nodes[i]->n;

			if (v->candidate == 1 && (strcmp(v->uuid, m->self) == 0) == (pass == 0))
				urls[n++] = xasprintf(strchr(v->address, ':') ? "https://[%s]:%d" : "https://%s:%d", v->address,
						      (int)m->conf.etcd_client_port);
		}
	if (n)
		store_etcd_set_endpoints(m->store, (const char *const *)urls);
	for (int i = 0; i < n; i++)
		free(urls[i]);
}
