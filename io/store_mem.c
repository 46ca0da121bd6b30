/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in memory, for tests and the simulation. Nothing happens but in store_mem_pump(): it executes what was asked
 * since the last pump, in that order, and answers. Faults come from a seed, so a run repeats. The data belongs to all
 * handles together; a write that is late stays with the data, because a master's death does not recall its messages.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/rng.h"
#include "common/xmem.h"
#include "io/store.h"
#include "io/store_check.h"

#define LATE_PUMPS_MAX 8
#define READ_TRIES_MAX 4

struct mem_data {
	int refs;
	struct store_kv *kvs; /* sorted by key */
	int n_kvs, cap;
	int64_t revision;
	struct list late;     /* struct mem_late */
	bool pumping;         /* results point into kvs: no pump inside a callback */
};

struct mem_txn {
	struct store_cmp *cmps;
	struct store_op *ops;
	int n_cmps, n_ops;
};

struct mem_late {
	struct list link;
	struct mem_txn *txn;
	int pumps; /* until it is executed */
};

struct mem_call {
	struct list link;
	struct mem_txn *txn; /* NULL = read */
	char *key;
	bool exact;
	int tries;
	struct err *bad; /* refused at once, answered at the pump; NULL = it is in order */
	store_cb *cb;
	void *arg;
};

struct mem_store {
	struct store base;
	struct mem_data *data;
	struct list queue; /* struct mem_call */
	struct store_mem_faults faults;
	struct rng rng;
	bool available, pumping, freed;
};

/* ---- transactions ---- */

static struct mem_txn *txn_copy(const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops)
{
	struct mem_txn *t = xcalloc(1, sizeof(*t));

	t->cmps = xcalloc((size_t)n_cmps, sizeof(*t->cmps));
	t->ops = xcalloc((size_t)n_ops, sizeof(*t->ops));
	t->n_cmps = n_cmps;
	t->n_ops = n_ops;
	for (int i = 0; i < n_cmps; i++) {
		t->cmps[i] = cmps[i];
		t->cmps[i].key = xstrdup(cmps[i].key);
		t->cmps[i].value = cmps[i].kind == STORE_CMP_VALUE ? xstrdup(cmps[i].value) : NULL;
	}
	for (int i = 0; i < n_ops; i++) {
		t->ops[i] = ops[i];
		t->ops[i].key = xstrdup(ops[i].key);
		t->ops[i].value = ops[i].kind == STORE_PUT ? xstrdup(ops[i].value) : NULL;
	}
	return t;
}

/* The copies are ours; the public structs call them const. */
static void drop_text(const char *s)
{
	free((void *)(uintptr_t)s);
}

static void txn_free(struct mem_txn *t)
{
	if (!t)
		return;
	for (int i = 0; i < t->n_cmps; i++) {
		drop_text(t->cmps[i].key);
		drop_text(t->cmps[i].value);
	}
	for (int i = 0; i < t->n_ops; i++) {
		drop_text(t->ops[i].key);
		drop_text(t->ops[i].value);
	}
	free(t->cmps);
	free(t->ops);
	free(t);
}

/* ---- the data ---- */

