/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends on one loop, over the loopback interface. It looks inside links (io/link_inside.h) to misbehave like a peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/link_inside.h"
#include "io/loop.h"
#include "io/pki.h"

/*
 * How much memory is in use. Sanitizers keep freed memory back for a while (ASan: 256 MB of quarantine), so the process'
 * size says nothing in their builds; their own count of what is allocated does, and is held to the same bounds.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/allocator_interface.h>
#endif

#define UUID_A "aaaaaaaa-2222-4333-8444-555555555555"
#define UUID_B "bbbbbbbb-7777-4888-9999-aaaaaaaaaaaa"

/* What one end saw. Several links may share one. */
struct end {
	int opened, closed, frames;
	size_t bytes;
	char peer[UUID_LEN + 1];
	char remote[ADDR_LEN + 1];
	struct err why;     /* of the last that closed */
	struct link *link;  /* the newest that opened */
	char *text;         /* the last frame */
	bool echo;          /* answers each frame with itself */
	int out_of_order;   /* frames that were not the number that was due */
	bool numbered;
	struct link_server *free_at_frame; /* misbehaves: frees the server from within */
};

struct ids {
	char *ca, *ca_key;
	char *cert_a, *key_a, *cert_b, *key_b, *cert_none, *key_none;
	char *other_ca, *other_ca_key, *other_cert, *other_key; /* another cluster's */
};

struct rig {
	struct ids *ids;
	struct loop *loop;
	struct link_server *server;
	struct link_tls *tls_a, *tls_b;
	struct end s, c; /* server's, client's */
	int port;
};

/* ---- the rig --------------------------------------------------------------------------------------------------- */

static void on_open(void *arg, struct link *k, const char *peer)
{
	struct end *e = arg;

	e->opened++;
	e->link = k;
	(void)str_copy(e->peer, sizeof(e->peer), peer);
	(void)str_copy(e->remote, sizeof(e->remote), link_remote_address(k));
	assert_string_equal(link_peer(k), peer);
}

static void on_frame(void *arg, struct link *k, const char *text, size_t len)
{
	struct end *e = arg;

	assert_int_equal(text[len], '\0');
	if (e->numbered && atoi(text) != e->frames)
		e->out_of_order++;
	e->frames++;
	e->bytes += len;
	free(e->text);
	e->text = xstrndup(text, len);
	if (e->free_at_frame) {
		struct link_server *s = e->free_at_frame;

		e->free_at_frame = NULL;
		link_server_free(s);
	} else if (e->echo) {
		(void)link_send(k, text, len);
	}
}

static void on_closed(void *arg, struct link *k, const struct err *err)
{
	struct end *e = arg;

	e->closed++;
	e->why = *err;
	if (e->link == k)
		e->link = NULL;
}

static const struct link_cb callbacks = { on_open, on_frame, on_closed };

static struct link_tls *tls_of(const char *ca, const char *cert, const char *key, const char *crl)
{
	struct link_tls *t = NULL;
	struct err err = ERR_INIT;

	if (link_tls_new(ca, cert, key, crl, &t, &err) < 0)
		fail_msg("%s", err.msg);
	return t;
}

static void rig_up(struct rig *r, void **state, bool allow_anonymous)
{
	struct err err = ERR_INIT;

	memset(r, 0, sizeof(*r));
	r->ids = *state;
	r->loop = loop_new();
	r->tls_a = tls_of(r->ids->ca, r->ids->cert_a, r->ids->key_a, "");
	r->tls_b = tls_of(r->ids->ca, r->ids->cert_b, r->ids->key_b, NULL);
	if (link_server_new(r->loop, "", 0, r->tls_a, allow_anonymous, &callbacks, &r->s, &r->server, &err) < 0)
		fail_msg("%s", err.msg);
	r->port = link_server_port(r->server);
	assert_true(r->port > 0);
}

static struct link *dial_with(struct rig *r, struct link_tls *tls, const char *pin)
{
	return link_dial(r->loop, "127.0.0.1", r->port, "", tls, pin, &callbacks, &r->c);
}

static struct link *dial(struct rig *r)
{
	return dial_with(r, r->tls_b, "");
}

struct watch {
	struct loop *loop;
	const int *value;
	int target;
	int64_t until_ms;
};

static void look(void *arg)
{
	struct watch *w = arg;

	if (*w->value >= w->target || loop_now_ms(w->loop) > w->until_ms)
		loop_stop(w->loop);
}

/* Runs the loop until *value has reached target; false when that took too long. */
static bool wait_for(struct rig *r, const int *value, int target, int64_t at_most_ms)
{
	struct watch w = { r->loop, value, target, loop_now_ms(r->loop) + at_most_ms };
	struct loop_timer *t = loop_timer_new(r->loop, look, &w);

	loop_timer_start(t, 0, 1);
	loop_run(r->loop);
	loop_timer_free(t);
	return *value >= target;
}

static void run_ms(struct rig *r, int64_t ms)
{
	int never = 0;

	(void)wait_for(r, &never, 1, ms);
}

static void must(struct rig *r, const int *value, int target)
{
	if (!wait_for(r, value, target, 10000))
		fail_msg("waited for %d, have %d; server: %s; client: %s", target, *value, r->s.why.msg, r->c.why.msg);
}

static void rig_down(struct rig *r)
{
	if (r->c.link)
		link_close(r->c.link);
	link_server_free(r->server);
	link_tls_unref(r->tls_a);
	link_tls_unref(r->tls_b);
	run_ms(r, 20);
	loop_free(r->loop);
	free(r->s.text);
	free(r->c.text);
}

