/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl sends a POST a second time by itself when a kept connection dies under it before the answer begins. For a
 * transaction that is fatal: the second execution finds the first one's result, its comparisons fail, and the caller is
 * told that nothing was written. So the body is given by a read callback that hands each byte out once and knows no way
 * back; a second attempt ends the request, and "did the last byte go out?" decides between NOT_SENT and SENT.
 */
#include "io/etcd_http.h"

#include <assert.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <string.h>

#include "common/buf.h"
#include "common/list.h"
#include "common/xmem.h"
#include "io/loop.h"

#define EASY_KEPT_MAX 8       /* idle handles */
#define HOST_CONNECTIONS_MAX 16
#define CONNECTIONS_KEPT_MAX 16
#define IDLE_S_MAX 60         /* an older idle connection is not trusted to be alive */

struct etcd_http {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct curl_slist *headers;
	char *ca_file, *cert_file, *key_file;
	struct list reqs;  /* struct etcd_http_req */
	struct list polls; /* struct sock */
	CURL *idle[EASY_KEPT_MAX];
	int n_idle;
	int depth;  /* inside finish(): callbacks run */
	bool freed;
};

/* A socket that curl wants watched. */
struct sock {
	struct list link;
	struct etcd_http *h;
	curl_socket_t fd;
	struct loop_poll *poll;
};

struct etcd_http_req {
	struct list link;
	struct etcd_http *h;
	CURL *easy;
	const char *body;
	size_t len, given; /* bytes handed to curl */
	bool too_big;
	struct buf reply;
	char why[CURL_ERROR_SIZE];
	char *url;
	etcd_http_cb *cb;
	void *arg;
};

static void collect(struct etcd_http *h);

/* ---- curl's sockets and timer on the loop ---- */

static void on_socket(void *arg, int events, bool failed)
{
	struct sock *s = arg;
	struct etcd_http *h = s->h;
	int mask = 0, running = 0;

	if (events & LOOP_READABLE)
		mask |= CURL_CSELECT_IN;
	if (events & LOOP_WRITABLE)
		mask |= CURL_CSELECT_OUT;
	if (failed)
		mask |= CURL_CSELECT_ERR;
	(void)curl_multi_socket_action(h->multi, s->fd, mask, &running);
	collect(h);
}

static void sock_free(struct sock *s)
{
	list_del(&s->link);
	loop_poll_free(s->poll);
	free(s);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct etcd_http *h = arg;
	struct sock *s = socket_arg;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_free(s);
		(void)curl_multi_assign(h->multi, fd, NULL);
		return 0;
	}
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->h = h;
		s->fd = fd;
		s->poll = loop_poll_new(h->loop, (int)fd, on_socket, s);
		list_add_tail(&h->polls, &s->link);
		(void)curl_multi_assign(h->multi, fd, s);
	}
	loop_poll_set(s->poll, (what & CURL_POLL_IN ? LOOP_READABLE : 0) | (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0));
	return 0;
}

static void on_timer(void *arg)
{
	struct etcd_http *h = arg;
	int running = 0;

	(void)curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(h);
}

static int watch_timer(CURLM *multi, long after_ms, void *arg)
{
	struct etcd_http *h = arg;

	(void)multi;
	if (after_ms < 0)
		loop_timer_stop(h->timer);
	else
		loop_timer_start(h->timer, after_ms, 0);
	return 0;
}

/* ---- one request ---- */

static size_t give_body(char *out, size_t size, size_t n, void *arg)
{
	struct etcd_http_req *r = arg;
	size_t left = r->len - r->given, room = size * n;

	if (left == 0)
		return CURL_READFUNC_ABORT; /* asked again after the end: a second attempt */
	if (left > room)
		left = room;
	memcpy(out, r->body + r->given, left);
	r->given += left;
	return left;
}

