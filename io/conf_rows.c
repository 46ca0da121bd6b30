/* SPDX-License-Identifier: Apache-2.0 */
#include "io/conf_rows.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"

#define MEMBER(m) .offset = offsetof(struct conf, m), .size = sizeof(((struct conf *)0)->m)

/* ---- checks of one value ------------------------------------------------------------------------------------- */

static const char *check_uuid(const char *s)
{
	if (!s[0])
		return NULL;
	if (strlen(s) != UUID_LEN)
		return "not a uuid";
	for (int i = 0; i < UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isdigit((unsigned char)s[i]) && !(s[i] >= 'a' && s[i] <= 'f'))
			return "not a uuid in lower case";
	}
	return NULL;
}

static const char *check_name(const char *s)
{
	if (s[0] == '-' || s[0] == '.')
		return "not a host name: it begins with a sign";
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '-' && *s != '.')
			return "not a host name: letters, digits, '-' and '.' make one";
	return NULL;
}

static const char *check_address(const char *s)
{
	unsigned char bytes[16];

	if (!s[0] || inet_pton(AF_INET, s, bytes) == 1 || inet_pton(AF_INET6, s, bytes) == 1)
		return NULL;
	return "not an IPv4 or IPv6 address";
}

static const char *check_path(const char *s)
{
	if (!s[0])
		return NULL;
	if (s[0] != '/')
		return "not an absolute path";
	if (strstr(s, "/../") || (strlen(s) > 2 && strcmp(s + strlen(s) - 3, "/..") == 0))
		return "a path with '..'";
	return NULL;
}

static const char *check_url(const char *s)
{
	size_t n = strcspn(s, " \t\"\\");

	if ((strncmp(s, "https://", 8) != 0 && strncmp(s, "http://", 7) != 0) || s[n])
		return "not an URL like 'https://10.0.0.1:7601'";
	return NULL;
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

const struct conf_row conf_rows[] = {
	{ .name = "node_uuid", MEMBER(node_uuid), .def = "", .check = check_uuid,
	  .help = "This node's identity; the same as in its certificate. Written by 'gnt cluster init' and by joining. Empty: in no cluster." },
	{ .name = "node_name", MEMBER(node_name), .def = "", .check = check_name,
	  .help = "This node's name in the cluster." },
	{ .name = "address", MEMBER(address), .def = "", .check = check_address,
	  .help = "Address on the primary network: node links, etcd, migration." },
	{ .name = "replication_address", MEMBER(replication_address), .def = "", .check = check_address,
	  .help = "Address on the replication network (DRBD, and the second way to the master). Empty: the same as address." },
	{ .name = "listen_all", .type = CONF_BOOL, MEMBER(listen_all), .def = "false",
	  .help = "Accept node links on every address of this machine, not only on its own two." },
	{ .name = "link_port", .type = CONF_INT, MEMBER(link_port), .def = "7600", .min = 1, .max = 65535,
	  .help = "TCP port of node links. The same on all nodes." },
	{ .name = "etcd_client_port", .type = CONF_INT, MEMBER(etcd_client_port), .def = "7601", .min = 1, .max = 65535,
	  .help = "TCP port on which this node's etcd member serves clients." },
	{ .name = "etcd_peer_port", .type = CONF_INT, MEMBER(etcd_peer_port), .def = "7602", .min = 1, .max = 65535,
	  .help = "TCP port on which this node's etcd member talks to other members." },
	{ .name = "etcd_endpoints", .type = CONF_TEXTS, .offset = offsetof(struct conf, etcd_endpoints), .size = 128,
	  .count_offset = offsetof(struct conf, n_etcd_endpoints), .def = "", .max = VOTERS_MAX, .check = check_url,
	  .help = "Where the store's members are, for a master that starts. Empty: this node's own member." },
	{ .name = "witness", .type = CONF_BOOL, MEMBER(witness), .def = "false",
	  .help = "This machine only votes: it runs no guests and holds no disks. Written by 'gantry-noded join --witness'." },
	{ .name = "hypervisor", MEMBER(hypervisor), .def = "libvirt", .choices = "libvirt|fake",
	  .help = "What runs guests. 'fake' is for trying Gantry out: nothing real happens." },
	{ .name = "storage", MEMBER(storage), .def = "lvm+drbd", .choices = "lvm+drbd|fake",
	  .help = "What holds disks. 'fake' as above." },
	{ .name = "fake_world", MEMBER(fake_world), .def = "", .check = check_path,
	  .help = "Directory that the fake hypervisors and disks of all nodes share. Not below the root given by --root." },
	{ .name = "service_manager", MEMBER(service_manager), .def = "systemd", .choices = "systemd|spawn",
	  .help = "How daemons are started: as systemd units, or as detached children (for trying out)." },
	{ .name = "admin_group", MEMBER(admin_group), .def = "gantry-admin", .check = check_name,
	  .help = "Group whose members may give any command, like root. Made by 'make install' or 'gnt node prepare'." },
	{ .name = "read_group", MEMBER(read_group), .def = "gantry-read", .check = check_name,
	  .help = "Group whose members may look at everything and change nothing." },
	{ .name = "run_dir", MEMBER(run_dir), .def = "/run/gantry", .check = check_path,
	  .help = "Directory of sockets." },
	{ .name = "state_dir", MEMBER(state_dir), .def = "/var/lib/gantry", .check = check_path,
	  .help = "Directory of what must survive a restart: the agent's records, etcd's data." },
	{ .name = "program_dir", MEMBER(program_dir), .def = GANTRY_SBINDIR, .check = check_path,
	  .help = "Directory of the daemons' programs. Not below the root given by --root." },
	{ .name = "lease_ms", .type = CONF_INT, MEMBER(lease_ms), .def = "12000", .min = 600, .max = 600000,
	  .help = "The cluster's lease in milliseconds as last heard from the master; change it with 'gnt cluster modify', not here." },
	{ .name = "slow", .type = CONF_INT, MEMBER(slow), .def = "1", .min = 1, .max = 100,
	  .help = "Time-outs of steps are this many times longer: for emulated machines." },
	{ .name = "log_level", MEMBER(log_level), .def = "info", .choices = "err|warning|notice|info|debug",
	  .help = "Least grave records that are written to the journal." },
};
const int n_conf_rows = (int)ARRAY_SIZE(conf_rows);

const struct conf_row *conf_row_by_name(const char *name)
{
	for (int i = 0; i < n_conf_rows; i++)
		if (strcmp(conf_rows[i].name, name) == 0)
			return &conf_rows[i];
	return NULL;
}

/* Edit distance of two short words; long ones are far apart by definition. */
static int distance(const char *a, const char *b)
{
	int row[40];
	int n = (int)strlen(b);

	if (n >= (int)ARRAY_SIZE(row))
		return n;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 1; a[i - 1]; i++) {
		int before = row[0];

		row[0] = i;
		for (int j = 1; j <= n; j++) {
			int replace = before + (a[i - 1] == b[j - 1] ? 0 : 1), best = row[j - 1] < row[j] ? row[j - 1] : row[j];

			before = row[j];
			row[j] = replace < best + 1 ? replace : best + 1;
		}
	}
	return row[n];
}

