/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of io/link.h: connections over two networks that can be cut, also in one direction. As TCP it loses and doubles nothing while
 * a connection lives: what cannot pass waits, and after UNANSWERED the sender's end is closed. A sweep may break that rule on
 * purpose (W.lose_frame: the connection breaks at that frame; W.dup_frame: it comes twice).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/link.h"
#include "io/pki.h"
#include "tests/sim/world.h"

#define UNANSWERED (15 * SEC)
#define RETRY (200 * MS)
#define HANDSHAKE (5 * SEC)
#define KEEPALIVE (10 * SEC) /* then a probe a second, ten times */

struct link_tls {
	char uuid[UUID_LEN + 1];
	int refs;
};

struct link_server {
	struct list link;
	struct proc *p;
	const struct link_cb *cb;
	void *arg;
	int port;
	bool dead;
};

struct frame {
	struct list link;
	int64_t since;
	size_t len;
	char text[];
};

struct link {
	struct list all;
	struct proc *p;         /* whose end this is */
	struct link *other;     /* NULL = gone for good on that side */
	enum net net;
	bool up, closed, closing;
	bool unheard;           /* its owner is not told any more */
	const struct link_cb *cb;
	void *arg, *data;
	char peer[UUID_LEN + 1];
	char remote[ADDR_LEN + 1];
	struct list queue;      /* frames sent by this end and not delivered yet */
	bool moving;            /* an event for the first of them is scheduled */
	bool fin;               /* its end is to be told to the other one after the queue */
	bool forgotten;         /* its machine lost power: whoever asks it is told that there is no such connection */
	int64_t unheard_since;  /* 0 = the other machine answers probes */
};

/* A text in a connection keeps what it names (twin_wire.c). */
static struct frame *frame_new(const char *text, size_t len)
{
	struct frame *f = xmalloc(sizeof(*f) + len + 1);

	wire_hold(text, len);
	f->since = eng.now;
	f->len = len;
	memcpy(f->text, text, len);
	f->text[len] = '\0';
	return f;
}

static void frame_free(struct frame *f)
{
	wire_let_go(f->text, f->len);
	free(f);
}

static char *text_keep(const char *text, size_t len)
{
	wire_hold(text, len);
	return xstrndup(text, len);
}

static void text_drop(char *text, size_t len)
{
	wire_let_go(text, len);
	free(text);
}

static struct list servers, links;
static struct list held_frames;
static struct hold { /* see frames_hold() */
	int machine; /* MACHINES_MAX: any */
	char json[48], box[48];
} hold[4];
static int n_hold;
static void keep_alive(void *arg);

void links_world_new(void)
{
	list_init(&servers);
	list_init(&links);
	list_init(&held_frames);
	n_hold = 0;
}

/* ---- credentials ----------------------------------------------------------------------------------------- */

int link_tls_new(const char *ca_pem, const char *cert_pem, const char *key_pem, const char *crl_pem, struct link_tls **ret, struct err *err)
{
	struct link_tls *t = xcalloc(1, sizeof(*t));

	(void)ca_pem;
	(void)key_pem;
	(void)crl_pem;
	(void)err;
	t->refs = 1;
	if (cert_pem)
		(void)sscanf(cert_pem, "CERT %36s", t->uuid);
	*ret = t;
	return 0;
}

void link_tls_unref(struct link_tls *t)
{
	if (t && --t->refs == 0)
		free(t);
}

/* ---- ends --------------------------------------------------------------------------------------------------- */

static struct link *link_make(struct proc *p, enum net net, const struct link_cb *cb, void *arg)
{
	struct link *k = xcalloc(1, sizeof(*k));

	k->p = p;
	p->refs++;
	k->net = net;
	k->cb = cb;
	k->arg = arg;
	list_init(&k->queue);
	list_add_tail(&links, &k->all);
	return k;
}

struct closing {
	struct link *k;
	struct err err;
};

static void close_event(void *arg)
{
	struct closing *c = arg;
	struct link *k = c->k;

	if (!k->closed) {
		k->closed = true;
		if (!k->unheard)
			k->cb->closed(k->arg, k, &c->err);
	}
	free(c);
}

