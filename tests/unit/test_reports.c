/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes report, in the core: whether a replica is good, whether they are off, guests that do not belong, an instance by its new name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "core/evidence.h"
#include "core/own.h"
#include "tests/unit/core_rig.h"

/* disk "": it is down. */
static void replica_says(struct rig *r, const char *node, const char *role, const char *conn, const char *disk, bool marked, int64_t gen)
{
	struct observed o;

	schema_init(&observed_schema, &o);
	(void)str_copy(o.hypervisor, sizeof(o.hypervisor), "QEMU");
	struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &o);
	(void)str_copy(d->uuid, sizeof(d->uuid), VM);
	(void)str_copy(d->resource, sizeof(d->resource), "vm1");
	(void)str_copy(d->role, sizeof(d->role), role);
	(void)str_copy(d->conn, sizeof(d->conn), conn);
	(void)str_copy(d->disk, sizeof(d->disk), disk);
	d->up = disk[0] != '\0';
	d->marked = marked;
	d->gen = gen;
	core_node_observed(r->core, node, &o);
	commit_all(r);
	schema_done(&observed_schema, &o);
}

static void word_of_node1(struct rig *r, int64_t gen, const char *disk, bool marked)
{
	replica_says(r, NODE1, "Primary", "Connected", disk, marked, gen);
}

static struct msg_ask question(int64_t gen) /* of NODE1's, about VM */
{
	struct msg_ask a;

	schema_init(&msg_ask_schema, &a);
	(void)str_copy(a.instance, sizeof(a.instance), VM);
	(void)str_copy(a.boot_id, sizeof(a.boot_id), "b1");
	a.gen = gen;
	return a;
}

static void node1_asks_out(struct rig *r)
{
	struct msg_ask a = question(5);

	a.shrink = 1;
	core_ask(r->core, NODE1, &a); /* NODE2 has said nothing: it is not let go */
	commit_all(r);
	assert_int_equal(state_instance(core_state(r->core), VM)->i.own.n_current, 2);
}

/* A plan leaves NODE1 alone in current: not on an old word, nor on none, nor when its disk was lost meanwhile, however it came out (H7). */
static void who_is_left_in_current_has_said_that_it_is_good(void **state)
{
	struct rig *r = *state;
	static const struct {
		int64_t gen; /* of its word; -1 = it says nothing, -2 = it is not there */
		const char *disk;
		bool marked, asks, left;
	} cases[] = {
		{ 5, "UpToDate", false, false, true },  { 4, "UpToDate", false, false, false }, { -1, "", false, false, false },
		{ -2, "", false, false, false },        { 5, "Diskless", false, false, false }, { 5, "Failed", false, false, false },
		{ 5, "UpToDate", true, false, false },  { 5, "UpToDate", false, true, false },  { 5, "Consistent", false, false, false },
	};

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++)
		for (int whole = 0; whole < 2; whole++) { /* NODE2 leaves; or a new set of replicas without it */
			char text[1000];

			(void)snprintf(text, sizeof(text), "{\"id\":900,\"op\":\"instance.replace_disks\",\"args\":{\"name\":\"vm1\"},\"state\":\"running\",\"steps\":["
				       "{\"kind\":\"%s\",\"args\":{\"uuid\":\"" VM "\",%s},\"pivot\":true}]}",
				       whole ? "own_replicas" : "own_leave",
				       whole ? "\"nodes\":[\"" NODE1 "\"],\"current\":[\"" NODE1 "\"]" : "\"node\":\"" NODE2 "\"");
			core_free(r->core);
			keep_instance(r, 5, true, true);
			keep(r, "/gantry/job/900", text);
			start_core(r);
			if (cases[k].gen != -2)
				core_node_links(r->core, NODE1, 1, "b1", PACKAGE_VERSION, 1700000000000 + r->now_ms);
			commit_all(r);
			if (cases[k].gen >= 0)
				word_of_node1(r, cases[k].gen, cases[k].disk, cases[k].marked);
			if (cases[k].asks)
				node1_asks_out(r);
			for (int t = 0; t < 200 && core_jobs_open(r->core); t++)
				tick(r, 500);
			assert_int_equal(core_jobs_open(r->core), 0);
			assert_int_equal(state_instance(core_state(r->core), VM)->i.own.n_current, cases[k].left ? 1 : 2);
		}
}

/*
 * NODE1 is frozen and one of its disks fails: its wish to leave current is granted. Of two disks the other one is still good: that yes may not let go of
 * the frozen Primary, which would acknowledge on that one alone, outside of current.
 */
static void who_leaves_current_is_not_told_to_go_on(void **state)
{
	struct rig *r = *state;
	struct msg_ask a;

	keep_instance(r, 5, true, true);
	master_changes(r, 0);
	replica_says(r, NODE2, "Secondary", "", "UpToDate", false, 5);
	a = question(5);
	a.shrink = 1;
	core_ask(r->core, NODE1, &a);
	commit_all(r);
	assert_int_equal(state_instance(core_state(r->core), VM)->i.own.n_current, 1);
	assert_string_equal(r->verdict, "not-now");
	assert_int_equal(r->gen_told, 6); /* it knows that it is out */
}

