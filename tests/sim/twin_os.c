/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of io/files.h, io/spawn.h, io/netif.h, io/pki.h, io/identity.h, common/log.h, and of the parts of node/ that only fit a real machine. */
#include <assert.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmem.h"
#include "io/conf.h"
#include "io/files.h"
#include "io/identity.h"
#include "io/journal.h"
#include "io/link.h"
#include "io/netif.h"
#include "io/pki.h"
#include "io/spawn.h"
#include "node/missing.h"
#include "node/node.h"
#include "tests/sim/world.h"

/* ---- log -------------------------------------------------------------------------------------------- */

enum log_level trace_level = LOG_LEVEL_INFO;

void log_init(const char *program, enum log_level max_level)
{
	(void)program;
	(void)max_level;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (!tracing || level > trace_level)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	trace("%s: %s", eng.proc ? eng.proc->name : "world", line);
}

void log_err_record(enum log_level level, const char *context, const struct err *err)
{
	log_write(level, "%s: %s (%s)", context, err->msg, err_name(err->code));
}

/* ---- files: whole or absent, also after a crash --------------------------------------------------------- */

static struct file *file_find(struct machine *m, const char *path)
{
	list_for_each(l, &m->files) {
		struct file *f = list_entry(l, struct file, link);

		if (strcmp(f->path, path) == 0)
			return f;
	}
	return NULL;
}

char *machine_file(struct machine *m, const char *path)
{
	struct file *f = file_find(m, path);

	return f ? f->text : NULL;
}

void machine_file_put(struct machine *m, const char *path, const char *text)
{
	struct file *f = file_find(m, path);

	if (!f) {
		f = xcalloc(1, sizeof(*f));
		f->path = xstrdup(path);
		list_add_tail(&m->files, &f->link);
	}
	char *copy = xstrdup(text);
	free(f->text);
	f->text = copy;
}

void machine_file_drop(struct machine *m, const char *path)
{
	size_t n = strlen(path);

	list_for_each_safe(l, &m->files) {
		struct file *f = list_entry(l, struct file, link);

		if (strncmp(f->path, path, n) != 0 || (f->path[n] != '\0' && f->path[n] != '/'))
			continue;
		list_del(l);
		free(f->path);
		free(f->text);
		free(f);
	}
}

/* The disk takes its time before the write is whole, and again before the writer hears of it. */
static void disk_time(void)
{
	if (eng.fiber)
		fiber_sleep(pick(100, 3000));
}

int file_read_text(const char *path, size_t max_bytes, char **ret_text, struct err *err)
{
	const char *text = machine_file(here(), path);
	if (!text)
		return err_set(err, ERR_NOT_FOUND, "cannot read '%s': no such file", path);
	if (strlen(text) > max_bytes)
		return err_set(err, ERR_TOO_BIG, "'%s' is larger than %zu bytes", path, max_bytes);
	*ret_text = xstrdup(text);
	return 0;
}

int file_write_durable(const char *path, const char *text, unsigned mode, struct err *err)
{
	(void)mode;
	disk_time();
	if (here()->disk_full)
		return err_set(err, ERR_NO_SPACE, "cannot write '%s': no space left on the device", path);
	machine_file_put(here(), path, text);
	disk_time();
	return 0;
}

int dir_make(const char *path, unsigned mode, struct err *err)
{
	(void)path;
	(void)mode;
	(void)err;
	return 0;
}

int file_remove(const char *path, struct err *err)
{
	(void)err;
	disk_time();
	machine_file_drop(here(), path);
	disk_time();
	return 0;
}

int boot_id_read(char out[UUID_LEN + 1], struct err *err)
{
	(void)err;
	return str_copy(out, UUID_LEN + 1, here()->boot_id);
}

int file_rename(const char *from, const char *to, struct err *err)
{
	disk_time();
	const char *text = machine_file(here(), from);
	if (!text)
		return err_set(err, ERR_NOT_FOUND, "cannot rename '%s': no such file", from);
	AUTO_FREE char *copy = xstrdup(text);
	machine_file_put(here(), to, copy);
	machine_file_drop(here(), from);
	disk_time();
	return 0;
}

bool file_exists(const char *path)
{
	return machine_file(here(), path) != NULL;
}

bool file_is_program(const char *path)
{
	(void)path;
	return true; /* what is installed stays installed */
}

/* ---- the journal of small records: one file each here; whole or absent, and never short of room ------------------------- */

struct journal {
	struct machine *m;
	char *dir;
};

int journal_open(const char *dir, size_t bytes, const struct journal_io *io, void (*each)(void *arg, const char *key, const char *text), void *arg,
		 struct journal **ret, struct err *err)
{
	struct journal *j = xcalloc(1, sizeof(*j));
	size_t n;

