/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store on etcd. A call is tried on one member after another, beginning with the last good one; each try is short,
 * because a member that waits for a dead leader would hold the call for seconds. Reads go on until their time is over. A
 * write goes on only as long as no member can have received it; from then on, no answer means STORE_UNKNOWN at once: asking
 * a second member could execute it twice, and waiting longer would only delay the read-back that settles it.
 *
 * Calls in flight at the same time have no order among them: each may use a connection of its own.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/list.h"
#include "common/xmem.h"
#include "io/etcd_codec.h"
#include "io/etcd_http.h"
#include "io/loop.h"
#include "io/store.h"
#include "io/store_check.h"

#define TRY_MS_MIN 500
#define TRY_MS_MAX 1000
#define LAST_TRY_MS_MIN 100 /* with less time left no new try is begun: it would end unknown more often than not */
#define ROUND_PAUSE_MS 100  /* when every member has failed once */
#define MEMBER_TIMEOUT_MS 5000
#define MEMBER_TRY_MS 2500  /* a change of members waits for more than one fsync */
#define PAGE_KEYS_FIRST 100
#define PAGE_KEYS_MAX 2000
#define PAGE_BYTES_AIM ((size_t)4 * 1024 * 1024)

#define PATH_TXN "/v3/kv/txn"
#define PATH_RANGE "/v3/kv/range"

struct store_etcd {
	struct store base;
	struct loop *loop;
	struct etcd_http *http;
	char **endpoints;
	int n_endpoints;
	int good;          /* index of the member that answered last */
	struct list calls; /* struct call */
};

enum call_kind { CALL_TXN, CALL_READ, CALL_MEMBERS, CALL_MEMBER_CHANGE };

struct call {
	struct list link;
	struct store_etcd *s;
	enum call_kind kind;
	const char *path;
	struct buf body;
	int64_t deadline_ms;
	int n_tries;
	char *endpoint; /* of the try in flight */
	struct etcd_http_req *req;
	struct loop_timer *timer; /* a pause, or an answer that must not come from inside the call */
	struct err err;           /* of the last try */
	bool ended;               /* only the callback is left */
	enum store_outcome outcome;
	int64_t revision;
	store_cb *cb;
	store_members_cb *members_cb;
	void *arg;
	/* CALL_READ */
	char *key;
	bool exact, look; /* look: each member in turn from the first, which of them is good for other calls is none of its business */
	struct store_kv *kvs;
	int n_kvs, cap_kvs;
	int64_t limit, page_revision;
	/* CALL_MEMBERS, CALL_MEMBER_CHANGE */
	struct store_member *members;
	int n_members;
};

static void call_try(struct call *c);

/* ---- the life of a call ---- */

static void read_reset(struct call *c)
{
	etcd_kvs_free(c->kvs, c->n_kvs);
	c->kvs = NULL;
	c->n_kvs = c->cap_kvs = 0;
	c->page_revision = 0;
}

static void call_free(struct call *c)
{
	list_del(&c->link);
	if (c->req)
		etcd_http_cancel(c->req);
	loop_timer_free(c->timer);
	read_reset(c);
	buf_done(&c->body);
	free(c->members);
	free(c->endpoint);
	free(c->key);
	free(c);
}

static bool is_write(const struct call *c)
{
	return c->kind == CALL_TXN || c->kind == CALL_MEMBER_CHANGE;
}

/* The callback may free the store, and then has no more to do with this call: it is off the list before. */
static void call_deliver(struct call *c)
{
	list_del(&c->link);
	if (c->members_cb) {
		bool ok = c->outcome == STORE_OK;

		c->members_cb(c->arg, ok ? 0 : -c->err.code, ok ? NULL : &c->err, c->members, ok ? c->n_members : 0);
	} else {
		bool fine = c->outcome == STORE_OK || c->outcome == STORE_REFUSED;
		struct store_result res = { .outcome = c->outcome, .revision = c->revision, .err = fine ? NULL : &c->err };

		if (c->outcome == STORE_OK) {
			res.kvs = c->kvs;
			res.n_kvs = c->n_kvs;
		}
		c->cb(c->arg, &res);
	}
	call_free(c);
}