static void issue(struct ids *w, const char *ca, const char *ca_key, const char *uuid, char **cert, char **key)
{
	struct pki_names names = { .cn = "node" };
	struct err err = ERR_INIT;
	char *csr = NULL;

	(void)w;
	(void)str_copy(names.uuid, sizeof(names.uuid), uuid);
	if (pki_make_csr("x", &csr, key, &err) < 0 || pki_sign_csr(ca, ca_key, csr, &names, 30, cert, &err) < 0)
		fail_msg("%s", err.msg);
	free(csr);
}

static int set_up(void **state)
{
	struct ids *w = xcalloc(1, sizeof(*w));
	struct err err = ERR_INIT;

	if (pki_make_ca("lab", 3650, &w->ca, &w->ca_key, &err) < 0 ||
	    pki_make_ca("lab", 3650, &w->other_ca, &w->other_ca_key, &err) < 0)
		return -1;
	issue(w, w->ca, w->ca_key, UUID_A, &w->cert_a, &w->key_a);
	issue(w, w->ca, w->ca_key, UUID_B, &w->cert_b, &w->key_b);
	issue(w, w->ca, w->ca_key, "", &w->cert_none, &w->key_none);
	issue(w, w->other_ca, w->other_ca_key, UUID_B, &w->other_cert, &w->other_key);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct ids *w = *state;
	char **all = (char **)w;

	for (size_t i = 0; i < sizeof(*w) / sizeof(char *); i++)
		free(all[i]);
	free(w);
	return 0;
}

/* ---- who is let in --------------------------------------------------------------------------------------------- */

static void nodes_of_one_cluster_know_each_other(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	r.s.echo = true;
	struct link *k = dial(&r);
	assert_int_equal(link_send(k, "x", 1), -ERR_NODE_DOWN); /* not open yet */
	int mark = 7;
	link_set_data(k, &mark);
	must(&r, &r.c.opened, 1);
	assert_ptr_equal(link_data(k), &mark);
	assert_string_equal(r.c.peer, UUID_A);
	assert_int_equal(link_send(k, "{\"a\":1}", 7), 0);
	must(&r, &r.c.frames, 1);
	assert_string_equal(r.c.text, "{\"a\":1}");
	assert_string_equal(r.s.peer, UUID_B);
	assert_string_equal(r.s.remote, "127.0.0.1"); /* not as an IPv6 address */
	link_close(k);
	assert_int_equal(r.c.closed, 0); /* never from within */
	must(&r, &r.s.closed, 1);
	must(&r, &r.c.closed, 1);
	assert_int_equal(r.c.why.code, ERR_CANCELED);
	assert_int_equal(r.s.why.code, ERR_NODE_DOWN);
	rig_down(&r);
	assert_int_equal(r.c.closed + r.s.closed, 2);
}

/* Dials with tls; the server must refuse, and both ends must say so with these words. */
static void refused(struct rig *r, struct link_tls *tls, const char *server_says, const char *client_says)
{
	struct link *k = dial_with(r, tls, "");

	(void)k;
	must(r, &r->c.closed, 1);
	must(r, &r->s.closed, 1);
	assert_int_equal(r->s.opened, 0);
	assert_int_equal(r->s.why.code, ERR_TLS);
	assert_int_equal(r->c.why.code, ERR_TLS);
	if (!strstr(r->s.why.msg, server_says))
		fail_msg("the server says: %s", r->s.why.msg);
	if (!strstr(r->c.why.msg, client_says))
		fail_msg("the client says: %s", r->c.why.msg);
	link_tls_unref(tls);
}

static void a_client_of_another_cluster_is_refused(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	/* It knows our CA, but has its own: the other CA's text stands behind its certificate. */
	AUTO_FREE char *both = xasprintf("%s%s", r.ids->ca, r.ids->other_ca);
	refused(&r, tls_of(both, r.ids->other_cert, r.ids->other_key, ""), "not signed by this cluster's CA", "refused");
	rig_down(&r);
}

static void a_server_of_another_cluster_is_refused(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	refused(&r, tls_of(r.ids->other_ca, r.ids->other_cert, r.ids->other_key, ""), "refused",
		"not signed by this cluster's CA");
	assert_int_equal(r.c.opened, 0);
	rig_down(&r);
}

static void a_client_without_certificate_is_refused(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	refused(&r, tls_of(r.ids->ca, "", "", ""), "no certificate", "refused");
	rig_down(&r);
}

static void a_certificate_without_a_node_is_refused(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	refused(&r, tls_of(r.ids->ca, r.ids->cert_none, r.ids->key_none, ""), "names no node", "refused");
	rig_down(&r);
}

static void a_joiner_without_certificate_is_let_in_where_allowed(void **state)
{
	struct rig r;

	rig_up(&r, state, true);
	r.s.echo = true;
	struct link_tls *tls = tls_of(r.ids->ca, NULL, NULL, NULL);
	struct link *k = dial_with(&r, tls, "");
	must(&r, &r.s.opened, 1);
	must(&r, &r.c.opened, 1);
	assert_string_equal(r.s.peer, "");
	assert_string_equal(r.c.peer, UUID_A);
	AUTO_FREE char *big = xcalloc(1, LINK_ANONYMOUS_FRAME_MAX + 1);
	memset(big, 'x', LINK_ANONYMOUS_FRAME_MAX + 1);
	assert_int_equal(link_send(k, big, LINK_ANONYMOUS_FRAME_MAX), 0);
	must(&r, &r.c.frames, 1);
	assert_int_equal(link_send(k, big, LINK_ANONYMOUS_FRAME_MAX + 1), 0);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.why.code, ERR_TOO_BIG);
	must(&r, &r.c.closed, 1);
	link_tls_unref(tls);
	rig_down(&r);
}

