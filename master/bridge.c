/* SPDX-License-Identifier: Apache-2.0 */
#include "master/bridge.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "core/state.h"
#include "io/files.h"

#define IDENTITY_EVERY_MS 2000

bool master_speaks(const struct master *m)
{
	return m->core && term_valid(&m->term, loop_now_ms(m->loop));
}

void master_emit(void *arg, const struct core_action *a)
{
	struct master *m = arg;

	switch (a->kind) {
	case CORE_COMMIT:
		master_commit(m, a);
		return;
	case CORE_REPLY: {
		struct peer *p = master_peer(m, a->client);

		master_finish_token(m, a->reply);
		if (p)
			master_send_reply(m, p, a->reply);
		return;
	}
	case CORE_SEND:
		if (master_speaks(m))
			master_send_node(m, a->node, a->text);
		else
			m->unheard = true;
		return;
	case CORE_STORE_STEP:
		master_store_step(m, a);
		return;
	case CORE_JOINED:
		master_joined(m, a->client, a->reply);
		return;
	case CORE_LOG:
		log_notice("%s", a->text);
		return;
	case CORE_STEP_DOWN:
		master_term_do(m, term_deposed(&m->term, loop_now_ms(m->loop)));
		return;
	case CORE_HAND_OVER:
		log_notice("handing over to node '%s'", state_node_name(core_state(m->core), a->node));
		master_hand_over(m, a->node);
		return;
	default:
		return;
	}
}

/* Renewed by this machine's node daemon; links that are open keep what they have. etcd and the store read the files anew by themselves. */
static void follow_identity(struct master *m, int64_t now)
{
	if (now < m->identity_next_ms)
		return;
	m->identity_next_ms = now + IDENTITY_EVERY_MS;
	if (!identity_changed(&m->conf, &m->id))
		return;
	struct err err = ERR_INIT;
	if (identity_load(&m->conf, &m->id, &err) < 0) {
		log_err_record(LOG_LEVEL_WARNING, "the new certificate", &err);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(m->servers); i++)
		if (m->servers[i])
			link_server_set_tls(m->servers[i], m->id.tls);
	log_notice("a new certificate is used");
}

static void set_timer(struct master *m)
{
	int64_t every_ms = m->conf.lease_ms / 48 > 50 ? m->conf.lease_ms / 48 : 50;

	loop_timer_start(m->timer, every_ms, every_ms);
}

/* ha.lease was changed: a master has it from its configuration, a candidate from the master's beats. */
static void follow_lease(struct master *m)
{
	if (m->core)
		term_set_lease(&m->term, core_state(m->core)->cluster.lease_ms);
	if (m->term.lease_ms == m->conf.lease_ms)
		return;
	log_notice("ha.lease is %" PRId64 " ms from now on, it was %" PRId64 " ms", m->term.lease_ms, m->conf.lease_ms);
	m->conf.lease_ms = m->term.lease_ms;
	set_timer(m);
}

static void tick(void *arg)
{
	struct master *m = arg;
	int64_t now = loop_now_ms(m->loop);

	if (m->stopping)
		return;
	follow_identity(m, now);
	master_listen_replication(m, now);
	follow_lease(m);
	master_term_do(m, term_tick(&m->term, now));
	if (m->core && !m->paused)
		core_tick(m->core, now, loop_wall_ms(m->loop));
	master_nodes_tick(m);
	if (m->trim)
		(void)malloc_trim(0);
	m->trim = false;
}

static int make_store(struct master *m, struct err *err)
{
	AUTO_FREE char *own = xasprintf(strchr(m->conf.address, ':') ? "https://[%s]:%d" : "https://%s:%d", m->conf.address, (int)m->conf.etcd_client_port);
	AUTO_FREE const char **urls = xcalloc((size_t)m->conf.n_etcd_endpoints + 2, sizeof(*urls));
	int n = 0;
	AUTO_FREE char *ca = conf_path(&m->conf, "ca.pem"), *cert = conf_path(&m->conf, "node.pem"), *key = conf_path(&m->conf, "node.key");
	struct store_etcd_conf sc = { .ca_file = ca, .cert_file = cert, .key_file = key };

	/* Its own member first: it answers without a network. What the store says later replaces them all (members.c). */
	urls[n++] = own;
	for (int i = 0; i < m->conf.n_etcd_endpoints; i++)
		if (strcmp(m->conf.etcd_endpoints[i], own) != 0)
			urls[n++] = m->conf.etcd_endpoints[i];
	sc.endpoints = urls;
	return store_etcd_new(m->loop, &sc, &m->store, err);
}

int master_new(struct loop *l, const struct conf *conf, struct master **ret, struct err *err)
{
	struct master *m = xcalloc(1, sizeof(*m));

	m->loop = l;
	conf_copy(&m->conf, conf);
	list_init(&m->peers);
	list_init(&m->tokens);
	(void)str_copy(m->self, sizeof(m->self), conf->node_uuid);
	int rc = boot_id_read(m->boot, err);
	if (rc == 0)
		rc = identity_load(&m->conf, &m->id, err);
	if (rc == 0)
		rc = make_store(m, err);
	if (rc == 0)
		rc = master_listen(m, err);
	if (rc < 0) {
		master_free(m);
		return rc;
	}
	term_init(&m->term, m->self, m->boot, conf->lease_ms, loop_now_ms(l));
	m->timer = loop_timer_new(l, tick, m);
	m->look = loop_timer_new(l, master_term_due, m);
	m->again = loop_timer_new(l, master_commit_due, m);
	set_timer(m);
	*ret = m;
	return 0;
}

void master_free(struct master *m)
{
	if (!m)
		return;
	m->stopping = true;
	if (m->timer)
		loop_timer_free(m->timer);
	if (m->look)
		loop_timer_free(m->look);
	if (m->again)
		loop_timer_free(m->again);
	for (size_t i = 0; i < ARRAY_SIZE(m->servers); i++)
		link_server_free(m->servers[i]);
	master_forget_links(m);
	core_free(m->core);
	if (m->store)
		m->store->ops->free(m->store);
	identity_done(&m->id);
	core_puts_free(m->puts, m->n_puts);
	list_for_each_safe(t, &m->tokens) {
		list_del(t);
		free(list_entry(t, struct pending_token, link));
	}
	conf_done(&m->conf);
	free(m);
}