/* Its own side hears of it from an event, as from the real one; once. */
static void end_link(struct link *k, enum err_code why, const char *text)
{
	struct closing *c;

	if (k->closing)
		return;
	k->closing = true;
	k->up = false;
	if (k->p->dead)
		return;
	c = xcalloc(1, sizeof(*c));
	c->k = k;
	(void)err_set(&c->err, why, "%s", text);
	(void)after(k->p, 0, close_event, c);
}

static void move(struct link *k);

static void move_again(void *arg)
{
	struct link *k = arg;

	k->moving = false;
	move(k);
}

static void deliver_copy(void *arg)
{
	struct frame *f = arg;
	struct link *to = (struct link *)(void *)f->link.next; /* kept there for the copy */

	if (to->up && !to->closing)
		to->cb->frame(to->arg, to, f->text, f->len);
	frame_free(f);
}

static void deliver(void *arg)
{
	struct link *k = arg, *to = k->other;

	k->moving = false;
	if (list_empty(&k->queue) || !to)
		return;
	if (!net_up(k->net, k->p->m, to->p->m)) { /* it was cut while the frame was under way */
		move(k);
		return;
	}
	struct frame *f = list_entry(k->queue.next, struct frame, link);
	list_del(&f->link);
	if (to->up && !to->closing) {
		/* The receiver's code runs in the receiver's process. */
		struct proc *was = eng.proc;

		eng.proc = to->p;
		to->cb->frame(to->arg, to, f->text, f->len);
		eng.proc = was;
	}
	frame_free(f);
	move(k);
}

static void far_end_closed(void *arg)
{
	struct link *k = arg;

	if (k->other && !k->other->p->dead)
		end_link(k->other, ERR_NODE_DOWN, "the peer closed the connection");
}

/* ---- frames that a directed world holds back: late, but not lost; others of the connection pass them ---- */

struct held {
	struct list link;
	struct link *to;
	char *text;
	size_t len;
	int hold; /* the how-manieth it was kept by */
};
static int holds;

void frames_hold_too(int machine, const char *type)
{
	struct hold *h = &hold[n_hold++];

	assert(n_hold <= (int)ARRAY_SIZE(hold));
	h->machine = machine;
	(void)snprintf(h->json, sizeof(h->json), "\"type\":\"%s\"", type);
	(void)snprintf(h->box, sizeof(h->box), "@%s ", type);
}

void frames_hold(int machine, const char *type)
{
	n_hold = 0;
	holds++;
	frames_hold_too(machine, type);
}

void frames_pass(void)
{
	n_hold = 0;
}

static void deliver_held(void *arg)
{
	struct held *h = arg;

	if (h->to->up && !h->to->closing)
		h->to->cb->frame(h->to->arg, h->to, h->text, h->len);
	text_drop(h->text, h->len);
	free(h);
}

int frames_release(void)
{
	int n = 0;

	list_for_each_safe(l, &held_frames) {
		if (n_hold && list_entry(l, struct held, link)->hold == holds)
			continue; /* still kept */
		list_del(l);
		(void)after(list_entry(l, struct held, link)->to->p, 0, deliver_held, list_entry(l, struct held, link));
		n++;
	}
	return n;
}

static bool is_held(const struct link *k, const char *text)
{
	for (int i = 0; i < n_hold; i++)
		if ((hold[i].machine == MACHINES_MAX || k->p->m->index == hold[i].machine || k->other->p->m->index == hold[i].machine) &&
		    (strncmp(text, hold[i].box, strlen(hold[i].box)) == 0 || strstr(text, hold[i].json)))
			return true;
	return false;
}

static bool held_back(struct link *k, const char *text, size_t len)
{
	if (!k->other || !is_held(k, text))
		return false;
	struct held *h = xcalloc(1, sizeof(*h));
	h->to = k->other;
	h->text = text_keep(text, len);
	h->len = len;
	h->hold = holds;
	list_add_tail(&held_frames, &h->link);
	return true;
}

