/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reconciler: compares what is wanted with what was reported and files ordinary jobs. Level-triggered: it needs no memory of
 * what happened, so it may be lost and started again at any time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/inside.h"
#include "core/own.h"
#include "core/planners.h"
#include "core/restored.h"

#define PERIOD_MS 1000
#define CERTIFICATES_AGAIN_MS 10000
#define BACKOFF_FIRST_MS 5000
#define BACKOFF_MAX_MS 300000

void reconcile_file(struct core *c, enum op_index op, json_t *args /* takes */, const char *reason)
{
	struct msg_request m;
	struct err err = ERR_INIT;
	int64_t id;

	schema_init(&msg_request_schema, &m);
	(void)strncat(m.user, RECONCILER, sizeof(m.user) - 1);
	m.reason = reason ? xstrdup(reason) : NULL;
	if (job_submit(c, op, args, &m, &id, &err) < 0)
		core_event(c, "reconciler: %s: %s", op_infos[op].name, err.msg);
	json_decref(args);
	schema_done(&msg_request_schema, &m);
	outbox_flush(c->out);
}

/* ---- a node reported ------------------------------------------------------------------------------ */

/*
 * Current grows by the Primary's word (H1), and only when the other replica says the same of itself: "in sync" of a node whose kernel still
 * knows the mirror that was replaced says nothing of the new one (H19).
 */
static bool grow(struct core *c, struct sinstance *s)
{
	const char *a = s->i.n_nodes == 2 ? s->i.nodes[0] : "", *b = s->i.n_nodes == 2 ? s->i.nodes[1] : "";
	const struct obs_drbd *da = word_of(c, s, a), *db = word_of(c, s, b);

	if (!RULE(GROW_BOTH) && da && !db)
		db = da; /* its word alone */
	if (!da || !db || da->in_sync != 1 || (RULE(GROW_BOTH) && db->in_sync != 1))
		return false;
	bool pa = strcmp(da->role, "Primary") == 0, pb = strcmp(db->role, "Primary") == 0;
	int64_t gen = s->i.own.gen;

	if (pa || pb) /* in a migration both are: own_grow knows whose word counts */
		return (pa && own_grow(&s->i.own, a, true, b, gen, c->st.wall_ms)) || (pb && own_grow(&s->i.own, b, true, a, gen, c->st.wall_ms));
	return own_grow(&s->i.own, a, false, b, gen, c->st.wall_ms) || own_grow(&s->i.own, b, false, a, gen, c->st.wall_ms);
}

/*
 * A Primary that has lost its own disk lives on its mirror's, and DRBD lets it do so only where all it wrote has arrived: by its word, and the
 * mirror's of its disk, the mirror is current (H1). Else a disk that dies between a resync and the report of its end leaves nobody current
 * who can be started; the marked side asks out of current by itself (H6, H7).
 */
static bool grow_diskless(struct core *c, struct sinstance *s, const struct snode *n, const struct obs_drbd *d)
{
	const char *peer = state_other_node(&s->i, n->n.uuid);
	const struct obs_drbd *p = word_of(c, s, peer);

	if (!p || (RULE(GROW_GEN) && d->gen != s->i.own.gen) || strcmp(d->conn, "Connected") != 0 || strcmp(d->peer_disk, "UpToDate") != 0 ||
	    strcmp(p->conn, "Connected") != 0 || strcmp(p->disk, "UpToDate") != 0)
		return false;
	return own_grow(&s->i.own, n->n.uuid, true, peer, s->i.own.gen, c->st.wall_ms) ||
	       own_observe_diskless(&s->i.own, n->n.uuid, peer, s->i.own.gen, c->st.wall_ms);
}

/* The same, when the mirror's word is the later one of both: the Primary may have nothing new to say for long. */
static bool grow_lived_on(struct core *c, struct sinstance *s, const struct snode *n)
{
	const struct snode *o = state_node(&c->st, state_other_node(&s->i, n->n.uuid));
	const struct obs_drbd *d = o && o->connected ? state_seen_drbd(o, s->i.uuid) : NULL;

	return d && strcmp(d->role, "Primary") == 0 && strcmp(d->disk, "UpToDate") != 0 && grow_diskless(c, s, o, d);
}

