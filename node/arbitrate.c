/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk arbitration on the node's side (doc/design/003 H3-H6, H13, H14): counts connection losses, asks the master
 * when a resource is frozen, carries the verdict to DRBD. An answer for another loss, another boot or an older epoch is dropped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rule.h"
#include "common/xmem.h"
#include "node/guard.h"
#include "node/node.h"
#include "storage/storage.h"

#define ASK_AGAIN_MS 1000

struct gen_entry *arbitrate_entry(struct noded *n, const char *instance)
{
	for (int i = 0; i < n->n_gens; i++)
		if (strcmp(n->gens[i].instance, instance) == 0)
			return &n->gens[i];
	return NULL;
}

void arbitrate_gens(struct noded *n, const struct msg_gens *m)
{
	if (RULE(NODE_EPOCH) && m->epoch < agent_highest_epoch(n->agent))
		return;
	for (int i = 0; i < m->n_gens; i++) {
		const struct msg_gen *g = &m->gens[i];
		struct gen_entry *e = arbitrate_entry(n, g->instance);

		if (!e) {
			n->gens = xrealloc(n->gens, (size_t)(n->n_gens + 1) * sizeof(*n->gens));
			e = &n->gens[n->n_gens++];
			memset(e, 0, sizeof(*e));
			(void)str_copy(e->instance, sizeof(e->instance), g->instance);
		}
		if (g->gen < e->gen)
			continue; /* the highest per object counts (H10) */
		e->gen = g->gen;
		e->arbitrated = g->arbitrated == 1;
		e->current = g->current == 1;
		e->owner = g->owner == 1;
		if (g->ha_rev >= e->ha_rev) {
			e->ha_rev = g->ha_rev;
			e->ha = g->ha == 1;
		}
	}
	guard_gens(n);
	observe_now(n); /* reports carry the generation that was known before the look (H1) */
}

static const struct obs_drbd *seen(const struct noded *n, const char *instance)
{
	for (int i = 0; i < n->seen.n_drbd; i++)
		if (strcmp(n->seen.drbd[i].uuid, instance) == 0)
			return &n->seen.drbd[i];
	return NULL;
}

/* May its disk stand alone? A Primary's must be UpToDate; one that is about to be promoted after a boot knows itself as Consistent (H4). */
static bool fit(const struct obs_drbd *d)
{
	if (!d || (RULE(MARK) && d->marked == 1))
		return false;
	return strcmp(d->disk, "UpToDate") == 0 || (strcmp(d->disk, "Consistent") == 0 && strcmp(d->role, "Secondary") == 0);
}

/* It was seen to be without its disk, and has not been seen with it again. */
static bool has_lost(const struct gen_entry *e, const struct obs_drbd *d)
{
	return e->lost_gen || (d && d->marked == 1);
}

static void ask(struct noded *n, struct gen_entry *e, const struct obs_drbd *d, bool shrink)
{
	struct msg_ask a;

	schema_init(&msg_ask_schema, &a);
	(void)str_copy(a.instance, sizeof(a.instance), e->instance);
	(void)str_copy(a.boot_id, sizeof(a.boot_id), n->boot);
	a.number = e->losses;
	a.gen = e->gen;
	a.uptodate = fit(d) && !n->drbd_mute; /* what is known is old: the disk may be lost meanwhile (H4) */
	a.shrink = shrink;
	a.lost_gen = shrink ? e->lost_gen : 0;
	e->asked_ms = loop_now_ms(n->loop);
	uplink_send(n, "ask", &msg_ask_schema, &a);
}

/* ---- what DRBD is told, on a worker --------------------------------------------------------------- */

struct carry {
	struct noded *node;
	char resource[NAME_LEN + 1];
	char instance[UUID_LEN + 1];
	bool yes;
};