/* The first frame of the queue sets out; or waits, or gives up. */
static void move(struct link *k)
{
	struct link *to = k->other;

	if (k->moving || !to)
		return;
	if (list_empty(&k->queue)) {
		if (k->fin && net_up(k->net, k->p->m, to->p->m)) {
			k->fin = false;
			(void)after(NULL, net_latency(), far_end_closed, k);
		}
		return;
	}
	struct frame *f = list_entry(k->queue.next, struct frame, link);
	if (net_up(k->net, k->p->m, to->p->m)) {
		k->moving = true;
		/* Belongs to the receiver: it is delivered when that one runs. The kernel of the sender sends on without it. */
		(void)after(to->p, net_latency(), deliver, k);
		return;
	}
	if (eng.now - f->since > UNANSWERED) {
		end_link(k, ERR_NODE_DOWN, "the peer does not answer");
		return;
	}
	k->moving = true;
	(void)after(NULL, RETRY, move_again, k);
}

int link_send(struct link *k, const char *text, size_t len)
{
	if (!k->up || k->closing)
		return -ERR_NODE_DOWN;
	int64_t n = W.n_frames++;
	if (n == W.lose_frame) {
		trace("frame %lld is lost, its connection breaks", (long long)n);
		end_link(k, ERR_NODE_DOWN, "the connection broke");
		if (k->other)
			end_link(k->other, ERR_NODE_DOWN, "the connection broke");
		return 0;
	}
	if (held_back(k, text, len))
		return 0;
	struct frame *f = frame_new(text, len);
	list_add_tail(&k->queue, &f->link);
	if (n == W.dup_frame && k->other) {
		struct frame *copy = frame_new(text, len);

		copy->link.next = (struct list *)(void *)k->other;
		(void)after(k->other->p, 400 * MS, deliver_copy, copy);
	}
	move(k);
	return 0;
}

void link_close(struct link *k)
{
	if (k->closing)
		return;
	k->fin = true;
	end_link(k, ERR_CANCELED, "closed");
	move(k);
}

void link_forget(struct link *k)
{
	k->unheard = true;
	link_close(k);
}

/* A process has died: its kernel tells the others at once; with the power gone nobody does. */
void links_of_proc_died(struct proc *p, bool power)
{
	list_for_each_safe(l, &servers) {
		struct link_server *s = list_entry(l, struct link_server, link);

		if (s->p == p) {
			list_del(l);
			s->dead = true;
		}
	}
	list_for_each(l, &links) {
		struct link *k = list_entry(l, struct link, all);

		if (k->other && k->other->p == p) { /* what was on its way to the dead waits for an answer like the rest */
			k->moving = false;
			move(k);
		}
		if (k->p != p || k->closing)
			continue;
		k->closing = true;
		k->up = false;
		if (power) {
			k->forgotten = true;
			while (!list_empty(&k->queue)) {
				struct frame *f = list_entry(k->queue.next, struct frame, link);

				list_del(&f->link);
				frame_free(f);
			}
			continue;
		}
		k->fin = true;
		move(k);
	}
}

/* The kernel's own probes: without them an idle connection to a dark machine would live for ever. */
static void keep_alive(void *arg)
{
	struct link *k = arg;

	if (k->closing || k->p->dead)
		return;
	if (k->other && net_up(k->net, k->p->m, k->other->p->m) && net_up(k->net, k->other->p->m, k->p->m)) {
		k->unheard_since = 0;
		if (k->other->forgotten) {
			end_link(k, ERR_NODE_DOWN, "connection reset by peer");
			return;
		}
	} else if (!k->unheard_since) {
		k->unheard_since = eng.now;
	} else if (eng.now - k->unheard_since >= KEEPALIVE) {
		end_link(k, ERR_NODE_DOWN, "the peer does not answer");
		return;
	}
	(void)after(NULL, KEEPALIVE / 2, keep_alive, k);
}

/* ---- dialling ----------------------------------------------------------------------------------------------------- */

struct dialling {
	struct link *k;
	char address[ADDR_LEN + 1];
	int port;
	int64_t since;
	char uuid[UUID_LEN + 1];
};

static void opened(void *arg)
{
	struct link *k = arg;

	if (k->closing)
		return;
	k->up = true;
	k->cb->open(k->arg, k, k->peer);
}

