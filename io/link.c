/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One link: libuv moves ciphertext, GnuTLS sits between two buffers and never blocks. Every end goes one way:
 * link_end() -> closed() from the timer, never from inside a caller's call -> lingering -> handles -> memory.
 */
#include "io/link_inside.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/sm.h"
#include "common/xmem.h"
#include "io/pki_x509.h"

#define READ_BYTES ((size_t)64 * 1024)
#define RECORD_BYTES ((size_t)16 * 1024)          /* the most that one TLS record holds */
#define KEEP_BYTES ((size_t)256 * 1024)           /* a write buffer that grew beyond is not kept */
#define TCP_KEEPALIVE_S 10                        /* libuv: then a probe a second, ten times */
#define TCP_UNANSWERED_MS 20000                   /* sent data that nobody acknowledges */
#define CALLS_MAX 10000                           /* of GnuTLS for the bytes of one read: they cannot hold more records */

static const struct sm_state states[] = {
	[LINK_CONNECT] = { "connect", SM_BIT(LINK_SHAKE) | SM_BIT(LINK_ENDING) | SM_BIT(LINK_LINGER), SM_INITIAL },
	[LINK_SHAKE] = { "shake", SM_BIT(LINK_OPEN) | SM_BIT(LINK_ENDING) | SM_BIT(LINK_LINGER), 0 },
	[LINK_OPEN] = { "open", SM_BIT(LINK_ENDING) | SM_BIT(LINK_LINGER), 0 },
	[LINK_ENDING] = { "ending", SM_BIT(LINK_LINGER), 0 },
	[LINK_LINGER] = { "linger", SM_BIT(LINK_SHUT), 0 },
	[LINK_SHUT] = { "shut", 0, SM_FINAL },
};
static const struct sm link_sm = { "link", states, ARRAY_SIZE(states) };

static void flush(struct link *k);

/* ---- birth and end --------------------------------------------------------------------------------------------- */

struct link *link_new(uv_loop_t *uv, struct link_tls *tls, const struct link_cb *cb, void *arg)
{
	struct link *k = xcalloc(1, sizeof(*k));

	int rc = uv_tcp_init(uv, &k->tcp);
	if (rc == 0)
		rc = uv_timer_init(uv, &k->timer);
	assert(rc == 0);
	(void)rc;
	k->tcp.data = k->timer.data = k;
	k->connect.data = k->write.data = k->shutdown.data = k;
	k->n_handles = 2;
	k->state = LINK_CONNECT;
	list_init(&k->link);
	k->cb = *cb;
	k->arg = arg;
	k->tls = link_tls_ref(tls);
	k->out.max_bytes = k->flying.max_bytes = (size_t)LINK_WAITING_MAX + 2 * (size_t)FRAME_MAX;
	link_frames_init(&k->frames, FRAME_MAX);
	return k;
}

static void handle_closed(uv_handle_t *h)
{
	struct link *k = h->data;

	if (--k->n_handles > 0)
		return;
	if (k->session)
		gnutls_deinit(k->session);
	link_tls_unref(k->tls);
	link_frames_done(&k->frames);
	buf_done(&k->out);
	buf_done(&k->flying);
	free(k);
}

static void shut(struct link *k)
{
	if (k->state == LINK_SHUT)
		return;
	sm_move(&link_sm, &k->state, LINK_SHUT);
	if (k->server)
		link_server_lost(k->server, k);
	k->server = NULL;
	uv_close((uv_handle_t *)&k->tcp, handle_closed);
	uv_close((uv_handle_t *)&k->timer, handle_closed);
}

static void start_timer(struct link *k, uv_timer_cb fn, uint64_t after_ms)
{
	uv_update_time(k->timer.loop);
	(void)uv_timer_start(&k->timer, fn, after_ms, 0);
}

static void linger_over(uv_timer_t *t)
{
	shut(t->data);
}

static void on_fin_sent(uv_shutdown_t *req, int status)
{
	struct link *k = req->data;

	if (status < 0 && k->state == LINK_LINGER)
		shut(k);
}

