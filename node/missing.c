/* SPDX-License-Identifier: Apache-2.0 */
#include "node/missing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/xmem.h"
#include "hypervisor/hypervisor.h"
#include "io/conf.h"
#include "io/files.h"
#include "node/exec.h"
#include "storage/storage.h"

#define VG_MIN_MIB 512
#define STATE_MIN_MIB 256 /* etcd reserves 64 MiB at a time, three times over in the worst case */
#define SHOWN_MAX 3       /* in the error's own line: the list has them all */

void missing_add(struct missing *m, const char *fix, const char *fmt, ...)
{
	char line[300];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!m->list)
		m->list = json_array();
	json_array_append_new(m->list, json_pack("{s:s, s:s}", "what", line, "fix", fix));
}

int missing_end(struct missing *m, json_t **ret_details, struct err *err)
{
	AUTO_JSON json_t *list = m->list;
	AUTO_BUF struct buf first = BUF_INIT;
	size_t n = json_array_size(list);

	m->list = NULL;
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n && i < SHOWN_MAX; i++)
		buf_printf(&first, "%s%s", i ? "; " : "", json_str(json_array_get(list, i), "what", ""));
	*ret_details = json_pack("{s:O}", "missing", list);
	if (n == 1) {
		(void)err_set(err, ERR_NOT_PREPARED, "%s", buf_str(&first));
		return err_hint(err, "%s", json_str(json_array_get(list, 0), "fix", ""));
	}
	(void)err_set(err, ERR_NOT_PREPARED, "%zu things are missing: %s%s", n, buf_str(&first), n > SHOWN_MAX ? "; ..." : "");
	return err_hint(err, "nothing was changed; mend them and repeat the command");
}

/* ---- storage, hypervisor, bridge --------------------------------------------------------------------- */

void missing_storage(const struct exec_env *env, const char *vg, struct missing *m)
{
	AUTO_FREE struct pool_info *pools = NULL;
	struct err err = ERR_INIT;
	int k = 0;

	if (!vg[0])
		return;
	if (!env->lvm) {
		missing_add(m, "apt-get install lvm2; systemctl restart gantry-noded", "LVM is not installed");
		return;
	}
	if (env->lvm->ops->pools(env->lvm, &pools, &k, &err) < 0) {
		missing_add(m, "vgs", "volume groups cannot be listed: %s", err.msg);
		return;
	}
	for (int i = 0; i < k; i++)
		if (strcmp(pools[i].name, vg) == 0) {
			if (pools[i].size_mib < VG_MIN_MIB)
				missing_add(m, "gnt node prepare --disk /dev/DISK --yes", "volume group '%s' has %lld MiB, at least %d MiB are needed", vg,
					    (long long)pools[i].size_mib, VG_MIN_MIB);
			return;
		}
	AUTO_FREE char *fix = xasprintf("gnt node prepare --disk /dev/DISK --vg-name %s --yes", vg);
	missing_add(m, fix, "there is no volume group '%s'", vg);
}

static void check_helper(const struct conf *conf, struct missing *m)
{
	AUTO_FREE char *path = xasprintf("%s/sys/module/drbd/parameters/usermode_helper", conf->root);
	AUTO_FREE char *helper = NULL;
	struct err err = ERR_INIT;

	if (file_read_text(path, 256, &helper, &err) < 0) {
		missing_add(m, "gnt node prepare --yes", "the kernel has not loaded DRBD");
		return;
	}
	size_t n = strlen(helper);
	if (n && helper[n - 1] == '\n')
		helper[n - 1] = '\0'; /* one is sysfs's own; a second is in the name, and the kernel will not find that file */
	if (strcmp(helper, "/sbin/drbdadm") != 0)
		missing_add(m, "gnt node prepare --yes", "DRBD's helper is '%.*s'%s, it must be /sbin/drbdadm", (int)strcspn(helper, "\n"), helper,
			    strchr(helper, '\n') ? " with a line end in it" : "");
}

void missing_machine(const struct conf *conf, const struct exec_env *env, const char *bridge, struct missing *m)
{
	struct hv_node_info info = { .memory_total_mib = 0 };
	struct err err = ERR_INIT;
	AUTO_FREE struct drbd_status *list = NULL;
	AUTO_FREE char *path = xasprintf("%s/sys/class/net/%s/bridge", conf->root, bridge);
	bool real = strcmp(conf->hypervisor, "libvirt") == 0;
	AUTO_FREE char *etcd = xasprintf("%s/usr/bin/etcd", conf->root);
	int k = 0;

	if (real && access(etcd, X_OK) < 0)
		missing_add(m, "apt-get install etcd-server", "etcd is not installed");
	if (conf->witness)
		return; /* it only votes */
	if (env->hv->ops->node_info(env->hv, &info, &err) < 0)
		missing_add(m, "systemctl start libvirtd", "libvirt does not answer: %s", err.msg);
	free(info.host_cpu_xml);
	if (!env->drbd)
		missing_add(m, "apt-get install drbd-utils; gnt node prepare --yes; systemctl restart gantry-noded", "DRBD is not installed");
	else if (env->drbd->ops->status_all(env->drbd, &list, &k, &err) < 0)
		missing_add(m, "gnt node prepare --yes", "DRBD does not answer: %s", err.msg);
	if (!real)
		return;
	check_helper(conf, m);
	if (bridge[0] && access(path, F_OK) < 0) {
		AUTO_FREE char *fix = xasprintf("gnt node prepare --bridge %s=INTERFACE --yes", bridge);

		missing_add(m, fix, "there is no bridge '%s'", bridge);
	}
}

