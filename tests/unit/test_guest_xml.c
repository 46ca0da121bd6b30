/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domain XML: golden texts for the kinds of guests there are (tests/golden/guest; GANTRY_GOLDEN_WRITE=1 writes them anew, to be read
 * before they are committed), what cannot be written, and what is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "common/xmem.h"
#include "hypervisor/libvirt/guest_xml.h"

#define UUID "11111111-2222-4333-8444-555555555555"
#define BASELINE "<cpu mode=\"custom\" match=\"exact\"><model fallback=\"forbid\">EPYC</model><feature policy=\"require\" name=\"x2apic\"/></cpu>"

static void add_disk(struct hv_guest *g, const char *path, bool block, const char *bus, const char *cache)
{
	struct hv_disk *d = &g->disks[g->n_disks++];

	(void)str_copy(d->path, sizeof(d->path), path);
	(void)str_copy(d->format, sizeof(d->format), "raw");
	(void)str_copy(d->bus, sizeof(d->bus), bus);
	(void)str_copy(d->cache, sizeof(d->cache), cache);
	d->block = block;
}

static void add_nic(struct hv_guest *g, const char *mac, const char *bridge, const char *model)
{
	struct hv_nic *n = &g->nics[g->n_nics++];

	(void)str_copy(n->mac, sizeof(n->mac), mac);
	(void)str_copy(n->bridge, sizeof(n->bridge), bridge);
	(void)str_copy(n->model, sizeof(n->model), model);
}

static void plain_guest(struct hv_guest *g)
{
	memset(g, 0, sizeof(*g));
	(void)str_copy(g->name, sizeof(g->name), "web1.example.org");
	(void)str_copy(g->uuid, sizeof(g->uuid), UUID);
	g->memory_mib = 512;
	g->vcpus = 2;
	g->acpi = true;
	add_disk(g, "/dev/drbd3", true, "virtio", "none");
	add_nic(g, "aa:00:00:12:34:56", "br0", "virtio");
}

/* ---- golden ---------------------------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
	char *text = xcalloc(1, 65536);
	FILE *f = fopen(path, "re");

	if (f) {
		text[fread(text, 1, 65535, f)] = '\0';
		(void)fclose(f);
	}
	return text;
}

/* One element a line, so that a difference is one line. libvirt does not care. */
static char *pretty(const char *xml)
{
	xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NOBLANKS | XML_PARSE_NONET);
	xmlChar *out = NULL;
	int n = 0;

	assert_non_null(doc);
	xmlDocDumpFormatMemory(doc, &out, &n, 1);
	char *text = xstrdup((const char *)out);
	xmlFree(out);
	xmlFreeDoc(doc);
	return text;
}

static void expect(const char *name, const struct hv_guest *g)
{
	const char *top = getenv("top_srcdir");
	AUTO_FREE char *path = xasprintf("%s/tests/golden/guest/%s.xml", top ? top : ".", name);
	AUTO_FREE char *xml = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(guest_xml_write(g, &xml, &err), 0);
	AUTO_FREE char *have = pretty(xml);
	if (getenv("GANTRY_GOLDEN_WRITE")) {
		FILE *f = fopen(path, "we");

		assert_non_null(f);
		assert_int_equal(fputs(have, f) >= 0, 1);
		assert_int_equal(fclose(f), 0);
	}
	AUTO_FREE char *want = read_file(path);
	assert_string_equal(have, want);
	assert_true(guest_xml_is_ours(xml));
}

static void a_kvm_guest_on_a_mirror(void **state)
{
	struct hv_guest g;

	(void)state;
	plain_guest(&g);
	g.domain_type = "kvm";
	g.cpu_xml = BASELINE;
	g.boot_order = "disk,network";
	g.serial_console = true;
	g.console_path = "/var/log/gantry/console/web1.example.org.log";
	expect("kvm", &g);
}

static void an_emulated_guest(void **state)
{
	struct hv_guest g;

	(void)state;
	plain_guest(&g);
	g.domain_type = "qemu";
	g.cpu_type = "qemu64";
	g.acpi = false;
	expect("qemu", &g);
}

static void a_kernel_from_outside(void **state)
{
	struct hv_guest g;

	(void)state;
	plain_guest(&g);
	g.kernel_path = "/boot/vmlinuz-guest";
	g.initrd_path = "/boot/initrd-guest";
	g.kernel_args = "root=/dev/vda ro console=ttyS0 <&\"'>";
	g.boot_order = "network"; /* has no say then */
	expect("kernel", &g);
}