/* Who has lost its own disk, and waits for its mirror's, asks each second for as long as that takes. */
static void a_question_that_is_asked_again_is_told_once(void **state)
{
	struct rig *r = *state;
	struct msg_ask a;
	int told = 0;

	keep_instance(r, 5, true, true);
	master_changes(r, 0);
	a = question(5);
	for (int k = 0; k < 5; k++) {
		a.number = k / 3; /* the fourth is about another loss */
		core_ask(r->core, NODE1, &a);
		commit_all(r);
		assert_string_equal(r->verdict, "not-now");
	}
	ask_uncommitted(r, "e", "event.list", json_object());
	commit_all(r);
	AUTO_FREE char *text = json_dumps(r->reply, 0);
	for (const char *at = text; (at = strstr(at, "asked to go on alone")); at++)
		told++;
	assert_int_equal(told, 2);
}

/*
 * H7: NODE1's yes came when its disk was gone already, as it says; NODE2 takes current over again, if by its own word, at this generation, it is good. A
 * question of an older generation, and the same one once more, change nothing.
 */
static void a_yes_for_a_lost_disk_is_handed_to_a_mirror_that_is_good(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *disk;
		bool marked;
		int64_t gen, asked_at, lost_gen;
		bool hands;
	} cases[] = {
		{ "UpToDate", false, 6, 6, 5, true },   { "Consistent", false, 6, 6, 5, true },    { "UpToDate", false, 5, 6, 5, false },
		{ "UpToDate", true, 6, 6, 5, false },   { "Inconsistent", false, 6, 6, 5, false }, { "Outdated", false, 6, 6, 5, false },
		{ "", false, 6, 6, 5, false }, /* it is down */
		{ "UpToDate", false, 6, 5, 5, false },  { "UpToDate", false, 6, 6, 6, false },     { "UpToDate", false, 6, 6, 0, false },
	};

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct msg_ask a;

		keep_instance(r, 5, true, true);
		master_changes(r, 0);
		a = question(5);
		a.uptodate = 1;
		core_ask(r->core, NODE1, &a);
		commit_all(r);
		assert_string_equal(r->verdict, "yes");
		master_changes(r, 0); /* it is in the record, not in a master's memory */
		replica_says(r, NODE2, "Secondary", "", cases[k].disk, cases[k].marked, cases[k].gen);
		a.gen = cases[k].asked_at;
		a.uptodate = 0;
		a.shrink = 1;
		a.lost_gen = cases[k].lost_gen;
		for (int twice = 0; twice < 2; twice++) {
			core_ask(r->core, NODE1, &a);
			commit_all(r);
			const struct ownership *o = &state_instance(core_state(r->core), VM)->i.own;

			assert_string_equal(r->verdict, "not-now"); /* nobody goes on by it */
			assert_int_equal(o->n_current, 1);
			assert_string_equal(o->current[0], cases[k].hands ? NODE2 : NODE1);
			assert_string_equal(o->owner, NODE1);
			assert_int_equal(o->gen, cases[k].hands ? 7 : 6);
			assert_int_equal(r->gen_told, o->gen);
		}
	}
}

/* The node reports that it runs this guest, or none ("" = none); NULL = its libvirt does not answer. */
static void see(struct rig *r, const char *node, const char *uuid, bool ours)
{
	struct observed o;

	schema_init(&observed_schema, &o);
	(void)str_copy(o.hypervisor, sizeof(o.hypervisor), uuid ? "QEMU" : "");
	uuid = uuid ? uuid : "";
	if (uuid[0]) {
		struct obs_guest *g = schema_list_add(schema_find(&observed_schema, "guests"), &o);

		(void)str_copy(g->uuid, sizeof(g->uuid), uuid);
		(void)str_copy(g->name, sizeof(g->name), "vm1");
		(void)str_copy(g->state, sizeof(g->state), "running");
		g->ours = ours;
	}
	core_node_observed(r->core, node, &o);
	schema_done(&observed_schema, &o);
	commit_all(r);
}

/* ---- known to be off, and it answers (009) ------------------------------------------------------------------- */

