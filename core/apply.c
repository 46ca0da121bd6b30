/* SPDX-License-Identifier: Apache-2.0 */
/* MASTER steps: changes of configuration and ownership, made in memory and in the journal's own transaction. */
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/evidence.h"
#include "core/inside.h"
#include "core/own.h"
#include "core/planners.h"

static int need(struct core *c, const char *uuid, struct sinstance **ret, struct err *err)
{
	*ret = state_instance(&c->st, uuid);
	if (!*ret)
		return err_set(err, ERR_NOT_FOUND, "the instance is gone");
	return 0;
}

static int instance_insert(struct core *c, enum step_dir dir, const void *args, struct err *err)
{
	const struct instance *i = args;
	struct sinstance *there = state_instance_named(&c->st, i->name);

	if (dir == STEP_UNDO_DIR) {
		char key[80];

		if (!there || strcmp(there->i.uuid, i->uuid) != 0)
			return 0;
		(void)snprintf(key, sizeof(key), "/gantry/instance/%s", i->uuid);
		outbox_put(c->out, key, NULL);
		state_delete_instance(&c->st, i->uuid);
		return 0;
	}
	if (there)
		return strcmp(there->i.uuid, i->uuid) == 0 ? 0 : err_set(err, ERR_EXISTS, "instance '%s' exists", i->name);
	there = state_put_instance(&c->st, i);
	core_put_instance(c, there);
	core_send_gens(c, there);
	return 0;
}

static int instance_delete(struct core *c, enum step_dir dir, const void *args, struct err *err)
{
	const struct step_ref *r = args;
	char key[80];

	(void)dir;
	(void)err;
	if (!state_instance(&c->st, r->uuid))
		return 0;
	(void)snprintf(key, sizeof(key), "/gantry/instance/%s", r->uuid);
	outbox_put(c->out, key, NULL);
	state_delete_instance(&c->st, r->uuid);
	return 0;
}

static int instance_admin(struct core *c, enum step_dir dir, const void *args, struct err *err)
{
	const struct step_admin *a = args;
	struct sinstance *s;
	int rc = need(c, a->uuid, &s, err);

	if (rc < 0)
		return dir == STEP_UNDO_DIR ? 0 : rc;
	s->i.admin_state = dir == STEP_UNDO_DIR ? a->previous : a->state;
	s->tries = s->crashes = 0; /* a person's word */
	s->next_try_ms = s->next_start_ms = 0;
	s->ran = false;
	core_put_instance(c, s);
	return 0;
}

static int instance_params(struct core *c, enum step_dir dir, const void *args, struct err *err)
{
	const struct step_params *p = args;
	struct sinstance *s;
	int rc = need(c, p->uuid, &s, err);

	if (rc < 0)
		return dir == STEP_UNDO_DIR ? 0 : rc;
	enum ha_policy was = state_ha_policy(&c->st, &s->i);
	schema_done(&beparams_schema, &s->i.be);
	schema_done(&hvparams_schema, &s->i.hv);
	schema_copy(&beparams_schema, &s->i.be, dir == STEP_UNDO_DIR ? &p->old_be : &p->be);
	schema_copy(&hvparams_schema, &s->i.hv, dir == STEP_UNDO_DIR ? &p->old_hv : &p->hv);
	if (state_ha_policy(&c->st, &s->i) != was)
		s->i.ha_rev++; /* a guard under another policy says nothing */
	core_put_instance(c, s);
	core_send_gens(c, s);
	return 0;
}

/* Its disks and its DRBD resource keep theirs (doc/design/016-rename.adoc): this transaction is all there is of it. */
static int instance_rename(struct core *c, const void *args, struct err *err)
{
	const struct step_rename *a = args;
	struct sinstance *s;
	int rc = need(c, a->uuid, &s, err);

	if (rc < 0)
		return rc;
	if (state_instance_named(&c->st, a->name))
		return err_set(err, ERR_EXISTS, "instance '%s' exists", a->name);
	AUTO_FREE char *was = xstrdup(s->i.name), *resource = xstrdup(part_resource_name(&s->i));
	free(s->i.resource);
	s->i.resource = s->i.template == TEMPLATE_DRBD && strcmp(resource, a->name) != 0 ? TAKE(resource) : NULL;
	state_rename_instance(&c->st, s, a->name);
	core_put_instance(c, s);
	core_event(c, "instance '%s' is called '%s' from now on", was, a->name);
	return 0;
}

