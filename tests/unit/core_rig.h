/* SPDX-License-Identifier: Apache-2.0 */
/* The whole core on a store in memory and two nodes that say what the test says. For tests of what it does with jobs and reports. */
#ifndef TESTS_UNIT_CORE_RIG_H
#define TESTS_UNIT_CORE_RIG_H

#include "common/json.h"
#include "core/core.h"
#include "core/state.h"

#define NODE1 "11111111-1111-4111-8111-111111111111" /* a voter, the only one: the master */
#define NODE2 "22222222-2222-4222-8222-222222222222"
#define VM "66666666-6666-4666-8666-666666666666"
#define LEASE_MS 12000

struct rig {
	struct core *core;
	int64_t now_ms;
	struct core_put *kvs; /* the store */
	int n_kvs;
	int64_t commit_seq;   /* under way; 0 = none */
	struct core_put *commit;
	int n_commit, most_puts, n_prefix_deletes;
	json_t *reply;        /* the newest result */
	char error[40];
	int n_joined;
	char join_error[40];
	json_t *joined;
	int n_steps_sent;
	int64_t last_step_job;
	json_t *last_args;    /* of the newest order */
	char verdict[16];     /* the newest */
	int64_t gen_told;     /* to anybody, the newest */
	char orders[400];     /* all since it was emptied: "do0@1 " is step 0 on node1 */
};

void rig_emit(void *arg, const struct core_action *a); /* what a core that is made by hand is given; arg is the rig */
int rig_set_up(void **state); /* a cluster of both, linked */
int rig_tear_down(void **state);
void keep(struct rig *r, const char *key, const char *value); /* in the store; NULL = not any more */
void start_core(struct rig *r);
void link_nodes(struct rig *r);
void master_changes(struct rig *r, int64_t later_ms);
void tick(struct rig *r, int64_t ms);
/* The store does what it was asked for, until nothing is asked any more. */
void commit_all(struct rig *r);
/* Files it; *_uncommitted leaves the answer to whoever lets the store go on. */
void ask_uncommitted(struct rig *r, const char *id, const char *op, json_t *args);
int64_t ask(struct rig *r, const char *id, const char *op, json_t *args);
void file_many(struct rig *r, int n, const char *node);
int count(const struct rig *r, const char *prefix); /* keys in the store */
/* The node's answer to an order. */
void answer(struct rig *r, const char *node, int64_t job, int index, enum step_dir dir, const char *error);
void result_from(struct rig *r, const char *node, int64_t job);
void result_of(struct rig *r, int64_t job); /* from NODE2 */
/* vm1 of NODE1 with its mirror on NODE2, down, in the store; the next core finds it. Both replicas are current, or NODE1's alone. */
void keep_instance(struct rig *r, int64_t gen, bool arbitrated, bool both_current);

#endif
