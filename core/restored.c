/* SPDX-License-Identifier: Apache-2.0 */
#include "core/restored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/own.h"
#include "core/planners.h"
#include "core/term.h"

/* ---- judging ---------------------------------------------------------------------------------------- */

static bool there(const struct snode *n)
{
	return n && n->connected && n->seen_ms;
}

/*
 * A person has said that it is off: it is not waited for. That its power was seen off is not enough: its replica may be the one that went on alone,
 * and it can come back and say so.
 */
static bool gone(const struct snode *n)
{
	return n && (n->n.offline == 1 || (n->n.liveness == NODE_FENCED && n->n.evidence == EVIDENCE_PERSON));
}

struct sight { /* what is seen of an instance, cluster-wide */
	const struct snode *node[REPLICAS_MAX];
	const struct obs_drbd *drbd[REPLICAS_MAX];
	bool guest[REPLICAS_MAX];
	int n, n_guests;
};

static int say(char why[160], const char *fmt, ...) PRINTF(2, 3);
static int say(char why[160], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, 160, fmt, ap);
	va_end(ap);
	return 0;
}

/* False: something has not been seen yet, or does not fit. */
static bool look(const struct state *st, const struct instance *i, struct sight *s, char why[160])
{
	memset(s, 0, sizeof(*s));
	for (int k = 0; k < st->n_nodes; k++) {
		const struct snode *n = st->nodes[k];

		if (n->connected && state_seen_guest(n, i->uuid) && !strs_has(i->nodes, i->n_nodes, n->n.uuid))
			return say(why, "its guest is on node '%s', which the backup does not name as one of its nodes", n->n.name);
	}
	for (int k = 0; k < i->n_nodes; k++) {
		const struct snode *n = state_node(st, i->nodes[k]);

		if (!n)
			return say(why, "one of its nodes is not in the cluster");
		if (!there(n) && !gone(n))
			return say(why, "node '%s' has not reported yet", n->n.name);
		s->node[s->n] = n;
		s->drbd[s->n] = there(n) ? state_seen_drbd(n, i->uuid) : NULL;
		s->guest[s->n] = there(n) && state_seen_guest(n, i->uuid);
		s->n_guests += s->guest[s->n++];
	}
	if (s->n_guests > 1)
		return say(why, "its guest is on two nodes: one of them must be ended by hand");
	return true;
}

static bool primary(const struct obs_drbd *d)
{
	return d && d->up == 1 && strcmp(d->role, "Primary") == 0;
}

/* Both ends say of each other that all is there, and neither has lost its disk. */
static bool in_sync(const struct sight *s)
{
	return s->n == 2 && s->drbd[0] && s->drbd[1] && s->drbd[0]->in_sync == 1 && s->drbd[1]->in_sync == 1 && s->drbd[0]->marked != 1 &&
	       s->drbd[1]->marked != 1;
}

static int judge_drbd(const struct instance *i, const struct sight *s, const char *ret[REPLICAS_MAX], char why[160])
{
	int at = -1;

	if (s->n == 2 && primary(s->drbd[0]) && primary(s->drbd[1]))
		return say(why, "both of its replicas are Primary");
	for (int k = 0; k < s->n; k++)
		if (s->guest[k] || (s->n_guests == 0 && primary(s->drbd[k])))
			at = k;
	if (at < 0) { /* it runs nowhere: only replicas that hold the same are known to be current */
		if (!in_sync(s))
			return say(why, "it does not run, and its replicas have not met in sync");
		at = strcmp(s->node[1]->n.uuid, i->own.owner) == 0;
	} else {
		const struct obs_drbd *d = s->drbd[at];

		if (!primary(d) || strcmp(d->disk, "UpToDate") != 0 || d->marked == 1)
			return say(why, "the replica of node '%s', where it runs, is not Primary and UpToDate", s->node[at]->n.name);
		if (d->suspended == 1 && !in_sync(s) && !(s->n == 2 && gone(s->node[1 - at])))
			return say(why, "it is frozen on node '%s': its mirror may have gone on alone", s->node[at]->n.name);
	}
	ret[0] = s->node[at]->n.uuid;
	if (!in_sync(s))
		return 1;
	ret[1] = s->node[1 - at]->n.uuid;
	return 2;
}