/*
 * The last bytes go out, then our end of the stream, then we read until the peer has ended too: closing a socket
 * with unread bytes makes the kernel send a reset, which would overtake the alert that tells the peer why.
 */
static void linger_on(struct link *k)
{
	if (k->state != LINK_LINGER || k->writing || k->out.len > 0)
		return;
	if (k->eof)
		shut(k);
	else if (!k->fin_sent) {
		k->fin_sent = true;
		if (uv_shutdown(&k->shutdown, (uv_stream_t *)&k->tcp, on_fin_sent) < 0)
			shut(k);
	}
}

static void tell_closed(struct link *k)
{
	struct err why = k->why;

	sm_move(&link_sm, &k->state, LINK_LINGER);
	k->cb.closed(k->arg, k, &why);
}

static void closed_is_due(uv_timer_t *t)
{
	struct link *k = t->data;

	tell_closed(k);
	if (k->state != LINK_LINGER)
		return; /* closed() freed the server */
	if (!k->linger) {
		shut(k);
		return;
	}
	start_timer(k, linger_over, LINK_LINGER_MS);
	linger_on(k);
}

void link_end(struct link *k, const struct err *err, bool linger)
{
	if (k->state >= LINK_ENDING)
		return;
	bool was_open = k->state == LINK_OPEN;
	sm_move(&link_sm, &k->state, LINK_ENDING);
	k->why = *err;
	k->linger = linger && k->session;
	if (k->linger && was_open)
		(void)gnutls_bye(k->session, GNUTLS_SHUT_WR); /* to the queue */
	if (k->linger)
		flush(k);
	else
		(void)uv_read_stop((uv_stream_t *)&k->tcp);
	start_timer(k, closed_is_due, 0);
}

void link_end_now(struct link *k, const struct err *err)
{
	if (k->state < LINK_ENDING)
		k->why = *err;
	if (k->state < LINK_LINGER)
		tell_closed(k);
	shut(k);
}

static void deadline_over(uv_timer_t *t)
{
	struct link *k = t->data;
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_TIMEOUT, "%s %s took more than %d s",
		      k->state == LINK_CONNECT ? "connecting to" : "the TLS handshake with", k->remote,
		      LINK_HANDSHAKE_MS / 1000);
	(void)err_hint(&err, "look whether '%s' is reachable and its gantry daemon runs", k->remote);
	link_end(k, &err, false);
}

void link_arm_deadline(struct link *k)
{
	start_timer(k, deadline_over, LINK_HANDSHAKE_MS);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *req, int status)
{
	struct link *k = req->data;
	struct err err = ERR_INIT;

	k->writing = false;
	if (k->flying.cap > KEEP_BYTES)
		buf_done(&k->flying);
	else
		buf_reset(&k->flying);
	if (k->state == LINK_SHUT)
		return;
	if (status < 0 && k->state == LINK_LINGER) {
		shut(k);
	} else if (status < 0) {
		(void)err_set(&err, ERR_NODE_DOWN, "the link with %s broke: %s", k->remote, uv_strerror(status));
		link_end(k, &err, false);
	} else {
		flush(k);
		linger_on(k);
	}
}

/* One write is with libuv, what comes meanwhile is gathered for the next: many small frames share a packet. */
static void flush(struct link *k)
{
	if (k->writing || k->out.len == 0 || k->state == LINK_SHUT)
		return;
	struct buf t = k->flying;
	k->flying = k->out;
	k->out = t;
	uv_buf_t b = uv_buf_init(k->flying.data, (unsigned)k->flying.len);
	k->writing = true;
	int rc = uv_write(&k->write, (uv_stream_t *)&k->tcp, &b, 1, on_written);
	if (rc < 0) {
		struct err err = ERR_INIT;

		k->writing = false;
		buf_reset(&k->flying);
		(void)err_set(&err, ERR_NODE_DOWN, "the link with %s broke: %s", k->remote, uv_strerror(rc));
		k->linger = false;
		link_end(k, &err, false);
	}
}

