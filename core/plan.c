/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/own.h"
#include "core/planners.h"

void plan_init(struct plan *p)
{
	memset(p, 0, sizeof(*p));
}

void plan_done(struct plan *p)
{
	for (int i = 0; i < p->n_steps; i++)
		schema_done(&plan_step_schema, &p->steps[i]);
	free(p->steps);
	free(p->reservations);
	json_decref(p->result);
	plan_init(p);
}

struct plan_step *plan_add(struct plan *p, const struct state *st, enum step_kind kind, const char *node_uuid, const void *args)
{
	(void)st;
	assert(p->n_steps < STEPS_MAX);
	p->steps = xrealloc(p->steps, (size_t)(p->n_steps + 1) * sizeof(*p->steps));
	struct plan_step *s = &p->steps[p->n_steps++];

	schema_init(&plan_step_schema, s);
	(void)str_copy(s->kind, sizeof(s->kind), step_infos[kind].name);
	(void)str_copy(s->node, sizeof(s->node), node_uuid ? node_uuid : "");
	s->args = schema_encode(step_infos[kind].args, args);
	int64_t needs = schema_needs(step_infos[kind].args, args, NULL);
	p->needs_level = needs > p->needs_level ? needs : p->needs_level;
	(void)str_copy(s->text, sizeof(s->text), step_infos[kind].summary);
	return s;
}

void plan_reserve(struct plan *p, const char *node, const char *vg, int64_t memory_mib, int64_t disk_mib)
{
	p->reservations = xrealloc(p->reservations, (size_t)(p->n_reservations + 1) * sizeof(*p->reservations));
	struct reservation *r = &p->reservations[p->n_reservations++];

	memset(r, 0, sizeof(*r));
	(void)str_copy(r->node, sizeof(r->node), node);
	(void)str_copy(r->vg, sizeof(r->vg), vg);
	r->memory_mib = memory_mib;
	r->disk_mib = disk_mib;
}

static plan_fn *const planners[OP_COUNT] = {
	[OP_cluster_modify] = plan_cluster_modify,
	[OP_cluster_arbitrate] = plan_cluster_arbitrate,
	[OP_cluster_renew_crypto] = plan_renew_crypto,
	[OP_node_modify] = plan_node_modify,
	[OP_node_remove] = plan_node_remove,
	[OP_node_fence] = plan_node_fence,
	[OP_node_maintenance] = plan_node_maintenance,
	[OP_node_admit] = plan_node_admit,
	[OP_node_promote] = plan_node_promote,
	[OP_instance_add] = plan_instance_add,
	[OP_instance_startup] = plan_instance_startup,
	[OP_instance_shutdown] = plan_instance_shutdown,
	[OP_instance_reboot] = plan_instance_reboot,
	[OP_instance_remove] = plan_instance_remove,
	[OP_instance_modify] = plan_instance_modify,
	[OP_instance_migrate] = plan_instance_migrate,
	[OP_instance_failover] = plan_instance_failover,
	[OP_instance_replace_disks] = plan_replace_disks,
	[OP_instance_activate_disks] = plan_activate_disks,
	[OP_instance_deactivate_disks] = plan_deactivate_disks,
	[OP_instance_converge] = plan_instance_converge,
	[OP_instance_confirm] = plan_instance_confirm,
	[OP_instance_rename] = plan_instance_rename,
	[OP_instance_grow_disk] = plan_grow_disk,
	[OP_node_cleanse] = plan_node_cleanse,
	[OP_disk_remove_tail] = plan_disk_remove_tail,
	[OP_debug_noop] = plan_debug_noop,
};

plan_fn *plan_for(enum op_index op)
{
	return planners[op];
}

/* Of an instance whose ownership record is from a backup nothing is ordered but what finds out, or removes it. */
static int check_confirmed(const struct state *st, enum op_index op, const void *args, struct err *err)
{
	if (op_infos[op].lock != OP_LOCK_INSTANCE || op == OP_instance_confirm || op == OP_instance_converge || op == OP_instance_remove || op == OP_disk_remove_tail)
		return 0;
	const struct sinstance *s = state_instance_named(st, args);

	return s && own_check_confirmed(&s->i.own, err) < 0 ? err_wrap(err, "instance '%s'", s->i.name) : 0;
}