static int judge_single(const struct instance *i, const struct sight *s, const char *ret[REPLICAS_MAX], char why[160])
{
	if (s->n < 1 || !there(s->node[0]))
		return say(why, "its node is off");
	for (int d = 0; d < i->n_disks && !s->guest[0]; d++)
		if (!strs_has(s->node[0]->seen.volumes, s->node[0]->seen.n_volumes, i->disks[d].uuid))
			return say(why, "its disk %d is not on node '%s'", d, s->node[0]->n.name);
	ret[0] = s->node[0]->n.uuid;
	return 1;
}

int restored_judge(const struct state *st, const struct instance *i, const char *ret_current[REPLICAS_MAX], char ret_why[160])
{
	struct sight s;

	ret_why[0] = '\0';
	if (!look(st, i, &s, ret_why))
		return 0;
	return i->template == TEMPLATE_DRBD ? judge_drbd(i, &s, ret_current, ret_why) : judge_single(i, &s, ret_current, ret_why);
}

bool restored_wants_disks(const struct state *st, const struct instance *i)
{
	struct sight s;
	char why[160];
	bool down = false;

	if (i->template != TEMPLATE_DRBD || !look(st, i, &s, why) || s.n_guests)
		return false;
	for (int k = 0; k < s.n; k++) {
		if (!there(s.node[k]) || !s.drbd[k])
			return false;
		down = down || s.drbd[k]->up != 1;
	}
	return down;
}

/* ---- acting ------------------------------------------------------------------------------------------- */

static void confirm(struct core *c, struct sinstance *s)
{
	const char *current[REPLICAS_MAX] = { NULL };
	char why[160];
	struct err err = ERR_INIT;
	int n = restored_judge(&c->st, &s->i, current, why);

	if (n == 0 || s->busy_job)
		return;
	char *list[REPLICAS_MAX] = { NULL };
	for (int k = 0; k < n; k++)
		list[k] = (char *)(uintptr_t)current[k];
	if (own_confirm(&s->i.own, list, n, c->st.wall_ms, &err) < 0)
		return;
	const struct snode *owner = state_node(&c->st, s->i.own.owner);
	/* What runs is left alone: somebody started it after the backup was made. */
	if (owner && state_seen_guest(owner, s->i.uuid))
		s->i.admin_state = ADMIN_UP;
	core_put_instance(c, s);
	core_send_gens(c, s);
	core_event(c, "instance '%s': confirmed by its nodes: owner %s, %d current, generation %lld", s->i.name, owner ? owner->n.name : "?", n,
		   (long long)s->i.own.gen);
	outbox_flush(c->out);
}

void restored_tick(struct core *c)
{
	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct snode *n = c->st.nodes[i];

		if (n->n.former_voter == 1 && n->connected && !job_pending(c, OP_node_cleanse, n->n.name))
			reconcile_file(c, OP_node_cleanse, json_pack("{s:s}", "name", n->n.name), NULL);
	}
	for (int i = 0; i < c->st.n_instances; i++)
		if (!own_confirmed(&c->st.instances[i]->i.own))
			confirm(c, c->st.instances[i]);
}

/* ---- plans ---------------------------------------------------------------------------------------------- */

