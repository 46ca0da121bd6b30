/* SPDX-License-Identifier: Apache-2.0 */
/* The listening side: accepts, caps, and hands over to link.c. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/link_inside.h"

struct link_server {
	uv_tcp_t tcp;
	struct link_tls *tls;
	bool allow_anonymous;
	struct link_cb cb;
	void *arg;
	struct list links;
	int n_links, port;
};

/* Strangers (handshake not done, or no certificate) give way to others, the oldest first. */
static void make_room(struct link_server *s)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_QUEUE_FULL, "too many connections");
	list_for_each(l, &s->links) {
		struct link *k = list_entry(l, struct link, link);

		if (k->state < LINK_OPEN || !k->peer[0]) {
			link_end_now(k, &err);
			return;
		}
	}
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct link_server *s = stream->data;
	struct sockaddr_storage sa;
	int n = sizeof(sa);

	if (status < 0)
		return;
	if (s->n_links >= LINK_CONNECTIONS_MAX)
		make_room(s);
	struct link *k = link_new(stream->loop, s->tls, &s->cb, s->arg);
	k->is_server = true;
	k->ask_only = s->allow_anonymous;
	k->server = s;
	list_add_tail(&s->links, &k->link);
	s->n_links++;
	int rc = uv_accept(stream, (uv_stream_t *)&k->tcp);
	if (rc == 0 && uv_tcp_getpeername(&k->tcp, (struct sockaddr *)&sa, &n) == 0)
		link_remember_remote(k, (const struct sockaddr *)&sa);
	if (rc < 0 || s->n_links > LINK_CONNECTIONS_MAX) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_QUEUE_FULL, "too many connections");
		link_end(k, &err, false);
		return;
	}
	link_arm_deadline(k);
	link_begin(k);
}

void link_server_lost(struct link_server *s, struct link *k)
{
	list_del(&k->link);
	s->n_links--;
}

static int listen_at(struct link_server *s, const char *address, int port)
{
	struct sockaddr_storage sa;
	const char *at = address[0] ? address : "::";
	int rc = uv_ip4_addr(at, port, (struct sockaddr_in *)&sa);

	if (rc < 0)
		rc = uv_ip6_addr(at, port, (struct sockaddr_in6 *)&sa);
	if (rc == 0)
		rc = uv_tcp_bind(&s->tcp, (const struct sockaddr *)&sa, 0);
	return rc < 0 ? rc : uv_listen((uv_stream_t *)&s->tcp, 128, on_connection);
}

static void server_closed(uv_handle_t *h)
{
	struct link_server *s = h->data;

	link_tls_unref(s->tls);
	free(s);
}

int link_server_new(struct loop *l, const char *address, int port, struct link_tls *tls, bool allow_anonymous,
		    const struct link_cb *cb, void *arg, struct link_server **ret, struct err *err)
{
	struct link_server *s = xcalloc(1, sizeof(*s));
	struct sockaddr_storage sa;
	int n = sizeof(sa);

	list_init(&s->links);
	s->tls = link_tls_ref(tls);
	s->allow_anonymous = allow_anonymous;
	s->cb = *cb;
	s->arg = arg;
	int rc = uv_tcp_init(loop_uv(l), &s->tcp);
	assert(rc == 0);
	s->tcp.data = s;
	rc = listen_at(s, address, port);
	if (rc < 0) {
		rc = err_set(err, ERR_IO, "cannot listen at '%s' port %d: %s", address, port, uv_strerror(rc));
		(void)err_hint(err, "look who has the port: 'ss -ltnp'");
		uv_close((uv_handle_t *)&s->tcp, server_closed);
		return rc;
	}
	s->port = port;
	if (uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&sa, &n) == 0)
		s->port = ntohs(sa.ss_family == AF_INET ? ((struct sockaddr_in *)&sa)->sin_port : ((struct sockaddr_in6 *)&sa)->sin6_port);
	*ret = s;
	return 0;
}

void link_server_set_tls(struct link_server *s, struct link_tls *tls)
{
	struct link_tls *old = s->tls;

	s->tls = link_tls_ref(tls);
	link_tls_unref(old);
}

int link_server_port(const struct link_server *s)
{
	return s->port;
}

void link_server_free(struct link_server *s)
{
	struct err err = ERR_INIT;

	if (!s)
		return;
	(void)err_set(&err, ERR_CANCELED, "the daemon stops");
	while (!list_empty(&s->links))
		link_end_now(list_entry(s->links.next, struct link, link), &err);
	uv_close((uv_handle_t *)&s->tcp, server_closed);
}