/* vm1's node: a person has said that it is off, in that boot; "" = nobody knew which. */
static void keep_off(struct rig *r, const char *boot, bool back_by_itself)
{
	struct node n;

	schema_init(&node_schema, &n);
	(void)str_copy(n.uuid, sizeof(n.uuid), NODE1);
	(void)str_copy(n.name, sizeof(n.name), "node1");
	(void)str_copy(n.address, sizeof(n.address), "10.0.0.1");
	(void)str_copy(n.replication_address, sizeof(n.replication_address), "10.0.0.1");
	n.master_capable = 0;
	n.candidate = 1;
	n.auto_rejoin = back_by_itself;
	n.liveness = NODE_FENCED;
	n.evidence = EVIDENCE_PERSON;
	(void)str_copy(n.evidence_boot, sizeof(n.evidence_boot), boot);
	AUTO_FREE char *text = schema_encode_text(&node_schema, &n);
	keep(r, "/gantry/node/" NODE1, text);
	schema_done(&node_schema, &n);
	core_free(r->core);
	start_core(r);
}

static enum evidence known_of_vm1(const struct rig *r)
{
	const struct state *st = core_state(r->core);
	struct evidence_found f;
	const struct instance *i = &state_instance(st, VM)->i;

	evidence_find(st, i, &f);
	assert_int_equal(evidence_holds(st, i, EVIDENCE_PERSON), f.kind == EVIDENCE_PERSON);
	return f.kind;
}

static void node1_links(struct rig *r, const char *boot)
{
	core_node_links(r->core, NODE1, 1, boot, PACKAGE_VERSION, 1700000000000 + r->now_ms);
	commit_all(r);
}

static void node1_answers(struct rig *r, const char *boot)
{
	node1_links(r, boot);
	core_node_beat(r->core, NODE1);
	commit_all(r);
}

/* A master that never heard it, as it is cut off again, comes to the same conclusion; a new word about it counts, and so does its next boot. */
static void who_has_answered_is_not_off_for_the_next_master(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 5, true, true);
	keep_off(r, "b1", false);
	assert_int_equal(known_of_vm1(r), EVIDENCE_PERSON);
	node1_answers(r, "b1");
	assert_int_equal(known_of_vm1(r), EVIDENCE_NONE);
	core_free(r->core);
	start_core(r);
	assert_int_equal(known_of_vm1(r), EVIDENCE_NONE);
	/* What is changed about it otherwise changes nothing of that. */
	(void)ask(r, "1", "node.modify", json_pack("{s:s, s:b}", "name", "node1", "drained", 1));
	assert_int_equal(state_node(core_state(r->core), NODE1)->n.drained, 1);
	assert_int_equal(known_of_vm1(r), EVIDENCE_NONE);
	(void)ask(r, "2", "node.fence", json_pack("{s:s, s:b}", "name", "node1", "confirmed_off", 1));
	assert_int_equal(known_of_vm1(r), EVIDENCE_PERSON);
}

/* Its power has gone, and the link to it stands: TCP does not know. */
static void a_link_alone_is_no_answer(void **state)
{
	struct rig *r = *state;
	int64_t suspect_ms;

	keep_instance(r, 5, true, true);
	keep_off(r, "b1", false);
	suspect_ms = core_state(r->core)->cluster.lease_ms / 3;
	node1_links(r, "b1"); /* it has just come */
	assert_int_equal(known_of_vm1(r), EVIDENCE_NONE);
	tick(r, suspect_ms - 1);
	assert_int_equal(known_of_vm1(r), EVIDENCE_NONE);
	tick(r, 1);
	assert_int_equal(known_of_vm1(r), EVIDENCE_PERSON);
	see(r, NODE1, VM, true); /* it answers after all */
	commit_all(r);
	assert_int_equal(known_of_vm1(r), EVIDENCE_NONE);
}

static void its_next_boot_runs_nothing_of_that_one(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 5, true, true);
	keep_off(r, "b1", false);
	node1_answers(r, "b1");
	core_node_links(r->core, NODE1, 0, "", "", 0);
	node1_answers(r, "b3");
	replica_says(r, NODE1, "", "", "", false, 0); /* it waits, offline, for a person */
	assert_int_equal(state_node(core_state(r->core), NODE1)->n.offline, 1);
	assert_int_equal(known_of_vm1(r), EVIDENCE_PERSON);
}

/* Nobody knew the boot: while it answers, what it reports decides, and with guests it was never off. */
static void an_unknown_boot_is_no_evidence_against_who_answers(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 5, true, true);
	for (int runs = 0; runs < 2; runs++) {
		keep_off(r, "", false);
		assert_int_equal(known_of_vm1(r), EVIDENCE_PERSON);
		node1_answers(r, "b1");
		assert_int_equal(known_of_vm1(r), EVIDENCE_NONE);
		see(r, NODE1, NULL, true); /* its libvirt does not answer: of guests it says nothing */
		assert_int_equal(known_of_vm1(r), EVIDENCE_NONE);
		assert_int_equal(state_node(core_state(r->core), NODE1)->n.offline, 0);
		see(r, NODE1, runs ? VM : "", true);
		commit_all(r);
		const struct snode *n = state_node(core_state(r->core), NODE1);

		assert_int_equal(n->n.liveness, runs ? NODE_ONLINE : NODE_FENCED);
		assert_int_equal(n->n.offline, !runs);
		assert_int_equal(known_of_vm1(r), runs ? EVIDENCE_NONE : EVIDENCE_PERSON);
	}
}