int plan_instance_confirm(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_instance_confirm *a = args;
	struct step_replicas r;
	struct sinstance *s;
	struct snode *n;
	int rc = state_need_instance(st, a->name, &s, err);

	(void)rng;
	if (rc == 0)
		rc = state_need_node(st, a->node, &n, err);
	if (rc < 0)
		return rc;
	if (tails_split(st, &s->i))
		return plan_split_confirm(st, &s->i, n, ret, err);
	if (own_confirmed(&s->i.own))
		return err_set(err, ERR_WRONG_STATE, "instance '%s' is confirmed: owner and current are known", a->name),
		       err_hint(err, "'gnt instance info %s' shows them", a->name);
	if (!strs_has(s->i.nodes, s->i.n_nodes, n->n.uuid))
		return err_set(err, ERR_BAD_VALUE, "node '%s' holds no replica of '%s'", n->n.name, a->name),
		       err_hint(err, "'gnt instance info %s' shows its nodes", a->name);
	if (!there(n))
		return err_set(err, ERR_NODE_DOWN, "node '%s' does not answer", n->n.name);
	for (int i = 0; i < st->n_nodes; i++)
		if (st->nodes[i] != n && st->nodes[i]->connected && state_seen_guest(st->nodes[i], s->i.uuid))
			return err_set(err, ERR_NOT_SAFE, "guest '%s' is on node '%s'", a->name, st->nodes[i]->n.name),
			       err_hint(err, "that node has the truth, or end its guest by hand first");
	schema_init(&step_replicas_schema, &r);
	(void)str_copy(r.uuid, sizeof(r.uuid), s->i.uuid);
	strs_add(&r.current, &r.n_current, n->n.uuid);
	plan_add(ret, st, STEP_KIND_own_confirm, NULL, &r)->pivot = 1;
	schema_done(&step_replicas_schema, &r);
	(void)snprintf(ret->summary, sizeof(ret->summary), "take the replica of '%.40s' on %.20s for current", a->name, n->n.name);
	return 0;
}

int plan_node_cleanse(const struct state *st, const void *args, struct rng *rng, struct plan *ret, struct err *err)
{
	const struct op_node_name *a = args;
	struct step_node change;
	struct step_none none;
	struct snode *n;
	int rc = state_need_node(st, a->name, &n, err);

	(void)rng;
	if (rc < 0)
		return rc;
	if (n->n.former_voter != 1 || strcmp(n->n.uuid, st->self) == 0)
		return err_set(err, ERR_WRONG_STATE, "nothing of a dead cluster is left on node '%s'", n->n.name);
	schema_init(&step_none_schema, &none);
	plan_add(ret, st, STEP_KIND_masterd_stop, n->n.uuid, &none)->pivot = 1;
	plan_add(ret, st, STEP_KIND_etcd_stop, n->n.uuid, &none);
	schema_init(&step_node_schema, &change);
	schema_copy(&node_schema, &change.before, &n->n);
	schema_copy(&node_schema, &change.after, &n->n);
	change.after.former_voter = 0;
	plan_add(ret, st, STEP_KIND_node_change, NULL, &change);
	schema_done(&step_node_schema, &change);
	(void)snprintf(ret->summary, sizeof(ret->summary), "stop what is left of the dead cluster's voter on '%s'", n->n.name);
	return 0;
}

/* ---- the first transaction of a restored cluster ------------------------------------------------------------ */

static int next_incarnation(const struct backup *b, int64_t seen_epoch, int64_t *ret, struct err *err)
{
	int64_t of_epoch = (seen_epoch > b->epoch ? seen_epoch : b->epoch) / EPOCHS_PER_INCARNATION;
	int64_t n = (of_epoch > b->cluster.incarnation ? of_epoch : b->cluster.incarnation) + 1;

	if (n > INCARNATIONS_MAX)
		return err_set(err, ERR_TOO_BIG, "the cluster has been restored %d times", INCARNATIONS_MAX),
		       err_hint(err, "make a new one with 'gnt cluster init'");
	*ret = n;
	return 0;
}

