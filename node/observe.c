/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine is like now: looked at on a worker, reported when it changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rule.h"
#include "common/xmem.h"
#include "hypervisor/hypervisor.h"
#include "io/files.h"
#include "io/netif.h"
#include "node/guard.h"
#include "node/node.h"
#include "schema/level.h"
#include "storage/storage.h"
#include "storage/tail.h"

#define LOOK_EVERY_MS 2000
#define TAILS_SEEN_MAX 1024 /* the report's row has no more */
#define PROBLEMS_MAX 64     /* nor of these */
#define WHOLE_EVERY 15 /* looks: this one includes what costs commands, and is told also when nothing changed */

struct look {
	struct noded *node;
	struct gen_entry *gens; /* as known before the look (H1) */
	int n_gens;
	char **disks; /* instances whose replica had its disk in the look before */
	int n_disks;
	char **again; /* lost it, and is marked in memory only */
	int n_again;
	char **unmarked; /* lost it, and the mark could not be written */
	int n_unmarked;
	int64_t began_ms;
	bool guests_ok, drbd_ok; /* both answered */
	bool drbd, volumes, whole; /* asking LVM and DRBD costs commands: only when they may have changed, and now and then */
	bool drbd_again, volumes_again; /* could not be asked: next time */
	struct observed o;
};

/* ---- the look, on a worker -------------------------------------------------------------------------- */

static void look_guests(struct look *l)
{
	struct hypervisor *h = l->node->env.hv;
	struct hv_node_info info;
	struct err err = ERR_INIT;
	AUTO_FREE struct hv_info *list = NULL;
	int n = 0;

	if (h->ops->node_info(h, &info, &err) < 0 || h->ops->list(h, &list, &n, &err) < 0) {
		strs_add(&l->o.problems, &l->o.n_problems, err.msg);
		return;
	}
	l->guests_ok = true;
	(void)str_copy(l->o.hypervisor, sizeof(l->o.hypervisor), info.version);
	l->o.memory_total_mib = info.memory_total_mib;
	l->o.memory_free_mib = info.memory_free_mib;
	l->o.cpus = info.cpus;
	l->o.host_cpu_xml = info.host_cpu_xml;
	for (int i = 0; i < n && i < INSTANCES_MAX; i++) {
		if (list[i].state == HV_NONE)
			continue;
		struct obs_guest *g = schema_list_add(schema_find(&observed_schema, "guests"), &l->o);

		(void)str_copy(g->uuid, sizeof(g->uuid), list[i].uuid);
		(void)str_copy(g->name, sizeof(g->name), list[i].name);
		(void)str_copy(g->state, sizeof(g->state), hv_state_name(list[i].state));
		g->ours = list[i].ours;
		g->memory_mib = list[i].memory_mib;
	}
}

static void fill_drbd(struct look *l, const struct drbd_status *s, const char *uuid)
{
	struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &l->o);
	enum drbd_dstate disk = DRBD_DISK_UPTODATE, peer = DRBD_DISK_UPTODATE;

	(void)str_copy(d->resource, sizeof(d->resource), s->resource);
	(void)str_copy(d->uuid, sizeof(d->uuid), uuid);
	d->up = s->up;
	d->marked = uuid[0] && l->node->env.system->stale_marked(l->node->env.system, uuid); /* a mark holds also for what is down: it asks out of current (H6) */
	d->split = exec_is_split(&l->node->env, uuid, s);
	if (!s->up)
		return;
	(void)str_copy(d->role, sizeof(d->role), drbd_role_name(s->role));
	(void)str_copy(d->peer_role, sizeof(d->peer_role), drbd_role_name(s->peer_role));
	(void)str_copy(d->conn, sizeof(d->conn), drbd_cstate_name(s->conn));
	d->done_permille = 1000;
	for (int i = 0; i < s->n_volumes; i++) {
		disk = s->volumes[i].disk < disk ? s->volumes[i].disk : disk;
		peer = s->volumes[i].peer_disk < peer ? s->volumes[i].peer_disk : peer;
		d->out_of_sync_kib += s->volumes[i].out_of_sync_kib;
		if (s->volumes[i].done_permille < d->done_permille)
			d->done_permille = s->volumes[i].done_permille;
	}
	if (s->n_volumes == 0)
		disk = peer = DRBD_DISK_DISKLESS;
	(void)str_copy(d->disk, sizeof(d->disk), drbd_dstate_name(disk));
	(void)str_copy(d->peer_disk, sizeof(d->peer_disk), drbd_dstate_name(peer));
	d->in_sync = drbd_status_in_sync(s);
	d->suspended = s->suspended_fencing || (RULE(NO_DATA) && s->suspended_no_data);
	for (int i = 0; i < l->n_gens; i++)
		if (strcmp(l->gens[i].instance, uuid) == 0)
			d->gen = l->gens[i].gen;
	l->drbd_again = l->drbd_again || d->done_permille < 1000; /* progress comes by looking only */
}

