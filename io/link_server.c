/* SPDX-License-Identifier: Apache-2.0 */
/* Where links come from: listening with a cap, and dialling. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/link_inside.h"

#define BACKLOG 128

struct link_server {
	uv_tcp_t tcp;
	struct link_tls *tls;
	bool allow_anonymous;
	struct link_cb cb;
	void *arg;
	struct list links; /* oldest first */
	int n_links;
};

static int parse_address(const char *address, int port, struct sockaddr_storage *ret, struct err *err)
{
	if (port < 0 || port > 65535)
		return err_set(err, ERR_BAD_VALUE, "%d is not a port", port);
	memset(ret, 0, sizeof(*ret));
	if (uv_ip4_addr(address, port, (struct sockaddr_in *)(void *)ret) == 0 ||
	    uv_ip6_addr(address, port, (struct sockaddr_in6 *)(void *)ret) == 0)
		return 0;
	return err_set(err, ERR_BAD_VALUE, "'%.60s' is not an IP address", address);
}

/* ---- the server ------------------------------------------------------------------------------------------------ */

void link_server_lost(struct link_server *s, struct link *k)
{
	list_del(&k->link);
	s->n_links--;
	assert(s->n_links >= 0);
}

/* A link that no node of the cluster would miss. */
static bool is_stranger(const struct link *k)
{
	return k->state != LINK_OPEN || !k->peer[0];
}

/*
 * Room for one more: when all places are taken, the stranger who has been here longest goes. A handshake takes
 * milliseconds and those who only want to occupy places stay, so a node gets in even while they try. Nodes stay.
 */
static bool make_room(struct link_server *s)
{
	if (s->n_links < LINK_CONNECTIONS_MAX)
		return true;
	list_for_each(n, &s->links) {
		struct link *k = list_entry(n, struct link, link);
		struct err err = ERR_INIT;

		if (!is_stranger(k))
			continue;
		(void)err_set(&err, ERR_BUSY, "%s had to go: %d connections are open", k->remote, s->n_links);
		link_end_now(k, &err);
		return true;
	}
	return false;
}

static void drop_closed(uv_handle_t *h)
{
	free(h);
}

/* libuv stops listening until each connection is accepted, so a refused one is too, and closed at once. */
static void refuse(struct link_server *s)
{
	uv_tcp_t *tcp = xcalloc(1, sizeof(*tcp));

	int rc = uv_tcp_init(s->tcp.loop, tcp);
	assert(rc == 0);
	(void)rc;
	(void)uv_accept((uv_stream_t *)&s->tcp, (uv_stream_t *)tcp);
	uv_close((uv_handle_t *)tcp, drop_closed);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct link_server *s = stream->data;
	struct sockaddr_storage sa = { 0 };
	struct err err = ERR_INIT;
	int n = sizeof(sa);

	if (status < 0)
		return; /* no descriptor left, or it went before we came: nothing was accepted */
	if (!make_room(s)) {
		refuse(s);
		return;
	}
	if (uv_is_closing((uv_handle_t *)stream))
		return; /* the closed() of whom we made go freed the server */
	struct link *k = link_new(s->tcp.loop, s->tls, &s->cb, s->arg);
	k->server = s;
	k->is_server = true;
	k->ask_only = s->allow_anonymous;
	list_add_tail(&s->links, &k->link);
	s->n_links++;
	int rc = uv_accept(stream, (uv_stream_t *)&k->tcp);
	if (rc == 0 && uv_tcp_getpeername(&k->tcp, (struct sockaddr *)&sa, &n) == 0)
		link_remember_remote(k, (struct sockaddr *)&sa);
	if (rc < 0) {
		(void)err_set(&err, ERR_NODE_DOWN, "cannot accept a connection: %s", uv_strerror(rc));
		link_end(k, &err, false);
		return;
	}
	link_arm_deadline(k);
	link_begin(k);
}

static int try_listen(struct link_server *s, uv_loop_t *uv, const struct sockaddr *sa)
{
	int rc = uv_tcp_init(uv, &s->tcp);

	assert(rc == 0);
	s->tcp.data = s;
	rc = uv_tcp_bind(&s->tcp, sa, 0);
	return rc < 0 ? rc : uv_listen((uv_stream_t *)&s->tcp, BACKLOG, on_connection);
}

static void server_closed(uv_handle_t *h)
{
	free(h->data);
}

static int listen_error(struct err *err, const char *address, int port, int uv_rc)
{
	(void)err_set(err, ERR_IO, "cannot listen on '%s' port %d: %s", *address ? address : "*", port,
		      uv_strerror(uv_rc));
	if (uv_rc == UV_EADDRINUSE)
		return err_hint(err, "another program has the port: 'ss -ltnp sport = :%d'", port);
	if (uv_rc == UV_EADDRNOTAVAIL)
		return err_hint(err, "the address is not on any interface of this node: 'ip address'");
	return -err->code;
}

