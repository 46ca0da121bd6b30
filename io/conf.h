/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemons' local settings: <root>/etc/gantry/gantry.conf, read by libconfig. All or nothing: one wrong line and nothing is
 * taken. What the cluster decides is not here but in the store.
 */
#ifndef IO_CONF_H
#define IO_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "schema/limits.h"

struct conf {
	char root[PATH_LEN + 1]; /* put in front of etc, run and state paths: "" on a real node, a directory of its own in a test */
	char node_uuid[UUID_LEN + 1]; /* "" = this machine is in no cluster */
	char node_name[NAME_LEN + 1];
	char address[ADDR_LEN + 1];
	char replication_address[ADDR_LEN + 1]; /* = address when the file names none */
	bool listen_all;
	int64_t link_port, etcd_client_port, etcd_peer_port;
	char **etcd_endpoints; /* NULL-terminated; NULL when there are none */
	int n_etcd_endpoints;
	bool witness;          /* votes, runs no guests */
	char hypervisor[16];   /* "libvirt", "fake" */
	char storage[16];      /* "lvm+drbd", "fake" */
	char fake_world[PATH_LEN + 1];
	char service_manager[16]; /* "systemd", "spawn" */
	char admin_group[NAME_LEN + 1], read_group[NAME_LEN + 1]; /* who besides root may ask for anything, who for queries */
	char run_dir[PATH_LEN + 1], state_dir[PATH_LEN + 1], program_dir[PATH_LEN + 1];
	int64_t lease_ms;      /* ha.lease as last heard from the master: the term's times derive from it */
	char log_level[16];
	int64_t slow; /* time-outs of steps are this many times longer: emulated machines */
};

/* ret need not be initialised; after success conf_done() frees what it holds. No file: all defaults. */
int conf_load(const char *root, struct conf *ret, struct err *err) WARN_UNUSED;
/* The same from a text; name stands in the errors: "name:3: unknown setting 'nodename'". */
int conf_parse(const char *root, const char *name, const char *text, struct conf *ret, struct err *err) WARN_UNUSED;
/* Writes the file whole or not at all, every setting with its help; comments of others are lost. Refuses what conf_load() would. */
int conf_save(const struct conf *c, struct err *err) WARN_UNUSED;
char *conf_text(const struct conf *c); /* what conf_save() writes; gives */
void conf_copy(struct conf *dst, const struct conf *src); /* dst need not be initialised */
void conf_done(struct conf *c);

/* <root>/etc/gantry/file, <root><run_dir>/file, <root><state_dir>/file. Give. */
char *conf_path(const struct conf *c, const char *file);
char *conf_run_path(const struct conf *c, const char *file);
char *conf_state_path(const struct conf *c, const char *file);
enum log_level conf_log_level(const struct conf *c);

/* The table of settings: AsciiDoc for the manual, scdoc for the man page. */
void conf_dump_adoc(struct buf *out);
void conf_dump_scd(struct buf *out);

#endif
