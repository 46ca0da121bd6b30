/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML from libvirt, and ours to it. The first byte chooses: 'd' a domain's description, 'c' domain capabilities, 'w' a
 * guest, whose texts are the lines that follow.
 */
#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "common/xmem.h"
#include "hypervisor/libvirt/guest_xml.h"
#include "tests/fuzz/fuzz.h"

static xmlDocPtr read_back(const char *xml)
{
	return xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static int count(xmlDocPtr doc, const char *path)
{
	xmlXPathContextPtr c = xmlXPathNewContext(doc);
	xmlXPathObjectPtr o = xmlXPathEvalExpression((const xmlChar *)path, c);
	int n = o && o->nodesetval ? o->nodesetval->nodeNr : 0;

	xmlXPathFreeObject(o);
	xmlXPathFreeContext(c);
	return n;
}

static const char *next(char **text)
{
	return fuzz_line(text);
}

/* Whatever a guest is called or given: one domain, with the parts that were asked for and no others; or an error. */
static void fuzz_write(char *text)
{
	struct hv_guest g = { .memory_mib = 512, .vcpus = 1, .acpi = true, .serial_console = true, .n_disks = 4, .n_nics = 1 };
	struct err err = ERR_INIT;
	char *xml = NULL;

	(void)str_copy(g.name, sizeof(g.name), next(&text));
	(void)str_copy(g.uuid, sizeof(g.uuid), "11111111-2222-4333-8444-555555555555");
	g.kernel_path = next(&text);
	g.kernel_args = next(&text);
	g.boot_order = next(&text);
	g.cdrom_image_path = next(&text);
	g.vnc_bind_address = next(&text);
	g.machine = next(&text);
	g.cpu_type = next(&text);
	for (int i = 0; i < g.n_disks; i++) {
		(void)str_copy(g.disks[i].path, sizeof(g.disks[i].path), next(&text));
		(void)str_copy(g.disks[i].bus, sizeof(g.disks[i].bus), i == 0 ? next(&text) : g.disks[0].bus); /* one bus a guest */
		(void)str_copy(g.disks[i].cache, sizeof(g.disks[i].cache), "none");
		(void)str_copy(g.disks[i].format, sizeof(g.disks[i].format), "raw");
	}
	(void)str_copy(g.nics[0].mac, sizeof(g.nics[0].mac), "aa:00:00:11:22:33");
	(void)str_copy(g.nics[0].bridge, sizeof(g.nics[0].bridge), next(&text));
	(void)str_copy(g.nics[0].model, sizeof(g.nics[0].model), "virtio");
	g.cpu_xml = text; /* all of the rest */
	if (guest_xml_write(&g, &xml, &err) < 0) {
		assert(err.code == ERR_BAD_VALUE && err.msg[0]);
		return;
	}
	xmlDocPtr doc = read_back(xml);
	assert(doc);
	assert(count(doc, "/domain") == 1 && count(doc, "/domain/name") == 1 && count(doc, "/domain/uuid") == 1);
	assert(count(doc, "/domain/devices") == 1 && count(doc, "/domain/devices/interface") == 1);
	assert(count(doc, "/domain/devices/disk") == g.n_disks + (g.cdrom_image_path[0] != '\0'));
	assert(count(doc, "/domain/devices/disk/target[@dev = ../preceding-sibling::disk/target/@dev]") == 0);
	assert(count(doc, "/domain/cpu") == 1);
	assert(guest_xml_is_ours(xml));
	xmlFreeDoc(doc);
	free(xml);
}

static void fuzz_capabilities(const char *text)
{
	char *cpu = guest_xml_host_cpu(text);

	if (!cpu)
		return;
	/* What a node says of its CPU goes into guests' descriptions. */
	struct hv_guest g = { .name = "web1", .uuid = "11111111-2222-4333-8444-555555555555", .memory_mib = 512, .vcpus = 1, .cpu_xml = cpu };
	struct err err = ERR_INIT;
	char *xml = NULL;
	assert(guest_xml_write(&g, &xml, &err) == 0);
	free(xml);
	free(cpu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *text = fuzz_string(data + 1, size - 1);
	if (data[0] == 'd')
		(void)guest_xml_is_ours(text);
	else if (data[0] == 'c')
		fuzz_capabilities(text);
	else
		fuzz_write(text);
	free(text);
	return 0;
}
