/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions of worker threads to the master, with an answer that is awaited: pulled permissions (H10) and new certificates.
 * An answer that comes after the node's own deadline is dropped: permission is for now, not for later.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "node/guard.h"
#include "node/node.h"

#define ANSWER_WITHIN_MS 5000

struct wait {
	struct list link;      /* on the loop's thread */
	struct noded *node;
	char id[64];
	bool sign;
	char instance[UUID_LEN + 1];
	enum authority what;
	int64_t ha_rev;        /* the answer: arm the watchdog first; 0 = no need */
	const char *csr;
	struct worker_event *event;
	pthread_mutex_t lock;  /* guards what follows */
	int refs;              /* worker and loop: the last one frees */
	bool answered;
	int rc;
	struct err err;
	char *cert, *ca;
};

static void wait_unref(struct wait *w)
{
	(void)pthread_mutex_lock(&w->lock);
	int left = --w->refs;
	(void)pthread_mutex_unlock(&w->lock);
	if (left)
		return;
	(void)pthread_mutex_destroy(&w->lock);
	worker_event_free(w->event);
	free(w->cert);
	free(w->ca);
	free(w);
}

/* On the loop's thread: gives the answer and lets the worker go. */
static void answer(struct wait *w, int rc, const struct err *err)
{
	list_del(&w->link);
	(void)pthread_mutex_lock(&w->lock);
	w->answered = true;
	w->rc = rc;
	if (err)
		w->err = *err;
	(void)pthread_mutex_unlock(&w->lock);
	worker_event_set(w->event);
	wait_unref(w);
}

static void ask(void *arg)
{
	struct wait *w = arg;
	struct noded *n = w->node;
	static int64_t number; /* of questions, on the loop's thread only */
	struct err err = ERR_INIT;

	list_add_tail(&n->waits, &w->link);
	(void)snprintf(w->id, sizeof(w->id), "%.8s.%lld", n->boot, (long long)++number);
	if (!uplink_ready(n)) {
		answer(w, err_set(&err, ERR_NO_MASTER, "no master answers, so nothing is permitted"), &err);
		return;
	}
	if (w->sign) {
		struct msg_sign m = { .csr = (char *)(uintptr_t)w->csr };

		(void)str_copy(m.id, sizeof(m.id), w->id);
		uplink_send(n, "sign", &msg_sign_schema, &m);
		return;
	}
	struct msg_authorise m;
	schema_init(&msg_authorise_schema, &m);
	(void)str_copy(m.id, sizeof(m.id), w->id);
	(void)str_copy(m.instance, sizeof(m.instance), w->instance);
	(void)str_copy(m.boot_id, sizeof(m.boot_id), n->boot);
	m.what = (int)w->what;
	uplink_send(n, "authorise", &msg_authorise_schema, &m);
}

static struct wait *wait_new(struct noded *n)
{
	struct wait *w = xcalloc(1, sizeof(*w));

	w->node = n;
	w->refs = 2;
	(void)pthread_mutex_init(&w->lock, NULL);
	w->event = worker_event_new();
	return w;
}

/* On a worker: posts the question and waits. Consumes the worker's reference only through wait_unref by the caller. */
static int await(struct wait *w, struct err *err)
{
	double slow = w->node->env.time_factor > 1 ? w->node->env.time_factor : 1;

	loop_post(w->node->loop, ask, w);
	(void)worker_event_wait(w->event, (int64_t)(ANSWER_WITHIN_MS * slow));
	(void)pthread_mutex_lock(&w->lock);
	bool answered = w->answered;
	if (answered && w->rc < 0 && err)
		*err = w->err;
	int rc = answered ? w->rc : 0;
	(void)pthread_mutex_unlock(&w->lock);
	if (!answered)
		return err_set(err, ERR_TIMEOUT, "the master has not answered in time, so nothing is permitted");
	return rc;
}

int authorise_call(struct exec_env *env, const char *instance, enum authority what, struct err *err)
{
	if (!RULE(PULL))
		return 0; /* the order is permission enough */
	struct wait *w = wait_new(env->arg);

	(void)str_copy(w->instance, sizeof(w->instance), instance);
	w->what = what;
	int rc = await(w, err);
	if (rc == 0 && w->ha_rev)
		guard_wait(w->node, instance, w->ha_rev);
	wait_unref(w);
	return rc;
}

int authorise_sign(struct noded *n, const char *csr, char **ret_cert, char **ret_ca, struct err *err)
{
	struct wait *w = wait_new(n);

	w->sign = true;
	w->csr = csr;
	int rc = await(w, err);
	if (rc == 0) {
		*ret_cert = TAKE(w->cert);
		*ret_ca = TAKE(w->ca);
	}
	wait_unref(w);
	return rc;
}

static struct wait *find(struct noded *n, const char *id)
{
	list_for_each(l, &n->waits) {
		struct wait *w = list_entry(l, struct wait, link);

		if (strcmp(w->id, id) == 0)
			return w;
	}
	return NULL;
}

void authorise_answer(struct noded *n, const struct msg_authority *a)
{
	struct wait *w = find(n, a->id);
	struct err err = ERR_INIT;

	if (!w || (RULE(NODE_EPOCH) && a->epoch < agent_highest_epoch(n->agent)))
		return;
	if (a->granted == 1 && a->ha == 1) {
		w->ha_rev = a->ha_rev;
		guard_permitted(n, w->instance, a->ha_rev);
	}
	if (a->granted == 1)
		answer(w, 0, NULL);
	else
		answer(w, err_set(&err, ERR_NOT_OWNER, "not permitted: %s", a->reason ? a->reason : "no reason given"), &err);
}

void authorise_signed(struct noded *n, const struct msg_signed *s)
{
	struct wait *w = find(n, s->id);
	struct err err = ERR_INIT;

	if (!w)
		return;
	if (!s->cert || !s->ca) {
		answer(w, err_set(&err, ERR_TLS, "the master has not signed: %s", s->msg ? s->msg : "no reason given"), &err);
		return;
	}
	w->cert = xstrdup(s->cert);
	w->ca = xstrdup(s->ca);
	answer(w, 0, NULL);
}

void authorise_abort(struct noded *n)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_NO_MASTER, "the link to the master is gone, so nothing is permitted");
	list_for_each_safe(l, &n->waits)
		answer(list_entry(l, struct wait, link), -ERR_NO_MASTER, &err);
}
