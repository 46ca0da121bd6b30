/* SPDX-License-Identifier: Apache-2.0 */
/* Guests: start, stop, and the halves of a migration. What runs where is the master's to say; these look and do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "hypervisor/hypervisor.h"
#include "node/exec_inside.h"

static int info_of(struct exec_env *env, const char *uuid, struct hv_info *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	return env->hv->ops->info(env->hv, uuid, ret, err);
}

static int state_of(struct exec_env *env, const char *uuid, enum hv_state *ret, struct err *err)
{
	struct hv_info info;
	int rc = info_of(env, uuid, &info, err);

	if (rc == 0)
		*ret = info.state;
	return rc;
}

/* ---- start ------------------------------------------------------------------------------------------- */

struct texts { /* what hv_guest borrows */
	char *console;
};

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void fill(struct exec_env *env, const struct step_guest *a, struct hv_guest *g, struct texts *t)
{
	const char *cpu = or_empty(a->hv.cpu_type);

	memset(g, 0, sizeof(*g));
	(void)str_copy(g->name, sizeof(g->name), a->name);
	(void)str_copy(g->uuid, sizeof(g->uuid), a->uuid);
	g->memory_mib = a->be.memory;
	g->vcpus = (int)a->be.vcpus;
	g->domain_type = domain_type_names[a->hv.domain_type >= 0 ? a->hv.domain_type : DOMAIN_KVM];
	g->machine = or_empty(a->hv.machine);
	bool baseline = strcmp(cpu, "baseline") == 0 || !cpu[0];
	g->cpu_xml = baseline && a->hv.domain_type != DOMAIN_QEMU ? or_empty(a->cpu_xml) : "";
	g->cpu_type = baseline ? "" : cpu;
	g->kernel_path = or_empty(a->hv.kernel_path);
	g->initrd_path = or_empty(a->hv.initrd_path);
	g->kernel_args = or_empty(a->hv.kernel_args);
	g->boot_order = or_empty(a->hv.boot_order);
	g->cdrom_image_path = or_empty(a->hv.cdrom_image_path);
	g->vnc_bind_address = or_empty(a->hv.vnc_bind_address);
	t->console = env->console_dir ? xasprintf("%s/%s.log", env->console_dir, a->name) : NULL;
	g->console_path = or_empty(t->console);
	g->acpi = a->hv.acpi == 1;
	g->serial_console = a->hv.serial_console == 1;
	g->n_disks = a->n_disks;
	for (int i = 0; i < a->n_disks; i++) {
		struct hv_disk *d = &g->disks[i];

		(void)str_copy(d->path, sizeof(d->path), a->disks[i].path);
		d->block = a->disks[i].block == 1;
		(void)str_copy(d->format, sizeof(d->format), "raw");
		(void)str_copy(d->cache, sizeof(d->cache), disk_cache_names[a->hv.disk_cache >= 0 ? a->hv.disk_cache : CACHE_NONE]);
		(void)str_copy(d->bus, sizeof(d->bus), disk_bus_names[a->hv.disk_type >= 0 ? a->hv.disk_type : BUS_VIRTIO]);
	}
	g->n_nics = a->n_nics;
	for (int i = 0; i < a->n_nics; i++) {
		(void)str_copy(g->nics[i].mac, sizeof(g->nics[i].mac), a->nics[i].mac);
		(void)str_copy(g->nics[i].bridge, sizeof(g->nics[i].bridge), or_empty(a->nics[i].link));
		(void)str_copy(g->nics[i].model, sizeof(g->nics[i].model), nic_model_names[a->hv.nic_type >= 0 ? a->hv.nic_type : NIC_VIRTIO]);
	}
}

int probe_guest_start(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	enum hv_state s = HV_NONE;
	int rc = state_of(env, ((const struct step_guest *)c->args)->uuid, &s, err);

	*ret = rc == 0 && s == HV_RUNNING;
	return rc;
}

int do_guest_start(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_guest *a = c->args;
	struct hv_guest g;
	struct texts t = { NULL };
	int rc = env->authorise(env, a->uuid, AUTH_START, err);

	(void)ret;
	if (rc < 0)
		return rc;
	fill(env, a, &g, &t);
	rc = env->hv->ops->start(env->hv, &g, false, err);
	free(t.console);
	/* What was there already may stand still since a migration that was given up; the permission to start it is fresh. */
	enum hv_state s = HV_NONE;
	if (rc == 0)
		rc = state_of(env, a->uuid, &s, err);
	return rc == 0 && s == HV_PAUSED ? env->hv->ops->resume(env->hv, a->uuid, err) : rc;
}

