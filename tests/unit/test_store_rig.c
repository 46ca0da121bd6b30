/* SPDX-License-Identifier: Apache-2.0 */
#include "test_store_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "io/etcd_conf.h"
#include "io/pki.h"

#define ETCD_PROGRAM "/usr/bin/etcd"
#define WAIT_MS_MAX 60000 /* only a hanging call gets there */
#define LEASE_MS 12000

/* ---- directories, ports, files ---- */

char *rig_dir_new(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = xasprintf("%s/gantry-store.XXXXXX", tmp && tmp[0] ? tmp : "/tmp");

	if (!mkdtemp(dir))
		fail_msg("cannot make '%s': %s", dir, strerror(errno));
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void rig_dir_free(char *dir)
{
	if (!dir)
		return;
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

static int bound_socket(int *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

int rig_free_port(void)
{
	int port = 0, fd = bound_socket(&port);

	(void)close(fd);
	return port;
}

static char *write_file(const char *dir, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

/* ---- certificates ---- */

void rig_tls_make(const char *dir, struct rig_tls *ret)
{
	static const char *const none[] = { NULL };
	struct pki_names names = { .uuid = "", .cn = "test", .dns = none, .addresses = none };
	AUTO_FREE char *ca = NULL;
	AUTO_FREE char *ca_key = NULL;
	AUTO_FREE char *csr = NULL;
	AUTO_FREE char *key = NULL;
	AUTO_FREE char *cert = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(pki_make_ca("test", 10, &ca, &ca_key, &err), 0);
	assert_int_equal(pki_make_csr("test", &csr, &key, &err), 0);
	assert_int_equal(pki_sign_csr(ca, ca_key, csr, &names, 10, &cert, &err), 0);
	ret->ca = write_file(dir, "ca.pem", ca);
	ret->cert = write_file(dir, "node.pem", cert);
	ret->key = write_file(dir, "node.key", key);
}

void rig_tls_done(struct rig_tls *t)
{
	free(t->ca);
	free(t->cert);
	free(t->key);
	*t = (struct rig_tls){ .ca = NULL };
}

/* ---- etcd ---- */

static void write_conf(struct rig_etcd *e, const struct rig_tls *tls, const char *cluster, bool fresh)
{
	AUTO_FREE char *data = xasprintf("%s/data", e->dir);
	struct etcd_member_conf c = {
		.name = e->name,
		.data_dir = data,
		.address = "127.0.0.1",
		.client_port = e->client_port,
		.peer_port = e->peer_port,
		.ca_file = tls ? tls->ca : NULL,
		.cert_file = tls ? tls->cert : NULL,
		.key_file = tls ? tls->key : NULL,
		.initial_cluster = cluster,
		.new_cluster = fresh,
		.lease_ms = LEASE_MS,
	};
	AUTO_FREE char *text = etcd_conf_text(&c);

	free(e->conf_file);
	e->conf_file = write_file(e->dir, "etcd.yaml", text);
}

void rig_etcd_plan(struct rig_etcd *e, const char *dir, const char *name, const struct rig_tls *tls)
{
	*e = (struct rig_etcd){ .pid = 0 };
	e->name = xstrdup(name);
	e->dir = xasprintf("%s/%s", dir, name);
	assert_int_equal(mkdir(e->dir, 0700), 0);
	e->client_port = rig_free_port();
	e->peer_port = rig_free_port();
	e->url = etcd_conf_url(tls != NULL, "127.0.0.1", e->client_port);
	e->peer_url = etcd_conf_url(tls != NULL, "127.0.0.1", e->peer_port);
}

void rig_etcd_run(struct rig_etcd *e)
{
	AUTO_FREE char *log = xasprintf("%s/log", e->dir);

	if (access(ETCD_PROGRAM, X_OK) != 0)
		fail_msg("'%s' is missing: install etcd-server", ETCD_PROGRAM);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* Ends with this program however that ends. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
		(void)execl(ETCD_PROGRAM, ETCD_PROGRAM, "--config-file", e->conf_file, (char *)NULL);
		_exit(127);
	}
	(void)close(fd);
	e->pid = pid;
}

void rig_etcd_start(struct rig_etcd *e, const char *dir, const char *name, const struct rig_tls *tls)
{
	rig_etcd_plan(e, dir, name, tls);
	AUTO_FREE char *cluster = xasprintf("%s=%s", name, e->peer_url);
	write_conf(e, tls, cluster, true);
	rig_etcd_run(e);
}

void rig_etcd_join(struct rig_etcd *e, const struct rig_etcd *first, const struct rig_tls *tls)
{
	AUTO_FREE char *cluster = xasprintf("%s=%s,%s=%s", first->name, first->peer_url, e->name, e->peer_url);

	write_conf(e, tls, cluster, false);
	rig_etcd_run(e);
}

void rig_etcd_kill(struct rig_etcd *e)
{
	if (e->pid <= 0)
		return;
	(void)kill(e->pid, SIGKILL);
	(void)waitpid(e->pid, NULL, 0);
	e->pid = 0;
}

void rig_etcd_done(struct rig_etcd *e)
{
	rig_etcd_kill(e);
	free(e->name);
	free(e->dir);
	free(e->conf_file);
	free(e->url);
	free(e->peer_url);
	*e = (struct rig_etcd){ .pid = 0 };
}

/* ---- calls ---- */

void rig_answer_done(struct rig_answer *a)
{
	for (int i = 0; i < a->n_kvs; i++) {
		free(a->kvs[i].key);
		free(a->kvs[i].value);
	}
	free(a->kvs);
	*a = (struct rig_answer){ .loop = NULL };
}

void rig_on_answer(void *arg, const struct store_result *res)
{
	struct rig_answer *a = arg;

	a->n_calls++;
	a->outcome = res->outcome;
	a->revision = res->revision;
	if (res->err)
		a->err = *res->err;
	a->kvs = res->n_kvs ? xcalloc((size_t)res->n_kvs, sizeof(*a->kvs)) : NULL;
	a->n_kvs = res->n_kvs;
	for (int i = 0; i < res->n_kvs; i++) {
		a->kvs[i] = res->kvs[i];
		a->kvs[i].key = xstrdup(res->kvs[i].key);
		a->kvs[i].value = xstrdup(res->kvs[i].value);
	}
	if (a->loop)
		loop_stop(a->loop);
}

void rig_on_members(void *arg, int rc, const struct err *err, const struct store_member *m, int n)
{
	struct rig_answer *a = arg;

	a->n_calls++;
	a->rc = rc;
	if (err)
		a->err = *err;
	a->n_members = n;
	for (int i = 0; i < n && i < (int)ARRAY_SIZE(a->members); i++)
		a->members[i] = m[i];
	if (a->loop)
		loop_stop(a->loop);
}

static void give_up(void *arg)
{
	loop_stop(arg);
}

void rig_wait(struct loop *l, struct rig_answer *a)
{
	struct loop_timer *limit = loop_timer_new(l, give_up, l);
	int64_t start = loop_now_ms(l);

	loop_timer_start(limit, WAIT_MS_MAX, 0);
	while (a->n_calls == 0 && loop_now_ms(l) - start < WAIT_MS_MAX)
		loop_run(l); /* another call's answer may stop it first */
	loop_timer_free(limit);
	a->took_ms = loop_now_ms(l) - start;
	if (a->n_calls == 0)
		fail_msg("no answer from the store within %d ms", WAIT_MS_MAX);
}

void rig_run_ms(struct loop *l, int64_t ms)
{
	struct loop_timer *t = loop_timer_new(l, give_up, l);
	int64_t start = loop_now_ms(l), left;

	while ((left = start + ms - loop_now_ms(l)) > 0) {
		loop_timer_start(t, left, 0);
		loop_run(l);
	}
	loop_timer_free(t);
}

struct store *rig_store(struct loop *l, const char *const *urls, const struct rig_tls *tls)
{
	struct store_etcd_conf conf = {
		.endpoints = urls,
		.ca_file = tls ? tls->ca : NULL,
		.cert_file = tls ? tls->cert : NULL,
		.key_file = tls ? tls->key : NULL,
	};
	struct store *s = NULL;
	struct err err = ERR_INIT;

	if (store_etcd_new(l, &conf, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

void rig_await_ready(struct loop *l, struct store *s)
{
	int64_t start = loop_now_ms(l);
	bool ready = false;
	struct err last = ERR_INIT;

	while (!ready) {
		struct rig_answer a = { .loop = l };

		s->ops->read(s, "/ready", true, 1000, rig_on_answer, &a);
		rig_wait(l, &a);
		ready = a.outcome == STORE_OK;
		last = a.err;
		rig_answer_done(&a);
		if (!ready && loop_now_ms(l) - start > WAIT_MS_MAX)
			fail_msg("etcd does not start: %s", last.msg);
		if (!ready)
			rig_run_ms(l, 50);
	}
}