static void a_joiner_with_a_wrong_certificate_is_refused_all_the_same(void **state)
{
	struct rig r;

	rig_up(&r, state, true);
	AUTO_FREE char *both = xasprintf("%s%s", r.ids->ca, r.ids->other_ca);
	refused(&r, tls_of(both, r.ids->other_cert, r.ids->other_key, ""), "not signed by this cluster's CA", "refused");
	rig_down(&r);
}

static void a_node_with_certificate_is_known_where_joiners_are_allowed(void **state)
{
	struct rig r;

	rig_up(&r, state, true);
	(void)dial(&r);
	must(&r, &r.s.opened, 1);
	assert_string_equal(r.s.peer, UUID_B);
	rig_down(&r);
}

/* ---- time, revocation, pins ------------------------------------------------------------------------------------ */

static time_t in_40_days(time_t *t)
{
	time_t now = time(NULL) + 40 * 86400;

	if (t)
		*t = now;
	return now;
}

static time_t days_ago(time_t *t)
{
	time_t now = time(NULL) - 2 * 86400;

	if (t)
		*t = now;
	return now;
}

static void an_expired_certificate_is_refused(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	gnutls_global_set_time_function(in_40_days);
	(void)dial(&r);
	must(&r, &r.c.closed, 1);
	must(&r, &r.s.closed, 1);
	gnutls_global_set_time_function(time);
	assert_int_equal(r.c.opened + r.s.opened, 0);
	assert_non_null(strstr(r.c.why.msg, "the peer's certificate has expired"));
	gnutls_global_set_time_function(days_ago);
	(void)dial(&r);
	must(&r, &r.c.closed, 2);
	gnutls_global_set_time_function(time);
	assert_non_null(strstr(r.c.why.msg, "not valid yet"));
	(void)dial(&r); /* and in between it is good */
	must(&r, &r.s.opened, 1);
	rig_down(&r);
}

static char *crl_of(const struct ids *w, const char *cert)
{
	struct err err = ERR_INIT;
	char serial[41], *crl = NULL;

	if (pki_serial(cert, serial, &err) < 0)
		fail_msg("%s", err.msg);
	const char *const serials[] = { serial, NULL };
	if (pki_make_crl(w->ca, w->ca_key, serials, &crl, &err) < 0)
		fail_msg("%s", err.msg);
	return crl;
}

static void a_revoked_certificate_is_refused_on_both_sides(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	AUTO_FREE char *no_a = crl_of(r.ids, r.ids->cert_a), *no_b = crl_of(r.ids, r.ids->cert_b);
	struct link_tls *server = tls_of(r.ids->ca, r.ids->cert_a, r.ids->key_a, no_b);
	struct link_tls *client = tls_of(r.ids->ca, r.ids->cert_b, r.ids->key_b, no_a);
	(void)dial(&r); /* lists come later than links: what is open stays */
	must(&r, &r.s.opened, 1);
	link_server_set_tls(r.server, server);
	r.s.opened = 0;
	(void)dial(&r);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.opened, 0);
	assert_non_null(strstr(r.s.why.msg, "the peer's certificate was revoked"));
	must(&r, &r.c.closed, 1);
	assert_int_equal(r.c.why.code, ERR_TLS);
	link_server_set_tls(r.server, r.tls_a);
	(void)dial_with(&r, client, "");
	must(&r, &r.c.closed, 2);
	assert_non_null(strstr(r.c.why.msg, "the peer's certificate was revoked"));
	link_tls_unref(server);
	link_tls_unref(client);
	rig_down(&r);
}

static void a_revocation_list_of_another_ca_is_not_taken(void **state)
{
	struct ids *w = *state;
	const char *const none[] = { NULL };
	struct link_tls *t = NULL;
	struct err err = ERR_INIT;
	AUTO_FREE char *crl = NULL;

	assert_int_equal(pki_make_crl(w->other_ca, w->other_ca_key, none, &crl, &err), 0);
	assert_int_equal(link_tls_new(w->ca, w->cert_a, w->key_a, crl, &t, &err), -ERR_TLS);
	assert_null(t);
}