static void several_disks_and_cards(void **state)
{
	static const char *const caches[] = { "none", "writeback", "writethrough", "directsync" };
	struct hv_guest g;

	(void)state;
	plain_guest(&g);
	g.n_disks = 0;
	for (int i = 0; i < DISKS_MAX; i++)
		add_disk(&g, i % 2 ? "/srv/gantry/disk.img" : "/dev/drbd9", i % 2 == 0, "virtio", caches[i % 4]);
	g.disks[1].readonly = true;
	(void)str_copy(g.disks[3].format, sizeof(g.disks[3].format), "qcow2");
	for (int i = 1; i < NICS_MAX; i++)
		add_nic(&g, "aa:00:00:00:00:01", i % 2 ? "br1" : "br0", i % 2 ? "e1000" : "virtio");
	expect("many", &g);
}

static void a_screen_and_a_cd(void **state)
{
	struct hv_guest g;

	(void)state;
	plain_guest(&g);
	g.cpu_type = "host-passthrough";
	g.vnc_bind_address = "127.0.0.1";
	g.cdrom_image_path = "/srv/iso/debian & co.iso";
	g.boot_order = "cdrom,disk";
	expect("vnc-cdrom", &g);
	g.machine = "pc-q35-7.2"; /* has no IDE */
	expect("vnc-cdrom-q35", &g);
}

static void scsi_disks(void **state)
{
	struct hv_guest g;

	(void)state;
	plain_guest(&g);
	g.n_disks = 0;
	add_disk(&g, "/dev/drbd1", true, "scsi", "none");
	add_disk(&g, "/dev/drbd2", true, "scsi", "none");
	g.machine = "q35";
	g.cdrom_image_path = "/srv/x.iso";
	expect("scsi-q35", &g);
}

/* ---- rules ----------------------------------------------------------------------------------------------------- */

static int count(const char *xml, const char *path)
{
	xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
	xmlXPathContextPtr c = xmlXPathNewContext(doc);
	xmlXPathObjectPtr o = xmlXPathEvalExpression((const xmlChar *)path, c);
	int n = o && o->nodesetval ? o->nodesetval->nodeNr : 0;

	xmlXPathFreeObject(o);
	xmlXPathFreeContext(c);
	xmlFreeDoc(doc);
	return n;
}

static void no_two_disks_have_one_name(void **state)
{
	static const char *const buses[] = { "virtio", "scsi", "ide" }, *const machines[] = { "pc", "q35", "pc-q35-7.2", "" };

	(void)state;
	for (size_t b = 0; b < ARRAY_SIZE(buses); b++)
		for (size_t m = 0; m < ARRAY_SIZE(machines); m++)
			for (int n = 0; n <= DISKS_MAX; n++) {
				AUTO_FREE char *xml = NULL;
				struct err err = ERR_INIT;
				struct hv_guest g;

				plain_guest(&g);
				g.n_disks = 0;
				while (g.n_disks < n)
					add_disk(&g, "/dev/x", true, buses[b], "none");
				g.machine = machines[m];
				g.cdrom_image_path = "/x.iso";
				assert_int_equal(guest_xml_write(&g, &xml, &err), 0);
				assert_int_equal(count(xml, "//disk"), n + 1);
				assert_int_equal(count(xml, "//disk/target[@dev = ../preceding-sibling::disk/target/@dev]"), 0);
				assert_int_equal(count(xml, "//disk[@device='cdrom']/target[@bus='ide']"), strstr(machines[m], "q35") ? 0 : 1);
			}
}

static void nothing_a_guest_is_called_breaks_out(void **state)
{
	AUTO_FREE char *xml = NULL;
	struct err err = ERR_INIT;
	struct hv_guest g;

	(void)state;
	plain_guest(&g);
	(void)str_copy(g.name, sizeof(g.name), "x</name><devices><disk/></devices>");
	(void)str_copy(g.disks[0].path, sizeof(g.disks[0].path), "/a'/><disk type=\"file\"/>");
	g.kernel_path = "/k</kernel><cmdline>init=/bin/sh</cmdline>";
	assert_int_equal(guest_xml_write(&g, &xml, &err), 0);
	assert_int_equal(count(xml, "//disk"), 1);
	assert_int_equal(count(xml, "//devices"), 1);
	assert_int_equal(count(xml, "//cmdline"), 0);
}