/* A split that the log does not know: whatever connects or promotes would decide it. */
static int check_split(const struct state *st, enum op_index op, const void *args, struct err *err)
{
	static const enum op_index ops[] = { OP_instance_startup, OP_instance_reboot, OP_instance_migrate, OP_instance_failover, OP_instance_replace_disks,
					     OP_instance_activate_disks, OP_instance_converge, OP_instance_grow_disk };
	const struct sinstance *s = op_infos[op].lock == OP_LOCK_INSTANCE ? state_instance_named(st, args) : NULL;

	for (size_t i = 0; s && i < ARRAY_SIZE(ops); i++)
		if (op == ops[i] && tails_split(st, &s->i))
			return tails_split_why(st, &s->i, err);
	return 0;
}

int plan_run(const struct state *st, enum op_index op, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	int rc = check_confirmed(st, op, args, err);

	if (rc == 0)
		rc = check_split(st, op, args, err);
	if (rc == 0)
		rc = planners[op](st, args, rng, ret, err);
	/* A node of an older version would refuse the step, or worse: not see what makes it another one. */
	if (rc == 0 && ret->needs_level > st->cluster.schema_version) {
		rc = err_set(err, ERR_VERSION, "this needs level %lld, the cluster is at %lld", (long long)ret->needs_level,
			     (long long)st->cluster.schema_version);
		(void)err_hint(err, "upgrade Gantry on all nodes; 'gnt cluster verify' names those that are behind");
	}
	return rc;
}

/* A change of arbitration goes through instances one by one: none of them may move meanwhile. */
static void lock_arbitrated(const struct state *st, bool on, char ***ret_locks, int *ret_n)
{
	const struct sinstance *whom[ARBITRATE_AT_ONCE];
	char lock[NAME_LEN + 16];

	for (int n = plan_arbitrate_whom(st, on, whom), i = 0; i < n; i++) {
		(void)snprintf(lock, sizeof(lock), "instance:%s", whom[i]->i.name);
		strs_add(ret_locks, ret_n, lock);
	}
}

int plan_locks(const struct state *st, enum op_index op, const void *args, char ***ret_locks, int *ret_n, struct err *err)
{
	/* Every request that locks an instance or a node names it in its first field, "name". */
	const char *name = args;
	char lock[NAME_LEN + 16];
	struct snode *n;
	int rc;

	switch (op_infos[op].lock) {
	case OP_LOCK_NONE:
		return 0;
	case OP_LOCK_CLUSTER:
		strs_add(ret_locks, ret_n, "cluster");
		if (op == OP_cluster_arbitrate)
			lock_arbitrated(st, ((const struct op_cluster_arbitrate *)args)->on == 1, ret_locks, ret_n);
		else if (op == OP_cluster_modify && ((const struct op_cluster_modify *)args)->arbitration >= 0)
			lock_arbitrated(st, ((const struct op_cluster_modify *)args)->arbitration == 1, ret_locks, ret_n);
		return 0;
	case OP_LOCK_NODE:
		rc = state_need_node(st, name, &n, err);
		if (rc < 0)
			return rc;
		(void)snprintf(lock, sizeof(lock), "node:%s", name);
		strs_add(ret_locks, ret_n, lock);
		return 0;
	case OP_LOCK_INSTANCE:
	default:
		(void)snprintf(lock, sizeof(lock), "instance:%s", name);
		strs_add(ret_locks, ret_n, lock);
		if (op == OP_instance_rename) { /* nobody else takes the name, and the job finds its instance by it in the end */
			(void)snprintf(lock, sizeof(lock), "instance:%s", ((const struct op_instance_rename *)args)->new_name);
			strs_add(ret_locks, ret_n, lock);
		}
		return 0;
	}
}

/* ---- one request, several jobs ---------------------------------------------------------------- */

static void add_job(json_t *list, enum op_index op, json_t *args)
{
	json_array_append_new(list, json_pack("{s:s, s:o}", "op", op_infos[op].name, "args", args));
}