/* First index whose key is not before key. */
static int lower_bound(const struct mem_data *d, const char *key)
{
	int lo = 0, hi = d->n_kvs;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (strcmp(d->kvs[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct store_kv *find(const struct mem_data *d, const char *key)
{
	int i = lower_bound(d, key);

	return i < d->n_kvs && strcmp(d->kvs[i].key, key) == 0 ? &d->kvs[i] : NULL;
}

static int prefix_end(const struct mem_data *d, int from, const char *prefix)
{
	int i = from;

	while (i < d->n_kvs && store_has_prefix(d->kvs[i].key, prefix))
		i++;
	return i;
}

static void put(struct mem_data *d, const char *key, const char *value, int64_t revision)
{
	struct store_kv *kv = find(d, key);

	if (kv) {
		free(kv->value);
		kv->value = xstrdup(value);
		kv->mod_revision = revision;
		return;
	}
	int i = lower_bound(d, key);
	if (d->n_kvs == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 64;
		d->kvs = xrealloc(d->kvs, (size_t)d->cap * sizeof(*d->kvs));
	}
	memmove(&d->kvs[i + 1], &d->kvs[i], (size_t)(d->n_kvs - i) * sizeof(*d->kvs));
	d->kvs[i] = (struct store_kv){ .key = xstrdup(key), .value = xstrdup(value), .mod_revision = revision,
				       .create_revision = revision };
	d->n_kvs++;
}

static bool erase(struct mem_data *d, int from, int to)
{
	for (int i = from; i < to; i++) {
		free(d->kvs[i].key);
		free(d->kvs[i].value);
	}
	if (from < to)
		memmove(&d->kvs[from], &d->kvs[to], (size_t)(d->n_kvs - to) * sizeof(*d->kvs));
	d->n_kvs -= to - from;
	return from < to;
}

/* An absent key has revision 0 and no value that could be equal: etcd's rules. */
static bool holds(const struct mem_data *d, const struct store_cmp *c)
{
	const struct store_kv *kv = find(d, c->key);

	switch (c->kind) {
	case STORE_CMP_ABSENT:
		return !kv;
	case STORE_CMP_MOD_REV:
		return (kv ? kv->mod_revision : 0) == c->revision;
	case STORE_CMP_CREATE_REV:
		return (kv ? kv->create_revision : 0) == c->revision;
	case STORE_CMP_VALUE:
		return kv && strcmp(kv->value, c->value) == 0;
	}
	abort();
}

static bool apply(struct mem_data *d, const struct store_op *op, int64_t revision)
{
	int from = lower_bound(d, op->key);

	switch (op->kind) {
	case STORE_PUT:
		put(d, op->key, op->value, revision);
		return true;
	case STORE_DELETE:
		return erase(d, from, find(d, op->key) ? from + 1 : from);
	case STORE_DELETE_PREFIX:
		return erase(d, from, prefix_end(d, from, op->key));
	}
	abort();
}

/* True when it was committed. The revision goes up only when something has changed. */
static bool execute(struct mem_data *d, const struct mem_txn *t)
{
	bool changed = false;

	for (int i = 0; i < t->n_cmps; i++)
		if (!holds(d, &t->cmps[i]))
			return false;
	for (int i = 0; i < t->n_ops; i++)
		changed |= apply(d, &t->ops[i], d->revision + 1);
	d->revision += changed;
	return true;
}

static void data_unref(struct mem_data *d)
{
	if (--d->refs > 0)
		return;
	list_for_each_safe(n, &d->late) {
		struct mem_late *late = list_entry(n, struct mem_late, link);

		txn_free(late->txn);
		free(late);
	}
	(void)erase(d, 0, d->n_kvs);
	free(d->kvs);
	free(d);
}

/* ---- calls ---- */

static void call_free(struct mem_call *c)
{
	list_del(&c->link);
	txn_free(c->txn);
	free(c->key);
	free(c->bad);
	free(c);
}

static struct mem_call *call_new(struct mem_store *m, store_cb *cb, void *arg)
{
	struct mem_call *c = xcalloc(1, sizeof(*c));

	assert(cb);
	c->cb = cb;
	c->arg = arg;
	list_add_tail(&m->queue, &c->link);
	return c;
}

static void answer(const struct mem_call *c, enum store_outcome outcome, int64_t revision, const struct err *err)
{
	struct store_result res = { .outcome = outcome, .revision = revision, .err = err };

	c->cb(c->arg, &res);
}

static void answer_unknown(const struct mem_call *c)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_UNKNOWN_OUTCOME, "the store did not answer in time");
	answer(c, STORE_UNKNOWN, 0, &err);
}

static bool dice(struct mem_store *m, int permille)
{
	return permille > 0 && rng_below(&m->rng, 1000) < (uint64_t)permille;
}

static void make_late(struct mem_store *m, struct mem_call *c)
{
	struct mem_late *late = xcalloc(1, sizeof(*late));

	late->txn = TAKE(c->txn);
	late->pumps = 1 + (int)rng_below(&m->rng, LATE_PUMPS_MAX);
	list_add_tail(&m->data->late, &late->link);
}

static void run_late(struct mem_data *d)
{
	list_for_each_safe(n, &d->late) {
		struct mem_late *late = list_entry(n, struct mem_late, link);

		if (--late->pumps > 0)
			continue;
		(void)execute(d, late->txn);
		list_del(&late->link);
		txn_free(late->txn);
		free(late);
	}
}

static void run_txn(struct mem_store *m, struct mem_call *c)
{
	struct mem_data *d = m->data;

	if (dice(m, m->faults.lose_request_permille)) {
		answer_unknown(c);
	} else if (dice(m, m->faults.late_permille)) {
		make_late(m, c);
		answer_unknown(c);
	} else {
		bool committed = execute(d, c->txn);

		if (dice(m, m->faults.lose_reply_permille))
			answer_unknown(c);
		else
			answer(c, committed ? STORE_OK : STORE_REFUSED, d->revision, NULL);
	}
}

/* A read that loses its message is asked again, as the etcd backend does: the loss shows as a later answer. False = later. */
static bool run_read(struct mem_store *m, const struct mem_call *c)
{
	const struct mem_data *d = m->data;
	int from = lower_bound(d, c->key);
	int to = c->exact ? from + (find(d, c->key) != NULL) : prefix_end(d, from, c->key);
	struct store_result res = { .outcome = STORE_OK, .revision = d->revision, .kvs = d->kvs + from, .n_kvs = to - from };

	if (dice(m, m->faults.lose_request_permille) || dice(m, m->faults.lose_reply_permille)) {
		struct err err = ERR_INIT;

		if (c->tries < READ_TRIES_MAX)
			return false;
		(void)err_set(&err, ERR_TIMEOUT, "the store did not answer in time");
		answer(c, STORE_FAILED, 0, &err);
		return true;
	}
	c->cb(c->arg, &res);
	return true;
}

/* True when it was answered. */
static bool run(struct mem_store *m, struct mem_call *c)
{
	c->tries++;
	if (c->bad) {
		answer(c, STORE_FAILED, 0, c->bad);
	} else if (!m->available) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_NO_MAJORITY, "the store has no majority");
		answer(c, STORE_FAILED, 0, &err);
	} else if (c->txn) {
		run_txn(m, c);
	} else {
		return run_read(m, c);
	}
	return true;
}

