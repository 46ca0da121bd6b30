/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'gnt node prepare' and the checks of init and join, on a machine that is made up: files below a directory of the test's, commands
 * answered by a little model that remembers what was done, so that a second run is a real second run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xmem.h"
#include "hypervisor/hypervisor.h"
#include "io/conf.h"
#include "io/files.h"
#include "node/exec.h"
#include "node/prepare.h"
#include "storage/runner.h"
#include "storage/storage.h"

/* ---- the machine ------------------------------------------------------------------------------------------- */

static struct machine {
	struct runner runner;
	char root[64];
	struct buf log;         /* commands that change something */
	bool in_vg, disk_used, tls_on, no_module, no_vhost, bridged;
	int groups;
	char masked[8][40];
	int n_masked;
	const char *network;    /* unit that is active */
	int bridges_made, bridge_rc;
} mc;

static char *at(const char *path)
{
	return xasprintf("%s%s", mc.root, path);
}

static void put(const char *path, const char *text)
{
	AUTO_FREE char *full = at(path), *dir = xstrndup(full, (size_t)(strrchr(full, '/') - full));
	struct err err = ERR_INIT;

	assert_int_equal(dir_make(dir, 0755, &err), 0);
	FILE *f = fopen(full, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(full, 0755), 0);
}

static char *get(const char *path)
{
	AUTO_FREE char *full = at(path);
	struct err err = ERR_INIT;
	char *text = NULL;

	return file_read_text(full, 65536, &text, &err) < 0 ? NULL : text;
}

static bool is(const char *const argv[], const char *a, const char *b)
{
	return strcmp(argv[0], a) == 0 && argv[1] && (!b || strcmp(argv[1], b) == 0);
}

static const char *last(const char *const argv[])
{
	int i = 0;

	while (argv[i + 1])
		i++;
	return argv[i];
}

static bool is_masked(const char *unit)
{
	for (int i = 0; i < mc.n_masked; i++)
		if (strcmp(mc.masked[i], unit) == 0)
			return true;
	return false;
}

static int storage_answers(const char *const argv[], struct runner_result *ret)
{
	if (is(argv, "lsblk", NULL)) {
		buf_puts(&ret->out, "{\"blockdevices\":[{\"path\":\"/dev/vdb\",\"type\":\"disk\",\"size\":10737418240,\"ro\":false,\"fstype\":null,");
		buf_printf(&ret->out, "\"pttype\":%s,\"mountpoints\":[null]}]}", mc.disk_used ? "\"gpt\"" : "null");
	} else if (is(argv, "wipefs", NULL)) {
		buf_puts(&ret->out, "{\"signatures\":[]}");
	} else if (is(argv, "pvs", NULL)) {
		buf_printf(&ret->out, "{\"report\":[{\"pv\":[%s]}]}", mc.in_vg ? "{\"pv_name\":\"/dev/vdb\",\"vg_name\":\"xenvg\"}" : "");
	} else if (is(argv, "vgs", NULL)) {
		buf_puts(&ret->out, "{\"report\":[{\"vg\":[]}]}");
	} else if (is(argv, "lvmconfig", NULL)) {
		ret->status = 5;
		buf_puts(&ret->err, "not found");
	} else if (is(argv, "getent", "group")) {
		ret->status = mc.groups == 2 ? 0 : 2;
	} else {
		return -1;
	}
	return 0;
}

static void unit_answers(const char *const argv[], struct runner_result *ret)
{
	if (is(argv, "systemctl", "is-active")) {
		ret->status = mc.network && strcmp(last(argv), mc.network) == 0 ? 0 : 3;
	} else if (is(argv, "systemctl", "is-enabled") && strcmp(last(argv), "libvirtd-tls.socket") == 0) {
		ret->status = mc.tls_on ? 0 : 1;
	} else if (is(argv, "systemctl", "is-enabled")) {
		buf_puts(&ret->out, is_masked(last(argv)) ? "masked\n" : "disabled\n");
		ret->status = 1;
	} else if (is(argv, "systemctl", "mask")) {
		for (int i = 2; argv[i]; i++) {
			assert_true(mc.n_masked < 8);
			(void)snprintf(mc.masked[mc.n_masked++], sizeof(mc.masked[0]), "%s", argv[i]);
		}
	} else if (is(argv, "systemctl", "enable")) {
		mc.tls_on = true;
	}
}

