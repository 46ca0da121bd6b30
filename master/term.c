/* SPDX-License-Identifier: Apache-2.0 */
/* Mastership and the core's commits, on the store. The rules are core/term.c's; here are only the calls. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/rule.h"
#include "common/xmem.h"
#include "core/state.h"
#include "io/pki.h"
#include "master/bridge.h"

/* A call that waits out a dead etcd leader hangs for seconds: it is cut short, and the next member is asked. */
static int store_timeout_ms(const struct master *m)
{
	int64_t ms = m->conf.lease_ms / 6;

	return ms < 1000 ? 1000 : (int)ms;
}

/* ---- commits ------------------------------------------------------------------------------------- */

#define AGAIN_MS 50

static void try_commit(struct master *m);

void master_commit_due(void *arg)
{
	struct master *m = arg;

	if (m->core && m->puts && !m->stopping)
		try_commit(m);
}

/*
 * It is not in, and the term is ours: once more. The second time at once, as an answer is lost now and then; after that not faster than a beat in the
 * end: a store that answers quickly, and takes nothing (its space is used up, somebody else's hand has written /gantry/seq), would be asked thousands of
 * times a second, and logs each of them. Counted from the last try's beginning: who had to wait for an answer has waited.
 */
static void commit_again(struct master *m)
{
	int64_t pause = m->commit_tries < 2 ? 0 : AGAIN_MS, most = m->term.lease_ms / 12, now = loop_now_ms(m->loop);

	for (int i = 2; i < m->commit_tries && pause < most; i++)
		pause *= 2;
	if (pause > most)
		pause = most;
	if (m->commit_tries == 3)
		log_warning("commit %" PRId64 " is not taken: it is tried on", m->commit_seq);
	if (m->commit_tried_ms + pause <= now)
		try_commit(m);
	else
		loop_timer_start(m->again, m->commit_tried_ms + pause - now, 0);
}

/* The epoch stands in it: another master that goes on counting never writes the same text. */
static void seq_text(const struct master *m, int64_t seq, char *out, size_t size)
{
	(void)snprintf(out, size, "%" PRId64 " %" PRId64, m->term.epoch, seq);
}

static void commit_end(struct master *m, bool ok)
{
	int64_t seq = m->commit_seq;

	core_puts_free(m->puts, m->n_puts);
	m->puts = NULL;
	m->n_puts = 0;
	if (ok)
		seq_text(m, seq, m->seq_before, sizeof(m->seq_before));
	core_committed(m->core, seq, ok);
}

static const char *value_of(const struct store_result *r, const char *key, int64_t *ret_rev)
{
	for (int i = 0; i < r->n_kvs; i++)
		if (strcmp(r->kvs[i].key, key) == 0) {
			*ret_rev = r->kvs[i].mod_revision;
			return r->kvs[i].value;
		}
	*ret_rev = 0;
	return "";
}

/* After a refusal or an unknown outcome the store is asked what became of it: /gantry/seq tells whether ours is in. */
static void commit_master_read(void *arg, const struct store_result *r)
{
	struct master *m = arg;
	int64_t rev;

	if (!m->core || !m->puts)
		return;
	if (r->outcome == STORE_OK)
		(void)value_of(r, TERM_MASTER, &rev);
	if (r->outcome == STORE_OK && rev != m->term.epoch)
		commit_end(m, false);
	else
		commit_again(m);
}

static void commit_seq_read(void *arg, const struct store_result *r)
{
	struct master *m = arg;
	char want[48];
	int64_t rev;

	if (!m->core || !m->puts)
		return;
	seq_text(m, m->commit_seq, want, sizeof(want));
	if (r->outcome == STORE_OK && strcmp(value_of(r, TERM_SEQ, &rev), want) == 0) {
		commit_end(m, true);
		return;
	}
	m->store->ops->read(m->store, TERM_MASTER, true, store_timeout_ms(m), commit_master_read, m);
}

static void commit_done(void *arg, const struct store_result *r)
{
	struct master *m = arg;

	if (!m->core || !m->puts)
		return;
	switch (r->outcome) {
	case STORE_OK:
		commit_end(m, true);
		return;
	case STORE_REFUSED:
	case STORE_UNKNOWN:
		if (!RULE(READ_BACK) && r->outcome == STORE_UNKNOWN) {
			commit_end(m, true);
			return;
		}
		m->store->ops->read(m->store, TERM_SEQ, true, store_timeout_ms(m), commit_seq_read, m);
		return;
	case STORE_FAILED:
	default:
		log_warning("commit %" PRId64 ": %s", m->commit_seq, r->err ? r->err->msg : "failed");
		m->store->ops->read(m->store, TERM_SEQ, true, store_timeout_ms(m), commit_seq_read, m);
		return;
	}
}

