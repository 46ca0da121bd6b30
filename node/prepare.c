/* SPDX-License-Identifier: Apache-2.0 */
#include "node/prepare.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/xmem.h"
#include "io/files.h"
#include "storage/lvm/prepare.h"
#include "storage/runner.h"

#define COMMAND_MS 120000
#define HELPER "/sbin/drbdadm"

void prepare_say(struct prepare *p, bool needed, const char *fmt, ...)
{
	char line[500];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	p->todo += needed;
	json_array_append_new(p->lines, json_sprintf("%s: %s", !needed ? "is so" : p->yes ? "done" : "would do", line));
}

char *prepare_path(const struct prepare *p, const char *path)
{
	return xasprintf("%s%s", p->root, path);
}

bool prepare_has(const struct prepare *p, const char *path)
{
	AUTO_FREE char *full = prepare_path(p, path);

	return access(full, F_OK) == 0;
}

int prepare_command(struct prepare *p, const char *const argv[], struct err *err)
{
	AUTO_RESULT struct runner_result res = { .status = -1 };

	return runner_must(p->runner, argv, NULL, COMMAND_MS, &res, err);
}

bool prepare_asks(struct prepare *p, const char *const argv[])
{
	AUTO_RESULT struct runner_result res = { .status = -1 };
	struct err ignored = ERR_INIT;

	return p->runner->run(p->runner, argv, NULL, COMMAND_MS, &res, &ignored) == 0 && res.status == 0;
}

int prepare_file(struct prepare *p, const char *path, const char *text, const char *what, struct err *err)
{
	AUTO_FREE char *full = prepare_path(p, path), *old = NULL;
	AUTO_FREE char *dir = xstrndup(full, (size_t)(strrchr(full, '/') - full));
	struct err ignored = ERR_INIT;
	int rc = 0;

	if (file_read_text(full, 65536, &old, &ignored) == 0 && strcmp(old, text) == 0) {
		prepare_say(p, false, "%s", what);
		return 0;
	}
	if (p->yes)
		rc = dir_make(dir, 0755, err);
	if (rc == 0 && p->yes)
		rc = file_write_durable(full, text, 0644, err);
	if (rc == 0)
		prepare_say(p, true, "%s (%s)", what, path);
	return rc;
}

/* ---- packages: named, not installed: that is the operator's decision --------------------------------------- */

static void check_packages(struct prepare *p)
{
	static const struct {
		const char *path, *package;
		bool votes; /* a witness needs it, too */
	} need[] = {
		{ "/usr/bin/etcd", "etcd-server", true },
		{ "/sbin/lvs", "lvm2", false },
		{ "/sbin/drbdadm", "drbd-utils", false },
		{ "/usr/sbin/libvirtd", "libvirt-daemon-system", false },
		{ "/usr/bin/qemu-system-x86_64", "qemu-system-x86", false },
		{ "/usr/bin/qemu-img", "qemu-utils", false },
	};
	AUTO_BUF struct buf missing = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(need); i++)
		if ((need[i].votes || p->a->witness != 1) && !prepare_has(p, need[i].path))
			buf_printf(&missing, " %s", need[i].package);
	if (!missing.len)
		return;
	AUTO_FREE char *fix = xasprintf("apt-get install%s", buf_str(&missing));
	missing_add(&p->missing, fix, "packages are missing:%s", buf_str(&missing));
}

/* ---- disk ------------------------------------------------------------------------------------------------------ */

static int prepare_disk(struct prepare *p, struct err *err)
{
	struct lvm_disk d;

	if (!p->a->disk[0])
		return 0;
	int rc = lvm_disk_inspect(p->runner, p->a->disk, &d, err);
	if (rc < 0)
		return rc;
	if (strcmp(d.vg, p->a->vg_name) == 0) {
		prepare_say(p, false, "disk %s is in volume group '%s'", p->a->disk, d.vg);
		return 0;
	}
	rc = lvm_disk_must_be_empty(p->runner, p->a->disk, &d, err);
	if (rc == 0 && p->yes) {
		const char *const disks[] = { p->a->disk };

		rc = lvm_prepare(p->runner, p->a->vg_name, disks, 1, err);
	}
	if (rc == 0)
		prepare_say(p, true, "volume group '%s' on the empty disk %s (%lld MiB)", p->a->vg_name, p->a->disk, (long long)d.size_mib);
	return rc;
}

