/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/drbd/conf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "common/xmem.h"
#include "storage/exec.h"

#define RESYNC_RATE_MAX_MIB_S 4096 /* the kernel's limit is 4 GiB/s */
#define MINOR_MAX             ((1 << 20) - 1)

/* ---- checks ----------------------------------------------------------------------------------- */

static int address_family(const char *address)
{
	struct in6_addr a6;
	struct in_addr a4;

	if (inet_pton(AF_INET, address, &a4) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, address, &a6) == 1 ? AF_INET6 : -1;
}

static bool secret_is_plain(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > DRBDM_SECRET_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isascii((unsigned char)s[i]) || (!isalnum((unsigned char)s[i]) && !strchr("+/=._-", s[i])))
			return false;
	return true;
}

static int check_volumes(const struct drbd_conf *c, struct err *err)
{
	if (c->n_volumes < 1 || c->n_volumes > DISKS_MAX)
		return err_set(err, ERR_BAD_VALUE, "resource '%s' has %d volumes, allowed are 1 to %d", c->resource,
			       c->n_volumes, DISKS_MAX);
	for (int i = 0; i < c->n_volumes; i++) {
		const struct drbd_volume_conf *v = &c->volumes[i];

		if (v->index < 0 || v->index > 65535 || v->minor < 0 || v->minor > MINOR_MAX)
			return err_set(err, ERR_BAD_VALUE, "resource '%s' has volume %d with minor %d: out of range",
				       c->resource, v->index, v->minor);
		if (!word_is_path(v->disk_path, PATH_LEN) || !word_is_path(v->meta_path, PATH_LEN) ||
		    strcmp(v->disk_path, v->meta_path) == 0)
			return err_set(err, ERR_BAD_VALUE,
				       "volume %d of resource '%s' has disk '%.100s' and metadata '%.100s'", v->index,
				       c->resource, v->disk_path, v->meta_path);
		for (int k = 0; k < i; k++)
			if (c->volumes[k].index == v->index || c->volumes[k].minor == v->minor)
				return err_set(err, ERR_BAD_VALUE, "resource '%s' has volume %d or minor %d twice",
					       c->resource, v->index, v->minor);
	}
	return 0;
}

static int check_peers(const struct drbd_conf *c, struct err *err)
{
	for (int i = 0; i < 2; i++) {
		const struct drbd_peer_conf *p = &c->peers[i];

		if (!word_is_plain(p->hostname, NAME_LEN))
			return err_set(err, ERR_BAD_VALUE, "'%s' is not a host's name", p->hostname);
		if (address_family(p->address) < 0)
			return err_set(err, ERR_BAD_VALUE, "'%s' of host '%s' is not an address", p->address,
				       p->hostname);
		if (p->node_id < 0 || p->node_id > 31)
			return err_set(err, ERR_BAD_VALUE, "host '%s' has node id %d, allowed are 0 to 31", p->hostname,
				       p->node_id);
	}
	if (strcmp(c->peers[0].hostname, c->peers[1].hostname) == 0 || c->peers[0].node_id == c->peers[1].node_id ||
	    strcmp(c->peers[0].address, c->peers[1].address) == 0)
		return err_set(err, ERR_BAD_VALUE, "both sides of resource '%s' have the same name, address or node id",
			       c->resource);
	if (address_family(c->peers[0].address) != address_family(c->peers[1].address))
		return err_set(err, ERR_BAD_VALUE, "resource '%s' has one IPv4 and one IPv6 address", c->resource);
	return 0;
}

int drbdm_conf_check(const struct drbd_conf *c, struct err *err)
{
	/* "all" is drbdadm's word for every resource. */
	if (!word_is_plain(c->resource, NAME_LEN) || strcmp(c->resource, "all") == 0)
		return err_set(err, ERR_BAD_VALUE, "'%s' is not a name for a DRBD resource", c->resource);
	if (!word_is_uuid(c->instance_uuid))
		return err_set(err, ERR_BAD_VALUE, "resource '%s' has no instance: '%s' is not a uuid", c->resource,
			       c->instance_uuid);
	int rc = check_volumes(c, err);
	if (rc == 0)
		rc = check_peers(c, err);
	if (rc < 0)
		return rc;
	if (c->port < 1 || c->port > 65535)
		return err_set(err, ERR_BAD_VALUE, "resource '%s' has port %d", c->resource, c->port);
	if (!secret_is_plain(c->secret)) /* never print it */
		return err_set(err, ERR_BAD_VALUE, "the secret of resource '%s' is not 1 to %d plain characters",
			       c->resource, DRBDM_SECRET_MAX);
	if (c->resync_rate_mib_s < 0 || c->resync_rate_mib_s > RESYNC_RATE_MAX_MIB_S)
		return err_set(err, ERR_BAD_VALUE, "resync rate of %lld MiB/s is not in 0 to %d",
			       (long long)c->resync_rate_mib_s, RESYNC_RATE_MAX_MIB_S);
	if (c->arbitrated && !word_is_path(c->handler, PATH_LEN))
		return err_set(err, ERR_BAD_VALUE, "'%s' is not the path of a handler", c->handler);
	return 0;
}

