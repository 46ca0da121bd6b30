/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/none.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "hypervisor/hypervisor.h"

#define MIB (1024 * 1024)

static int refuse(struct err *err)
{
	return err_set(err, ERR_NOT_SUPPORTED, "this node is a witness: it runs no guests");
}

static int none_start(struct hypervisor *h, const struct hv_guest *g, bool paused, struct err *err)
{
	(void)h;
	(void)g;
	(void)paused;
	return refuse(err);
}

/* Nothing runs here: it is gone already. */
static int none_shutdown(struct hypervisor *h, const char *uuid, int timeout_ms, struct err *err)
{
	(void)h;
	(void)uuid;
	(void)timeout_ms;
	(void)err;
	return 0;
}

static int none_gone(struct hypervisor *h, const char *uuid, struct err *err)
{
	(void)h;
	(void)uuid;
	(void)err;
	return 0;
}

static int none_refused(struct hypervisor *h, const char *uuid, struct err *err)
{
	(void)h;
	(void)uuid;
	return refuse(err);
}

static int none_migrate(struct hypervisor *h, const char *uuid, const struct hv_migrate *m, struct err *err)
{
	(void)h;
	(void)uuid;
	(void)m;
	return refuse(err);
}

static int none_info(struct hypervisor *h, const char *uuid, struct hv_info *ret, struct err *err)
{
	(void)h;
	(void)uuid;
	(void)err;
	memset(ret, 0, sizeof(*ret));
	ret->state = HV_NONE;
	return 0;
}

static int none_list(struct hypervisor *h, struct hv_info **ret, int *ret_n, struct err *err)
{
	(void)h;
	(void)err;
	*ret = NULL;
	*ret_n = 0;
	return 0;
}

static int none_node_info(struct hypervisor *h, struct hv_node_info *ret, struct err *err)
{
	struct sysinfo s;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	(void)h;
	if (sysinfo(&s) < 0)
		return err_errno(err, ERR_IO, "cannot read the machine's memory");
	memset(ret, 0, sizeof(*ret));
	ret->memory_total_mib = (int64_t)((uint64_t)s.totalram * s.mem_unit / MIB);
	ret->memory_free_mib = (int64_t)((uint64_t)s.freeram * s.mem_unit / MIB);
	ret->cpus = cpus > 0 ? (int)cpus : 1;
	(void)memcpy(ret->version, "none", sizeof("none"));
	return 0;
}

static int none_baseline(struct hypervisor *h, const char *const *host_cpu_xml, int n, char **ret_xml, struct err *err)
{
	(void)h;
	(void)host_cpu_xml;
	(void)n;
	(void)ret_xml;
	return refuse(err);
}

static int none_grown(struct hypervisor *h, const char *uuid, const char *path, int64_t size_mib, struct err *err)
{
	(void)h;
	(void)uuid;
	(void)path;
	(void)size_mib;
	return refuse(err);
}

static const struct hypervisor_ops ops = {
	.name = "none",
	.start = none_start,
	.shutdown = none_shutdown,
	.destroy = none_gone,
	.reset = none_refused,
	.suspend = none_refused,
	.resume = none_refused,
	.disk_grown = none_grown,
	.migrate = none_migrate,
	.migrate_cancel = none_gone,
	.info = none_info,
	.list = none_list,
	.node_info = none_node_info,
	.baseline = none_baseline,
};

struct hypervisor *none_new(void)
{
	static struct hypervisor none = { .ops = &ops };

	return &none;
}
