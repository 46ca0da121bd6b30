/* SPDX-License-Identifier: Apache-2.0 */
/* One command for several instances: what was said, and whom it means. */
#include <string.h>

#include "cli/cli.h"

bool many_is(enum op_index op)
{
	return op == OP_instance_startup || op == OP_instance_shutdown || op == OP_instance_reboot;
}

int many_take(struct command *c, struct err *err)
{
	const struct options *o = &c->opt;
	bool by_node = o->node || o->primary || o->secondary;

	if (o->all + o->node + o->primary + o->secondary > 1)
		return err_set(err, ERR_BAD_REQUEST, "of '--all', '--node', '--primary' and '--secondary' only one can be meant"),
		       err_hint(err, "'--node NODE' means both its primary and its secondary instances");
	if (o->all && c->n_words)
		return err_set(err, ERR_BAD_REQUEST, "'--all' was said, and '%s' besides", c->words[0]), err_hint(err, "say either all, or which");
	if (by_node && c->n_words == 0)
		return err_set(err, ERR_BAD_REQUEST, "no node is named"),
		       err_hint(err, "for example 'gnt instance %s %s node1'", op_infos[c->op].verb, o->node ? "--node" : o->primary ? "--primary" : "--secondary");
	const struct field *name = schema_find(op_infos[c->op].args, "name");
	int rc = 0;

	c->many = o->all || by_node || c->n_words > 1;
	for (int i = 0; i < c->n_words && rc == 0; i++) /* each is looked at; of several none is the one */
		rc = field_set_text(name, c->args, c->words[i], err);
	if (c->many)
		*((char *)c->args + name->offset) = '\0';
	return rc;
}

static bool meant(const struct command *c, const json_t *row)
{
	const char *p = json_str(row, "pnode", ""), *s = json_str(row, "snode", "");
	bool primary = (c->opt.node || c->opt.primary) && strs_has(c->words, c->n_words, p);
	bool secondary = (c->opt.node || c->opt.secondary) && s[0] && strs_has(c->words, c->n_words, s);

	return c->opt.all || primary || secondary;
}

void many_choose(const struct command *c, const json_t *rows, char ***names, int *n)
{
	bool named = !c->opt.all && !c->opt.node && !c->opt.primary && !c->opt.secondary;
	json_t *row;
	size_t k;

	for (int i = 0; named && i < c->n_words; i++)
		if (!strs_has(*names, *n, c->words[i]))
			strs_add(names, n, c->words[i]);
	if (!named)
		json_array_foreach(rows, k, row)
			if (meant(c, row))
				strs_add(names, n, json_str(row, "name", ""));
}
