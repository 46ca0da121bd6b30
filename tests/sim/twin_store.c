/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of the etcd store: the data is io/store_mem.c (one suite holds it and a real etcd to the same behaviour); here are the time a
 * call takes, which members are up, who reaches a majority of them, and answers that get lost.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "core/term.h"
#include "io/store.h"
#include "schema/field.h"
#include "tests/sim/world.h"

struct sim_store {
	struct store base;
	struct store *mem;
	struct proc *p;
	uint64_t seed;
	int pumps;   /* under way */
	int asked;   /* and not answered yet */
	bool owners; /* what is under way changes whose guests they are */
};

static struct store_ops sim_ops;

/*
 * The keys of the mastership as a member has them: those of the last moment at which it heard a majority, and now and then (BEHIND_PERMILLE) not even
 * those. Nobody looks at others.
 */
#define VIEW_KEYS_MAX 4
#define BEHIND_PERMILLE 30
static struct member_view {
	struct store_kv kvs[VIEW_KEYS_MAX];
	int n;
	int64_t revision;
} views[MACHINES_MAX];

void store_world_new(uint64_t seed)
{
	struct store_mem_faults none = { .seed = seed };

	memset(views, 0, sizeof(views)); /* the texts are lost with their world */
	W.store = store_mem_new(&none);
}

/* ---- members ------------------------------------------------------------------------------------------ */

static bool member_up(const struct machine *m)
{
	return m->power && m->etcd_up && m->etcd_member;
}

static bool both_ways(const struct machine *a, const struct machine *b)
{
	return a == b || (net_up(NET_FRONT, a, b) && net_up(NET_FRONT, b, a));
}

/* Can this member get a majority to agree? */
static bool leads(const struct machine *m)
{
	int voters = 0, agree = 0;

	for (int i = 0; i < W.n; i++) {
		const struct machine *o = &W.m[i];

		if (!o->etcd_member || o->etcd_learner)
			continue;
		voters++;
		agree += member_up(o) && both_ways(m, o);
	}
	return 2 * agree > voters;
}

bool store_has_majority(const struct machine *from)
{
	for (int i = 0; i < W.n; i++)
		if (member_up(&W.m[i]) && both_ways(from, &W.m[i]) && leads(&W.m[i]))
			return true;
	return false;
}