static int run(struct runner *r, const char *const argv[], const char *input, int timeout_ms, struct runner_result *ret, struct err *err)
{
	(void)r;
	(void)input;
	(void)err;
	assert_true(timeout_ms > 0);
	memset(ret, 0, sizeof(*ret));
	if (storage_answers(argv, ret) == 0 || is(argv, "systemctl", "is-active") || is(argv, "systemctl", "is-enabled")) {
		unit_answers(argv, ret);
		return 0;
	}
	if (is(argv, "modprobe", "-qn")) {
		ret->status = mc.no_vhost;
		return 0;
	}
	for (int i = 0; argv[i]; i++)
		buf_printf(&mc.log, "%s%s", i ? " " : "", argv[i]);
	buf_putc(&mc.log, '\n');
	unit_answers(argv, ret);
	if (is(argv, "groupadd", "--system"))
		mc.groups++;
	if (is(argv, "vgcreate", NULL))
		mc.in_vg = true;
	if (is(argv, "modprobe", "vhost_net"))
		put("/sys/module/vhost_net/refcnt", "0\n");
	if (is(argv, "modprobe", "-a")) {
		if (mc.no_module)
			ret->status = 1;
		else
			put("/sys/module/drbd/parameters/usermode_helper", "drbdadm\n");
	}
	return 0;
}

static int list(struct netif_list *ret, struct err *err)
{
	(void)err;
	ret->n_devs = 1 + mc.bridged;
	ret->devs = xcalloc(2, sizeof(*ret->devs));
	ret->devs[0] = (struct netif_dev){ .name = "eth0", .mac = "52:54:00:77:00:11", .index = 2, .up = true, .ether = true };
	if (mc.bridged) {
		(void)snprintf(ret->devs[0].master, sizeof(ret->devs[0].master), "br0");
		ret->devs[1] = (struct netif_dev){ .name = "br0", .mac = "52:54:00:77:00:11", .index = 5, .up = true, .ether = true, .bridge = true };
	}
	ret->n_addrs = 1;
	ret->addrs = xcalloc(1, sizeof(*ret->addrs));
	ret->addrs[0] = (struct netif_addr){ .address = "192.0.2.11", .prefix = 24 };
	(void)snprintf(ret->addrs[0].dev, sizeof(ret->addrs[0].dev), "%s", mc.bridged ? "br0" : "eth0");
	return 0;
}

static int bridge_make(const char *bridge, const char *port, struct err *err)
{
	assert_string_equal(bridge, "br0");
	assert_string_equal(port, "eth0");
	if (mc.bridge_rc)
		return err_set(err, ERR_IO, "the kernel says no");
	mc.bridges_made++;
	mc.bridged = true;
	return 0;
}

static const struct netif_ops netif = { .list = list, .bridge_make = bridge_make };

/* A machine with the packages, networkd and a static address. */
static int set_up(void **state)
{
	static const char *const programs[] = { "/usr/bin/etcd", "/sbin/lvs", "/sbin/drbdadm", "/usr/sbin/libvirtd", "/usr/bin/qemu-system-x86_64",
						"/usr/bin/qemu-img" };

	(void)state;
	memset(&mc, 0, sizeof(mc));
	mc.runner.run = run;
	(void)snprintf(mc.root, sizeof(mc.root), "/tmp/gantry-prepare.XXXXXX");
	assert_non_null(mkdtemp(mc.root));
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		put(programs[i], "");
	mc.network = "systemd-networkd.service";
	put("/run/systemd/netif/links/2", "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/10-lan.network\n"
					  "NETWORK_FILE_DROPINS=\"/etc/systemd/network/10-lan.network.d/dns.conf\"\n");
	put("/etc/systemd/network/10-lan.network",
	    "[Match]\nName=eth*\n\n[Link]\nMTUBytes=1500\n\n[Network]\nAddress=192.0.2.11/24\nGateway=192.0.2.1\n");
	put("/etc/systemd/network/10-lan.network.d/dns.conf", "[Network]\nDNS=192.0.2.53\n");
	return 0;
}