int undo_guest_start(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return env->hv->ops->destroy(env->hv, ((const struct step_guest *)c->args)->uuid, err);
}

/* A guest that has ended meanwhile sees it when it starts. */
int do_guest_grow(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_guest_grow *a = c->args;
	enum hv_state s = HV_NONE;
	int rc = state_of(env, a->uuid, &s, err);

	(void)ret;
	return rc < 0 || s == HV_NONE ? rc : env->hv->ops->disk_grown(env->hv, a->uuid, a->path, a->size, err);
}

/* ---- stop -------------------------------------------------------------------------------------------------- */

int probe_guest_gone(struct exec_env *env, const struct exec_call *c, bool *ret, struct err *err)
{
	enum hv_state s = HV_RUNNING;
	int rc = state_of(env, ((const struct step_guest_ref *)c->args)->uuid, &s, err);

	*ret = rc == 0 && s == HV_NONE;
	return rc;
}

#define SHUTDOWN_SLICE_MS 10000

/* In slices, so that a cancel is heard; each presses the button again, for guests that were not listening yet. */
static int ask_to_shut_down(struct exec_env *env, const struct exec_call *c, const struct step_guest_ref *a, struct err *err)
{
	struct err ignored = ERR_INIT;
	enum hv_state s = HV_NONE;
	int rc = state_of(env, a->uuid, &s, err);

	for (int64_t left_ms = a->timeout_s * 1000; rc == 0 && s != HV_NONE; left_ms -= SHUTDOWN_SLICE_MS) {
		if (left_ms <= 0)
			return err_set(err, ERR_TIMEOUT, "guest '%s' has not shut down within %lld s", a->name, (long long)a->timeout_s),
			       err_hint(err, "look at its console; --force ends it");
		if (c->canceled && __atomic_load_n(c->canceled, __ATOMIC_ACQUIRE))
			return err_set(err, ERR_CANCELED, "canceled while guest '%s' shuts down", a->name);
		rc = env->hv->ops->shutdown(env->hv, a->uuid, (int)(left_ms < SHUTDOWN_SLICE_MS ? left_ms : SHUTDOWN_SLICE_MS), &ignored);
		if (rc == 0)
			return 0;
		if (rc != -ERR_TIMEOUT) {
			if (err)
				*err = ignored;
			return rc;
		}
		err_clear(&ignored);
		rc = state_of(env, a->uuid, &s, err);
	}
	return rc;
}

int do_guest_shutdown(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_guest_ref *a = c->args;
	struct err why = ERR_INIT;
	int rc = ask_to_shut_down(env, c, a, &why);

	(void)ret;
	/* A guest that does not listen is ended, as 'shutdown' has meant since Ganeti. */
	if (rc < 0 && rc != -ERR_CANCELED && a->force == 1)
		return env->hv->ops->destroy(env->hv, a->uuid, err);
	if (rc < 0 && err)
		*err = why;
	return rc;
}

int do_guest_destroy(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return env->hv->ops->destroy(env->hv, ((const struct step_guest_ref *)c->args)->uuid, err);
}

int do_guest_reset(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	(void)ret;
	return env->hv->ops->reset(env->hv, ((const struct step_guest_ref *)c->args)->uuid, err);
}

/* ---- migration: the source -------------------------------------------------------------------------------------- */

int do_guest_hold(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_guest_ref *a = c->args;
	struct hv_info info;
	int rc = info_of(env, a->uuid, &info, err);

	if (rc < 0)
		return rc;
	if (info.state != HV_RUNNING && info.state != HV_PAUSED)
		return err_set(err, ERR_WRONG_STATE, "guest '%s' does not run on this node (%s)", a->name, hv_state_name(info.state));
	if (info.migrating)
		return err_set(err, ERR_BUSY, "guest '%s' is being migrated already", a->name),
		       err_hint(err, "'virsh domjobinfo %s' on its node; 'virsh domjobabort %s' ends it", a->name, a->name);
	*ret = json_pack("{s:s}", "state", hv_state_name(info.state));
	return 0;
}

/* Comes last of all undos: by then the target's half is gone, so the source may go on. */
int undo_guest_hold(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	const struct step_guest_ref *a = c->args;
	struct hv_info info;
	int rc = info_of(env, a->uuid, &info, err);

	if (rc < 0 || info.state != HV_PAUSED)
		return rc; /* runs, or is gone: the reconciler starts it again then */
	if (info.migrating)
		return err_set(err, ERR_BUSY, "the migration of guest '%s' has not ended yet", a->name);
	rc = env->authorise(env, a->uuid, AUTH_RESUME, err);
	return rc < 0 ? rc : env->hv->ops->resume(env->hv, a->uuid, err);
}