static size_t waiting_bytes(const struct link *k)
{
	return k->out.len + uv_stream_get_write_queue_size((const uv_stream_t *)&k->tcp);
}

/* GnuTLS gives its ciphertext here; it always gets rid of it, link_send() has the limit. */
static ssize_t push(gnutls_transport_ptr_t arg, const giovec_t *iov, int n)
{
	struct link *k = arg;
	ssize_t total = 0;

	for (int i = 0; i < n; i++) {
		if (buf_add(&k->out, iov[i].iov_base, iov[i].iov_len) < 0) {
			gnutls_transport_set_errno(k->session, EIO);
			return -1;
		}
		total += (ssize_t)iov[i].iov_len;
	}
	return total;
}

/* GnuTLS sends all or fails: push() never says "again". */
static int send_record(struct link *k, const void *data, size_t len)
{
	ssize_t rc = gnutls_record_send(k->session, data, len);

	return rc == (ssize_t)len ? 0 : -1;
}

int link_send(struct link *k, const char *text, size_t len)
{
	char first[RECORD_BYTES];
	struct err err = ERR_INIT;

	assert(len > 0);
	if (len > FRAME_MAX)
		return -ERR_TOO_BIG;
	if (k->state != LINK_OPEN)
		return -ERR_NODE_DOWN;
	if (waiting_bytes(k) + len > LINK_WAITING_MAX) {
		(void)err_set(&err, ERR_TOO_BIG, "%s does not read: %d MiB wait to be sent", k->remote,
			      LINK_WAITING_MAX / 1024 / 1024);
		link_end(k, &err, false);
		return -ERR_TOO_BIG;
	}
	link_frame_head(len, (unsigned char *)first);
	size_t n = len < RECORD_BYTES - LINK_FRAME_HEAD ? len : RECORD_BYTES - LINK_FRAME_HEAD;
	memcpy(first + LINK_FRAME_HEAD, text, n);
	int rc = send_record(k, first, n + LINK_FRAME_HEAD);
	while (rc == 0 && n < len) {
		size_t part = len - n < RECORD_BYTES ? len - n : RECORD_BYTES;

		rc = send_record(k, text + n, part);
		n += part;
	}
	if (rc < 0) {
		(void)err_set(&err, ERR_TLS, "cannot encrypt for %s", k->remote);
		link_end(k, &err, false);
		return -ERR_NODE_DOWN;
	}
	flush(k);
	return k->state == LINK_OPEN ? 0 : -ERR_NODE_DOWN;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static ssize_t pull(gnutls_transport_ptr_t arg, void *data, size_t size)
{
	struct link *k = arg;
	size_t n = k->n_in < size ? k->n_in : size;

	if (n == 0 && k->eof)
		return 0;
	if (n == 0) {
		gnutls_transport_set_errno(k->session, EAGAIN);
		return -1;
	}
	memcpy(data, k->in, n);
	k->in += n;
	k->n_in -= n;
	return (ssize_t)n;
}

static int pull_ready(gnutls_transport_ptr_t arg, unsigned ms)
{
	const struct link *k = arg;

	(void)ms;
	return k->n_in > 0 || k->eof;
}

/* Called by GnuTLS in the handshake when the peer has sent its certificates (none at all: maybe not). */
static int judge(gnutls_session_t s)
{
	struct link *k = gnutls_session_get_ptr(s);

	if (k->is_server && k->ask_only && gnutls_certificate_get_peers(s, NULL) == NULL)
		return 0;
	if (link_tls_verify(k->tls, s, k->is_server, k->pin, k->peer, &k->why) < 0)
		return GNUTLS_E_CERTIFICATE_ERROR;
	k->judged = true;
	return 0;
}

static void tls_failed(struct link *k, int rc)
{
	struct err err = ERR_INIT;

	if (k->why.code == ERR_TLS) {
		err = k->why; /* judge() knows better than GnuTLS */
		(void)err_wrap(&err, "link with %s", k->remote);
	} else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		const char *alert = gnutls_alert_get_name(gnutls_alert_get(k->session));

		(void)err_set(&err, ERR_TLS, "%s refused the link: %s", k->remote, alert ? alert : "unknown alert");
		(void)err_hint(&err, "look at this node's certificate and clock, and at the journal of the other side");
	} else if (rc == GNUTLS_E_PREMATURE_TERMINATION) {
		(void)err_set(&err, ERR_NODE_DOWN, "%s ended the connection without a word", k->remote);
	} else if (rc == GNUTLS_E_CERTIFICATE_REQUIRED || rc == GNUTLS_E_NO_CERTIFICATE_FOUND) {
		(void)err_set(&err, ERR_TLS, "link with %s: the peer showed no certificate", k->remote);
	} else {
		char what[80];

		(void)snprintf(what, sizeof(what), "TLS with %s", k->remote);
		(void)pki_fail(&err, ERR_TLS, rc, what);
	}
	if (k->session && !k->eof && rc != GNUTLS_E_FATAL_ALERT_RECEIVED)
		(void)gnutls_alert_send_appropriate(k->session, rc);
	/* gnutls_bye() must not follow the alert. */
	if (k->state == LINK_OPEN)
		k->why = err;
	link_end(k, &err, !k->eof);
}

