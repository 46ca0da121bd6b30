/* SPDX-License-Identifier: Apache-2.0 */
/* 'gnt node prepare': what a fresh machine needs before it can be a node. Shows each thing; does it with --yes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/xmem.h"
#include "io/files.h"
#include "io/spawn.h"
#include "node/node.h"
#include "storage/lvm/prepare.h"
#include "storage/runner.h"

#define COMMAND_MS 120000

struct prep {
	struct noded *n;
	const struct op_node_prepare *a;
	json_t *done; /* lines: what was or would be done */
	bool yes;
};

static void say(struct prep *p, bool needed, const char *fmt, ...) PRINTF(3, 4);
static void say(struct prep *p, bool needed, const char *fmt, ...)
{
	char line[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	json_array_append_new(p->done, json_sprintf("%s: %s", !needed ? "is so" : p->yes ? "done" : "would do", line));
}

/* ---- packages: named, not installed: that is the operator's decision --------------------------------------- */

static int check_packages(struct err *err)
{
	static const struct {
		const char *path, *package;
	} need[] = {
		{ "/usr/sbin/lvs", "lvm2" }, { "/usr/sbin/drbdadm", "drbd-utils" }, { "/usr/bin/etcd", "etcd-server" },
		{ "/usr/sbin/libvirtd", "libvirt-daemon-system" }, { "/usr/bin/qemu-system-x86_64", "qemu-system-x86" }, { "/usr/bin/qemu-img", "qemu-utils" },
	};
	AUTO_BUF struct buf missing = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(need); i++)
		if (access(need[i].path, F_OK) < 0)
			buf_printf(&missing, " %s", need[i].package);
	if (!missing.len)
		return 0;
	(void)err_set(err, ERR_NOT_PREPARED, "packages are missing:%s", buf_str(&missing));
	return err_hint(err, "apt-get install%s", buf_str(&missing));
}

/* ---- disk ------------------------------------------------------------------------------------------------------ */

static int prepare_disk(struct prep *p, struct err *err)
{
	struct lvm_disk d;

	if (!p->a->disk[0])
		return 0;
	int rc = lvm_disk_inspect(spawn_runner(), p->a->disk, &d, err);
	if (rc < 0)
		return rc;
	if (strcmp(d.vg, p->a->vg_name) == 0) {
		say(p, false, "disk %s is in volume group '%s'", p->a->disk, d.vg);
		return 0;
	}
	rc = lvm_disk_must_be_empty(spawn_runner(), p->a->disk, &d, err);
	if (rc < 0)
		return rc;
	if (p->yes) {
		const char *const disks[] = { p->a->disk };

		rc = lvm_prepare(spawn_runner(), p->a->vg_name, disks, 1, err);
	}
	if (rc == 0)
		say(p, true, "volume group '%s' on the empty disk %s (%lld MiB)", p->a->vg_name, p->a->disk, (long long)d.size_mib);
	return rc;
}

/* ---- bridge ------------------------------------------------------------------------------------------------------ */

static int run(const char *const argv[], struct err *err)
{
	AUTO_RESULT struct runner_result res;

	return runner_must(spawn_runner(), argv, NULL, COMMAND_MS, &res, err);
}

static int write_network(const char *bridge, const char *interface, struct err *err)
{
	AUTO_FREE char *netdev = xasprintf("# made by 'gnt node prepare'\n[NetDev]\nName=%s\nKind=bridge\n", bridge);
	AUTO_FREE char *port = xasprintf("# made by 'gnt node prepare'\n[Match]\nName=%s\n\n[Network]\nBridge=%s\n", interface, bridge);
	AUTO_FREE char *a = xasprintf("/etc/systemd/network/20-%s.netdev", bridge), *b = xasprintf("/etc/systemd/network/20-%s-port.network", bridge);
	int rc = dir_make("/etc/systemd/network", 0755, err);

	if (rc == 0)
		rc = file_write_durable(a, netdev, 0644, err);
	return rc < 0 ? rc : file_write_durable(b, port, 0644, err);
}

static int prepare_bridge(struct prep *p, struct err *err)
{
	char bridge[NAME_LEN + 1];
	const char *eq = strchr(p->a->bridge, '=');

	if (!p->a->bridge[0])
		return 0;
	if (!eq || eq == p->a->bridge || !eq[1] || (size_t)(eq - p->a->bridge) >= sizeof(bridge))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not of the form BRIDGE=INTERFACE", p->a->bridge), err_hint(err, "for example --bridge br0=eth0");
	memcpy(bridge, p->a->bridge, (size_t)(eq - p->a->bridge));
	bridge[eq - p->a->bridge] = '\0';
	AUTO_FREE char *path = xasprintf("/sys/class/net/%s/bridge", bridge), *port = xasprintf("/sys/class/net/%s/brif/%s", bridge, eq + 1);
	AUTO_FREE char *dev = xasprintf("/sys/class/net/%s", eq + 1);
	if (access(port, F_OK) == 0) {
		say(p, false, "bridge '%s' has port '%s'", bridge, eq + 1);
		return 0;
	}
	if (access(dev, F_OK) < 0)
		return err_set(err, ERR_NOT_FOUND, "there is no interface '%s'", eq + 1);
	int rc = 0;
	if (p->yes) {
		const char *const add[] = { "ip", "link", "add", "name", bridge, "type", "bridge", NULL };
		const char *const up[] = { "ip", "link", "set", bridge, "up", NULL };

		rc = write_network(bridge, eq + 1, err);
		if (rc == 0 && access(path, F_OK) < 0)
			rc = run(add, err);
		if (rc == 0)
			rc = run(up, err);
		if (rc < 0)
			return rc;
	}
	/* Moving the address under a running ssh is how machines get lost: the port joins at the next boot, by the files written. */
	say(p, true, "bridge '%s' now; interface '%s' joins it at the next boot (systemd-networkd; move its address to the bridge)", bridge, eq + 1);
	return rc;
}