static int evacuate(const struct state *st, const struct op_node_evacuate *a, json_t *list, struct err *err)
{
	struct snode *n, *to;
	int rc = state_need_node(st, a->name, &n, err);

	if (rc == 0 && a->new_secondary[0])
		rc = state_need_node(st, a->new_secondary, &to, err);
	if (rc == 0 && a->primary_only == 1 && a->secondary_only == 1)
		rc = err_set(err, ERR_BAD_REQUEST, "--primary-only and --secondary-only leave nothing to move"), (void)err_hint(err, "both are moved without either");
	if (rc < 0)
		return rc;
	for (int i = 0; i < st->n_instances; i++) {
		const struct instance *in = &st->instances[i]->i;

		if (!strs_has(in->nodes, in->n_nodes, n->n.uuid) || in->template != TEMPLATE_DRBD)
			continue;
		bool primary = strcmp(in->own.owner, n->n.uuid) == 0;
		if (primary && a->secondary_only != 1)
			add_job(list, in->admin_state == ADMIN_UP ? OP_instance_migrate : OP_instance_failover,
				json_pack("{s:s}", "name", in->name));
		if (a->primary_only == 1 || (primary && a->secondary_only == 1))
			continue;
		/* Should the guest's move fail, its other mirror must not be moved in its place. */
		json_t *args = json_pack("{s:s, s:s}", "name", in->name, "from", n->n.name);
		if (a->new_secondary[0])
			json_object_set_new(args, "new_secondary", json_string(a->new_secondary));
		else
			json_object_set_new(args, "new_secondary", json_string("auto"));
		add_job(list, OP_instance_replace_disks, args);
	}
	return 0;
}

int plan_which_replica(const struct op_replace_disks *a, struct err *err)
{
	bool several = a->new_secondary[0] || a->on_primary == 1 || a->on_secondary == 1;

	return err_set(err, ERR_BAD_REQUEST, several ? "only one replica can be rebuilt at a time" : "say which replica to rebuild"),
	       err_hint(err, "one of -n NODE (new mirror), -s or -p");
}

/*
 * replace-disks -p: the guest goes to its mirror, the replica it left is made anew as any mirror, the guest comes back. Three jobs, because
 * each has a point of no return of its own; each is refused when the one before it has not done its part (doc/design/004-migration.adoc).
 */
static int rebuild_primary(const struct state *st, const struct op_replace_disks *a, json_t *list, struct err *err)
{
	struct sinstance *s;
	struct snode *from = NULL, *to = NULL;
	int rc = state_need_instance(st, a->name, &s, err);

	if (rc == 0 && s->i.template != TEMPLATE_DRBD)
		rc = err_set(err, ERR_WRONG_STATE, "instance '%s' has no mirror: its disk template is '%s'", a->name, template_names[s->i.template]);
	if (rc == 0 && (a->new_secondary[0] || a->on_secondary == 1))
		rc = plan_which_replica(a, err);
	if (rc == 0)
		rc = need_owner(st, &s->i, &from, err);
	if (rc < 0)
		return rc;
	to = state_node(st, state_other_node(&s->i, from->n.uuid));
	if (!to)
		return err_set(err, ERR_DEGRADED, "instance '%s' has no mirror", a->name), err_hint(err, "'gnt instance replace-disks -n NODE %s'", a->name);
	bool runs = s->i.admin_state == ADMIN_UP;
	if (!own_current(&s->i.own, to->n.uuid))
		return err_set(err, ERR_DEGRADED, "the mirror of '%s' on node '%s' is not current: the replica on '%s' is the only good one", a->name, to->n.name,
			       from->n.name),
		       err_hint(err, "'gnt instance replace-disks -s %s' rebuilds the mirror", a->name);
	/* Its replica is not current, and it does not live on its mirror's either, as far as is known: only a restart moves it there. Nothing is lost by that. */
	bool dead = runs && !own_current(&s->i.own, from->n.uuid) && (a->restart == 1 || !state_lives_on_mirror(st, &s->i));
	if (dead && a->restart != 1)
		return err_set(err, ERR_DEGRADED, "guest '%s' runs on node '%s' without a current disk there, nor with its mirror's: it cannot be migrated",
			       a->name, from->n.name),
		       err_hint(err, "'gnt instance replace-disks -p --restart %s' restarts it on its mirror first; no write is lost", a->name);
	enum op_index move = runs ? OP_instance_migrate : OP_instance_failover;
	add_job(list, dead ? OP_instance_failover : move, json_pack("{s:s, s:s}", "name", a->name, "from", from->n.name));
	add_job(list, OP_instance_replace_disks, json_pack("{s:s, s:s, s:b}", "name", a->name, "from", from->n.name, "on_secondary", 1));
	add_job(list, move, json_pack("{s:s, s:s}", "name", a->name, "from", to->n.name));
	return 0;
}