static int restore_nodes(struct backup *b, const char *first, const char *said, struct core_put *p, int *n, struct err *err)
{
	bool found = false;

	for (int i = 0; i < b->n_nodes; i++) {
		struct node *o = &b->nodes[i];
		bool me = strcmp(o->uuid, first) == 0;

		o->former_voter = o->former_voter == 1 || (o->candidate == 1 && !me);
		o->candidate = me;
		o->member_id[0] = '\0';
		if (me) {
			o->former_voter = o->offline = o->drained = 0;
			found = true;
		}
		/* What was known of boots and power is about another time. */
		o->liveness = NODE_ONLINE;
		o->evidence = EVIDENCE_NONE;
		free(o->evidence_text);
		o->evidence_text = NULL;
		o->evidence_boot[0] = '\0';
		o->evidence_wrong = 0;
		if (said && o->former_voter == 1) { /* a person's word; back, it waits for another one */
			o->offline = 1;
			o->liveness = NODE_FENCED;
			o->evidence = EVIDENCE_PERSON;
			o->evidence_text = xasprintf("a person confirmed that it is off, when the cluster was recovered%s%.300s", said[0] ? ": " : "", said);
		}
		p[(*n)++] = (struct core_put){ xasprintf("/gantry/node/%s", o->uuid), schema_encode_text(&node_schema, o) };
	}
	return found ? 0 : err_set(err, ERR_NOT_FOUND, "this node is not in the backup");
}

int core_restore(struct backup *b, const char *first, const char *said, int64_t seen_epoch, int64_t wall_ms, struct core_put **ret, int *ret_n,
		 struct err *err)
{
	int64_t incarnation = 0;
	struct secret secret;
	int n = 0, rc = next_incarnation(b, seen_epoch, &incarnation, err);

	if (rc < 0)
		return rc;
	rc = schema_check(&cluster_schema, &b->cluster, err);
	if (rc < 0)
		return err_wrap(err, "the backup's cluster");
	if (!b->ca_key)
		return err_set(err, ERR_BAD_VALUE, "the backup has no secrets: the nodes would not trust the new cluster"),
		       err_hint(err, "only a backup made with 'gnt cluster backup --secrets FILE' can be restored");
	struct core_put *p = xcalloc((size_t)(b->n_nodes + b->n_instances) + 8, sizeof(*p));
	b->cluster.incarnation = incarnation;
	/* Nodes take no permission or policy under a number below one they have heard, and an old guard must not fit a new permission. */
	b->cluster.ha_rev = incarnation * GENS_PER_INCARNATION + b->cluster.ha_rev % GENS_PER_INCARNATION;
	b->cluster.arbitration = 0; /* one voter: on again from the third */
	p[n++] = (struct core_put){ xstrdup("/gantry/cluster"), schema_encode_text(&cluster_schema, &b->cluster) };
	schema_init(&secret_schema, &secret);
	secret.ca_key = xstrdup(b->ca_key);
	p[n++] = (struct core_put){ xstrdup("/gantry/secret"), schema_encode_text(&secret_schema, &secret) };
	schema_done(&secret_schema, &secret);
	p[n++] = (struct core_put){ xstrdup("/gantry/lastjob"), xasprintf("%lld", (long long)(incarnation * JOBS_PER_INCARNATION)) };
	p[n++] = (struct core_put){ xstrdup(CORE_INCARNATION_KEY), xasprintf("%lld", (long long)incarnation) };
	p[n++] = (struct core_put){ xstrdup(TERM_SEQ), xstrdup("0 0") };
	rc = restore_nodes(b, first, said, p, &n, err);
	for (int i = 0; i < b->n_instances; i++) {
		own_from_backup(&b->instances[i].own, incarnation, wall_ms);
		b->instances[i].guard_node[0] = '\0'; /* who guards it is seen anew */
		b->instances[i].guard_rev = 0;
		p[n++] = (struct core_put){ xasprintf("/gantry/instance/%s", b->instances[i].uuid),
					    schema_encode_text(&instance_schema, &b->instances[i]) };
	}
	if (rc < 0) {
		core_puts_free(p, n);
		return rc;
	}
	*ret = p;
	*ret_n = n;
	return 0;
}