/* The agent's own yes, when no handler waits: the loss must still be the same, so the connection is cut first (H3). */
static int carry_yes(struct drbdm *d, const char *res, struct err *err)
{
	struct drbd_status st;
	int rc = RULE(CUT_FIRST) ? d->ops->disconnect(d, res, true, err) : 0;

	if (rc == 0)
		rc = d->ops->status(d, res, &st, err);
	if (rc < 0)
		return rc;
	if (!st.suspended_fencing || st.conn == DRBD_CONN_CONNECTED)
		return d->ops->connect(d, res, false, err); /* it has thawed by itself: nothing is to be resumed */
	rc = d->ops->resume_io(d, res, err);
	return rc == 0 ? d->ops->connect(d, res, false, err) : rc;
}

/*
 * A Secondary that asked whether it may be promoted has lost nothing by a "no". By then it may be connected again, and current: taken down it would
 * part politely, and the Primary would go on unasked while the log lists both (H8).
 */
static bool nothing_to_end(struct drbdm *d, const char *res)
{
	struct drbd_status st;
	struct err err = ERR_INIT;

	return RULE(END_PRIMARY) && d->ops->status(d, res, &st, &err) == 0 && st.up && st.role == DRBD_ROLE_SECONDARY && !st.suspended_fencing;
}

/* Another owner was committed: the guest ends here. The order is H13's; drbd_down with force keeps it. */
static int carry_no(struct noded *n, struct carry *c, struct err *err)
{
	if (nothing_to_end(n->env.drbd, c->resource))
		return 0;
	struct step_guest_ref g;
	struct step_resource r;
	struct err first = ERR_INIT;
	json_t *none = NULL;

	schema_init(&step_resource_schema, &r);
	(void)str_copy(r.uuid, sizeof(r.uuid), c->instance);
	(void)str_copy(r.resource, sizeof(r.resource), c->resource);
	r.force = 1;
	schema_init(&step_guest_ref_schema, &g);
	(void)str_copy(g.uuid, sizeof(g.uuid), c->instance);
	g.force = 1;
	struct exec_call kill = { .kind = STEP_KIND_guest_destroy, .dir = STEP_DO, .args = &g };
	struct exec_call down = { .kind = STEP_KIND_drbd_down, .dir = STEP_DO, .args = &r };
	/* A job may demote it this very moment: what is connected is cut plainly, so that its Primary asks before it goes on (H8, H9). */
	int rc = n->env.drbd->ops->disconnect(n->env.drbd, c->resource, RULE(HARD_CUT), &first);
	if (rc < 0)
		log_err_record(LOG_LEVEL_WARNING, "loser's connection", &first);
	/* A process in frozen I/O cannot die before its I/O is ended: the first try may run into its deadline. */
	err_clear(&first);
	rc = exec_run(&n->env, &down, &none, &first);
	if (rc < 0)
		log_err_record(LOG_LEVEL_WARNING, "loser's disks", &first);
	rc = exec_run(&n->env, &kill, &none, err);
	return rc < 0 ? rc : exec_run(&n->env, &down, &none, err);
}

static int carry_work(void *arg, struct err *err)
{
	struct carry *c = arg;

	return c->yes ? carry_yes(c->node->env.drbd, c->resource, err) : carry_no(c->node, c, err);
}

static void carry_done(void *arg, int rc, const struct err *err)
{
	struct carry *c = arg;

	if (rc < 0)
		log_err_record(LOG_LEVEL_ERR, c->yes ? "going on alone" : "ending the loser", err);
	if (!c->node->stopping) {
		struct gen_entry *e = arbitrate_entry(c->node, c->instance);

		if (e && c->yes)
			e->going_on = false;
		else if (e)
			e->ending = false; /* still frozen: asked and told again */
		observe_now(c->node);
	}
	free(c);
}

static void carry(struct noded *n, struct gen_entry *e, bool yes)
{
	const struct obs_drbd *d = seen(n, e->instance);
	struct carry *c;

	if (!d)
		return;
	c = xcalloc(1, sizeof(*c));
	c->node = n;
	c->yes = yes;
	e->ending = !yes;
	e->going_on = yes;
	(void)str_copy(c->resource, sizeof(c->resource), d->resource);
	(void)str_copy(c->instance, sizeof(c->instance), e->instance);
	struct worker_job job = { .work = carry_work, .done = carry_done, .arg = c };
	/* A lane of its own: the instance's lane may be held by a step that waits for the frozen disk. */
	AUTO_FREE char *lane = xasprintf("arbitrate %s", c->instance);
	workers_submit(n->workers, lane, &job);
}