	(void)bytes;
	(void)io;
	(void)err;
	j->m = here();
	j->dir = xasprintf("%s/journal", dir);
	n = strlen(j->dir);
	list_for_each(l, &j->m->files) {
		const struct file *f = list_entry(l, struct file, link);

		if (strncmp(f->path, j->dir, n) == 0 && f->path[n] == '/')
			each(arg, f->path + n + 1, f->text);
	}
	*ret = j;
	return 0;
}

void journal_free(struct journal *j)
{
	(void)j; /* processes of the simulation only die */
}

int journal_write(struct journal *j, struct journal_entry *entries, size_t n, struct err *err)
{
	(void)err;
	disk_time();
	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", j->dir, entries[i].key);

		entries[i].rc = 0;
		if (entries[i].text)
			machine_file_put(j->m, path, entries[i].text);
		else
			machine_file_drop(j->m, path);
	}
	disk_time();
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int dir_names(const char *path, char ***ret, int *ret_n, struct err *err)
{
	size_t n = strlen(path);

	(void)err;
	*ret = NULL;
	*ret_n = 0;
	list_for_each(l, &here()->files) {
		const char *p = list_entry(l, struct file, link)->path;

		if (strncmp(p, path, n) == 0 && p[n] == '/' && !strchr(p + n + 1, '/'))
			strs_add(ret, ret_n, p + n + 1);
	}
	if (*ret_n)
		qsort(*ret, (size_t)*ret_n, sizeof(**ret), by_name);
	return 0;
}

/* ---- fence agents: doc/man/gnt-node.8; the plug is the machine's name -------------------------------------------- */

static void plug_off(void *arg)
{
	struct machine *m = arg;

	if (!m->power)
		return;
	trace("%s: switched off by a fence agent", m->name);
	W.counts.fenced_off++;
	machine_reboot_later(m, pick(10 * SEC, 60 * SEC)); /* a person switches it on again */
}

/* fence_sim tells the truth; fence_lie says "off" and leaves it on; fence_dud too, but tells its state as it is; fence_hang does not come back; fence_fail says that it cannot. */
static int fence_agent(const char *agent, const char *input, int timeout_ms, struct runner_result *ret, struct err *err)
{
	const char *plug = strstr(input, "plug=");
	char name[32] = "";

	if (plug)
		(void)sscanf(plug, "plug=%31[^\n]", name);
	struct machine *m = machine_by_name(name);
	if (!m || strcmp(agent, "fence_fail") == 0) {
		ret->status = 1;
		return 0;
	}
	if (strcmp(agent, "fence_hang") == 0) {
		fiber_sleep(timeout_ms * MS);
		return err_set(err, ERR_TIMEOUT, "'%s' did not end within %d ms", agent, timeout_ms);
	}
	fiber_sleep(pick(300 * MS, 3 * SEC));
	bool lies = strcmp(agent, "fence_lie") == 0, off = strstr(input, "action=off") != NULL;
	if (off && lies)
		m->lied_about = m->lied_about || m->power;
	else if (off && strcmp(agent, "fence_dud") == 0)
		return 0;
	else if (off)
		(void)after(NULL, chance(500) ? 0 : pick(1 * SEC, 15 * SEC), plug_off, m); /* some say "done" before it is */
	else if (strstr(input, "action=status"))
		ret->status = !m->power || (lies && m->lied_about) ? 2 : 0;
	return 0;
}

/* ---- groups: no machine of the simulation has any ------------------------------------------------------------------ */

int getgrnam_r(const char *name, struct group *gr, char *room, size_t size, struct group **ret)
{
	(void)name;
	(void)gr;
	(void)room;
	(void)size;
	*ret = NULL;
	return 0;
}

/* ---- children: systemctl, qemu-img, rm ------------------------------------------------------------------ */

static void start_masterd(void *arg)
{
	struct machine *m = arg;

	if (m->power && m->masterd_enabled && !m->masterd_proc)
		masterd_start(m);
}

static void stop_masterd(void *arg)
{
	masterd_kill(arg);
}

/* systemctl VERB [--quiet] -- UNIT; what it starts and stops runs from the world's events. */
static int systemctl(struct machine *m, const char *const argv[])
{
	const char *verb = argv[1][0] == '-' ? argv[2] : argv[1], *unit = verb; /* at most one option stands before the verb */
	bool on = strcmp(verb, "start") == 0 || strcmp(verb, "enable") == 0;

	for (int i = 1; argv[i]; i++)
		unit = argv[i];
	bool masterd = strcmp(unit, "gantry-masterd.service") == 0, etcd = strcmp(unit, "gantry-etcd.service") == 0;
	if (strcmp(verb, "is-active") == 0)
		return (masterd && m->masterd_proc) || (etcd && m->etcd_up) ? 0 : 3;
	if (etcd && strcmp(verb, "enable") == 0)
		m->etcd_enabled = true;
	else if (etcd && strcmp(verb, "disable") == 0)
		m->etcd_enabled = false;
	else if (etcd)
		m->etcd_up = on;
	else if (masterd && strcmp(verb, "enable") == 0)
		m->masterd_enabled = true;
	else if (masterd && strcmp(verb, "disable") == 0)
		m->masterd_enabled = false;
	else if (masterd)
		(void)after(NULL, 50 * MS, on ? start_masterd : stop_masterd, m);
	return 0;
}

