/* SPDX-License-Identifier: Apache-2.0 */
/* What a node does to itself for a step: its etcd member, its masterd, certificates, settings; marks and pins of replicas. */
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/xmem.h"
#include "hypervisor/libvirt/tlsconf.h"
#include "io/conf_rows.h"
#include "io/etcd_conf.h"
#include "io/files.h"
#include "io/identity.h"
#include "io/pki.h"
#include "io/spawn.h"
#include "node/guard.h"
#include "node/node.h"
#include "node/system.h"

#define ETCD_YAML_MAX (64 * 1024)

struct system {
	struct exec_system ops;
	const struct conf *conf;
	struct noded *node;
	/* Marks that a full disk refused: they hold in this process until they are written (H6). Workers ask too. */
	pthread_mutex_t lost_lock;
	char **lost;
	int n_lost;
};

static struct system *self(struct exec_system *s)
{
	return (struct system *)(void *)s;
}

/* ---- etcd ------------------------------------------------------------------------------------------ */

static int start_etcd(const struct conf *conf, const struct step_etcd *a, bool fresh_cluster, bool alone, struct err *err)
{
	AUTO_FREE char *ca = conf_path(conf, "ca.pem"), *cert = conf_path(conf, "node.pem"), *key = conf_path(conf, "node.key");
	AUTO_FREE char *data = conf_state_path(conf, "etcd"), *file = conf_path(conf, "etcd.yaml");
	struct etcd_member_conf m = {
		.name = a->name,
		.data_dir = data,
		.address = a->address,
		.client_port = (int)conf->etcd_client_port,
		.peer_port = (int)conf->etcd_peer_port,
		.ca_file = ca,
		.cert_file = cert,
		.key_file = key,
		.initial_cluster = a->initial_cluster,
		.token = a->token,
		.new_cluster = fresh_cluster,
		.alone = alone,
		.lease_ms = a->lease_ms,
	};
	AUTO_FREE char *yaml = etcd_conf_text(&m);
	const char *const argv[] = { "etcd", "--config-file", file, NULL };
	int rc = dir_make(data, 0700, err);

	if (rc == 0)
		rc = file_write_durable(file, yaml, 0600, err);
	return rc < 0 ? rc : service_start(conf, spawn_runner(), "gantry-etcd", argv, err);
}

int system_etcd_start(const struct conf *conf, const struct step_etcd *a, bool fresh_cluster, struct err *err)
{
	return start_etcd(conf, a, fresh_cluster, false, err);
}

int system_etcd_start_alone(const struct conf *conf, const struct step_etcd *a, struct err *err)
{
	return start_etcd(conf, a, false, true, err);
}

int system_etcd_stop(const struct conf *conf, struct err *err)
{
	AUTO_FREE char *data = conf_state_path(conf, "etcd"), *file = conf_path(conf, "etcd.yaml");
	const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", data, NULL };
	AUTO_RESULT struct runner_result res = { 0 };
	int rc = service_stop(conf, spawn_runner(), "gantry-etcd", err);

	if (rc == 0)
		rc = runner_must(spawn_runner(), argv, NULL, 60000, &res, err);
	return rc < 0 ? rc : file_remove(file, err);
}

static int etcd_start(struct exec_system *s, const struct step_etcd *a, struct err *err)
{
	return system_etcd_start(self(s)->conf, a, false, err);
}

static int etcd_stop(struct exec_system *s, struct err *err)
{
	return system_etcd_stop(self(s)->conf, err);
}

static int etcd_running(struct exec_system *s, bool *ret, struct err *err)
{
	(void)err;
	*ret = service_running(self(s)->conf, spawn_runner(), "gantry-etcd");
	return 0;
}

/* ---- masterd ------------------------------------------------------------------------------------------ */

int system_masterd_start(const struct conf *conf, struct err *err)
{
	AUTO_FREE char *program = xasprintf("%s/gantry-masterd", conf->program_dir);
	const char *const argv[] = { program, "--root", conf->root, NULL };

	return service_start(conf, spawn_runner(), "gantry-masterd", argv, err);
}

