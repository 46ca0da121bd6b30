/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of io/nano.h: the sockets of a machine's noded, for DRBD's handler processes (in fibers) and for operators (from the world). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/nano.h"
#include "schema/msgs.h"
#include "tests/sim/world.h"

#define LOCAL_US 200

struct nano_server {
	struct proc *p;
	struct machine *m;
	nano_on_request *fn;
	void *arg;
	bool dead;
};

struct call { /* one request under way; its address is whom to answer */
	struct list link;
	int64_t number;
	struct fiber *waiter;  /* a process of the machine, or NULL: the world */
	request_done *done;
	void *arg;
	char *text, *reply;
};

static struct list calls;
static int64_t next_call;

static void calls_begin(void)
{
	if (!calls.next)
		list_init(&calls);
}

static struct call *call_find(int64_t number)
{
	calls_begin();
	list_for_each(l, &calls) {
		struct call *c = list_entry(l, struct call, link);

		if (c->number == number)
			return c;
	}
	return NULL;
}

static void call_free(struct call *c)
{
	list_del(&c->link);
	free(c->text);
	free(c->reply);
	free(c);
}

static struct call *call_new(const char *text)
{
	struct call *c = xcalloc(1, sizeof(*c));

	calls_begin();
	c->number = ++next_call;
	c->text = xstrdup(text);
	list_add_tail(&calls, &c->link);
	return c;
}

struct arrival {
	struct nano_server *s;
	int64_t number;
};

static void arrive(void *arg)
{
	struct arrival *a = arg;
	struct call *c = call_find(a->number);
	struct nano_from from = { .n = (int)sizeof(a->number) };

	if (c && !a->s->dead) {
		memcpy(from.hops, &a->number, sizeof(a->number));
		a->s->fn(a->s->arg, &from, c->text, strlen(c->text));
	}
	free(a);
}

static void send_to(struct nano_server *s, const struct call *c)
{
	struct arrival *a = xcalloc(1, sizeof(*a));

	a->s = s;
	a->number = c->number;
	(void)after(s->p, LOCAL_US, arrive, a);
}

/* ---- server ------------------------------------------------------------------------------------------- */

int nano_server_new(struct loop *l, const char *path, unsigned mode, nano_on_request *fn, void *arg, struct nano_server **ret, struct err *err)
{
	struct nano_server *s = xcalloc(1, sizeof(*s));

	(void)l;
	(void)mode;
	(void)err;
	s->p = eng.proc;
	s->m = here();
	s->fn = fn;
	s->arg = arg;
	s->m->sockets[strstr(path, "/read/") ? 1 : 0] = s;
	*ret = s;
	return 0;
}

void nano_server_redeem(struct nano_server *s, const char *ticket, struct nano_who *ret)
{
	(void)s;
	(void)ticket;
	memset(ret, 0, sizeof(*ret));
	(void)str_copy(ret->user, sizeof(ret->user), "root");
}

static void tell_world(void *arg)
{
	struct call *c = arg;

	c->done(c->arg, c->reply);
	call_free(c);
}

void nano_server_reply(struct nano_server *s, const struct nano_from *to, const char *text, size_t len)
{
	int64_t number;

	(void)s;
	memcpy(&number, to->hops, sizeof(number));
	struct call *c = call_find(number);
	if (!c || c->reply)
		return;
	c->reply = xstrndup(text, len);
	if (c->waiter)
		fiber_wake(c->waiter);
	else
		(void)after(NULL, LOCAL_US, tell_world, c);
}

void nano_server_free(struct nano_server *s)
{
	(void)s;
	abort(); /* processes of the simulation only die */
}

void local_sockets_gone(struct machine *m)
{
	for (int i = 0; i < 2; i++) {
		if (m->sockets[i])
			m->sockets[i]->dead = true;
		m->sockets[i] = NULL;
	}
}

/* ---- clients -------------------------------------------------------------------------------------------- */

void request_send(struct machine *m, const char *op, const char *args_json, const char *id, request_done *done, void *arg)
{
	struct msg_request r;
	struct err err = ERR_INIT;

	schema_init(&msg_request_schema, &r);
	(void)str_copy(r.id, sizeof(r.id), id);
	(void)str_copy(r.op, sizeof(r.op), op);
	int rc = json_parse(args_json, strlen(args_json), 65536, &r.args, &err);
	assert(rc == 0);
	AUTO_FREE char *text = schema_encode_text(&msg_request_schema, &r);
	schema_done(&msg_request_schema, &r);
	if (!m->sockets[0])
		return; /* its daemon is dead: no answer */
	struct call *c = call_new(text);
	c->done = done;
	c->arg = arg;
	send_to(m->sockets[0], c);
}

struct nano_client {
	struct machine *m;
};

int nano_client_open(const char *path, struct nano_client **ret, struct err *err)
{
	(void)path;
	if (!here()->sockets[0])
		return err_set(err, ERR_NO_DAEMON, "gantry-noded does not run");
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->m = here();
	return 0;
}

int nano_client_call(struct nano_client *c, const char *text, int timeout_ms, char **ret_text, struct err *err)
{
	struct nano_server *s = c->m->sockets[0];

	if (!s)
		return err_set(err, ERR_NO_DAEMON, "gantry-noded does not run");
	struct call *k = call_new(text);
	int64_t number = k->number;
	k->waiter = eng.fiber;
	send_to(s, k);
	(void)fiber_wait(timeout_ms * MS);
	k = call_find(number);
	if (!k || !k->reply) {
		if (k)
			call_free(k);
		return err_set(err, ERR_TIMEOUT, "no answer");
	}
	*ret_text = xstrdup(k->reply);
	call_free(k);
	return 0;
}

const char *nano_client_ticket(const struct nano_client *c)
{
	(void)c;
	return "";
}

void nano_client_close(struct nano_client *c)
{
	free(c);
}