static void on_timer(void *arg)
{
	struct call *c = arg;

	if (c->ended)
		call_deliver(c);
	else
		call_try(c);
}

/* For ends that are found while the caller is still inside our call. */
static void end_soon(struct call *c, enum store_outcome outcome)
{
	c->ended = true;
	c->outcome = outcome;
	loop_timer_start(c->timer, 0, 0);
}

static void end_now(struct call *c, enum store_outcome outcome)
{
	c->outcome = outcome;
	call_deliver(c);
}

static void end_unknown(struct call *c)
{
	struct err last = c->err;

	(void)err_set(&c->err, ERR_UNKNOWN_OUTCOME, "the store may or may not have done it: %s", last.msg);
	end_now(c, STORE_UNKNOWN);
}

/* Time is over, and nothing was done. */
static void end_failed(struct call *c)
{
	if (!c->err.code)
		(void)err_set(&c->err, ERR_TIMEOUT, "no time left to ask the store");
	end_soon(c, STORE_FAILED);
}

/* ---- trying ---- */

static int64_t left_ms(const struct call *c)
{
	return c->deadline_ms - loop_now_ms(c->s->loop);
}

static int try_ms(const struct call *c)
{
	int64_t left = left_ms(c), ms = left / c->s->n_endpoints;

	if (c->kind == CALL_MEMBER_CHANGE)
		ms = MEMBER_TRY_MS;
	else if (ms < TRY_MS_MIN || c->look) /* nothing but the member itself is waited for */
		ms = TRY_MS_MIN;
	else if (ms > TRY_MS_MAX && left < 4 * TRY_MS_MAX) /* a caller with more time (a long ha.lease: slow machines) gives each member more */
		ms = TRY_MS_MAX;
	return (int)(ms < left ? ms : left);
}

static void encode_page(struct call *c)
{
	struct etcd_range r = { .key = c->key, .exact = c->exact, .limit = c->limit, .revision = c->page_revision, .serializable = c->look };

	if (c->n_kvs > 0)
		r.after = c->kvs[c->n_kvs - 1].key;
	buf_reset(&c->body);
	etcd_encode_range(&c->body, &r);
}

static void on_http(void *arg, const struct etcd_http_result *res);

static void call_try(struct call *c)
{
	struct store_etcd *s = c->s;
	int64_t left = left_ms(c);

	if (s->n_endpoints == 0) {
		(void)err_set(&c->err, ERR_STORE, "no etcd member is known");
		end_soon(c, STORE_FAILED);
		return;
	}
	if (left <= 0 || (c->n_tries > 0 && left < LAST_TRY_MS_MIN)) {
		end_failed(c);
		return;
	}
	if (c->kind == CALL_READ)
		encode_page(c);
	free(c->endpoint);
	c->endpoint = xstrdup(s->endpoints[c->look ? c->n_tries % s->n_endpoints : s->good]);
	c->n_tries++;
	AUTO_FREE char *url = xasprintf("%s%s", c->endpoint, c->path);
	c->req = etcd_http_post(s->http, url, c->body.data, c->body.len, ETCD_REPLY_MAX, try_ms(c), on_http, c);
}

/* Another member next time; unless another call has already moved on from this one. */
static void leave_endpoint(struct call *c)
{
	struct store_etcd *s = c->s;

	if (!c->look && s->n_endpoints > 0 && strcmp(s->endpoints[s->good], c->endpoint) == 0)
		s->good = (s->good + 1) % s->n_endpoints;
}

static void try_next(struct call *c)
{
	leave_endpoint(c);
	if (c->s->n_endpoints > 0 && c->n_tries % c->s->n_endpoints == 0)
		loop_timer_start(c->timer, ROUND_PAUSE_MS, 0);
	else
		call_try(c);
}