static int tear_down(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -rf -- '%s'", mc.root);

	(void)state;
	buf_done(&mc.log);
	return strncmp(mc.root, "/tmp/gantry-prepare.", 20) == 0 ? system(command) : -1;
}

/* ---- what comes of it ------------------------------------------------------------------------------------- */

static int prepare(const char *disk, const char *bridge, bool yes, json_t **ret, struct err *err)
{
	struct op_node_prepare a;

	schema_init(&op_node_prepare_schema, &a);
	(void)str_copy(a.disk, sizeof(a.disk), disk);
	(void)str_copy(a.bridge, sizeof(a.bridge), bridge);
	a.yes = yes;
	return prepare_run(&mc.runner, &netif, mc.root, &a, ret, err);
}

static int count(const json_t *result, const char *begin)
{
	const json_t *lines = json_object_get(result, "machine");
	int n = 0;

	for (size_t i = 0; i < json_array_size(lines); i++)
		n += strncmp(json_string_value(json_array_get(lines, i)), begin, strlen(begin)) == 0;
	return n;
}

static bool says(const json_t *result, const char *words)
{
	AUTO_FREE char *text = json_dumps(result, 0);

	return strstr(text, words) != NULL;
}

static void test_shows_then_does_then_has_nothing_to_do(void **state)
{
	AUTO_JSON json_t *plan = NULL, *done = NULL, *again = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(prepare("/dev/vdb", "br0=eth0", false, &plan, &err), 0);
	assert_int_equal(count(plan, "done"), 0);
	assert_true(count(plan, "would do") > 8);
	assert_true(says(plan, "volume group 'xenvg' on the empty disk /dev/vdb (10240 MiB)"));
	assert_true(says(plan, "systemd-networkd makes bridge 'br0' over 'eth0'"));
	assert_string_equal(buf_str(&mc.log), ""); /* it only showed */
	assert_int_equal(mc.bridges_made, 0);
	AUTO_FREE char *nothing = get("/etc/modprobe.d/gantry-drbd.conf");
	assert_null(nothing);

	assert_int_equal(prepare("/dev/vdb", "br0=eth0", true, &done, &err), 0);
	/* One less was planned: what the kernel's DRBD calls is only known when it is loaded. */
	assert_int_equal(count(done, "done"), count(plan, "would do") + 1);
	assert_int_equal(mc.bridges_made, 1);
	assert_true(mc.in_vg);
	assert_non_null(strstr(buf_str(&mc.log), "vgcreate"));
	assert_non_null(strstr(buf_str(&mc.log), "modprobe -a drbd dm_mod tun\n"));
	assert_non_null(strstr(buf_str(&mc.log), "networkctl reload\n"));
	assert_non_null(strstr(buf_str(&mc.log), "systemctl mask etcd.service drbd.service drbd@.service drbd@.target libvirt-guests.service\n"));
	/* To stop libvirt-guests would shut guests down. */
	assert_non_null(strstr(buf_str(&mc.log), "systemctl stop etcd.service drbd.service\n"));
	AUTO_FREE char *helper = get("/sys/module/drbd/parameters/usermode_helper");
	assert_string_equal(helper, "/sbin/drbdadm"); /* no line end: the kernel would take it for a part of the name */
	AUTO_FREE char *modules = get("/etc/modules-load.d/gantry.conf");
	assert_non_null(strstr(modules, "\ndrbd\n"));
	assert_non_null(strstr(buf_str(&mc.log), "modprobe vhost_net\n"));

	/* As networkd has it after the reload. */
	put("/run/systemd/netif/links/2", "NETWORK_FILE=/etc/systemd/network/05-gantry-br0-port.network\n");
	buf_reset(&mc.log);
	assert_int_equal(prepare("/dev/vdb", "br0=eth0", true, &again, &err), 0);
	assert_int_equal(count(again, "done"), 0);
	assert_int_equal(count(again, "would do"), 0);
	assert_true(says(again, "there is nothing to do"));
	assert_string_equal(buf_str(&mc.log), "");
	assert_int_equal(mc.bridges_made, 1);
}