/* ---- DRBD's helper ------------------------------------------------------------------------------------------------- */

/* "options drbd ... usermode_helper=X" with another X than ours: where that word stands in the line, else NULL. */
static char *foreign_helper(char *line)
{
	char word[16] = "", module[16] = "";
	char *at = strstr(line, "usermode_helper=");

	if (!at || sscanf(line, "%15s %15s", word, module) != 2 || strcmp(word, "options") != 0 || strcmp(module, "drbd") != 0)
		return NULL;
	size_t len = strcspn(at, " \t");
	return len == strlen("usermode_helper=" HELPER) && strncmp(at, "usermode_helper=" HELPER, len) == 0 ? NULL : at;
}

/* Ganeti's instructions have people write usermode_helper=/bin/true, which promises what nobody has done. Gives the text without. */
static char *without_helper(const char *text, bool *ret_had)
{
	struct buf b = BUF_INIT;

	*ret_had = false;
	buf_puts(&b, "");
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		AUTO_FREE char *copy = xstrndup(line, n);
		char *at = foreign_helper(copy), more[8];

		line += n + (line[n] == '\n');
		if (at) {
			size_t len = strcspn(at, " \t");

			*ret_had = true;
			memmove(at, at + len, strlen(at + len) + 1);
			if (sscanf(copy, " options drbd %7s", more) != 1)
				continue; /* nothing else was in it */
		}
		buf_printf(&b, "%s\n", copy);
	}
	return buf_steal(&b);
}

static int clear_foreign_helper(struct prepare *p, const char *name, struct err *err)
{
	AUTO_FREE char *path = xasprintf("/etc/modprobe.d/%s", name), *full = prepare_path(p, path), *keep = xasprintf("%s.before-gantry", full);
	AUTO_FREE char *text = NULL;
	bool had = false;
	struct err ignored = ERR_INIT;

	if (file_read_text(full, 65536, &text, &ignored) < 0)
		return 0; /* unreadable: what is in force is checked by init */
	AUTO_FREE char *clean = without_helper(text, &had);
	if (!had)
		return 0;
	int rc = p->yes ? file_write_durable(keep, text, 0644, err) : 0;
	if (rc == 0 && p->yes)
		rc = file_write_durable(full, clean, 0644, err);
	if (rc == 0)
		prepare_say(p, true, "another helper for DRBD is taken out of %s, as a Ganeti node has it (the old text is kept as %s.before-gantry)", path, name);
	return rc;
}

static int prepare_modprobe(struct prepare *p, struct err *err)
{
	AUTO_FREE char *dir = prepare_path(p, "/etc/modprobe.d");
	DIR *d = opendir(dir);
	int rc = 0;

	for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
		size_t n = strlen(e->d_name);

		if (n > 5 && strcmp(e->d_name + n - 5, ".conf") == 0 && strcmp(e->d_name, "gantry-drbd.conf") != 0)
			rc = clear_foreign_helper(p, e->d_name, err);
	}
	if (d)
		(void)closedir(d);
	return rc < 0 ? rc : prepare_file(p, "/etc/modprobe.d/gantry-drbd.conf",
					  "# made by 'gnt node prepare'\noptions drbd minor_count=255 usermode_helper=" HELPER "\n",
					  "DRBD calls " HELPER " for its handlers, also after a boot", err);
}

/* The running kernel. No line end: with one the kernel looks for a file whose name ends in it, and finds none. */
static int prepare_helper(struct prepare *p, struct err *err)
{
	AUTO_FREE char *path = prepare_path(p, "/sys/module/drbd/parameters/usermode_helper"), *now = NULL;
	struct err ignored = ERR_INIT;

	if (file_read_text(path, 256, &now, &ignored) < 0) {
		if (p->yes)
			return err_set(err, ERR_NOT_PREPARED, "the kernel has no DRBD module"), err_hint(err, "install the kernel that has it: apt-get install linux-image-amd64");
		return 0; /* 'modprobe' stands in the plan already; what the module brings is known afterwards */
	}
	if (strcmp(now, HELPER "\n") == 0 || strcmp(now, HELPER) == 0) {
		prepare_say(p, false, "the kernel calls " HELPER " for DRBD");
		return 0;
	}
	if (p->yes) {
		AUTO_FD int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

		if (fd < 0 || write(fd, HELPER, strlen(HELPER)) != (ssize_t)strlen(HELPER))
			return err_errno(err, ERR_IO, "cannot set DRBD's helper in '%s'", path);
	}
	prepare_say(p, true, "the kernel calls " HELPER " for DRBD, not '%.*s'", (int)strcspn(now, "\n"), now);
	return 0;
}