/* It is lost in the log until it has reported; a beat that was answered meanwhile is a lease, whatever becomes of its links. */
static void a_beat_that_was_answered_is_a_lease(void **state)
{
	struct rig *r = *state;
	struct node n;

	schema_init(&node_schema, &n);
	schema_copy(&node_schema, &n, &state_node(core_state(r->core), NODE1)->n);
	n.auto_rejoin = 0;
	n.liveness = NODE_LOST;
	(void)str_copy(n.evidence_boot, sizeof(n.evidence_boot), "b1");
	AUTO_FREE char *text = schema_encode_text(&node_schema, &n);
	schema_done(&node_schema, &n);
	core_free(r->core);
	keep(r, "/gantry/node/" NODE1, text);
	keep_instance(r, 5, true, true);
	start_core(r);
	struct sinstance *s = (struct sinstance *)(uintptr_t)state_instance(core_state(r->core), VM);

	(void)str_copy(s->i.guard_node, sizeof(s->i.guard_node), NODE1);
	s->i.guard_rev = state_ha_rev(core_state(r->core), &s->i);
	assert_true(evidence_holds(core_state(r->core), &s->i, EVIDENCE_LEASE));
	node1_answers(r, "b1");
	core_node_links(r->core, NODE1, 0, "", "", 0);
	commit_all(r);
	assert_int_equal(state_node(core_state(r->core), NODE1)->n.liveness, NODE_LOST);
	assert_false(evidence_holds(core_state(r->core), &s->i, EVIDENCE_LEASE));
	tick(r, LEASE_MS + LEASE_MS / 4 - 1);
	assert_false(evidence_holds(core_state(r->core), &s->i, EVIDENCE_LEASE));
	tick(r, 1);
	assert_true(evidence_holds(core_state(r->core), &s->i, EVIDENCE_LEASE));
}

/* It was lost, and is back; the word of a person who looked before that comes after it: it would be called off in the boot in which it answers, for good. */
static void a_word_that_comes_late_is_refused(void **state)
{
	struct rig *r = *state;
	struct node n;

	schema_init(&node_schema, &n);
	schema_copy(&node_schema, &n, &state_node(core_state(r->core), NODE2)->n);
	n.liveness = NODE_LOST;
	(void)str_copy(n.evidence_boot, sizeof(n.evidence_boot), "b0");
	AUTO_FREE char *text = schema_encode_text(&node_schema, &n);
	schema_done(&node_schema, &n);
	core_free(r->core);
	keep(r, "/gantry/node/" NODE2, text);
	start_core(r);
	core_node_links(r->core, NODE2, 1, "b2", PACKAGE_VERSION, 1700000000000 + r->now_ms);
	commit_all(r);
	for (int answers = 1; answers >= 0; answers--) {
		(void)ask(r, answers ? "a" : "b", "node.fence", json_pack("{s:s, s:b}", "name", "node2", "confirmed_off", 1));
		assert_int_equal(state_node(core_state(r->core), NODE2)->n.liveness, answers ? NODE_LOST : NODE_FENCED);
		tick(r, LEASE_MS / 3); /* its link stands; nothing was heard */
	}
}

/* ---- guests that do not belong ------------------------------------------------------------------------------ */

#define NOBODYS "55555555-5555-4555-8555-555555555555"

static int alarms(struct rig *r, const char *words)
{
	json_t *e;
	size_t i;
	int n = 0;

	(void)ask(r, "q", "event.list", json_object());
	json_array_foreach(r->reply, i, e)
		n += strncmp(json_str(e, "text", ""), "ALARM: ", 7) == 0 && strstr(json_str(e, "text", ""), words);
	return n;
}

/* Told when it is first seen, not at each report; told again when it was gone. */
static void a_guest_on_the_wrong_node_is_an_alarm(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 0, false, false);
	master_changes(r, 0);
	see(r, NODE1, "", false);
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, "node 'node2' runs guest 'vm1' (" VM "), which belongs on another node"), 1);
	(void)ask(r, "l", "instance.list", json_pack("{s:[s]}", "fields", "status"));
	assert_string_equal(json_str(json_array_get(r->reply, 0), "status", ""), "ERROR_wrongnode");
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 1);
	see(r, NODE2, "", false);
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 2);
	see(r, NODE1, VM, true); /* there it belongs, whether it should run or not */
	see(r, NODE2, NOBODYS, false); /* a guest that is not Gantry's is its owner's business */
	assert_int_equal(alarms(r, ""), 2);
}

