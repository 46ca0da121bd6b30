/* SPDX-License-Identifier: Apache-2.0 */
#include "io/etcd_conf.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/xmem.h"

#define HEARTBEAT "heartbeat-interval: "
#define ELECTION_MS_MIN 1000  /* below it a slow fsync or a busy host looks like a dead leader */
#define ELECTION_MS_MAX 50000 /* etcd refuses more */

/*
 * A follower calls an election between one and two election time-outs after the leader's last heartbeat. With a lease of
 * 12 s that is 1.5 to 3 s. The master's key must survive it (master_ttl and the margin behind it are together
 * 11/24 of the lease), so the gap without a leader has to end well inside that; an eighth leaves as much again.
 */
int etcd_conf_election_ms(int64_t lease_ms)
{
	int64_t ms = lease_ms / 8;

	if (ms < ELECTION_MS_MIN)
		ms = ELECTION_MS_MIN;
	return (int)(ms > ELECTION_MS_MAX ? ELECTION_MS_MAX : ms);
}

char *etcd_conf_url(bool tls, const char *address, int port)
{
	const char *scheme = tls ? "https" : "http";

	return strchr(address, ':') ? xasprintf("%s://[%s]:%d", scheme, address, port)
				    : xasprintf("%s://%s:%d", scheme, address, port);
}

/* A double-quoted YAML scalar: a space, a '#' or a ": " in a path must not change what the line means. */
static void add_text(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, "%s: \"", key);
	for (const char *p = value; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", *p);
		else if (c < ' ' || c == 127)
			buf_printf(out, "\\x%02x", c);
		else
			buf_putc(out, *p);
	}
	buf_puts(out, "\"\n");
}

static void add_security(struct buf *out, const char *section, const struct etcd_member_conf *c)
{
	buf_printf(out, "%s:\n", section);
	add_text(out, "  cert-file", c->cert_file);
	add_text(out, "  key-file", c->key_file);
	add_text(out, "  trusted-ca-file", c->ca_file);
	buf_puts(out, "  client-cert-auth: true\n");
}

static void add_urls(struct buf *out, const struct etcd_member_conf *c)
{
	AUTO_FREE char *client = etcd_conf_url(c->ca_file, c->address, c->client_port);
	AUTO_FREE char *peer = etcd_conf_url(c->ca_file, c->address, c->peer_port);

	add_text(out, "listen-client-urls", client);
	add_text(out, "advertise-client-urls", client);
	add_text(out, "listen-peer-urls", peer);
	add_text(out, "initial-advertise-peer-urls", peer);
}

static void add_times(struct buf *out, int election_ms)
{
	buf_printf(out, HEARTBEAT "%d\nelection-timeout: %d\n", election_ms / 5, election_ms);
}

char *etcd_conf_retimed(const char *text, int64_t lease_ms)
{
	AUTO_BUF struct buf times = BUF_INIT, out = BUF_INIT;
	const char *at = strstr(text, "\n" HEARTBEAT), *end = at;

	add_times(&times, etcd_conf_election_ms(lease_ms));
	for (int i = 0; i < 2 && end; i++) /* two lines */
		end = strchr(end + 1, '\n');
	if (!end || strncmp(at + 1, buf_str(&times), times.len) == 0)
		return NULL;
	buf_printf(&out, "%.*s%s%s", (int)(at + 1 - text), text, buf_str(&times), end + 1);
	return buf_steal(&out);
}

char *etcd_conf_text(const struct etcd_member_conf *c)
{
	AUTO_BUF struct buf out = BUF_INIT;
	int election_ms = etcd_conf_election_ms(c->lease_ms);

	assert(!c->ca_file || (c->cert_file && c->key_file));
	buf_puts(&out, "# Written by Gantry; changes made here are lost.\n");
	add_text(&out, "name", c->name);
	add_text(&out, "data-dir", c->data_dir);
	add_urls(&out, c);
	add_text(&out, "initial-cluster", c->initial_cluster);
	if (c->alone)
		buf_puts(&out, "force-new-cluster: true\n");
	add_text(&out, "initial-cluster-state", c->new_cluster ? "new" : "existing");
	add_text(&out, "initial-cluster-token", c->token && c->token[0] ? c->token : "gantry");
	/* The JSON gateway that we speak to: on by default as a flag, off by default in a file. */
	buf_puts(&out, "enable-grpc-gateway: true\n");
	/* A fifth is the least that etcd allows; each beat costs every member a wake-up and, idle, that is most of what it does. */
	add_times(&out, election_ms);
	/* A member that was cut off must not depose a working leader when it returns. */
	buf_puts(&out, "pre-vote: true\n");
	/* By revision: it never compacts the newest one, which this version of etcd does not survive a crash with. */
	buf_puts(&out, "auto-compaction-mode: revision\nauto-compaction-retention: \"10000\"\n");
	/* Entries are held in memory until the next snapshot: a tenth of the default, for a small member. */
	buf_puts(&out, "snapshot-count: 10000\n");
	buf_printf(&out, "quota-backend-bytes: %" PRId64 "\n", c->quota_bytes ? c->quota_bytes : ETCD_QUOTA_BYTES);
	/* Compares its data with the other members' before it serves. */
	buf_puts(&out, "experimental-initial-corrupt-check: true\n");
	buf_puts(&out, "logger: zap\nlog-outputs: [stderr]\n");
	if (c->ca_file) {
		add_security(&out, "client-transport-security", c);
		add_security(&out, "peer-transport-security", c);
	}
	return buf_steal(&out);
}
