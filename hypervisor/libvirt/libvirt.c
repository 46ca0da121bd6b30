/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/libvirt/libvirt.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/xmem.h"
#include "hypervisor/libvirt/guest_xml.h"

#define GONE_POLL_MS 100
#define DESTROY_MS 30000

struct lv {
	struct hypervisor hv;
	pthread_mutex_t lock; /* guards conn */
	virConnectPtr conn;   /* NULL = not connected; users hold references */
	char *uri;
	pthread_t events;
	bool stop;
	pthread_mutex_t caps_lock;
	char *host_cpu; /* asked once: the probe is slow */
	bool caps_asked, kvm;
};

static struct lv *self(struct hypervisor *h)
{
	return (struct lv *)(void *)h;
}

static void wait_a_moment(void)
{
	struct timespec t = { .tv_nsec = GONE_POLL_MS * 1000000L };

	(void)nanosleep(&t, NULL);
}

/* ---- errors, connection -------------------------------------------------------------------------------- */

static void quiet(void *arg, virErrorPtr e)
{
	(void)arg;
	(void)e; /* errors are returned, not printed */
}

static bool connection_lost(const virError *e)
{
	return e && (e->code == VIR_ERR_NO_CONNECT || e->code == VIR_ERR_INVALID_CONN || e->code == VIR_ERR_SYSTEM_ERROR ||
		     (e->code == VIR_ERR_INTERNAL_ERROR && e->domain == VIR_FROM_RPC));
}

static int fail(struct err *err, const char *what)
{
	virErrorPtr e = virGetLastError();
	const char *why = e && e->message ? e->message : "unknown error";

	if (connection_lost(e))
		return err_set(err, ERR_LIBVIRT_DOWN, "%s: libvirt does not answer: %s", what, why);
	if (e && e->code == VIR_ERR_OPERATION_ABORTED)
		return err_set(err, ERR_CANCELED, "%s: %s", what, why);
	return err_set(err, ERR_HYPERVISOR, "%s: %s", what, why);
}

static int connection(struct lv *v, virConnectPtr *ret, struct err *err)
{
	int rc = 0;

	(void)pthread_mutex_lock(&v->lock);
	if (v->conn && virConnectIsAlive(v->conn) != 1) {
		(void)virConnectClose(v->conn);
		v->conn = NULL;
	}
	if (!v->conn) {
		v->conn = virConnectOpen(v->uri);
		if (!v->conn) {
			rc = fail(err, "connecting to libvirt");
			if (err)
				err->code = ERR_LIBVIRT_DOWN;
			rc = -ERR_LIBVIRT_DOWN;
		} else {
			(void)virConnectSetKeepAlive(v->conn, 5, 3);
		}
	}
	if (rc == 0) {
		(void)virConnectRef(v->conn);
		*ret = v->conn;
	}
	(void)pthread_mutex_unlock(&v->lock);
	return rc;
}

/* The domain, or *ret = NULL when there is none. */
static int domain(struct lv *v, const char *uuid, virConnectPtr *ret_conn, virDomainPtr *ret, struct err *err)
{
	int rc = connection(v, ret_conn, err);

	if (rc < 0)
		return rc;
	*ret = virDomainLookupByUUIDString(*ret_conn, uuid);
	if (!*ret && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN) {
		rc = fail(err, "looking for a guest");
		(void)virConnectClose(*ret_conn);
	}
	return rc;
}

static void release(virConnectPtr c, virDomainPtr d)
{
	if (d)
		(void)virDomainFree(d);
	(void)virConnectClose(c);
}

/* ---- what there is ------------------------------------------------------------------------------------------ */

static enum hv_state translate(int state, int reason)
{
	switch (state) {
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED: return HV_RUNNING;
	case VIR_DOMAIN_PAUSED:
		return reason == VIR_DOMAIN_PAUSED_STARTING_UP || reason == VIR_DOMAIN_PAUSED_MIGRATION ? HV_INCOMING : HV_PAUSED;
	case VIR_DOMAIN_SHUTDOWN: return HV_SHUTDOWN;
	case VIR_DOMAIN_CRASHED: return HV_CRASHED;
	default: return HV_NONE;
	}
}