/* Who lost, and whether acknowledged writes may be in what it has, is shown as long as it stands in the record (011). */
static void info_shows_who_lost(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 3, true, false);
	master_changes(r, 0);
	struct ownership *o = &((struct sinstance *)(uintptr_t)state_instance(core_state(r->core), VM))->i.own;
	for (int lost = 0; lost < 2; lost++) {
		own_note_tail(o, lost ? NODE2 : "", true);
		(void)ask(r, lost ? "2" : "1", "instance.info", json_pack("{s:[s]}", "names", "vm1"));
		const json_t *own = json_object_get(json_array_get(r->reply, 0), "own");

		assert_string_equal(json_str(own, "owner", ""), "node1");
		assert_string_equal(json_str(own, "tail", ""), lost ? "node2" : "");
		assert_int_equal(json_bool(own, "tail_must", false), lost);
	}
}

/* Wanted up, and its replicas are down: a job brings them up. Of one that lost its disk it could not, and would hold the lock that a person's job needs. */
static void no_job_waits_for_a_lost_disk(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 0, false, false);
	master_changes(r, 0);
	for (int lost = 1; lost >= 0; lost--) {
		((struct sinstance *)(uintptr_t)state_instance(core_state(r->core), VM))->i.admin_state = ADMIN_UP;
		for (int t = 0; t < 20; t++) {
			replica_says(r, NODE1, "", "", "", lost, 0);
			replica_says(r, NODE2, "", "", "", false, 0);
			tick(r, LEASE_MS / 6);
		}
		assert_int_equal(count(r, "/gantry/job/") > 0, !lost);
	}
}

/*
 * The owner has lost its disk, and its guest lives on its mirror's. While its libvirt is started anew nobody sees the guest: it is not failed over for that.
 * When libvirt says that it is gone, it is.
 */
static void who_is_not_seen_has_not_ended(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 5, true, true);
	master_changes(r, 0);
	struct sinstance *s = (struct sinstance *)(uintptr_t)state_instance(core_state(r->core), VM);

	s->i.admin_state = ADMIN_UP;
	s->i.be.ha = HA_FAILOVER;
	strs_remove(&s->i.own.current, &s->i.own.n_current, NODE1);
	((struct cluster *)(uintptr_t)&core_state(r->core)->cluster)->arbitration = 1;
	for (int ended = 0; ended < 2; ended++) {
		for (int t = 0; t < 20; t++) {
			struct observed o;

			schema_init(&observed_schema, &o);
			if (ended)
				(void)str_copy(o.hypervisor, sizeof(o.hypervisor), "QEMU");
			struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &o);
			(void)str_copy(d->uuid, sizeof(d->uuid), VM);
			(void)str_copy(d->resource, sizeof(d->resource), "vm1");
			(void)str_copy(d->role, sizeof(d->role), "Primary");
			(void)str_copy(d->conn, sizeof(d->conn), "Connected");
			(void)str_copy(d->disk, sizeof(d->disk), "Diskless");
			d->up = d->marked = 1;
			d->gen = 5;
			core_node_observed(r->core, NODE1, &o);
			commit_all(r);
			schema_done(&observed_schema, &o);
			replica_says(r, NODE2, "Secondary", "Connected", "UpToDate", false, 5);
			tick(r, LEASE_MS / 6);
		}
		assert_int_equal(count(r, "/gantry/job/") > 0, ended);
	}
}

/* A job that was planned before a node was lost changes something else about it: what was learnt since stays. */
static void what_was_learnt_of_a_node_stays(void **state)
{
	struct rig *r = *state;
	static const char job[] =
		"{\"id\":900,\"op\":\"node.fence\",\"args\":{\"name\":\"node2\"},\"state\":\"running\",\"steps\":["
		"{\"kind\":\"etcd_stop\",\"node\":\"" NODE1 "\",\"args\":{}},"
		"{\"kind\":\"node_change\",\"args\":{\"before\":%s,\"after\":%s},\"pivot\":true}]}";
	struct node n;

	schema_init(&node_schema, &n);
	schema_copy(&node_schema, &n, &state_node(core_state(r->core), NODE2)->n);
	(void)str_copy(n.evidence_boot, sizeof(n.evidence_boot), "b0"); /* of another time */
	AUTO_FREE char *before = schema_encode_text(&node_schema, &n);
	keep(r, "/gantry/node/" NODE2, before);
	n.power_checked_ms = 7;
	AUTO_FREE char *after = schema_encode_text(&node_schema, &n);
	schema_done(&node_schema, &n);
	AUTO_FREE char *text = xasprintf(job, before, after);
	core_free(r->core);
	keep(r, "/gantry/job/900", text);
	start_core(r);
	link_nodes(r);
	const struct snode *s = state_node(core_state(r->core), NODE2);
	AUTO_FREE char *boot = xstrdup(s->boot_id);

	core_node_links(r->core, NODE2, 0, "", "", 0);
	for (int t = 0; t < 5; t++) {
		core_node_beat(r->core, NODE1);
		tick(r, LEASE_MS / 3);
	}
	assert_int_equal(s->n.liveness, NODE_LOST);
	((struct snode *)(uintptr_t)s)->n.offline = 1; /* as rejoin_observed() does */
	answer(r, NODE1, 900, 0, STEP_DO, "");
	commit_all(r);
	s = state_node(core_state(r->core), NODE2);
	assert_int_equal(s->n.power_checked_ms, 7);
	assert_int_equal(s->n.liveness, NODE_LOST);
	assert_string_equal(s->n.evidence_boot, boot);
	assert_int_equal(s->n.offline, 1);
}

