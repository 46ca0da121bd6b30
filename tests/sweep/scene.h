/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words in which directed worlds are told: a cluster of four (node1 is the master's), instances on it, what is asked of them, and checks that name
 * the scene they are in. A scene ends with scene_end(), which also checks that no guest ever ran twice.
 */
#ifndef TESTS_SWEEP_SCENE_H
#define TESTS_SWEEP_SCENE_H

#include "schema/ops.h"
#include "tests/sweep/world.h"

#define CHECK(x) scene_check((x), #x, __FILE__, __LINE__)
bool scene_check(bool ok, const char *what, const char *file, int line);
int scene_result(const char *program); /* prints the sum; for exit() */

struct world *scene_cluster(const char *name);
struct world *scene_guarded(const char *name); /* with vm1, ha=failover, on node2 and node3, and guarded by node2's watchdog */
void scene_end(struct world *w);
bool run_until(struct world *w, bool (*so)(struct world *w), int64_t max_ms);

/* nodes and be as "node2:node3" and "\"ha\":\"failover\"". */
void add_instance(struct world *w, const char *name, const char *nodes, const char *be);
const struct instance *inst(struct world *w, const char *name); /* NULL = none */
const char *owner(struct world *w, const char *name);           /* its node's name */
int runs_at(struct world *w, const char *name);                 /* node; -1 = nowhere */
enum liveness live(struct world *w, int node);
struct w_thing *vm1_at(struct world *w, int node);
int64_t filed(const struct world *w); /* jobs so far: what must not happen is not even tried */
bool event_says(struct world *w, const char *words);

/* For run_until(). */
bool job_open(struct world *w);
bool vm1_guarded(struct world *w);
bool vm1_on_2(struct world *w);
bool vm1_on_3(struct world *w);

#endif