static void try_commit(struct master *m)
{
	char now[48];
	struct store_op ops[STORE_OPS_MAX];
	int n = 0;

	m->commit_tries++;
	m->commit_tried_ms = loop_now_ms(m->loop);
	seq_text(m, m->commit_seq, now, sizeof(now));
	const struct store_cmp cmps[] = {
		{ .kind = STORE_CMP_MOD_REV, .key = TERM_MASTER, .revision = m->term.epoch },
		{ .kind = STORE_CMP_VALUE, .key = TERM_SEQ, .value = m->seq_before },
	};
	ops[n++] = (struct store_op){ STORE_PUT, TERM_SEQ, now };
	for (int i = 0; i < m->n_puts; i++) {
		const char *k = m->puts[i].key;
		bool prefix = k[strlen(k) - 1] == '/';

		ops[n++] = (struct store_op){ m->puts[i].value ? STORE_PUT : prefix ? STORE_DELETE_PREFIX : STORE_DELETE, k, m->puts[i].value };
	}
	/* The first guards the epoch, the second the order of batches. */
	const struct store_cmp *first = RULE(EPOCH_GUARD) ? cmps : cmps + 1;
	int n_cmps = RULE(EPOCH_GUARD) + RULE(SEQ_GUARD);

	m->store->ops->txn(m->store, first, n_cmps, ops, n, store_timeout_ms(m), commit_done, m);
}

void master_commit(struct master *m, const struct core_action *a)
{
	m->commit_seq = a->seq;
	m->commit_tries = 0;
	m->n_puts = a->n_puts;
	m->puts = xcalloc((size_t)a->n_puts + 1, sizeof(*m->puts));
	for (int i = 0; i < a->n_puts; i++)
		m->puts[i] = (struct core_put){ xstrdup(a->puts[i].key), a->puts[i].value ? xstrdup(a->puts[i].value) : NULL };
	try_commit(m);
}

/* ---- the term ------------------------------------------------------------------------------------- */

static void read_done(void *arg, const struct store_result *r)
{
	struct master *m = arg;
	int64_t now = loop_now_ms(m->loop), mrev = 0, brev = 0;

	if (r->outcome != STORE_OK) {
		log_debug("reading the term: %s", r->err ? r->err->msg : "no answer");
		if (!m->unread_since_ms)
			m->unread_since_ms = now;
		master_term_do(m, term_read_failed(&m->term, now));
		return;
	}
	m->unread_since_ms = 0;
	const char *master = value_of(r, TERM_MASTER, &mrev), *beat = value_of(r, TERM_BEAT, &brev);
	master_term_do(m, term_seen(&m->term, now, master, mrev, beat, brev));
	master_nodes_redirect(m);
}

static void take_done(void *arg, const struct store_result *r)
{
	struct master *m = arg;

	master_term_do(m, term_taken(&m->term, loop_now_ms(m->loop), r->outcome == STORE_OK, r->revision));
}

static struct store_cmp seen(const char *key, int64_t rev)
{
	if (!rev)
		return (struct store_cmp){ .kind = STORE_CMP_ABSENT, .key = key };
	return (struct store_cmp){ .kind = STORE_CMP_MOD_REV, .key = key, .revision = rev };
}

static void take(struct master *m)
{
	char me[2 * UUID_LEN + 2];
	const struct store_cmp cmps[] = { seen(TERM_MASTER, m->term.master_rev), seen(TERM_BEAT, m->term.beat_rev) };
	char text[TERM_BEAT_LEN];
	const struct store_op ops[] = { { STORE_PUT, TERM_MASTER, me }, { STORE_PUT, TERM_BEAT, text } };

	term_beat_text(&m->term, text);
	(void)snprintf(me, sizeof(me), "%s %s", m->self, m->boot);
	log_notice("taking over as master");
	m->store->ops->txn(m->store, cmps, 2, ops, 2, store_timeout_ms(m), take_done, m);
}

static void beat_done(void *arg, const struct store_result *r)
{
	struct master *m = arg;
	enum term_beat b = r->outcome == STORE_OK ? TERM_BEAT_OK : r->outcome == STORE_REFUSED ? TERM_BEAT_REFUSED : TERM_BEAT_UNKNOWN;

	if (b == TERM_BEAT_UNKNOWN)
		log_warning("beat: %s", r->err ? r->err->msg : "no answer");
	master_term_do(m, term_beaten(&m->term, loop_now_ms(m->loop), b));
}