const char *conf_row_nearest(const char *name)
{
	const char *best = NULL;
	int best_distance = (int)strlen(name) / 3 + 2; /* further off is no help but a guess */

	if (strlen(name) > NAME_LEN)
		return NULL;
	for (int i = 0; i < n_conf_rows; i++) {
		int d = distance(name, conf_rows[i].name);

		if (d < best_distance) {
			best_distance = d;
			best = conf_rows[i].name;
		}
	}
	return best;
}

bool conf_choice_ok(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (strncmp(p, value, len) == 0 && (p[len] == '|' || !p[len]))
			return len > 0;
	return false;
}

/* ---- values -------------------------------------------------------------------------------------------------- */

void conf_texts_add(char ***list, int *n, const char *s)
{
	*list = xrealloc(*list, (size_t)(*n + 2) * sizeof(**list));
	(*list)[(*n)++] = xstrdup(s);
	(*list)[*n] = NULL;
}

void conf_texts_clear(char ***list, int *n)
{
	for (int i = 0; i < *n; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
	*n = 0;
}

void conf_set_defaults(struct conf *c)
{
	for (int i = 0; i < n_conf_rows; i++) {
		const struct conf_row *r = &conf_rows[i];
		void *m = conf_member(c, r->offset);

		switch (r->type) {
		case CONF_TEXT:
			(void)str_copy(m, r->size, r->def);
			break;
		case CONF_INT:
			*(int64_t *)m = strtoll(r->def, NULL, 10);
			break;
		case CONF_BOOL:
			*(bool *)m = strcmp(r->def, "true") == 0;
			break;
		case CONF_TEXTS:
			*(char ***)m = NULL;
			*(int *)conf_member(c, r->count_offset) = 0;
			break;
		}
	}
}

const char *conf_check_whole(const struct conf *c, struct err *err)
{
	if (c->node_uuid[0] && !c->node_name[0]) {
		(void)err_set(err, ERR_BAD_VALUE, "node_uuid is given, but no node_name");
		return "node_uuid";
	}
	if (c->node_uuid[0] && !c->address[0]) {
		(void)err_set(err, ERR_BAD_VALUE, "node_uuid is given, but no address");
		return "node_uuid";
	}
	if (c->link_port == c->etcd_client_port || c->link_port == c->etcd_peer_port) {
		(void)err_set(err, ERR_BAD_VALUE, "link_port %d is an etcd port, too", (int)c->link_port);
		return "link_port";
	}
	if (c->etcd_client_port == c->etcd_peer_port) {
		(void)err_set(err, ERR_BAD_VALUE, "etcd_client_port and etcd_peer_port are both %d", (int)c->etcd_peer_port);
		return "etcd_peer_port";
	}
	bool fake_hv = strcmp(c->hypervisor, "fake") == 0;
	if ((fake_hv || strcmp(c->storage, "fake") == 0) && !c->fake_world[0]) {
		(void)err_set(err, ERR_BAD_VALUE, "%s is 'fake', but no fake_world is given", fake_hv ? "hypervisor" : "storage");
		return fake_hv ? "hypervisor" : "storage";
	}
	return NULL;
}
