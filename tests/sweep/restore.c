/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring from a backup that is older than what happened since, on the sweep's world (real core, model nodes whose checker cries when a
 * guest runs twice or a stale replica is written). Each case says what must become of the guest; a case that cannot be decided must wait.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/own.h"
#include "core/state.h"
#include "core/term.h"
#include "tests/sweep/world.h"

#define ADD_VM1 "{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"node\":\"node1:node2\",\"no_install\":true}"
#define ADD_HA "{\"name\":\"vm1\",\"disk\":[{\"size\":1024}],\"node\":\"node2:node3\",\"no_install\":true,\"be\":{\"ha\":\"failover\"}}"
#define FENCE_NODE2 "{\"name\":\"node2\",\"fence\":\"agent=fence_ipmilan,ip=192.0.2.9\"}"
#define VM1 "{\"name\":\"vm1\"}"

static int failed;

#define MUST(w, cond)                                                                                    \
	do {                                                                                             \
		if (!(cond)) {                                                                           \
			(void)printf("%s: line %d: not so: %s (%s)\n", name, __LINE__, #cond, (w)->why);  \
			failed++;                                                                        \
		}                                                                                        \
	} while (0)

static json_t *make_backup(struct world *w, bool secrets)
{
	(void)world_request(w, "cluster.export", secrets ? "{\"secrets\":true}" : "{}");
	world_run(w, 2000);
	AUTO_JSON json_t *reply = NULL;
	struct err err = ERR_INIT;
	int rc = json_parse(w->last_reply, strlen(w->last_reply), MESSAGE_MAX, &reply, &err);

	assert(rc == 0);
	json_t *b = json_incref(json_object_get(reply, "result"));
	(void)json_object_del(b, "change");
	return b;
}

static const char *said; /* not NULL: the last voter's own copy */

/* The store is lost; a new one holds what the backup says. */
static int restore(struct world *w, const json_t *b, struct err *err)
{
	struct backup back;
	struct core_put *puts = NULL;
	int n = 0;
	int rc = schema_decode(&backup_schema, &back, b, err);

	if (rc < 0)
		return rc;
	rc = core_restore(&back, w->nodes[0].uuid, said, w->epoch, 1700000000000 + w->now_ms, &puts, &n, err);
	int64_t incarnation = back.cluster.incarnation;
	schema_done(&backup_schema, &back);
	if (rc < 0)
		return rc;
	core_puts_free(w->kvs, w->n_kvs);
	w->kvs = puts;
	w->n_kvs = n;
	w->seq = 0;
	w->epoch = incarnation * EPOCHS_PER_INCARNATION; /* the next master's is above it */
	world_master_crash(w);
	return 0;
}

static const struct instance *vm1(struct world *w)
{
	const struct sinstance *s = state_instance_named(core_state(w->core), "vm1");

	return s ? &s->i : NULL;
}

static int runs_at(struct world *w)
{
	int node = -1;

	return world_guest_runs(w, vm1(w)->uuid, &node) ? node : -1;
}

static bool owned_by(struct world *w, int node, int n_current)
{
	return vm1(w)->own.unconfirmed != 1 && strcmp(vm1(w)->own.owner, w->nodes[node].uuid) == 0 && vm1(w)->own.n_current == n_current;
}

static struct world *with_vm1(const char *name, bool arbitrated)
{
	struct world *w = world_new(world_seed(7), 4, arbitrated);
	int64_t job = world_request(w, "instance.add", ADD_VM1);

	MUST(w, world_settle(w, 120000));
	MUST(w, strcmp(world_job_state(w, job), "success") == 0);
	return w;
}

static void nothing_happened_since(bool arbitrated)
{
	const char *name = "nothing happened since";
	struct world *w = with_vm1(name, arbitrated);
	AUTO_JSON json_t *b = make_backup(w, true);
	struct err err = ERR_INIT;
	int64_t gen = vm1(w)->own.gen;

	MUST(w, restore(w, b, &err) == 0);
	MUST(w, vm1(w)->own.unconfirmed == 1);
	MUST(w, world_settle(w, 120000));
	MUST(w, owned_by(w, 0, 2));
	MUST(w, vm1(w)->own.gen > gen + GENS_PER_INCARNATION / 2);
	MUST(w, runs_at(w) == 0);
	/* And it works: jobs are numbered above the old ones, nodes take their orders. */
	int64_t job = world_request(w, "instance.migrate", VM1);
	MUST(w, job > JOBS_PER_INCARNATION);
	MUST(w, world_settle(w, 120000));
	MUST(w, strcmp(world_job_state(w, job), "success") == 0);
	MUST(w, runs_at(w) == 1);
	world_free(w);
}

/* The backup names node1 as the owner; the guest is on node2 since. It must not be ended there, nor started on node1. */
static void migrated_since(bool arbitrated)
{
	const char *name = "migrated since";
	struct world *w = with_vm1(name, arbitrated);
	AUTO_JSON json_t *b = make_backup(w, true);
	struct err err = ERR_INIT;

	(void)world_request(w, "instance.migrate", VM1);
	MUST(w, world_settle(w, 120000));
	MUST(w, restore(w, b, &err) == 0);
	for (int i = 0; i < 60; i++) {
		world_run(w, 1000);
		MUST(w, runs_at(w) == 1);
	}
	MUST(w, world_settle(w, 120000));
	MUST(w, owned_by(w, 1, 2));
	world_free(w);
}

/* A node with a replica stays away: what it holds is not known, so nothing is decided. A person decides. */
static void a_node_is_lost(bool arbitrated)
{
	const char *name = "a node is lost";
	struct world *w = with_vm1(name, arbitrated);
	AUTO_JSON json_t *b = make_backup(w, true);
	struct err err = ERR_INIT;

	world_node_down(w, 1);
	world_run(w, 30000);
	MUST(w, restore(w, b, &err) == 0);
	world_run(w, 60000);
	MUST(w, vm1(w)->own.unconfirmed == 1);
	MUST(w, runs_at(w) == 0); /* it runs on */
	int64_t job = world_request(w, "instance.shutdown", VM1);
	world_run(w, 5000);
	MUST(w, strcmp(world_job_state(w, job), "error") == 0);
	MUST(w, runs_at(w) == 0);
	job = world_request(w, "instance.confirm", "{\"name\":\"vm1\",\"node\":\"node1\"}");
	MUST(w, world_settle(w, 120000));
	MUST(w, strcmp(world_job_state(w, job), "success") == 0);
	MUST(w, owned_by(w, 0, 1));
	MUST(w, runs_at(w) == 0);
	world_free(w);
}

/* All is off and comes up again: the replicas meet as Secondaries before anything is started. */
static void power_was_cut(bool arbitrated)
{
	const char *name = "power was cut";
	struct world *w = with_vm1(name, arbitrated);
	AUTO_JSON json_t *b = make_backup(w, true);
	struct err err = ERR_INIT;

	(void)world_request(w, "instance.migrate", VM1);
	MUST(w, world_settle(w, 120000));
	for (int i = 0; i < 4; i++)
		world_node_down(w, i);
	world_run(w, 1000);
	MUST(w, restore(w, b, &err) == 0);
	for (int i = 0; i < 4; i++)
		world_node_up(w, i);
	MUST(w, world_settle(w, 300000));
	world_run(w, 60000);
	MUST(w, world_settle(w, 300000));
	MUST(w, owned_by(w, 0, 2));
	MUST(w, runs_at(w) == 0);
	world_free(w);
}

static void fence_agent(struct world *w, const char *name)
{
	int64_t job = world_request(w, "node.modify", FENCE_NODE2);

	MUST(w, world_settle(w, 60000));
	MUST(w, strcmp(world_job_state(w, job), "success") == 0);
}

/*
 * High availability reads the same record: the node that the backup calls the owner stays silent, had guarded the guest, has a fence agent, and its peer
 * says that it is cut off from it. All that a failover by itself rests on is there, and all of it is about another time.
 */
static void not_failed_over_by_itself(bool agent)
{
	const char *name = agent ? "not shot" : "not failed over by itself";
	struct world *w = world_new(world_seed(7), 4, true);
	struct err err = ERR_INIT;

	(void)world_request(w, "instance.add", ADD_HA);
	MUST(w, world_settle(w, 120000));
	if (agent)
		fence_agent(w, name);
	world_run(w, 10000);
	MUST(w, strcmp(vm1(w)->guard_node, w->nodes[1].uuid) == 0);
	AUTO_JSON json_t *b = make_backup(w, true);
	(void)json_object_set_new(json_object_get(b, "cluster"), "candidate_pool_size", json_integer(3)); /* with it arbitration comes back */
	int64_t rev = state_ha_rev(core_state(w->core), vm1(w));

	world_node_down(w, 1);
	MUST(w, restore(w, b, &err) == 0);
	world_run(w, 120000);
	const struct state *st = core_state(w->core);
	const struct sinstance *s = state_instance_named(st, "vm1");
	MUST(w, st->cluster.arbitration == 1); /* so it could */
	MUST(w, state_node(st, w->nodes[1].uuid)->n.liveness == NODE_LOST);
	MUST(w, s->i.own.unconfirmed == 1 && strcmp(s->i.own.owner, w->nodes[1].uuid) == 0);
	MUST(w, !s->ha_key && s->ha_tries == 0); /* not even tried */
	MUST(w, !s->i.guard_node[0] && state_ha_rev(st, &s->i) > rev + GENS_PER_INCARNATION / 2);
	MUST(w, w->shots == 0);
	MUST(w, runs_at(w) < 0);
	MUST(w, !world_request(w, "cluster.ha_report", "{}") && strstr(w->last_reply, "not confirmed"));
	world_node_up(w, 1); /* the replicas meet, and it is known again */
	world_run(w, 60000);
	MUST(w, world_settle(w, 300000));
	MUST(w, vm1(w)->own.unconfirmed != 1 && vm1(w)->own.n_current == 2);
	MUST(w, runs_at(w) >= 0);
	MUST(w, !w->failed);
	world_free(w);
}

/* The last voter goes on from its own copy: the others are off by a person's word, and wait for one. */
static void recovered(void)
{
	const char *name = "recovered";
	struct world *w = with_vm1(name, true);
	AUTO_JSON json_t *b = make_backup(w, true);
	struct err err = ERR_INIT;
	int lost = 0;

	for (int i = 1; i < 4; i++)
		world_node_down(w, i);
	said = "burnt down";
	MUST(w, restore(w, b, &err) == 0);
	said = NULL;
	world_run(w, 60000);
	for (int i = 1; i < w->n_nodes; i++) {
		const struct node *n = &state_node(core_state(w->core), w->nodes[i].uuid)->n;

		MUST(w, n->candidate != 1);
		if (n->former_voter == 1) {
			lost++;
			MUST(w, n->liveness == NODE_FENCED && n->evidence == EVIDENCE_PERSON && n->offline == 1 && strstr(n->evidence_text, "burnt down"));
		} else { /* it never voted: nobody has said anything of it */
			MUST(w, n->liveness == NODE_LOST && n->offline != 1);
		}
	}
	MUST(w, lost == 2);
	MUST(w, owned_by(w, 0, 1) && runs_at(w) == 0); /* what runs here is confirmed by its node alone: the other is known to be off */
	/* One is back: offline until a person lets it. */
	world_node_up(w, 1);
	world_run(w, 60000);
	MUST(w, state_node(core_state(w->core), w->nodes[1].uuid)->n.offline == 1 && vm1(w)->own.n_current == 1);
	(void)world_request(w, "node.modify", "{\"name\":\"node2\",\"offline\":false}");
	world_run(w, 400000);
	MUST(w, state_node(core_state(w->core), w->nodes[1].uuid)->n.liveness == NODE_ONLINE);
	MUST(w, owned_by(w, 0, 2) && runs_at(w) == 0);
	world_free(w);
}

static void refusals(void)
{
	const char *name = "refusals";
	struct world *w = with_vm1(name, false);
	AUTO_JSON json_t *open = make_backup(w, false), *b = make_backup(w, true);
	AUTO_FREE char *text = json_text(open);
	struct err err = ERR_INIT;

	MUST(w, !strstr(text, "\"secret\"") && !strstr(text, "ca_key"));
	MUST(w, restore(w, open, &err) == -ERR_BAD_VALUE);
	err_clear(&err);
	(void)json_object_set_new(json_object_get(b, "cluster"), "incarnation", json_integer(INCARNATIONS_MAX));
	MUST(w, restore(w, b, &err) == -ERR_TOO_BIG);
	world_free(w);
}

int main(void)
{
	for (int a = 0; a < 2; a++) {
		nothing_happened_since(a == 1);
		migrated_since(a == 1);
		a_node_is_lost(a == 1);
		power_was_cut(a == 1);
	}
	not_failed_over_by_itself(false);
	not_failed_over_by_itself(true);
	recovered();
	refusals();
	(void)printf("restore: %d failed\n", failed);
	return failed ? 1 : 0;
}
