/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes have said of their replicas, where it counts: by it current grows, and by it somebody may stay in current alone (H1, H6, H7). */
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "core/inside.h"
#include "core/own.h"

static const struct obs_drbd *heard(const struct core *c, const struct sinstance *s, const char *node)
{
	const struct snode *n = state_node(&c->st, node);

	return n && n->connected ? state_seen_drbd(n, s->i.uuid) : NULL;
}

const struct obs_drbd *word_of(const struct core *c, const struct sinstance *s, const char *node)
{
	const struct obs_drbd *d = heard(c, s, node);

	return d && (!RULE(GROW_GEN) || d->gen == s->i.own.gen) && d->marked != 1 ? d : NULL;
}

void word_asked_out(struct sinstance *s, const char *node)
{
	if (s->asked_out_gen != s->i.own.gen)
		strs_clear(&s->asked_out, &s->n_asked_out);
	s->asked_out_gen = s->i.own.gen;
	if (!strs_has(s->asked_out, s->n_asked_out, node))
		strs_add(&s->asked_out, &s->n_asked_out, node);
}

bool word_has_asked_out(const struct sinstance *s, const char *node)
{
	return s->asked_out_gen == s->i.own.gen && strs_has(s->asked_out, s->n_asked_out, node);
}

int word_need_good(const struct core *c, const struct sinstance *s, const char *node, struct err *err)
{
	const struct obs_drbd *d = heard(c, s, node);
	const char *name = state_node_name(&c->st, node);

	if (!RULE(STAYS_GOOD))
		return 0;
	if (word_has_asked_out(s, node) || (d && d->marked == 1))
		return err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on node '%s', which would be the only current one, has lost its disk", s->i.name, name),
		       err_hint(err, "nothing was given up. If the guest lives on its mirror's disk: 'gnt instance failover %s'", s->i.name);
	if (d && d->up == 1 && !state_good_replica(d))
		return err_set(err, ERR_STALE_REPLICA, "the replica of '%s' on node '%s', which would be the only current one, is %s", s->i.name, name,
			       d->disk[0] ? d->disk : "not there"),
		       err_hint(err, "mend that one first; if it is lost: 'gnt instance failover --ignore-consistency %s' goes on with the other", s->i.name);
	if (!d || d->up != 1 || d->gen != s->i.own.gen)
		return err_set(err, ERR_BUSY, "node '%s' has not said yet that its replica of '%s' is good", name, s->i.name),
		       err_hint(err, "look at node '%s', then repeat the command", name);
	return 0;
}
