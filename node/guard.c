/* SPDX-License-Identifier: Apache-2.0 */
#include "node/guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rule.h"
#include "common/xmem.h"
#include "core/lease.h"
#include "fenced/dog.h"
#include "fenced/wire.h"
#include "io/files.h"
#include "node/fenced_link.h"
#include "node/guard_rule.h"
#include "node/node.h"
#include "storage/storage.h"

#define DIAL_EVERY_MS 100
#define LOOK_EVERY_MS 500    /* while beats are not answered: V is lease/6 */
#define ARM_WITHIN_MS 2000
#define KEEP_AGAIN_MS 2000   /* a record that could not be written */
#define PEEK_MS 10000 /* reading a page that needs no lock */
#define DRILL_OVER_MS 5000 /* it should have fired so long ago */

struct guarded {
	char uuid[UUID_LEN + 1];
	int64_t rev;
	bool kept;           /* on this node's disk: a daemon that starts anew goes on guarding it */
	int64_t written_ms;  /* tried */
	struct guard_span span;
};

struct guard {
	struct noded *node;
	struct fenced_link *link; /* NULL = none */
	int64_t dial_at_ms, look_at_ms;
	int64_t told_lease_ms, told_x_ms, told_w_ms;
	bool told_armed;
	struct guarded *list;
	int n;
	int64_t started_ms, fenced_lease_ms;
	/* Also read by workers that wait for it. */
	pthread_mutex_t lock;
	enum dog_state state;
	bool there;
	int64_t w_ms, device_errno, lease_sent_ms;
	struct apart {
		char uuid[UUID_LEN + 1];
		int64_t since_ms; /* 0 = connected */
	} *apart;
	int n_apart;
	/* A drill: wished for by a worker, begun by the loop. */
	bool drill_wished, drill_failed;
	int64_t drill_ms;  /* when it began; 0 = none of this process's */
	int64_t proven_ms; /* wall clock of the drill that an earlier boot did not survive */
	int64_t peek_at_ms; /* the kernel's page, while DRBD owes an answer */
	bool peeking, warned;
};

/* ---- records: one file a guard, so that a noded that starts anew goes on guarding --------------------------- */

struct record {
	struct noded *node;
	char uuid[UUID_LEN + 1]; /* whose; "" = no guard's */
	int64_t rev;
	char *path;
	char text[32]; /* "" = remove */
};

static struct guarded *find(struct guard *g, const char *uuid)
{
	for (int i = 0; i < g->n; i++)
		if (strcmp(g->list[i].uuid, uuid) == 0)
			return &g->list[i];
	return NULL;
}

static int record_work(void *arg, struct err *err)
{
	struct record *r = arg;

	return r->text[0] ? file_write_durable(r->path, r->text, 0600, err) : file_remove(r->path, err);
}

static void record_done(void *arg, int rc, const struct err *err)
{
	struct record *r = arg;

	struct guarded *x = r->rev && r->node->guard ? find(r->node->guard, r->uuid) : NULL;

	if (rc < 0)
		log_err_record(LOG_LEVEL_ERR, "guard record", err);
	else if (x && x->rev == r->rev && !x->kept) {
		x->kept = true;
		observe_now(r->node);
	}
	free(r->path);
	free(r);
}

static char *record_path(const struct noded *n, const char *uuid)
{
	AUTO_FREE char *dir = conf_state_path(&n->conf, "guarded");

	return xasprintf("%s/%s", dir, uuid);
}

static void keep(struct guard *g, const char *uuid, int64_t rev)
{
	struct record *r = xcalloc(1, sizeof(*r));

	r->node = g->node;
	(void)str_copy(r->uuid, sizeof(r->uuid), uuid);
	r->rev = rev;
	r->path = record_path(g->node, uuid);
	if (rev)
		(void)snprintf(r->text, sizeof(r->text), "%lld\n", (long long)rev);
	struct worker_job job = { .work = record_work, .done = record_done, .arg = r };
	workers_submit(g->node->workers, "guard", &job);
}

static void put(struct guard *g, const char *uuid, int64_t rev)
{
	struct guarded *x = find(g, uuid);

	if (x && x->rev >= rev)
		return;
	if (!x) {
		g->list = xrealloc(g->list, (size_t)(g->n + 1) * sizeof(*g->list));
		x = &g->list[g->n++];
		memset(x, 0, sizeof(*x));
		(void)str_copy(x->uuid, sizeof(x->uuid), uuid);
	}
	x->rev = rev;
	x->kept = false;
	x->written_ms = loop_now_ms(g->node->loop);
	x->span.since_ms = x->written_ms;
	x->span.seen = false;
	x->span.ended_ms = 0;
	keep(g, uuid, rev);
}

