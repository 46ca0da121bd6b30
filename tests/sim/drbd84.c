/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DRBD 8.4 as drbd84-arbitration.md saw it and the source tells it: states, freezing, the fence-peer handler, generations and
 * bitmap, activity log after a crash, two Primaries, forced and graceful disconnects. All volumes of a resource are one disk here,
 * of numbered blocks. A connection that is cut is noticed by each side at a time of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "node/handler.h"
#include "tests/sim/drbd84.h"

/* ---- looking things up --------------------------------------------------------------------------------- */

struct replica *replica_find(struct machine *m, const char *name)
{
	list_for_each(l, &m->replicas) {
		struct replica *r = list_entry(l, struct replica, link);

		if (strcmp(r->name, name) == 0)
			return r;
	}
	return NULL;
}

struct replica *replica_by_minor(struct machine *m, int minor)
{
	list_for_each(l, &m->replicas) {
		struct replica *r = list_entry(l, struct replica, link);

		if (r->up && minor >= r->minor && minor < r->minor + r->n_volumes)
			return r;
	}
	return NULL;
}

struct replica *replica_peer(const struct replica *r)
{
	struct machine *o = machine_by_name(r->up ? r->kernel_peer : r->peer);
	struct replica *p = o && o->power ? replica_find(o, r->name) : NULL;

	return p && p->up && strcmp(p->kernel_peer, r->m->name) == 0 ? p : NULL;
}

/* The other end of the connection that r is in; NULL = there is none any more. */
struct replica *replica_linked(const struct replica *r)
{
	struct replica *p = r->net == WANT_CONNECTED ? replica_peer(r) : NULL;

	return p && p->net == WANT_CONNECTED && p->session == r->session ? p : NULL;
}

bool replica_wired(const struct replica *a, const struct replica *b)
{
	return net_up(NET_REPL, a->m, b->m) && net_up(NET_REPL, b->m, a->m);
}

bool replica_readable(struct replica *r)
{
	struct replica *p = replica_linked(r);

	return r->up && !r->frozen && (replica_good(r) || (p && replica_good(p)));
}

void replica_read(struct replica *r, uint64_t blocks[BLOCKS])
{
	const struct replica *from = replica_good(r) ? r : replica_linked(r);

	memcpy(blocks, from->block, sizeof(r->block));
}

/* ---- writes ------------------------------------------------------------------------------------------------ */

void replica_finish_write(struct replica *r, bool ok)
{
	struct pending w = r->write;

	if (!w.active)
		return;
	r->write.active = false;
	if (ok && !w.remote)
		check_alone(r);
	guest_write_done(r->m, r, w.block, w.value, ok);
}

/* What was under way when the peer went: done here alone, and the peer lacks it. */
void replica_write_alone(struct replica *r)
{
	if (!r->write.active)
		return;
	if (!replica_good(r)) {
		replica_finish_write(r, false);
		return;
	}
	r->block[r->write.block] = r->write.value;
	r->out_of_sync |= UINT64_C(1) << r->write.block;
	replica_finish_write(r, true);
}

struct packet {
	struct replica *from;
	int64_t session, number;
};

static void acked(void *arg)
{
	struct packet *p = arg;
	struct replica *r = p->from;

	if (r->write.active && r->write.number == p->number && r->net == WANT_CONNECTED && r->session == p->session && !r->frozen)
		replica_finish_write(r, true);
	free(p);
}

/* Arrived at the peer: on its disk if it has one, and answered. */
static void arrived(void *arg)
{
	struct packet *p = arg;
	struct replica *r = p->from, *to = replica_linked(r);

	if (!to || r->session != p->session || !r->write.active || r->write.number != p->number || !net_up(NET_REPL, r->m, to->m)) {
		free(p);
		return; /* the connection will be found dead */
	}
	if (replica_attached(to)) {
		to->block[r->write.block] = r->write.value;
		r->write.remote = true;
	}
	if (!net_up(NET_REPL, to->m, r->m)) {
		free(p);
		return;
	}
	(void)after(r->m->kernel, net_latency(), acked, p);
}

void replica_send_write(struct replica *r)
{
	struct packet *p = xcalloc(1, sizeof(*p));

	*p = (struct packet){ r, r->session, r->write.number };
	(void)after(NULL, net_latency(), arrived, p);
}

bool replica_write(struct replica *r, int block, uint64_t value)
{
	static int64_t number;
	struct replica *p = replica_linked(r);

	if (!r->up || r->role != DRBD_ROLE_PRIMARY || r->write.active)
		return false;
	if (!r->frozen && !replica_good(r) && !(p && replica_good(p)))
		return false; /* an error for the guest */
	r->write = (struct pending){ .active = true, .block = block, .value = value, .number = ++number };
	if (r->frozen)
		return true; /* waits */
	if (replica_attached(r)) {
		r->hot |= UINT64_C(1) << block;
		r->block[block] = value;
		r->write.local = true;
	}
	if (r->net == WANT_CONNECTED) {
		if (p)
			replica_send_write(r);
		return true; /* without an other end it waits until the loss is noticed */
	}
	replica_write_alone(r);
	return true;
}

/* ---- freezing, and who is asked ------------------------------------------------------------------------------ */

struct handler {
	struct replica *r;
	int64_t connects;
	char event[32];
};

/* "yes": the peer counts as outdated, a new generation begins, what waited goes on. */
void replica_go_on_alone(struct replica *r)
{
	replica_set_peer_disk(r, DRBD_DISK_OUTDATED);
	if (r->bitmap_uuid == 0 || r->role == DRBD_ROLE_PRIMARY)
		replica_new_current(r);
	r->frozen = false;
	replica_write_alone(r);
}

int replica_call_handler(const char *resource, const char *event)
{
	/* Read before anything can wait: nobody else sees it. */
	(void)setenv("DRBD_RESOURCE", resource, 1);
	return handler_drbd(machine_root(here()), event);
}

static void handler_process(void *arg)
{
	struct handler *h = arg;
	struct replica *r = h->r;
	int rc = replica_call_handler(r->name, h->event);

	trace("%s: handler %s ends with %d", r->name, h->event, rc);
	if (strcmp(h->event, "fence-peer") == 0) {
		r->handler_runs = false;
		/* 5 counts as yes on an UpToDate Primary: seen on the real module. */
		if ((rc == 7 || rc == 5 || rc == 4) && r->connects == h->connects && r->up && r->frozen && !r->m->drbd_hangs && r->net < WANT_SHAKING && replica_good(r))
			replica_go_on_alone(r);
	}
	free(h);
}

void replica_fork_handler(struct replica *r, const char *event)
{
	struct handler *h = xcalloc(1, sizeof(*h));

	h->r = r;
	h->connects = r->connects;
	(void)str_copy(h->event, sizeof(h->event), event);
	(void)fiber_start(r->m->kernel, handler_process, h);
}

void replica_freeze(struct replica *r)
{
	if (r->frozen)
		return;
	r->frozen = true;
	r->no_data = !replica_good(r);
	trace("%s %s: frozen%s", r->m->name, r->name, r->no_data ? ", no data" : "");
	if (!r->handler_runs && !r->no_data) {
		r->handler_runs = true;
		replica_fork_handler(r, "fence-peer");
	}
}