static void test_vhost(void **state)
{
	AUTO_JSON json_t *without = NULL, *loaded = NULL;
	struct err err = ERR_INIT;

	(void)state;
	/* DRBD is there already, which must not keep the others from being loaded. */
	put("/sys/module/drbd/parameters/usermode_helper", "/sbin/drbdadm");
	mc.no_vhost = true;
	assert_int_equal(prepare("", "", true, &without, &err), 0);
	assert_null(strstr(buf_str(&mc.log), "vhost_net"));
	mc.no_vhost = false;
	assert_int_equal(prepare("", "", true, &loaded, &err), 0);
	assert_non_null(strstr(buf_str(&mc.log), "modprobe vhost_net\n"));
	assert_true(says(loaded, "vhost_net"));
}

static void test_the_bridge_is_configured_at_boot_as_the_interface_was(void **state)
{
	AUTO_JSON json_t *done = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(prepare("", "br0=eth0", true, &done, &err), 0);
	AUTO_FREE char *own = get("/etc/systemd/network/05-gantry-br0.network");
	assert_string_equal(own, "# made by 'gnt node prepare'\n[Match]\nName=br0\n\n"
				 "[Network]\nAddress=192.0.2.11/24\nGateway=192.0.2.1\n\n[Network]\nDNS=192.0.2.53\n");
	AUTO_FREE char *port = get("/etc/systemd/network/05-gantry-br0-port.network");
	assert_string_equal(port, "# made by 'gnt node prepare'\n[Match]\nName=eth0\n\n[Network]\nBridge=br0\n");
	AUTO_FREE char *netdev = get("/etc/systemd/network/05-gantry-br0.netdev");
	assert_non_null(strstr(netdev, "Kind=bridge\nMACAddress=52:54:00:77:00:11\n"));
}

static void test_a_bridge_that_fails_leaves_no_files(void **state)
{
	AUTO_JSON json_t *done = NULL;
	struct err err = ERR_INIT;

	(void)state;
	mc.bridge_rc = 1;
	assert_int_equal(prepare("", "br0=eth0", true, &done, &err), -ERR_IO);
	AUTO_FREE char *port = get("/etc/systemd/network/05-gantry-br0-port.network");
	assert_null(port);
}

#define INTERFACES                                                                                                     \
	"auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet static\n\taddress 192.0.2.11/24\n"     \
	"\tgateway 192.0.2.1\niface eth0 inet6 auto\n\nauto eth1\niface eth1 inet static\n\taddress 198.51.100.11/24\n"

static void test_ifupdown(void **state)
{
	AUTO_JSON json_t *refused = NULL, *done = NULL, *again = NULL;
	struct err err = ERR_INIT;

	(void)state;
	put("/etc/network/interfaces", INTERFACES);
	assert_int_equal(prepare("", "br0=eth0", true, &refused, &err), -ERR_NOT_PREPARED);
	assert_string_equal(err.hint, "apt-get install bridge-utils");
	assert_int_equal(mc.bridges_made, 0); /* looked at before touched */
	put("/sbin/brctl", "");
	assert_int_equal(prepare("", "br0=eth0", true, &done, &err), 0);
	AUTO_FREE char *text = get("/etc/network/interfaces");
	assert_string_equal(text, "auto lo\niface lo inet loopback\n\nallow-hotplug br0\niface eth0 inet manual\n\niface br0 inet static\n"
				  "\tbridge_ports eth0\n\tbridge_hw 52:54:00:77:00:11\n\tbridge_stp off\n\tbridge_fd 0\n"
				  "\taddress 192.0.2.11/24\n\tgateway 192.0.2.1\niface br0 inet6 auto\n\n"
				  "auto eth1\niface eth1 inet static\n\taddress 198.51.100.11/24\n");
	AUTO_FREE char *old = get("/etc/network/interfaces.before-gantry");
	assert_string_equal(old, INTERFACES);
	assert_int_equal(prepare("", "br0=eth0", true, &again, &err), 0);
	assert_int_equal(count(again, "done"), 0);
	AUTO_FREE char *still = get("/etc/network/interfaces");
	assert_string_equal(still, text);
	assert_null(prepare_ifupdown("iface eth1 inet dhcp\n", "br0", "eth0", "52:54:00:77:00:11"));
}

