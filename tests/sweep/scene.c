/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sweep/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed, checks;
static const char *scene;

bool scene_check(bool ok, const char *what, const char *file, int line)
{
	checks++;
	if (!ok) {
		failed++;
		(void)printf("%s: %s:%d: not so: %s\n", scene, file, line, what);
	}
	return ok;
}

int scene_result(const char *program)
{
	(void)printf("%s: %d checks, %d failed\n", program, checks, failed);
	return failed ? 1 : 0;
}

struct world *scene_cluster(const char *name)
{
	scene = name;
	return world_new(world_seed(7), 4, true);
}

struct world *scene_guarded(const char *name)
{
	struct world *w = scene_cluster(name);

	add_instance(w, "vm1", "node2:node3", "\"ha\":\"failover\"");
	CHECK(run_until(w, vm1_guarded, 10000));
	return w;
}

void scene_end(struct world *w)
{
	CHECK(!w->failed); /* never twice, at any moment */
	world_free(w);
}

bool run_until(struct world *w, bool (*so)(struct world *w), int64_t max_ms)
{
	for (int64_t end = w->now_ms + max_ms; w->now_ms < end && !w->failed; world_run(w, 10))
		if (so(w))
			return true;
	return so(w);
}

void add_instance(struct world *w, const char *name, const char *nodes, const char *be)
{
	char args[512];

	(void)snprintf(args, sizeof(args), "{\"name\":\"%s\",\"disk\":[{\"size\":1024}],\"node\":\"%s\",\"no_install\":true,\"be\":{%s}}", name, nodes, be);
	int64_t job = world_request(w, "instance.add", args);
	CHECK(world_settle(w, 120000));
	CHECK(strcmp(world_job_state(w, job), "success") == 0);
}

const struct instance *inst(struct world *w, const char *name)
{
	struct sinstance *s = state_instance_named(core_state(w->core), name);

	return s ? &s->i : NULL;
}

const char *owner(struct world *w, const char *name)
{
	const struct instance *i = inst(w, name);

	return i ? state_node_name(core_state(w->core), i->own.owner) : "?";
}

int runs_at(struct world *w, const char *name)
{
	int at = -1;

	return world_guest_runs(w, inst(w, name)->uuid, &at) ? at : -1;
}

enum liveness live(struct world *w, int node)
{
	const struct snode *n = state_node(core_state(w->core), w->nodes[node].uuid);

	return n->n.liveness == NODE_ONLINE && n->suspect ? NODE_SUSPECT : (enum liveness)n->n.liveness;
}

struct w_thing *vm1_at(struct world *w, int node)
{
	for (int i = 0; i < w->nodes[node].n_things; i++)
		if (strcmp(w->nodes[node].things[i].uuid, inst(w, "vm1")->uuid) == 0)
			return &w->nodes[node].things[i];
	abort();
}

int64_t filed(const struct world *w)
{
	for (int i = 0; i < w->n_kvs; i++)
		if (strcmp(w->kvs[i].key, "/gantry/lastjob") == 0)
			return strtoll(w->kvs[i].value, NULL, 10);
	return 0;
}

bool event_says(struct world *w, const char *words)
{
	(void)world_request(w, "event.list", "{}");
	return strstr(w->last_reply, words) != NULL;
}

bool job_open(struct world *w)
{
	return core_jobs_open(w->core) > 0;
}

bool vm1_guarded(struct world *w)
{
	const struct instance *i = inst(w, "vm1");

	return strcmp(i->guard_node, i->own.owner) == 0 && i->guard_rev == 1 + i->ha_rev + core_state(w->core)->cluster.ha_rev;
}

bool vm1_on_2(struct world *w)
{
	return runs_at(w, "vm1") == 1;
}

bool vm1_on_3(struct world *w)
{
	return runs_at(w, "vm1") == 2;
}