static size_t take_reply(char *data, size_t size, size_t n, void *arg)
{
	struct etcd_http_req *r = arg;

	if (buf_add(&r->reply, data, size * n) < 0) {
		r->too_big = true;
		return 0; /* ends the transfer */
	}
	return size * n;
}

#define SET(easy, option, value)                                         \
	do {                                                             \
		CURLcode set_rc_ = curl_easy_setopt(easy, option, value); \
		assert(set_rc_ == CURLE_OK);                             \
	} while (0)

/* What stays the same for every request; options live as long as the handle. */
static CURL *easy_new(struct etcd_http *h)
{
	CURL *e = curl_easy_init();

	if (!e)
		abort();
	SET(e, CURLOPT_NOSIGNAL, 1L);
	SET(e, CURLOPT_PROXY, ""); /* the environment's proxy is not for us */
	SET(e, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(e, CURLOPT_FOLLOWLOCATION, 0L);
	SET(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(e, CURLOPT_TCP_NODELAY, 1L);
	SET(e, CURLOPT_MAXAGE_CONN, (long)IDLE_S_MAX);
	SET(e, CURLOPT_POST, 1L);
	SET(e, CURLOPT_HTTPHEADER, h->headers);
	SET(e, CURLOPT_READFUNCTION, give_body);
	SET(e, CURLOPT_WRITEFUNCTION, take_reply);
	if (h->ca_file) {
		SET(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
		SET(e, CURLOPT_CAINFO, h->ca_file);
		SET(e, CURLOPT_CAPATH, NULL);
	}
	if (h->cert_file) {
		SET(e, CURLOPT_SSLCERT, h->cert_file);
		SET(e, CURLOPT_SSLKEY, h->key_file);
	}
	return e;
}

static void req_free(struct etcd_http_req *r)
{
	struct etcd_http *h = r->h;

	list_del(&r->link);
	(void)curl_multi_remove_handle(h->multi, r->easy);
	if (h->n_idle < EASY_KEPT_MAX)
		h->idle[h->n_idle++] = r->easy;
	else
		curl_easy_cleanup(r->easy);
	buf_done(&r->reply);
	free(r->url);
	free(r);
}

struct etcd_http_req *etcd_http_post(struct etcd_http *h, const char *url, const char *body, size_t len,
				     size_t reply_bytes_max, int timeout_ms, etcd_http_cb *cb, void *arg)
{
	struct etcd_http_req *r = xcalloc(1, sizeof(*r));

	assert(len > 0 && timeout_ms > 0);
	r->h = h;
	r->body = body;
	r->len = len;
	r->reply.max_bytes = reply_bytes_max;
	r->url = xstrdup(url);
	r->cb = cb;
	r->arg = arg;
	r->easy = h->n_idle > 0 ? h->idle[--h->n_idle] : easy_new(h);
	list_add_tail(&h->reqs, &r->link);
	SET(r->easy, CURLOPT_URL, url);
	SET(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	SET(r->easy, CURLOPT_READDATA, r);
	SET(r->easy, CURLOPT_WRITEDATA, r);
	SET(r->easy, CURLOPT_ERRORBUFFER, r->why);
	SET(r->easy, CURLOPT_PRIVATE, r);
	SET(r->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	SET(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	CURLMcode rc = curl_multi_add_handle(h->multi, r->easy);
	assert(rc == CURLM_OK);
	return r;
}

void etcd_http_cancel(struct etcd_http_req *r)
{
	req_free(r);
}

/* ---- ends ---- */

static enum err_code code_of(CURLcode rc)
{
	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return ERR_TLS;
	default:
		return ERR_STORE;
	}
}

static void finish(struct etcd_http_req *r, CURLcode rc)
{
	struct etcd_http *h = r->h;
	struct etcd_http_result res = { .end = ETCD_HTTP_ANSWER };
	struct err err = ERR_INIT;
	long status = 0;

	if (rc == CURLE_OK) {
		(void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
		res.status = (int)status;
		res.body = buf_str(&r->reply);
		res.len = r->reply.len;
	} else {
		res.end = r->given < r->len ? ETCD_HTTP_NOT_SENT : ETCD_HTTP_SENT;
		res.too_big = r->too_big;
		res.err = &err;
		(void)err_set(&err, code_of(rc), "no answer from etcd at '%s': %s", r->url,
			      r->too_big ? "it is too long" : r->why[0] ? r->why : curl_easy_strerror(rc));
	}
	/* Out of the multi before the callback: it may post the next request on this connection. */
	(void)curl_multi_remove_handle(h->multi, r->easy);
	list_del(&r->link);
	r->cb(r->arg, &res);
	req_free(r);
}

static void destroy(struct etcd_http *h)
{
	list_for_each_safe(n, &h->reqs)
		req_free(list_entry(n, struct etcd_http_req, link));
	for (int i = 0; i < h->n_idle; i++)
		curl_easy_cleanup(h->idle[i]);
	if (h->multi)
		(void)curl_multi_cleanup(h->multi);
	list_for_each_safe(n, &h->polls)
		sock_free(list_entry(n, struct sock, link));
	loop_timer_free(h->timer);
	curl_slist_free_all(h->headers);
	free(h->ca_file);
	free(h->cert_file);
	free(h->key_file);
	free(h);
	curl_global_cleanup();
}

/* Delivers what has ended. Callbacks may post, cancel, and free h: that is why it is counted here. */
static void collect(struct etcd_http *h)
{
	CURLMsg *msg;
	int left = 0;

	h->depth++;
	while (!h->freed && (msg = curl_multi_info_read(h->multi, &left))) {
		struct etcd_http_req *r = NULL;
		CURLcode rc = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		finish(r, rc);
	}
	h->depth--;
	if (h->freed && h->depth == 0)
		destroy(h);
}

/*
 * libcurl initialises libssh2, and that OpenSSL, for protocols that nobody speaks here; what is at work is GnuTLS. libssh2 leaves OpenSSL alone (which
 * takes 1.3 MB of each candidate's memory) when it was initialised so before. Looked up, not linked: where libcurl has no libssh2 there is nothing to do.
 */
static void without_ssh(void)
{
	int (*init)(int flags) = (int (*)(int))dlsym(RTLD_DEFAULT, "libssh2_init");

	if (init)
		(void)init(1 /* LIBSSH2_INIT_NO_CRYPTO */);
}

int etcd_http_new(struct loop *l, const char *ca_file, const char *cert_file, const char *key_file, struct etcd_http **ret,
		  struct err *err)
{
	if (!cert_file != !key_file)
		return err_set(err, ERR_BAD_VALUE, "a certificate needs its key, and the key its certificate");
	without_ssh();
	/* Counted by libcurl; safe beside other threads since 7.84. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_INTERNAL, "libcurl cannot be initialised");
	struct etcd_http *h = xcalloc(1, sizeof(*h));
	h->loop = l;
	h->ca_file = ca_file ? xstrdup(ca_file) : NULL;
	h->cert_file = cert_file ? xstrdup(cert_file) : NULL;
	h->key_file = key_file ? xstrdup(key_file) : NULL;
	list_init(&h->reqs);
	list_init(&h->polls);
	h->timer = loop_timer_new(l, on_timer, h);
	/* Without "Expect:" libcurl waits a second for a "100 Continue" before it sends a large body. */
	h->headers = curl_slist_append(h->headers, "Expect:");
	h->headers = curl_slist_append(h->headers, "Content-Type: application/json");
	h->multi = curl_multi_init();
	if (!h->multi || !h->headers)
		abort();
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, watch_timer);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT_MAX);
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HOST_CONNECTIONS_MAX);
	*ret = h;
	return 0;
}

void etcd_http_free(struct etcd_http *h)
{
	if (!h)
		return;
	h->freed = true;
	if (h->depth == 0)
		destroy(h);
}