/* ---- what is put off ----------------------------------------------------------------------------------------- */

/* Both replicas are up and in sync, by the word of both; vm1 runs on NODE1, or does not. */
static void both_say(struct rig *r, bool runs, bool in_sync)
{
	for (int k = 0; k < 2; k++) {
		struct observed o;

		schema_init(&observed_schema, &o);
		(void)str_copy(o.hypervisor, sizeof(o.hypervisor), "QEMU");
		struct obs_drbd *d = schema_list_add(schema_find(&observed_schema, "drbd"), &o);
		(void)str_copy(d->uuid, sizeof(d->uuid), VM);
		(void)str_copy(d->resource, sizeof(d->resource), "vm1");
		(void)str_copy(d->role, sizeof(d->role), k ? "Secondary" : "Primary");
		(void)str_copy(d->conn, sizeof(d->conn), in_sync ? "Connected" : "WFConnection");
		(void)str_copy(d->disk, sizeof(d->disk), "UpToDate");
		d->up = 1;
		d->in_sync = in_sync;
		d->gen = state_instance(core_state(r->core), VM)->i.own.gen;
		if (runs && !k) {
			struct obs_guest *g = schema_list_add(schema_find(&observed_schema, "guests"), &o);

			(void)str_copy(g->uuid, sizeof(g->uuid), VM);
			(void)str_copy(g->name, sizeof(g->name), "vm1");
			(void)str_copy(g->state, sizeof(g->state), "running");
			g->ours = 1;
		}
		core_node_observed(r->core, k ? NODE2 : NODE1, &o);
		commit_all(r);
		schema_done(&observed_schema, &o);
	}
}

/* The job that runs ends: each of its steps with that error ("" = well), each undo well. */
static void answer_all(struct rig *r, const char *error)
{
	for (int t = 0; t < 100 && core_jobs_open(r->core); t++) {
		int index;
		char dir[8], node;

		if (sscanf(r->orders, "%7[a-z]%d@%c", dir, &index, &node) == 3) {
			enum step_dir d = strcmp(dir, "do") == 0 ? STEP_DO : STEP_UNDO_DIR;

			r->orders[0] = '\0';
			answer(r, node == '1' ? NODE1 : NODE2, r->last_step_job, index, d, d == STEP_DO ? error : "");
		}
		tick(r, 10);
	}
	assert_int_equal(core_jobs_open(r->core), 0);
}

/* How long it takes until vm1, which is not as wanted, is tried to be put right. The attempt fails, as each step of it does. */
static int64_t tried_after_ms(struct rig *r, bool in_sync)
{
	int64_t since = r->now_ms;
	int jobs = count(r, "/gantry/job/");

	while (count(r, "/gantry/job/") == jobs && r->now_ms - since < 1000000) {
		both_say(r, false, in_sync);
		tick(r, 500);
	}
	int64_t took = r->now_ms - since;
	answer_all(r, "COMMAND_FAILED");
	return took;
}

/* The mirror leaves current, as its Primary goes on alone, and is in sync again. */
static void mirror_leaves_and_returns(struct rig *r, bool runs)
{
	struct msg_ask a;

	schema_init(&msg_ask_schema, &a);
	(void)str_copy(a.instance, sizeof(a.instance), VM);
	(void)str_copy(a.boot_id, sizeof(a.boot_id), "b1");
	a.gen = state_instance(core_state(r->core), VM)->i.own.gen;
	a.uptodate = 1;
	core_ask(r->core, NODE1, &a);
	commit_all(r);
	assert_int_equal(state_instance(core_state(r->core), VM)->i.own.n_current, 1);
	both_say(r, runs, true);
	assert_int_equal(state_instance(core_state(r->core), VM)->i.own.n_current, 2);
}

static void up(struct rig *r)
{
	keep_instance(r, 5, true, true);
	master_changes(r, 0);
	((struct sinstance *)(uintptr_t)state_instance(core_state(r->core), VM))->i.admin_state = ADMIN_UP;
}