/* ---- handlers: DRBD's own question ------------------------------------------------------------------- */

static int answer_handlers(struct noded *n, const char *instance, int64_t number, const char *verdict)
{
	int answered = 0;

	list_for_each_safe(l, &n->handlers) {
		struct handler_call *h = list_entry(l, struct handler_call, link);

		if (strcmp(h->instance, instance) != 0)
			continue;
		/* An answer is never shared across losses (H3): a handler of another one is told "not now". */
		local_answer(h->server, &h->from, h->id, json_pack("{s:s}", "verdict", h->number == number || !RULE(ASK_NUMBER) ? verdict : "not-now"), NULL);
		list_del(l);
		free(h);
		answered++;
	}
	return answered;
}

void arbitrate_handler(struct noded *n, struct nano_server *s, const struct nano_from *from, const struct msg_request *r)
{
	const char *event = json_str(r->args, "event", ""), *instance = "";
	const char *resource = json_str(r->args, "resource", "");
	struct gen_entry *e = NULL;

	for (int i = 0; i < n->seen.n_drbd; i++)
		if (strcmp(n->seen.drbd[i].resource, resource) == 0)
			instance = n->seen.drbd[i].uuid;
	if (instance[0])
		e = arbitrate_entry(n, instance);
	log_notice("DRBD calls '%s' for resource '%s'", event, resource);
	observe_now(n);
	if (strcmp(event, "fence-peer") != 0 || !e || n->drbd_mute) {
		local_answer(s, from, r->id, json_pack("{s:s}", "verdict", "not-now"), NULL);
		return;
	}
	struct handler_call *h = xcalloc(1, sizeof(*h));
	h->server = s;
	h->from = *from;
	(void)str_copy(h->id, sizeof(h->id), r->id);
	(void)str_copy(h->instance, sizeof(h->instance), instance);
	if (e->connected) { /* it tells of a loss that no report has shown yet */
		e->connected = false;
		e->losses++;
	}
	h->number = e->losses;
	list_add_tail(&n->handlers, &h->link);
	ask(n, e, seen(n, instance), false);
}

/* ---- verdicts --------------------------------------------------------------------------------------------- */

void arbitrate_verdict(struct noded *n, const struct msg_verdict *v)
{
	struct gen_entry *e = arbitrate_entry(n, v->instance);

	if (!e || (RULE(NODE_EPOCH) && v->epoch < agent_highest_epoch(n->agent)) || strcmp(v->boot_id, n->boot) != 0)
		return;
	if (v->gen > e->gen)
		e->gen = v->gen;
	if (RULE(ASK_NUMBER) && v->number != e->losses) {
		log_notice("verdict for loss %lld of %s dropped: %lld now", (long long)v->number, v->instance, (long long)e->losses);
		return;
	}
	log_notice("verdict for %s, loss %lld: %s", v->instance, (long long)v->number, verdict_names[v->verdict]);
	switch (v->verdict) {
	case VERDICT_YES:
		/* It may have told the master already that it uses none: of two disks the other one may be good, and would be written to alone (H7). */
		if (has_lost(e, seen(n, v->instance)))
			return;
		/*
		 * Our own way cuts a connection that may have come back meanwhile, and resumes: with a yes that this side has outrun, by saying that
		 * both are in sync again, the log may list the mirror by then (H3). DRBD itself binds a handler's answer to its loss.
		 */
		if (!answer_handlers(n, v->instance, v->number, "yes") && e->frozen && (v->gen > e->said_gen || !RULE(SAID_SYNC)))
			carry(n, e, true);
		return;
	case VERDICT_NO:
		e->losses++; /* whatever else arrives for this loss comes too late (H13) */
		(void)answer_handlers(n, v->instance, v->number, "no");
		carry(n, e, false);
		return;
	case VERDICT_STALE:
		ask(n, e, seen(n, v->instance), false);
		return;
	case VERDICT_NOT_NOW:
	default: /* asked again by arbitrate_tick(), when the master says or as ever; handlers wait until their own deadline */
		if (v->wait_ms > 0)
			e->asked_ms = loop_now_ms(n->loop) + v->wait_ms - ASK_AGAIN_MS;
		return;
	}
}

