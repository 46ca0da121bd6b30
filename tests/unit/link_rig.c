/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/pki.h"
#include "tests/unit/link_rig.h"
#include "tests/unit/loop_wait.h"

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

const struct link_cb rig_callbacks = { on_open, on_frame, on_closed };

struct link_tls *tls_of(const char *ca, const char *cert, const char *key, const char *crl)
{
	struct link_tls *t = NULL;
	struct err err = ERR_INIT;

	if (link_tls_new(ca, cert, key, crl, &t, &err) < 0)
		fail_msg("%s", err.msg);
	return t;
}

void rig_up(struct rig *r, void **state, bool allow_anonymous)
{
	struct err err = ERR_INIT;

	memset(r, 0, sizeof(*r));
	r->ids = *state;
	r->loop = loop_new();
	r->tls_a = tls_of(r->ids->ca, r->ids->cert_a, r->ids->key_a, "");
	r->tls_b = tls_of(r->ids->ca, r->ids->cert_b, r->ids->key_b, NULL);
	if (link_server_new(r->loop, "", 0, r->tls_a, allow_anonymous, &rig_callbacks, &r->s, &r->server, &err) < 0)
		fail_msg("%s", err.msg);
	r->port = link_server_port(r->server);
	assert_true(r->port > 0);
}

struct link *dial_with(struct rig *r, struct link_tls *tls, const char *pin)
{
	return link_dial(r->loop, "127.0.0.1", r->port, "", tls, pin, &rig_callbacks, &r->c);
}

struct link *dial(struct rig *r)
{
	return dial_with(r, r->tls_b, "");
}

bool wait_for(struct rig *r, const int *value, int target, int64_t at_most_ms)
{
	return loop_wait_for(r->loop, value, target, at_most_ms, NULL, NULL);
}

void run_ms(struct rig *r, int64_t ms)
{
	int never = 0;

	(void)wait_for(r, &never, 1, ms);
}

void must(struct rig *r, const int *value, int target)
{
	if (!wait_for(r, value, target, 10000))
		fail_msg("waited for %d, have %d; server: %s; client: %s", target, *value, r->s.why.msg, r->c.why.msg);
}

void rig_down(struct rig *r)
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

void rig_issue(const char *ca, const char *ca_key, const char *uuid, char **cert, char **key)
{
	struct pki_names names = { .cn = "node" };
	struct err err = ERR_INIT;
	char *csr = NULL;

	(void)str_copy(names.uuid, sizeof(names.uuid), uuid);
	if (pki_make_csr("x", &csr, key, &err) < 0 || pki_sign_csr(ca, ca_key, csr, &names, 30, cert, &err) < 0)
		fail_msg("%s", err.msg);
	free(csr);
}

int rig_set_up(void **state)
{
	struct ids *w = xcalloc(1, sizeof(*w));
	struct err err = ERR_INIT;

	if (pki_make_ca("lab", 3650, &w->ca, &w->ca_key, &err) < 0 ||
	    pki_make_ca("lab", 3650, &w->other_ca, &w->other_ca_key, &err) < 0)
		return -1;
	rig_issue(w->ca, w->ca_key, UUID_A, &w->cert_a, &w->key_a);
	rig_issue(w->ca, w->ca_key, UUID_B, &w->cert_b, &w->key_b);
	rig_issue(w->ca, w->ca_key, "", &w->cert_none, &w->key_none);
	rig_issue(w->other_ca, w->other_ca_key, UUID_B, &w->other_cert, &w->other_key);
	*state = w;
	return 0;
}

int rig_tear_down(void **state)
{
	struct ids *w = *state;
	char **all = (char **)w;

	for (size_t i = 0; i < sizeof(*w) / sizeof(char *); i++)
		free(all[i]);
	free(w);
	return 0;
}
