/* SPDX-License-Identifier: Apache-2.0 */
#include "node/handler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"
#include "io/conf.h"
#include "io/files.h"
#include "io/nano.h"
#include "io/pki.h"
#include "schema/msgs.h"
#include "schema/ops.h"

#define JOIN_MS 600000 /* the job that admits the node may have to wait for others */
#define VERDICT_MS 40000 /* then "not now": the agent asks on by itself */
#define MARK_MODE 0600
#define RES_BYTES_MAX 65536
#define YES 7
#define NO 1

static int request(const struct conf *conf, const char *op, json_t *args, int timeout_ms, json_t **ret, struct err *err)
{
	AUTO_FREE char *path = conf_run_path(conf, "admin/sock");
	AUTO(nano_client_close) struct nano_client *c = NULL;
	AUTO_FREE char *reply = NULL;
	struct msg_request m;
	struct msg_reply r;
	int rc = nano_client_open(path, &c, err);

	if (rc < 0)
		return rc;
	schema_init(&msg_request_schema, &m);
	pki_random_hex(m.id, 32);
	(void)str_copy(m.op, sizeof(m.op), op);
	(void)str_copy(m.ticket, sizeof(m.ticket), nano_client_ticket(c));
	m.args = json_incref(args);
	AUTO_FREE char *text = schema_encode_text(&msg_request_schema, &m);
	schema_done(&msg_request_schema, &m);
	rc = nano_client_call(c, text, timeout_ms, &reply, err);
	if (rc == 0)
		rc = schema_decode_text(&msg_reply_schema, &r, reply, err);
	if (rc < 0)
		return rc;
	if (r.error[0]) {
		rc = err_set(err, (enum err_code)err_by_name(r.error), "%s", r.msg ? r.msg : "");
		(void)err_hint(err, "%s", r.hint ? r.hint : "");
	}
	*ret = TAKE(r.result); /* of a refusal: its details */
	schema_done(&msg_reply_schema, &r);
	return rc;
}

/*
 * What DRBD says of a replica, kept for the daemon. stale: the disk failed; the mark must be on the node's own disk at once, daemon or not (H6). The instance's uuid stands in the header of
 * the resource's file.
 */
static void mark(const struct conf *conf, const char *resource, const char *kind)
{
	AUTO_FREE char *file = xasprintf("%s/etc/drbd.d/%s.res", conf->root, resource);
	AUTO_FREE char *text = NULL;
	char uuid[UUID_LEN + 1];
	struct err err = ERR_INIT;

	if (file_read_text(file, RES_BYTES_MAX, &text, &err) < 0 || sscanf(text, "# gantry instance %36s", uuid) != 1)
		return;
	bool stale = strcmp(kind, "stale") == 0;
	AUTO_FREE char *dir = conf_state_path(conf, kind), *torn_dir = conf_state_path(conf, "torn");
	AUTO_FREE char *path = xasprintf("%s/%s", dir, uuid), *torn = xasprintf("%s/%s", torn_dir, uuid);
	if (stale && file_exists(torn))
		return; /* our own detach of a replica that may not go on (H13) */
	if (file_write_durable(path, "1\n", MARK_MODE, &err) < 0)
		(void)fprintf(stderr, "gantry-noded: cannot mark '%s' as %s: %s\n", uuid, kind, err.msg);
}

int handler_drbd(const char *root, const char *event)
{
	const char *resource = getenv("DRBD_RESOURCE");
	struct conf conf;
	struct err err = ERR_INIT;
	AUTO_JSON json_t *answer = NULL;

	if (!resource || conf_load(root, &conf, &err) < 0)
		return NO;
	if (strcmp(event, "local-io-error") == 0)
		mark(&conf, resource, "stale");
	if (strcmp(event, "split-brain") == 0)
		mark(&conf, resource, "split");
	AUTO_JSON json_t *args = json_pack("{s:s, s:s}", "event", event, "resource", resource);
	int rc = request(&conf, "drbd.handler", args, VERDICT_MS, &answer, &err);
	conf_done(&conf);
	if (strcmp(event, "fence-peer") != 0)
		return 0;
	if (rc < 0)
		(void)fprintf(stderr, "gantry-noded: %s: %s\n", event, err.msg);
	return rc == 0 && strcmp(json_str(answer, "verdict", ""), "yes") == 0 ? YES : RULE(EXIT_ONE) ? NO : 5;
}

static int read_token(char *out, size_t size)
{
	if (!fgets(out, (int)size, stdin))
		return -1;
	out[strcspn(out, " \t\r\n")] = '\0';
	return 0;
}

static void print_missing(const json_t *details)
{
	size_t i;
	json_t *m;

	json_array_foreach(json_object_get(details, "missing"), i, m)
		(void)fprintf(stderr, "  * %s\n      %s\n", json_str(m, "what", ""), json_str(m, "fix", ""));
}

int handler_join(const char *root, int argc, char **argv)
{
	char token[600] = "";
	const char *replication = "";
	bool witness = false;
	struct conf conf;
	struct err err = ERR_INIT;
	AUTO_JSON json_t *answer = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-s") == 0 && i + 1 < argc)
			replication = argv[++i];
		else if (strcmp(argv[i], "--witness") == 0)
			witness = true;
		else if (strcmp(argv[i], "-") == 0)
			(void)read_token(token, sizeof(token));
		else
			(void)str_copy(token, sizeof(token), argv[i]);
	}
	if (!token[0]) {
		(void)fprintf(stderr, "usage: gantry-noded join [--witness] [-s REPLICATION_ADDRESS] TOKEN|-\n");
		return 2;
	}
	int rc = conf_load(root, &conf, &err);
	if (rc == 0) {
		AUTO_JSON json_t *args = json_pack("{s:s, s:s, s:b}", "token", token, "secondary_ip", replication, "witness", witness);

		rc = request(&conf, "node.join", args, JOIN_MS, &answer, &err);
		conf_done(&conf);
	}
	if (rc < 0) {
		(void)fprintf(stderr, "error: %s\n", err.msg);
		if (json_array_size(json_object_get(answer, "missing")) > 1)
			print_missing(answer);
		(void)fprintf(stderr, "hint: %s\n", err_hint_text(&err));
		return err_exit_status(err.code);
	}
	(void)printf("node '%s' has joined\n", json_str(answer, "node", ""));
	if (json_array_size(json_object_get(answer, "missing"))) {
		(void)fprintf(stderr, "warning: it gets no guests before it has what is missing\n");
		print_missing(answer);
	}
	return 0;
}