void arbitrate_end(struct noded *n, const char *instance)
{
	struct gen_entry *e = arbitrate_entry(n, instance);

	if (!e)
		return;
	e->losses++; /* a verdict for this loss comes too late (H13) */
	(void)answer_handlers(n, instance, e->losses, "no");
	carry(n, e, false);
}

/*
 * Frozen, and its own disk has failed meanwhile: no verdict can let it go on, so it has nothing to ask (H13). Waiting would only let what it has frozen
 * reach its mirror at some later time. Whoever has left current by then lives on its mirror's disk, and may look for it a while (H16).
 */
static bool nothing_to_ask(const struct gen_entry *e, const struct obs_drbd *d)
{
	return RULE(TEAR_DISKLESS) && e->arbitrated && e->current && strcmp(d->role, "Primary") == 0 &&
	       (strcmp(d->disk, "Diskless") == 0 || strcmp(d->disk, "Failed") == 0);
}

/* It has met a peer whose data is no good: nobody comes by waiting (H6's disk, and a mirror in the middle of its resync, say). */
static bool met_no_data(const struct obs_drbd *d)
{
	return strcmp(d->conn, "Connected") == 0 && (strcmp(d->peer_disk, "Inconsistent") == 0 || strcmp(d->peer_disk, "Outdated") == 0 ||
						      strcmp(d->peer_disk, "Diskless") == 0 || strcmp(d->peer_disk, "Failed") == 0);
}

/* ---- what was seen ------------------------------------------------------------------------------------------- */

void arbitrate_observed(struct noded *n)
{
	for (int i = 0; i < n->n_gens; i++) {
		struct gen_entry *e = &n->gens[i];
		const struct obs_drbd *d = seen(n, e->instance);

		if (n->drbd_mute) {
			e->frozen = false; /* nobody asks on by what is old */
			continue;
		}
		bool connected = d && strcmp(d->conn, "Connected") == 0;

		if (e->connected && !connected)
			e->losses++;
		e->connected = connected;
		if (n->drbd_ok) /* a look that failed shows nobody apart */
			guard_apart(n, e->instance, connected);
		bool frozen = d && d->suspended == 1 && !connected;
		if ((frozen || (d && d->suspended == 1 && met_no_data(d))) && !e->ending && nothing_to_ask(e, d)) {
			log_notice("resource '%s' is frozen and has lost its disk: it is taken apart", d->resource);
			arbitrate_end(n, e->instance);
		} else if (frozen && !e->frozen && e->arbitrated && !e->ending) {
			e->frozen = true;
			ask(n, e, d, false); /* it does not rely on the handler being called */
		}
		e->frozen = frozen;
		if (d && (d->marked != 1 || !e->lost_gen))
			e->lost_gen = d->marked == 1 ? e->gen : 0;
		if (d && d->marked == 1 && e->current && e->arbitrated)
			ask(n, e, d, true);
	}
}

void arbitrate_tick(struct noded *n)
{
	int64_t now = loop_now_ms(n->loop);

	for (int i = 0; i < n->n_gens; i++) {
		struct gen_entry *e = &n->gens[i];
		bool waits = e->frozen && !e->ending;

		list_for_each(l, &n->handlers)
			waits = waits || strcmp(list_entry(l, struct handler_call, link)->instance, e->instance) == 0;
		if (waits && e->arbitrated && now - e->asked_ms >= ASK_AGAIN_MS)
			ask(n, e, seen(n, e->instance), false);
	}
}