static void drop(struct guard *g, int i)
{
	keep(g, g->list[i].uuid, 0);
	g->list[i] = g->list[--g->n];
}

/* ---- gantry-fenced -------------------------------------------------------------------------------------------- */

static int64_t lease_sent(const struct guard *g)
{
	int64_t t = g->node->beat_acked_sent_ms;

	/* A noded that starts anew learns from fenced when its predecessor's last beat was answered. */
	return t > g->fenced_lease_ms ? t : g->fenced_lease_ms;
}

static void hang_up(struct guard *g)
{
	fenced_link_close(g->link);
	g->link = NULL;
	g->told_armed = false;
	(void)pthread_mutex_lock(&g->lock);
	g->there = false;
	g->state = DOG_OFF;
	(void)pthread_mutex_unlock(&g->lock);
}

static void say(struct guard *g, enum fenced_kind kind, int64_t a, int64_t b, int64_t c)
{
	struct fenced_msg m = { .version = FENCED_VERSION, .kind = kind, .a = a, .b = b, .c = c };

	if (g->link && !fenced_link_say(g->link, &m))
		hang_up(g);
}

static void heard(void *arg, const struct fenced_msg *m)
{
	struct guard *g = arg;

	if (m->version != FENCED_VERSION || m->kind != FENCED_STATE)
		return;
	bool changed = !g->there || (int64_t)g->state != m->a || g->device_errno != m->d;

	(void)pthread_mutex_lock(&g->lock);
	g->there = true;
	g->state = m->a >= 0 && m->a < DOG_STATES ? (enum dog_state)m->a : DOG_OFF;
	g->w_ms = m->b;
	g->device_errno = m->d;
	(void)pthread_mutex_unlock(&g->lock);
	g->fenced_lease_ms = m->c;
	if (g->state == DOG_OFF)
		g->told_armed = false;
	if (!changed)
		return;
	log_notice("watchdog: %s%s%s", dog_state_name(g->state), m->d ? ": " : "", m->d ? strerror((int)m->d) : "");
	observe_now(g->node);
}

static void gone(void *arg)
{
	struct guard *g = arg;

	log_warning("gantry-fenced has gone");
	hang_up(g);
	observe_now(g->node);
}

static void dial(struct guard *g)
{
	static const struct fenced_link_cb cb = { heard, gone };
	AUTO_FREE char *path = conf_run_path(&g->node->conf, "fenced.sock");

	g->link = fenced_link_dial(g->node->loop, path, &cb, g);
	g->told_lease_ms = 0;
}

/* ---- fire drill ------------------------------------------------------------------------------------------------ */

static char *drill_path(const struct noded *n)
{
	return conf_state_path(&n->conf, "watchdog-drill");
}

static void drill_forget(struct guard *g)
{
	struct record *r = xcalloc(1, sizeof(*r));

	r->path = drill_path(g->node);
	struct worker_job job = { .work = record_work, .done = record_done, .arg = r };
	workers_submit(g->node->workers, "guard", &job);
}

static void drill_go(struct guard *g, int64_t w_ms)
{
	int64_t now = loop_now_ms(g->node->loop);

	if (__atomic_exchange_n(&g->drill_wished, false, __ATOMIC_ACQ_REL) && g->there && !g->n) {
		g->drill_failed = false;
		g->drill_ms = now;
		log_warning("fire drill: the watchdog is not fed any more, it should reset this machine within %lld ms", (long long)w_ms);
		say(g, FENCED_DRILL, w_ms, 0, 0);
	}
	/* A noded that starts anew in the middle of one ends it: what would be found later is not the watchdog's doing for sure. */
	if (g->link && g->state == DOG_DRILL && now - g->drill_ms > g->w_ms + DRILL_OVER_MS) {
		log_error("fire drill: the watchdog did not reset this machine");
		g->drill_failed = true;
		drill_forget(g);
		say(g, FENCED_DISARM, 0, 0, 0);
	}
}