static struct link_server *server_alloc(struct link_tls *tls, bool allow_anonymous, const struct link_cb *cb, void *arg)
{
	struct link_server *s = xcalloc(1, sizeof(*s));

	s->tls = link_tls_ref(tls);
	s->allow_anonymous = allow_anonymous;
	s->cb = *cb;
	s->arg = arg;
	list_init(&s->links);
	return s;
}

int link_server_new(struct loop *l, const char *address, int port, struct link_tls *tls, bool allow_anonymous,
		    const struct link_cb *cb, void *arg, struct link_server **ret, struct err *err)
{
	struct sockaddr_storage sa;

	if (!link_tls_has_certificate(tls))
		return err_set(err, ERR_TLS, "a server of links needs a certificate");
	int rc = parse_address(*address ? address : "::", port, &sa, err);
	if (rc < 0)
		return rc;
	struct link_server *s = server_alloc(tls, allow_anonymous, cb, arg);
	rc = try_listen(s, loop_uv(l), (struct sockaddr *)&sa);
	if (rc < 0 && !*address) { /* a kernel without IPv6 */
		link_server_free(s);
		s = server_alloc(tls, allow_anonymous, cb, arg);
		rc = parse_address("0.0.0.0", port, &sa, err);
		assert(rc == 0);
		rc = try_listen(s, loop_uv(l), (struct sockaddr *)&sa);
	}
	if (rc < 0) {
		link_server_free(s);
		return listen_error(err, address, port, rc);
	}
	*ret = s;
	return 0;
}

void link_server_set_tls(struct link_server *s, struct link_tls *tls)
{
	assert(link_tls_has_certificate(tls));
	struct link_tls *old = s->tls;

	s->tls = link_tls_ref(tls);
	link_tls_unref(old);
}

int link_server_port(const struct link_server *s)
{
	struct sockaddr_storage sa = { 0 };
	int n = sizeof(sa);

	if (uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&sa, &n) < 0)
		return 0;
	return ntohs(sa.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&sa)->sin_port
					     : ((struct sockaddr_in6 *)(void *)&sa)->sin6_port);
}

void link_server_free(struct link_server *s)
{
	struct err err = ERR_INIT;

	if (!s)
		return;
	(void)err_set(&err, ERR_CANCELED, "this side stops to listen");
	while (!list_empty(&s->links))
		link_end_now(list_entry(s->links.next, struct link, link), &err);
	link_tls_unref(s->tls);
	s->tls = NULL;
	uv_close((uv_handle_t *)&s->tcp, server_closed);
}

/* ---- dialling -------------------------------------------------------------------------------------------------- */

static void connect_failed(struct link *k, int uv_rc)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_NODE_DOWN, "cannot connect to %s: %s", k->remote, uv_strerror(uv_rc));
	if (uv_rc == UV_ECONNREFUSED)
		(void)err_hint(&err, "start gantry-masterd there, or wait for the next master");
	link_end(k, &err, false);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct link *k = req->data;

	if (k->state != LINK_CONNECT)
		return; /* closed meanwhile */
	if (status < 0)
		connect_failed(k, status);
	else
		link_begin(k);
}

static int dial(struct link *k, const char *address, int port, const char *local_address, struct err *err)
{
	struct sockaddr_storage to, from;

	(void)str_copy(k->remote, sizeof(k->remote), address);
	if (!*k->pin && !link_tls_knows_ca(k->tls))
		return err_set(err, ERR_TLS, "neither a CA nor its fingerprint is known");
	int rc = parse_address(address, port, &to, err);
	if (rc == 0 && *local_address)
		rc = parse_address(local_address, 0, &from, err);
	if (rc < 0)
		return rc;
	if (*local_address) {
		rc = uv_tcp_bind(&k->tcp, (struct sockaddr *)&from, 0);
		if (rc < 0)
			return err_set(err, ERR_NODE_DOWN, "cannot connect from %.60s: %s", local_address,
				       uv_strerror(rc));
	}
	rc = uv_tcp_connect(&k->connect, &k->tcp, (struct sockaddr *)&to, on_connect);
	if (rc < 0)
		return err_set(err, ERR_NODE_DOWN, "cannot connect to %s: %s", k->remote, uv_strerror(rc));
	return 0;
}

struct link *link_dial(struct loop *l, const char *address, int port, const char *local_address, struct link_tls *tls,
		       const char *pin, const struct link_cb *cb, void *arg)
{
	struct link *k = link_new(loop_uv(l), tls, cb, arg);
	struct err err = ERR_INIT;

	link_arm_deadline(k);
	if (str_copy(k->pin, sizeof(k->pin), pin) < 0 || (*pin && strlen(pin) != 64))
		(void)err_set(&err, ERR_BAD_VALUE, "the CA's fingerprint is not 64 hexadecimal digits");
	else if (dial(k, address, port, local_address, &err) == 0)
		return k;
	link_end(k, &err, false);
	return k;
}