static int run(struct runner *r, const char *const argv[], const char *input, int timeout_ms, struct runner_result *ret, struct err *err)
{
	(void)r;
	memset(ret, 0, sizeof(*ret));
	if (strncmp(argv[0], "fence_", 6) == 0)
		return fence_agent(argv[0], input ? input : "", timeout_ms, ret, err);
	int rc = call_begin(argv[0], 200 * MS, err);
	if (rc < 0)
		return rc;
	if (strcmp(argv[0], "systemctl") == 0) {
		ret->status = systemctl(here(), argv);
	} else if (strcmp(argv[0], "qemu-img") == 0 && strcmp(argv[1], "info") == 0) {
		ret->out.max_bytes = RUNNER_OUTPUT_MAX;
		IGNORE(buf_add(&ret->out, "{\"virtual-size\": 1048576}", 25));
	}
	return call_end(err);
}

struct runner *spawn_runner(void)
{
	static struct runner r = { .run = run };

	return &r;
}

/* ---- network interfaces ------------------------------------------------------------------------------------ */

static int addr_add(const char *dev, const char *address, int prefix, struct err *err)
{
	(void)dev;
	(void)address;
	(void)prefix;
	(void)err;
	here()->has_ip = true;
	return 0;
}

static int addr_del(const char *dev, const char *address, int prefix, struct err *err)
{
	(void)dev;
	(void)address;
	(void)prefix;
	(void)err;
	here()->has_ip = false;
	return 0;
}

static int announce(const char *dev, const char *address, int n, struct err *err)
{
	(void)dev;
	(void)address;
	(void)n;
	(void)err;
	return 0;
}

static int list(struct netif_list *ret, struct err *err)
{
	(void)err;
	memset(ret, 0, sizeof(*ret));
	return 0;
}

static int bridge_make(const char *bridge, const char *port, struct err *err)
{
	(void)bridge;
	(void)port;
	return err_set(err, ERR_NOT_SUPPORTED, "no bridges in a simulation");
}

const struct netif_ops *netif_real(void)
{
	static const struct netif_ops ops = { addr_add, addr_del, announce, list, bridge_make };

	return &ops;
}

void netif_list_done(struct netif_list *l)
{
	free(l->devs);
	free(l->addrs);
}

const struct netif_addr *netif_list_address(const struct netif_list *l, const char *address)
{
	(void)l;
	(void)address;
	return NULL;
}

/* ---- certificates: texts that name whom they are for ----------------------------------------------------------- */

void pki_random_hex(char *out, int n)
{
	struct rng r = { W.random_hex };

	rng_hex(&r, out, n);
	W.random_hex = r.state;
}

int pki_make_csr(const char *cn, char **ret_csr, char **ret_key, struct err *err)
{
	(void)err;
	*ret_csr = xasprintf("CSR %s", cn);
	*ret_key = xstrdup("KEY");
	return 0;
}

int pki_make_ca(const char *cluster_name, int days, char **ret_cert, char **ret_key, struct err *err)
{
	(void)days;
	(void)err;
	*ret_cert = xasprintf("CA %s", cluster_name);
	*ret_key = xstrdup("KEY");
	return 0;
}

int pki_sign_csr(const char *ca_cert, const char *ca_key, const char *csr, const struct pki_names *names, int days, char **ret_cert, struct err *err)
{
	(void)ca_cert;
	(void)ca_key;
	(void)csr;
	(void)days;
	(void)err;
	*ret_cert = xasprintf("CERT %s", names->uuid);
	return 0;
}

int pki_sign_csr_for(const char *ca_cert, const char *ca_key, const char *csr, const struct pki_names *names, int64_t life_s, char **ret_cert, struct err *err)
{
	(void)life_s;
	return pki_sign_csr(ca_cert, ca_key, csr, names, 0, ret_cert, err);
}

int pki_fingerprint(const char *cert_pem, char out[65], struct err *err)
{
	(void)cert_pem;
	(void)err;
	memset(out, 'a', 64);
	out[64] = '\0';
	return 0;
}