/* The record says which boot it was; the boot that finds another one's is the proof. An orderly end of this process takes it away. */
static void drill_found(struct guard *g)
{
	AUTO_FREE char *path = drill_path(g->node);
	AUTO_FREE char *text = NULL;
	struct err err = ERR_INIT;

	if (file_read_text(path, 128, &text, &err) < 0)
		return;
	char *space = strchr(text, ' ');
	if (!space)
		return;
	*space = '\0';
	if (strcmp(text, g->node->boot) != 0)
		g->proven_ms = strtoll(space + 1, NULL, 10);
}

int guard_drill(struct noded *n, struct err *err)
{
	struct guard *g = n->guard;
	AUTO_FREE char *path = drill_path(n);
	AUTO_FREE char *text = xasprintf("%s %lld\n", n->boot, (long long)loop_wall_ms(n->loop));
	struct err ignored = ERR_INIT;
	bool begun = false;
	int rc = file_write_durable(path, text, 0600, err);

	if (rc < 0)
		return rc;
	__atomic_store_n(&g->drill_wished, true, __ATOMIC_RELEASE);
	for (int left = ARM_WITHIN_MS; left > 0 && !begun; left -= 20) {
		worker_pause(20);
		(void)pthread_mutex_lock(&g->lock);
		begun = g->there && g->state == DOG_DRILL;
		(void)pthread_mutex_unlock(&g->lock);
	}
	if (begun)
		return 0;
	__atomic_store_n(&g->drill_wished, false, __ATOMIC_RELEASE);
	IGNORE(file_remove(path, &ignored));
	return err_set(err, ERR_WRONG_STATE, "the watchdog cannot be tried: %s",
		       !g->there ? "gantry-fenced does not answer" : g->device_errno ? strerror((int)g->device_errno) : "it guards guests"),
	       err_hint(err, "'systemctl status gantry-fenced' on the node");
}

/* Stamps, and armed exactly while somebody is guarded. */
static void tell(struct guard *g)
{
	int64_t lease = g->node->conf.lease_ms, x = RULE(FEED_X) ? lease_feed_ms(lease) : 100 * lease, w = lease_watchdog_ms(lease), sent = g->node->beat_acked_sent_ms;

	drill_go(g, w);
	if (sent != g->told_lease_ms) {
		say(g, FENCED_LEASE, sent, 0, 0);
		g->told_lease_ms = sent;
	}
	if (g->link && g->there && g->n && (!g->told_armed || g->told_x_ms != x || g->told_w_ms != w)) {
		say(g, FENCED_ARM, x, w, lease_vouch_ms(lease));
		g->told_armed = true;
		g->told_x_ms = x;
		g->told_w_ms = w;
	} else if (g->link && g->there && !g->n && g->state != DOG_OFF && g->state != DOG_DRILL) {
		say(g, FENCED_DISARM, 0, 0, 0);
	}
}

/* ---- permissions ------------------------------------------------------------------------------------------------- */

static bool armed(struct guard *g, int64_t now_ms)
{
	(void)pthread_mutex_lock(&g->lock);
	/* Fresh after it was armed: whatever stalls from here on, stalls into the reset. */
	bool yes = g->there && g->state == DOG_ARMED && now_ms - g->lease_sent_ms <= lease_feed_ms(g->node->conf.lease_ms);
	(void)pthread_mutex_unlock(&g->lock);
	return yes;
}

static bool no_fenced(struct guard *g)
{
	(void)pthread_mutex_lock(&g->lock);
	bool no = !g->there || (g->state == DOG_OFF && g->device_errno);
	(void)pthread_mutex_unlock(&g->lock);
	return no;
}

void guard_permitted(struct noded *n, const char *instance, int64_t ha_rev)
{
	put(n->guard, instance, ha_rev);
	tell(n->guard);
}

void guard_wait(struct noded *n, const char *instance, int64_t ha_rev)
{
	struct guard *g = n->guard;
	AUTO_FREE char *path = record_path(n, instance);
	struct err err = ERR_INIT;
	char text[32];

	/* On the disk before the guest runs: a noded that starts anew must know. */
	(void)snprintf(text, sizeof(text), "%lld\n", (long long)ha_rev);
	if (file_write_durable(path, text, 0600, &err) < 0)
		log_err_record(LOG_LEVEL_ERR, "guard record", &err);
	for (int left = ARM_WITHIN_MS; left > 0 && !no_fenced(g) && !armed(g, loop_now_ms(n->loop)); left -= 20)
		worker_pause(20);
	if (!armed(g, loop_now_ms(n->loop)))
		log_warning("guest %s runs without a watchdog", instance);
}