static void credentials_that_do_not_fit_are_refused(void **state)
{
	struct ids *w = *state;
	const char *const row[][4] = {
		{ w->ca, w->cert_a, w->key_b, "" }, { w->other_ca, w->cert_a, w->key_a, "" },
		{ w->ca, w->cert_a, "", "" },       { "", w->cert_a, w->key_a, "" },
		{ "junk", "", "", "" },             { w->ca, "junk", w->key_a, "" },
		{ w->ca, w->cert_a, "junk", "" },   { w->ca, w->cert_a, w->key_a, "junk" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct link_tls *t = NULL;
		struct err err = ERR_INIT;

		assert_int_equal(link_tls_new(row[i][0], row[i][1], row[i][2], row[i][3], &t, &err), -ERR_TLS);
		assert_null(t);
		assert_true(err.msg[0] != '\0');
	}
}

static void a_joiner_trusts_the_fingerprint_of_its_token(void **state)
{
	struct rig r;
	struct err err = ERR_INIT;
	char pin[65], wrong[65];

	rig_up(&r, state, true);
	struct link_tls *blank = tls_of("", "", "", "");
	assert_int_equal(pki_fingerprint(r.ids->ca, pin, &err), 0);
	(void)dial_with(&r, blank, pin);
	must(&r, &r.s.opened, 1);
	assert_int_equal(r.c.opened, 1);
	assert_string_equal(r.c.peer, UUID_A);
	assert_string_equal(r.s.peer, "");
	/* Another CA's; the server's own certificate instead of its CA's; none; not one. */
	assert_int_equal(pki_fingerprint(r.ids->other_ca, wrong, &err), 0);
	(void)dial_with(&r, blank, wrong);
	must(&r, &r.c.closed, 1);
	assert_int_equal(r.c.why.code, ERR_TLS);
	assert_non_null(strstr(r.c.why.msg, "fingerprint"));
	assert_int_equal(pki_fingerprint(r.ids->cert_a, wrong, &err), 0);
	(void)dial_with(&r, blank, wrong);
	must(&r, &r.c.closed, 2);
	assert_int_equal(r.c.why.code, ERR_TLS);
	(void)dial_with(&r, blank, "");
	must(&r, &r.c.closed, 3);
	assert_int_equal(r.c.why.code, ERR_TLS);
	(void)dial_with(&r, blank, "abc");
	must(&r, &r.c.closed, 4);
	assert_int_equal(r.c.why.code, ERR_BAD_VALUE);
	assert_int_equal(r.c.opened, 1);
	link_tls_unref(blank);
	rig_down(&r);
}

static void renewed_credentials_are_for_new_links(void **state)
{
	struct rig r;
	unsigned n = 0;

	rig_up(&r, state, false);
	r.s.echo = true;
	struct link *old = dial(&r);
	must(&r, &r.s.opened, 1);
	must(&r, &r.c.opened, 1);
	char *cert = NULL, *key = NULL;
	issue(r.ids, r.ids->ca, r.ids->ca_key, UUID_A, &cert, &key);
	struct link_tls *renewed = tls_of(r.ids->ca, cert, key, "");
	link_server_set_tls(r.server, renewed);
	link_tls_unref(renewed);
	struct link *young = dial(&r);
	must(&r, &r.c.opened, 2);
	const gnutls_datum_t *a = gnutls_certificate_get_peers(old->session, &n);
	const gnutls_datum_t *b = gnutls_certificate_get_peers(young->session, &n);
	assert_true(a[0].size != b[0].size || memcmp(a[0].data, b[0].data, a[0].size) != 0);
	assert_int_equal(link_send(old, "old", 3), 0);
	must(&r, &r.c.frames, 1);
	assert_string_equal(r.c.text, "old");
	assert_int_equal(link_send(young, "young", 5), 0);
	must(&r, &r.c.frames, 2);
	assert_string_equal(r.c.text, "young");
	link_close(old);
	link_close(young);
	must(&r, &r.c.closed, 2);
	free(cert);
	free(key);
	rig_down(&r);
}

/* ---- frames ---------------------------------------------------------------------------------------------------- */

static void big_frames_pass_whole(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	r.s.echo = true;
	struct link *k = dial(&r);
	must(&r, &r.c.opened, 1);
	AUTO_FREE char *big = xcalloc(1, (size_t)FRAME_MAX + 2);
	for (size_t i = 0; i < FRAME_MAX + 1; i++)
		big[i] = (char)('a' + (i * 31 + i / 977) % 26);
	static const size_t sizes[] = { 1, 16379, 16380, 16381, 16384, 32764, 32765, 1000000, FRAME_MAX };
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(link_send(k, big, sizes[i]), 0);
		must(&r, &r.c.frames, (int)i + 1);
		assert_int_equal(strlen(r.c.text), sizes[i]);
		assert_memory_equal(r.c.text, big, sizes[i]);
	}
	assert_int_equal(link_send(k, big, (size_t)FRAME_MAX + 1), -ERR_TOO_BIG);
	assert_int_equal(link_send(k, "still", 5), 0);
	must(&r, &r.c.frames, (int)ARRAY_SIZE(sizes) + 1);
	rig_down(&r);
}

static void many_small_frames_keep_their_order(void **state)
{
	const int n = 30000;
	struct rig r;

	rig_up(&r, state, false);
	r.s.numbered = r.s.echo = r.c.numbered = true;
	struct link *k = dial(&r);
	must(&r, &r.c.opened, 1);
	for (int i = 0; i < n; i++) {
		char text[16];

		assert_int_equal(link_send(k, text, (size_t)snprintf(text, sizeof(text), "%d", i)), 0);
	}
	must(&r, &r.c.frames, n);
	assert_int_equal(r.s.out_of_order + r.c.out_of_order, 0);
	rig_down(&r);
}

/* Frames that link_send() would not make, in good TLS records. */
static void bad_frames_end_the_link(void **state)
{
	static const struct {
		const char *head;
		int code;
	} row[] = { { "\xff\xff\xff\xff", ERR_TOO_BIG }, { "\x00\x40\x00\x01", ERR_TOO_BIG }, { "\0\0\0\0", ERR_BAD_REQUEST } };
	struct rig r;

	rig_up(&r, state, false);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct link *k = dial(&r);

		must(&r, &r.c.opened, (int)i + 1);
		assert_int_equal(gnutls_record_send(k->session, row[i].head, 4), 4);
		assert_int_equal(link_send(k, "x", 1), 0);
		must(&r, &r.s.closed, (int)i + 1);
		assert_int_equal(r.s.why.code, row[i].code);
		must(&r, &r.c.closed, (int)i + 1);
		assert_int_equal(r.c.why.code, ERR_NODE_DOWN);
	}
	assert_int_equal(r.s.frames, 0);
	rig_down(&r);
}