/*
 * A replica that had its disk a look ago and has none now lost it, unless it was taken apart here. DRBD's handler marks it at once (H6); where that could
 * not be written, on a full disk say, it is tried again at each look.
 */
static void mark_lost(struct look *l, struct obs_drbd *d)
{
	struct exec_system *sys = l->node->env.system;
	struct err err = ERR_INIT;
	bool again = strs_has(l->again, l->n_again, d->uuid);
	/* A side attaches before it connects or is promoted: one that is neither may just be coming up. */
	bool in_use = strcmp(d->role, "Primary") == 0 || strcmp(d->conn, "Connected") == 0;
	bool lost = d->up == 1 && in_use && strs_has(l->disks, l->n_disks, d->uuid) && (strcmp(d->disk, "Diskless") == 0 || strcmp(d->disk, "Failed") == 0) &&
		    !sys->is_torn(sys, d->uuid);

	/* Made anew meanwhile, or marked already: nothing to do. */
	if (again ? !sys->stale_marked(sys, d->uuid) : !lost || d->marked == 1)
		return;
	if (sys->stale_mark(sys, d->uuid, true, &err) < 0) {
		log_err_record(LOG_LEVEL_ERR, "marking a replica that lost its disk", &err);
		strs_add(&l->unmarked, &l->n_unmarked, d->uuid);
	}
	d->marked = 1;
}