void guard_gens(struct noded *n)
{
	struct guard *g = n->guard;

	for (int i = 0; i < n->n_gens; i++) {
		const struct gen_entry *e = &n->gens[i];
		struct guarded *x = find(g, e->instance);

		if (x && !e->ha && e->ha_rev > x->rev) { /* the policy has changed */
			drop(g, (int)(x - g->list));
			continue;
		}
		if (!e->ha || !e->owner || (x && x->rev >= e->ha_rev))
			continue;
		for (int k = 0; k < n->seen.n_guests; k++)
			if (strcmp(n->seen.guests[k].uuid, e->instance) == 0)
				put(g, e->instance, e->ha_rev);
	}
	tell(g);
}

/* ---- what was seen ------------------------------------------------------------------------------------------------------ */

static struct guard_seen look_at(const struct noded *n, const char *uuid)
{
	struct guard_seen s = { false, false, false };

	for (int i = 0; i < n->seen.n_guests; i++)
		s.there = s.there || strcmp(n->seen.guests[i].uuid, uuid) == 0;
	for (int i = 0; i < n->seen.n_drbd; i++)
		if (strcmp(n->seen.drbd[i].uuid, uuid) == 0) {
			s.connected = strcmp(n->seen.drbd[i].conn, "Connected") == 0;
			s.frozen = n->seen.drbd[i].suspended == 1;
		}
	return s;
}

void guard_looked(struct noded *n, int64_t began_ms, bool whole)
{
	struct guard *g = n->guard;
	int64_t now = loop_now_ms(n->loop), sent = lease_sent(g);
	int64_t age = now - (sent > g->started_ms ? sent : g->started_ms);
	bool safe = whole;

	guard_gens(n); /* guests that were there before their policy was known */
	for (int i = 0; i < g->n && n->drbd_ok; i++)
		guard_saw(&g->list[i].span, look_at(n, g->list[i].uuid).frozen, now);
	for (int i = 0; i < g->n && whole; i++) {
		struct guarded *x = &g->list[i];
		struct guard_seen s = look_at(n, x->uuid);

		switch (guard_judge(&x->span, &s, began_ms, now, age, n->conf.lease_ms)) {
		case GUARD_DROP:
			drop(g, i--);
			break;
		case GUARD_VOUCH:
			break;
		case GUARD_END:
			log_warning("no beat was answered for %lld ms and the mirror of %s is not connected: its guest is ended here", (long long)age, x->uuid);
			arbitrate_end(n, x->uuid);
			safe = false;
			break;
		case GUARD_LEAVE:
		default:
			safe = false;
			break;
		}
	}
	if (safe && g->n)
		say(g, FENCED_VOUCH, began_ms, 0, 0);
	tell(g);
}

/* ---- a node that can do nothing for its guest ------------------------------------------------------------------------ */

/* Who stands still, by the kernel's page: the tools owe their answer (008). */
struct peek {
	struct noded *node;
	struct drbd_suspended *list;
	int n;
};

static int peek_work(void *arg, struct err *err)
{
	struct peek *p = arg;
	struct drbdm *d = p->node->env.drbd;

	return d->ops->suspended(d, &p->list, &p->n, err);
}

static bool peek_has(const struct peek *p, const char *uuid)
{
	for (int i = 0; i < p->n; i++)
		if (strcmp(p->list[i].instance_uuid, uuid) == 0)
			return true;
	return false;
}

static void peek_done(void *arg, int rc, const struct err *err)
{
	struct peek *p = arg;
	struct guard *g = p->node->guard;

	if (!p->node->stopping) {
		g->peeking = false;
		for (int i = 0; i < g->n && rc == 0; i++)
			guard_saw(&g->list[i].span, peek_has(p, g->list[i].uuid), loop_now_ms(g->node->loop));
	}
	if (rc == -ERR_TIMEOUT && strcmp(err->step, WORKER_STEP_DEADLINE) == 0)
		return; /* the stuck thread keeps p; what was seen last stands */
	free(p->list);
	free(p);
}