static void a_peer_that_does_not_read_is_cut_off(void **state)
{
	struct rig r;
	size_t sent = 0;
	int rc = 0;

	rig_up(&r, state, false);
	struct link *k = dial(&r);
	must(&r, &r.s.opened, 1);
	must(&r, &r.c.opened, 1);
	(void)uv_read_stop((uv_stream_t *)&k->tcp);
	AUTO_FREE char *text = xcalloc(1, 1024 * 1024);
	memset(text, 'y', 1024 * 1024);
	for (int i = 0; i < 100 && rc == 0; i++) {
		struct link *s = r.s.link;

		rc = link_send(s, text, 1024 * 1024);
		sent += rc == 0 ? 1024 * 1024 : 0;
		if (rc == 0)
			run_ms(&r, 1);
	}
	assert_int_equal(rc, -ERR_TOO_BIG);
	assert_true(sent >= 15 * 1024 * 1024);
	assert_true(sent < 40 * 1024 * 1024); /* the kernel's buffers have some too */
	assert_int_equal(r.s.closed, 0);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.why.code, ERR_TOO_BIG);
	rig_down(&r);
}

static void what_was_queued_before_the_close_arrives(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	struct link *k = dial(&r);
	must(&r, &r.c.opened, 1);
	AUTO_FREE char *text = xcalloc(1, FRAME_MAX);
	memset(text, 'z', FRAME_MAX);
	assert_int_equal(link_send(k, text, FRAME_MAX), 0);
	assert_int_equal(link_send(k, text, FRAME_MAX), 0);
	assert_int_equal(link_send(k, "last", 4), 0);
	link_close(k);
	link_close(k); /* twice is once */
	assert_int_equal(link_send(k, "late", 4), -ERR_NODE_DOWN);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.frames, 3);
	assert_string_equal(r.s.text, "last");
	must(&r, &r.c.closed, 1);
	rig_down(&r);
	assert_int_equal(r.c.closed, 1);
}

/* ---- peers that misbehave -------------------------------------------------------------------------------------- */

/* A process of its own that opens a link and is then killed. */
static void a_killed_peer_is_noticed_at_once(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct loop *l = loop_new();
		struct end e = { .opened = 0 };

		(void)link_dial(l, "127.0.0.1", r.port, "", r.tls_b, "", &callbacks, &e);
		loop_run(l);
		_exit(0);
	}
	must(&r, &r.s.opened, 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.why.code, ERR_NODE_DOWN);
	rig_down(&r);
}

static int raw_connect(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* Sends as the server takes it; ends when all is sent or the server has closed. */
static void pour(struct rig *r, int fd, const char *data, size_t len)
{
	size_t done = 0;

	for (int i = 0; i < 2000 && done < len; i++) {
		ssize_t n = send(fd, data + done, len - done, MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EAGAIN)
			return;
		run_ms(r, 1);
	}
}

static long memory_kib(void)
{
#ifdef SANITIZED
	return (long)(__sanitizer_get_current_allocated_bytes() / 1024);
#else
	long pages = 0, total = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%ld %ld", &total, &pages) != 2)
		pages = 0;
	if (f)
		(void)fclose(f);
	return pages * 4;
#endif
}

static void junk_is_thrown_out(void **state)
{
	const size_t size = 10 * 1024 * 1024;
	AUTO_FREE char *junk = xcalloc(1, size);
	struct rig r;
	uint64_t x = 88172645463325252ULL;

	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		junk[i] = (char)x;
	}
	rig_up(&r, state, false);
	(void)dial(&r); /* lives through it */
	must(&r, &r.s.opened, 1);
	long before = memory_kib();
	/* The first bytes decide how far it gets: noise, a whole record, a handshake record that never ends, HTTP. */
	static const char *const starts[] = { "", "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", "\x16\x03\x01\x3f\xff\x01\xff\xff\xff",
					      "GET / HTTP/1.1\r\n\r\n", "\x15\x03\x03\x00\x02\x01\x00", "\x17\x03\x03\x40\x00" };
	static const size_t lens[] = { 0, 11, 9, 18, 7, 5 };
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		int fd = raw_connect(r.port);

		memcpy(junk, starts[i], lens[i]);
		pour(&r, fd, junk, size);
		must(&r, &r.s.closed, (int)i + 1);
		assert_true(r.s.why.code == ERR_TLS || r.s.why.code == ERR_NODE_DOWN);
		(void)close(fd);
	}
	run_ms(&r, 1200); /* lingering */
	long grown = memory_kib() - before;
	assert_true(grown < 32 * 1024);
	assert_int_equal(r.s.opened, 1);
	assert_int_equal(link_send(r.c.link, "alive", 5), 0);
	must(&r, &r.s.frames, 1);
	rig_down(&r);
}

static void junk_in_an_open_link_ends_it(void **state)
{
	struct rig r;
	char junk[3000];

	memset(junk, 0x17, sizeof(junk));
	rig_up(&r, state, false);
	struct link *k = dial(&r);
	must(&r, &r.s.opened, 1);
	must(&r, &r.c.opened, 1);
	uv_buf_t b = uv_buf_init(junk, sizeof(junk));
	assert_int_equal(uv_try_write((uv_stream_t *)&k->tcp, &b, 1), sizeof(junk));
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.why.code, ERR_TLS);
	must(&r, &r.c.closed, 1);
	rig_down(&r);
}

struct drip {
	int fd;
	int n;
};

static void drip(void *arg)
{
	struct drip *d = arg;
	/* The head of a ClientHello's record: good as far as it goes. */
	static const char hello[] = { 0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, (char)0xfc, 0x03, 0x03 };

	(void)send(d->fd, d->n < (int)sizeof(hello) ? hello + d->n : "x", 1, MSG_NOSIGNAL);
	d->n++;
}