static int instance_disk(struct core *c, const void *args, struct err *err)
{
	const struct step_disk *a = args;
	struct sinstance *s;
	int rc = need(c, a->uuid, &s, err);

	if (rc < 0)
		return rc;
	if (a->disk >= s->i.n_disks)
		return err_set(err, ERR_NOT_FOUND, "instance '%s' has no disk %lld", s->i.name, (long long)a->disk);
	if (a->size > s->i.disks[a->disk].size)
		s->i.disks[a->disk].size = a->size;
	core_put_instance(c, s);
	return 0;
}

/* ---- ownership: every one of these is a move of core/own.c ------------------------------------ */

/* H7: who stays in current has lost its disk, by its node's last report: then it is the other one that must stay. */
static bool would_leave_lost(const struct core *c, const struct sinstance *s, const char *leaver)
{
	for (int i = 0; i < s->i.own.n_current; i++) {
		const struct snode *n = state_node(&c->st, s->i.own.current[i]);
		const struct obs_drbd *d = n && strcmp(n->n.uuid, leaver) != 0 ? state_seen_drbd(n, s->i.uuid) : NULL;

		if (d && d->marked == 1)
			return true;
	}
	return false;
}

static int own_move(struct core *c, enum step_kind kind, enum step_dir dir, const void *args, struct err *err)
{
	const struct step_own *a = args;
	struct sinstance *s;
	int rc = need(c, a->uuid, &s, err);

	if (rc < 0)
		return dir == STEP_UNDO_DIR ? 0 : rc;
	struct ownership *o = &s->i.own;
	int64_t wall = c->st.wall_ms;

	if (kind == STEP_KIND_own_both) /* the Primary's report makes it so (H1), a moment after DRBD */
		return o->n_current == 2 ? 0 : err_set(err, ERR_DEGRADED, "the mirror of '%s' is not current yet", s->i.name);

	if (dir == STEP_DO && own_check_confirmed(o, err) < 0)
		return err_wrap(err, "instance '%s'", s->i.name);
	bool any_gen = kind == STEP_KIND_own_settle || (kind == STEP_KIND_own_pivot && !RULE(PIVOT_CURRENT));
	if (dir == STEP_DO && a->gen != FIELD_UNSET && a->gen != o->gen && !any_gen)
		return err_set(err, ERR_CONFLICT, "the ownership of '%s' has changed since this was planned (generation %lld, now %lld)",
			       s->i.name, (long long)a->gen, (long long)o->gen),
		       err_hint(err, "look at it with 'gnt instance info %s' and repeat the command", s->i.name);
	if (kind == STEP_KIND_own_failover && a->evidence != EVIDENCE_NONE && !evidence_holds(&c->st, &s->i, (enum evidence)a->evidence))
		return err_set(err, ERR_NO_EVIDENCE, "instance '%s': what the failover rests on (%s) does not hold any more", s->i.name,
			       evidence_names[a->evidence]),
		       err_hint(err, "its node may be back: 'gnt node list'");
	switch (kind) {
	case STEP_KIND_own_migrate:
		if (dir == STEP_UNDO_DIR)
			own_migrate_undo(o);
		else
			rc = own_migrate(o, a->node, state_lives_on_mirror(&c->st, &s->i), err);
		break;
	case STEP_KIND_own_migrate_end: own_migrate_undo(o); break;
	case STEP_KIND_own_pivot: rc = own_pivot(o, a->node, wall, err); break;
	case STEP_KIND_own_settle: rc = own_settle(o, a->node, wall, err); break;
	case STEP_KIND_own_failover:
		rc = own_failover(o, a->node, a->evidence == EVIDENCE_NONE, a->force == 1, (enum evidence)a->evidence, a->evidence_text, wall, err);
		break;
	case STEP_KIND_own_shrink:
		rc = would_leave_lost(c, s, a->node) ? err_set(err, ERR_NOT_SAFE, "the replica that would stay has lost its disk") : own_shrink(o, a->node, wall, err);
		break;
	case STEP_KIND_own_leave:
		if (dir == STEP_UNDO_DIR) {
			own_return(o, a->node, wall);
			break;
		}
		for (int k = 0; rc == 0 && k < o->n_current; k++)
			rc = strcmp(o->current[k], a->node) != 0 ? word_need_good(c, s, o->current[k], err) : 0;
		rc = rc == 0 ? own_leave(o, a->node, wall, err) : rc;
		break;
	case STEP_KIND_own_return: own_return(o, a->node, wall); break;
	case STEP_KIND_own_arbitrate: rc = own_arbitrate(o, a->on == 1, wall, err); break;
	case STEP_KIND_own_tail:
		if (a->node[0])
			own_note_tail(o, a->node, a->force == 1);
		else
			own_give_up_tail(o);
		break;
	default: return err_set(err, ERR_INTERNAL, "step '%s' is no move of ownership", step_infos[kind].name);
	}
	if (rc < 0)
		return err_wrap(err, "instance '%s'", s->i.name);
	core_put_instance(c, s);
	core_send_gens(c, s);
	core_event(c, "instance '%s': %s: owner %s, %d current, generation %lld%s%s", s->i.name, step_infos[kind].summary,
		   state_node_name(&c->st, o->owner), o->n_current, (long long)o->gen,
		   kind == STEP_KIND_own_failover && o->evidence_text ? ", evidence: " : "",
		   kind == STEP_KIND_own_failover && o->evidence_text ? o->evidence_text : "");
	return 0;
}

