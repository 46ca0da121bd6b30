/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/pki.h"
#include "io/pki_x509.h"

extern char **environ;

#define UUID_A "11111111-2222-4333-8444-555555555555"
#define UUID_B "66666666-7777-4888-9999-aaaaaaaaaaaa"

struct world {
	char dir[64];
	char *ca, *ca_key, *csr, *key, *cert;
};

static const char *const no_names[] = { NULL };

static char *sign(const struct world *w, const struct pki_names *names, int days)
{
	struct err err = ERR_INIT;
	char *cert = NULL;

	if (pki_sign_csr(w->ca, w->ca_key, w->csr, names, days, &cert, &err) < 0)
		fail_msg("%s", err.msg);
	return cert;
}

static int set_up(void **state)
{
	static const char *const dns[] = { "node1", "node1.example.org", NULL };
	static const char *const addresses[] = { "10.1.2.3", "fd00::3", "127.0.0.1", NULL };
	struct pki_names names = { .uuid = UUID_A, .cn = "node1", .dns = dns, .addresses = addresses };
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err = ERR_INIT;

	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/test_pki.XXXXXX");
	if (!mkdtemp(w->dir))
		return -1;
	if (pki_make_ca("lab", 3650, &w->ca, &w->ca_key, &err) < 0 || pki_make_csr("node1", &w->csr, &w->key, &err) < 0)
		return -1;
	w->cert = sign(w, &names, 825);
	*state = w;
	return 0;
}

static void remove_file(const char *dir, const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
}

static int tear_down(void **state)
{
	static const char *const files[] = { "ca-cert.pem", "server-cert.pem", "server-key.pem", "client-cert.pem",
					     "client-key.pem", "crl.pem", "disk", "out", "cert.pem", "csr.pem" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		remove_file(w->dir, files[i]);
	(void)rmdir(w->dir);
	free(w->ca);
	free(w->ca_key);
	free(w->csr);
	free(w->key);
	free(w->cert);
	free(w);
	return 0;
}

static void write_file(const struct world *w, const char *name, const char *text)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

/* Starts a program in the test's directory, its output to the file "out". -1 = not installed. */
static pid_t start(const struct world *w, const char *const argv[])
{
	posix_spawn_file_actions_t fa;
	char out[200];
	pid_t pid = -1;

	(void)snprintf(out, sizeof(out), "%s/out", w->dir);
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&fa, 1, out, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	(void)posix_spawn_file_actions_adddup2(&fa, 1, 2);
	(void)posix_spawn_file_actions_addchdir_np(&fa, w->dir);
	if (posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)(uintptr_t)argv, environ) != 0)
		pid = -1;
	(void)posix_spawn_file_actions_destroy(&fa);
	return pid;
}

static void output_of(const struct world *w, char *buf, size_t size)
{
	char out[200];
	size_t n = 0;

	(void)snprintf(out, sizeof(out), "%s/out", w->dir);
	int fd = open(out, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t got;

		while (n < size - 1 && (got = read(fd, buf + n, size - 1 - n)) > 0)
			n += (size_t)got;
		(void)close(fd);
	}
	buf[n] = '\0';
}

/* Its exit status, or -1 when it is not installed. */
static int run(const struct world *w, const char *const argv[])
{
	int status = 0;
	pid_t pid = start(w, argv);

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? (WEXITSTATUS(status) == 127 ? -1 : WEXITSTATUS(status)) : 256;
}

static void must_run(const struct world *w, const char *const argv[], bool good)
{
	int rc = run(w, argv);

	if (rc < 0) {
		print_message("%s is not installed\n", argv[0]);
		return;
	}
	if ((rc == 0) != good) {
		char text[4000];

		output_of(w, text, sizeof(text));
		fail_msg("%s %s gave %d: %s", argv[0], argv[1], rc, text);
	}
}

static void write_all(const struct world *w)
{
	write_file(w, "ca-cert.pem", w->ca);
	write_file(w, "server-cert.pem", w->cert);
	write_file(w, "server-key.pem", w->key);
	write_file(w, "client-cert.pem", w->cert);
	write_file(w, "client-key.pem", w->key);
}

