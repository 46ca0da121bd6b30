/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guests' bridge: now, by io/netif_bridge.c, with the interface's addresses and routes moved over under a running ssh session; and at
 * boot, in the files of what configures this machine's network, so that both are the same.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/files.h"
#include "node/prepare.h"
#include "storage/runner.h"

#define MADE_BY "# made by 'gnt node prepare'\n"
#define FILE_MAX_BYTES 65536

enum keeper { KEEPER_NONE, KEEPER_IFUPDOWN, KEEPER_NETWORKD, KEEPER_NETWORK_MANAGER };

struct bridge {
	struct prepare *p;
	char name[NETIF_NAME_LEN + 1], port[NETIF_NAME_LEN + 1];
	const struct netif_dev *dev; /* the port; borrowed from list */
	struct netif_list list;
	bool made;                   /* and the port is in it */
	enum keeper keeper;
	char file[PATH_LEN + 1];     /* below the root: that with the port's ifupdown stanzas */
	char *text;                  /* of it, or of the port's .network file; NULL = none */
};

/* ---- ifupdown --------------------------------------------------------------------------------------------------- */

/* The words of a line; NULL after the last. Cuts it. */
static int words(char *line, char *w[], int max)
{
	char *save = NULL;
	int n = 0;

	for (char *s = strtok_r(line, " \t", &save); s && n < max; s = strtok_r(NULL, " \t", &save))
		w[n++] = s;
	return n;
}

/* "auto lo eth0" and kin, with the port replaced. */
static void put_names(struct buf *out, char *const w[], int n, const char *bridge, const char *port)
{
	for (int i = 0; i < n; i++)
		buf_printf(out, "%s%s", i ? " " : "", strcmp(w[i], port) == 0 ? bridge : w[i]);
	buf_puts(out, "\n");
}

char *prepare_ifupdown(const char *text, const char *bridge, const char *port, const char *mac)
{
	struct buf out = BUF_INIT;
	bool found = false;

	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		AUTO_FREE char *raw = xstrndup(line, n), *copy = xstrdup(raw);
		char *w[32] = { NULL };
		int k = words(copy, w, (int)ARRAY_SIZE(w));

		line += n + (line[n] == '\n');
		if (k >= 3 && strcmp(w[0], "iface") == 0 && strcmp(w[1], port) == 0) {
			if (!found)
				buf_printf(&out, "iface %s inet manual\n\n", port);
			buf_printf(&out, "iface %s", bridge);
			for (int i = 2; i < k; i++)
				buf_printf(&out, " %s", w[i]);
			buf_puts(&out, "\n");
			if (!found) /* the first stanza makes it, the others find it */
				buf_printf(&out, "\tbridge_ports %s\n\tbridge_hw %s\n\tbridge_stp off\n\tbridge_fd 0\n", port, mac);
			found = true;
		} else if (k >= 2 && (strcmp(w[0], "auto") == 0 || strncmp(w[0], "allow-", 6) == 0)) {
			put_names(&out, w, k, bridge, port);
		} else {
			buf_printf(&out, "%s\n", raw);
		}
	}
	if (!found) {
		buf_done(&out);
		return NULL;
	}
	return buf_steal(&out);
}

static bool names_iface(const char *text, const char *dev)
{
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		AUTO_FREE char *copy = xstrndup(line, n);
		char *w[4] = { NULL };
		int k = words(copy, w, (int)ARRAY_SIZE(w));

		line += n + (line[n] == '\n');
		if (k >= 3 && strcmp(w[0], "iface") == 0 && strcmp(w[1], dev) == 0)
			return true;
	}
	return false;
}