static int replicas(struct core *c, const void *args, struct err *err)
{
	const struct step_replicas *a = args;
	struct sinstance *s;
	int rc = need(c, a->uuid, &s, err);

	if (rc == 0)
		rc = own_check_confirmed(&s->i.own, err);
	for (int k = 0; rc == 0 && k < a->n_nodes; k++) /* nothing of it was in the record yet, that would have kept it in the cluster */
		if (!state_node(&c->st, a->nodes[k]))
			rc = err_set(err, ERR_NOT_FOUND, "the node that should hold a replica of '%s' was removed from the cluster", s->i.name);
	for (int k = 0; rc == 0 && k < a->n_current; k++)
		rc = word_need_good(c, s, a->current[k], err);
	if (rc == 0)
		rc = own_replicas(&s->i.own, a->current, a->n_current, c->st.wall_ms, err);
	if (rc < 0)
		return rc;
	strs_clear(&s->i.nodes, &s->i.n_nodes);
	for (int i = 0; i < a->n_nodes; i++)
		strs_add(&s->i.nodes, &s->i.n_nodes, a->nodes[i]);
	if (!strs_has(s->i.nodes, s->i.n_nodes, s->i.own.tail))
		own_note_tail(&s->i.own, "", false);
	core_put_instance(c, s);
	core_send_gens(c, s);
	return 0;
}

static int confirm(struct core *c, const void *args, struct err *err)
{
	const struct step_replicas *a = args;
	struct sinstance *s;
	int rc = need(c, a->uuid, &s, err);

	if (rc == 0)
		rc = own_confirm(&s->i.own, a->current, a->n_current, c->st.wall_ms, err);
	if (rc < 0)
		return rc;
	if (s->i.template == TEMPLATE_DRBD && a->n_current == 1) /* by a person's word: the other may have more */
		own_note_tail(&s->i.own, state_other_node(&s->i, a->current[0]), true);
	core_put_instance(c, s);
	core_send_gens(c, s);
	return 0;
}

/* ---- nodes, cluster ------------------------------------------------------------------------------ */

static int node_insert(struct core *c, enum step_dir dir, const void *args, struct err *err)
{
	const struct node *n = args;

	if (dir == STEP_UNDO_DIR) {
		char key[80];

		(void)snprintf(key, sizeof(key), "/gantry/node/%s", n->uuid);
		outbox_put(c->out, key, NULL);
		state_delete_node(&c->st, n->uuid);
		core_send_settings(c, NULL);
		return 0;
	}
	struct snode *there = state_node_named(&c->st, n->name);
	if (there && strcmp(there->n.uuid, n->uuid) != 0)
		return err_set(err, ERR_EXISTS, "node '%s' exists", n->name);
	core_put_node(c, state_put_node(&c->st, n));
	core_send_settings(c, NULL);
	return 0;
}

static int node_change(struct core *c, enum step_dir dir, const void *args, struct err *err)
{
	const struct step_node *a = args;
	struct snode *n = state_node(&c->st, a->after.uuid);

	if (!n)
		return dir == STEP_UNDO_DIR ? 0 : err_set(err, ERR_NOT_FOUND, "node '%s' is gone", a->after.name);
	struct node to;
	schema_copy(&node_schema, &to, dir == STEP_UNDO_DIR ? &a->before : &a->after);
	if (!a->before.fence && !a->after.fence && n->n.fence)
		to.fence = xstrdup(n->n.fence);
	bool anew = a->before.evidence_wrong == 1 && a->after.evidence_wrong != 1; /* known to be off as before, by a new word */
	if (a->before.offline == a->after.offline)
		to.offline = n->n.offline;
	to.watchdog_proven_ms = n->n.watchdog_proven_ms;
	if (a->before.liveness == a->after.liveness && !anew) { /* it was about something else: what was learnt meanwhile stays */
		to.liveness = n->n.liveness;
		to.evidence = n->n.evidence;
		to.evidence_wrong = n->n.evidence_wrong;
		free(to.evidence_text);
		to.evidence_text = n->n.evidence_text ? xstrdup(n->n.evidence_text) : NULL;
		(void)str_copy(to.evidence_boot, sizeof(to.evidence_boot), n->n.evidence_boot);
	} else {
		n->suspect = false;
		core_event(c, "node '%s' is %s%s%s", to.name, liveness_names[to.liveness], to.liveness == NODE_FENCED ? ": " : "",
			   to.liveness == NODE_FENCED && to.evidence_text ? to.evidence_text : "");
	}
	n = state_put_node(&c->st, &to);
	schema_done(&node_schema, &to);
	core_put_node(c, n);
	core_send_settings(c, NULL);
	return 0;
}