static void a_certificate_says_what_it_was_told(void **state)
{
	struct world *w = *state;
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;
	struct err err = ERR_INIT;
	char uuid[UUID_LEN + 1], print1[65], print2[65], serial[41];
	int64_t until = 0, now_s = time(NULL);

	assert_int_equal(pki_load_crt(w->cert, &crt, &err), 0);
	assert_int_equal(pki_crt_node(crt, uuid, &err), 0);
	assert_string_equal(uuid, UUID_A);
	assert_true(gnutls_x509_crt_check_hostname(crt, "node1.example.org"));
	assert_true(gnutls_x509_crt_check_hostname(crt, "10.1.2.3"));
	assert_true(gnutls_x509_crt_check_hostname(crt, "fd00::3"));
	assert_true(gnutls_x509_crt_check_hostname(crt, "::1"));
	assert_true(gnutls_x509_crt_check_hostname(crt, "127.0.0.1"));
	assert_false(gnutls_x509_crt_check_hostname(crt, "node2"));
	assert_int_equal(gnutls_x509_crt_get_ca_status(crt, NULL), 0);
	assert_int_equal(pki_expires(w->cert, &until, &err), 0);
	assert_in_range(until, now_s - 3700 + 825LL * 86400, now_s - 3600 + 825LL * 86400);
	assert_in_range(gnutls_x509_crt_get_activation_time(crt), now_s - 3700, now_s - 3600);
	assert_int_equal(pki_fingerprint(w->cert, print1, &err), 0);
	assert_int_equal(pki_fingerprint(w->ca, print2, &err), 0);
	assert_int_equal(strlen(print1), 64);
	assert_string_not_equal(print1, print2);
	assert_int_equal(pki_serial(w->cert, serial, &err), 0);
	assert_int_equal(strlen(serial), 32);
}

static void names_come_from_the_signer_only(void **state)
{
	struct world *w = *state;
	struct pki_names names = { .uuid = "", .cn = "other", .dns = no_names, .addresses = no_names };
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;
	AUTO_FREE char *cert = sign(w, &names, 1);
	struct err err = ERR_INIT;
	char uuid[UUID_LEN + 1], cn[80];
	size_t n = sizeof(cn);

	assert_int_equal(pki_load_crt(cert, &crt, &err), 0);
	assert_int_equal(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0, 0, cn, &n), 0);
	assert_string_equal(cn, "other");
	assert_int_equal(pki_crt_node(crt, uuid, &err), -ERR_TLS);
	assert_string_equal(err.msg, "the certificate names no node");
}

static void no_certificate_outlives_its_ca(void **state)
{
	struct world *w = *state;
	struct pki_names names = { .uuid = UUID_B, .cn = "n" };
	AUTO_FREE char *cert = sign(w, &names, 36500);
	struct err err = ERR_INIT;
	int64_t a = 0, b = 1;

	assert_int_equal(pki_expires(cert, &a, &err), 0);
	assert_int_equal(pki_expires(w->ca, &b, &err), 0);
	assert_int_equal(a, b);
}

static void bad_orders_are_refused(void **state)
{
	static const char *const bad_dns[] = { "a b", NULL }, *const star[] = { "*", NULL };
	static const char *const bad_addr[] = { "10.0.0.300", NULL };
	struct world *w = *state;
	const struct {
		struct pki_names names;
		int days, code;
	} row[] = {
		{ { .uuid = "", .cn = "n" }, 0, ERR_BAD_VALUE },
		{ { .uuid = "", .cn = "n" }, 99999, ERR_BAD_VALUE },
		{ { .uuid = "", .cn = "" }, 1, ERR_BAD_VALUE },
		{ { .uuid = "", .cn = "a\nb" }, 1, ERR_BAD_VALUE },
		{ { .uuid = "11111111-2222-4333-8444-55555555555X", .cn = "n" }, 1, ERR_BAD_VALUE },
		{ { .uuid = "1", .cn = "n" }, 1, ERR_BAD_VALUE },
		{ { .uuid = "", .cn = "n", .dns = bad_dns }, 1, ERR_BAD_VALUE },
		{ { .uuid = "", .cn = "n", .dns = star }, 1, ERR_BAD_VALUE },
		{ { .uuid = "", .cn = "n", .addresses = bad_addr }, 1, ERR_BAD_VALUE },
	};
	char *cert = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(pki_sign_csr(w->ca, w->ca_key, w->csr, &row[i].names, row[i].days, &cert, &err),
				 -row[i].code);
		assert_null(cert);
		assert_true(err.msg[0] != '\0');
	}
}