static bool on_frame(void *arg, const char *text, size_t len)
{
	struct link *k = arg;

	k->cb.frame(k->arg, k, text, len);
	return k->state == LINK_OPEN;
}

static void open_link(struct link *k)
{
	sm_move(&link_sm, &k->state, LINK_OPEN);
	(void)uv_timer_stop(&k->timer);
	k->frames.max_bytes = k->peer[0] || !k->is_server ? FRAME_MAX : LINK_ANONYMOUS_FRAME_MAX;
	k->cb.open(k->arg, k, k->peer);
}

static void shake(struct link *k)
{
	int rc;

	do
		rc = gnutls_handshake(k->session);
	while (rc < 0 && rc != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(rc));
	if (rc == 0)
		open_link(k);
	else if (rc != GNUTLS_E_AGAIN)
		tls_failed(k, rc);
}

static void take_records(struct link *k)
{
	char data[RECORD_BYTES];
	struct err err = ERR_INIT;

	for (int i = 0; i < CALLS_MAX && k->state == LINK_OPEN; i++) {
		ssize_t n = gnutls_record_recv(k->session, data, sizeof(data));

		if (n == GNUTLS_E_AGAIN)
			return;
		if (n == GNUTLS_E_INTERRUPTED || (n < 0 && !gnutls_error_is_fatal((int)n)))
			continue;
		if (n < 0) {
			tls_failed(k, (int)n);
		} else if (n == 0) {
			(void)err_set(&err, ERR_NODE_DOWN, "%s closed the link", k->remote);
			link_end(k, &err, true);
		} else if (link_frames_feed(&k->frames, data, (size_t)n, on_frame, k, &err) < 0) {
			(void)err_wrap(&err, "from %s", k->remote);
			link_end(k, &err, true);
		}
	}
}

/* Everything that was read goes through GnuTLS before libuv reads again. */
static void digest(struct link *k)
{
	if (k->state == LINK_SHAKE)
		shake(k);
	if (k->state == LINK_OPEN)
		take_records(k);
	k->n_in = 0;
	flush(k);
	if (k->state == LINK_LINGER)
		linger_on(k);
}

static void give_room(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	(void)h;
	(void)suggested;
	*ret = uv_buf_init(xcalloc(1, READ_BYTES), READ_BYTES);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct link *k = s->data;
	AUTO_FREE char *room = b->base;

	if (n == 0 || k->state == LINK_SHUT)
		return;
	if (n < 0) {
		k->eof = true;
		(void)uv_read_stop(s);
	} else {
		k->in = room;
		k->n_in = (size_t)n;
	}
	digest(k);
	if (k->eof && k->state < LINK_ENDING) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_NODE_DOWN, "%s ended the connection: %s", k->remote, n == UV_EOF ? "end of stream" : uv_strerror((int)n));
		link_end(k, &err, false);
	}
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

