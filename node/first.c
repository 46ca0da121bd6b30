/* SPDX-License-Identifier: Apache-2.0 */
#include "node/first.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/loop.h"
#include "io/store.h"

#define STORE_WAIT_MS 60000
#define PROBE_MS 3000
#define AT_ONCE (STORE_OPS_MAX - 4)
#define BYTES_AT_ONCE (512 * 1024)

/* A loop of its own: this runs on a worker thread. */
struct first {
	struct loop *loop;
	struct store *store;
	const struct core_put *puts;
	int n_puts;
	int at, n; /* the transaction in hand: puts [at, at + n) */
	const char *uuid; /* the cluster's: stands in /gantry/genesis */
	struct loop_timer *timer;
	int64_t give_up_ms;
	int rc;
	struct err err;
};

/* Refused: by an earlier try of ours whose answer was lost, or by somebody else's cluster. */
static void genesis_read(void *arg, const struct store_result *r)
{
	struct first *f = arg;

	if (r->outcome != STORE_OK) {
		loop_timer_start(f->timer, 200, 0);
		return;
	}
	if (r->n_kvs == 1 && strcmp(r->kvs[0].value, f->uuid) == 0)
		f->rc = 0;
	else
		f->rc = err_set(&f->err, ERR_CLUSTER_EXISTS, "the store holds a cluster already");
	loop_stop(f->loop);
}

static void first_done(void *arg, const struct store_result *r)
{
	struct first *f = arg;

	if (r->outcome == STORE_OK) {
		f->at += f->n;
		if (f->at >= f->n_puts) {
			f->rc = 0;
			loop_stop(f->loop);
		} else {
			loop_timer_start(f->timer, 0, 0);
		}
	} else if (r->outcome == STORE_REFUSED) {
		f->store->ops->read(f->store, "/gantry/genesis", true, 2000, genesis_read, f);
	} else if (loop_now_ms(f->loop) > f->give_up_ms) {
		f->rc = err_set(&f->err, ERR_STORE, "etcd does not come up: %s", r->err ? r->err->msg : "no answer");
		loop_stop(f->loop);
	} else {
		loop_timer_start(f->timer, 200, 0);
	}
}

/* The same puts again when the outcome is unknown: nobody else writes before genesis is there. */
static void first_try(void *arg)
{
	struct first *f = arg;
	const struct store_cmp cmp = { .kind = STORE_CMP_ABSENT, .key = "/gantry/genesis" };
	struct store_op ops[STORE_OPS_MAX];
	size_t bytes = 0;

	for (f->n = 0; f->at + f->n < f->n_puts && f->n < AT_ONCE && bytes < BYTES_AT_ONCE; f->n++) {
		const struct core_put *p = &f->puts[f->at + f->n];

		ops[f->n] = (struct store_op){ STORE_PUT, p->key, p->value };
		bytes += strlen(p->value);
	}
	int n = f->n;
	if (f->at + n == f->n_puts)
		ops[n++] = (struct store_op){ STORE_PUT, "/gantry/genesis", f->uuid };
	f->store->ops->txn(f->store, &cmp, 1, ops, n, 5000, first_done, f);
}

static int open_store(struct first *f, const struct conf *conf, const char *const *urls, void (*start)(void *), struct err *err)
{
	AUTO_FREE char *ca = conf_path(conf, "ca.pem"), *cert = conf_path(conf, "node.pem"), *key = conf_path(conf, "node.key");
	const struct store_etcd_conf sc = { urls, ca, cert, key };

	f->loop = loop_new();
	int rc = store_etcd_new(f->loop, &sc, &f->store, err);
	if (rc == 0) {
		f->give_up_ms = loop_now_ms(f->loop) + STORE_WAIT_MS;
		f->timer = loop_timer_new(f->loop, start, f);
		loop_timer_start(f->timer, 0, 0);
		loop_run(f->loop);
		loop_timer_free(f->timer);
		f->store->ops->free(f->store);
		rc = f->rc;
		if (rc < 0)
			*err = f->err;
	}
	loop_free(f->loop);
	return rc;
}

int first_write(const struct conf *conf, const char *uuid, const struct core_put *puts, int n_puts, struct err *err)
{
	AUTO_FREE char *url = xasprintf(strchr(conf->address, ':') ? "https://[%s]:%d" : "https://%s:%d", conf->address, (int)conf->etcd_client_port);
	const char *urls[] = { url, NULL };
	struct first f = { .puts = puts, .n_puts = n_puts, .uuid = uuid };

	return open_store(&f, conf, urls, first_try, err);
}

/* ---- what is there ------------------------------------------------------------------------------------------ */

struct reading {
	struct first f;
	first_read_fn *fn;
	void *arg;
};

static void all_read(void *arg, const struct store_result *r)
{
	struct reading *x = arg;

	if (r->outcome != STORE_OK && loop_now_ms(x->f.loop) <= x->f.give_up_ms) {
		loop_timer_start(x->f.timer, 200, 0);
		return;
	}
	if (r->outcome == STORE_OK) {
		struct core_kv *kvs = xcalloc((size_t)r->n_kvs + 1, sizeof(*kvs));

		for (int i = 0; i < r->n_kvs; i++)
			kvs[i] = (struct core_kv){ r->kvs[i].key, r->kvs[i].value };
		x->f.rc = x->fn(x->arg, kvs, r->n_kvs, &x->f.err);
		free(kvs);
	} else {
		x->f.rc = err_set(&x->f.err, ERR_STORE, "etcd does not come up: %s", r->err ? r->err->msg : "no answer");
	}
	loop_stop(x->f.loop);
}

static void read_all(void *arg)
{
	struct reading *x = arg; /* f is its first member */

	x->f.store->ops->read(x->f.store, "/gantry/", false, 10000, all_read, x);
}

int first_read(const struct conf *conf, first_read_fn *fn, void *arg, struct err *err)
{
	AUTO_FREE char *url = xasprintf(strchr(conf->address, ':') ? "https://[%s]:%d" : "https://%s:%d", conf->address, (int)conf->etcd_client_port);
	const char *urls[] = { url, NULL };
	struct reading x = { .fn = fn, .arg = arg };

	return open_store(&x.f, conf, urls, read_all, err);
}

/* ---- is there a majority still? --------------------------------------------------------------------------- */

static void probe_done(void *arg, const struct store_result *r)
{
	struct first *f = arg;

	f->n = r->outcome == STORE_OK; /* a linearizable read: only a majority can answer it */
	loop_stop(f->loop);
}

static void probe(void *arg)
{
	struct first *f = arg;

	f->store->ops->read(f->store, "/gantry/genesis", true, PROBE_MS, probe_done, f);
}

int first_majority_answers(const struct conf *conf, const char *const *urls, bool *ret, struct err *err)
{
	for (int i = 0; urls[i]; i++) { /* one by one: a time-out at a dead one must not hide a living one */
		const char *one[] = { urls[i], NULL };
		struct first f = { .rc = 0 };
		int rc = open_store(&f, conf, one, probe, err);

		if (rc < 0)
			return rc;
		if (f.n) {
			*ret = true;
			return 0;
		}
	}
	*ret = false;
	return 0;
}