static void bad_requests_and_wrong_keys_are_refused(void **state)
{
	struct world *w = *state;
	struct pki_names names = { .uuid = "", .cn = "n" };
	AUTO_FREE char *long_text = xcalloc(1, 20000), *twisted = xstrdup(w->csr), *other_ca = NULL, *other_key = NULL;
	struct err err = ERR_INIT;
	char *cert = NULL;

	memset(long_text, 'A', 19999);
	assert_int_equal(pki_sign_csr(w->ca, w->ca_key, long_text, &names, 1, &cert, &err), -ERR_TOO_BIG);
	assert_int_equal(pki_sign_csr(w->ca, w->ca_key, "junk", &names, 1, &cert, &err), -ERR_BAD_REQUEST);
	assert_int_equal(pki_sign_csr(w->ca, w->ca_key, "", &names, 1, &cert, &err), -ERR_TLS);
	/* A bit of its signature: the last letters before the padding and the footer. */
	char *foot = strstr(twisted, "-----END");
	assert_non_null(foot);
	foot[-8] = foot[-8] == 'A' ? 'B' : 'A';
	assert_int_equal(pki_sign_csr(w->ca, w->ca_key, twisted, &names, 1, &cert, &err), -ERR_BAD_REQUEST);
	assert_int_equal(pki_make_ca("other", 10, &other_ca, &other_key, &err), 0);
	assert_int_equal(pki_sign_csr(w->ca, other_key, w->csr, &names, 1, &cert, &err), -ERR_TLS);
	assert_string_equal(err.msg, "the CA's key does not belong to its certificate");
	assert_int_equal(pki_sign_csr(w->cert, w->key, w->csr, &names, 1, &cert, &err), -ERR_TLS);
	assert_string_equal(err.msg, "the cluster's CA certificate is not one of a CA");
	assert_null(cert);
}

static void a_request_with_an_rsa_key_is_refused(void **state)
{
	struct world *w = *state;
	struct pki_names names = { .uuid = "", .cn = "n" };
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	AUTO(gnutls_x509_crq_deinit) gnutls_x509_crq_t crq = NULL;
	gnutls_datum_t text = { 0 };
	struct err err = ERR_INIT;
	char *cert = NULL;

	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0), 0);
	assert_int_equal(gnutls_x509_crq_init(&crq), 0);
	assert_int_equal(gnutls_x509_crq_set_key(crq, key), 0);
	assert_int_equal(gnutls_x509_crq_set_version(crq, 1), 0);
	assert_int_equal(gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &text), 0);
	assert_int_equal(pki_sign_csr(w->ca, w->ca_key, (char *)text.data, &names, 1, &cert, &err), -ERR_BAD_REQUEST);
	assert_null(cert);
	gnutls_free(text.data);
}

static void a_revocation_list_is_signed_and_names_the_serial(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	char serial[41];
	AUTO_FREE char *crl = NULL;

	assert_int_equal(pki_serial(w->cert, serial, &err), 0);
	const char *const revoked[] = { serial, NULL };
	const char *const junk[] = { "xyz", NULL };
	assert_int_equal(pki_make_crl(w->ca, w->ca_key, junk, &crl, &err), -ERR_BAD_VALUE);
	assert_int_equal(pki_make_crl(w->ca, w->ca_key, revoked, &crl, &err), 0);
	write_all(w);
	write_file(w, "crl.pem", crl);
	const char *const ok[] = { "openssl", "verify", "-CAfile", "ca-cert.pem", "server-cert.pem", NULL };
	must_run(w, ok, true);
	const char *const bad[] = { "openssl", "verify", "-crl_check", "-CRLfile", "crl.pem", "-CAfile", "ca-cert.pem",
			      "server-cert.pem", NULL };
	must_run(w, bad, false);
	AUTO_FREE char *empty = NULL;
	assert_int_equal(pki_make_crl(w->ca, w->ca_key, no_names, &empty, &err), 0);
	write_file(w, "crl.pem", empty);
	must_run(w, bad, true);
}

