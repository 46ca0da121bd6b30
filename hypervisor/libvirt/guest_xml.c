/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/libvirt/guest_xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <string.h>

#include "common/xmem.h"

#define MARK_URI "https://gantry.example/domain/1"
#define XML_MAX (1024 * 1024)

static const xmlChar *x(const char *s)
{
	return (const xmlChar *)s;
}

static xmlNodePtr child(xmlNodePtr p, const char *name)
{
	return xmlNewChild(p, NULL, x(name), NULL);
}

static xmlNodePtr text(xmlNodePtr p, const char *name, const char *value)
{
	return xmlNewTextChild(p, NULL, x(name), x(value));
}

static xmlNodePtr number(xmlNodePtr p, const char *name, long long v)
{
	char s[24];

	(void)snprintf(s, sizeof(s), "%lld", v);
	return text(p, name, s);
}

static void attr(xmlNodePtr n, const char *name, const char *value)
{
	(void)xmlNewProp(n, x(name), x(value));
}

static bool set(const char *s)
{
	return s && s[0];
}

static xmlDocPtr parse(const char *xml)
{
	if (strlen(xml) > XML_MAX)
		return NULL;
	return xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static void write_os(xmlNodePtr d, const struct hv_guest *g)
{
	xmlNodePtr os = child(d, "os"), type = text(os, "type", "hvm");

	attr(type, "arch", "x86_64");
	attr(type, "machine", set(g->machine) ? g->machine : "pc");
	if (set(g->kernel_path)) {
		(void)text(os, "kernel", g->kernel_path);
		if (set(g->initrd_path))
			(void)text(os, "initrd", g->initrd_path);
		if (set(g->kernel_args))
			(void)text(os, "cmdline", g->kernel_args);
		return;
	}
	AUTO_FREE char *order = xstrdup(set(g->boot_order) ? g->boot_order : "disk");
	for (char *save = NULL, *w = strtok_r(order, ",", &save); w; w = strtok_r(NULL, ",", &save))
		attr(child(os, "boot"), "dev", strcmp(w, "disk") == 0 ? "hd" : w);
}

static int write_cpu(xmlNodePtr d, const struct hv_guest *g, struct err *err)
{
	if (set(g->cpu_xml)) {
		xmlDocPtr doc = parse(g->cpu_xml);
		xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;

		if (!root || strcmp((const char *)root->name, "cpu") != 0) {
			xmlFreeDoc(doc);
			return err_set(err, ERR_BAD_VALUE, "the cluster's CPU model is no <cpu> element");
		}
		(void)xmlAddChild(d, xmlDocCopyNode(root, d->doc, 1));
		xmlFreeDoc(doc);
		return 0;
	}
	xmlNodePtr cpu = child(d, "cpu");
	const char *type = set(g->cpu_type) ? g->cpu_type : "host-model";
	if (strncmp(type, "host-", 5) == 0) {
		attr(cpu, "mode", type);
	} else {
		attr(cpu, "mode", "custom");
		attr(cpu, "match", "exact");
		(void)text(cpu, "model", type);
	}
	return 0;
}

static void write_disk(xmlNodePtr devices, const struct hv_disk *k, int index, int scsi)
{
	xmlNodePtr disk = child(devices, "disk"), driver = child(disk, "driver"), source = child(disk, "source"), target = child(disk, "target");
	char name[8];

	attr(disk, "type", k->block ? "block" : "file");
	attr(disk, "device", "disk");
	attr(driver, "name", "qemu");
	attr(driver, "type", k->format);
	attr(driver, "cache", k->cache);
	if (k->block && strcmp(k->cache, "none") == 0)
		attr(driver, "io", "native");
	attr(source, k->block ? "dev" : "file", k->path);
	(void)snprintf(name, sizeof(name), "%s%c", scsi ? "sd" : strcmp(k->bus, "ide") == 0 ? "hd" : "vd", 'a' + index);
	attr(target, "dev", name);
	attr(target, "bus", k->bus);
	if (k->readonly)
		(void)child(disk, "readonly");
}

static void write_nic(xmlNodePtr devices, const struct hv_nic *n)
{
	xmlNodePtr nic = child(devices, "interface");

	attr(nic, "type", "bridge");
	attr(child(nic, "source"), "bridge", n->bridge);
	attr(child(nic, "mac"), "address", n->mac);
	attr(child(nic, "model"), "type", n->model);
}

/*
 * The CD's place: a q35 machine has no IDE, and what it calls sd? must not be the name of a SCSI disk; elsewhere it is by custom
 * the third place of IDE, or the first behind the disks when those are on IDE too.
 */
static void write_cdrom(xmlNodePtr devices, const struct hv_guest *g)
{
	bool q35 = set(g->machine) && strstr(g->machine, "q35") != NULL;
	bool shared = g->n_disks > 0 && strcmp(g->disks[0].bus, q35 ? "scsi" : "ide") == 0;
	int place = q35 ? (shared ? g->n_disks : 0) : shared && g->n_disks > 2 ? g->n_disks : 2;
	xmlNodePtr cd = child(devices, "disk"), target;
	char name[8];

	(void)snprintf(name, sizeof(name), "%s%c", q35 ? "sd" : "hd", 'a' + place);
	attr(cd, "type", "file");
	attr(cd, "device", "cdrom");
	attr(child(cd, "source"), "file", g->cdrom_image_path);
	target = child(cd, "target");
	attr(target, "dev", name);
	attr(target, "bus", q35 ? "sata" : "ide");
	(void)child(cd, "readonly");
}

static void write_devices(xmlNodePtr d, const struct hv_guest *g)
{
	xmlNodePtr devices = child(d, "devices");

	for (int i = 0; i < g->n_disks; i++)
		write_disk(devices, &g->disks[i], i, strcmp(g->disks[i].bus, "scsi") == 0);
	if (set(g->cdrom_image_path))
		write_cdrom(devices, g);
	for (int i = 0; i < g->n_nics; i++)
		write_nic(devices, &g->nics[i]);
	if (g->serial_console) {
		xmlNodePtr serial = child(devices, "serial"), console;

		attr(serial, "type", "pty");
		if (set(g->console_path)) {
			xmlNodePtr log = child(serial, "log");

			attr(log, "file", g->console_path);
			attr(log, "append", "on");
		}
		attr(child(serial, "target"), "port", "0");
		console = child(devices, "console");
		attr(console, "type", "pty");
		attr(child(console, "target"), "type", "serial");
	}
	if (set(g->vnc_bind_address)) {
		xmlNodePtr vnc = child(devices, "graphics");

		attr(vnc, "type", "vnc");
		attr(vnc, "autoport", "yes");
		attr(vnc, "listen", g->vnc_bind_address);
	}
	attr(child(devices, "memballoon"), "model", "none");
}

/* What XML 1.0 can carry: UTF-8 without control characters. NULL is fine. */
static bool can_carry(const char *s)
{
	for (const char *p = s; p && *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t' && *p != '\n' && *p != '\r') || strncmp(p, "\xef\xbf\xbe", 3) == 0 ||
		    strncmp(p, "\xef\xbf\xbf", 3) == 0)
			return false;
	return !s || xmlCheckUTF8(x(s));
}

static int check_texts(const struct hv_guest *g, struct err *err)
{
	const struct {
		const char *what, *text;
	} given[] = {
		{ "name", g->name },
		{ "uuid", g->uuid },
		{ "machine", g->machine },
		{ "cpu_type", g->cpu_type },
		{ "kernel_path", g->kernel_path },
		{ "initrd_path", g->initrd_path },
		{ "kernel_args", g->kernel_args },
		{ "boot_order", g->boot_order },
		{ "cdrom_image_path", g->cdrom_image_path },
		{ "vnc_bind_address", g->vnc_bind_address },
		{ "console path", g->console_path },
	};
	bool good = true;

	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (!can_carry(given[i].text))
			return err_set(err, ERR_BAD_VALUE, "the guest's %s has characters that no XML can carry", given[i].what);
	for (int i = 0; i < g->n_disks; i++)
		good = good && can_carry(g->disks[i].path) && can_carry(g->disks[i].bus) && can_carry(g->disks[i].cache) &&
		       can_carry(g->disks[i].format);
	for (int i = 0; i < g->n_nics; i++)
		good = good && can_carry(g->nics[i].bridge) && can_carry(g->nics[i].mac) && can_carry(g->nics[i].model);
	return good ? 0 : err_set(err, ERR_BAD_VALUE, "a disk or network card of the guest has characters that no XML can carry");
}

int guest_xml_write(const struct hv_guest *g, char **ret_xml, struct err *err)
{
	int rc = check_texts(g, err);

	if (rc < 0)
		return rc;
	xmlDocPtr doc = xmlNewDoc(x("1.0"));
	xmlNodePtr d = xmlNewNode(NULL, x("domain"));
	xmlChar *out = NULL;
	int size = 0;

	(void)xmlDocSetRootElement(doc, d);
	attr(d, "type", set(g->domain_type) ? g->domain_type : "kvm");
	(void)text(d, "name", g->name);
	(void)text(d, "uuid", g->uuid);
	xmlNodePtr mark = child(child(d, "metadata"), "gantry");
	xmlNsPtr ns = xmlNewNs(mark, x(MARK_URI), x("gantry"));
	xmlSetNs(mark, ns);
	attr(mark, "instance", g->uuid);
	attr(number(d, "memory", g->memory_mib), "unit", "MiB");
	(void)number(d, "vcpu", g->vcpus);
	write_os(d, g);
	if (g->acpi)
		(void)child(child(d, "features"), "acpi");
	rc = write_cpu(d, g, err);
	if (rc == 0) {
		attr(child(d, "clock"), "offset", "utc");
		(void)text(d, "on_poweroff", "destroy");
		(void)text(d, "on_reboot", "restart");
		(void)text(d, "on_crash", "destroy");
		write_devices(d, g);
		xmlDocDumpMemory(doc, &out, &size);
		*ret_xml = xstrndup((const char *)out, (size_t)size);
		xmlFree(out);
	}
	xmlFreeDoc(doc);
	return rc;
}

bool guest_xml_is_ours(const char *xml)
{
	xmlDocPtr doc = parse(xml);
	bool ours = false;

	if (!doc)
		return false;
	xmlXPathContextPtr c = xmlXPathNewContext(doc);
	(void)xmlXPathRegisterNs(c, x("g"), x(MARK_URI));
	xmlXPathObjectPtr o = xmlXPathEvalExpression(x("/domain/metadata/g:gantry"), c);
	ours = o && o->nodesetval && o->nodesetval->nodeNr > 0;
	xmlXPathFreeObject(o);
	xmlXPathFreeContext(c);
	xmlFreeDoc(doc);
	return ours;
}

char *guest_xml_host_cpu(const char *domcaps_xml)
{
	xmlDocPtr doc = parse(domcaps_xml);
	char *text_out = NULL;

	if (!doc)
		return NULL;
	xmlXPathContextPtr c = xmlXPathNewContext(doc);
	xmlXPathObjectPtr o = xmlXPathEvalExpression(x("/domainCapabilities/cpu/mode[@name='host-model']"), c);
	if (o && o->nodesetval && o->nodesetval->nodeNr > 0) {
		xmlNodePtr cpu = xmlDocCopyNode(o->nodesetval->nodeTab[0], doc, 1);
		xmlBufferPtr b = xmlBufferCreate();

		/* <mode name='host-model'> has what <cpu mode='custom'> wants. */
		xmlNodeSetName(cpu, x("cpu"));
		(void)xmlUnsetProp(cpu, x("name"));
		(void)xmlUnsetProp(cpu, x("supported"));
		attr(cpu, "mode", "custom");
		attr(cpu, "match", "exact");
		(void)xmlNodeDump(b, doc, cpu, 0, 0);
		text_out = xstrdup((const char *)xmlBufferContent(b));
		xmlBufferFree(b);
		xmlFreeNode(cpu);
	}
	xmlXPathFreeObject(o);
	xmlXPathFreeContext(c);
	xmlFreeDoc(doc);
	return text_out;
}