static void who_dawdles_is_closed_after_five_seconds(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	int silent = raw_connect(r.port);
	struct drip d = { .fd = raw_connect(r.port) };
	struct loop_timer *t = loop_timer_new(r.loop, drip, &d);
	loop_timer_start(t, 0, 100);
	r.s.echo = true;
	run_ms(&r, 500);
	/* Meanwhile others are served. */
	int64_t from = loop_now_ms(r.loop);
	(void)dial(&r);
	must(&r, &r.c.opened, 1);
	assert_int_equal(link_send(r.c.link, "x", 1), 0);
	must(&r, &r.c.frames, 1);
	assert_true(loop_now_ms(r.loop) - from < 1000);
	assert_int_equal(r.s.closed, 0);
	must(&r, &r.s.closed, 2);
	assert_in_range(loop_now_ms(r.loop) - from, 3500, 6500);
	assert_int_equal(r.s.why.code, ERR_TIMEOUT);
	assert_non_null(strstr(r.s.why.msg, "5 s"));
	loop_timer_free(t);
	(void)close(silent);
	(void)close(d.fd);
	rig_down(&r);
}

/* A server that accepts (the kernel does) and never answers. */
static void dialling_has_a_deadline(void **state)
{
	struct rig r;
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t n = sizeof(at);

	rig_up(&r, state, false);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	(void)link_dial(r.loop, "127.0.0.1", ntohs(at.sin_port), "", r.tls_b, "", &callbacks, &r.c);
	int64_t from = loop_now_ms(r.loop);
	must(&r, &r.c.closed, 1);
	assert_in_range(loop_now_ms(r.loop) - from, 4900, 6500);
	assert_int_equal(r.c.why.code, ERR_TIMEOUT);
	(void)close(fd);
	rig_down(&r);
}

static void a_node_gets_in_though_strangers_hold_all_places(void **state)
{
	enum { STRANGERS = LINK_CONNECTIONS_MAX + 20 };
	struct rlimit files = { 4096, 4096 }, before;
	struct rig r;
	int *fd = xcalloc(STRANGERS, sizeof(*fd));

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	if (files.rlim_max < before.rlim_max)
		files.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	rig_up(&r, state, false);
	(void)dial(&r);
	must(&r, &r.s.opened, 1);
	struct link *first = r.s.link;
	for (int i = 0; i < STRANGERS; i++) {
		fd[i] = raw_connect(r.port);
		if (i % 64 == 0)
			run_ms(&r, 2);
	}
	run_ms(&r, 50);
	assert_true(r.s.closed >= 20); /* the oldest went */
	assert_ptr_equal(r.s.link, first); /* the node did not */
	(void)dial(&r);
	must(&r, &r.s.opened, 2);
	assert_non_null(r.s.link);
	for (int i = 0; i < STRANGERS; i++)
		(void)close(fd[i]);
	must(&r, &r.s.closed, STRANGERS);
	free(fd);
	rig_down(&r);
}

/* ---- addresses and ends ---------------------------------------------------------------------------------------- */

static void a_link_goes_out_from_the_local_address(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	(void)link_dial(r.loop, "127.0.0.1", r.port, "127.0.0.9", r.tls_b, "", &callbacks, &r.c);
	must(&r, &r.s.opened, 1);
	assert_string_equal(r.s.remote, "127.0.0.9");
	assert_string_equal(r.c.remote, "127.0.0.1");
	rig_down(&r);
}

static void dialling_nowhere_ends_in_closed(void **state)
{
	static const struct {
		const char *address, *local;
		int port, code;
	} row[] = {
		{ "127.0.0.1", "", 1, ERR_NODE_DOWN },          { "localhost", "", 1, ERR_BAD_VALUE },
		{ "", "", 1, ERR_BAD_VALUE },                   { "127.0.0.1", "", 70000, ERR_BAD_VALUE },
		{ "127.0.0.1", "192.0.2.1", 1, ERR_NODE_DOWN }, { "127.0.0.1", "x", 1, ERR_BAD_VALUE },
	};
	struct rig r;

	rig_up(&r, state, false);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		assert_non_null(link_dial(r.loop, row[i].address, row[i].port, row[i].local, r.tls_b, "", &callbacks, &r.c));
		assert_int_equal(r.c.closed, i); /* not from within */
		must(&r, &r.c.closed, (int)i + 1);
		assert_int_equal(r.c.why.code, row[i].code);
	}
	struct link *k = dial(&r);
	link_close(k); /* before it is connected */
	must(&r, &r.c.closed, (int)ARRAY_SIZE(row) + 1);
	assert_int_equal(r.c.why.code, ERR_CANCELED);
	assert_int_equal(r.c.opened, 0);
	rig_down(&r);
}

static void a_port_in_use_is_an_error_with_a_hint(void **state)
{
	struct rig r;
	struct link_server *second = NULL;
	struct err err = ERR_INIT;

	rig_up(&r, state, false);
	assert_int_equal(link_server_new(r.loop, "", r.port, r.tls_a, false, &callbacks, &r.s, &second, &err), -ERR_IO);
	assert_non_null(strstr(err.msg, "cannot listen"));
	assert_int_equal(link_server_new(r.loop, "192.0.2.1", 0, r.tls_a, false, &callbacks, &r.s, &second, &err), -ERR_IO);
	assert_int_equal(link_server_new(r.loop, "n1", 0, r.tls_a, false, &callbacks, &r.s, &second, &err), -ERR_BAD_VALUE);
	assert_null(second);
	rig_down(&r);
}