static int node_delete(struct core *c, const void *args, struct err *err)
{
	const struct step_ref *r = args;
	char key[80];

	for (int i = 0; i < c->st.n_instances; i++)
		if (strs_has(c->st.instances[i]->i.nodes, c->st.instances[i]->i.n_nodes, r->uuid))
			return err_set(err, ERR_WRONG_STATE, "instance '%s' has a disk on the node", c->st.instances[i]->i.name);
	(void)snprintf(key, sizeof(key), "/gantry/node/%s", r->uuid);
	outbox_put(c->out, key, NULL);
	state_delete_node(&c->st, r->uuid);
	core_send_settings(c, NULL);
	return 0;
}

static int cluster_change(struct core *c, const void *args)
{
	struct cluster copy;

	schema_copy(&cluster_schema, &copy, args);
	copy.ha_rev = c->st.cluster.ha_rev + (copy.be.ha != c->st.cluster.be.ha);
	schema_done(&cluster_schema, &c->st.cluster);
	c->st.cluster = copy;
	core_put_cluster(c);
	core_send_settings(c, NULL);
	for (int i = 0; i < c->st.n_nodes; i++)
		core_send_node_gens(c, c->st.nodes[i]->n.uuid);
	return 0;
}

static int token_delete(struct core *c, const void *args, struct err *err)
{
	const struct step_ref *r = args;
	struct state *st = &c->st;
	char key[64];

	for (int i = 0; i < st->n_tokens; i++)
		if (strcmp(st->tokens[i].id, r->uuid) == 0) {
			(void)snprintf(key, sizeof(key), "/gantry/token/%s", r->uuid);
			outbox_put(c->out, key, NULL);
			schema_done(&token_schema, &st->tokens[i]);
			st->tokens[i] = st->tokens[--st->n_tokens];
			return 0;
		}
	return err_set(err, ERR_BAD_TOKEN, "the join token has been used or has expired");
}

static int run(struct core *c, enum step_kind kind, enum step_dir dir, const void *args, struct err *err)
{
	switch (kind) {
	case STEP_KIND_instance_insert: return instance_insert(c, dir, args, err);
	case STEP_KIND_instance_delete: return instance_delete(c, dir, args, err);
	case STEP_KIND_instance_admin: return instance_admin(c, dir, args, err);
	case STEP_KIND_instance_params: return instance_params(c, dir, args, err);
	case STEP_KIND_instance_rename: return instance_rename(c, args, err);
	case STEP_KIND_instance_disk: return instance_disk(c, args, err);
	case STEP_KIND_own_replicas: return replicas(c, args, err);
	case STEP_KIND_own_confirm: return confirm(c, args, err);
	case STEP_KIND_node_insert: return node_insert(c, dir, args, err);
	case STEP_KIND_node_change: return node_change(c, dir, args, err);
	case STEP_KIND_node_delete: return node_delete(c, args, err);
	case STEP_KIND_cluster_change: return cluster_change(c, args);
	case STEP_KIND_token_delete: return token_delete(c, args, err);
	case STEP_KIND_noop_master: {
		const struct step_noop *n = args;

		return n->fail == 1 && dir == STEP_DO ? err_set(err, ERR_WRONG_STATE, "failed as asked") : 0;
	}
	default: return own_move(c, kind, dir, args, err);
	}
}

int apply_step(struct core *c, enum step_kind kind, enum step_dir dir, const json_t *args, struct err *err)
{
	const struct schema *s = step_infos[kind].args;
	void *a = xcalloc(1, s->size);
	AUTO_JSON json_t *none = json_object();
	int rc = schema_decode(s, a, args ? args : none, err);

	if (rc == 0) {
		rc = run(c, kind, dir, a, err);
		schema_done(s, a);
	}
	free(a);
	return rc;
}