/* Who stands still greets nobody: the other end does not wait for ever. */
static void greeted(void *arg)
{
	struct link *k = arg;

	if (!k->up)
		end_link(k, ERR_TIMEOUT, "the handshake takes too long");
}

static void accepted(void *arg)
{
	struct link *k = arg; /* the server's end */

	if (k->closing)
		return;
	k->up = true;
	k->cb->open(k->arg, k, k->peer);
	if (k->other && !k->other->closing && !k->other->p->dead)
		(void)after(k->other->p, net_latency(), opened, k->other);
}

static void dial_again(void *arg)
{
	struct dialling *d = arg;
	enum net net;
	struct machine *to = machine_by_address(d->address, &net);
	struct link_server *found = NULL;

	if (d->k->closing || d->k->p->dead) {
		free(d);
		return;
	}
	bool reach = to && to->power && net_up(net, d->k->p->m, to) && net_up(net, to, d->k->p->m);
	list_for_each(l, &servers) {
		struct link_server *s = list_entry(l, struct link_server, link);

		if (reach && s->p->m == to && s->port == d->port)
			found = s;
	}
	if (!reach && eng.now - d->since < HANDSHAKE) {
		(void)after(NULL, RETRY, dial_again, d);
		return;
	}
	if (!found) {
		trace("dial %s: %s", d->address, reach ? "refused" : "no answer");
		end_link(d->k, reach ? ERR_NODE_DOWN : ERR_TIMEOUT, reach ? "connection refused" : "no answer");
		free(d);
		return;
	}
	struct link *far = link_make(found->p, net, found->cb, found->arg);
	far->other = d->k;
	d->k->other = far;
	(void)str_copy(far->peer, sizeof(far->peer), d->uuid);
	(void)str_copy(far->remote, sizeof(far->remote), d->k->p->m->address[net]);
	(void)str_copy(d->k->peer, sizeof(d->k->peer), to->uuid);
	(void)after(found->p, net_latency(), accepted, far);
	(void)after(NULL, HANDSHAKE, greeted, d->k);
	(void)after(NULL, KEEPALIVE, keep_alive, far);
	(void)after(NULL, KEEPALIVE, keep_alive, d->k);
	free(d);
}

struct link *link_dial(struct loop *l, const char *address, int port, const char *local_address, struct link_tls *tls, const char *pin,
		       const struct link_cb *cb, void *arg)
{
	struct dialling *d = xcalloc(1, sizeof(*d));
	enum net net = NET_FRONT;

	(void)l;
	(void)local_address;
	(void)pin;
	(void)machine_by_address(address, &net);
	d->k = link_make(eng.proc, net, cb, arg);
	(void)str_copy(d->k->remote, sizeof(d->k->remote), address);
	(void)str_copy(d->address, sizeof(d->address), address);
	(void)str_copy(d->uuid, sizeof(d->uuid), tls ? tls->uuid : "");
	d->port = port;
	d->since = eng.now;
	(void)after(NULL, net_latency(), dial_again, d);
	return d->k;
}

int link_server_new(struct loop *l, const char *address, int port, struct link_tls *tls, bool allow_anonymous, const struct link_cb *cb, void *arg,
		    struct link_server **ret, struct err *err)
{
	struct link_server *s = xcalloc(1, sizeof(*s));

	(void)l;
	(void)address;
	(void)tls;
	(void)allow_anonymous;
	(void)err;
	s->p = eng.proc;
	s->port = port;
	s->cb = cb;
	s->arg = arg;
	list_add_tail(&servers, &s->link);
	*ret = s;
	return 0;
}

void link_server_set_tls(struct link_server *s, struct link_tls *tls)
{
	(void)s;
	(void)tls;
}

int link_server_port(const struct link_server *s)
{
	return s->port;
}

void link_server_free(struct link_server *s)
{
	(void)s;
	abort(); /* processes of the simulation only die */
}

const char *link_peer(const struct link *k)
{
	return k->peer;
}

const char *link_remote_address(const struct link *k)
{
	return k->remote;
}

void *link_data(const struct link *k)
{
	return k->data;
}

void link_set_data(struct link *k, void *data)
{
	k->data = data;
}