/* ---- addresses and ports ------------------------------------------------------------------------------- */

int resolve_name(const char *name, char out[ADDR_LEN + 1])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int rc = -1;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return -1;
	for (struct addrinfo *a = list; a && rc < 0; a = a->ai_next) {
		char text[ADDR_LEN + 1];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		if (strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0 || strchr(text, '%'))
			continue; /* Debian writes the host's name beside 127.0.1.1: of no use to others, and so is fe80::1%eth0 */
		(void)str_copy(out, ADDR_LEN + 1, text);
		rc = 0;
	}
	freeaddrinfo(list);
	return rc;
}

void own_addresses(const char *address, const char *replication, struct conf *c, struct missing *m)
{
	if (address[0])
		(void)str_copy(c->address, sizeof(c->address), address);
	else if (!c->address[0] && (!c->node_name[0] || resolve_name(c->node_name, c->address) < 0))
		missing_add(m, "write it into /etc/hosts with the machine's own address, or give --address",
			    "this machine's name '%s' does not resolve to an address that others can use", c->node_name);
	if (replication[0])
		(void)str_copy(c->replication_address, sizeof(c->replication_address), replication);
	else if (!c->replication_address[0])
		(void)str_copy(c->replication_address, sizeof(c->replication_address), c->address);
}

static socklen_t socket_name(const char *address, int port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		return sizeof(*v6);
	}
	return 0;
}

/* 0, or the errno of taking that address and port for a moment. */
static int try_bind(const char *address, int port)
{
	struct sockaddr_storage name;
	socklen_t len = socket_name(address, port, &name);
	int one = 1;

	if (!len)
		return EINVAL;
	AUTO_FD int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	/* As our daemons do: what lingers of a connection that has ended does not count. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&name, len) < 0 || listen(fd, 1) < 0 ? errno : 0;
}

static bool check_address(const char *address, const char *option, struct missing *m)
{
	int e = address[0] ? try_bind(address, 0) : 0;

	if (e == 0)
		return address[0] != '\0';
	AUTO_FREE char *fix = xasprintf("'ip address' shows what it has; mend /etc/hosts, or give %s", option);
	if (e == EINVAL)
		missing_add(m, fix, "'%s' is not an address", address);
	else
		missing_add(m, fix, "address '%s' is not this machine's: %s", address, strerror(e));
	return false;
}

void missing_addresses(const struct conf *conf, struct missing *m)
{
	const int ports[] = { (int)conf->link_port, (int)conf->etcd_client_port, (int)conf->etcd_peer_port };
	static const char *const what[] = { "node links", "etcd's clients", "etcd's peers" };

	if (strcmp(conf->replication_address, conf->address) != 0)
		(void)check_address(conf->replication_address, "--secondary-ip", m);
	if (!check_address(conf->address, "--address", m))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		int e = try_bind(conf->address, ports[i]);
		AUTO_FREE char *fix = xasprintf("ss -ltnp sport = :%d   shows who has it: end that", ports[i]);

		if (e != 0)
			missing_add(m, fix, "port %d for %s cannot be taken on %s: %s", ports[i], what[i], conf->address, strerror(e));
	}
}

/* ---- room, clock ------------------------------------------------------------------------------------------ */

void missing_room(const struct conf *conf, struct missing *m)
{
	AUTO_FREE char *dir = conf_state_path(conf, ""), *etcd = conf_state_path(conf, "etcd/member");
	struct statvfs v;

	if (statvfs(dir, &v) == 0) {
		uint64_t free_mib = (uint64_t)v.f_bavail * v.f_frsize / (1024 * 1024);

		if (free_mib < STATE_MIN_MIB) {
			AUTO_FREE char *fix = xasprintf("df -h %s   and make room there", dir);

			missing_add(m, fix, "%s has %llu MiB free, at least %d MiB are needed", dir, (unsigned long long)free_mib, STATE_MIN_MIB);
		}
	}
	if (access(etcd, F_OK) == 0) { /* perhaps somebody still wants it: not ours to delete */
		AUTO_FREE char *fix = xasprintf("if nothing in it is needed: systemctl stop gantry-etcd; rm -r %s", etcd);

		missing_add(m, fix, "the store of an earlier cluster is still in %s", etcd);
	}
}

/* A machine that starts in 1970 would sign certificates that nobody accepts. It is later than its own programs' making. */
void missing_clock(const struct conf *conf, int64_t wall_s, struct missing *m)
{
	AUTO_FREE char *program = xasprintf("%s/gantry-noded", conf->program_dir);
	struct stat st;

	if (stat(program, &st) == 0 && wall_s < (int64_t)st.st_ctime - 86400)
		missing_add(m, "timedatectl set-ntp true   or set it by hand: date -s", "the clock is wrong: it shows a time before gantry was installed");
}