/* ---- interface ---- */

static struct mem_store *mem_of(struct store *s);

static void refuse(struct mem_call *c, const struct err *why)
{
	c->bad = xcalloc(1, sizeof(*c->bad));
	*c->bad = *why;
}

static void mem_txn(struct store *s, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops,
		    int timeout_ms, store_cb *cb, void *arg)
{
	struct mem_call *c = call_new(mem_of(s), cb, arg);

	struct err err = ERR_INIT;

	(void)timeout_ms; /* pumps are the clock here */
	if (store_check_txn(cmps, n_cmps, ops, n_ops, &err) == 0)
		c->txn = txn_copy(cmps, n_cmps, ops, n_ops);
	else
		refuse(c, &err);
}

static void mem_read(struct store *s, const char *key, bool exact, int timeout_ms, store_cb *cb, void *arg)
{
	struct mem_call *c = call_new(mem_of(s), cb, arg);
	struct err err = ERR_INIT;

	(void)timeout_ms;
	c->key = xstrdup(key);
	c->exact = exact;
	if (store_check_read(key, exact, &err) < 0)
		refuse(c, &err);
}

static void mem_destroy(struct mem_store *m)
{
	list_for_each_safe(n, &m->queue) {
		struct mem_call *c = list_entry(n, struct mem_call, link);

		/* It was sent: the death of its sender does not call it back. */
		if (c->txn && !dice(m, m->faults.lose_request_permille) && dice(m, m->faults.late_permille))
			make_late(m, c);
		call_free(c);
	}
	data_unref(m->data);
	free(m);
}

static void mem_free(struct store *s)
{
	struct mem_store *m;

	if (!s)
		return;
	m = mem_of(s);
	if (m->pumping)
		m->freed = true; /* by a callback; the pump ends it */
	else
		mem_destroy(m);
}

static const struct store_ops mem_ops = {
	.name = "mem",
	.txn = mem_txn,
	.read = mem_read,
	.look = mem_read, /* there is one member only */
	.free = mem_free,
};

static struct mem_store *mem_of(struct store *s)
{
	assert(s->ops == &mem_ops);
	return (struct mem_store *)(void *)s; /* base is its first member */
}

static struct store *handle_new(struct mem_data *d, const struct store_mem_faults *f)
{
	struct mem_store *m = xcalloc(1, sizeof(*m));

	m->base.ops = &mem_ops;
	m->data = d;
	m->available = true;
	d->refs++;
	list_init(&m->queue);
	store_mem_set_faults(&m->base, f);
	return &m->base;
}

struct store *store_mem_new(const struct store_mem_faults *f)
{
	struct mem_data *d = xcalloc(1, sizeof(*d));

	d->revision = 1; /* as an empty etcd */
	list_init(&d->late);
	return handle_new(d, f);
}

struct store *store_mem_share(struct store *s, const struct store_mem_faults *f)
{
	return handle_new(mem_of(s)->data, f);
}

void store_mem_set_faults(struct store *s, const struct store_mem_faults *f)
{
	static const struct store_mem_faults none = { .seed = 0 };
	struct mem_store *m = mem_of(s);

	m->faults = f ? *f : none;
	rng_seed(&m->rng, m->faults.seed);
}

void store_mem_set_available(struct store *s, bool available)
{
	mem_of(s)->available = available;
}

int store_mem_look(struct store *s, const char *key, bool exact, const struct store_kv **ret)
{
	struct mem_data *d = mem_of(s)->data;

	assert(!d->pumping);
	run_late(d);
	int from = lower_bound(d, key), to = exact ? from + (find(d, key) != NULL) : prefix_end(d, from, key);
	*ret = d->kvs + from;
	return to - from;
}

int store_mem_pump(struct store *s)
{
	struct mem_store *m = mem_of(s);
	struct list due;
	int n_answered = 0;

	assert(!m->data->pumping);
	m->pumping = m->data->pumping = true;
	run_late(m->data);
	/* What callbacks ask now belongs to the next pump. */
	list_init(&due);
	list_for_each_safe(n, &m->queue) {
		list_del(n);
		list_add_tail(&due, n);
	}
	while (!list_empty(&due)) {
		struct mem_call *c = list_entry(due.next, struct mem_call, link);

		if (m->freed || !run(m, c)) {
			list_del(&c->link);
			list_add_tail(&m->queue, &c->link);
			continue;
		}
		n_answered++;
		call_free(c);
	}
	m->pumping = m->data->pumping = false;
	if (m->freed)
		mem_destroy(m);
	return n_answered;
}
