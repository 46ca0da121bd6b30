/* SPDX-License-Identifier: Apache-2.0 */
#include "io/token.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/units.h"
#include "common/xmem.h"

/* gantry1:<id>:<secret>:<pin>:<port>:<address>[,<address>...]; addresses last, since IPv6 has colons of its own. */
#define HEAD "gantry1:"

char *join_token_text(const struct join_token *t)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, HEAD "%s:%s:%s:%d:", t->id, t->secret, t->pin, t->port);
	for (int i = 0; i < t->n_addresses; i++)
		buf_printf(&b, "%s%s", i ? "," : "", t->addresses[i]);
	return buf_steal(&b);
}

/* Copies up to the next ':' and steps over it; false when it is missing or too long. */
static bool part(const char **p, char *out, size_t size)
{
	const char *end = strchr(*p, ':');

	if (!end || (size_t)(end - *p) >= size || end == *p)
		return false;
	memcpy(out, *p, (size_t)(end - *p));
	out[end - *p] = '\0';
	*p = end + 1;
	return true;
}

static bool addresses(const char *p, struct join_token *t)
{
	while (*p && t->n_addresses < JOIN_ADDRESSES_MAX) {
		size_t n = strcspn(p, ",");

		if (n == 0 || n > ADDR_LEN)
			return false;
		memcpy(t->addresses[t->n_addresses], p, n);
		t->addresses[t->n_addresses++][n] = '\0';
		p += n + (p[n] == ',');
	}
	return t->n_addresses > 0 && !*p;
}

int join_token_parse(const char *text, struct join_token *ret, struct err *err)
{
	struct join_token t = { .n_addresses = 0 };
	const char *p = text;
	char port[8];
	int64_t number = 0;
	struct err why = ERR_INIT;
	bool ok = strlen(text) <= JOIN_TOKEN_MAX && strncmp(text, HEAD, strlen(HEAD)) == 0;

	if (ok) {
		p += strlen(HEAD);
		ok = part(&p, t.id, sizeof(t.id)) && part(&p, t.secret, sizeof(t.secret)) && part(&p, t.pin, sizeof(t.pin)) &&
		     strlen(t.pin) == 64 && part(&p, port, sizeof(port)) && units_parse_int(port, 1, 65535, &number, &why) == 0 &&
		     addresses(p, &t);
	}
	if (!ok)
		return err_set(err, ERR_BAD_TOKEN, "this is not a join token"), err_hint(err, "copy the whole word that 'gnt node token' printed");
	t.port = (int)number;
	*ret = t;
	return 0;
}