static void tune(struct link *k)
{
	uv_os_fd_t fd = -1;
	unsigned ms = TCP_UNANSWERED_MS;

	(void)uv_tcp_nodelay(&k->tcp, 1);
	(void)uv_tcp_keepalive(&k->tcp, 1, TCP_KEEPALIVE_S);
	if (uv_fileno((const uv_handle_t *)&k->tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

void link_begin(struct link *k)
{
	struct err err = ERR_INIT;

	sm_move(&link_sm, &k->state, LINK_SHAKE);
	tune(k);
	if (link_tls_session(k->tls, k->is_server, k->ask_only, &k->session, &err) < 0) {
		link_end(k, &err, false);
		return;
	}
	gnutls_session_set_ptr(k->session, k);
	gnutls_transport_set_ptr(k->session, k);
	gnutls_transport_set_vec_push_function(k->session, push);
	gnutls_transport_set_pull_function(k->session, pull);
	gnutls_transport_set_pull_timeout_function(k->session, pull_ready);
	gnutls_session_set_verify_function(k->session, judge);
	int rc = uv_read_start((uv_stream_t *)&k->tcp, give_room, on_read);
	if (rc < 0) {
		(void)err_set(&err, ERR_NODE_DOWN, "cannot read from %s: %s", k->remote, uv_strerror(rc));
		link_end(k, &err, false);
		return;
	}
	digest(k); /* a client speaks first */
}

void link_remember_remote(struct link *k, const struct sockaddr *sa)
{
	int rc = -1;

	if (sa->sa_family == AF_INET)
		rc = uv_ip4_name((const struct sockaddr_in *)(const void *)sa, k->remote, sizeof(k->remote));
	else if (sa->sa_family == AF_INET6)
		rc = uv_ip6_name((const struct sockaddr_in6 *)(const void *)sa, k->remote, sizeof(k->remote));
	if (rc != 0)
		(void)str_copy(k->remote, sizeof(k->remote), "?");
}

static void on_connected(uv_connect_t *req, int status)
{
	struct link *k = req->data;
	struct err err = ERR_INIT;

	if (k->state != LINK_CONNECT)
		return;
	if (status < 0) {
		(void)err_set(&err, ERR_NODE_DOWN, "cannot connect to %s: %s", k->remote, uv_strerror(status));
		link_end(k, &err, false);
		return;
	}
	link_begin(k);
}

static int address_of(const char *address, int port, struct sockaddr_storage *ret)
{
	if (uv_ip4_addr(address, port, (struct sockaddr_in *)ret) == 0)
		return 0;
	return uv_ip6_addr(address, port, (struct sockaddr_in6 *)ret);
}

struct link *link_dial(struct loop *l, const char *address, int port, const char *local_address, struct link_tls *tls,
		       const char *pin, const struct link_cb *cb, void *arg)
{
	struct link *k = link_new(loop_uv(l), tls, cb, arg);
	struct sockaddr_storage to, from;
	struct err err = ERR_INIT;
	int rc = address_of(address, port, &to);

	(void)str_copy(k->remote, sizeof(k->remote), address);
	(void)str_copy(k->pin, sizeof(k->pin), pin);
	link_arm_deadline(k);
	if (rc == 0 && local_address[0]) {
		rc = address_of(local_address, 0, &from);
		if (rc == 0)
			rc = uv_tcp_bind(&k->tcp, (const struct sockaddr *)&from, 0);
	}
	if (rc == 0)
		rc = uv_tcp_connect(&k->connect, &k->tcp, (const struct sockaddr *)&to, on_connected);
	if (rc < 0) {
		(void)err_set(&err, ERR_NODE_DOWN, "cannot connect to %s: %s", address, uv_strerror(rc));
		link_end(k, &err, false);
	}
	return k;
}

/* ---- small ---------------------------------------------------------------------------------------------------------- */

void link_close(struct link *k)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_CANCELED, "this side closed the link with %s", k->remote);
	link_end(k, &err, true);
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
