/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fence.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/xmem.h"

/* One "key=value" up to a single ',' or ';'; doubled ones stand for themselves. Returns where it ended. */
static const char *take(const char *p, struct buf *out)
{
	for (; *p; p++) {
		if ((*p == ',' || *p == ';') && p[1] != p[0])
			break;
		if (*p == ',' || *p == ';')
			p++;
		buf_printf(out, "%c", *p);
	}
	return p;
}

static bool plain(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_-", s[i]))
			return false;
	return n > 0;
}

static int bad(struct err *err, const char *what)
{
	(void)err_set(err, ERR_BAD_VALUE, "fence: %s", what);
	return err_hint(err, "for example 'agent=fence_ipmilan,ip=10.0.0.9,username=admin,password=secret'");
}

static int pair(struct step_fence_agent *a, const char *text, struct buf *options, struct err *err)
{
	const char *eq = strchr(text, '=');

	if (!eq || !plain(text, (size_t)(eq - text)))
		return bad(err, "an option is not key=value");
	for (const char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			return bad(err, "a control character in an option");
	if (strncmp(text, "action=", 7) == 0 || strncmp(text, "nodename=", 9) == 0)
		return bad(err, "the action is ours to choose");
	if (strncmp(text, "agent=", 6) == 0) {
		if (a->agent[0] || strncmp(eq + 1, "fence_", 6) != 0 || !plain(eq + 1, strlen(eq + 1)) || strlen(eq + 1) > NAME_LEN)
			return bad(err, "an agent is a program of fence-agents, 'agent=fence_NAME', one before each ';'");
		(void)str_copy(a->agent, sizeof(a->agent), eq + 1);
		return 0;
	}
	buf_printf(options, "%s\n", text);
	return 0;
}

int fence_parse(const char *text, struct step_fence *ret, struct err *err)
{
	const struct field *list = schema_find(&step_fence_schema, "agents");

	for (const char *p = text; *p;) {
		AUTO_BUF struct buf options = BUF_INIT;
		int rc = 0;

		if (ret->n_agents == FENCE_AGENTS_MAX)
			return err_set(err, ERR_TOO_BIG, "fence: more than %d agents", FENCE_AGENTS_MAX);
		struct step_fence_agent *a = schema_list_add(list, ret);
		for (bool more = true; more && rc == 0;) {
			AUTO_BUF struct buf one = BUF_INIT;

			p = take(p, &one);
			rc = pair(a, buf_str(&one), &options, err);
			more = *p == ',';
			p += *p != '\0';
		}
		if (rc == 0 && !a->agent[0])
			rc = bad(err, "no agent is named");
		if (rc < 0)
			return rc;
		a->options = xstrdup(buf_str(&options));
	}
	return ret->n_agents ? 0 : bad(err, "no agent is named");
}