static void beat(struct master *m)
{
	char text[TERM_BEAT_LEN];
	const struct store_cmp cmps[] = { { .kind = STORE_CMP_MOD_REV, .key = TERM_MASTER, .revision = m->term.epoch } };
	const struct store_op ops[] = { { STORE_PUT, TERM_BEAT, text } };

	term_beat_text(&m->term, text);
	m->store->ops->txn(m->store, cmps, 1, ops, 1, store_timeout_ms(m), beat_done, m);
}

static int64_t seq_number(const char *text)
{
	const char *space = strchr(text, ' ');

	return space ? strtoll(space + 1, NULL, 10) : 0;
}

static int start_core(struct master *m, const struct store_result *r, struct err *err)
{
	struct core_kv *kvs = xcalloc((size_t)r->n_kvs + 1, sizeof(*kvs));
	int64_t rev;
	char seed[17];

	(void)str_copy(m->seq_before, sizeof(m->seq_before), value_of(r, TERM_SEQ, &rev));
	for (int i = 0; i < r->n_kvs; i++)
		kvs[i] = (struct core_kv){ r->kvs[i].key, r->kvs[i].value };
	pki_random_hex(seed, 16);
	struct core_start s = {
		/* A restored cluster counts on above its predecessor: nodes refuse lower epochs (doc/design/006-bootstrap.adoc). */
		.epoch = strtoll(value_of(r, CORE_INCARNATION_KEY, &rev), NULL, 10) * EPOCHS_PER_INCARNATION + m->term.epoch,
		.seq = seq_number(m->seq_before),
		.now_ms = loop_now_ms(m->loop),
		.wall_ms = loop_wall_ms(m->loop),
		.seed = strtoull(seed, NULL, 16),
		.self = m->self,
		.kvs = kvs,
		.n_kvs = r->n_kvs,
	};
	/* The predecessor granted nothing after the last beat that we saw of it + ttl (008). */
	int64_t granted = m->term.beat_seen_ms + term_ttl_ms(&m->term);
	s.silent_since_ms = !RULE(SILENT_SINCE) ? s.now_ms - 10 * m->term.lease_ms : granted < s.now_ms ? granted : s.now_ms;
	int rc = core_new(&s, master_emit, m, &m->core, err);
	free(kvs);
	return rc;
}

/* A masterd that should have been stopped (a node demoted while it was silent; a voter of a cluster that was restored) leaves it to others. */
static bool may_be_master(const struct master *m)
{
	const struct snode *me = state_node(core_state(m->core), m->self);

	if (!me || me->n.former_voter == 1)
		return false;
	return me->n.candidate == 1 || me->n.master_capable == 1; /* the second: a promotion under way, whose master has died */
}

static void load_done(void *arg, const struct store_result *r)
{
	struct master *m = arg;
	struct err err = ERR_INIT;
	bool ok = r->outcome == STORE_OK;
	int64_t rev;

	if (!ok)
		log_warning("loading the configuration: %s", r->err ? r->err->msg : "no answer");
	else if (!value_of(r, "/gantry/genesis", &rev)[0]) {
		log_warning("loading the configuration: it is not complete yet");
		ok = false;
	} else if (start_core(m, r, &err) < 0) {
		log_err_record(LOG_LEVEL_ERR, "loading the configuration", &err);
		ok = false;
	}
	master_term_do(m, term_loaded(&m->term, loop_now_ms(m->loop), ok));
	if (ok && !may_be_master(m)) {
		log_notice("node '%s' is no master candidate: stepping aside", m->conf.node_name);
		master_hand_over(m, "");
		return;
	}
	if (ok) {
		master_follow_voters(m);
		master_nodes_reset(m);
		master_address_up(m);
	}
}

void master_drop_core(struct master *m)
{
	core_free(m->core);
	m->core = NULL;
	core_puts_free(m->puts, m->n_puts);
	m->puts = NULL;
	m->n_puts = 0;
	if (m->again)
		loop_timer_stop(m->again);
	m->paused = m->unheard = false;
	master_address_down(m);
	master_nodes_reset(m);
}

static void drop_later(void *arg)
{
	struct master *m = arg;

	/* Posted: the order to stop may come from inside a call of the core. */
	if (m->core && m->term.state != TERM_MASTERING && m->term.state != TERM_STALE)
		master_drop_core(m);
}