static void on_progress(void *arg, int permille, const char *text)
{
	const struct exec_call *c = arg;

	if (c->progress)
		c->progress(c->progress_arg, permille, text);
}

int do_guest_migrate(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_migrate *a = c->args;
	bool v6 = strchr(a->target_address, ':') != NULL;
	/* libvirt too is asked over the replication network: a node that has lost the primary one must still be able to send its guests away. */
	AUTO_FREE char *uri = xasprintf(v6 ? "%s://[%s]/system" : "%s://%s/system", env->hv_scheme, a->target_address);
	AUTO_FREE char *data = xasprintf(v6 ? "tcp://[%s]" : "tcp://%s", a->target_address);
	struct hv_migrate m = {
		.dest_uri = uri,
		.dest_name = a->target_name,
		.migrate_uri = data,
		.tls = env->migrate_tls,
		.live = a->live == 1,
		.paused_on_arrival = RULE(PAUSED_ARRIVAL), /* it runs there only after the pivot (H15) */
		.bandwidth_mib_s = a->bandwidth,
		.downtime_ms = a->downtime,
		.auto_converge = a->auto_converge == 1,
		.progress = on_progress,
		.arg = (void *)(uintptr_t)c,
	};
	struct err first = ERR_INIT, second = ERR_INIT;
	enum hv_state s = HV_NONE;

	(void)ret;
	if (c->canceled && __atomic_load_n(c->canceled, __ATOMIC_ACQUIRE))
		return err_set(err, ERR_CANCELED, "canceled before the migration of guest '%s' began", a->name);
	int rc = state_of(env, a->uuid, &s, err);
	if (rc < 0 || s == HV_NONE) /* done before, as far as this side can see: the target is asked next */
		return rc;
	rc = env->hv->ops->migrate(env->hv, a->uuid, &m, &first);
	if (rc == 0)
		return 0;
	/* The answer says nothing about where the guest is. Gone from here means that it has arrived, canceled too late or not: it
	 * must not be killed over there as an attempt that failed. The target is asked next. */
	if (state_of(env, a->uuid, &s, &second) == 0 && s == HV_NONE)
		return 0;
	if (err)
		*err = first;
	return rc;
}

int undo_guest_migrate(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return env->hv->ops->migrate_cancel(env->hv, ((const struct step_migrate *)c->args)->uuid, err);
}

/* ---- migration: the target ------------------------------------------------------------------------------------------ */

int do_guest_expect(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_guest *a = c->args;
	struct hv_node_info info;
	enum hv_state s = HV_NONE;
	int rc = state_of(env, a->uuid, &s, err);

	(void)ret;
	if (rc < 0)
		return rc;
	if (s != HV_NONE)
		return err_set(err, ERR_CONFLICT, "a guest '%s' is on the target already (%s)", a->name, hv_state_name(s)),
		       err_hint(err, "'gnt instance migrate --cleanup %s'", a->name);
	memset(&info, 0, sizeof(info));
	rc = env->hv->ops->node_info(env->hv, &info, err);
	free(info.host_cpu_xml);
	if (rc == 0 && info.memory_free_mib < a->be.memory)
		return err_set(err, ERR_NO_MEMORY, "this node has %lld MiB of memory free, guest '%s' needs %lld MiB", (long long)info.memory_free_mib,
			       a->name, (long long)a->be.memory);
	return rc;
}

int undo_guest_expect(struct exec_env *env, const struct exec_call *c, struct err *err)
{
	return env->hv->ops->destroy(env->hv, ((const struct step_guest *)c->args)->uuid, err);
}

int do_guest_arrived(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_guest_ref *a = c->args;
	struct hv_info info;
	int rc = info_of(env, a->uuid, &info, err);

	(void)ret;
	if (rc == 0 && (info.state != HV_PAUSED || info.migrating))
		return err_set(err, ERR_HYPERVISOR, "guest '%s' has not arrived whole on the target (%s)", a->name, hv_state_name(info.state));
	return rc;
}

int do_guest_resume(struct exec_env *env, const struct exec_call *c, json_t **ret, struct err *err)
{
	const struct step_guest_ref *a = c->args;
	enum hv_state s = HV_NONE;
	int rc = state_of(env, a->uuid, &s, err);

	(void)ret;
	if (rc < 0 || s == HV_RUNNING)
		return rc; /* nothing to permit */
	rc = env->authorise(env, a->uuid, AUTH_RESUME, err);
	return rc < 0 ? rc : env->hv->ops->resume(env->hv, a->uuid, err);
}