static void test_an_unknown_keeper_is_refused(void **state)
{
	AUTO_JSON json_t *a = NULL, *b = NULL, *c = NULL;
	struct err err = ERR_INIT;

	(void)state;
	mc.network = "NetworkManager.service";
	assert_int_equal(prepare("", "br0=eth0", true, &a, &err), -ERR_NOT_PREPARED);
	assert_non_null(strstr(err.hint, "nmcli con add type bridge ifname br0"));
	mc.network = NULL;
	assert_int_equal(prepare("", "br0=eth0", true, &b, &err), -ERR_NOT_PREPARED);
	assert_int_equal(mc.bridges_made, 0);
	mc.bridged = true; /* somebody made it: that is enough */
	assert_int_equal(prepare("", "br0=eth0", true, &c, &err), 0);
}

static void test_all_that_is_wrong_is_told_at_once(void **state)
{
	AUTO_JSON json_t *d = NULL;
	struct err err = ERR_INIT;

	(void)state;
	mc.disk_used = true;
	assert_int_equal(prepare("/dev/vdb", "br0=eth7", true, &d, &err), -ERR_NOT_PREPARED);
	assert_int_equal(json_array_size(json_object_get(d, "missing")), 2);
	assert_true(says(d, "partition table gpt"));
	assert_true(says(d, "wipefs -a /dev/vdb"));
	assert_true(says(d, "there is no network interface 'eth7'"));
	assert_string_equal(buf_str(&mc.log), "");
}

static void test_missing_packages_are_named(void **state)
{
	AUTO_JSON json_t *d = NULL;
	AUTO_FREE char *drbd = at("/sbin/drbdadm"), *etcd = at("/usr/bin/etcd");
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(unlink(drbd), 0);
	assert_int_equal(unlink(etcd), 0);
	assert_int_equal(prepare("", "", true, &d, &err), -ERR_NOT_PREPARED);
	assert_string_equal(err.hint, "apt-get install etcd-server drbd-utils");
	assert_string_equal(buf_str(&mc.log), "");
}

static void test_a_ganeti_nodes_helper_is_taken_out(void **state)
{
	AUTO_JSON json_t *plan = NULL, *done = NULL, *again = NULL;
	struct err err = ERR_INIT;

	(void)state;
	put("/etc/modprobe.d/drbd.conf", "# site\noptions drbd minor_count=128 usermode_helper=/bin/true\noptions kvm nested=1\n");
	put("/etc/modprobe.d/other.conf", "options drbd usermode_helper=/bin/true\n");
	put("/etc/modprobe.d/fine.conf", "# options drbd usermode_helper=/bin/true\noptions drbd usermode_helper=/sbin/drbdadm\n");
	put("/sys/module/drbd/parameters/usermode_helper", "/bin/true\n");
	assert_int_equal(prepare("", "", false, &plan, &err), 0);
	assert_true(says(plan, "not '/bin/true'"));
	assert_int_equal(prepare("", "", true, &done, &err), 0);
	AUTO_FREE char *a = get("/etc/modprobe.d/drbd.conf"), *b = get("/etc/modprobe.d/other.conf"), *c = get("/etc/modprobe.d/fine.conf");
	AUTO_FREE char *keep = get("/etc/modprobe.d/drbd.conf.before-gantry");
	assert_string_equal(a, "# site\noptions drbd minor_count=128 \noptions kvm nested=1\n");
	assert_string_equal(b, "");
	assert_non_null(strstr(c, "# options drbd usermode_helper=/bin/true\n"));
	assert_non_null(strstr(keep, "usermode_helper=/bin/true"));
	assert_int_equal(prepare("", "", true, &again, &err), 0);
	assert_true(says(again, "there is nothing to do"));
}