/* Looks through /etc/network/interfaces and what lies in interfaces.d for a stanza of dev. */
static bool find_ifupdown(struct prepare *p, const char *dev, char *ret_file, size_t size, char **ret_text)
{
	static const char *const patterns[] = { "/etc/network/interfaces", "/etc/network/interfaces.d/*" };
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(patterns) && !found; i++) {
		AUTO_FREE char *pattern = prepare_path(p, patterns[i]);
		glob_t g;

		if (glob(pattern, 0, NULL, &g) != 0)
			continue;
		for (size_t k = 0; k < g.gl_pathc && !found; k++) {
			AUTO_FREE char *text = NULL;
			struct err ignored = ERR_INIT;

			if (strstr(g.gl_pathv[k], ".before-gantry") || file_read_text(g.gl_pathv[k], FILE_MAX_BYTES, &text, &ignored) < 0 ||
			    !names_iface(text, dev))
				continue;
			found = str_copy(ret_file, size, g.gl_pathv[k] + strlen(p->root)) == 0;
			if (found)
				*ret_text = TAKE(text);
		}
		globfree(&g);
	}
	return found;
}

static int write_ifupdown(struct bridge *b, struct err *err)
{
	struct prepare *p = b->p;
	AUTO_FREE char *text = prepare_ifupdown(b->text, b->name, b->port, b->dev->mac);
	AUTO_FREE char *full = prepare_path(p, b->file), *keep = xasprintf("%s.before-gantry", full);
	int rc = p->yes ? file_write_durable(keep, b->text, 0644, err) : 0;

	if (rc == 0 && p->yes)
		rc = file_write_durable(full, text, 0644, err);
	if (rc == 0)
		prepare_say(p, true, "at boot ifupdown makes bridge '%s' over '%s' (%s; the old text is kept beside it)", b->name, b->port, b->file);
	return rc;
}

static int ifupdown(struct bridge *b, struct err *err)
{
	struct prepare *p = b->p;
	char there[PATH_LEN + 1];
	AUTO_FREE char *text = NULL;

	if (find_ifupdown(p, b->name, there, sizeof(there), &text)) {
		prepare_say(p, false, "at boot ifupdown makes bridge '%s' (%s)", b->name, there);
		return 0;
	}
	if (!prepare_has(p, "/sbin/brctl")) { /* its hooks are what reads bridge_ports */
		(void)err_set(err, ERR_NOT_PREPARED, "ifupdown needs a package to make bridges: bridge-utils");
		return err_hint(err, "apt-get install bridge-utils");
	}
	return write_ifupdown(b, err);
}

/* ---- systemd-networkd -------------------------------------------------------------------------------------------------- */

char *prepare_networkd(const char *text, const char *bridge)
{
	struct buf out = BUF_INIT;
	bool drop = false;

	buf_printf(&out, MADE_BY "[Match]\nName=%s\n\n", bridge);
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		AUTO_FREE char *raw = xstrndup(line, n);
		const char *s = raw + strspn(raw, " \t");

		line += n + (line[n] == '\n');
		if (*s == '[') /* whom it is for, and what is the cable's own */
			drop = strncmp(s, "[Match]", 7) == 0 || strncmp(s, "[Link]", 6) == 0;
		if (!drop)
			buf_printf(&out, "%s\n", raw);
	}
	return buf_steal(&out);
}

/* What networkd says of an interface; gives, "" when it does not know it. */
static char *networkd_state(struct prepare *p, unsigned index, const char *key)
{
	AUTO_FREE char *path = xasprintf("%s/run/systemd/netif/links/%u", p->root, index), *text = NULL;
	AUTO_FREE char *want = xasprintf("%s=", key);
	struct err ignored = ERR_INIT;

	if (file_read_text(path, FILE_MAX_BYTES, &text, &ignored) < 0)
		return xstrdup("");
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		if (n > strlen(want) && strncmp(line, want, strlen(want)) == 0)
			return xstrndup(line + strlen(want), n - strlen(want));
		line += n + (line[n] == '\n');
	}
	return xstrdup("");
}