/* It runs, and crashes, and each time its mirror was away in between: it is started later each time all the same. */
static void who_crashes_waits_longer_though_its_mirror_is_whole_again(void **state)
{
	struct rig *r = *state;
	int64_t before = 0;

	up(r);
	for (int k = 0; k < 6; k++) {
		both_say(r, true, true);
		tick(r, 500);
		mirror_leaves_and_returns(r, true);
		int64_t took = tried_after_ms(r, true);

		if (k == 0)
			assert_in_range(took, LEASE_MS / 6, LEASE_MS / 2);
		if (k > 1)
			assert_true(took > before + before / 2);
		before = took;
	}
	/* It has run for long: what was is forgotten. */
	both_say(r, true, true);
	for (int t = 0; t < 2000; t++)
		tick(r, 500);
	assert_in_range(tried_after_ms(r, true), LEASE_MS / 6, LEASE_MS / 2);
}

/* It never ran, each attempt fails, and is put off for longer: not any more when the mirror, without which it may have failed, is whole again. */
static void what_failed_is_tried_at_once_when_the_mirror_is_whole_again(void **state)
{
	struct rig *r = *state;
	int64_t took = 0;

	up(r);
	for (int k = 0; k < 5; k++)
		took = tried_after_ms(r, false);
	assert_true(took > 30000);
	mirror_leaves_and_returns(r, false);
	assert_in_range(tried_after_ms(r, true), LEASE_MS / 6, LEASE_MS / 2);
}

/* ---- what a replacement left of an instance that is down ------------------------------------------------------- */

static int64_t newest_job(const struct rig *r)
{
	int64_t id = 0, k;

	for (int i = 0; i < r->n_kvs; i++)
		if (sscanf(r->kvs[i].key, "/gantry/job/%lld", (long long *)&k) == 1 && k > id)
			id = k;
	return id;
}

/* How long until the next job of the reconciler; NODE1 has a replica that is up, or down, NODE2 one that is down. Then the job fails at each step. */
static int64_t finished_after_ms(struct rig *r, const char *disk1)
{
	int64_t since = r->now_ms, before = newest_job(r);

	while (newest_job(r) == before && r->now_ms - since < 1000000) {
		core_node_beat(r->core, NODE1);
		core_node_beat(r->core, NODE2);
		replica_says(r, NODE1, disk1[0] ? "Secondary" : "", disk1[0] ? "WFConnection" : "", disk1, false, 5);
		replica_says(r, NODE2, "", "", "", false, 5);
		tick(r, 500);
	}
	assert_in_range(newest_job(r) - before, 0, 1); /* never more than one */
	int64_t took = r->now_ms - since;
	answer_all(r, "COMMAND_FAILED");
	return took;
}

/* The mirror was made anew and its node reset before they had met: a job brings it up, again and again, and less often each time. */
static void what_a_replacement_left_is_finished_with_back_off(void **state)
{
	struct rig *r = *state;
	int64_t before = 0;

	keep_instance(r, 5, true, false);
	master_changes(r, 0);
	for (int k = 0; k < 6; k++) {
		int64_t took = finished_after_ms(r, "UpToDate");

		if (k == 0)
			assert_in_range(took, LEASE_MS / 6, LEASE_MS / 2);
		if (k > 1)
			assert_true(took > before + before / 2);
		before = took;
	}
}

/* While that job waits for its turn, because all places are taken, no second one is filed. */
static void no_second_job_while_one_waits(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 5, true, false);
	master_changes(r, 0);
	file_many(r, JOBS_RUNNING_MAX, "node2");
	int before = core_jobs_open(r->core);
	for (int t = 0; t < 200; t++) {
		core_node_beat(r->core, NODE1);
		core_node_beat(r->core, NODE2);
		replica_says(r, NODE1, "Secondary", "WFConnection", "UpToDate", false, 5);
		replica_says(r, NODE2, "", "", "", false, 5);
		tick(r, 500);
	}
	assert_int_equal(core_jobs_open(r->core), before + 1);
}

/* Nobody fights with a person: not while his disks are as he asked, nor after the next master took over; and again once he asks for something else. */
static void disks_that_a_person_took_down_stay_down(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 5, true, false);
	master_changes(r, 0);
	replica_says(r, NODE1, "Secondary", "WFConnection", "UpToDate", false, 5);
	replica_says(r, NODE2, "", "", "", false, 5);
	(void)ask(r, "1", "instance.deactivate_disks", json_pack("{s:s}", "name", "vm1"));
	answer_all(r, "");
	for (int k = 0; k < 2; k++) {
		assert_in_range(finished_after_ms(r, "UpToDate"), 1000000, 2000000);
		master_changes(r, 0);
	}
	(void)ask(r, "2", "instance.activate_disks", json_pack("{s:s}", "name", "vm1"));
	answer_all(r, "COMMAND_FAILED");
	assert_in_range(finished_after_ms(r, "UpToDate"), LEASE_MS / 6, LEASE_MS / 2);
	assert_in_range(finished_after_ms(r, ""), 1000000, 2000000); /* both are down, and nothing tells of a replacement */
}