/*
 * It matters for more than speed: a guest that was started without it has virtio features that one with it has not, so that it cannot be
 * migrated to a node that has it. All nodes have it, or none; a boot loads it, so it is loaded now too. A kernel may be without.
 */
static int prepare_vhost(struct prepare *p, struct err *err)
{
	static const char *const known[] = { "modprobe", "-qn", "vhost_net", NULL }, *const load[] = { "modprobe", "vhost_net", NULL };

	if (prepare_has(p, "/sys/module/vhost_net") || !prepare_asks(p, known))
		return 0;
	int rc = p->yes ? prepare_command(p, load, err) : 0;
	if (rc == 0)
		prepare_say(p, true, "kernel module is loaded now: vhost_net");
	return rc;
}

static int prepare_kernel(struct prepare *p, struct err *err)
{
	static const char *const load[] = { "modprobe", "-a", "drbd", "dm_mod", "tun", NULL };
	int rc = prepare_file(p, "/etc/modules-load.d/gantry.conf", "# made by 'gnt node prepare'\ndrbd\ndm_mod\ntun\nvhost_net\n",
			      "kernel modules are loaded at boot", err);

	if (rc == 0)
		rc = prepare_modprobe(p, err);
	if (rc < 0)
		return rc;
	if (prepare_has(p, "/sys/module/drbd")) {
		prepare_say(p, false, "the kernel has loaded DRBD");
	} else {
		rc = p->yes ? prepare_command(p, load, err) : 0;
		if (rc < 0)
			return err_hint(err, "install the kernel that has the module: apt-get install linux-image-amd64");
		prepare_say(p, true, "kernel modules are loaded now: drbd dm_mod tun");
	}
	rc = prepare_vhost(p, err);
	if (rc < 0)
		return rc;
	return prepare_helper(p, err);
}

/* ---- units ------------------------------------------------------------------------------------------------------------ */

/* Is it masked already? */
static int unit_is_masked(struct prepare *p, const char *unit, bool *ret, struct err *err)
{
	const char *const is[] = { "systemctl", "is-enabled", unit, NULL };
	AUTO_RESULT struct runner_result res = { .status = -1 };
	int rc = p->runner->run(p->runner, is, NULL, COMMAND_MS, &res, err);

	if (rc == 0)
		*ret = strncmp(buf_str(&res.out), "masked", 6) == 0;
	return rc;
}

/* One command for all: systemd reads all its units anew after each. */
static int prepare_units(struct prepare *p, struct err *err)
{
	static const struct {
		const char *unit, *why;
		bool votes;
		bool stop; /* templates are nothing to stop, and libvirt-guests would shut guests down */
	} units[] = {
		{ "etcd.service", "Gantry runs an etcd of its own", true, true },
		{ "drbd.service", "resources come up by the master's order only", false, true },
		{ "drbd@.service", "resources come up by the master's order only", false, false },
		{ "drbd@.target", "resources come up by the master's order only", false, false },
		{ "libvirt-guests.service", "guests are the cluster's", false, false },
	};
	const char *mask[ARRAY_SIZE(units) + 3] = { "systemctl", "mask" }, *stop[ARRAY_SIZE(units) + 3] = { "systemctl", "stop" };
	size_t n_mask = 2, n_stop = 2;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(units) && rc == 0; i++) {
		bool masked = false;

		if (!units[i].votes && p->a->witness == 1)
			continue;
		rc = unit_is_masked(p, units[i].unit, &masked, err);
		if (rc < 0)
			return rc;
		prepare_say(p, !masked, masked ? "%s is masked: %s" : "mask %s: %s", units[i].unit, units[i].why);
		if (masked)
			continue;
		mask[n_mask++] = units[i].unit;
		if (units[i].stop)
			stop[n_stop++] = units[i].unit;
	}
	if (p->yes && n_mask > 2)
		rc = prepare_command(p, mask, err);
	if (rc == 0 && p->yes && n_stop > 2)
		rc = prepare_command(p, stop, err);
	return rc;
}

