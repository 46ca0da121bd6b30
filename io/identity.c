/* SPDX-License-Identifier: Apache-2.0 */
#include "io/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xmem.h"
#include "io/conf.h"
#include "io/files.h"
#include "io/link.h"
#include "io/pki.h"

#define PEM_MAX 65536

/* Renames in one directory, durably. */
static int move(const struct conf *c, const char *from, const char *to, struct err *err)
{
	AUTO_FREE char *a = conf_path(c, from), *b = conf_path(c, to);

	return file_rename(a, b, err);
}

/*
 * The certificate first, beside the old one; then the key beside the old one; then both change places. Between the two the certificate
 * that belongs to the key is still there under its other name, and recover() finds it.
 */
int identity_write(const struct conf *c, const char *ca, const char *cert, const char *key, struct err *err)
{
	AUTO_FREE char *ca_path = conf_path(c, "ca.pem"), *cert_new = conf_path(c, "node.pem.new"), *key_new = conf_path(c, "node.key.new");
	int rc = file_write_durable(ca_path, ca, 0644, err);

	if (rc == 0)
		rc = file_write_durable(cert_new, cert, 0644, err);
	if (rc == 0)
		rc = file_write_durable(key_new, key, 0600, err);
	if (rc == 0)
		rc = move(c, "node.key.new", "node.key", err);
	return rc < 0 ? rc : move(c, "node.pem.new", "node.pem", err);
}

static int load(const struct conf *c, const char *cert_file, struct link_tls **ret, char **ret_cert, struct err *err)
{
	AUTO_FREE char *ca_path = conf_path(c, "ca.pem"), *cert_path = conf_path(c, cert_file), *key_path = conf_path(c, "node.key");
	AUTO_FREE char *ca = NULL, *cert = NULL, *key = NULL;
	int rc = file_read_text(ca_path, PEM_MAX, &ca, err);

	if (rc == 0)
		rc = file_read_text(cert_path, PEM_MAX, &cert, err);
	if (rc == 0)
		rc = file_read_text(key_path, PEM_MAX, &key, err);
	if (rc == 0)
		rc = link_tls_new(ca, cert, key, NULL, ret, err);
	if (rc == 0)
		*ret_cert = TAKE(cert);
	return rc;
}

/* The writer died between its two renames: the certificate that belongs to the key waits under its other name. */
static int recover(const struct conf *c, struct link_tls **ret, char **ret_cert, struct err *err)
{
	int rc = load(c, "node.pem.new", ret, ret_cert, err);

	return rc < 0 ? rc : move(c, "node.pem.new", "node.pem", err);
}

static void stamp(const struct conf *c, struct identity *id)
{
	AUTO_FREE char *path = conf_path(c, "node.pem");
	struct stat st;

	id->mtime_ns = 0;
	id->inode = 0;
	if (stat(path, &st) < 0)
		return;
	id->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	id->inode = st.st_ino;
}

int identity_load(const struct conf *c, struct identity *id, struct err *err)
{
	struct identity fresh = { .tls = NULL };
	struct err second = ERR_INIT;
	AUTO_FREE char *cert = NULL;
	int64_t begins_s = 0;

	stamp(c, id); /* before the look: what changes meanwhile is seen the next time */
	int rc = load(c, "node.pem", &fresh.tls, &cert, err);
	if (rc < 0 && recover(c, &fresh.tls, &cert, &second) == 0) {
		err_clear(err);
		stamp(c, id);
		rc = 0;
	}
	if (rc == 0)
		rc = pki_validity(cert, &begins_s, &fresh.expires_s, err);
	if (rc < 0) {
		if (fresh.tls)
			link_tls_unref(fresh.tls);
		return rc;
	}
	if (id->tls)
		link_tls_unref(id->tls);
	id->tls = fresh.tls;
	id->expires_s = fresh.expires_s;
	id->due_s = fresh.expires_s - (fresh.expires_s - begins_s) / 3;
	return 0;
}

bool identity_changed(const struct conf *c, const struct identity *id)
{
	struct identity now = { .tls = NULL };

	stamp(c, &now);
	return now.inode != 0 && (now.inode != id->inode || now.mtime_ns != id->mtime_ns);
}

void identity_done(struct identity *id)
{
	if (id->tls)
		link_tls_unref(id->tls);
	memset(id, 0, sizeof(*id));
}
