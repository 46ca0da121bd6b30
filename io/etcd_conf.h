/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file of Gantry's own etcd member (started as "etcd --config-file PATH"). Pure: a struct in, a text out. */
#ifndef IO_ETCD_CONF_H
#define IO_ETCD_CONF_H

#include <stdbool.h>
#include <stdint.h>

struct etcd_member_conf {
	const char *name;            /* as in initial_cluster; Gantry takes the node's uuid */
	const char *data_dir;
	const char *address;         /* of this node; IPv6 without brackets */
	int client_port, peer_port;
	const char *ca_file, *cert_file, *key_file; /* PEM, both legs; NULL = plain http (tests) */
	const char *initial_cluster; /* "name=https://10.0.0.1:7602,...", this member among them */
	const char *token;           /* of a new cluster: members of another one are not heard; NULL = "gantry" */
	bool alone;                  /* --force-new-cluster: what its data holds, with itself as the only member */
	bool new_cluster;            /* false: it joins, after store_etcd_member_add() */
	int64_t lease_ms;            /* ha.lease: election and heartbeat follow from it */
	int64_t quota_bytes;         /* of the database; 0 = ETCD_QUOTA_BYTES */
};

#define ETCD_QUOTA_BYTES (INT64_C(2) * 1024 * 1024 * 1024)

/* Gives the text (free()). */
char *etcd_conf_text(const struct etcd_member_conf *c);
/* "https://10.0.0.1:7602", "http://[::1]:7602". Gives the text. */
char *etcd_conf_url(bool tls, const char *address, int port);
int etcd_conf_election_ms(int64_t lease_ms);
/* The same text with the times of another lease; gives, NULL = they are these already. */
char *etcd_conf_retimed(const char *text, int64_t lease_ms);

#endif