static void peek(struct guard *g, int64_t asked_ms, int64_t now)
{
	const struct drbdm *d = g->node->env.drbd;
	int64_t beat = lease_beat_ms(g->node->conf.lease_ms);

	if (!d || !d->ops->suspended || !g->n || g->peeking || now - asked_ms < beat || now < g->peek_at_ms)
		return;
	struct peek *p = xcalloc(1, sizeof(*p));
	p->node = g->node;
	g->peeking = true;
	g->peek_at_ms = now + beat;
	struct worker_job job = { .work = peek_work, .done = peek_done, .arg = p, .deadline_ms = PEEK_MS };
	workers_submit(g->node->workers, "peek", &job);
}

/* The first that it can do nothing for by then; NULL = there is none. */
static const struct guarded *helpless(const struct guard *g, int64_t within_ms)
{
	int64_t now = loop_now_ms(g->node->loop), asked = __atomic_load_n(&g->node->drbd_asked_ms, __ATOMIC_ACQUIRE);

	for (int i = 0; i < g->n; i++)
		if (guard_helpless(&g->list[i].span, asked, now, within_ms))
			return &g->list[i];
	return NULL;
}

/* A dog that starves bites; one that nobody has armed does not, and silence would bring nothing. */
static bool would_bite(const struct guard *g)
{
	return g->there && (g->state == DOG_ARMED || g->state == DOG_STARVED);
}

bool guard_lets_go(const struct noded *n)
{
	return would_bite(n->guard) && helpless(n->guard, n->conf.lease_ms);
}

static const char *guest_name(const struct noded *n, const char *uuid)
{
	for (int i = 0; i < n->seen.n_guests; i++)
		if (strcmp(n->seen.guests[i].uuid, uuid) == 0)
			return n->seen.guests[i].name;
	return uuid;
}

/* While there is time to be heard. */
static void warn(struct guard *g)
{
	const struct guarded *x = helpless(g, g->node->conf.lease_ms / 2);

	if (x && !g->warned) {
		AUTO_FREE char *text = xasprintf("DRBD does not answer, and guest '%s' stands frozen here: %s", guest_name(g->node, x->uuid),
						 would_bite(g) ? "unless that changes, this node falls silent, and its watchdog resets it" :
								 "no watchdog is armed, so this machine has to be reset, or switched off, by hand");

		log_error("%s", text);
		observe_problem(g->node, text);
	} else if (!x && g->warned) {
		log_notice("DRBD answers again, or nobody stands frozen here any more");
	}
	g->warned = x != NULL;
}

static void guard_hung(struct guard *g, int64_t now)
{
	int64_t asked = __atomic_load_n(&g->node->drbd_asked_ms, __ATOMIC_ACQUIRE);

	if (asked)
		peek(g, asked, now);
	warn(g);
}

/* ---- how long a replica has been apart ------------------------------------------------------------------------------ */

static struct apart *apart_of(struct guard *g, const char *uuid, bool make)
{
	for (int i = 0; i < g->n_apart; i++)
		if (strcmp(g->apart[i].uuid, uuid) == 0)
			return &g->apart[i];
	if (!make)
		return NULL;
	g->apart = xrealloc(g->apart, (size_t)(g->n_apart + 1) * sizeof(*g->apart));
	struct apart *a = &g->apart[g->n_apart++];
	memset(a, 0, sizeof(*a));
	(void)str_copy(a->uuid, sizeof(a->uuid), uuid);
	return a;
}

void guard_apart(struct noded *n, const char *instance, bool connected)
{
	struct guard *g = n->guard;

	(void)pthread_mutex_lock(&g->lock);
	struct apart *a = apart_of(g, instance, true);
	if (connected)
		a->since_ms = 0;
	else if (!a->since_ms)
		a->since_ms = loop_now_ms(n->loop);
	(void)pthread_mutex_unlock(&g->lock);
}

void guard_met(struct noded *n, const char *instance)
{
	struct guard *g = n->guard;

	(void)pthread_mutex_lock(&g->lock);
	struct apart *a = apart_of(g, instance, false);
	if (a && a->since_ms)
		a->since_ms = loop_now_ms(n->loop);
	(void)pthread_mutex_unlock(&g->lock);
}

int64_t guard_apart_ms(struct noded *n, const char *instance)
{
	struct guard *g = n->guard;

	(void)pthread_mutex_lock(&g->lock);
	const struct apart *a = apart_of(g, instance, false);
	int64_t ms = a && a->since_ms ? loop_now_ms(n->loop) - a->since_ms : 0;
	(void)pthread_mutex_unlock(&g->lock);
	return ms;
}