/* ---- text ------------------------------------------------------------------------------------- */

/* 8.4 has fencing among a disk's options, 9 among a connection's. */
static void fencing_text(const struct drbd_conf *c, struct buf *out)
{
	buf_printf(out, "\t\tfencing %s;\n", c->arbitrated ? "resource-and-stonith" : "dont-care");
}

/* What a Primary does whose own disk is gone, and its peer's out of reach: arbitrated, it waits (H16), as an I/O error is for ever to a guest's filesystem. */
const char *drbdm_on_no_data(const struct drbd_conf *c)
{
	return c->arbitrated ? "suspend-io" : "io-error";
}

static void options_text(const struct drbd_conf *c, enum drbdm_kernel kernel, struct buf *out)
{
	buf_puts(out, "\toptions {\n");
	if (kernel == DRBDM_KERNEL_9) /* promotion is ordered, never a side effect of somebody's open() */
		buf_puts(out, "\t\tauto-promote no;\n\t\tquorum off;\n");
	buf_printf(out, "\t\ton-no-data-accessible %s;\n\t}\n", drbdm_on_no_data(c));
}

static void net_text(const struct drbd_conf *c, enum drbdm_kernel kernel, struct buf *out)
{
	buf_puts(out, "\tnet {\n\t\tprotocol C;\n");
	if (kernel == DRBDM_KERNEL_9)
		fencing_text(c, out);
	buf_printf(out,
		   "\t\tcram-hmac-alg sha256;\n"
		   "\t\tshared-secret \"%s\";\n"
		   "\t\tallow-two-primaries no;\n"
		   "\t\tping-int 2;\n"               /* seconds: the loss of a silent peer is noticed after about 5 s */
		   "\t\tping-timeout 30;\n"          /* tenths of a second */
		   "\t\ttimeout 30;\n"               /* tenths of a second */
		   "\t\tconnect-int 5;\n"            /* seconds */
		   "\t\tafter-sb-0pri disconnect;\n" /* never discard anything by itself */
		   "\t\tafter-sb-1pri disconnect;\n"
		   "\t\tafter-sb-2pri disconnect;\n"
		   "\t}\n",
		   c->secret);
}

static void disk_text(const struct drbd_conf *c, enum drbdm_kernel kernel, struct buf *out)
{
	buf_puts(out, "\tdisk {\n");
	if (kernel == DRBDM_KERNEL_84)
		fencing_text(c, out);
	/* Arbitrated: a replica that loses its disk has to mark itself stale at once, so its handler is called. */
	buf_printf(out, "\t\ton-io-error %s;\n", c->arbitrated ? "call-local-io-error" : "detach");
	/* A fixed rate is obeyed only with the controller switched off. */
	if (c->resync_rate_mib_s > 0)
		buf_printf(out, "\t\tc-plan-ahead 0;\n\t\tresync-rate %lldM;\n", (long long)c->resync_rate_mib_s);
	buf_puts(out, "\t}\n");
}

static void handlers_text(const struct drbd_conf *c, struct buf *out)
{
	static const char *const events[] = {
	    "fence-peer", "local-io-error", "before-resync-target", "after-resync-target", "split-brain",
	};

	if (!c->arbitrated)
		return;
	buf_puts(out, "\thandlers {\n");
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		buf_printf(out, "\t\t%s \"%s %s\";\n", events[i], c->handler, events[i]);
	buf_puts(out, "\t}\n");
}

static void peer_text(const struct drbd_peer_conf *p, int port, enum drbdm_kernel kernel, struct buf *out)
{
	bool v6 = address_family(p->address) == AF_INET6;

	buf_printf(out, "\ton %s {\n", p->hostname);
	if (kernel == DRBDM_KERNEL_9)
		buf_printf(out, "\t\tnode-id %d;\n", p->node_id);
	buf_printf(out, v6 ? "\t\taddress ipv6 [%s]:%d;\n\t}\n" : "\t\taddress ipv4 %s:%d;\n\t}\n", p->address, port);
}