int pki_expires(const char *cert_pem, int64_t *ret_wall_s, struct err *err)
{
	(void)cert_pem;
	(void)err;
	*ret_wall_s = 2000000000;
	return 0;
}

int pki_hash_secret(const char *secret, char out[128], struct err *err)
{
	(void)err;
	(void)str_copy(out, 128, secret);
	return 0;
}

bool pki_check_secret(const char *secret, const char *hash)
{
	return strcmp(secret, hash) == 0;
}

/* ---- identity: three files; stamped by what stands in them, there is no inode --------------------------------------- */

int identity_write(const struct conf *c, const char *ca, const char *cert, const char *key, struct err *err)
{
	AUTO_FREE char *ca_path = conf_path(c, "ca.pem"), *cert_path = conf_path(c, "node.pem"), *key_path = conf_path(c, "node.key");
	int rc = file_write_durable(ca_path, ca, 0644, err);

	if (rc == 0)
		rc = file_write_durable(key_path, key, 0600, err);
	return rc < 0 ? rc : file_write_durable(cert_path, cert, 0644, err);
}

static uint64_t stamp_of(const char *text)
{
	uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return h;
}

int identity_load(const struct conf *c, struct identity *id, struct err *err)
{
	AUTO_FREE char *path = conf_path(c, "node.pem");
	const char *cert = machine_file(here(), path);
	struct link_tls *tls = NULL;

	if (!cert)
		return err_set(err, ERR_NOT_FOUND, "cannot read '%s': no such file", path);
	int rc = link_tls_new("CA", cert, "KEY", NULL, &tls, err);
	if (rc < 0)
		return rc;
	if (id->tls)
		link_tls_unref(id->tls);
	id->tls = tls;
	id->inode = stamp_of(cert);
	rc = pki_expires(cert, &id->expires_s, err);
	id->due_s = id->expires_s;
	return rc;
}

bool identity_changed(const struct conf *c, const struct identity *id)
{
	AUTO_FREE char *path = conf_path(c, "node.pem");
	const char *cert = machine_file(here(), path);

	return cert && stamp_of(cert) != id->inode;
}

void identity_done(struct identity *id)
{
	if (id->tls)
		link_tls_unref(id->tls);
	memset(id, 0, sizeof(*id));
}

/* ---- of node/: backends are the models; what prepares machines and founds clusters stays out ------------------------ */

int backends_new(const struct conf *conf, struct exec_env *env, struct err *err)
{
	struct machine *m = here();

	(void)conf;
	(void)err;
	env->runner = spawn_runner();
	env->lvm = volumes_of(m);
	env->drbd = drbd_of(m);
	env->hv = hypervisor_of(m);
	env->backend = m;
	return 0;
}

/* A machine has its boot from the twin of boot_id_read(). */
void backends_boot(const struct conf *conf, char boot[UUID_LEN + 1])
{
	(void)conf;
	(void)boot;
}

void backends_free(struct exec_env *env)
{
	(void)env;
}

static int not_here(struct err *err)
{
	return err_set(err, ERR_NOT_SUPPORTED, "not in a simulation");
}

int bootstrap_init(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	(void)n;
	(void)args;
	(void)ret;
	return not_here(err);
}

int bootstrap_destroy(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	return bootstrap_init(n, args, ret, err);
}

int bootstrap_leave(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	return bootstrap_init(n, args, ret, err);
}

int bootstrap_restore(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	return bootstrap_init(n, args, ret, err);
}

int bootstrap_recover(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	return bootstrap_init(n, args, ret, err);
}

int prepare_machine(struct noded *n, const void *args, json_t **ret, struct err *err)
{
	return bootstrap_init(n, args, ret, err);
}

/* A simulated machine lacks nothing. */
void missing_storage(const struct exec_env *env, const char *vg, struct missing *m)
{
	(void)env;
	(void)vg;
	(void)m;
}

void missing_machine(const struct conf *conf, const struct exec_env *env, const char *bridge, struct missing *m)
{
	(void)conf;
	(void)env;
	(void)bridge;
	(void)m;
}

void missing_addresses(const struct conf *conf, struct missing *m)
{
	(void)conf;
	(void)m;
}

void missing_room(const struct conf *conf, struct missing *m)
{
	missing_addresses(conf, m);
}

void missing_clock(const struct conf *conf, int64_t wall_s, struct missing *m)
{
	(void)wall_s;
	missing_addresses(conf, m);
}

int missing_end(struct missing *m, json_t **ret_details, struct err *err)
{
	(void)m;
	(void)ret_details;
	(void)err;
	return 0;
}

void own_addresses(const char *address, const char *replication, struct conf *conf, struct missing *m)
{
	(void)address;
	(void)replication;
	(void)conf;
	(void)m;
}