static int masterd_start(struct exec_system *s, const struct step_masterd *a, struct err *err)
{
	struct system *x = self(s);
	struct conf conf;

	/* masterd reads where the voters are from the local settings; afterwards it follows the store. */
	conf_copy(&conf, x->conf);
	conf_texts_clear(&conf.etcd_endpoints, &conf.n_etcd_endpoints);
	for (int i = 0; i < a->n_endpoints; i++)
		conf_texts_add(&conf.etcd_endpoints, &conf.n_etcd_endpoints, a->endpoints[i]);
	conf.lease_ms = a->lease_ms;
	int rc = conf_save(&conf, err);
	conf_done(&conf);
	return rc < 0 ? rc : system_masterd_start(x->conf, err);
}

static int masterd_stop(struct exec_system *s, struct err *err)
{
	return service_stop(self(s)->conf, spawn_runner(), "gantry-masterd", err);
}

static int masterd_running(struct exec_system *s, bool *ret, struct err *err)
{
	(void)err;
	*ret = service_running(self(s)->conf, spawn_runner(), "gantry-masterd");
	return 0;
}

/* ---- certificates --------------------------------------------------------------------------------------- */

/* QEMU reads its key itself, and does not run as root. */
static int give_to_qemu(const char *path, struct err *err)
{
	struct passwd pw, *found = NULL;
	char room[1024];

	if (getpwnam_r("libvirt-qemu", &pw, room, sizeof(room), &found) != 0 || !found)
		return 0; /* another distribution: there QEMU may be root */
	return chown(path, pw.pw_uid, (gid_t)-1) < 0 ? err_errno(err, ERR_IO, "cannot give '%s' to QEMU", path) : 0;
}

/*
 * libvirtd takes its sockets from systemd, and only when it starts: the TLS socket is switched on around a restart. Guests are processes of
 * their own and do not notice. Afterwards libvirtd is told to read new certificates (a reload does not make it); an old one that cannot be
 * told is restarted.
 */
static int libvirt_listens(struct err *err)
{
	static const char *const commands[][6] = {
		{ "systemctl", "stop", "libvirtd.service", NULL },
		{ "systemctl", "enable", "--no-reload", "--now", "libvirtd-tls.socket", NULL },
		{ "systemctl", "start", "libvirtd.service", NULL },
	};
	const char *const update[] = { "virt-admin", "--quiet", "server-update-tls", "libvirtd", NULL };
	const char *const again[] = { "systemctl", "try-restart", "libvirtd.service", NULL };
	const char *const is_on[] = { "systemctl", "is-active", "--quiet", "libvirtd-tls.socket", NULL };
	AUTO_RESULT struct runner_result on = { 0 };
	int rc = spawn_runner()->run(spawn_runner(), is_on, NULL, 60000, &on, err);

	if (rc == 0 && on.status == 0) {
		AUTO_RESULT struct runner_result told = { 0 }, res = { 0 };

		rc = spawn_runner()->run(spawn_runner(), update, NULL, 60000, &told, err);
		return rc == 0 && told.status == 0 ? 0 : runner_must(spawn_runner(), again, NULL, 60000, &res, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands) && rc == 0; i++) {
		AUTO_RESULT struct runner_result res = { 0 };

		rc = runner_must(spawn_runner(), commands[i], NULL, 120000, &res, err);
	}
	return rc;
}

/* libvirt and QEMU have places of their own for the same certificate (hypervisor/libvirt/tlsconf.c). */
static int install_for_libvirt(const struct conf *conf, const char *ca, const char *cert, const char *key, struct err *err)
{
	if (strcmp(conf->hypervisor, "libvirt") != 0 || conf->witness)
		return 0;
	for (int i = 0; tls_files[i].path; i++) {
		const struct tls_file *f = &tls_files[i];
		const char *text = f->what == TLS_FILE_CA ? ca : f->what == TLS_FILE_CERT ? cert : key;
		AUTO_FREE char *path = xasprintf("%s%s", conf->root, f->path);
		AUTO_FREE char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
		int rc = dir_make(dir, 0755, err);

		if (rc == 0)
			rc = file_write_durable(path, text, f->mode, err);
		if (rc == 0 && strstr(f->path, "/qemu/") && f->what == TLS_FILE_KEY)
			rc = give_to_qemu(path, err);
		if (rc < 0)
			return rc;
	}
	return libvirt_listens(err);
}

int system_certs(const struct conf *conf, const char *ca, const char *cert, const char *key, struct err *err)
{
	int rc = identity_write(conf, ca, cert, key, err);

	return rc < 0 ? rc : install_for_libvirt(conf, ca, cert, key, err);
}