static void describe(virDomainPtr d, struct hv_info *i)
{
	virDomainInfo info;
	virDomainJobInfo job;
	int state = 0, reason = 0;
	char *xml = virDomainGetXMLDesc(d, 0);

	memset(i, 0, sizeof(*i));
	(void)str_copy(i->name, sizeof(i->name), virDomainGetName(d));
	(void)virDomainGetUUIDString(d, i->uuid);
	if (virDomainGetState(d, &state, &reason, 0) == 0)
		i->state = translate(state, reason);
	if (virDomainGetInfo(d, &info) == 0) {
		i->memory_mib = (int64_t)(info.maxMem / 1024);
		i->vcpus = info.nrVirtCpu;
	}
	i->migrating = virDomainGetJobInfo(d, &job) == 0 && job.type != VIR_DOMAIN_JOB_NONE;
	i->ours = xml && guest_xml_is_ours(xml);
	free(xml);
}

static int lv_info(struct hypervisor *h, const char *uuid, struct hv_info *ret, struct err *err)
{
	virConnectPtr c;
	virDomainPtr d = NULL;
	int rc = domain(self(h), uuid, &c, &d, err);

	memset(ret, 0, sizeof(*ret));
	if (rc < 0)
		return rc;
	if (d)
		describe(d, ret);
	release(c, d);
	return 0;
}