static void what_no_xml_can_carry_is_refused(void **state)
{
	static const char *const bad[] = { "a\x01z", "a\x1f", "\xff", "\xc3", "a\xef\xbf\xbf" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (int where = 0; where < 5; where++) {
			char *xml = NULL;
			struct err err = ERR_INIT;
			struct hv_guest g;

			plain_guest(&g);
			switch (where) {
			case 0: (void)str_copy(g.name, sizeof(g.name), bad[i]); break;
			case 1: g.kernel_args = bad[i]; break;
			case 2: (void)str_copy(g.disks[0].path, sizeof(g.disks[0].path), bad[i]); break;
			case 3: (void)str_copy(g.nics[0].bridge, sizeof(g.nics[0].bridge), bad[i]); break;
			default: g.cdrom_image_path = bad[i]; break;
			}
			assert_int_equal(guest_xml_write(&g, &xml, &err), -ERR_BAD_VALUE);
			assert_null(xml);
		}
}

static void a_cpu_model_must_be_one(void **state)
{
	static const char *const bad[] = { "<model>x</model>", "<cpu", "cpu", "<cpus/>" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *xml = NULL;
		struct err err = ERR_INIT;
		struct hv_guest g;

		plain_guest(&g);
		g.cpu_xml = bad[i];
		assert_int_equal(guest_xml_write(&g, &xml, &err), -ERR_BAD_VALUE);
		assert_null(xml);
	}
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static void only_our_mark_makes_it_ours(void **state)
{
	(void)state;
	assert_true(guest_xml_is_ours("<domain><metadata><x:gantry xmlns:x='https://gantry.example/domain/1'/></metadata></domain>"));
	assert_false(guest_xml_is_ours("<domain><metadata><gantry/></metadata></domain>"));
	assert_false(guest_xml_is_ours("<domain><metadata><x:gantry xmlns:x='https://other.example/'/></metadata></domain>"));
	assert_false(guest_xml_is_ours("<domain><description><x:gantry xmlns:x='https://gantry.example/domain/1'/></description></domain>"));
	assert_false(guest_xml_is_ours("<domain"));
	assert_false(guest_xml_is_ours(""));
}

static void the_hosts_cpu_becomes_a_guests(void **state)
{
	static const char caps[] = "<domainCapabilities><cpu><mode name='host-passthrough' supported='yes'/>"
				   "<mode name='host-model' supported='yes'><model fallback='forbid'>EPYC</model><vendor>AMD</vendor>"
				   "<feature policy='require' name='x2apic'/></mode></cpu></domainCapabilities>";
	struct err err = ERR_INIT;
	struct hv_guest g;

	(void)state;
	AUTO_FREE char *cpu = guest_xml_host_cpu(caps), *xml = NULL;
	assert_non_null(cpu);
	assert_string_equal(cpu, "<cpu mode=\"custom\" match=\"exact\"><model fallback=\"forbid\">EPYC</model><vendor>AMD</vendor>"
				 "<feature policy=\"require\" name=\"x2apic\"/></cpu>");
	plain_guest(&g);
	g.cpu_xml = cpu;
	assert_int_equal(guest_xml_write(&g, &xml, &err), 0);
	assert_int_equal(count(xml, "/domain/cpu/model[. = 'EPYC']"), 1);
	assert_null(guest_xml_host_cpu("<domainCapabilities><cpu/></domainCapabilities>"));
	assert_null(guest_xml_host_cpu("junk"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kvm_guest_on_a_mirror),    cmocka_unit_test(an_emulated_guest),
		cmocka_unit_test(a_kernel_from_outside),      cmocka_unit_test(several_disks_and_cards),
		cmocka_unit_test(a_screen_and_a_cd),          cmocka_unit_test(scsi_disks),
		cmocka_unit_test(no_two_disks_have_one_name), cmocka_unit_test(nothing_a_guest_is_called_breaks_out),
		cmocka_unit_test(what_no_xml_can_carry_is_refused), cmocka_unit_test(a_cpu_model_must_be_one),
		cmocka_unit_test(only_our_mark_makes_it_ours), cmocka_unit_test(the_hosts_cpu_becomes_a_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
