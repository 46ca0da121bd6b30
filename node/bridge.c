/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "io/files.h"
#include "node/guard.h"
#include "node/node.h"

#define WORKERS 8
#define TICK_MS 100
#define IDENTITY_EVERY_MS 2000

static void follow_identity(struct noded *n)
{
	int64_t now = loop_now_ms(n->loop);

	if (!n->member || now < n->identity_next_ms)
		return;
	n->identity_next_ms = now + IDENTITY_EVERY_MS;
	if (!identity_changed(&n->conf, &n->id))
		return;
	struct err err = ERR_INIT;
	if (identity_load(&n->conf, &n->id, &err) < 0) {
		log_err_record(LOG_LEVEL_WARNING, "the new certificate", &err);
		return;
	}
	log_notice("a new certificate is used");
	observe_now(n); /* the master waits to hear of it */
}

static void tick(void *arg)
{
	struct noded *n = arg;

	uplink_tick(n);
	watch_tick(n);
	observe_tick(n);
	arbitrate_tick(n);
	guard_tick(n);
	local_tick(n);
	takeover_tick(n);
	follow_identity(n);
}

static void default_name(struct conf *c)
{
	if (!c->node_name[0] && gethostname(c->node_name, sizeof(c->node_name) - 1) < 0)
		c->node_name[0] = '\0'; /* init and join then say what is missing */
}

/* ---- membership --------------------------------------------------------------------------------------- */

static int load_settings(struct noded *n, struct err *err)
{
	AUTO_FREE char *path = conf_state_path(&n->conf, "settings.json");
	AUTO_FREE char *text = NULL;
	int rc = file_read_text(path, 4 * 1024 * 1024, &text, err);

	if (rc < 0)
		return rc;
	AUTO_JSON json_t *j = NULL;
	schema_done(&step_settings_schema, &n->settings);
	rc = json_parse(text, strlen(text), FRAME_MAX, &j, err);
	if (rc == 0) /* a newer version may have written it: then the master keeps this one out, but it must start to say so */
		rc = schema_decode_greeting(&step_settings_schema, &n->settings, j, err);
	if (rc == 0) {
		n->conf.lease_ms = n->settings.lease_ms; /* what was heard last */
		agent_set_level(n->agent, n->settings.level);
	}
	return rc;
}

int node_become_member(struct noded *n, struct err *err)
{
	struct conf fresh;
	int rc = conf_load(n->conf.root, &fresh, err);

	if (rc < 0)
		return rc;
	default_name(&fresh);
	bool other_parts = fresh.witness != n->conf.witness;
	conf_done(&n->conf);
	n->conf = fresh;
	if (other_parts) /* no guests, no disks: nobody uses them, this machine was in no cluster */
		backends_free(&n->env);
	rc = other_parts ? backends_new(&n->conf, &n->env, err) : 0;
	if (rc == 0)
		rc = identity_load(&n->conf, &n->id, err);
	if (rc == 0)
		rc = load_settings(n, err);
	n->env.node_uuid = n->conf.node_uuid;
	n->member = rc == 0;
	return rc;
}

void node_left(struct noded *n)
{
	log_notice("this machine is in no cluster any more");
	n->member = false;
	identity_done(&n->id);
	n->conf.node_uuid[0] = '\0';
	uplink_close_all(n);
	n->n_gens = 0;
	schema_done(&step_settings_schema, &n->settings);
}

/* ---- waiting, for step handlers ---------------------------------------------------------------------------- */

static int wait_ms(struct exec_env *env, const struct exec_call *call, int ms, struct err *err)
{
	(void)env;
	for (int left = ms; left > 0; left -= 50) {
		if (call && call->canceled && __atomic_load_n(call->canceled, __ATOMIC_ACQUIRE))
			return err_set(err, ERR_CANCELED, "canceled");
		worker_pause(left < 50 ? left : 50);
	}
	return 0;
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static int set_up(struct noded *n, struct err *err)
{
	static const char *const dirs[] = { "console", "stale", "pinned", "split" };
	int rc = boot_id_read(n->boot, err);

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && rc == 0; i++) {
		AUTO_FREE char *dir = conf_state_path(&n->conf, dirs[i]);

		rc = dir_make(dir, 0700, err);
	}
	if (rc == 0)
		rc = backends_new(&n->conf, &n->env, err);
	if (rc < 0)
		return rc;
	backends_boot(&n->conf, n->boot);
	n->env.system = system_new(&n->conf, n);
	n->env.node_uuid = n->conf.node_uuid;
	n->env.console_dir = conf_state_path(&n->conf, "console");
	n->env.handler_path = xasprintf("%s/gantry-noded", n->conf.program_dir);
	n->env.hv_scheme = "qemu+tls";
	n->env.migrate_tls = strcmp(n->conf.hypervisor, "libvirt") == 0;
	n->env.time_factor = (double)n->conf.slow;
	n->env.authorise = authorise_call;
	n->env.wait = wait_ms;
	n->env.arg = n;
	n->workers = workers_new(n->loop, WORKERS);
	rc = guard_new(n, err);
	if (rc == 0)
		rc = steps_new(n, err);
	return rc < 0 ? rc : local_new(n, err);
}

int node_new(struct loop *l, const struct conf *conf, struct noded **ret, struct err *err)
{
	struct noded *n = xcalloc(1, sizeof(*n));

	n->loop = l;
	conf_copy(&n->conf, conf);
	default_name(&n->conf);
	list_init(&n->waits);
	list_init(&n->steps);
	list_init(&n->calls);
	list_init(&n->handlers);
	schema_init(&observed_schema, &n->seen);
	schema_init(&step_settings_schema, &n->settings);
	for (int i = 0; i < UPLINK_STALE; i++)
		n->up[i].side = i + 1;
	int rc = set_up(n, err);
	if (rc == 0 && conf->node_uuid[0])
		rc = node_become_member(n, err);
	if (rc < 0) {
		node_free(n);
		return rc;
	}
	n->timer = loop_timer_new(l, tick, n);
	loop_timer_start(n->timer, 0, TICK_MS);
	*ret = n;
	return 0;
}

void node_free(struct noded *n)
{
	if (!n)
		return;
	n->stopping = true;
	if (n->timer)
		loop_timer_free(n->timer);
	watch_free(n);
	authorise_abort(n);
	workers_free(n->workers);
	guard_free(n);
	uplink_free(n);
	takeover_free(n);
	local_free(n);
	if (n->agent)
		steps_free(n);
	system_free(n->env.system);
	backends_free(&n->env);
	free((char *)(uintptr_t)n->env.console_dir);
	free((char *)(uintptr_t)n->env.handler_path);
	identity_done(&n->id);
	schema_done(&observed_schema, &n->seen);
	schema_done(&step_settings_schema, &n->settings);
	free(n->gens);
	report_forget(n);
	strs_clear(&n->unmarked, &n->n_unmarked);
	free(n->unkept);
	conf_done(&n->conf);
	free(n);
}
