/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tail of a loser: what a replica may have written that no current one has (doc/design/011-comeback.adoc). The record names the loser
 * (own_note_tail); its node keeps a snapshot before it connects, discarding its data by the log's word; a day later the snapshot goes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/inside.h"
#include "core/own.h"
#include "core/planners.h"

/* ---- steps ------------------------------------------------------------------------------------------- */

struct plan_step *add_tail_keep(struct plan *p, const struct state *st, const char *node, const struct instance *i)
{
	struct step_tail a;

	schema_init(&step_tail_schema, &a);
	(void)str_copy(a.uuid, sizeof(a.uuid), i->uuid);
	a.gen = i->own.tail_gen;
	a.must = i->own.tail_must == 1;
	for (int d = 0; d < i->n_disks; d++)
		part_data(st, i, d, schema_list_add(schema_find(&step_tail_schema, "volumes"), &a));
	struct plan_step *s = plan_add(p, st, STEP_KIND_tail_keep, node, &a);
	schema_done(&step_tail_schema, &a);
	return s;
}

struct plan_step *add_connect(struct plan *p, const struct state *st, const char *node, const struct instance *i, bool force)
{
	struct step_resource a;

	if (!own_tail_due(&i->own, node))
		return add_resource(p, st, STEP_KIND_drbd_connect, node, i, force);
	part_resource(i, &a);
	a.force = force;
	a.discard = 1; /* only here: the log says who lost, not DRBD's guess */
	a.tail.gen = i->own.tail_gen;
	for (int d = 0; d < i->n_disks && i->own.tail_must == 1; d++)
		part_data(st, i, d, schema_list_add(schema_find(&step_tail_ref_schema, "disks"), &a.tail));
	struct plan_step *s = plan_add(p, st, STEP_KIND_drbd_connect, node, &a);
	schema_done(&step_resource_schema, &a);
	return s;
}

/* ---- what nodes report ---------------------------------------------------------------------------------- */

const struct obs_tail *tails_kept(const struct snode *n, const char *instance_uuid, int64_t gen, int index)
{
	for (int k = 0; n && k < n->seen.n_tails; k++) {
		const struct obs_tail *t = &n->seen.tails[k];

		if (strcmp(t->instance, instance_uuid) == 0 && t->gen == gen && t->index == index)
			return t;
	}
	return NULL;
}

static bool all_kept(const struct snode *n, const struct instance *i)
{
	for (int d = 0; d < i->n_disks; d++)
		if (!tails_kept(n, i->uuid, i->own.tail_gen, d))
			return false;
	return true;
}

static bool reports_split(const struct state *st, const struct instance *i)
{
	for (int k = 0; k < i->n_nodes; k++) {
		const struct snode *n = state_node(st, i->nodes[k]);
		const struct obs_drbd *d = n && n->connected && n->seen_ms ? state_seen_drbd(n, i->uuid) : NULL;

		if (d && d->split == 1)
			return true;
	}
	return false;
}

/* The one replica that is not in current; "" = the log does not know. */
static const char *loser_of(const struct instance *i)
{
	const char *loser = "";

	for (int k = 0; k < i->n_nodes; k++)
		if (!own_current(&i->own, i->nodes[k]))
			loser = i->nodes[k];
	return i->own.n_current == 1 && own_current(&i->own, own_runner(&i->own)) ? loser : "";
}

bool tails_split(const struct state *st, const struct instance *i)
{
	return i->template == TEMPLATE_DRBD && own_confirmed(&i->own) && !loser_of(i)[0] && reports_split(st, i);
}

int tails_split_why(const struct state *st, const struct instance *i, struct err *err)
{
	const char *has = i->own.n_current == 1 ? state_node_name(st, i->own.current[0]) : "", *runner = state_node_name(st, own_runner(&i->own));

	if (!has[0])
		return err_set(err, ERR_NOT_SAFE, "both replicas of '%s' were written to while apart, and both count as current", i->name),
		       err_hint(err, "'gnt instance confirm -n NODE %s' says which one has the truth", i->name);
	/* Its owner has lost its disk, or was resynced, when the two parted: what it wrote since is nowhere else, and only the other one is complete. */
	return err_set(err, ERR_NOT_SAFE, "both replicas of '%s' were written to while apart; by the log only the one on node '%s' has every acknowledged write, "
		       "and the instance belongs on node '%s'", i->name, has, runner),
	       err_hint(err, "'gnt instance confirm -n %s %s' goes on with that one, on that node; what node '%s' wrote alone is kept (gnt disk tails)", has,
			i->name, runner);
}