static void resignation_done(void *arg, const struct store_result *r)
{
	struct master *m = arg;

	if (r->outcome != STORE_OK) /* whoever is master then, the successor waits a little longer */
		log_warning("resigning: %s", r->err ? r->err->msg : "refused");
	term_resigned(&m->term, loop_now_ms(m->loop));
}

static void write_resignation(struct master *m)
{
	char text[sizeof(TERM_RESIGNED) + UUID_LEN + 1];
	const struct store_cmp cmps[] = { { .kind = STORE_CMP_MOD_REV, .key = TERM_MASTER, .revision = m->term.epoch } };
	const struct store_op ops[] = { { STORE_PUT, TERM_BEAT, text } };

	term_resign_text(&m->term, text);
	m->store->ops->txn(m->store, cmps, 1, ops, 1, store_timeout_ms(m), resignation_done, m);
}

/* Posted: the order came from inside a call of the core. It is silent, and the cluster address down, before the resignation is written. */
static void hand_over_later(void *arg)
{
	struct master *m = arg;

	if (m->stopping || !m->core)
		return;
	master_drop_core(m);
	master_term_do(m, term_resign(&m->term, loop_now_ms(m->loop), m->heir));
}

void master_hand_over(struct master *m, const char *heir)
{
	(void)str_copy(m->heir, sizeof(m->heir), heir);
	loop_post(m->loop, hand_over_later, m);
}

/* A candidate's looks have their own time: the tick, a quarter of a beat apart, would make each of them late. */
static void arm_look(struct master *m)
{
	int64_t now = loop_now_ms(m->loop);

	if (m->term.state == TERM_STANDBY && !m->term.busy && m->term.next_ms > now)
		loop_timer_start(m->look, m->term.next_ms - now, 0);
}

void master_term_due(void *arg)
{
	struct master *m = arg;

	master_term_do(m, term_tick(&m->term, loop_now_ms(m->loop)));
}

void master_term_do(struct master *m, int todo)
{
	if (m->stopping)
		return;
	if (todo & TERM_DO_READ)
		m->store->ops->read(m->store, TERM_PREFIX, false, store_timeout_ms(m), read_done, m);
	if (todo & TERM_DO_LOOK)
		m->store->ops->look(m->store, TERM_PREFIX, false, store_timeout_ms(m), read_done, m);
	if (todo & TERM_DO_TAKE)
		take(m);
	if (todo & TERM_DO_LOAD)
		m->store->ops->read(m->store, "/gantry/", false, 4 * store_timeout_ms(m), load_done, m);
	if (todo & TERM_DO_BEAT)
		beat(m);
	if (todo & TERM_DO_PAUSE) {
		m->paused = true;
		log_warning("no majority of voters answers: paused");
		master_address_down(m);
		if (m->core)
			core_store_silent(m->core, loop_now_ms(m->loop));
		master_nodes_reset(m);
	}
	if (todo & TERM_DO_GO) {
		m->paused = false;
		log_notice("the voters answer again");
		if (m->core) {
			core_store_silent(m->core, 0);
			master_address_up(m);
			master_nodes_reset(m);
			m->unheard = true; /* nodes hear nothing but a greeting of a master that has said not_master */
		}
	}
	if (todo & TERM_DO_RESIGN)
		write_resignation(m);
	if (todo & TERM_DO_STOP) {
		log_notice("another master has taken over");
		loop_post(m->loop, drop_later, m);
	}
	arm_look(m);
}

/* ---- giving it up ------------------------------------------------------------------------------------- */

struct resignation {
	void (*done)(void *arg);
	void *arg;
};

static void resigned(void *arg, const struct store_result *r)
{
	struct resignation *x = arg;

	(void)r; /* best effort: without it the successor waits a little longer */
	x->done(x->arg);
	free(x);
}

void master_resign(struct master *m, void (*done)(void *arg), void *arg)
{
	struct resignation *x = xcalloc(1, sizeof(*x));
	const struct store_cmp cmps[] = { { .kind = STORE_CMP_MOD_REV, .key = TERM_MASTER, .revision = m->term.epoch } };
	const struct store_op ops[] = { { STORE_PUT, TERM_BEAT, TERM_RESIGNED } };

	*x = (struct resignation){ done, arg };
	bool holder = m->core != NULL;
	master_address_down(m);
	core_free(m->core);
	m->core = NULL;
	m->stopping = true;
	if (!holder) {
		struct store_result none = { .outcome = STORE_FAILED };

		resigned(x, &none);
		return;
	}
	m->store->ops->txn(m->store, cmps, 1, ops, 1, 1000, resigned, x);
}
