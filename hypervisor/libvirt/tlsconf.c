/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/libvirt/tlsconf.h"

#include <stddef.h>

const struct tls_file tls_files[] = {
	{ "/etc/pki/CA/cacert.pem", TLS_FILE_CA, 0644 },
	{ "/etc/pki/libvirt/servercert.pem", TLS_FILE_CERT, 0644 },
	{ "/etc/pki/libvirt/private/serverkey.pem", TLS_FILE_KEY, 0600 },
	{ "/etc/pki/libvirt/clientcert.pem", TLS_FILE_CERT, 0644 },
	{ "/etc/pki/libvirt/private/clientkey.pem", TLS_FILE_KEY, 0600 },
	/* Read by QEMU, which does not run as root: group kvm would do, but the group is not everywhere. */
	{ "/etc/pki/qemu/ca-cert.pem", TLS_FILE_CA, 0644 },
	{ "/etc/pki/qemu/server-cert.pem", TLS_FILE_CERT, 0644 },
	{ "/etc/pki/qemu/server-key.pem", TLS_FILE_KEY, 0640 },
	{ "/etc/pki/qemu/client-cert.pem", TLS_FILE_CERT, 0644 },
	{ "/etc/pki/qemu/client-key.pem", TLS_FILE_KEY, 0640 },
	{ NULL, TLS_FILE_CA, 0 },
};
