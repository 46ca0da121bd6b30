/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in: certificates, time, revocation, pins, and another TLS implementation at the other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/link_inside.h"
#include "io/pki.h"
#include "tests/unit/link_rig.h"

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
	rig_issue(r.ids->ca, r.ids->ca_key, UUID_A, &cert, &key);
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
		cmocka_unit_test(openssl_gets_in_with_tls_1_3_only),
		cmocka_unit_test(a_pinned_ca_must_have_signed),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