/* ---- who may use it besides root ------------------------------------------------------------------------------------------ */

static int prepare_groups(struct prepare *p, struct err *err)
{
	static const struct {
		const char *group, *what;
	} groups[] = {
		{ "gantry-admin", "its members may give any command" },
		{ "gantry-read", "its members may look, and change nothing" },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(groups) && rc == 0; i++) {
		const char *const is[] = { "getent", "group", groups[i].group, NULL };
		const char *const add[] = { "groupadd", "--system", groups[i].group, NULL };

		if (prepare_asks(p, is)) {
			prepare_say(p, false, "there is group '%s'", groups[i].group);
			continue;
		}
		rc = p->yes ? prepare_command(p, add, err) : 0;
		if (rc == 0)
			prepare_say(p, true, "group '%s': %s", groups[i].group, groups[i].what);
	}
	return rc;
}

/* libvirtd is asked all the time: it must not end when idle. TLS is turned on around a restart; guests are other processes. */
static int prepare_libvirt(struct prepare *p, struct err *err)
{
	static const char *const is_on[] = { "systemctl", "is-enabled", "--quiet", "libvirtd-tls.socket", NULL };
	static const char *const commands[][6] = {
		{ "systemctl", "stop", "libvirtd.service", NULL },
		{ "systemctl", "enable", "--no-reload", "--now", "libvirtd-tls.socket", NULL },
		{ "systemctl", "start", "libvirtd.service", NULL },
	};
	int rc = prepare_file(p, "/etc/default/libvirtd", "# made by 'gnt node prepare': libvirtd stays, it is asked all the time\nLIBVIRTD_ARGS=\"\"\n",
			      "libvirtd does not end when idle", err);

	if (rc < 0)
		return rc;
	if (prepare_asks(p, is_on)) {
		prepare_say(p, false, "libvirt takes migrations over TLS");
		return 0;
	}
	if (!prepare_has(p, "/etc/pki/libvirt/servercert.pem")) {
		prepare_say(p, false, "libvirt takes migrations over TLS once init or join has written the cluster's certificates");
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands) && rc == 0 && p->yes; i++)
		rc = prepare_command(p, commands[i], err);
	if (rc == 0)
		prepare_say(p, true, "libvirt takes migrations over TLS (libvirtd-tls.socket)");
	return rc;
}

/* ---- all of it ---------------------------------------------------------------------------------------------------------- */

static int pass(struct prepare *p, struct err *err)
{
	typedef int part_fn(struct prepare *p, struct err *err);
	static const struct {
		part_fn *fn;
		bool votes;
	} parts[] = {
		{ prepare_disk, false }, { prepare_bridge, false }, { prepare_kernel, false }, { prepare_units, true },
		{ prepare_groups, true }, { prepare_libvirt, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct err why = ERR_INIT;

		if (!parts[i].votes && p->a->witness == 1)
			continue;
		int rc = parts[i].fn(p, &why);
		if (rc < 0 && p->yes) {
			*err = why;
			return rc;
		}
		if (rc < 0) /* still looking: all that is wrong is told at once */
			missing_add(&p->missing, err_hint_text(&why), "%s", why.msg);
	}
	return 0;
}

int prepare_run(struct runner *r, const struct netif_ops *netif, const char *root, const struct op_node_prepare *a, json_t **ret,
		struct err *err)
{
	struct prepare p = { .runner = r, .netif = netif, .root = root, .a = a, .lines = json_array() };

	check_packages(&p);
	int rc = p.missing.list ? 0 : pass(&p, err); /* without the tools there is nothing to look with */
	if (rc == 0)
		rc = missing_end(&p.missing, ret, err);
	if (rc == 0 && a->yes == 1 && p.todo) {
		json_decref(p.lines);
		p.lines = json_array();
		p.todo = 0;
		p.yes = true;
		rc = pass(&p, err);
	}
	if (rc == 0)
		*ret = json_pack("{s:O, s:s}", "machine", p.lines, "next",
				 p.todo && !p.yes ? "repeat with --yes to do it" :
				 p.todo		  ? "gnt cluster init, or gantry-noded join" :
						    "there is nothing to do: gnt cluster init, or gantry-noded join");
	json_decref(p.lines);
	return rc;
}