static void on_split(struct core *c, struct sinstance *s)
{
	const char *loser = loser_of(&s->i);

	if (!loser[0]) {
		struct err why = ERR_INIT;

		if (!s->split_told && tails_split_why(&c->st, &s->i, &why) < 0)
			core_event(c, "ALARM: %s: nothing is overwritten; %s", why.msg, why.hint);
		s->split_told = true;
	} else if (strcmp(s->i.own.tail, loser) != 0) {
		own_note_tail(&s->i.own, loser, true);
		core_put_instance(c, s);
		core_event(c, "instance '%s': both replicas were written to while apart; by the log node '%s' lost: what it wrote is kept, then overwritten",
			   s->i.name, state_node_name(&c->st, loser));
	}
	outbox_flush(c->out);
}

void tails_observed(struct core *c, struct snode *n)
{
	for (int k = 0; k < n->seen.n_drbd; k++) {
		const struct obs_drbd *d = &n->seen.drbd[k];
		struct sinstance *s = d->uuid[0] ? state_instance(&c->st, d->uuid) : NULL;

		if (!s || s->i.template != TEMPLATE_DRBD || !own_confirmed(&s->i.own) || !strs_has(s->i.nodes, s->i.n_nodes, n->n.uuid))
			continue;
		if (d->split == 1)
			on_split(c, s);
		else if (!reports_split(&c->st, &s->i))
			s->split_told = false;
	}
}

void tails_resynced(struct core *c, struct sinstance *s, const char *loser)
{
	const struct snode *n = state_node(&c->st, loser);

	for (int k = 0; n && k < n->seen.n_tails; k++)
		if (strcmp(n->seen.tails[k].instance, s->i.uuid) == 0)
			return;
	core_event(c, "instance '%s': node '%s' has resynced, and nothing was kept of what it wrote alone: no room, or nothing acknowledged was in it", s->i.name,
		   n ? n->n.name : "?");
}

/* ---- a loser that waits for room; tails past their day ------------------------------------------------------- */

static void tell_waiting(struct core *c, struct sinstance *s)
{
	const struct instance *i = &s->i;
	const struct snode *n = state_node(&c->st, i->own.tail);

	if (!n || !n->connected || !n->seen_ms || i->own.tail_must != 1 || s->tail_told_gen == i->own.tail_gen || all_kept(n, i))
		return;
	for (int d = 0; d < i->n_disks; d++) {
		const char *pool = part_pool(&c->st, i, &i->disks[d]);
		int64_t have = state_free_disk_mib(&c->st, n, pool), need = TAIL_MIB(i->disks[d].size);

		if (have >= need || tails_kept(n, i->uuid, i->own.tail_gen, d))
			continue;
		s->tail_told_gen = i->own.tail_gen;
		core_event(c, "ALARM: instance '%s' stays without its mirror: node '%s' may hold acknowledged writes of its own, and volume group '%s' there has "
			   "%lld MiB free of the %lld MiB that keeping them takes; free some, or 'gnt disk tails --remove %s' gives them up", i->name, n->n.name,
			   pool, (long long)have, (long long)need, i->name);
		outbox_flush(c->out);
		return;
	}
}

static bool past(const struct core *c, const struct snode *n, const struct obs_tail *t)
{
	int64_t now_s = (n->seen.wall_ms + (c->st.now_ms - n->seen_ms)) / 1000; /* by the clock that dated it */

	return now_s - t->kept_s >= c->st.cluster.tail_keep_s;
}