static void freeing_the_server_closes_its_links(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	(void)dial(&r);
	int fd = raw_connect(r.port);
	must(&r, &r.s.opened, 1);
	run_ms(&r, 10);
	link_server_free(r.server);
	r.server = NULL;
	assert_int_equal(r.s.closed, 2); /* before it returned */
	assert_int_equal(r.s.why.code, ERR_CANCELED);
	must(&r, &r.c.closed, 1);
	assert_int_equal(r.s.closed, 2);
	(void)close(fd);
	rig_down(&r);
}

static void the_server_may_be_freed_from_within_a_frame(void **state)
{
	struct rig r;

	rig_up(&r, state, false);
	struct link *k = dial(&r);
	must(&r, &r.s.opened, 1);
	must(&r, &r.c.opened, 1);
	r.s.free_at_frame = r.server;
	r.server = NULL;
	for (int i = 0; i < 100; i++)
		assert_int_equal(link_send(k, "x", 1), 0);
	must(&r, &r.s.closed, 1);
	assert_int_equal(r.s.frames, 1);
	must(&r, &r.c.closed, 1);
	rig_down(&r);
}

static void nothing_leaks_over_many_links(void **state)
{
	struct rig r;
	long before = 0;

	rig_up(&r, state, false);
	for (int i = 0; i < 300; i++) {
		struct link *k = dial(&r);

		must(&r, &r.c.opened, i + 1);
		link_close(k);
		must(&r, &r.c.closed, i + 1);
		if (i == 100)
			before = memory_kib();
	}
	must(&r, &r.s.closed, 300);
	assert_true(memory_kib() - before < 4096);
	rig_down(&r);
}

/* ---- another TLS implementation --------------------------------------------------------------------------------- */

struct ran {
	int done, status;
};

static void on_line(void *arg, const char *line, size_t len)
{
	(void)arg;
	(void)line;
	(void)len;
}

static void on_exit_status(void *arg, int status)
{
	struct ran *x = arg;

	x->status = status;
	x->done = 1;
}

static void put(const char *dir, const char *name, const char *text, char path[100])
{
	(void)snprintf(path, 100, "%s/%s", dir, name);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

static void openssl_gets_in_with_tls_1_3_only(void **state)
{
	char dir[] = "/tmp/test_link.XXXXXX", ca[100], cert[100], key[100], at[40];
	static const char *const versions[] = { "-tls1_3", "-tls1_2" };
	struct rig r;

	rig_up(&r, state, false);
	assert_non_null(mkdtemp(dir));
	put(dir, "ca", r.ids->ca, ca);
	put(dir, "cert", r.ids->cert_b, cert);
	put(dir, "key", r.ids->key_b, key);
	(void)snprintf(at, sizeof(at), "127.0.0.1:%d", r.port);
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		const char *const argv[] = { "openssl", "s_client", "-connect", at, versions[i], "-CAfile", ca, "-cert", cert,
					     "-key", key, "-verify_return_error", "-verify_ip", "127.0.0.1", NULL };
		struct ran x = { 0, -1 };
		struct err err = ERR_INIT;
		struct loop_child *c = loop_child_new(r.loop, argv, on_line, on_exit_status, &x, &err);

		if (!c) {
			print_message("openssl is not installed\n");
			break;
		}
		must(&r, &x.done, 1);
		must(&r, &r.s.closed, (int)i + 1);
		assert_int_equal(r.s.opened, 1);
		assert_string_equal(r.s.peer, UUID_B);
		assert_int_equal(x.status == 0, i == 0);
		loop_child_free(c);
	}
	(void)unlink(ca);
	(void)unlink(cert);
	(void)unlink(key);
	(void)rmdir(dir);
	rig_down(&r);
}

static int free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	(void)close(fd);
	return ntohs(at.sin_port);
}

/*
 * Another cluster's server that shows our CA's certificate behind its own: the pin's fingerprint is in the chain, but
 * it did not sign. GnuTLS would sort such a chain before it sends it, OpenSSL sends what it is told.
 */
static void a_pinned_ca_must_have_signed(void **state)
{
	char dir[] = "/tmp/test_link.XXXXXX", ca[100], cert[100], key[100], at[40], pin[65];
	struct ran x = { 0, -1 };
	struct err err = ERR_INIT;
	struct rig r;

	rig_up(&r, state, true);
	assert_non_null(mkdtemp(dir));
	put(dir, "ca", r.ids->ca, ca);
	put(dir, "cert", r.ids->other_cert, cert);
	put(dir, "key", r.ids->other_key, key);
	r.port = free_port();
	(void)snprintf(at, sizeof(at), "127.0.0.1:%d", r.port);
	const char *const argv[] = { "openssl", "s_server", "-accept", at, "-tls1_3", "-cert", cert, "-key", key,
				     "-cert_chain", ca, "-quiet", NULL };
	struct loop_child *c = loop_child_new(r.loop, argv, on_line, on_exit_status, &x, &err);
	struct link_tls *blank = tls_of("", "", "", "");
	assert_int_equal(pki_fingerprint(r.ids->ca, pin, &err), 0);
	for (int i = 1; c && i < 100; i++) {
		(void)dial_with(&r, blank, pin);
		must(&r, &r.c.closed, i);
		if (r.c.why.code != ERR_NODE_DOWN)
			break;
		run_ms(&r, 50); /* it does not listen yet */
	}
	loop_child_free(c);
	link_tls_unref(blank);
	(void)unlink(ca);
	(void)unlink(cert);
	(void)unlink(key);
	(void)rmdir(dir);
	assert_int_equal(r.c.opened, 0);
	if (c && !strstr(r.c.why.msg, "not signed"))
		fail_msg("%s", r.c.why.msg);
	rig_down(&r);
}