/* From here on DRBD owes an answer. What hangs beside it is no silence of its own (008, "Only DRBD's silence counts"). */
static void drbd_asked(struct look *l)
{
	int64_t nothing = 0;

	(void)__atomic_compare_exchange_n(&l->node->drbd_asked_ms, &nothing, loop_now_ms(l->node->loop), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void drbd_answered(struct noded *n)
{
	__atomic_store_n(&n->drbd_asked_ms, 0, __ATOMIC_RELEASE);
}

static void look_drbd(struct look *l)
{
	struct drbdm *d = l->node->env.drbd;
	AUTO_FREE struct drbd_conf *confs = NULL;
	AUTO_FREE struct drbd_status *list = NULL;
	struct err err = ERR_INIT;
	int n_confs = 0, n = 0;

	if (!d)
		return;
	if (!file_is_program(l->node->env.handler_path)) {
		AUTO_FREE char *text = xasprintf("DRBD's handler '%s' cannot be executed: no resync towards this node will begin", l->node->env.handler_path);

		strs_add(&l->o.problems, &l->o.n_problems, text);
	}
	drbd_asked(l);
	if (d->ops->list_conf(d, &confs, &n_confs, &err) < 0 || d->ops->status_all(d, &list, &n, &err) < 0) {
		strs_add(&l->o.problems, &l->o.n_problems, err.msg);
		l->drbd_again = true;
		return;
	}
	l->drbd_ok = true;
	if (RULE(LET_GO_DRBD))
		drbd_answered(l->node);
	for (int i = 0; i < n_confs; i++) {
		struct drbd_status down = { .up = false };
		const struct drbd_status *s = &down;

		(void)str_copy(down.resource, sizeof(down.resource), confs[i].resource);
		for (int k = 0; k < n; k++)
			if (strcmp(list[k].resource, confs[i].resource) == 0)
				s = &list[k];
		fill_drbd(l, s, confs[i].instance_uuid);
		mark_lost(l, &l->o.drbd[l->o.n_drbd - 1]);
	}
}

static void fill_tail(struct look *l, const struct volume_info *v)
{
	struct tail_name name;

	if (l->o.n_tails == TAILS_SEEN_MAX || !tail_parse(v->name, &name))
		return;
	struct obs_tail *t = schema_list_add(schema_find(&observed_schema, "tails"), &l->o);
	(void)str_copy(t->instance, sizeof(t->instance), name.instance);
	(void)str_copy(t->disk, sizeof(t->disk), v->owner);
	(void)str_copy(t->pool, sizeof(t->pool), v->pool);
	(void)str_copy(t->volume, sizeof(t->volume), v->name);
	t->index = name.index;
	t->gen = name.gen;
	t->kept_s = name.kept_s;
	t->size = v->size_mib;
}

static void look_volumes(struct look *l, struct volumes *v)
{
	AUTO_FREE struct pool_info *pools = NULL;
	AUTO_FREE struct volume_info *vols = NULL;
	struct err err = ERR_INIT;
	int n_pools = 0, n = 0;

	if (!v)
		return;
	if (v->ops->pools(v, &pools, &n_pools, &err) < 0 || v->ops->list(v, &vols, &n, &err) < 0) {
		strs_add(&l->o.problems, &l->o.n_problems, err.msg);
		l->volumes_again = true;
		return;
	}
	for (int i = 0; i < n_pools && l->o.n_pools < 64; i++) {
		struct obs_pool *p = schema_list_add(schema_find(&observed_schema, "pools"), &l->o);

		(void)str_copy(p->name, sizeof(p->name), pools[i].name);
		p->size_mib = pools[i].size_mib;
		p->free_mib = pools[i].free_mib;
	}
	for (int i = 0; i < n && l->o.n_volumes < 4096; i++)
		if (vols[i].owner[0] && !strs_has(l->o.volumes, l->o.n_volumes, vols[i].owner))
			strs_add(&l->o.volumes, &l->o.n_volumes, vols[i].owner);
	for (int i = 0; i < n; i++)
		if (vols[i].owner[0])
			fill_tail(l, &vols[i]);
}

static void look_bridges(struct look *l)
{
	struct netif_list list;
	struct err err = ERR_INIT;

	if (netif_real()->list(&list, &err) < 0) {
		strs_add(&l->o.problems, &l->o.n_problems, err.msg);
		return;
	}
	for (int i = 0; i < list.n_devs && l->o.n_bridges < 64; i++)
		if (list.devs[i].bridge)
			strs_add(&l->o.bridges, &l->o.n_bridges, list.devs[i].name);
	netif_list_done(&list);
}

static int look_work(void *arg, struct err *err)
{
	struct look *l = arg;

	(void)err;
	look_guests(l);
	if (l->drbd)
		look_drbd(l);
	if (l->volumes) {
		look_volumes(l, l->node->env.lvm);
		look_volumes(l, l->node->env.file);
	}
	look_bridges(l);
	l->o.file_storage = l->node->env.file != NULL;
	return 0;
}

/* ---- on the loop's thread ------------------------------------------------------------------------------ */

void report_forget(struct noded *n)
{
	if (n->last_report)
		schema_done(&observed_schema, n->last_report);
	free(n->last_report);
	n->last_report = NULL;
}

/* A yes is for a generation at which this side has not said that both are in sync, and does not while it is carried out (H3). */
static void note_words(struct noded *n)
{
	for (int i = 0; i < n->seen.n_drbd; i++) {
		struct obs_drbd *d = &n->seen.drbd[i];
		struct gen_entry *e = arbitrate_entry(n, d->uuid);

		if (!e || d->in_sync != 1)
			continue;
		if (e->going_on && RULE(SAID_SYNC))
			d->in_sync = 0;
		else if (steps_parting(n, d->uuid) || (e->parted_ms && e->parted_ms >= n->seen_began_ms))
			d->in_sync = 0; /* a moment later it is not: a master that takes its word for it would count on it */
		else if (d->gen > e->said_gen)
			e->said_gen = d->gen;
	}
}

static void report(struct noded *n, bool always)
{
	struct msg_observe m;

	note_words(n);

	schema_init(&msg_observe_schema, &m);
	m.observed = n->seen; /* borrowed for the call */
	/* The clock is no news. */
	m.observed.wall_ms = m.observed.boot_ms = 0;
	int64_t free_mib = m.observed.memory_free_mib;
	m.observed.memory_free_mib &= ~INT64_C(31);
	if (!always && n->last_report && schema_equal(&observed_schema, &m.observed, n->last_report))
		return;
	report_forget(n);
	n->last_report = xcalloc(1, sizeof(*n->last_report));
	schema_copy(&observed_schema, n->last_report, &m.observed);
	m.observed.wall_ms = loop_wall_ms(n->loop);
	m.observed.boot_ms = loop_now_ms(n->loop);
	m.observed.memory_free_mib = free_mib;
	m.seq = ++n->observe_seq;
	uplink_send(n, "observe", &msg_observe_schema, &m);
	if (!uplink_ready(n)) /* it is news to whoever comes */
		report_forget(n);
}

static void look(struct noded *n);

/*
 * What this look has left out is as it was, and so is what was asked in vain: "nothing is up" would be a lie, which the master would try to put right. A
 * replica keeps the generation of the look that saw it (H1).
 */
static void keep_old(struct noded *n, struct look *l)
{
	if (!l->drbd_ok) {
		l->o.drbd = TAKE(n->seen.drbd);
		l->o.n_drbd = n->seen.n_drbd;
		n->seen.n_drbd = 0;
	}
	if (!l->volumes) {
		l->o.pools = TAKE(n->seen.pools);
		l->o.n_pools = n->seen.n_pools;
		l->o.volumes = TAKE(n->seen.volumes);
		l->o.n_volumes = n->seen.n_volumes;
		l->o.tails = TAKE(n->seen.tails);
		l->o.n_tails = n->seen.n_tails;
		n->seen.n_pools = n->seen.n_volumes = n->seen.n_tails = 0;
	}
}

static void look_done(void *arg, int rc, const struct err *err)
{
	struct look *l = arg;
	struct noded *n = l->node;

	n->observing = false;
	if (rc == -ERR_TIMEOUT) { /* written off; the stuck thread keeps l */
		n->look_drbd = n->look_volumes = true;
		log_err_record(LOG_LEVEL_WARNING, "looking at this machine", err);
		return;
	}
	if (!n->stopping) {
		keep_old(n, l);
		n->look_drbd = n->look_drbd || l->drbd_again;
		n->look_volumes = n->look_volumes || l->volumes_again;
		schema_done(&observed_schema, &n->seen);
		n->seen = l->o;
		if (n->unkept && n->seen.n_problems < PROBLEMS_MAX)
			strs_add(&n->seen.problems, &n->seen.n_problems, n->unkept);
		n->seen_began_ms = l->began_ms;
		n->seen.cert_expires_s = n->id.expires_s;
		n->seen.cert_due_s = n->id.due_s;
		(void)str_copy(n->seen.boot_id, sizeof(n->seen.boot_id), n->boot);
		(void)str_copy(n->seen.version, sizeof(n->seen.version), level_here.version);
		n->drbd_ok = l->drbd_ok;
		n->drbd_mute = l->drbd ? !l->drbd_ok && n->env.drbd : n->drbd_mute;
		if (l->drbd_ok)
			drbd_answered(n);
		if (l->drbd && l->drbd_ok) {
			strs_clear(&n->unmarked, &n->n_unmarked);
			n->unmarked = TAKE(l->unmarked);
			n->n_unmarked = l->n_unmarked;
			l->n_unmarked = 0;
			n->look_drbd = n->look_drbd || n->n_unmarked; /* no event tells of room on the disk */
		}
		arbitrate_observed(n);
		guard_looked(n, l->began_ms, l->guests_ok && l->drbd_ok);
		guard_report(n, &n->seen);
		report(n, l->whole);
		if (n->observe_again)
			look(n);
	} else {
		schema_done(&observed_schema, &l->o);
	}
	free(l->gens);
	strs_clear(&l->disks, &l->n_disks);
	strs_clear(&l->unmarked, &l->n_unmarked);
	strs_clear(&l->again, &l->n_again);
	free(l);
}

static void look(struct noded *n)
{
	struct look *l;

	if (!n->member || n->stopping)
		return;
	n->observe_again = n->observing;
	if (n->observing)
		return;
	l = xcalloc(1, sizeof(*l));
	l->node = n;
	l->began_ms = loop_now_ms(n->loop);
	l->whole = n->looks++ % WHOLE_EVERY == 0;
	l->drbd = l->whole || n->look_drbd || !n->drbd_watched;
	l->volumes = l->whole || n->look_volumes;
	n->look_drbd = n->look_volumes = false;
	l->n_gens = n->n_gens;
	l->gens = xcalloc((size_t)n->n_gens + 1, sizeof(*l->gens));
	if (n->n_gens)
		memcpy(l->gens, n->gens, (size_t)n->n_gens * sizeof(*l->gens));
	for (int i = 0; i < n->seen.n_drbd; i++)
		if (n->seen.drbd[i].up == 1 && n->seen.drbd[i].disk[0] && strcmp(n->seen.drbd[i].disk, "Diskless") != 0 &&
		    strcmp(n->seen.drbd[i].disk, "Failed") != 0)
			strs_add(&l->disks, &l->n_disks, n->seen.drbd[i].uuid);
	for (int i = 0; i < n->n_unmarked; i++)
		strs_add(&l->again, &l->n_again, n->unmarked[i]);
	schema_init(&observed_schema, &l->o);
	n->observing = true;
	n->observe_next_ms = loop_now_ms(n->loop) + LOOK_EVERY_MS;
	struct worker_job job = { .work = look_work, .done = look_done, .arg = l, .deadline_ms = 60000 };
	workers_submit(n->workers, "observe", &job);
}

void observe_now(struct noded *n)
{
	n->look_drbd = true;
	look(n);
}

void observe_tick(struct noded *n)
{
	if (loop_now_ms(n->loop) >= n->observe_next_ms)
		look(n);
}

void observe_problem(struct noded *n, const char *text)
{
	if (!n->seen.version[0] || n->seen.n_problems == PROBLEMS_MAX || strs_has(n->seen.problems, n->seen.n_problems, text))
		return;
	strs_add(&n->seen.problems, &n->seen.n_problems, text);
	guard_report(n, &n->seen); /* how long a replica has been apart is told as it is now */
	report(n, false);
}

void observe_send(struct noded *n)
{
	n->look_volumes = true;
	if (n->seen.version[0])
		report(n, true);
	observe_now(n);
}