static void grow_or_lose(struct core *c, struct snode *n, const struct obs_drbd *d)
{
	struct sinstance *s = state_instance(&c->st, d->uuid);

	if (!s || s->i.template != TEMPLATE_DRBD || !strs_has(s->i.nodes, s->i.n_nodes, n->n.uuid))
		return;
	char tail[UUID_LEN + 1];
	(void)str_copy(tail, sizeof(tail), s->i.own.tail);
	bool changed = false, runs = strcmp(d->role, "Primary") == 0, primary = runs && d->marked != 1;

	if (d->in_sync == 1)
		changed = grow(c, s);
	else if (runs && strcmp(d->disk, "UpToDate") != 0 && grow_diskless(c, s, n, d))
		changed = true;
	else if (!runs)
		changed = grow_lived_on(c, s, n);
	else if (primary && strcmp(d->conn, "Connected") == 0 && strcmp(d->peer_disk, "Inconsistent") == 0 && strcmp(d->disk, "UpToDate") == 0)
		changed = own_observe_resync(&s->i.own, n->n.uuid, state_other_node(&s->i, n->n.uuid), d->gen, c->st.wall_ms);
	else if (runs && d->up == 1 && ((primary && strcmp(d->disk, "UpToDate") == 0) || strcmp(d->conn, "Connected") != 0)) /* alone and then without its disk: what it wrote alone the mirror lacks */
		changed = own_observe_loss(&s->i.own, n->n.uuid, d->gen, c->st.wall_ms);
	if (primary && strcmp(d->disk, "UpToDate") == 0 && own_shown_good(&s->i.own, n->n.uuid, d->gen)) {
		core_put_instance(c, s);
		outbox_flush(c->out);
	}
	if (!changed)
		return;
	if (tail[0] && !s->i.own.tail[0])
		tails_resynced(c, s, tail);
	if (s->i.own.n_current == s->i.n_nodes) /* what failed without this replica, and was put off for minutes, may be done now: left-overs are tidied */
		s->tries = 0, s->next_try_ms = 0; /* (that its guest crashes has nothing to do with it) */
	core_put_instance(c, s);
	core_send_gens(c, s);
	core_event(c, "instance '%s': current is %s%s%s by node '%s', generation %lld", s->i.name, state_node_name(&c->st, s->i.own.current[0]),
		   s->i.own.n_current > 1 ? ", " : "", s->i.own.n_current > 1 ? state_node_name(&c->st, s->i.own.current[1]) : "", n->n.name,
		   (long long)s->i.own.gen);
	outbox_flush(c->out); /* one record, one unit: a report may move hundreds */
}

/* A drill of its watchdog that it has come back from. */
static void keep_proof(struct core *c, struct snode *n)
{
	if (n->seen.watchdog_proven_ms == FIELD_UNSET || n->seen.watchdog_proven_ms <= n->n.watchdog_proven_ms)
		return;
	n->n.watchdog_proven_ms = n->seen.watchdog_proven_ms;
	core_put_node(c, n);
	core_event(c, "node '%s': its watchdog is proven: it reset the machine in a fire drill", n->n.name);
}

/* Who is down after this has crashed, or was ended, be it before anybody saw it run; who was never started has failed to. */
void reconcile_started(struct core *c, const char *uuid)
{
	struct sinstance *s = state_instance(&c->st, uuid);

	if (s)
		s->ran = true;
}

/* ... also when a master before us has started it. */
static void note_runs(struct core *c, const struct snode *n)
{
	for (int i = 0; i < n->seen.n_guests; i++) {
		const struct obs_guest *g = &n->seen.guests[i];
		struct sinstance *s = state_instance(&c->st, g->uuid);

		if (s && strcmp(g->state, "running") == 0 && strcmp(own_runner(&s->i.own), n->n.uuid) == 0)
			s->ran = true;
	}
}

void reconcile_observed(struct core *c, struct snode *n)
{
	note_runs(c, n);
	rejoin_observed(c, n);
	keep_proof(c, n);
	outbox_flush(c->out);
	strays_observed(c, n);
	tails_observed(c, n);
	for (int i = 0; i < n->seen.n_drbd; i++)
		grow_or_lose(c, n, &n->seen.drbd[i]);
}

/* ---- instances ---------------------------------------------------------------------------------------- */

/* It lost its disk, and is down: it comes up when it has been made anew, and that is for a person to say. A job would hold the instance's lock for nothing. */
static bool is_lost(const struct obs_drbd *d)
{
	return RULE(MARK) && d && d->marked == 1 && d->up != 1;
}

