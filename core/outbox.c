/* SPDX-License-Identifier: Apache-2.0 */
#include "core/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/rule.h"
#include "common/xmem.h"

/* Room for the bridge's own operations (/gantry/seq) in a transaction. */
#define BATCH_PUTS_MAX (STORE_OPS_MAX - 4)

/*
 * And of a transaction that the store takes for sure (STORE_TXN_BYTES_MAX). What it refuses for its size it would refuse for ever, and nothing else could be
 * written, nor any verdict be given. Plans that begin at once by the dozen, of guests with eight disks and with the largest CPU model and kernel arguments
 * that are let in, are that large together.
 */
#define BATCH_BYTES_MAX ((size_t)1024 * 1024)

struct batch {
	struct list link;
	int64_t seq;
	size_t bytes; /* at most */
	struct core_put *puts;
	int n, cap;
	bool sent;
};

struct item {
	struct list link;
	int64_t after; /* goes out when this batch is committed */
	enum core_action_kind kind;
	uint64_t client;
	struct msg_reply *reply;
	char node[UUID_LEN + 1];
	char *text;
	int64_t job;
	int index;
	enum step_kind step;
	enum step_dir dir;
	struct step_member member;
};

struct outbox {
	core_emit *emit;
	void *arg;
	struct list batches; /* oldest first; the first may be under way */
	struct list items;   /* in the order in which they were said */
	struct list unit;    /* items of the running event: their batch is not known yet */
	struct core_put *puts; /* of the running event */
	int n_puts, cap_puts;
	bool touched;
	int64_t unit_nr;       /* number of the running event's unit */
	int64_t last_seq;      /* newest batch made */
	int64_t committed;     /* newest batch committed */
	bool down;
};

struct outbox *outbox_new(int64_t seq, core_emit *emit, void *arg)
{
	struct outbox *o = xcalloc(1, sizeof(*o));

	o->emit = emit;
	o->arg = arg;
	o->last_seq = o->committed = seq;
	o->unit_nr = 1;
	list_init(&o->batches);
	list_init(&o->items);
	list_init(&o->unit);
	return o;
}

static void item_free(struct item *i)
{
	list_del(&i->link);
	if (i->reply) {
		schema_done(&msg_reply_schema, i->reply);
		free(i->reply);
	}
	if (i->kind == CORE_STORE_STEP)
		schema_done(&step_member_schema, &i->member);
	free(i->text);
	free(i);
}

static void batch_free(struct batch *b)
{
	list_del(&b->link);
	core_puts_free(b->puts, b->n);
	free(b);
}

void outbox_free(struct outbox *o)
{
	if (!o)
		return;
	list_for_each_safe(l, &o->items)
		item_free(list_entry(l, struct item, link));
	list_for_each_safe(l, &o->unit)
		item_free(list_entry(l, struct item, link));
	list_for_each_safe(l, &o->batches)
		batch_free(list_entry(l, struct batch, link));
	core_puts_free(o->puts, o->n_puts);
	free(o);
}

void core_puts_free(struct core_put *p, int n)
{
	for (int i = 0; i < n; i++) {
		free(p[i].key);
		free(p[i].value);
	}
	free(p);
}

/* A key stands once in a transaction (etcd refuses it twice): the later value wins. */
static void puts_add(struct core_put **puts, int *n, int *cap, char *key, char *value)
{
	for (int i = 0; i < *n; i++)
		if (strcmp((*puts)[i].key, key) == 0) {
			free(key);
			free((*puts)[i].value);
			(*puts)[i].value = value;
			return;
		}
	if (*n == *cap) {
		*cap = *cap ? 2 * *cap : 8;
		*puts = xrealloc(*puts, (size_t)*cap * sizeof(**puts));
	}
	(*puts)[(*n)++] = (struct core_put){ key, value };
}

void outbox_unput(struct outbox *o, const char *prefix)
{
	int kept = 0;

	for (int i = 0; i < o->n_puts; i++) {
		if (strncmp(o->puts[i].key, prefix, strlen(prefix)) == 0) {
			free(o->puts[i].key);
			free(o->puts[i].value);
		} else {
			o->puts[kept++] = o->puts[i];
		}
	}
	o->n_puts = kept;
}

void outbox_put(struct outbox *o, const char *key, char *value)
{
	if (key[strlen(key) - 1] == '/') {
		assert(!value);
		outbox_unput(o, key); /* what lies below goes with it, and could not stand beside it in one transaction */
	}
	puts_add(&o->puts, &o->n_puts, &o->cap_puts, xstrdup(key), value);
	assert(o->n_puts <= BATCH_PUTS_MAX);
}

int64_t outbox_unit(const struct outbox *o)
{
	return o->unit_nr;
}

void outbox_touch(struct outbox *o)
{
	o->touched = true;
}

static struct item *item_new(struct outbox *o, enum core_action_kind kind)
{
	struct item *i = xcalloc(1, sizeof(*i));

	i->kind = kind;
	list_add_tail(&o->unit, &i->link);
	return i;
}

void outbox_reply(struct outbox *o, enum core_action_kind kind, uint64_t client, struct msg_reply *reply)
{
	struct item *i = item_new(o, kind);

	i->client = client;
	i->reply = reply;
}