/* ---- modules, helper, services ------------------------------------------------------------------------------------- */

static int ensure_file(struct prep *p, const char *path, const char *text, const char *what, struct err *err)
{
	AUTO_FREE char *old = NULL;
	struct err ignored = ERR_INIT;
	int rc = 0;

	if (file_read_text(path, 65536, &old, &ignored) == 0 && strcmp(old, text) == 0) {
		say(p, false, "%s", what);
		return 0;
	}
	if (p->yes)
		rc = file_write_durable(path, text, 0644, err);
	if (rc == 0)
		say(p, true, "%s (%s)", what, path);
	return rc;
}

static int prepare_kernel(struct prep *p, struct err *err)
{
	static const char *const modules[] = { "modprobe", "-a", "drbd", "tun", "vhost_net", NULL };
	AUTO_RESULT struct runner_result res;
	int rc = ensure_file(p, "/etc/modules-load.d/gantry.conf", "drbd\ntun\ndm_mod\n", "kernel modules are loaded at boot", err);

	memset(&res, 0, sizeof(res));
	if (rc == 0)
		rc = ensure_file(p, "/etc/modprobe.d/gantry-drbd.conf", "options drbd minor_count=255 usermode_helper=/sbin/drbdadm\n",
				 "DRBD calls /sbin/drbdadm for its handlers", err);
	if (rc < 0 || !p->yes)
		return rc;
	(void)spawn_runner()->run(spawn_runner(), modules, NULL, COMMAND_MS, &res, err); /* vhost_net may be missing: emulation does without */
	err_clear(err);
	/* At run time without a newline: with one the kernel looks for a file whose name ends in it. */
	FILE *f = fopen("/sys/module/drbd/parameters/usermode_helper", "we");
	if (f) {
		(void)fputs("/sbin/drbdadm", f);
		(void)fclose(f);
	}
	return 0;
}

static int mask_unit(struct prep *p, const char *unit, const char *why, struct err *err)
{
	const char *const is[] = { "systemctl", "is-enabled", unit, NULL };
	const char *const mask[] = { "systemctl", "mask", "--now", unit, NULL };
	AUTO_RESULT struct runner_result res;
	int rc = spawn_runner()->run(spawn_runner(), is, NULL, COMMAND_MS, &res, err);

	if (rc < 0)
		return rc;
	if (strncmp(buf_str(&res.out), "masked", 6) == 0) {
		say(p, false, "%s is masked: %s", unit, why);
		return 0;
	}
	rc = p->yes ? run(mask, err) : 0;
	if (rc == 0)
		say(p, true, "mask %s: %s", unit, why);
	return rc;
}

static int prepare_libvirt(struct prep *p, struct err *err)
{
	static const char *const sockets[] = { "systemctl", "enable", "--now", "libvirtd-tls.socket", NULL };
	static const char *const stop[] = { "systemctl", "stop", "libvirtd.service", NULL };
	static const char *const start[] = { "systemctl", "start", "libvirtd.service", NULL };
	int rc = ensure_file(p, "/etc/default/libvirtd", "# made by 'gnt node prepare': libvirtd stays, it is asked all the time\nLIBVIRTD_ARGS=\"\"\n",
			     "libvirtd does not end when idle", err);

	if (rc < 0 || !p->yes)
		return rc;
	AUTO_FREE char *ca = xasprintf("%s/etc/pki/CA/cacert.pem", p->n->conf.root);
	if (access(ca, F_OK) < 0)
		return 0; /* no certificates yet: init and join write them, and turn TLS on */
	rc = run(stop, err);
	if (rc == 0)
		rc = run(sockets, err);
	return rc < 0 ? rc : run(start, err);
}

int prepare_machine(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	struct prep p = { .n = n, .a = args };

	p.yes = p.a->yes == 1;
	if (strcmp(n->conf.hypervisor, "libvirt") != 0)
		return err_set(err, ERR_WRONG_STATE, "this node runs on a fake world: there is nothing to prepare");
	p.done = json_array();
	int rc = check_packages(err);
	if (rc == 0)
		rc = prepare_disk(&p, err);
	if (rc == 0)
		rc = prepare_bridge(&p, err);
	if (rc == 0)
		rc = prepare_kernel(&p, err);
	if (rc == 0)
		rc = mask_unit(&p, "etcd.service", "Gantry runs an etcd of its own", err);
	if (rc == 0)
		rc = mask_unit(&p, "drbd.service", "resources come up by the master's order only", err);
	if (rc == 0)
		rc = mask_unit(&p, "libvirt-guests.service", "guests are the cluster's", err);
	if (rc == 0)
		rc = prepare_libvirt(&p, err);
	if (rc == 0)
		*ret = json_pack("{s:O, s:s}", "machine", p.done, "next", p.yes ? "gnt cluster init, or gantry-noded join" : "repeat with --yes to do it");
	json_decref(p.done);
	return rc;
}