void drbdm_conf_text(const struct drbd_conf *c, enum drbdm_kernel kernel, struct buf *out)
{
	buf_printf(out, DRBDM_CONF_HEADER "%s\n", c->instance_uuid);
	buf_puts(out, "# Written by gantry-noded; changes are lost.\n");
	buf_printf(out, "resource %s {\n", c->resource);
	options_text(c, kernel, out);
	net_text(c, kernel, out);
	disk_text(c, kernel, out);
	handlers_text(c, out);
	for (int i = 0; i < c->n_volumes; i++) {
		const struct drbd_volume_conf *v = &c->volumes[i];

		buf_printf(out,
			   "\tvolume %d {\n\t\tdevice /dev/drbd%d minor %d;\n\t\tdisk %s;\n\t\tmeta-disk %s;\n\t}\n",
			   v->index, v->minor, v->minor, v->disk_path, v->meta_path);
	}
	for (int i = 0; i < 2; i++)
		peer_text(&c->peers[i], c->port, kernel, out);
	buf_puts(out, "}\n");
}

/* ---- reading back ----------------------------------------------------------------------------- */

void drbdm_conf_owner(const char *text, size_t len, char *out)
{
	const size_t head = strlen(DRBDM_CONF_HEADER);

	out[0] = '\0';
	if (len < head + UUID_LEN + 1 || memcmp(text, DRBDM_CONF_HEADER, head) != 0 || text[head + UUID_LEN] != '\n')
		return;
	char uuid[UUID_LEN + 1];
	memcpy(uuid, text + head, UUID_LEN);
	uuid[UUID_LEN] = '\0';
	if (memchr(uuid, '\0', UUID_LEN) == NULL && word_is_uuid(uuid))
		memcpy(out, uuid, sizeof(uuid));
}

#define WORDS_MAX 6
#define WORD_LEN  511

/* One line of our own making: words, of which a quoted one may have blanks; ';' at the end does not count. */
struct line {
	char words[WORDS_MAX][WORD_LEN + 1];
	int n;
};

static bool split_line(const char *p, const char *end, struct line *ret)
{
	ret->n = 0;
	while (end > p && (isspace((unsigned char)end[-1]) || end[-1] == ';'))
		end--;
	for (;;) {
		while (p < end && isspace((unsigned char)*p))
			p++;
		if (p == end)
			return true;
		bool quoted = *p == '"';
		const char *start = quoted ? ++p : p;
		while (p < end && (quoted ? *p != '"' : !isspace((unsigned char)*p)))
			p++;
		size_t len = (size_t)(p - start);
		if (ret->n == WORDS_MAX || len > WORD_LEN || (quoted && p == end))
			return false;
		memcpy(ret->words[ret->n], start, len);
		ret->words[ret->n++][len] = '\0';
		p += quoted;
	}
}

static bool to_int(const char *text, int *ret)
{
	struct err ignored = ERR_INIT;
	int64_t v = 0;

	if (units_parse_int(text, 0, INT32_MAX, &v, &ignored) < 0)
		return false;
	*ret = (int)v;
	return true;
}

/* "10.0.0.1:11000" or "[fd00::1]:11000" */
static bool read_address(const char *text, struct drbd_conf *c, struct drbd_peer_conf *p)
{
	const char *colon = strrchr(text, ':');
	bool v6 = text[0] == '[';

	if (!colon || (v6 && (colon - text < 2 || colon[-1] != ']')))
		return false;
	const char *start = v6 ? text + 1 : text;
	size_t len = (size_t)(colon - start) - (v6 ? 1 : 0);
	if (len > ADDR_LEN || !to_int(colon + 1, &c->port))
		return false;
	memcpy(p->address, start, len);
	p->address[len] = '\0';
	return true;
}

static bool read_rate(const char *text, int64_t *ret)
{
	char digits[16];
	size_t n = strlen(text);
	int v = 0;

	if (n < 2 || n > sizeof(digits) || text[n - 1] != 'M')
		return false;
	memcpy(digits, text, n - 1);
	digits[n - 1] = '\0';
	if (!to_int(digits, &v))
		return false;
	*ret = v;
	return true;
}