static void try_page(struct call *c)
{
	c->n_tries = 0; /* a page that came is progress; the deadline stays */
	call_try(c);
}

/* ---- answers ---- */

static void reserve_kvs(struct call *c, int n)
{
	if (c->n_kvs + n <= c->cap_kvs)
		return;
	c->cap_kvs = c->n_kvs + n > 2 * c->cap_kvs ? c->n_kvs + n : 2 * c->cap_kvs;
	c->kvs = xrealloc(c->kvs, (size_t)c->cap_kvs * sizeof(*c->kvs));
}

/* The next page's number of keys, so that it has about PAGE_BYTES_AIM bytes, given what this one had. */
static int64_t next_limit(const struct call *c, size_t bytes)
{
	int64_t n = (int64_t)((size_t)c->limit * PAGE_BYTES_AIM / (bytes + 1));

	return n < 1 ? 1 : n > PAGE_KEYS_MAX ? PAGE_KEYS_MAX : n;
}

/* 0 = a page was taken (then *ret_more), or -ERR_x. */
static int take_page(struct call *c, const char *text, size_t len, bool *ret_more)
{
	struct etcd_page page;
	int rc = etcd_decode_range(text, len, &page, &c->err);

	if (rc < 0)
		return rc;
	if (page.n_kvs > 0 && c->n_kvs > 0 && strcmp(c->kvs[c->n_kvs - 1].key, page.kvs[0].key) >= 0)
		rc = err_set(&c->err, ERR_STORE, "etcd's answer repeats a page");
	for (int i = 0; rc == 0 && i < page.n_kvs; i++)
		if (c->exact ? strcmp(page.kvs[i].key, c->key) != 0 : !store_has_prefix(page.kvs[i].key, c->key))
			rc = err_set(&c->err, ERR_STORE, "etcd's answer has a key that was not asked for");
	if (rc < 0) {
		etcd_kvs_free(page.kvs, page.n_kvs);
		return rc;
	}
	reserve_kvs(c, page.n_kvs);
	if (page.n_kvs > 0)
		memcpy(c->kvs + c->n_kvs, page.kvs, (size_t)page.n_kvs * sizeof(*page.kvs));
	c->n_kvs += page.n_kvs;
	free(page.kvs);
	if (c->page_revision == 0)
		c->page_revision = c->revision = page.revision;
	c->limit = next_limit(c, len);
	*ret_more = page.more;
	return 0;
}

/* An answer that cannot be read says nothing about what was done. */
static void unreadable(struct call *c)
{
	if (is_write(c))
		end_unknown(c);
	else
		try_next(c);
}

static void done_txn(struct call *c, const struct etcd_http_result *res)
{
	struct etcd_txn_reply reply;

	if (etcd_decode_txn(res->body, res->len, &reply, &c->err) < 0) {
		unreadable(c);
		return;
	}
	c->revision = reply.revision;
	end_now(c, reply.committed ? STORE_OK : STORE_REFUSED);
}

static void done_read(struct call *c, const struct etcd_http_result *res)
{
	bool more = false;

	if (take_page(c, res->body, res->len, &more) < 0)
		unreadable(c);
	else if (more)
		try_page(c);
	else
		end_now(c, STORE_OK);
}

static void done_members(struct call *c, const struct etcd_http_result *res)
{
	if (etcd_decode_members(res->body, res->len, &c->members, &c->n_members, &c->err) < 0)
		unreadable(c);
	else
		end_now(c, STORE_OK);
}

static void done(struct call *c, const struct etcd_http_result *res)
{
	if (c->kind == CALL_TXN)
		done_txn(c, res);
	else if (c->kind == CALL_READ)
		done_read(c, res);
	else
		done_members(c, res);
}