static void test_a_kernel_without_drbd(void **state)
{
	AUTO_JSON json_t *d = NULL;
	struct err err = ERR_INIT;

	(void)state;
	mc.no_module = true;
	assert_true(prepare("", "", true, &d, &err) < 0);
	assert_non_null(strstr(err.hint, "linux-image-amd64"));
}

static void test_a_witness_needs_little(void **state)
{
	struct op_node_prepare a;
	AUTO_JSON json_t *d = NULL;
	AUTO_FREE char *drbd = at("/sbin/drbdadm");
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(unlink(drbd), 0);
	schema_init(&op_node_prepare_schema, &a);
	a.witness = a.yes = 1;
	assert_int_equal(prepare_run(&mc.runner, &netif, mc.root, &a, &d, &err), 0);
	assert_string_equal(buf_str(&mc.log), "systemctl mask etcd.service\nsystemctl stop etcd.service\ngroupadd --system gantry-admin\ngroupadd --system gantry-read\n");
}

static void test_libvirt_takes_tls_when_there_are_certificates(void **state)
{
	AUTO_JSON json_t *before = NULL, *done = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(prepare("", "", true, &before, &err), 0);
	assert_false(mc.tls_on);
	put("/etc/pki/libvirt/servercert.pem", "x");
	buf_reset(&mc.log);
	assert_int_equal(prepare("", "", true, &done, &err), 0);
	assert_string_equal(buf_str(&mc.log), "systemctl stop libvirtd.service\nsystemctl enable --no-reload --now libvirtd-tls.socket\n"
					      "systemctl start libvirtd.service\n");
}

/* ---- what init and join look at --------------------------------------------------------------------------- */

static bool hv_answers, drbd_answers;
static int64_t vg_mib;

static int fake_node_info(struct hypervisor *h, struct hv_node_info *ret, struct err *err)
{
	(void)h;
	memset(ret, 0, sizeof(*ret));
	return hv_answers ? 0 : err_set(err, ERR_LIBVIRT_DOWN, "no socket");
}

static int fake_pools(struct volumes *v, struct pool_info **ret, int *ret_n, struct err *err)
{
	(void)v;
	(void)err;
	*ret = xcalloc(1, sizeof(**ret));
	(void)snprintf((*ret)->name, sizeof((*ret)->name), "xenvg");
	(*ret)->size_mib = vg_mib;
	*ret_n = 1;
	return 0;
}

static int fake_status_all(struct drbdm *d, struct drbd_status **ret, int *ret_n, struct err *err)
{
	(void)d;
	*ret = NULL;
	*ret_n = 0;
	return drbd_answers ? 0 : err_set(err, ERR_COMMAND_FAILED, "drbdsetup: no module");
}

static const struct hypervisor_ops hv_ops = { .node_info = fake_node_info };
static const struct volumes_ops lvm_ops = { .pools = fake_pools };
static const struct drbdm_ops drbd_ops = { .status_all = fake_status_all };

static json_t *look(struct conf *c, struct exec_env *env, const char *vg, const char *bridge, int *ret_n)
{
	struct missing m = { NULL };
	struct err err = ERR_INIT;
	json_t *details = NULL;

	missing_storage(env, vg, &m);
	missing_machine(c, env, bridge, &m);
	missing_addresses(c, &m);
	missing_room(c, &m);
	int rc = missing_end(&m, &details, &err);
	*ret_n = (int)json_array_size(json_object_get(details, "missing"));
	assert_int_equal(rc, *ret_n ? -ERR_NOT_PREPARED : 0);
	return details;
}