static int each_primary(const struct state *st, const char *name, bool failover, bool ignore, json_t *list, struct err *err)
{
	struct snode *n;
	int rc = state_need_node(st, name, &n, err);

	if (rc < 0)
		return rc;
	for (int i = 0; i < st->n_instances; i++) {
		const struct instance *in = &st->instances[i]->i;

		if (strcmp(in->own.owner, n->n.uuid) != 0 || in->template != TEMPLATE_DRBD)
			continue;
		if (!failover && in->admin_state != ADMIN_UP)
			continue;
		json_t *args = json_pack("{s:s}", "name", in->name);
		if (ignore)
			json_object_set_new(args, "ignore_consistency", json_true());
		add_job(list, failover ? OP_instance_failover : OP_instance_migrate, args);
	}
	return 0;
}

/* Of guests that are wanted up, whose both nodes answer, and whose replicas are not connected. The reconciler does the same, in its own time. */
static void broken_disks(const struct state *st, json_t *list)
{
	for (int i = 0; i < st->n_instances; i++) {
		const struct sinstance *s = st->instances[i];
		const struct snode *owner = state_node(st, own_runner(&s->i.own)), *mirror = state_node(st, state_other_node(&s->i, own_runner(&s->i.own)));
		struct err err = ERR_INIT;

		if (s->i.template != TEMPLATE_DRBD || s->i.admin_state != ADMIN_UP || s->busy_job || !own_confirmed(&s->i.own) || tails_split(st, &s->i) ||
		    !owner || !mirror || state_need_usable(st, owner, &err) < 0 || state_need_usable(st, mirror, &err) < 0)
			continue;
		const struct obs_drbd *d = state_seen_drbd(owner, s->i.uuid);
		if (!d || d->up != 1 || strcmp(d->conn, "Connected") != 0)
			add_job(list, OP_instance_converge, json_pack("{s:s}", "name", s->i.name));
	}
}

int plan_fan_out(const struct state *st, enum op_index op, const void *args, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *list = json_array();
	int rc;

	if (op == OP_node_migrate) {
		rc = each_primary(st, ((const struct op_node_name *)args)->name, false, false, list, err);
	} else if (op == OP_node_failover) {
		const struct op_node_failover *f = args;

		rc = each_primary(st, f->name, true, f->ignore_consistency == 1, list, err);
	} else if (op == OP_node_evacuate) {
		rc = evacuate(st, args, list, err);
	} else if (op == OP_cluster_verify_disks) {
		broken_disks(st, list);
		rc = 0;
	} else if (op == OP_instance_replace_disks && ((const struct op_replace_disks *)args)->on_primary == 1) {
		rc = rebuild_primary(st, args, list, err);
	} else {
		return err_set(err, ERR_NOT_SUPPORTED, "one request, one job");
	}
	if (rc == 0)
		*ret = TAKE(list);
	return rc;
}

int plan_debug_noop(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_debug_noop *a = args;
	struct step_noop s;
	struct snode *n = NULL;

	(void)rng;
	if (a->node[0]) {
		int rc = state_need_node(st, a->node, &n, err);

		if (rc < 0)
			return rc;
	}
	schema_init(&step_noop_schema, &s);
	s.delay_ms = a->delay_ms;
	s.fail = a->fail;
	plan_add(ret, st, n ? STEP_KIND_noop : STEP_KIND_noop_master, n ? n->n.uuid : NULL, &s)->pivot = 1;
	(void)snprintf(ret->summary, sizeof(ret->summary), "do nothing on %s", n ? n->n.name : "the master");
	return 0;
}
