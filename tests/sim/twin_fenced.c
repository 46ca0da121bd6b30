/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gantry-fenced: its rule is the shipped one (fenced/dog.c), around it what fenced/main.c and fenced/device.c do. The watchdog itself is the machine's:
 * it runs on true time, outlives the process, and resets the machine W after it was last fed, whatever stalls. Twin of node/fenced_link.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/xmem.h"
#include "fenced/dog.h"
#include "fenced/wire.h"
#include "node/fenced_link.h"
#include "tests/sim/world.h"

#define LOCAL_US 100
#define DEVICE_S 1000 /* ms: real devices count in whole seconds */

struct watchdog {
	bool open;
	int64_t w_us;
	struct event *bite;
};

struct fenced_link { /* noded's end and fenced's: one machine, nothing is lost */
	struct proc *noded, *fenced;
	const struct fenced_link_cb *cb;
	void *arg;
	bool closed;
};

struct fenced {
	struct machine *m;
	struct proc *p;
	struct dog dog;
	int64_t dev_w_ms;
	bool dev_open;         /* by this process */
	struct event *tick;
	struct fenced_link *k; /* the newest connection counts */
};

/* ---- the device -------------------------------------------------------------------------------------------- */

static void bite(void *arg)
{
	struct machine *m = arg;

	m->watchdog->bite = NULL;
	m->watchdog->open = false;
	if (!m->power)
		return;
	trace("%s: the watchdog resets it", m->name);
	W.counts.watchdog_resets++;
	machine_reboot_later(m, 500 * MS);
}

static void device_feed(struct machine *m)
{
	struct watchdog *w = m->watchdog;

	event_cancel(w->bite);
	w->bite = w->open ? at(NULL, eng.now + w->w_us, bite, m) : NULL;
}

static void device_open(struct fenced *f, int64_t w_ms)
{
	f->dev_w_ms = w_ms < DEVICE_S ? DEVICE_S : w_ms / DEVICE_S * DEVICE_S;
	f->dev_open = true;
	f->m->watchdog->open = true;
	f->m->watchdog->w_us = f->dev_w_ms * MS;
	device_feed(f->m);
}

static void device_close(struct fenced *f)
{
	f->dev_open = false;
	f->m->watchdog->open = false;
	device_feed(f->m);
}

/* ---- fenced -------------------------------------------------------------------------------------------------- */

static int64_t now_ms(const struct fenced *f)
{
	return machine_clock(f->m) / MS;
}

static void act(struct fenced *f, enum dog_action a)
{
	switch (a) {
	case DOG_OPEN:
	case DOG_SET: device_open(f, f->dog.w_ms); return;
	case DOG_FEED: device_feed(f->m); return;
	case DOG_CLOSE: device_close(f); return;
	case DOG_NOTHING:
	default: return;
	}
}

struct saying {
	struct fenced_link *k;
	struct fenced_msg m;
};

static void heard_by_noded(void *arg)
{
	struct saying *s = arg;

	if (!s->k->closed)
		s->k->cb->heard(s->k->arg, &s->m);
	free(s);
}

static void tell(struct fenced *f)
{
	if (!f->k || f->k->closed || f->k->noded->dead)
		return;
	struct saying *s = xcalloc(1, sizeof(*s));
	s->k = f->k;
	s->m = (struct fenced_msg){ .version = FENCED_VERSION, .kind = FENCED_STATE, .a = f->dog.state,
				    .b = f->dog.state == DOG_OFF ? 0 : f->dev_w_ms, .c = f->dog.lease_ms };
	(void)after(f->k->noded, LOCAL_US, heard_by_noded, s);
}

static void tick(void *arg);

/* After whatever woke it: the clock is read and the device written at once. */
static void serve(struct fenced *f)
{
	enum dog_state was = f->dog.state;

	act(f, dog_tick(&f->dog, now_ms(f)));
	if (was != f->dog.state)
		tell(f);
	int64_t period = dog_period_ms(&f->dog);
	if (!f->tick && period)
		f->tick = after(f->p, period * MS, tick, f);
}

static void tick(void *arg)
{
	struct fenced *f = arg;

	f->tick = NULL;
	serve(f);
}

static void heard_by_fenced(void *arg)
{
	struct saying *s = arg;
	struct fenced *f = s->k->fenced->m->fenced;
	const struct fenced_msg *m = &s->m;
	int64_t now;

	if (!f || f->k != s->k) { /* an older connection: not heard any more */
		free(s);
		return;
	}
	now = now_ms(f);
	if (m->kind == FENCED_ARM)
		act(f, dog_arm(&f->dog, now, m->a, m->b, m->c));
	else if (m->kind == FENCED_DISARM)
		act(f, dog_disarm(&f->dog, now));
	else if (m->kind == FENCED_LEASE)
		dog_lease(&f->dog, now, m->a);
	else if (m->kind == FENCED_VOUCH)
		dog_vouch(&f->dog, now, m->a);
	if (m->kind == FENCED_ARM || m->kind == FENCED_DISARM || m->kind == FENCED_ASK)
		tell(f);
	serve(f);
	free(s);
}

void fenced_start(struct machine *m)
{
	if (!m->power || !m->booted || m->fenced_proc)
		return;
	m->fenced_proc = proc_new(m, "fenced");
	m->fenced = xcalloc(1, sizeof(*m->fenced));
	m->fenced->m = m;
	m->fenced->p = m->fenced_proc;
	if (!m->watchdog)
		m->watchdog = xcalloc(1, sizeof(*m->watchdog));
}

static void gone(void *arg)
{
	struct fenced_link *k = arg;

	if (!k->closed)
		k->cb->gone(k->arg);
}

void fenced_kill(struct machine *m, bool power)
{
	if (m->fenced_proc) {
		struct fenced_link *k = m->fenced->k;

		if (k && !k->closed && !k->noded->dead)
			(void)after(k->noded, LOCAL_US, gone, k);
		proc_kill(m->fenced_proc);
		proc_unref(m->fenced_proc);
		m->fenced_proc = NULL;
		m->fenced = NULL; /* its memory is lost */
	}
	if (power && m->watchdog) {
		m->watchdog->open = false;
		device_feed(m);
	}
}

/* ---- noded's end ------------------------------------------------------------------------------------------------- */

struct fenced_link *fenced_link_dial(struct loop *l, const char *path, const struct fenced_link_cb *cb, void *arg)
{
	struct fenced *f = here()->fenced;

	(void)l;
	(void)path;
	if (!f)
		return NULL;
	struct fenced_link *k = xcalloc(1, sizeof(*k));
	k->noded = eng.proc;
	k->noded->refs++;
	k->fenced = f->p;
	k->fenced->refs++;
	k->cb = cb;
	k->arg = arg;
	f->k = k;
	tell(f);
	return k;
}

bool fenced_link_say(struct fenced_link *k, const struct fenced_msg *m)
{
	struct saying *s;

	if (k->fenced->dead)
		return false;
	s = xcalloc(1, sizeof(*s));
	s->k = k;
	s->m = *m;
	(void)after(k->fenced, LOCAL_US, heard_by_fenced, s);
	return true;
}

/* What is under way still names it: it is lost with its world. */
void fenced_link_close(struct fenced_link *k)
{
	if (k)
		k->closed = true;
}