void outbox_reply_now(struct outbox *o, uint64_t client, struct msg_reply *reply)
{
	struct core_action a = { .kind = CORE_REPLY, .client = client, .reply = reply };

	o->emit(o->arg, &a);
	schema_done(&msg_reply_schema, reply);
	free(reply);
}

void outbox_send(struct outbox *o, const char *node, char *text)
{
	struct item *i = item_new(o, CORE_SEND);

	(void)str_copy(i->node, sizeof(i->node), node);
	i->text = text;
}

void outbox_store_step(struct outbox *o, int64_t job, int index, enum step_kind kind, enum step_dir dir, const struct step_member *m)
{
	struct item *i = item_new(o, CORE_STORE_STEP);

	i->job = job;
	i->index = index;
	i->step = kind;
	i->dir = dir;
	schema_copy(&step_member_schema, &i->member, m);
}

void outbox_hand_over(struct outbox *o, const char *node)
{
	struct item *i = item_new(o, CORE_HAND_OVER);

	(void)str_copy(i->node, sizeof(i->node), node);
}

void outbox_log(struct outbox *o, char *text)
{
	item_new(o, CORE_LOG)->text = text;
}

/* A prefix delete and a put below it may not share a transaction (etcd: order is not defined for them). */
static bool prefix_clash(const struct batch *b, const char *key)
{
	for (int i = 0; i < b->n; i++) {
		const char *k = b->puts[i].key;
		size_t nk = strlen(k), n = strlen(key);

		if (k[nk - 1] == '/' && strncmp(key, k, nk) == 0 && n != nk)
			return true;
		if (key[n - 1] == '/' && strncmp(k, key, n) == 0 && n != nk)
			return true;
	}
	return false;
}

static size_t unit_bytes(const struct outbox *o)
{
	size_t n = 0;

	for (int i = 0; i < o->n_puts; i++)
		n += strlen(o->puts[i].key) + (o->puts[i].value ? strlen(o->puts[i].value) : 0);
	return n;
}

static bool unit_fits(const struct outbox *o, const struct batch *b)
{
	if (b->sent || b->n + o->n_puts > BATCH_PUTS_MAX || b->bytes + unit_bytes(o) > BATCH_BYTES_MAX)
		return false;
	for (int i = 0; i < o->n_puts; i++)
		if (prefix_clash(b, o->puts[i].key))
			return false;
	return true;
}

/* Moves the unit's writes into a batch; returns the batch on which the unit's outputs rest. */
static int64_t close_unit(struct outbox *o)
{
	struct batch *b = NULL;

	if (!list_empty(&o->batches))
		b = list_entry(o->batches.prev, struct batch, link);
	if (o->n_puts == 0 && !o->touched)
		return b ? b->seq : o->committed;
	if (!b || !unit_fits(o, b)) {
		b = xcalloc(1, sizeof(*b));
		b->seq = ++o->last_seq;
		list_add_tail(&o->batches, &b->link);
	}
	b->bytes += unit_bytes(o);
	for (int i = 0; i < o->n_puts; i++)
		puts_add(&b->puts, &b->n, &b->cap, o->puts[i].key, o->puts[i].value);
	o->n_puts = 0;
	o->touched = false;
	return b->seq;
}

static void let_out(struct outbox *o)
{
	while (!list_empty(&o->items)) {
		struct item *i = list_entry(o->items.next, struct item, link);

		if (i->after > o->committed && RULE(JOURNAL))
			break;
		list_del(&i->link);
		struct core_action a = {
			.kind = i->kind,
			.client = i->client,
			.reply = i->reply,
			.text = i->text,
			.job = i->job,
			.index = i->index,
			.step = i->step,
			.dir = i->dir,
			.member = &i->member,
		};
		memcpy(a.node, i->node, sizeof(a.node));
		o->emit(o->arg, &a);
		item_free(i);
	}
}

static void start_commit(struct outbox *o)
{
	if (list_empty(&o->batches))
		return;
	struct batch *b = list_entry(o->batches.next, struct batch, link);
	if (b->sent)
		return;
	b->sent = true;
	struct core_action a = { .kind = CORE_COMMIT, .seq = b->seq, .puts = b->puts, .n_puts = b->n };
	o->emit(o->arg, &a);
}

void outbox_flush(struct outbox *o)
{
	if (o->down)
		return;
	int64_t after = close_unit(o);

	o->unit_nr++;
	list_for_each_safe(l, &o->unit) {
		list_entry(l, struct item, link)->after = after;
		list_del(l);
		list_add_tail(&o->items, l);
	}
	let_out(o);
	start_commit(o);
}

void outbox_committed(struct outbox *o, int64_t seq)
{
	assert(!list_empty(&o->batches));
	struct batch *b = list_entry(o->batches.next, struct batch, link);

	assert(b->sent && b->seq == seq);
	o->committed = seq;
	batch_free(b);
	let_out(o);
	start_commit(o);
}

void outbox_step_down(struct outbox *o)
{
	if (o->down)
		return;
	o->down = true;
	struct core_action a = { .kind = CORE_STEP_DOWN };
	o->emit(o->arg, &a);
}

bool outbox_idle(const struct outbox *o)
{
	return list_empty(&o->batches) && list_empty(&o->items) && o->n_puts == 0;
}

int64_t outbox_last_seq(const struct outbox *o)
{
	return o->last_seq;
}