static bool replica_missing(const struct core *c, const struct sinstance *s)
{
	for (int k = 0; k < s->i.n_nodes; k++) {
		const struct snode *n = state_node(&c->st, s->i.nodes[k]);
		const struct obs_drbd *d;

		if (!n || !n->connected || !n->seen_ms || n->n.offline == 1)
			continue;
		d = state_seen_drbd(n, s->i.uuid);
		if (!is_lost(d) && (!d || d->up != 1 || strcmp(d->conn, "StandAlone") == 0))
			return true;
	}
	return false;
}

/* It is wanted up, and is not, by the word of its node. */
static bool guest_down(const struct core *c, const struct sinstance *s)
{
	const struct snode *owner = state_node(&c->st, own_runner(&s->i.own));
	const struct obs_guest *g;

	if (s->i.admin_state != ADMIN_UP || !owner || !owner->connected || !owner->seen_ms)
		return false;
	g = state_seen_guest(owner, s->i.uuid);
	return !g || strcmp(g->state, "paused") == 0;
}

/* The newest job of it that a person asked for has taken its disks down: so they stay, whatever is unfinished. */
static bool taken_down(const struct core *c, const struct sinstance *s)
{
	char lock[NAME_LEN + 16];

	(void)snprintf(lock, sizeof(lock), "instance:%s", s->i.name);
	for (int i = c->n_jobs - 1; i >= 0; i--) {
		const struct job *j = &c->jobs[i]->j;

		if (strs_has(j->locks, j->n_locks, lock) && strcmp(j->user, RECONCILER) != 0)
			return RULE(STAY_DOWN) && j->state == JOB_SUCCESS && strcmp(j->op, op_infos[OP_instance_deactivate_disks].name) == 0;
	}
	return false;
}

/* Does the instance differ from what is wanted, as far as the nodes that matter have told? */
static bool differs(const struct core *c, const struct sinstance *s)
{
	const char *runner = own_runner(&s->i.own);
	const struct snode *owner = state_node(&c->st, runner);

	if (!own_confirmed(&s->i.own))
		return restored_wants_disks(&c->st, &s->i);
	if (tails_split(&c->st, &s->i))
		return false; /* both were written to, and the log knows no loser: a person must say */
	if (!owner || !owner->connected || !owner->seen_ms || !owner->seen.hypervisor[0])
		return false;
	if (s->i.own.target[0])
		return true; /* a migration without a job */
	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct snode *n = c->st.nodes[i];
		const struct obs_drbd *d = n->connected ? state_seen_drbd(n, s->i.uuid) : NULL;

		if (n != owner && n->connected && state_seen_guest(n, s->i.uuid))
			return true;
		if (n != owner && d && strcmp(d->role, "Primary") == 0)
			return true;
	}
	if (s->i.admin_state != ADMIN_UP) /* a guest that runs though it should be down is a person's doing: verify says so */
		return converge_unfinished(&c->st, &s->i) && !taken_down(c, s);
	if (state_owner_lost_disk(&c->st, &s->i))
		return false; /* nothing starts there: it is failed over (core/failover.c), by itself or by a person */
	return guest_down(c, s) || (s->i.template == TEMPLATE_DRBD && replica_missing(c, s));
}

/* An attempt that failed is one thing, a guest that was started and has crashed another: each has its own count, and what ends the one says nothing of the other. */
static void back_off(struct core *c, struct sinstance *s)
{
	bool crashed = s->ran && guest_down(c, s);
	int *count = crashed ? &s->crashes : &s->tries;
	int64_t *next = crashed ? &s->next_start_ms : &s->next_try_ms, wait = BACKOFF_FIRST_MS;

	if (c->st.now_ms - *next > BACKOFF_MAX_MS)
		*count = 0; /* all was well for longer than anything is put off */
	for (int i = 0; i < *count && wait < BACKOFF_MAX_MS; i++)
		wait *= 2;
	++*count;
	*next = c->st.now_ms + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
	s->ran = s->ran && !crashed;
}

/* Whatever the attempt is for, it starts a guest that is down. */
static bool put_off(const struct core *c, const struct sinstance *s)
{
	return c->st.now_ms < s->next_try_ms || (c->st.now_ms < s->next_start_ms && guest_down(c, s));
}

/*
 * A difference counts when it is seen again a sixth of a lease later: reports and jobs cross each other, and on slow machines, which have a
 * long lease, they take their time. A crashed guest waits 2 s for its restart with the default lease.
 */
