/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/tail.h"

#include <stdio.h>
#include <string.h>

#include "storage/exec.h"

void tail_format(const struct tail_name *t, char out[VOLUME_LEN + 1])
{
	(void)snprintf(out, VOLUME_LEN + 1, "%s.disk%d_tail%lld.%lld", t->instance, t->index, (long long)t->gen, (long long)t->kept_s);
}

static bool number(const char **p, int64_t max, char end, int64_t *ret)
{
	int64_t v = 0;
	const char *s = *p;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		int digit = *s - '0';

		if (digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (*s != end)
		return false;
	*p = s + (end != '\0');
	*ret = v;
	return true;
}

static bool skip(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*p, word, n) != 0)
		return false;
	*p += n;
	return true;
}

bool tail_parse(const char *name, struct tail_name *ret)
{
	struct tail_name t;
	const char *p = name;
	int64_t index;
	char again[VOLUME_LEN + 1];

	if (strlen(name) <= UUID_LEN)
		return false;
	memcpy(t.instance, name, UUID_LEN);
	t.instance[UUID_LEN] = '\0';
	p += UUID_LEN;
	if (!word_is_uuid(t.instance) || !skip(&p, ".disk") || !number(&p, DISKS_MAX - 1, '_', &index) || !skip(&p, "tail") ||
	    !number(&p, INT64_MAX, '.', &t.gen) || !number(&p, INT64_MAX, '\0', &t.kept_s))
		return false;
	t.index = (int)index;
	tail_format(&t, again); /* one spelling only */
	if (strcmp(again, name) != 0)
		return false;
	*ret = t;
	return true;
}