static int lv_list(struct hypervisor *h, struct hv_info **ret, int *ret_n, struct err *err)
{
	virConnectPtr c;
	virDomainPtr *all = NULL;
	int rc = connection(self(h), &c, err);

	if (rc < 0)
		return rc;
	int n = virConnectListAllDomains(c, &all, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	if (n < 0) {
		rc = fail(err, "listing guests");
		release(c, NULL);
		return rc;
	}
	struct hv_info *list = xcalloc((size_t)n + 1, sizeof(*list));
	for (int i = 0; i < n; i++) {
		describe(all[i], &list[i]);
		(void)virDomainFree(all[i]);
	}
	free(all);
	release(c, NULL);
	*ret = list;
	*ret_n = n;
	return 0;
}

static void ask_capabilities(struct lv *v, virConnectPtr c)
{
	(void)pthread_mutex_lock(&v->caps_lock);
	if (!v->caps_asked) {
		char *xml = virConnectGetDomainCapabilities(c, NULL, "x86_64", NULL, "kvm", 0);

		v->kvm = xml != NULL;
		v->host_cpu = xml ? guest_xml_host_cpu(xml) : NULL;
		v->caps_asked = true;
		free(xml);
	}
	(void)pthread_mutex_unlock(&v->caps_lock);
}

static int64_t memory_free_mib(virConnectPtr c)
{
	virNodeMemoryStats s[16];
	int n = 0;
	int64_t kib = 0;

	/* The count must be asked for first: any other is an error. */
	if (virNodeGetMemoryStats(c, VIR_NODE_MEMORY_STATS_ALL_CELLS, NULL, &n, 0) < 0 || n > 16)
		return 0;
	/* What can be had: free, and what the kernel would give back. */
	if (virNodeGetMemoryStats(c, VIR_NODE_MEMORY_STATS_ALL_CELLS, s, &n, 0) < 0)
		return 0;
	for (int i = 0; i < n; i++)
		if (strcmp(s[i].field, "free") == 0 || strcmp(s[i].field, "buffers") == 0 || strcmp(s[i].field, "cached") == 0)
			kib += (int64_t)s[i].value;
	return kib / 1024;
}

static int lv_node_info(struct hypervisor *h, struct hv_node_info *ret, struct err *err)
{
	struct lv *v = self(h);
	virConnectPtr c;
	virNodeInfo info;
	unsigned long lib = 0, hyp = 0;
	int rc = connection(v, &c, err);

	memset(ret, 0, sizeof(*ret));
	if (rc < 0)
		return rc;
	if (virNodeGetInfo(c, &info) < 0 || virConnectGetLibVersion(c, &lib) < 0) {
		rc = fail(err, "asking about this machine");
		release(c, NULL);
		return rc;
	}
	(void)virConnectGetVersion(c, &hyp);
	ask_capabilities(v, c);
	ret->memory_total_mib = (int64_t)(info.memory / 1024);
	ret->memory_free_mib = memory_free_mib(c);
	ret->cpus = (int)info.cpus;
	(void)snprintf(ret->version, sizeof(ret->version), "libvirt %lu.%lu.%lu QEMU %lu.%lu.%lu", lib / 1000000, lib / 1000 % 1000, lib % 1000,
		       hyp / 1000000, hyp / 1000 % 1000, hyp % 1000);
	(void)pthread_mutex_lock(&v->caps_lock);
	ret->host_cpu_xml = v->host_cpu ? xstrdup(v->host_cpu) : NULL;
	ret->kvm = v->kvm;
	(void)pthread_mutex_unlock(&v->caps_lock);
	release(c, NULL);
	return 0;
}

static int lv_baseline(struct hypervisor *h, const char *const *xml, int n, char **ret_xml, struct err *err)
{
	virConnectPtr c;
	int rc = connection(self(h), &c, err);

	if (rc < 0)
		return rc;
	char *out = virConnectBaselineHypervisorCPU(c, NULL, "x86_64", NULL, "kvm", (const char **)(uintptr_t)xml, (unsigned)n,
						    VIR_CONNECT_BASELINE_CPU_MIGRATABLE);
	if (out)
		*ret_xml = out;
	else
		rc = fail(err, "common CPU model");
	release(c, NULL);
	return rc;
}

/* ---- start, stop ------------------------------------------------------------------------------------------------ */

static int refuse_foreign(virConnectPtr c, const struct hv_guest *g, struct err *err)
{
	virDomainPtr other = virDomainLookupByName(c, g->name);

	if (!other)
		return 0;
	(void)virDomainFree(other);
	return err_set(err, ERR_FOREIGN, "a domain called '%s' is on this node, and it is not this instance", g->name);
}

static int lv_start(struct hypervisor *h, const struct hv_guest *g, bool paused, struct err *err)
{
	AUTO_FREE char *xml = NULL;
	virConnectPtr c;
	virDomainPtr d = NULL;
	int rc = guest_xml_write(g, &xml, err);

	if (rc == 0)
		rc = domain(self(h), g->uuid, &c, &d, err);
	if (rc < 0)
		return rc;
	if (!d) {
		rc = refuse_foreign(c, g, err);
		if (rc == 0) {
			d = virDomainCreateXML(c, xml, paused ? VIR_DOMAIN_START_PAUSED : 0);
			if (!d)
				rc = fail(err, "starting the guest");
		}
	}
	release(c, d);
	return rc;
}

static int until_gone(virConnectPtr c, const char *uuid, int ms)
{
	for (int left = ms; left > 0; left -= GONE_POLL_MS) {
		virDomainPtr d = virDomainLookupByUUIDString(c, uuid);

		if (!d && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
			return 0;
		if (d)
			(void)virDomainFree(d);
		wait_a_moment();
	}
	return -ERR_TIMEOUT;
}

static int lv_shutdown(struct hypervisor *h, const char *uuid, int timeout_ms, struct err *err)
{
	virConnectPtr c;
	virDomainPtr d = NULL;
	int rc = domain(self(h), uuid, &c, &d, err);

	if (rc < 0)
		return rc;
	if (d) {
		if (virDomainShutdown(d) < 0 && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
			rc = fail(err, "asking the guest to shut down");
		else if (until_gone(c, uuid, timeout_ms) < 0)
			rc = err_set(err, ERR_TIMEOUT, "the guest has not shut down within %d s", timeout_ms / 1000);
	}
	release(c, d);
	return rc;
}

static int lv_destroy(struct hypervisor *h, const char *uuid, struct err *err)
{
	virConnectPtr c;
	virDomainPtr d = NULL;
	int rc = domain(self(h), uuid, &c, &d, err);

	if (rc < 0)
		return rc;
	if (d) {
		if (virDomainDestroyFlags(d, VIR_DOMAIN_DESTROY_DEFAULT) < 0 && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
			rc = fail(err, "ending the guest");
		else if (until_gone(c, uuid, DESTROY_MS) < 0)
			rc = err_set(err, ERR_TIMEOUT, "the guest's process does not end: its disk may be frozen");
	}
	release(c, d);
	return rc;
}

static int each(struct hypervisor *h, const char *uuid, int (*fn)(virDomainPtr d), const char *what, struct err *err)
{
	virConnectPtr c;
	virDomainPtr d = NULL;
	int rc = domain(self(h), uuid, &c, &d, err);

	if (rc < 0)
		return rc;
	if (!d)
		rc = err_set(err, ERR_WRONG_STATE, "%s: it is not on this node", what);
	else if (fn(d) < 0)
		rc = fail(err, what);
	release(c, d);
	return rc;
}

static int do_reset(virDomainPtr d)
{
	return virDomainReset(d, 0);
}

static int lv_disk_grown(struct hypervisor *h, const char *uuid, const char *path, int64_t size_mib, struct err *err)
{
	virConnectPtr c;
	virDomainPtr d = NULL;
	int rc = domain(self(h), uuid, &c, &d, err);

	if (rc < 0)
		return rc;
	if (!d)
		rc = err_set(err, ERR_WRONG_STATE, "telling the guest its disk's size: it is not on this node");
	else if (virDomainBlockResize(d, path, (unsigned long long)size_mib * 1048576, VIR_DOMAIN_BLOCK_RESIZE_BYTES) < 0)
		rc = fail(err, "telling the guest its disk's size");
	release(c, d);
	return rc;
}

static int do_suspend(virDomainPtr d)
{
	int state = 0, reason = 0;

	return virDomainGetState(d, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED ? 0 : virDomainSuspend(d);
}

static int do_resume(virDomainPtr d)
{
	int state = 0, reason = 0;

	return virDomainGetState(d, &state, &reason, 0) == 0 && state == VIR_DOMAIN_RUNNING ? 0 : virDomainResume(d);
}

static int lv_reset(struct hypervisor *h, const char *uuid, struct err *err)
{
	return each(h, uuid, do_reset, "resetting the guest", err);
}

static int lv_suspend(struct hypervisor *h, const char *uuid, struct err *err)
{
	return each(h, uuid, do_suspend, "suspending the guest", err);
}

static int lv_resume(struct hypervisor *h, const char *uuid, struct err *err)
{
	return each(h, uuid, do_resume, "resuming the guest", err);
}

/* ---- migration --------------------------------------------------------------------------------------------------- */

struct watch {
	virDomainPtr d;
	const struct hv_migrate *m;
	bool stop;
};

static void tell(const struct watch *w, const virDomainJobInfo *j)
{
	char text[120];
	double total = (double)j->dataTotal, left = (double)j->dataRemaining;

	if (total <= 0)
		return;
	(void)snprintf(text, sizeof(text), "memory: %.0f of %.0f MiB left, %.0f s", left / 1048576, total / 1048576, (double)j->timeElapsed / 1000);
	w->m->progress(w->m->arg, (int)(1000 * (1 - left / total)), text);
}

static void *watch_main(void *arg)
{
	struct watch *w = arg;

	for (int n = 0; !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE); n++) {
		virDomainJobInfo j;

		if (n % 10 == 0 && virDomainGetJobInfo(w->d, &j) == 0 && j.type != VIR_DOMAIN_JOB_NONE)
			tell(w, &j);
		wait_a_moment();
	}
	return NULL;
}

static int run_migration(virDomainPtr d, const struct hv_migrate *m, struct err *err)
{
	unsigned flags = VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_ABORT_ON_ERROR;
	virTypedParameterPtr params = NULL;
	int n = 0, max = 0;

	flags |= m->live ? VIR_MIGRATE_LIVE : 0;
	flags |= m->auto_converge && m->live ? VIR_MIGRATE_AUTO_CONVERGE : 0;
	flags |= m->tls ? VIR_MIGRATE_TLS : 0;
	flags |= m->paused_on_arrival ? VIR_MIGRATE_PAUSED : 0;
	int rc = virTypedParamsAddString(&params, &n, &max, VIR_MIGRATE_PARAM_URI, m->migrate_uri);
	if (rc == 0 && m->bandwidth_mib_s)
		rc = virTypedParamsAddULLong(&params, &n, &max, VIR_MIGRATE_PARAM_BANDWIDTH, (unsigned long long)m->bandwidth_mib_s);
	if (rc == 0 && m->downtime_ms)
		(void)virDomainMigrateSetMaxDowntime(d, (unsigned long long)m->downtime_ms, 0);
	if (rc == 0)
		rc = virDomainMigrateToURI3(d, m->dest_uri, params, (unsigned)n, flags);
	virTypedParamsFree(params, n);
	return rc < 0 ? fail(err, "migrating the guest") : 0;
}

static int lv_migrate(struct hypervisor *h, const char *uuid, const struct hv_migrate *m, struct err *err)
{
	virConnectPtr c;
	virDomainPtr d = NULL;
	pthread_t t;
	int rc = domain(self(h), uuid, &c, &d, err);

	if (rc < 0)
		return rc;
	if (!d) {
		release(c, NULL);
		return err_set(err, ERR_WRONG_STATE, "the guest is not on this node");
	}
	struct watch w = { d, m, false };
	bool watched = m->progress && pthread_create(&t, NULL, watch_main, &w) == 0;
	rc = run_migration(d, m, err);
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	if (watched)
		(void)pthread_join(t, NULL);
	release(c, d);
	return rc;
}

static int lv_migrate_cancel(struct hypervisor *h, const char *uuid, struct err *err)
{
	virConnectPtr c;
	virDomainPtr d = NULL;
	int rc = domain(self(h), uuid, &c, &d, err);

	if (rc < 0)
		return rc;
	if (d && virDomainAbortJob(d) < 0 && virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID)
		rc = fail(err, "canceling the migration");
	release(c, d);
	return rc;
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

static void nothing(int timer, void *arg)
{
	(void)timer;
	(void)arg;
}

/* Keep-alive messages need somebody to run libvirt's event loop; without one they end long migrations. */
static void *events_main(void *arg)
{
	struct lv *v = arg;
	int timer = virEventAddTimeout(500, nothing, NULL, NULL);

	while (!__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE))
		if (virEventRunDefaultImpl() < 0)
			wait_a_moment();
	if (timer >= 0)
		(void)virEventRemoveTimeout(timer);
	return NULL;
}

static const struct hypervisor_ops ops = {
	.name = "libvirt",
	.start = lv_start,
	.shutdown = lv_shutdown,
	.destroy = lv_destroy,
	.reset = lv_reset,
	.disk_grown = lv_disk_grown,
	.suspend = lv_suspend,
	.resume = lv_resume,
	.migrate = lv_migrate,
	.migrate_cancel = lv_migrate_cancel,
	.info = lv_info,
	.list = lv_list,
	.node_info = lv_node_info,
	.baseline = lv_baseline,
};

int libvirt_new(const char *uri, struct hypervisor **ret, struct err *err)
{
	struct lv *v = xcalloc(1, sizeof(*v));

	v->hv.ops = &ops;
	v->uri = xstrdup(uri);
	(void)pthread_mutex_init(&v->lock, NULL);
	(void)pthread_mutex_init(&v->caps_lock, NULL);
	virSetErrorFunc(NULL, quiet);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 || pthread_create(&v->events, NULL, events_main, v) != 0) {
		free(v->uri);
		free(v);
		return err_set(err, ERR_HYPERVISOR, "libvirt's library does not start");
	}
	*ret = &v->hv;
	return 0;
}

void libvirt_free(struct hypervisor *h)
{
	if (!h)
		return;
	struct lv *v = self(h);

	__atomic_store_n(&v->stop, true, __ATOMIC_RELEASE);
	(void)pthread_join(v->events, NULL);
	if (v->conn)
		(void)virConnectClose(v->conn);
	(void)pthread_mutex_destroy(&v->lock);
	(void)pthread_mutex_destroy(&v->caps_lock);
	free(v->host_cpu);
	free(v->uri);
	free(v);
}