static void find_networkd(struct bridge *b)
{
	AUTO_FREE char *file = networkd_state(b->p, b->dev->index, "NETWORK_FILE");
	AUTO_FREE char *full = prepare_path(b->p, file);
	struct err ignored = ERR_INIT;

	/* The second time the port has our own file: the bridge has what was its. */
	if (!file[0] || strstr(file, "/05-gantry-") || file_read_text(full, FILE_MAX_BYTES, &b->text, &ignored) < 0)
		return;
	AUTO_FREE char *more = networkd_state(b->p, b->dev->index, "NETWORK_FILE_DROPINS");
	char *save = NULL;
	for (char *f = strtok_r(more, " \"", &save); f; f = strtok_r(NULL, " \"", &save)) {
		AUTO_FREE char *path = prepare_path(b->p, f), *text = NULL, *before = b->text;

		if (file_read_text(path, FILE_MAX_BYTES, &text, &ignored) < 0) {
			b->text = TAKE(before);
			continue;
		}
		b->text = xasprintf("%s\n%s", before, text);
	}
}

static bool by_dhcp(const char *text)
{
	return text && (strstr(text, "DHCP=yes") || strstr(text, "DHCP=ipv4") || strstr(text, "DHCP=true"));
}

static int networkd(struct bridge *b, struct err *err)
{
	struct prepare *p = b->p;
	AUTO_FREE char *netdev = xasprintf("/etc/systemd/network/05-gantry-%s.netdev", b->name);
	AUTO_FREE char *port = xasprintf("/etc/systemd/network/05-gantry-%s-port.network", b->name);
	AUTO_FREE char *own = xasprintf("/etc/systemd/network/05-gantry-%s.network", b->name);
	/* The port's hardware address: neighbours and DHCP servers see the same machine. */
	AUTO_FREE char *netdev_text = xasprintf(MADE_BY "[NetDev]\nName=%s\nKind=bridge\nMACAddress=%s\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n",
						b->name, b->dev->mac);
	AUTO_FREE char *port_text = xasprintf(MADE_BY "[Match]\nName=%s\n\n[Network]\nBridge=%s\n", b->port, b->name);
	AUTO_FREE char *own_text = prepare_networkd(b->text ? b->text : "[Network]\nLinkLocalAddressing=ipv6\n", b->name);
	AUTO_FREE char *what = xasprintf("at boot systemd-networkd makes bridge '%s' over '%s'", b->name, b->port);
	static const char *const reload[] = { "networkctl", "reload", NULL };
	int before = p->todo;

	/* The port's file is the last: it is what takes the address from the interface, should the power go in between. */
	int rc = 0;
	if (b->text || !prepare_has(p, own))
		rc = prepare_file(p, own, own_text,
				  b->text ? "at boot the bridge is configured as the interface was" : "the bridge has no address at boot: the interface had none", err);
	if (rc == 0)
		rc = prepare_file(p, netdev, netdev_text, what, err);
	if (rc == 0)
		rc = prepare_file(p, port, port_text, "and the interface is its port", err);
	if (rc == 0 && by_dhcp(b->text))
		prepare_say(p, false, "the address comes by DHCP: see that this machine always gets the same one, a cluster knows it by that");
	if (rc == 0 && p->yes && p->todo > before)
		rc = prepare_command(p, reload, err);
	return rc;
}

/* ---- which of them ------------------------------------------------------------------------------------------------------ */

static bool active(struct prepare *p, const char *unit)
{
	const char *const argv[] = { "systemctl", "is-active", "--quiet", unit, NULL };

	return prepare_asks(p, argv);
}

static void find_keeper(struct bridge *b)
{
	struct prepare *p = b->p;

	if (find_ifupdown(p, b->port, b->file, sizeof(b->file), &b->text))
		b->keeper = KEEPER_IFUPDOWN;
	else if (active(p, "NetworkManager.service"))
		b->keeper = KEEPER_NETWORK_MANAGER;
	else if (active(p, "systemd-networkd.service"))
		b->keeper = KEEPER_NETWORKD;
	if (b->keeper == KEEPER_NETWORKD)
		find_networkd(b);
}

