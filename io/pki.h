/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's own certificate authority (GnuTLS; Ed25519 is not taken by etcd 3.4's Go and libvirt alike, so ECDSA P-256). */
#ifndef IO_PKI_H
#define IO_PKI_H

#include <stdint.h>

#include "common/err.h"
#include "schema/limits.h"

struct pki_names {
	char uuid[UUID_LEN + 1];       /* URI SAN gantry:node:<uuid>; "" = none */
	const char *cn;                /* common name; libvirt compares hostnames with the DNS SANs */
	const char *const *dns;        /* NULL-terminated */
	const char *const *addresses;  /* NULL-terminated; 127.0.0.1 and ::1 are always added */
};

/* Gives PEM texts (free()). days of validity from an hour ago, so that clocks a little apart agree. */
int pki_make_ca(const char *cluster_name, int days, char **ret_cert, char **ret_key, struct err *err) WARN_UNUSED;
int pki_make_csr(const char *cn, char **ret_csr, char **ret_key, struct err *err) WARN_UNUSED;
/* Signs; usable as TLS server and client. Names come from here, never from the request. */
int pki_sign_csr(const char *ca_cert, const char *ca_key, const char *csr, const struct pki_names *names, int days,
		 char **ret_cert, struct err *err) WARN_UNUSED;
/* The same, good for life_s seconds from now. */
int pki_sign_csr_for(const char *ca_cert, const char *ca_key, const char *csr, const struct pki_names *names, int64_t life_s,
		     char **ret_cert, struct err *err) WARN_UNUSED;
int pki_fingerprint(const char *cert_pem, char out[65], struct err *err) WARN_UNUSED; /* sha256 of the DER, hex */
int pki_expires(const char *cert_pem, int64_t *ret_wall_s, struct err *err) WARN_UNUSED;
/* From when it is meant to be good (not backdated), and until when. */
int pki_validity(const char *cert_pem, int64_t *ret_begins_s, int64_t *ret_expires_s, struct err *err) WARN_UNUSED;
int pki_serial(const char *cert_pem, char out[41], struct err *err) WARN_UNUSED; /* hex: what a revocation list names */
/* A signed list of revoked serials (NULL-terminated; as pki_serial() gives them), good until the CA ends. Gives PEM text. */
int pki_make_crl(const char *ca_cert, const char *ca_key, const char *const *serials, char **ret_crl,
		 struct err *err) WARN_UNUSED;
/* n random hex digits from libsodium into out[n + 1]; and its Argon2id hash of a secret / check of one. */
void pki_random_hex(char *out, int n);
int pki_hash_secret(const char *secret, char out[128], struct err *err) WARN_UNUSED;
bool pki_check_secret(const char *secret, const char *hash);

#endif