static void answered(struct call *c, const struct etcd_http_result *res)
{
	bool member_call = c->kind == CALL_MEMBERS || c->kind == CALL_MEMBER_CHANGE;
	enum etcd_verdict v = member_call ? etcd_judge_member(res->status, res->body, res->len, &c->err)
					  : etcd_judge(res->status, res->body, res->len, &c->err);

	switch (v) {
	case ETCD_DONE:
		done(c, res);
		return;
	case ETCD_REFUSED:
		end_now(c, STORE_FAILED);
		return;
	case ETCD_NOT_HERE:
		try_next(c);
		return;
	case ETCD_RESTART:
		read_reset(c);
		break;
	case ETCD_MAYBE:
		break;
	}
	if (is_write(c)) {
		leave_endpoint(c);
		end_unknown(c);
	} else {
		try_next(c);
	}
}

static void on_http(void *arg, const struct etcd_http_result *res)
{
	struct call *c = arg;

	c->req = NULL;
	if (res->end == ETCD_HTTP_ANSWER) {
		answered(c, res);
		return;
	}
	c->err = *res->err;
	if (res->end == ETCD_HTTP_SENT && is_write(c)) {
		leave_endpoint(c);
		end_unknown(c);
	} else if (res->too_big && c->limit > 1) {
		c->limit = c->limit / 4 + 1 < c->limit ? c->limit / 4 + 1 : 1;
		call_try(c);
	} else {
		try_next(c);
	}
}

/* ---- interface ---- */

static struct store_etcd *etcd_of(struct store *s);

static struct call *call_new(struct store_etcd *s, enum call_kind kind, const char *path, int timeout_ms, void *arg)
{
	struct call *c = xcalloc(1, sizeof(*c));

	c->s = s;
	c->kind = kind;
	c->path = path;
	c->deadline_ms = loop_now_ms(s->loop) + timeout_ms;
	c->timer = loop_timer_new(s->loop, on_timer, c);
	c->arg = arg;
	list_add_tail(&s->calls, &c->link);
	return c;
}

static void etcd_txn(struct store *s, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops,
		     int timeout_ms, store_cb *cb, void *arg)
{
	struct call *c = call_new(etcd_of(s), CALL_TXN, PATH_TXN, timeout_ms, arg);

	assert(cb);
	c->cb = cb;
	if (store_check_txn(cmps, n_cmps, ops, n_ops, &c->err) < 0) {
		end_soon(c, STORE_FAILED);
		return;
	}
	etcd_encode_txn(&c->body, cmps, n_cmps, ops, n_ops);
	call_try(c);
}

static void read_begin(struct store *s, const char *key, bool exact, bool look, int timeout_ms, store_cb *cb, void *arg)
{
	struct call *c = call_new(etcd_of(s), CALL_READ, PATH_RANGE, timeout_ms, arg);

	assert(cb);
	c->cb = cb;
	c->key = xstrdup(key);
	c->exact = exact;
	c->look = look;
	c->limit = PAGE_KEYS_FIRST;
	if (store_check_read(key, exact, &c->err) < 0)
		end_soon(c, STORE_FAILED);
	else
		call_try(c);
}

static void etcd_read(struct store *s, const char *key, bool exact, int timeout_ms, store_cb *cb, void *arg)
{
	read_begin(s, key, exact, false, timeout_ms, cb, arg);
}

static void etcd_look(struct store *s, const char *key, bool exact, int timeout_ms, store_cb *cb, void *arg)
{
	read_begin(s, key, exact, true, timeout_ms, cb, arg);
}

static void drop_endpoints(struct store_etcd *s)
{
	for (int i = 0; i < s->n_endpoints; i++)
		free(s->endpoints[i]);
	free(s->endpoints);
	s->endpoints = NULL;
	s->n_endpoints = 0;
}

static void etcd_free(struct store *base)
{
	if (!base)
		return;
	struct store_etcd *s = etcd_of(base);
	list_for_each_safe(n, &s->calls)
		call_free(list_entry(n, struct call, link));
	etcd_http_free(s->http);
	drop_endpoints(s);
	free(s);
}