/* ---- the splitter ---------------------------------------------------------------------------------------------- */

struct heard {
	int n, stop_at;
	size_t bytes;
	char last[40];
};

static bool hear(void *arg, const char *text, size_t len)
{
	struct heard *h = arg;

	h->n++;
	h->bytes += len;
	(void)str_copy(h->last, sizeof(h->last), text);
	return h->n != h->stop_at;
}

static void frames_come_out_whole_whatever_the_pieces(void **state)
{
	static const char stream[] = "\0\0\0\1a\0\0\0\3bcd\0\0\0\012efghijklmn";
	const size_t len = sizeof(stream) - 1;

	(void)state;
	for (size_t piece = 1; piece <= len; piece++) {
		struct link_frames f;
		struct heard h = { .n = 0 };
		struct err err = ERR_INIT;

		link_frames_init(&f, 10);
		for (size_t at = 0; at < len; at += piece)
			assert_int_equal(link_frames_feed(&f, stream + at, at + piece < len ? piece : len - at, hear, &h,
							  &err), 0);
		assert_int_equal(h.n, 3);
		assert_int_equal(h.bytes, 14);
		assert_string_equal(h.last, "efghijklmn");
		link_frames_done(&f);
	}
}

static void the_splitter_stops_when_told_and_refuses_what_is_too_long(void **state)
{
	static const char two[] = "\0\0\0\1a\0\0\0\1b", eleven[] = "\0\0\0\013", none[] = "\0\0\0\0";
	struct link_frames f;
	struct heard h = { .stop_at = 1 };
	struct err err = ERR_INIT;
	unsigned char head[LINK_FRAME_HEAD];

	(void)state;
	link_frames_init(&f, 10);
	assert_int_equal(link_frames_feed(&f, two, sizeof(two) - 1, hear, &h, &err), 0);
	assert_int_equal(h.n, 1);
	assert_int_equal(link_frames_feed(&f, eleven, 4, hear, &h, &err), -ERR_TOO_BIG);
	link_frames_done(&f);
	link_frames_init(&f, 10);
	assert_int_equal(link_frames_feed(&f, none, 4, hear, &h, &err), -ERR_BAD_REQUEST);
	/* Nothing is allocated for a mere promise. */
	link_frames_done(&f);
	link_frames_init(&f, FRAME_MAX);
	link_frame_head(FRAME_MAX, head);
	assert_int_equal(link_frames_feed(&f, head, 4, hear, &h, &err), 0);
	assert_int_equal(f.body.cap, 0);
	assert_int_equal(link_frames_feed(&f, "x", 1, hear, &h, &err), 0);
	assert_true(f.body.cap < 1000);
	link_frames_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_of_one_cluster_know_each_other),
		cmocka_unit_test(a_client_of_another_cluster_is_refused),
		cmocka_unit_test(a_server_of_another_cluster_is_refused),
		cmocka_unit_test(a_client_without_certificate_is_refused),
		cmocka_unit_test(a_certificate_without_a_node_is_refused),
		cmocka_unit_test(a_joiner_without_certificate_is_let_in_where_allowed),
		cmocka_unit_test(a_joiner_with_a_wrong_certificate_is_refused_all_the_same),
		cmocka_unit_test(a_node_with_certificate_is_known_where_joiners_are_allowed),
		cmocka_unit_test(an_expired_certificate_is_refused),
		cmocka_unit_test(a_revoked_certificate_is_refused_on_both_sides),
		cmocka_unit_test(a_revocation_list_of_another_ca_is_not_taken),
		cmocka_unit_test(credentials_that_do_not_fit_are_refused),
		cmocka_unit_test(a_joiner_trusts_the_fingerprint_of_its_token),
		cmocka_unit_test(renewed_credentials_are_for_new_links),
		cmocka_unit_test(big_frames_pass_whole),
		cmocka_unit_test(many_small_frames_keep_their_order),
		cmocka_unit_test(bad_frames_end_the_link),
		cmocka_unit_test(a_peer_that_does_not_read_is_cut_off),
		cmocka_unit_test(what_was_queued_before_the_close_arrives),
		cmocka_unit_test(a_killed_peer_is_noticed_at_once),
		cmocka_unit_test(junk_is_thrown_out),
		cmocka_unit_test(junk_in_an_open_link_ends_it),
		cmocka_unit_test(who_dawdles_is_closed_after_five_seconds),
		cmocka_unit_test(dialling_has_a_deadline),
		cmocka_unit_test(a_node_gets_in_though_strangers_hold_all_places),
		cmocka_unit_test(a_link_goes_out_from_the_local_address),
		cmocka_unit_test(dialling_nowhere_ends_in_closed),
		cmocka_unit_test(a_port_in_use_is_an_error_with_a_hint),
		cmocka_unit_test(freeing_the_server_closes_its_links),
		cmocka_unit_test(the_server_may_be_freed_from_within_a_frame),
		cmocka_unit_test(nothing_leaks_over_many_links),
		cmocka_unit_test(openssl_gets_in_with_tls_1_3_only),
		cmocka_unit_test(a_pinned_ca_must_have_signed),
		cmocka_unit_test(frames_come_out_whole_whatever_the_pieces),
		cmocka_unit_test(the_splitter_stops_when_told_and_refuses_what_is_too_long),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