static void check_instance(struct core *c, struct sinstance *s)
{
	if (s->busy_job || put_off(c, s))
		return;
	if (!differs(c, s)) {
		s->grow_wait_ms = 0;
		return;
	}
	if (!s->grow_wait_ms) {
		s->grow_wait_ms = c->st.now_ms + c->st.cluster.lease_ms / 6;
		return;
	}
	if (c->st.now_ms < s->grow_wait_ms || job_pending(c, OP_instance_converge, s->i.name)) /* one, though it waits long for its turn */
		return;
	s->grow_wait_ms = 0;
	back_off(c, s);
	core_event(c, "instance '%s' differs from what is wanted: putting it right", s->i.name);
	reconcile_file(c, OP_instance_converge, json_pack("{s:s}", "name", s->i.name), NULL);
}

static bool usable(const struct core *c, const struct snode *n)
{
	struct err ignored = ERR_INIT;

	return live_of(n) == NODE_ONLINE && n->seen_ms && state_need_usable(&c->st, n, &ignored) == 0;
}

/* What failed without this node was no fault of the instances' own: they need not wait out what they were put off for. */
static void check_back(struct core *c, struct snode *n)
{
	bool was = n->usable;

	n->usable = usable(c, n);
	for (int i = 0; n->usable && !was && i < c->st.n_instances; i++) {
		struct sinstance *s = c->st.instances[i];

		if (!strs_has(s->i.nodes, s->i.n_nodes, n->n.uuid))
			continue;
		s->tries = s->crashes = 0;
		s->next_try_ms = s->next_start_ms = 0;
	}
}

/* ---- left over ------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void no_stray(struct sinstance *s)
{
	free(s->stray_on);
	s->stray_on = NULL;
}

/*
 * What was found before this node's last report: a job may have tidied it since. One node is remembered, and as long as it answers no other one takes
 * its place: two left-overs would put each other off for ever. The job tidies all of them.
 */
static void found_stray(struct core *c, struct sinstance *s, const struct snode *n, bool is)
{
	bool same = s->stray_on && strcmp(s->stray_on, n->n.uuid) == 0;
	const struct snode *first = s->stray_on && !same ? state_node(&c->st, s->stray_on) : NULL;

	if (!is) {
		if (same)
			no_stray(s);
	} else if (!same && first && first->connected) {
		return;
	} else if (!same) {
		no_stray(s);
		s->stray_on = xstrdup(n->n.uuid);
		s->stray_ms = c->st.now_ms;
	} else if (c->st.now_ms - s->stray_ms >= c->st.cluster.lease_ms && n->seen_ms > s->stray_ms && !job_pending(c, OP_instance_converge, s->i.name)) {
		no_stray(s);
		back_off(c, s);
		core_event(c, "instance '%s' has left something on node '%s': tidying it", s->i.name, n->n.name);
		reconcile_file(c, OP_instance_converge, json_pack("{s:s}", "name", s->i.name), NULL);
	}
}

/* One node a tick; its volumes are sorted once, not searched for each instance. */
static void check_strays(struct core *c)
{
	struct snode *n = c->st.n_nodes ? c->st.nodes[c->next_stray++ % c->st.n_nodes] : NULL;

	if (!n || !n->connected || !n->seen_ms)
		return;
	int n_volumes = n->seen.n_volumes;
	char **volumes = xcalloc((size_t)n_volumes + 1, sizeof(*volumes));
	if (n_volumes) {
		memcpy(volumes, n->seen.volumes, (size_t)n_volumes * sizeof(*volumes));
		qsort(volumes, (size_t)n_volumes, sizeof(*volumes), by_text);
	}
	for (int k = 0; k < c->st.n_instances; k++) {
		struct sinstance *s = c->st.instances[k];

		if (s->busy_job || put_off(c, s) || !own_confirmed(&s->i.own))
			continue;
		found_stray(c, s, n, state_stray(&s->i, n, volumes, n_volumes));
	}
	free(volumes);
}

#define FAILED_LATELY_MS 60000

