/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor on libvirt's C API. Thread-safe; one connection, made anew when it breaks; one thread runs libvirt's event loop. */
#ifndef HYPERVISOR_LIBVIRT_LIBVIRT_H
#define HYPERVISOR_LIBVIRT_LIBVIRT_H

#include "hypervisor/hypervisor.h"

/* Does not connect yet: a daemon outlives its libvirtd. */
int libvirt_new(const char *uri, struct hypervisor **ret, struct err *err) WARN_UNUSED;
void libvirt_free(struct hypervisor *h);

#endif