static void other_tools_accept_the_certificates(void **state)
{
	struct world *w = *state;

	write_all(w);
	const char *const certtool[] = { "certtool", "--verify", "--load-ca-certificate", "ca-cert.pem", "--infile",
				   "server-cert.pem", "--verify-hostname", "node1", "--verify-purpose",
				   GNUTLS_KP_TLS_WWW_CLIENT, NULL };
	must_run(w, certtool, true);
	const char *const server[] = { "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "10.1.2.3",
				 "-CAfile", "ca-cert.pem", "server-cert.pem", NULL };
	must_run(w, server, true);
	const char *const client[] = { "openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca-cert.pem",
				 "server-cert.pem", NULL };
	must_run(w, client, true);
	const char *const wrong[] = { "openssl", "verify", "-verify_ip", "10.1.2.4", "-CAfile", "ca-cert.pem",
				"server-cert.pem", NULL };
	must_run(w, wrong, false);
	const char *const key[] = { "openssl", "pkey", "-in", "server-key.pem", "-check", "-noout", NULL };
	must_run(w, key, true);
}

/* QEMU checks credentials when it loads them; libvirt has the same checks. */
static void qemu_accepts_the_certificates(void **state)
{
	struct world *w = *state;
	static const char *const ends[] = { "server", "client" };

	write_all(w);
	write_file(w, "disk", "x");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char object[200];

		(void)snprintf(object, sizeof(object), "tls-creds-x509,id=t,dir=%s,verify-peer=on,endpoint=%s", w->dir,
			       ends[i]);
		const char *const argv[] = { "qemu-img", "info", "--object", object, "-f", "raw", "disk", NULL };
		must_run(w, argv, true);
	}
	/* The check can fail: with someone else's CA. */
	AUTO_FREE char *other = NULL, *other_key = NULL;
	struct err err = ERR_INIT;
	char object[200];
	assert_int_equal(pki_make_ca("other", 10, &other, &other_key, &err), 0);
	write_file(w, "ca-cert.pem", other);
	(void)snprintf(object, sizeof(object), "tls-creds-x509,id=t,dir=%s,endpoint=server", w->dir);
	const char *const argv[] = { "qemu-img", "info", "--object", object, "-f", "raw", "disk", NULL };
	must_run(w, argv, false);
}

static void pause_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

/* etcd (Go) as server with our certificate, and as the client of its own gateway and peer port. */
static void etcd_accepts_the_certificates(void **state)
{
	struct world *w = *state;
	char client_url[64], peer_url[64], data[100], cluster[100], out[8000] = "";
	int port = 20000 + (int)(getpid() % 20000);

	write_all(w);
	(void)snprintf(client_url, sizeof(client_url), "https://127.0.0.1:%d", port);
	(void)snprintf(peer_url, sizeof(peer_url), "https://127.0.0.1:%d", port + 1);
	(void)snprintf(data, sizeof(data), "%s/etcd", w->dir);
	(void)snprintf(cluster, sizeof(cluster), "t=%s", peer_url);
	const char *const argv[] = { "etcd", "--name", "t", "--data-dir", data, "--listen-client-urls", client_url,
			       "--advertise-client-urls", client_url, "--listen-peer-urls", peer_url,
			       "--initial-advertise-peer-urls", peer_url, "--initial-cluster", cluster, "--cert-file",
			       "server-cert.pem", "--key-file", "server-key.pem", "--trusted-ca-file", "ca-cert.pem",
			       "--client-cert-auth", "--peer-cert-file", "server-cert.pem", "--peer-key-file",
			       "server-key.pem", "--peer-trusted-ca-file", "ca-cert.pem", "--peer-client-cert-auth",
			       "--unsafe-no-fsync", NULL };
	const char *const get[] = { "curl", "-s", "-m", "3", "--cacert", "ca-cert.pem", "--cert", "client-cert.pem", "--key",
			      "client-key.pem", "-X", "POST", "-d", "{\"key\":\"YQ==\",\"value\":\"YQ==\"}", "-f",
			      NULL, NULL };
	const char *put[ARRAY_SIZE(get)];
	char url[100];
	pid_t pid = start(w, argv);

	if (pid < 0) {
		print_message("etcd is not installed\n");
		return;
	}
	memcpy(put, get, sizeof(get));
	(void)snprintf(url, sizeof(url), "%s/v3/kv/put", client_url);
	put[ARRAY_SIZE(get) - 2] = url;
	int rc = 1;
	for (int i = 0; i < 100 && rc > 0; i++) {
		pause_ms(100);
		output_of(w, out, sizeof(out));
		rc = run(w, put);
	}
	/* Without a certificate it is refused: the server really asks. */
	const char *const anonymous[] = { "curl", "-s", "-f", "-m", "3", "--cacert", "ca-cert.pem", url, NULL };
	int refused = run(w, anonymous);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	const char *const clean[] = { "rm", "-rf", data, NULL };
	(void)run(w, clean);
	if (rc != 0)
		fail_msg("curl gave %d; etcd: %s", rc, out);
	assert_true(refused != 0);
}