static int certs_install(struct exec_system *s, const struct step_certs *a, struct err *err)
{
	AUTO_FREE char *key_path = conf_path(self(s)->conf, "node.key");
	AUTO_FREE char *key = NULL;
	int rc = file_read_text(key_path, 16384, &key, err);

	return rc < 0 ? rc : system_certs(self(s)->conf, a->ca, a->cert, key, err);
}

static int certs_renew(struct exec_system *s, struct err *err)
{
	struct system *x = self(s);
	AUTO_FREE char *csr = NULL, *key = NULL, *cert = NULL, *ca = NULL;
	int rc = pki_make_csr(x->conf->node_name, &csr, &key, err);

	if (rc == 0)
		rc = authorise_sign(x->node, csr, &cert, &ca, err);
	return rc < 0 ? rc : system_certs(x->conf, ca, cert, key, err);
}

/* ---- settings --------------------------------------------------------------------------------------------- */

int system_settings(const struct conf *conf, const struct step_settings *a, struct err *err)
{
	AUTO_FREE char *path = conf_state_path(conf, "settings.json");
	AUTO_FREE char *text = schema_encode_text_at(&step_settings_schema, a, a->level);

	return file_write_durable(path, text, 0600, err);
}

/* On the loop's thread (a message) or on a worker (a step): the node's own copy is only replaced by the loop. */
struct new_settings {
	struct noded *node;
	struct step_settings s;
};

/*
 * Daemons that start anew must not begin with an older one, and etcd's times are read when it starts. A member that runs keeps its own
 * until then: restarting voters is a person's to order, one after another ('gnt cluster modify --lease' says how).
 */
static void keep_lease(const struct conf *of, int64_t lease_ms)
{
	AUTO_FREE char *file = conf_path(of, "etcd.yaml");
	AUTO_FREE char *text = NULL, *timed = NULL;
	struct conf conf;
	struct err err = ERR_INIT;
	int rc = conf_load(of->root, &conf, &err); /* not ours: the file also has what masterd was told */

	if (rc == 0) {
		conf.lease_ms = lease_ms;
		rc = conf_save(&conf, &err);
		conf_done(&conf);
	}
	if (rc == 0 && file_exists(file)) {
		rc = file_read_text(file, ETCD_YAML_MAX, &text, &err);
		timed = rc == 0 ? etcd_conf_retimed(text, lease_ms) : NULL;
		if (timed)
			rc = file_write_durable(file, timed, 0600, &err);
	}
	if (rc < 0)
		log_err_record(LOG_LEVEL_WARNING, "keeping the new ha.lease", &err);
}

static void take_settings(void *arg)
{
	struct new_settings *x = arg;

	if (!x->node->stopping && x->s.version >= x->node->settings.version) {
		schema_done(&step_settings_schema, &x->node->settings);
		schema_copy(&step_settings_schema, &x->node->settings, &x->s);
		if (x->node->conf.lease_ms != x->s.lease_ms)
			keep_lease(&x->node->conf, x->s.lease_ms);
		x->node->conf.lease_ms = x->s.lease_ms; /* the guard's times with it */
		agent_set_level(x->node->agent, x->s.level);
	}
	schema_done(&step_settings_schema, &x->s);
	free(x);
}

static int settings_install(struct exec_system *s, const struct step_settings *a, struct err *err)
{
	struct system *x = self(s);
	struct new_settings *n = xcalloc(1, sizeof(*n));

	n->node = x->node;
	schema_copy(&step_settings_schema, &n->s, a);
	loop_post(x->node->loop, take_settings, n);
	return system_settings(x->conf, a, err);
}

int system_forget(const struct conf *conf, struct err *err)
{
	static const char *const files[] = { "node.key", "node.pem", "node.key.new", "node.pem.new", "ca.pem", "etcd.yaml" };
	AUTO_FREE char *settings = conf_state_path(conf, "settings.json");
	struct conf blank;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files) && rc == 0; i++) {
		AUTO_FREE char *path = conf_path(conf, files[i]);

		rc = file_remove(path, err);
	}
	if (rc == 0)
		rc = file_remove(settings, err);
	conf_copy(&blank, conf);
	blank.node_uuid[0] = '\0';
	blank.witness = false;
	conf_texts_clear(&blank.etcd_endpoints, &blank.n_etcd_endpoints);
	if (rc == 0)
		rc = conf_save(&blank, err);
	conf_done(&blank);
	return rc;
}