static bool read_handler(const char *text, struct drbd_conf *c)
{
	size_t n = strcspn(text, " ");

	if (n > PATH_LEN)
		return false;
	memcpy(c->handler, text, n);
	c->handler[n] = '\0';
	return true;
}

struct conf_reader {
	struct drbd_conf *conf;
	struct drbd_volume_conf *volume; /* the section being read */
	struct drbd_peer_conf *peer;
	int n_peers;
};

static bool begin_section(struct conf_reader *r, const struct line *l)
{
	struct drbd_conf *c = r->conf;

	if (strcmp(l->words[0], "resource") == 0 && l->n == 3)
		return c->resource[0] == '\0' && str_copy(c->resource, sizeof(c->resource), l->words[1]) == 0;
	if (strcmp(l->words[0], "volume") == 0 && l->n == 3) {
		if (c->n_volumes == DISKS_MAX)
			return false;
		r->volume = &c->volumes[c->n_volumes++];
		return to_int(l->words[1], &r->volume->index);
	}
	if (strcmp(l->words[0], "on") == 0 && l->n == 3) {
		if (r->n_peers == 2)
			return false;
		r->peer = &c->peers[r->n_peers];
		r->peer->node_id = r->n_peers++; /* 8.4's files have none: the order is theirs */
		return str_copy(r->peer->hostname, sizeof(r->peer->hostname), l->words[1]) == 0;
	}
	return true; /* net, disk, handlers, options */
}

/* A line "key value ...;" of any section; what we do not need back is passed over. */
static bool read_option(struct conf_reader *r, const struct line *l)
{
	const char *key = l->words[0], *value = l->n > 1 ? l->words[1] : "";
	struct drbd_conf *c = r->conf;

	if (r->volume && strcmp(key, "device") == 0)
		return l->n == 4 && to_int(l->words[3], &r->volume->minor);
	if (r->volume && strcmp(key, "disk") == 0)
		return str_copy(r->volume->disk_path, sizeof(r->volume->disk_path), value) == 0;
	if (r->volume && strcmp(key, "meta-disk") == 0)
		return str_copy(r->volume->meta_path, sizeof(r->volume->meta_path), value) == 0;
	if (r->peer && strcmp(key, "node-id") == 0)
		return to_int(value, &r->peer->node_id);
	if (r->peer && strcmp(key, "address") == 0)
		return l->n == 3 && read_address(l->words[2], c, r->peer);
	if (strcmp(key, "shared-secret") == 0)
		return str_copy(c->secret, sizeof(c->secret), value) == 0;
	if (strcmp(key, "fencing") == 0)
		c->arbitrated = strcmp(value, "resource-and-stonith") == 0;
	if (strcmp(key, "resync-rate") == 0)
		return read_rate(value, &c->resync_rate_mib_s);
	if (strcmp(key, "fence-peer") == 0)
		return read_handler(value, c);
	return true;
}

static bool read_line(struct conf_reader *r, const char *p, const char *end)
{
	struct line l;

	if (p < end && *p == '#')
		return true;
	if (!split_line(p, end, &l))
		return false;
	if (l.n == 0)
		return true;
	if (strcmp(l.words[l.n - 1], "{") == 0)
		return begin_section(r, &l);
	if (strcmp(l.words[0], "}") == 0) {
		r->volume = NULL;
		r->peer = NULL;
		return l.n == 1;
	}
	return read_option(r, &l);
}

int drbdm_conf_parse(const char *text, size_t len, struct drbd_conf *ret, struct err *err)
{
	struct drbd_conf conf = {.n_volumes = 0};
	struct conf_reader r = {.conf = &conf};
	const char *end = text + len;
	int line = 1;

	drbdm_conf_owner(text, len, conf.instance_uuid);
	if (!conf.instance_uuid[0] || memchr(text, '\0', len))
		return err_set(err, ERR_FOREIGN, "it does not begin with '" DRBDM_CONF_HEADER "<uuid>'");
	for (const char *p = text; p < end; line++) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (!eol)
			eol = end;
		if (!read_line(&r, p, eol))
			return err_set(err, ERR_WRONG_STATE, "line %d is not as Gantry writes it", line);
		p = eol < end ? eol + 1 : end;
	}
	int rc = drbdm_conf_check(&conf, err);
	if (rc < 0) {
		if (err)
			err->code = ERR_WRONG_STATE;
		return -ERR_WRONG_STATE;
	}
	*ret = conf;
	return 0;
}