static void secrets_are_hashed_and_checked(void **state)
{
	struct err err = ERR_INIT;
	char hash[128], again[128], secret[65];

	(void)state;
	pki_random_hex(secret, 64);
	assert_int_equal(strspn(secret, "0123456789abcdef"), 64);
	assert_int_equal(secret[64], '\0');
	char other[65];
	pki_random_hex(other, 64);
	assert_string_not_equal(secret, other);
	pki_random_hex(other, 7);
	assert_int_equal(strlen(other), 7);
	pki_random_hex(other, 0);
	assert_string_equal(other, "");
	assert_int_equal(pki_hash_secret(secret, hash, &err), 0);
	assert_int_equal(pki_hash_secret(secret, again, &err), 0);
	assert_memory_equal(hash, "$argon2id$", 10);
	assert_string_not_equal(hash, again); /* salted */
	assert_true(pki_check_secret(secret, hash));
	assert_true(pki_check_secret(secret, again));
	secret[3] = secret[3] == 'a' ? 'b' : 'a';
	assert_false(pki_check_secret(secret, hash));
	assert_false(pki_check_secret("", hash));
	assert_false(pki_check_secret(secret, ""));
	assert_false(pki_check_secret(secret, "$argon2id$junk"));
	char endless[300];
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_false(pki_check_secret(secret, endless));
}

/* A self-signed certificate with these URIs. */
static gnutls_x509_crt_t with_uris(const struct world *w, const char *const *uris)
{
	AUTO(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
	AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = NULL;
	gnutls_x509_crt_t ret = NULL;
	gnutls_datum_t text = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(pki_load_key(w->key, &key, &err), 0);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_serial(crt, "1", 1), 0);
	assert_int_equal(gnutls_x509_crt_set_activation_time(crt, 1), 0);
	assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 1000), 0);
	assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
	for (; *uris; uris++)
		assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, *uris,
								      (unsigned)strlen(*uris), GNUTLS_FSAN_APPEND), 0);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &text), 0);
	assert_int_equal(pki_load_crt((char *)text.data, &ret, &err), 0);
	gnutls_free(text.data);
	return ret;
}

static void only_one_well_formed_identity_counts(void **state)
{
	static const char *const row[][3] = { /* two URIs, then the node */
		{ PKI_NODE_URI UUID_A, NULL, UUID_A },
		{ PKI_NODE_URI UUID_A, "https://example.org/", UUID_A },
		{ PKI_NODE_URI UUID_A, PKI_NODE_URI UUID_B, NULL },
		{ PKI_NODE_URI UUID_A, PKI_NODE_URI "x", NULL },
		{ PKI_NODE_URI UUID_A "x", NULL, NULL },
		{ PKI_NODE_URI, NULL, NULL },
		{ "gantry:user:" UUID_A, NULL, NULL },
		{ PKI_NODE_URI "AAAAAAAA-2222-4333-8444-555555555555", NULL, NULL },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		const char *const uris[] = { row[i][0], row[i][1], NULL };
		AUTO(gnutls_x509_crt_deinit) gnutls_x509_crt_t crt = with_uris(w, uris);
		char uuid[UUID_LEN + 1] = "before";
		struct err err = ERR_INIT;

		assert_int_equal(pki_crt_node(crt, uuid, &err), row[i][2] ? 0 : -ERR_TLS);
		assert_string_equal(uuid, row[i][2] ? row[i][2] : "before");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_says_what_it_was_told),
		cmocka_unit_test(names_come_from_the_signer_only),
		cmocka_unit_test(no_certificate_outlives_its_ca),
		cmocka_unit_test(bad_orders_are_refused),
		cmocka_unit_test(bad_requests_and_wrong_keys_are_refused),
		cmocka_unit_test(a_request_with_an_rsa_key_is_refused),
		cmocka_unit_test(a_revocation_list_is_signed_and_names_the_serial),
		cmocka_unit_test(other_tools_accept_the_certificates),
		cmocka_unit_test(qemu_accepts_the_certificates),
		cmocka_unit_test(etcd_accepts_the_certificates),
		cmocka_unit_test(secrets_are_hashed_and_checked),
		cmocka_unit_test(only_one_well_formed_identity_counts),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