void tails_tick(struct core *c)
{
	for (int i = 0; i < c->st.n_instances; i++)
		if (c->st.instances[i]->i.own.tail[0] && !c->st.instances[i]->busy_job)
			tell_waiting(c, c->st.instances[i]);
	for (int k = 0; k < c->st.n_nodes; k++) {
		const struct snode *n = c->st.nodes[k];

		if (!n->connected || !n->seen_ms || n->n.offline == 1)
			continue;
		for (int t = 0; t < n->seen.n_tails; t++) {
			const struct obs_tail *o = &n->seen.tails[t];
			const struct sinstance *s = state_instance(&c->st, o->instance);

			/* One that still waits for its resync is the only copy of what is about to be overwritten. */
			if (!s || s->busy_job || !past(c, n, o) || (own_tail_due(&s->i.own, n->n.uuid) && s->i.own.tail_gen == o->gen) ||
			    job_pending(c, OP_disk_remove_tail, s->i.name))
				continue;
			reconcile_file(c, OP_disk_remove_tail,
				       json_pack("{s:s, s:s, s:I}", "name", s->i.name, "node", n->n.name, "gen", (json_int_t)o->gen), "kept for its time");
		}
	}
}

/* ---- gnt disk tails -------------------------------------------------------------------------------------- */

static json_t *line(const struct core *c, const struct instance *i, const struct snode *n, int index, int64_t gen, const char *state)
{
	(void)c;
	return json_pack("{s:s, s:s, s:i, s:I, s:s}", "instance", i->name, "node", n ? n->n.name : "?", "disk", index, "gen", (json_int_t)gen, "state", state);
}

static void list_kept(const struct core *c, const struct instance *i, const struct snode *n, json_t *rows)
{
	for (int t = 0; t < n->seen.n_tails; t++) {
		const struct obs_tail *o = &n->seen.tails[t];

		if (strcmp(o->instance, i->uuid) != 0)
			continue;
		json_t *l = line(c, i, n, (int)o->index, o->gen, "kept");
		json_object_set_new(l, "size", json_integer(o->size));
		json_object_set_new(l, "kept_ms", json_integer(o->kept_s * 1000));
		json_object_set_new(l, "until_ms", json_integer((o->kept_s + c->st.cluster.tail_keep_s) * 1000));
		json_object_set_new(l, "device", json_sprintf("/dev/%s/%s", o->pool, o->volume));
		json_array_append_new(rows, l);
	}
}

static void list_due(const struct core *c, const struct sinstance *s, json_t *rows)
{
	const struct instance *i = &s->i;
	const struct snode *n = state_node(&c->st, i->own.tail);

	if (!own_tail_due(&i->own, i->own.tail))
		return;
	for (int d = 0; d < i->n_disks; d++) {
		if (tails_kept(n, i->uuid, i->own.tail_gen, d))
			continue;
		const char *state = !n || !n->connected ? "node-away" : i->own.tail_must != 1 ? "to-be-kept" : s->tail_told_gen == i->own.tail_gen ? "no-room" : "to-be-kept";
		json_t *l = line(c, i, n, d, i->own.tail_gen, state);
		json_object_set_new(l, "size", json_integer(i->disks[d].size));
		json_array_append_new(rows, l);
	}
}

int tails_list(const struct core *c, const struct op_list *a, json_t **ret, struct err *err)
{
	for (int k = 0; k < a->n_names; k++) {
		struct sinstance *s;
		int rc = state_need_instance(&c->st, a->names[k], &s, err);

		if (rc < 0)
			return rc;
	}
	*ret = json_array();
	for (int i = 0; i < c->st.n_instances; i++) {
		const struct sinstance *s = c->st.instances[i];

		if (a->n_names && !strs_has(a->names, a->n_names, s->i.name))
			continue;
		for (int k = 0; k < c->st.n_nodes; k++)
			list_kept(c, &s->i, c->st.nodes[k], *ret);
		list_due(c, s, *ret);
	}
	return 0;
}

