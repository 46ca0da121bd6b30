/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/rng.h"
#include "common/xmem.h"
#include "io/nano.h"
#include "schema/msgs.h"

struct cli_link {
	struct nano_client *c;
	struct rng rng;
	bool ticket_used;
};

/* GANTRY_RUN_DIR is for trying things out; what decides is who may enter the directory. */
static char *socket_path(const struct command *c)
{
	const char *dir = c->opt.socket ? c->opt.socket : getenv("GANTRY_RUN_DIR");
	/* One command that shows and, with an option, changes. */
	bool admin = op_infos[c->op].acl == OP_ADMIN || (c->op == OP_disk_tails && ((const struct op_disk_tails *)c->args)->remove == 1);

	if (!dir)
		dir = "/run/gantry";
	AUTO_FREE char *path = xasprintf("%s/%s/sock", dir, admin ? "admin" : "read");
	if (!admin && access(path, W_OK) < 0) { /* an admin need not be a reader too */
		AUTO_FREE char *other = xasprintf("%s/admin/sock", dir);

		if (access(other, W_OK) == 0)
			return TAKE(other);
	}
	return TAKE(path);
}

int call_open(const struct command *c, struct cli_link **ret, struct err *err)
{
	struct cli_link *l = xcalloc(1, sizeof(*l));
	AUTO_FREE char *path = socket_path(c);
	uint64_t seed = 0;
	AUTO_FD int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &seed, sizeof(seed)) != (ssize_t)sizeof(seed)) {
		free(l);
		return err_errno(err, ERR_IO, "cannot read '/dev/urandom'");
	}
	rng_seed(&l->rng, seed);
	int rc = nano_client_open(path, &l->c, err);
	if (rc < 0) {
		free(l);
		return rc;
	}
	*ret = l;
	return 0;
}

void call_close(struct cli_link *l)
{
	if (!l)
		return;
	nano_client_close(l->c);
	free(l);
}

static int read_reply(const char *text, json_t **ret_result, int64_t *ret_stale_ms, struct err *err)
{
	struct msg_reply r;
	int rc = schema_decode_text(&msg_reply_schema, &r, text, err);

	if (rc < 0)
		return err_wrap(err, "answer of the daemon");
	if (r.error[0]) {
		rc = err_set(err, (enum err_code)err_by_name(r.error), "%s", r.msg ? r.msg : r.error);
		(void)err_hint(err, "%s", r.hint ? r.hint : "");
		(void)str_copy(err->field, sizeof(err->field), r.field);
		*ret_result = TAKE(r.result); /* details of the refusal, if there are any */
	} else {
		*ret_result = TAKE(r.result);
		*ret_stale_ms = r.stale_ms == FIELD_UNSET ? 0 : r.stale_ms;
	}
	schema_done(&msg_reply_schema, &r);
	return rc;
}

int call_request(struct cli_link *l, const char *op, json_t *args, const struct options *o, int timeout_ms, json_t **ret_result,
		 int64_t *ret_stale_ms, struct err *err)
{
	struct msg_request m;
	AUTO_FREE char *reply = NULL;

	schema_init(&msg_request_schema, &m);
	rng_uuid(&l->rng, m.id);
	(void)str_copy(m.op, sizeof(m.op), op);
	m.args = args ? json_incref(args) : NULL;
	m.dry_run = o->dry_run;
	m.reason = o->reason ? xstrdup(o->reason) : NULL;
	if (!l->ticket_used) /* good once: it is for the request that changes something, the first */
		(void)str_copy(m.ticket, sizeof(m.ticket), nano_client_ticket(l->c));
	l->ticket_used = true;
	AUTO_FREE char *text = schema_encode_text(&msg_request_schema, &m);
	schema_done(&msg_request_schema, &m);
	int rc = nano_client_call(l->c, text, timeout_ms, &reply, err);
	return rc < 0 ? rc : read_reply(reply, ret_result, ret_stale_ms, err);
}
