/* SPDX-License-Identifier: Apache-2.0 */
/* Where libvirt and QEMU look for certificates (libvirt: kbase/tlscerts; QEMU: default_tls_x509_cert_dir in qemu.conf). */
#ifndef HYPERVISOR_LIBVIRT_TLSCONF_H
#define HYPERVISOR_LIBVIRT_TLSCONF_H

enum tls_what { TLS_FILE_CA, TLS_FILE_CERT, TLS_FILE_KEY };

struct tls_file {
	const char *path;
	enum tls_what what;
	unsigned mode;
};

/* Ends with path NULL. */
extern const struct tls_file tls_files[];

#endif