static void a_guest_of_no_instance_is_an_alarm(void **state)
{
	struct rig *r = *state;

	see(r, NODE1, NOBODYS, true);
	see(r, NODE1, NOBODYS, true);
	assert_int_equal(alarms(r, "node 'node1' runs guest 'vm1' (" NOBODYS "), of no instance of this cluster"), 1);
	assert_int_equal(alarms(r, ""), 1);
}

/* Both ends of a migration have it for a while; a record that nobody has confirmed says nothing. */
static void where_a_guest_may_be_it_is_no_alarm(void **state)
{
	struct rig *r = *state;

	keep_instance(r, 0, false, false);
	master_changes(r, 0);
	struct sinstance *s = state_instance(core_state(r->core), VM);
	(void)str_copy(s->i.own.target, sizeof(s->i.own.target), NODE2);
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 0);
	s->i.own.target[0] = '\0';
	s->i.own.unconfirmed = 1;
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 0);
	s->i.own.unconfirmed = 0;
	s->busy_job = 9; /* a job is at it: it knows */
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 0);
	s->busy_job = 0;
	see(r, NODE2, VM, true);
	assert_int_equal(alarms(r, ""), 1);
}

/* ---- another name ------------------------------------------------------------------------------------------- */

static const char *first_name(struct rig *r)
{
	(void)ask(r, "q", "instance.list", json_object());
	return json_string_value(json_array_get(json_array_get(json_object_get(r->reply, "rows"), 0), 0));
}

static json_t *stored_instance(const struct rig *r)
{
	for (int i = 0; i < r->n_kvs; i++)
		if (strcmp(r->kvs[i].key, "/gantry/instance/" VM) == 0)
			return json_loads(r->kvs[i].value, 0, NULL);
	return NULL;
}

static void rename_is(struct rig *r, const char *id, const char *from, const char *to, const char *resource)
{
	int64_t job = ask(r, id, "instance.rename", json_pack("{s:s, s:s}", "name", from, "new_name", to));

	assert_string_equal(json_str(json_object_get(r->reply, "last"), "state", ""), "success");
	AUTO_JSON json_t *stored = stored_instance(r);
	assert_string_equal(json_str(stored, "name", ""), to);
	assert_string_equal(json_str(stored, "resource", "none"), resource);
	assert_string_equal(first_name(r), to);
	const struct sinstance *s = state_instance_named(core_state(r->core), to);
	assert_non_null(s);
	assert_null(state_instance_named(core_state(r->core), from));
	assert_int_equal(s->busy_job, 0); /* the job let go of it, by its new name */
	assert_true(job > 0);
}

/* The record has the new name and the old resource; called so again it needs no other one. A next master finds it as it is. */
static void a_renamed_instance_is_found_by_its_new_name(void **state)
{
	struct rig *r = *state;
	struct err err = ERR_INIT;

	assert_int_equal(core_node_speaks(r->core, NODE1, "x", 1, 2, &err), 0);
	assert_int_equal(core_node_speaks(r->core, NODE2, "x", 1, 2, &err), 0);
	tick(r, 1000);
	keep_instance(r, 0, false, false);
	master_changes(r, 0);
	see(r, NODE1, "", false);
	rename_is(r, "a", "vm1", "web1", "vm1");
	rename_is(r, "b", "web1", "aweb", "vm1");
	master_changes(r, 0);
	see(r, NODE1, "", false);
	rename_is(r, "c", "aweb", "vm1", "none");
	ask_uncommitted(r, "d", "instance.rename", json_pack("{s:s, s:s}", "name", "aweb", "new_name", "x"));
	commit_all(r);
	assert_string_equal(r->error, "NOT_FOUND");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
		T(who_is_left_in_current_has_said_that_it_is_good),
		T(who_leaves_current_is_not_told_to_go_on),
		T(a_yes_for_a_lost_disk_is_handed_to_a_mirror_that_is_good),
		T(a_link_alone_is_no_answer), T(a_question_that_is_asked_again_is_told_once), T(info_shows_who_lost),
		T(who_has_answered_is_not_off_for_the_next_master),
		T(its_next_boot_runs_nothing_of_that_one),
		T(an_unknown_boot_is_no_evidence_against_who_answers),
		T(a_guest_on_the_wrong_node_is_an_alarm),
		T(no_job_waits_for_a_lost_disk), T(a_word_that_comes_late_is_refused), T(who_is_not_seen_has_not_ended), T(a_beat_that_was_answered_is_a_lease), T(what_was_learnt_of_a_node_stays),
		T(who_crashes_waits_longer_though_its_mirror_is_whole_again),
		T(what_failed_is_tried_at_once_when_the_mirror_is_whole_again),
		T(what_a_replacement_left_is_finished_with_back_off),
		T(no_second_job_while_one_waits),
		T(disks_that_a_person_took_down_stay_down),
		T(a_guest_of_no_instance_is_an_alarm),
		T(where_a_guest_may_be_it_is_no_alarm),
		T(a_renamed_instance_is_found_by_its_new_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