void guard_report(struct noded *n, struct observed *o)
{
	struct guard *g = n->guard;

	o->watchdog[0] = '\0';
	o->watchdog_ms = FIELD_UNSET;
	free(o->watchdog_problem);
	o->watchdog_problem = NULL;
	if (g->there) {
		(void)str_copy(o->watchdog, sizeof(o->watchdog), dog_state_name(g->state));
		if (g->state != DOG_OFF)
			o->watchdog_ms = g->w_ms;
		if (g->device_errno)
			o->watchdog_problem = xasprintf("the watchdog device cannot be used: %s", strerror((int)g->device_errno));
		else if (g->drill_failed)
			o->watchdog_problem = xstrdup("it did not reset the machine in the last fire drill");
	}
	o->watchdog_proven_ms = g->proven_ms;
	for (int i = 0; i < o->n_drbd; i++) {
		const struct apart *a = apart_of(g, o->drbd[i].uuid, false);

		o->drbd[i].apart_since_ms = a && a->since_ms ? a->since_ms : FIELD_UNSET;
	}
	for (int i = 0; i < o->n_guests; i++) {
		const struct guarded *x = find(g, o->guests[i].uuid);

		o->guests[i].guarded = x && (x->kept || !RULE(GUARD_KEPT)) && g->there && g->state == DOG_ARMED ? x->rev : FIELD_UNSET;
	}
}

void guard_tick(struct noded *n)
{
	struct guard *g = n->guard;
	int64_t now = loop_now_ms(n->loop);

	(void)pthread_mutex_lock(&g->lock);
	g->lease_sent_ms = n->beat_acked_sent_ms;
	(void)pthread_mutex_unlock(&g->lock);
	if (!g->link && now >= g->dial_at_ms) {
		g->dial_at_ms = now + (g->n ? DIAL_EVERY_MS : 10 * DIAL_EVERY_MS);
		dial(g);
	}
	for (int i = 0; i < g->n; i++)
		if (!g->list[i].kept && now - g->list[i].written_ms >= KEEP_AGAIN_MS) {
			g->list[i].written_ms = now;
			keep(g, g->list[i].uuid, g->list[i].rev);
		}
	tell(g);
	guard_hung(g, now);
	if (g->n && now - lease_sent(g) > n->conf.lease_ms / 4 && now >= g->look_at_ms) {
		g->look_at_ms = now + LOOK_EVERY_MS;
		observe_now(n);
	}
}

/* ---- life ------------------------------------------------------------------------------------------------------------------- */

int guard_new(struct noded *n, struct err *err)
{
	AUTO_FREE char *dir = conf_state_path(&n->conf, "guarded");
	struct guard *g = xcalloc(1, sizeof(*g));
	char **names = NULL;
	int n_names = 0;

	n->guard = g;
	g->node = n;
	g->started_ms = loop_now_ms(n->loop);
	(void)pthread_mutex_init(&g->lock, NULL);
	int rc = dir_make(dir, 0700, err);
	if (rc == 0)
		rc = dir_names(dir, &names, &n_names, err);
	for (int i = 0; i < n_names && rc == 0; i++) {
		AUTO_FREE char *path = record_path(n, names[i]);
		AUTO_FREE char *text = NULL;
		struct err why = ERR_INIT;

		if (strlen(names[i]) != UUID_LEN || file_read_text(path, 64, &text, &why) < 0)
			continue;
		g->list = xrealloc(g->list, (size_t)(g->n + 1) * sizeof(*g->list));
		struct guarded *x = &g->list[g->n++];
		memset(x, 0, sizeof(*x));
		(void)str_copy(x->uuid, sizeof(x->uuid), names[i]);
		x->rev = strtoll(text, NULL, 10);
		x->kept = true;
		x->span.since_ms = g->started_ms;
		x->span.seen = true; /* not there at the first look: gone, or the machine has booted */
	}
	strs_clear(&names, &n_names);
	drill_found(g);
	return rc;
}

void guard_free(struct noded *n)
{
	struct guard *g = n->guard;

	if (!g)
		return;
	if (g->state == DOG_DRILL) { /* the machine may be going down in order */
		AUTO_FREE char *path = drill_path(n);
		struct err err = ERR_INIT;

		IGNORE(file_remove(path, &err));
	}
	hang_up(g);
	(void)pthread_mutex_destroy(&g->lock);
	free(g->list);
	free(g->apart);
	free(g);
	n->guard = NULL;
}