void store_member_set(struct machine *m, bool member, bool learner)
{
	m->etcd_member = member;
	m->etcd_learner = learner;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

struct pumping {
	struct sim_store *s;
	bool was_there; /* a majority was reached when it was sent */
};

static void masterd_again(void *arg)
{
	masterd_start(arg);
}

static void kill_masterd(void *arg)
{
	struct machine *m = arg;

	W.counts.master_kills++;
	masterd_kill(m);
	(void)after(NULL, 300 * MS, masterd_again, m);
}

#define AGAIN_MS 500
static void call_later(struct sim_store *s, int timeout_ms);

static void pump(void *arg)
{
	struct pumping *p = arg;
	struct sim_store *s = p->s;
	bool is_there = store_has_majority(s->p->m);
	struct store_mem_faults f = { .seed = s->seed++ };

	if (p->was_there && !is_there) { /* under way when the network went: done or not, who knows */
		bool done = chance(500);

		f.lose_reply_permille = done ? 1000 : 0;
		f.lose_request_permille = done ? 0 : 1000;
	} else if (p->was_there) {
		int which = (int)pick(0, 2);

		f.lose_reply_permille = which == 0 ? W.faults.store_lose_reply : 0;
		f.lose_request_permille = which == 1 ? W.faults.store_lose_request : 0;
		f.late_permille = which == 2 ? W.faults.store_late : 0;
	}
	store_mem_set_available(s->mem, p->was_there);
	store_mem_set_faults(s->mem, &f);
	s->asked -= store_mem_pump(s->mem);
	if (s->asked > 0 && s->pumps == 1) /* a read whose answer was lost is asked again */
		call_later(s, AGAIN_MS);
	s->pumps--;
	if (s->owners || W.faults.store_late)
		check_owners();
	s->owners = false;
	free(p);
}

static void call_later(struct sim_store *s, int timeout_ms)
{
	struct pumping *p = xcalloc(1, sizeof(*p));

	s->pumps++;
	p->s = s;
	p->was_there = store_has_majority(s->p->m);
	(void)after(s->p, p->was_there ? pick(2 * MS, 8 * MS) : timeout_ms * MS, pump, p);
}

/* A commit of the core, for sweeps: the master dies before it reaches the store, or after it did and before it hears. */
struct watched {
	store_cb *cb;
	void *arg;
	struct machine *m;
	bool after;
};

static void watched_done(void *arg, const struct store_result *r)
{
	struct watched *w = arg;

	if (w->after) {
		trace("the master dies, its commit is in the store: outcome %d", (int)r->outcome);
		(void)after(NULL, 0, kill_masterd, w->m);
	} else {
		w->cb(w->arg, r);
	}
	free(w);
}

/* ---- a commit that is late (store_hold_commit) ---------------------------------------------------------- */

static struct late { /* 129 operations are refused by etcd */
	bool wanted, is;
	struct store_cmp cmps[2];
	struct store_op ops[128];
	int n_cmps, n_ops;
	store_cb *cb;
	void *arg;
} late;

void store_hold_commit(void)
{
	memset(&late, 0, sizeof(late));
	late.wanted = true;
}

bool store_commit_held(void)
{
	return late.is;
}

static void late_unknown(void *arg)
{
	struct err err = ERR_INIT;
	const struct store_result r = { .outcome = STORE_UNKNOWN, .err = &err };

	(void)arg;
	(void)err_set(&err, ERR_UNKNOWN_OUTCOME, "the store did not answer in time");
	late.cb(late.arg, &r);
}

static bool held_back(struct sim_store *s, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops, int timeout_ms, store_cb *cb,
		      void *arg)
{
	bool instance = false;

	for (int i = 0; i < n_ops; i++)
		instance = instance || (ops[i].kind == STORE_PUT && strncmp(ops[i].key, "/gantry/instance/", 17) == 0);
	if (!late.wanted || !instance)
		return false;
	assert(n_cmps <= (int)ARRAY_SIZE(late.cmps) && n_ops <= (int)ARRAY_SIZE(late.ops));
	late = (struct late){ .is = true, .n_cmps = n_cmps, .n_ops = n_ops, .cb = cb, .arg = arg };
	for (int i = 0; i < n_cmps; i++) {
		late.cmps[i] = cmps[i];
		late.cmps[i].key = xstrdup(cmps[i].key);
		late.cmps[i].value = cmps[i].value ? xstrdup(cmps[i].value) : NULL;
	}
	for (int i = 0; i < n_ops; i++)
		late.ops[i] = (struct store_op){ ops[i].kind, xstrdup(ops[i].key), ops[i].value ? xstrdup(ops[i].value) : NULL };
	(void)after(s->p, timeout_ms * MS, late_unknown, NULL);
	trace("a commit is late");
	return true;
}

static void late_done(void *arg, const struct store_result *r)
{
	*(bool *)arg = r->outcome == STORE_OK;
}

bool store_let_go(void)
{
	bool taken = false;

	if (!late.is)
		return false;
	late.is = false;
	W.store->ops->txn(W.store, late.cmps, late.n_cmps, late.ops, late.n_ops, 1000, late_done, &taken);
	(void)store_mem_pump(W.store);
	trace("the late commit is %s", taken ? "taken" : "refused");
	check_owners();
	return taken;
}

static void txn(struct store *st, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops, int timeout_ms, store_cb *cb,
		void *arg)
{
	struct sim_store *s = (struct sim_store *)(void *)st;
	if (held_back(s, cmps, n_cmps, ops, n_ops, timeout_ms, cb, arg))
		return;
	for (int i = 0; i < n_ops; i++)
		s->owners = s->owners || (ops[i].kind == STORE_PUT && strncmp(ops[i].key, "/gantry/instance/", 17) == 0);
	bool commit = n_cmps == 2 && cmps[1].kind == STORE_CMP_VALUE && strcmp(cmps[1].key, TERM_SEQ) == 0;

	if (commit) {
		int64_t n = W.n_commits++;

		if (n == W.crash_commit_before) {
			trace("the master dies before its commit reaches the store");
			(void)after(NULL, 0, kill_masterd, s->p->m);
			return;
		}
		if (n == W.crash_commit_after) {
			struct watched *w = xcalloc(1, sizeof(*w));

			*w = (struct watched){ cb, arg, s->p->m, true };
			cb = watched_done;
			arg = w;
		}
	}
	s->asked++;
	s->mem->ops->txn(s->mem, cmps, n_cmps, ops, n_ops, timeout_ms, cb, arg);
	call_later(s, timeout_ms);
}

static void store_read(struct store *st, const char *key, bool exact, int timeout_ms, store_cb *cb, void *arg)
{
	struct sim_store *s = (struct sim_store *)(void *)st;

	s->asked++;
	s->mem->ops->read(s->mem, key, exact, timeout_ms, cb, arg);
	call_later(s, timeout_ms);
}

/* ---- what one member has ----------------------------------------------------------------------------------- */

static void view_clear(struct member_view *v)
{
	for (int i = 0; i < v->n; i++) {
		free(v->kvs[i].key);
		free(v->kvs[i].value);
	}
	v->n = 0;
}

static void view_renew(struct member_view *v)
{
	const struct store_kv *kvs;
	int n = store_world_look(TERM_PREFIX, &kvs);

	assert(n <= VIEW_KEYS_MAX);
	view_clear(v);
	for (int i = 0; i < n; i++) {
		v->kvs[i] = kvs[i];
		v->kvs[i].key = xstrdup(kvs[i].key);
		v->kvs[i].value = xstrdup(kvs[i].value);
		v->revision = kvs[i].mod_revision > v->revision ? kvs[i].mod_revision : v->revision;
	}
	v->n = n;
}

struct looking {
	struct sim_store *s;
	store_cb *cb;
	void *arg;
};

static const struct machine *member_for(const struct machine *from)
{
	if (member_up(from))
		return from;
	for (int i = 0; i < W.n; i++)
		if (member_up(&W.m[i]) && both_ways(from, &W.m[i]))
			return &W.m[i];
	return NULL;
}

static void look_answer(void *arg)
{
	struct looking *l = arg;
	const struct machine *m = member_for(l->s->p->m);
	struct err err = ERR_INIT;
	struct store_result r = { .outcome = STORE_FAILED, .err = &err };

	if (m) {
		struct member_view *v = &views[m->index];

		if (leads(m) && !chance(BEHIND_PERMILLE))
			view_renew(v);
		r = (struct store_result){ .outcome = STORE_OK, .revision = v->revision, .kvs = v->kvs, .n_kvs = v->n };
	} else {
		(void)err_set(&err, ERR_STORE, "no member of the store answers");
	}
	l->cb(l->arg, &r);
	free(l);
}

static void store_look(struct store *st, const char *key, bool exact, int timeout_ms, store_cb *cb, void *arg)
{
	struct looking *l = xcalloc(1, sizeof(*l));

	assert(strcmp(key, TERM_PREFIX) == 0 && !exact);
	*l = (struct looking){ (struct sim_store *)(void *)st, cb, arg };
	(void)after(l->s->p, member_for(l->s->p->m) ? pick(1 * MS, 4 * MS) : timeout_ms * MS, look_answer, l);
}

static void store_free(struct store *st)
{
	(void)st; /* processes of the simulation only die */
	abort();
}

static struct store_ops sim_ops = { .name = "sim", .txn = txn, .read = store_read, .look = store_look, .free = store_free };

int store_etcd_new(struct loop *l, const struct store_etcd_conf *conf, struct store **ret, struct err *err)
{
	struct sim_store *s = xcalloc(1, sizeof(*s));
	struct store_mem_faults none = { .seed = 1 };

	(void)l;
	(void)conf;
	(void)err;
	s->base.ops = &sim_ops;
	s->mem = store_mem_share(W.store, &none);
	s->p = eng.proc;
	s->seed = rng_next(&eng.rng);
	*ret = &s->base;
	return 0;
}

void store_etcd_set_endpoints(struct store *s, const char *const *endpoints)
{
	(void)s;
	(void)endpoints; /* the twin asks whoever is reached */
}

/* ---- membership ---------------------------------------------------------------------------------------------- */

struct member_call {
	struct sim_store *s;
	store_members_cb *cb;
	void *arg;
	char what;        /* l, a, p, r */
	char url[128];
	bool learner;
	int index;
};

static struct machine *by_url(const char *url)
{
	char address[ADDR_LEN + 1] = "";
	enum net net;

	(void)sscanf(url, "https://%45[^:]", address);
	return machine_by_address(address, &net);
}

static int member_change(const struct member_call *c, struct err *err)
{
	struct machine *m = c->what == 'a' ? by_url(c->url) : &W.m[c->index];

	if (!store_has_majority(c->s->p->m))
		return err_set(err, ERR_NO_MAJORITY, "no majority of voters answers");
	if (!m)
		return err_set(err, ERR_STORE, "there is no machine at '%s'", c->url);
	if (c->what == 'p' && !(m->power && m->etcd_up))
		return err_set(err, ERR_STORE, "the learner is not ready");
	if (c->what == 'a')
		store_member_set(m, true, c->learner);
	else if (c->what == 'p')
		store_member_set(m, true, false);
	else if (c->what == 'r')
		store_member_set(m, false, false);
	return 0;
}

static void member_answer(void *arg)
{
	struct member_call *c = arg;
	struct store_member list[MACHINES_MAX];
	struct err err = ERR_INIT;
	int n = 0, rc = c->what == 'l' ? 0 : member_change(c, &err);

	if (c->what == 'l' && !store_has_majority(c->s->p->m))
		rc = err_set(&err, ERR_NO_MAJORITY, "no majority of voters answers");
	memset(list, 0, sizeof(list));
	for (int i = 0; i < W.n; i++) {
		if (!W.m[i].etcd_member)
			continue;
		(void)snprintf(list[n].id, sizeof(list[n].id), "%d", i + 1);
		(void)str_copy(list[n].name, sizeof(list[n].name), W.m[i].name);
		(void)snprintf(list[n].peer_url, sizeof(list[n].peer_url), "https://%s:%d", W.m[i].address[NET_FRONT], PORT_ETCD_PEER);
		list[n].learner = W.m[i].etcd_learner;
		list[n++].started = W.m[i].etcd_up;
	}
	c->cb(c->arg, rc, &err, list, n);
	free(c);
}

static void member(struct store *s, char what, const char *url, bool learner, const char *id, store_members_cb *cb, void *arg)
{
	struct member_call *c = xcalloc(1, sizeof(*c));

	*c = (struct member_call){ .s = (struct sim_store *)(void *)s, .cb = cb, .arg = arg, .what = what, .learner = learner };
	(void)str_copy(c->url, sizeof(c->url), url);
	c->index = id ? (int)strtol(id, NULL, 10) - 1 : -1;
	(void)after(c->s->p, pick(2 * MS, 20 * MS), member_answer, c);
}

void store_etcd_members(struct store *s, store_members_cb *cb, void *arg)
{
	member(s, 'l', "", false, NULL, cb, arg);
}

void store_etcd_member_add(struct store *s, const char *peer_url, bool learner, store_members_cb *cb, void *arg)
{
	member(s, 'a', peer_url, learner, NULL, cb, arg);
}

void store_etcd_member_promote(struct store *s, const char *id, store_members_cb *cb, void *arg)
{
	member(s, 'p', "", false, id, cb, arg);
}

void store_etcd_member_remove(struct store *s, const char *id, store_members_cb *cb, void *arg)
{
	member(s, 'r', "", false, id, cb, arg);
}

/* ---- the world looks into it ------------------------------------------------------------------------------------ */

static void put_done(void *arg, const struct store_result *r)
{
	(void)arg;
	assert(r->outcome == STORE_OK);
}

void store_world_put(const char *key, const char *value)
{
	const struct store_op op = { STORE_PUT, key, value };

	W.store->ops->txn(W.store, NULL, 0, &op, 1, 1000, put_done, NULL);
	(void)store_mem_pump(W.store);
}

int store_world_look(const char *prefix, const struct store_kv **ret)
{
	return store_mem_look(W.store, prefix, false, ret);
}

int store_world_dump(const char *prefix, char ***ret_keys, char ***ret_values)
{
	const struct store_kv *kvs;
	int n = store_world_look(prefix, &kvs), nk = 0, nv = 0;

	*ret_keys = *ret_values = NULL;
	for (int i = 0; i < n; i++) {
		strs_add(ret_keys, &nk, kvs[i].key);
		strs_add(ret_values, &nv, kvs[i].value);
	}
	return n;
}

const struct store_kv *store_world_find(const char *key)
{
	const struct store_kv *kv;

	return store_mem_look(W.store, key, true, &kv) ? kv : NULL;
}

char *store_world_get(const char *key)
{
	const struct store_kv *kv = store_world_find(key);

	return kv ? xstrdup(kv->value) : NULL;
}