static int at_boot(struct bridge *b, struct err *err)
{
	switch (b->keeper) {
	case KEEPER_IFUPDOWN: return ifupdown(b, err);
	case KEEPER_NETWORKD: return networkd(b, err);
	case KEEPER_NETWORK_MANAGER:
	case KEEPER_NONE:
	default: break;
	}
	if (b->made) { /* whoever made it now makes it again */
		prepare_say(b->p, false, "what makes bridge '%s' at boot is not known here, and left alone", b->name);
		return 0;
	}
	if (b->keeper == KEEPER_NETWORK_MANAGER) {
		(void)err_set(err, ERR_NOT_SUPPORTED, "NetworkManager configures this machine's network: it would undo a bridge of ours");
		return err_hint(err,
				"make it there and repeat the command: nmcli con add type bridge ifname %s con-name %s stp no; "
				"nmcli con add type ethernet ifname %s master %s; nmcli con up %s",
				b->name, b->name, b->port, b->name, b->name);
	}
	(void)err_set(err, ERR_NOT_PREPARED, "neither ifupdown nor systemd-networkd configures '%s': a bridge would be gone after a boot", b->port);
	return err_hint(err, "configure it in /etc/network/interfaces or /etc/systemd/network, or make bridge '%s' by hand", b->name);
}

/* ---- the bridge --------------------------------------------------------------------------------------------------------- */

static int look(struct bridge *b, struct err *err)
{
	int rc = b->p->netif->list(&b->list, err);

	if (rc < 0)
		return rc;
	b->dev = netif_list_dev(&b->list, b->port);
	const struct netif_dev *there = netif_list_dev(&b->list, b->name);
	if (!b->dev)
		return err_set(err, ERR_NOT_FOUND, "there is no network interface '%s'", b->port), err_hint(err, "'ip link' shows what there is");
	if (there && !there->bridge)
		return err_set(err, ERR_EXISTS, "interface '%s' exists and is not a bridge", b->name), err_hint(err, "choose another name for the bridge");
	if (b->dev->master[0] && strcmp(b->dev->master, b->name) != 0)
		return err_set(err, ERR_WRONG_STATE, "interface '%s' is a port of '%s' already", b->port, b->dev->master),
		       err_hint(err, "use that one: --bridge %s=%s", b->dev->master, b->port);
	if (!b->dev->ether || b->dev->bridge)
		return err_set(err, ERR_BAD_VALUE, "interface '%s' cannot be a port of a bridge", b->port),
		       err_hint(err, "name an Ethernet interface: 'ip link' shows them");
	b->made = there && strcmp(b->dev->master, b->name) == 0;
	return 0;
}

static int make(struct bridge *b, struct err *err)
{
	struct prepare *p = b->p;
	int n = 0;

	if (b->made) {
		prepare_say(p, false, "bridge '%s' has port '%s'", b->name, b->port);
		return 0;
	}
	for (int i = 0; i < b->list.n_addrs; i++)
		n += strcmp(b->list.addrs[i].dev, b->port) == 0;
	int rc = p->yes ? p->netif->bridge_make(b->name, b->port, err) : 0;
	if (rc == 0)
		prepare_say(p, true, "bridge '%s' over interface '%s' now; its %d addresses and its routes move along", b->name, b->port, n);
	return rc;
}

static int parse(const char *spec, struct bridge *b, struct err *err)
{
	const char *eq = strchr(spec, '=');
	size_t n = eq ? (size_t)(eq - spec) : 0;

	if (n == 0 || n > NETIF_NAME_LEN || !eq[1] || str_copy(b->port, sizeof(b->port), eq + 1) < 0 || spec[strcspn(spec, "/ \t\n")])
		return err_set(err, ERR_BAD_VALUE, "'%s' is not of the form BRIDGE=INTERFACE", spec), err_hint(err, "for example --bridge br0=eth0");
	memcpy(b->name, spec, n);
	return 0;
}

int prepare_bridge(struct prepare *p, struct err *err)
{
	struct bridge b = { .p = p };

	if (!p->a->bridge[0])
		return 0;
	int rc = parse(p->a->bridge, &b, err);
	if (rc == 0)
		rc = look(&b, err);
	if (rc == 0) {
		find_keeper(&b);
		rc = make(&b, err); /* before the files: what fails here is put back, and nothing is left behind */
	}
	if (rc == 0)
		rc = at_boot(&b, err);
	netif_list_done(&b.list);
	free(b.text);
	return rc;
}
