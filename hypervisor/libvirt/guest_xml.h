/* SPDX-License-Identifier: Apache-2.0 */
/* Domain XML, made and read with libxml2 only: nothing a guest is called can break out of its element. Pure. */
#ifndef HYPERVISOR_LIBVIRT_GUEST_XML_H
#define HYPERVISOR_LIBVIRT_GUEST_XML_H

#include <stdbool.h>

#include "hypervisor/hypervisor.h"

/* Gives the text. -ERR_BAD_VALUE when cpu_xml is no <cpu> element. */
int guest_xml_write(const struct hv_guest *g, char **ret_xml, struct err *err) WARN_UNUSED;
/* Does a domain's XML carry our mark? (No network, no entities, bounded.) */
bool guest_xml_is_ours(const char *xml);
/* <cpu> of the host's own model from domain capabilities, for the baseline; gives, NULL = none. */
char *guest_xml_host_cpu(const char *domcaps_xml);

#endif
