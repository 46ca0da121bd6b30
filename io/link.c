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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/sm.h"
#include "common/xmem.h"
#include "io/pki_x509.h"

#define READ_BYTES ((size_t)64 * 1024)
#define RECORD_BYTES ((size_t)16 * 1024)          /* the most that one TLS record holds */
#define KEEP_BYTES ((size_t)32 * 1024)            /* a write buffer that grew beyond is not kept */
#define TCP_KEEPALIVE_S 10                        /* libuv: then a probe a second, ten times */
#define TCP_UNANSWERED_MS 20000                   /* sent data that nobody acknowledges */

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
	bool bye = k->state == LINK_OPEN && err->code != ERR_TLS; /* not behind an alert */
	sm_move(&link_sm, &k->state, LINK_ENDING);
	k->why = *err;
	k->linger = linger && k->session;
	if (k->linger && bye)
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
	link_end(k, &err, !k->eof);
}

static bool on_frame(void *arg, const char *text, size_t len)
{
	struct link *k = arg;

	k->cb.frame(k->arg, k, text, len);
	return k->state == LINK_OPEN; /* the caller may have closed it, or freed the server */
}

static void shaken_hands(struct link *k)
{
	struct err err = ERR_INIT;

	if (!k->judged && !(k->is_server && k->ask_only && gnutls_certificate_get_peers(k->session, NULL) == NULL)) {
		(void)err_set(&k->why, ERR_TLS, "the peer showed no certificate");
		tls_failed(k, GNUTLS_E_CERTIFICATE_REQUIRED);
		return;
	}
	if (gnutls_protocol_get_version(k->session) != GNUTLS_TLS1_3) { /* the priorities allow nothing else */
		(void)err_set(&err, ERR_TLS, "%s does not speak TLS 1.3", k->remote);
		link_end(k, &err, false);
		return;
	}
	(void)uv_timer_stop(&k->timer);
	k->frames.max_bytes = k->peer[0] ? FRAME_MAX : LINK_ANONYMOUS_FRAME_MAX;
	sm_move(&link_sm, &k->state, LINK_OPEN);
	k->cb.open(k->arg, k, k->peer);
}

/*
 * Whether GnuTLS has to be called once more: it says "again" also after it has dropped a record (early data, say)
 * while more lie there. *n_left: bytes that were there before the last call; no progress is no reason to go on.
 */
static bool call_again(const struct link *k, int rc, size_t *n_left)
{
	bool progress = k->n_in < *n_left;

	*n_left = k->n_in;
	if (rc == GNUTLS_E_AGAIN)
		return k->n_in > 0 && progress;
	return rc < 0 && !gnutls_error_is_fatal(rc) && progress;
}

static void not_digested(struct link *k)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_TLS, "TLS with %s: bytes came that belong to no message", k->remote);
	link_end(k, &err, true);
}

static void shake_hands(struct link *k)
{
	size_t n_left = k->n_in;
	int rc = 0;

	do
		rc = gnutls_handshake(k->session);
	while (call_again(k, rc, &n_left));
	if (rc == 0)
		shaken_hands(k);
	else if (gnutls_error_is_fatal(rc))
		tls_failed(k, rc);
	else if (k->n_in > 0)
		not_digested(k);
}

static void ended_by_peer(struct link *k)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_NODE_DOWN, "%s closed the link", k->remote);
	link_end(k, &err, true);
}

static void read_frames(struct link *k)
{
	char plain[RECORD_BYTES];
	struct err err = ERR_INIT;
	size_t n_left = k->n_in;

	while (k->state == LINK_OPEN) {
		ssize_t n = gnutls_record_recv(k->session, plain, sizeof(plain));

		if (n < 0 && !gnutls_error_is_fatal((int)n)) {
			if (call_again(k, (int)n, &n_left))
				continue;
			if (k->n_in > 0)
				not_digested(k);
			return;
		}
		n_left = SIZE_MAX; /* a record came: that is progress */
		if (n == 0) {
			ended_by_peer(k);
		} else if (n < 0) {
			tls_failed(k, (int)n);
		} else if (link_frames_feed(&k->frames, plain, (size_t)n, on_frame, k, &err) < 0) {
			(void)err_wrap(&err, "link with %s", k->remote);
			link_end(k, &err, true);
		}
	}
}