static int leave(struct exec_system *s, struct err *err)
{
	return system_forget(self(s)->conf, err);
}

/* ---- marks and pins: one empty file each, durable ------------------------------------------------------------ */

static char *mark_path(struct exec_system *s, const char *kind, const char *uuid)
{
	AUTO_FREE char *dir = conf_state_path(self(s)->conf, kind);

	return xasprintf("%s/%s", dir, uuid);
}

static int mark(struct exec_system *s, const char *kind, const char *uuid, bool set, struct err *err)
{
	AUTO_FREE char *path = mark_path(s, kind, uuid);
	AUTO_FREE char *dir = conf_state_path(self(s)->conf, kind);
	int rc = dir_make(dir, 0700, err);

	if (rc < 0)
		return rc;
	return set ? file_write_durable(path, "1\n", 0600, err) : file_remove(path, err);
}

static void remember_lost(struct system *x, const char *uuid, bool lost)
{
	(void)pthread_mutex_lock(&x->lost_lock);
	strs_remove(&x->lost, &x->n_lost, uuid);
	if (lost)
		strs_add(&x->lost, &x->n_lost, uuid);
	(void)pthread_mutex_unlock(&x->lost_lock);
}

static int stale_mark(struct exec_system *s, const char *uuid, bool set, struct err *err)
{
	int rc = mark(s, "stale", uuid, set, err);

	remember_lost(self(s), uuid, set && rc < 0);
	return rc;
}

static bool stale_marked(struct exec_system *s, const char *uuid)
{
	struct system *x = self(s);
	AUTO_FREE char *path = mark_path(s, "stale", uuid);

	(void)pthread_mutex_lock(&x->lost_lock);
	bool lost = strs_has(x->lost, x->n_lost, uuid);
	(void)pthread_mutex_unlock(&x->lost_lock);
	return lost || file_exists(path);
}

static int torn(struct exec_system *s, const char *uuid, bool set, struct err *err)
{
	return mark(s, "torn", uuid, set, err);
}

static bool is_torn(struct exec_system *s, const char *uuid)
{
	AUTO_FREE char *path = mark_path(s, "torn", uuid);

	return file_exists(path);
}

static int split(struct exec_system *s, const char *uuid, bool set, struct err *err)
{
	return mark(s, "split", uuid, set, err);
}

static bool split_marked(struct exec_system *s, const char *uuid)
{
	AUTO_FREE char *path = mark_path(s, "split", uuid);

	return file_exists(path);
}

static int pin(struct exec_system *s, const char *uuid, bool set, struct err *err)
{
	return mark(s, "pinned", uuid, set, err);
}

static bool pinned(struct exec_system *s, const char *uuid)
{
	AUTO_FREE char *path = mark_path(s, "pinned", uuid);

	return file_exists(path);
}

static int64_t apart_ms(struct exec_system *s, const char *uuid)
{
	return guard_apart_ms(self(s)->node, uuid);
}

static int watchdog_drill(struct exec_system *s, struct err *err)
{
	return guard_drill(self(s)->node, err);
}

struct exec_system *system_new(const struct conf *conf, struct noded *n)
{
	struct system *s = xcalloc(1, sizeof(*s));

	s->conf = conf;
	s->node = n;
	s->ops = (struct exec_system){
		.etcd_start = etcd_start,
		.etcd_stop = etcd_stop,
		.etcd_running = etcd_running,
		.masterd_start = masterd_start,
		.masterd_stop = masterd_stop,
		.masterd_running = masterd_running,
		.certs_install = certs_install,
		.certs_renew = certs_renew,
		.settings_install = settings_install,
		.leave = leave,
		.stale_mark = stale_mark,
		.stale_marked = stale_marked,
		.split = split,
		.split_marked = split_marked,
		.torn = torn,
		.is_torn = is_torn,
		.pin = pin,
		.pinned = pinned,
		.apart_ms = apart_ms,
		.watchdog_drill = watchdog_drill,
	};
	(void)pthread_mutex_init(&s->lost_lock, NULL);
	return &s->ops;
}

void system_free(struct exec_system *s)
{
	struct system *x = self(s);

	strs_clear(&x->lost, &x->n_lost);
	(void)pthread_mutex_destroy(&x->lost_lock);
	free(x);
}