static const struct store_ops etcd_ops = {
	.name = "etcd",
	.txn = etcd_txn,
	.read = etcd_read,
	.look = etcd_look,
	.free = etcd_free,
};

static struct store_etcd *etcd_of(struct store *s)
{
	assert(s->ops == &etcd_ops);
	return (struct store_etcd *)(void *)s; /* base is its first member */
}

void store_etcd_set_endpoints(struct store *base, const char *const *endpoints)
{
	struct store_etcd *s = etcd_of(base);
	AUTO_FREE char *last_good = s->n_endpoints > 0 ? xstrdup(s->endpoints[s->good]) : NULL;
	int n = 0;

	while (endpoints && endpoints[n])
		n++;
	drop_endpoints(s);
	s->endpoints = xcalloc((size_t)n, sizeof(*s->endpoints));
	s->good = 0;
	for (int i = 0; i < n; i++) {
		size_t len = strlen(endpoints[i]);

		while (len > 0 && endpoints[i][len - 1] == '/')
			len--; /* the path brings its own */
		s->endpoints[i] = xstrndup(endpoints[i], len);
		if (last_good && strcmp(last_good, s->endpoints[i]) == 0)
			s->good = i;
	}
	s->n_endpoints = n;
}

int store_etcd_new(struct loop *l, const struct store_etcd_conf *conf, struct store **ret, struct err *err)
{
	struct etcd_http *http = NULL;
	int rc = etcd_http_new(l, conf->ca_file, conf->cert_file, conf->key_file, &http, err);

	if (rc < 0)
		return rc;
	struct store_etcd *s = xcalloc(1, sizeof(*s));
	s->base.ops = &etcd_ops;
	s->loop = l;
	s->http = http;
	list_init(&s->calls);
	store_etcd_set_endpoints(&s->base, conf->endpoints);
	*ret = &s->base;
	return 0;
}

/* ---- members ---- */

static struct call *member_call(struct store *s, enum call_kind kind, const char *path, store_members_cb *cb, void *arg)
{
	struct call *c = call_new(etcd_of(s), kind, path, MEMBER_TIMEOUT_MS, arg);

	assert(cb);
	c->members_cb = cb;
	return c;
}

void store_etcd_members(struct store *s, store_members_cb *cb, void *arg)
{
	struct call *c = member_call(s, CALL_MEMBERS, "/v3/cluster/member/list", cb, arg);

	buf_puts(&c->body, "{}");
	call_try(c);
}

void store_etcd_member_add(struct store *s, const char *peer_url, bool learner, store_members_cb *cb, void *arg)
{
	struct call *c = member_call(s, CALL_MEMBER_CHANGE, "/v3/cluster/member/add", cb, arg);

	for (const char *p = peer_url; *p; p++) {
		if (*p > ' ' && *p < 127)
			continue;
		(void)err_set(&c->err, ERR_BAD_VALUE, "a peer url has the byte 0x%02x", (unsigned char)*p);
		end_soon(c, STORE_FAILED);
		return;
	}
	etcd_encode_member_add(&c->body, peer_url, learner);
	call_try(c);
}

static void member_by_id(struct store *s, const char *path, const char *id, store_members_cb *cb, void *arg)
{
	struct call *c = member_call(s, CALL_MEMBER_CHANGE, path, cb, arg);

	if (!id[0] || id[strspn(id, "0123456789")]) {
		(void)err_set(&c->err, ERR_BAD_VALUE, "an etcd member's id is a decimal number");
		end_soon(c, STORE_FAILED);
		return;
	}
	etcd_encode_member_id(&c->body, id);
	call_try(c);
}

void store_etcd_member_promote(struct store *s, const char *id, store_members_cb *cb, void *arg)
{
	member_by_id(s, "/v3/cluster/member/promote", id, cb, arg);
}

void store_etcd_member_remove(struct store *s, const char *id, store_members_cb *cb, void *arg)
{
	member_by_id(s, "/v3/cluster/member/remove", id, cb, arg);
}