static void test_init_lists_all_that_is_missing(void **state)
{
	struct hypervisor hv = { .ops = &hv_ops };
	struct volumes lvm = { .ops = &lvm_ops };
	struct drbdm drbd = { .ops = &drbd_ops };
	struct exec_env env = { .hv = &hv, .lvm = &lvm, .drbd = &drbd };
	AUTO_FD int taken = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in name = { .sin_family = AF_INET };
	socklen_t len = sizeof(name);
	struct conf c;
	struct err err = ERR_INIT;
	int n = 0;

	(void)state;
	assert_int_equal(conf_load(mc.root, &c, &err), 0);
	assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &name.sin_addr), 1);
	assert_int_equal(bind(taken, (struct sockaddr *)&name, len), 0);
	assert_int_equal(listen(taken, 1), 0);
	assert_int_equal(getsockname(taken, (struct sockaddr *)&name, &len), 0);
	(void)str_copy(c.address, sizeof(c.address), "127.0.0.1");
	(void)str_copy(c.replication_address, sizeof(c.replication_address), "192.0.2.99");
	c.link_port = ntohs(name.sin_port);
	c.etcd_client_port = c.etcd_peer_port = 0; /* any that is free */
	vg_mib = 100;
	put("/var/lib/gantry/etcd/member/x", "");
	put("/sys/module/drbd/parameters/usermode_helper", "/sbin/drbdadm\n\n");
	AUTO_JSON json_t *all = look(&c, &env, "xenvg", "br0", &n);
	assert_true(says(all, "volume group 'xenvg' has 100 MiB"));
	assert_true(says(all, "libvirt does not answer: no socket"));
	assert_true(says(all, "DRBD does not answer: drbdsetup: no module"));
	assert_true(says(all, "with a line end in it"));
	assert_true(says(all, "there is no bridge 'br0'"));
	assert_true(says(all, "gnt node prepare --bridge br0=INTERFACE --yes"));
	assert_true(says(all, "address '192.0.2.99' is not this machine's"));
	assert_true(says(all, "for node links cannot be taken on 127.0.0.1"));
	assert_true(says(all, "the store of an earlier cluster"));
	assert_int_equal(n, 8);

	/* And with all of it mended, nothing. */
	vg_mib = 10240;
	hv_answers = drbd_answers = true;
	put("/sys/module/drbd/parameters/usermode_helper", "/sbin/drbdadm\n");
	put("/sys/class/net/br0/bridge/bridge_id", "");
	(void)str_copy(c.replication_address, sizeof(c.replication_address), "127.0.0.1");
	c.link_port = 0;
	AUTO_FREE char *member = at("/var/lib/gantry/etcd/member");
	AUTO_FREE char *file = at("/var/lib/gantry/etcd/member/x");
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(member), 0);
	AUTO_JSON json_t *none = look(&c, &env, "xenvg", "br0", &n);
	assert_null(none);
	assert_int_equal(n, 0);
	AUTO_JSON json_t *other = look(&c, &env, "othervg", "br0", &n);
	assert_true(says(other, "there is no volume group 'othervg'"));
	assert_int_equal(n, 1);
	c.witness = true; /* without guests, without disks */
	hv_answers = drbd_answers = false;
	AUTO_JSON json_t *witness = look(&c, &env, "", "", &n);
	assert_null(witness);
	conf_done(&c);
}

static void test_a_clock_of_before_the_programs(void **state)
{
	struct missing m = { NULL };
	struct err err = ERR_INIT;
	AUTO_JSON json_t *d = NULL;
	struct conf c;

	(void)state;
	assert_int_equal(conf_load(mc.root, &c, &err), 0);
	put("/sbin/gantry-noded", "");
	(void)snprintf(c.program_dir, sizeof(c.program_dir), "%s/sbin", mc.root);
	missing_clock(&c, 86400 * 365, &m); /* 1971 */
	assert_int_equal(missing_end(&m, &d, &err), -ERR_NOT_PREPARED);
	assert_non_null(strstr(err.msg, "clock"));
	missing_clock(&c, INT64_C(86400) * 365 * 200, &m);
	assert_int_equal(missing_end(&m, &d, &err), 0);
	conf_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shows_then_does_then_has_nothing_to_do, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_vhost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_bridge_is_configured_at_boot_as_the_interface_was, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_bridge_that_fails_leaves_no_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ifupdown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_unknown_keeper_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_that_is_wrong_is_told_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_missing_packages_are_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_ganeti_nodes_helper_is_taken_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_kernel_without_drbd, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_witness_needs_little, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_libvirt_takes_tls_when_there_are_certificates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_init_lists_all_that_is_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_clock_of_before_the_programs, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