/* The newest one that ended has failed, less than a minute ago: it is not filed again at once, every second, for ever. */
static bool job_failed_lately(const struct core *c, enum op_index op)
{
	for (int i = c->n_jobs - 1; i >= 0; i--) {
		const struct cjob *j = c->jobs[i];

		if (!job_ended(j) || strcmp(j->j.op, op_infos[op].name) != 0)
			continue;
		int64_t ago = c->st.wall_ms - j->j.ended_ms;
		return j->j.state == JOB_ERROR && ago >= 0 && ago < FAILED_LATELY_MS;
	}
	return false;
}

/* ---- voters, arbitration --------------------------------------------------------------------------------- */

static void check_voters(struct core *c)
{
	json_t *names;
	int voters = 0, spare = 0;
	int64_t pool = c->st.cluster.candidate_pool_size;

	if (job_failed_lately(c, OP_node_promote))
		return;
	names = json_array();

	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct snode *n = c->st.nodes[i];

		voters += n->n.candidate == 1;
		if (n->n.candidate != 1 && (n->n.master_capable == 1 || n->n.witness == 1) && n->n.drained != 1 && n->n.offline != 1 && n->connected &&
		    n->n.former_voter != 1 && spare < 2) {
			json_array_append_new(names, json_string(n->n.name));
			spare++;
		}
	}
	/* Two at a time, so that the number stays odd: two voters are worse than one. An even number is made odd by one. */
	int want = voters % 2 == 0 ? 1 : 2;
	if (voters + want <= pool && voters + want <= VOTERS_MAX && spare >= want && !job_pending(c, OP_node_promote, NULL)) {
		while ((int)json_array_size(names) > want)
			json_array_remove(names, json_array_size(names) - 1);
		reconcile_file(c, OP_node_promote, json_pack("{s:O}", "names", names), NULL);
	}
	json_decref(names);
}

static void check_arbitration(struct core *c)
{
	int voters = 0, open = 0;

	if (c->st.cluster.arbitration_held == 1 || job_failed_lately(c, OP_cluster_arbitrate))
		return;

	for (int i = 0; i < c->st.n_nodes; i++)
		voters += c->st.nodes[i]->n.candidate == 1;
	for (int i = 0; i < c->st.n_instances; i++) {
		const struct sinstance *s = c->st.instances[i];
		bool there = true;

		for (int k = 0; k < s->i.n_nodes; k++) {
			const struct snode *n = state_node(&c->st, s->i.nodes[k]);

			there = there && n && n->connected;
		}
		if (s->i.template == TEMPLATE_DRBD && s->i.own.arbitrated != 1 && own_confirmed(&s->i.own) && !s->busy_job && there)
			open++;
	}
	if (voters < 3 || job_pending(c, OP_cluster_arbitrate, NULL) || job_pending(c, OP_node_promote, NULL))
		return;
	if (c->st.cluster.arbitration != 1 || open)
		reconcile_file(c, OP_cluster_arbitrate, json_pack("{s:b}", "on", 1), NULL);
}

/* Certificates in their last third are renewed long before anybody would notice. A failure is tried again, but not at once. */
static void check_certificates(struct core *c)
{
	bool due = false;

	for (int i = 0; i < c->st.n_nodes; i++) {
		const struct snode *n = c->st.nodes[i];

		due = due || (n->connected && n->seen_ms && n->seen.cert_due_s && c->st.wall_ms / 1000 >= n->seen.cert_due_s);
	}
	if (!due)
		c->certificates_wait_ms = CERTIFICATES_AGAIN_MS;
	if (!due || c->st.now_ms < c->next_certificates_ms || job_pending(c, OP_cluster_renew_crypto, NULL))
		return;
	c->next_certificates_ms = c->st.now_ms + c->certificates_wait_ms;
	if (c->certificates_wait_ms < BACKOFF_MAX_MS)
		c->certificates_wait_ms *= 2;
	reconcile_file(c, OP_cluster_renew_crypto, json_pack("{s:b}", "force", 0), NULL);
}

void reconcile_tick(struct core *c)
{
	if (c->st.now_ms < c->next_reconcile_ms || c->store_silent_since_ms)
		return;
	c->next_reconcile_ms = c->st.now_ms + PERIOD_MS;
	for (int i = 0; i < c->st.n_nodes; i++)
		check_back(c, c->st.nodes[i]);
	restored_tick(c);
	check_strays(c);
	check_voters(c);
	check_arbitration(c);
	check_certificates(c);
	failover_tick(c);
	moves_tick(c);
	tails_tick(c);
	for (int i = 0; i < c->st.n_instances; i++)
		check_instance(c, c->st.instances[i]);
}
