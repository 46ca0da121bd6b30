/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/buf.h"
#include "common/units.h"
#include "common/xmem.h"
#include "core/planners.h"

/* Does the instance's disk fit? Only for templates with volumes; every pool that it uses must have room. */
static int disks_fit(const struct state *st, const struct snode *n, const struct instance *i, struct err *err)
{
	if (i->template == TEMPLATE_FILE && n->seen.file_storage != 1)
		return err_set(err, ERR_NOT_PREPARED, "node '%s' has no file storage", n->n.name),
		       err_hint(err, "'journalctl -u gantry-noded' there says why");
	if (i->template != TEMPLATE_DRBD && i->template != TEMPLATE_PLAIN)
		return 0;
	for (int d = 0; d < i->n_disks; d++) {
		const char *pool = part_pool(st, i, &i->disks[d]);
		int64_t need = instance_disk_mib(i, pool, st), have = state_free_disk_mib(st, n, pool);

		if (have < 0)
			return err_set(err, ERR_NOT_PREPARED, "node '%s' has no volume group '%s'", n->n.name, pool);
		if (have < need) {
			char a[32], b[32];

			units_format_mib(have, a, sizeof(a));
			units_format_mib(need, b, sizeof(b));
			return err_set(err, ERR_NO_SPACE, "volume group '%s' on node '%s' has %s free, the disks need %s", pool, n->n.name, a, b);
		}
	}
	return 0;
}

static int memory_fits(const struct state *st, const struct snode *n, const struct instance *i, struct err *err)
{
	int64_t need = instance_memory(st, i), have = state_free_memory_mib(st, n);

	if (have >= need)
		return 0;
	return err_set(err, ERR_NO_MEMORY, "node '%s' has %lld MiB of memory free, the guest needs %lld MiB", n->n.name, (long long)have, (long long)need);
}

static int check_eligible(const struct state *st, const struct snode *n, const struct instance *i, bool primary, struct err *err)
{
	if (n->n.witness == 1)
		return err_set(err, ERR_WRONG_STATE, "node '%s' is a witness", n->n.name), err_hint(err, "it votes and holds no instances: pick another node with -n");
	if (n->n.drained == 1)
		return err_set(err, ERR_WRONG_STATE, "node '%s' is drained", n->n.name), err_hint(err, "'gnt node modify --drained=no %s', or pick another node with -n", n->n.name);
	int rc = state_need_usable(st, n, err);
	if (rc == 0 && !n->seen_ms)
		rc = err_set(err, ERR_NODE_DOWN, "node '%s' has not reported yet", n->n.name), (void)err_hint(err, "repeat the command in a moment");
	if (rc == 0 && primary)
		rc = memory_fits(st, n, i, err);
	return rc < 0 ? rc : disks_fit(st, n, i, err);
}

static int check_wanted(const struct state *st, const struct instance *i, const char *name, bool primary, char ret[UUID_LEN + 1], struct err *err)
{
	struct snode *n;
	int rc = state_need_node(st, name, &n, err);

	if (rc == 0)
		rc = check_eligible(st, n, i, primary, err);
	if (rc == 0)
		(void)str_copy(ret, UUID_LEN + 1, n->n.uuid);
	return rc;
}

/* The node with the most memory free (then disk, then name): load spreads by itself. */
static const struct snode *best(const struct state *st, const struct instance *i, bool primary, const char *not_uuid, struct buf *why)
{
	const struct snode *pick = NULL;
	int64_t most = -1;

	for (int k = 0; k < st->n_nodes; k++) {
		const struct snode *n = st->nodes[k];
		struct err err = ERR_INIT;

		if (strcmp(n->n.uuid, not_uuid) == 0)
			continue;
		if (check_eligible(st, n, i, primary, &err) < 0) {
			buf_printf(why, "%s%s", why->len ? "; " : "", err.msg);
			continue;
		}
		int64_t free_mib = state_free_memory_mib(st, n);
		if (free_mib > most) {
			most = free_mib;
			pick = n;
		}
	}
	return pick;
}

static int place_free(const struct state *st, const struct instance *i, int n_needed, char ret_nodes[2][UUID_LEN + 1], struct err *err)
{
	AUTO_BUF struct buf why = BUF_INIT;
	const char *taken = "";

	for (int k = 0; k < n_needed; k++) {
		const struct snode *n = best(st, i, k == 0, taken, &why);

		if (!n)
			return err_set(err, ERR_NO_NODE, "no node fits as %s of '%s': %s", k ? "mirror" : "primary", i->name,
				       why.len ? buf_str(&why) : "there is no other node");
		(void)str_copy(ret_nodes[k], UUID_LEN + 1, n->n.uuid);
		taken = ret_nodes[k];
	}
	return 0;
}

int place_instance(const struct state *st, const struct instance *i, const char *want, char ret_nodes[2][UUID_LEN + 1], int *ret_n, struct err *err)
{
	int n_needed = i->template == TEMPLATE_DRBD ? 2 : 1;
	char names[2 * NAME_LEN + 2];
	int rc = 0;

	*ret_n = n_needed;
	if (!want[0])
		return place_free(st, i, n_needed, ret_nodes, err);
	(void)str_copy(names, sizeof(names), want);
	char *colon = strchr(names, ':');
	if (colon)
		*colon++ = '\0';
	if (colon && n_needed == 1)
		return err_set(err, ERR_BAD_VALUE, "disk template '%s' has no secondary node", template_names[i->template]),
		       err_hint(err, "give only the primary: -n %s", names);
	if (colon && strcmp(names, colon) == 0)
		return err_set(err, ERR_BAD_VALUE, "primary and secondary are the same node '%s'", names);
	rc = check_wanted(st, i, names, true, ret_nodes[0], err);
	if (rc < 0 || n_needed == 1)
		return rc;
	if (colon)
		return check_wanted(st, i, colon, false, ret_nodes[1], err);
	AUTO_BUF struct buf why = BUF_INIT;
	const struct snode *n = best(st, i, false, ret_nodes[0], &why);
	if (!n)
		return err_set(err, ERR_NO_NODE, "no node fits as mirror of '%s': %s", i->name, why.len ? buf_str(&why) : "there is no other node");
	(void)str_copy(ret_nodes[1], UUID_LEN + 1, n->n.uuid);
	return 0;
}