/* A person says which side has the truth: the other one loses by the log, what it wrote is kept, and the reconciler does the rest. */
int plan_split_confirm(const struct state *st, const struct instance *i, const struct snode *n, struct plan *p, struct err *err)
{
	const char *other = state_other_node(i, n->n.uuid);
	struct step_own o;

	if (!strs_has(i->nodes, i->n_nodes, n->n.uuid))
		return err_set(err, ERR_BAD_VALUE, "node '%s' holds no replica of '%s'", n->n.name, i->name),
		       err_hint(err, "'gnt instance info %s' shows its nodes", i->name);
	for (int k = 0; k < st->n_nodes; k++)
		if (st->nodes[k] != n && st->nodes[k]->connected && state_seen_guest(st->nodes[k], i->uuid))
			return err_set(err, ERR_NOT_SAFE, "guest '%s' runs on node '%s'", i->name, st->nodes[k]->n.name),
			       err_hint(err, own_current(&i->own, st->nodes[k]->n.uuid) ? "'gnt instance shutdown %s' first; or that node has the truth" :
					"'gnt instance shutdown %s' first", i->name);
	if (!own_current(&i->own, n->n.uuid)) { /* the transaction would refuse it, and rightly */
		(void)tails_split_why(st, i, err);
		return err_wrap(err, "the replica on node '%s' is not current", n->n.name);
	}
	schema_init(&step_own_schema, &o);
	(void)str_copy(o.uuid, sizeof(o.uuid), i->uuid);
	if (strcmp(own_runner(&i->own), n->n.uuid) != 0) {
		(void)str_copy(o.node, sizeof(o.node), n->n.uuid);
		plan_add(p, st, STEP_KIND_own_failover, NULL, &o);
	}
	(void)str_copy(o.node, sizeof(o.node), other);
	plan_add(p, st, STEP_KIND_own_shrink, NULL, &o);
	o.force = 1;
	plan_add(p, st, STEP_KIND_own_tail, NULL, &o);
	p->steps[0].pivot = 1;
	(void)snprintf(p->summary, sizeof(p->summary), "take the replica of '%.40s' on %.20s for the true one", i->name, n->n.name);
	return 0;
}

int plan_disk_remove_tail(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_disk_remove_tail *a = args;
	struct step_volumes v;
	struct sinstance *s;
	struct snode *n = NULL;
	int rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc == 0)
		rc = state_need_node(st, a->node, &n, err);
	if (rc < 0)
		return rc;
	bool waits = own_tail_due(&s->i.own, n->n.uuid) && s->i.own.tail_gen == a->gen;
	schema_init(&step_volumes_schema, &v);
	(void)str_copy(v.uuid, sizeof(v.uuid), s->i.uuid);
	for (int t = 0; t < n->seen.n_tails; t++) {
		const struct obs_tail *o = &n->seen.tails[t];

		if (strcmp(o->instance, s->i.uuid) != 0 || o->gen != a->gen || v.n_volumes == DISKS_MAX)
			continue;
		struct step_volume *x = schema_list_add(schema_find(&step_volumes_schema, "volumes"), &v);
		(void)str_copy(x->backend, sizeof(x->backend), "lvm");
		(void)str_copy(x->pool, sizeof(x->pool), o->pool);
		(void)str_copy(x->name, sizeof(x->name), o->volume);
		(void)str_copy(x->owner, sizeof(x->owner), o->disk);
		x->size = o->size > 0 ? o->size : 1;
	}
	if (v.n_volumes)
		rc = state_need_usable(st, n, err);
	else if (!waits)
		rc = err_set(err, ERR_NOT_FOUND, "nothing of '%s' is kept on node '%s' from generation %lld", a->name, n->n.name, (long long)a->gen),
		(void)err_hint(err, "'gnt disk tails' shows what is");
	if (rc == 0 && waits && s->i.own.tail_must == 1) /* given up: it may be overwritten */
		add_own(ret, st, STEP_KIND_own_tail, &s->i, "", true);
	else if (rc == 0 && !v.n_volumes)
		rc = err_set(err, ERR_WRONG_STATE, "what node '%s' wrote of '%s' alone is given up already", n->n.name, a->name);
	if (rc == 0 && v.n_volumes)
		plan_add(ret, st, STEP_KIND_volume_remove, n->n.uuid, &v);
	schema_done(&step_volumes_schema, &v);
	if (rc < 0)
		return rc;
	ret->steps[0].pivot = 1;
	(void)snprintf(ret->summary, sizeof(ret->summary), "%s what '%.40s' wrote alone on %.20s", v.n_volumes ? "remove" : "give up", s->i.name, n->n.name);
	return 0;
}