static void pump(struct link *k)
{
	if (k->state == LINK_SHAKE)
		shake_hands(k);
	if (k->state == LINK_OPEN)
		read_frames(k);
	flush(k);
}

static void give_memory(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	(void)h;
	(void)suggested;
	*b = uv_buf_init(xcalloc(1, READ_BYTES), READ_BYTES);
}

static void read_failed(struct link *k, int uv_rc)
{
	struct err err = ERR_INIT;

	k->eof = true;
	if (k->state >= LINK_ENDING) {
		if (uv_rc != UV_EOF && k->state == LINK_LINGER)
			shut(k);
		else
			linger_on(k);
		return;
	}
	if (uv_rc == UV_EOF) {
		pump(k); /* GnuTLS knows whether it was allowed to end here */
		return;
	}
	(void)err_set(&err, ERR_NODE_DOWN, "the link with %s broke: %s", k->remote, uv_strerror(uv_rc));
	link_end(k, &err, false);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct link *k = stream->data;

	if (n < 0) {
		(void)uv_read_stop(stream);
		read_failed(k, (int)n);
	} else if (n > 0 && k->state < LINK_ENDING) { /* else it lingers: dropped */
		k->in = b->base;
		k->n_in = (size_t)n;
		pump(k);
		assert(k->n_in == 0 || k->state >= LINK_ENDING);
		k->in = NULL;
		k->n_in = 0;
	}
	free(b->base);
}

/* ---- the beginning --------------------------------------------------------------------------------------------- */

void link_remember_remote(struct link *k, const struct sockaddr *sa)
{
	static const char mapped[] = "::ffff:"; /* IPv4 on a socket for both */
	char text[ADDR_LEN + 1] = "";

	if (sa->sa_family == AF_INET)
		(void)uv_ip4_name((const struct sockaddr_in *)(const void *)sa, text, sizeof(text));
	else if (sa->sa_family == AF_INET6)
		(void)uv_ip6_name((const struct sockaddr_in6 *)(const void *)sa, text, sizeof(text));
	bool is_mapped = strncmp(text, mapped, sizeof(mapped) - 1) == 0 && strchr(text, '.');
	(void)str_copy(k->remote, sizeof(k->remote), is_mapped ? text + sizeof(mapped) - 1 : text);
}

static void set_up_tcp(struct link *k)
{
	unsigned unanswered_ms = TCP_UNANSWERED_MS;
	uv_os_fd_t fd = -1;

	/* All three are niceties: a link without them is slower, or notices a dead peer later. */
	(void)uv_tcp_nodelay(&k->tcp, 1);
	(void)uv_tcp_keepalive(&k->tcp, 1, TCP_KEEPALIVE_S);
	if (uv_fileno((uv_handle_t *)&k->tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
}

void link_begin(struct link *k)
{
	struct err err = ERR_INIT;

	set_up_tcp(k);
	if (k->state == LINK_CONNECT)
		sm_move(&link_sm, &k->state, LINK_SHAKE);
	if (link_tls_session(k->tls, k->is_server, k->ask_only, &k->session, &err) < 0) {
		link_end(k, &err, false);
		return;
	}
	gnutls_session_set_ptr(k->session, k);
	gnutls_session_set_verify_function(k->session, judge);
	gnutls_transport_set_ptr(k->session, k);
	gnutls_transport_set_vec_push_function(k->session, push);
	gnutls_transport_set_pull_function(k->session, pull);
	gnutls_transport_set_pull_timeout_function(k->session, pull_ready);
	int rc = uv_read_start((uv_stream_t *)&k->tcp, give_memory, on_read);
	if (rc < 0) {
		(void)err_set(&err, ERR_NODE_DOWN, "the link with %s broke: %s", k->remote, uv_strerror(rc));
		link_end(k, &err, false);
		return;
	}
	pump(k);
}

/* ---- what callers ask ------------------------------------------------------------------------------------------ */

void link_close(struct link *k)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, ERR_CANCELED, "the link with %s was closed by this side", k->remote);
	link_end(k, &err, k->state == LINK_OPEN);
}

static void closed_unheard(void *arg, struct link *k, const struct err *err)
{
	(void)arg, (void)k, (void)err;
}

void link_forget(struct link *k)
{
	k->cb.closed = closed_unheard;
	link_close(k);
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
