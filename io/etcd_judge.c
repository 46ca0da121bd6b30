/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an error of etcd says about a request that may have been a write. The rule: a request that may have been proposed
 * is MAYBE, whatever the text says; certain are only those errors that etcd 3.4 gives before it proposes anything.
 */
#include <string.h>

#include "common/json.h"
#include "common/xmem.h"
#include "io/etcd_codec.h"

/* gRPC status codes, as the gateway has them in "code". */
enum grpc_code {
	GRPC_NONE = -1, /* the body is not the gateway's */
	GRPC_UNKNOWN = 2,
	GRPC_INVALID = 3,
	GRPC_NOT_FOUND = 5,
	GRPC_DENIED = 7,
	GRPC_EXHAUSTED = 8,
	GRPC_PRECONDITION = 9,
	GRPC_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16,
};

struct fault {
	int code;
	char text[256];
};

struct row {
	int code;
	const char *text; /* NULL = every other text of this code */
	enum etcd_verdict verdict;
	enum err_code err;
};

/*
 * Order matters: the first row that fits. Why a row is certain:
 * - INVALID: checks of the request's form (keys, sizes, number of operations), made before the proposal.
 * - "rpc not supported for learner", "not capable": the interceptor's, before the request is looked at. A learner is no
 *   majority's voice: the next member is asked.
 * - "too many requests": the member is behind in applying and proposes nothing.
 * - "raft proposal dropped": the local raft had no leader to hand the proposal to and threw it away.
 * - DENIED, UNAUTHENTICATED, UNIMPLEMENTED: no permission is the same on every replica, so it is never applied.
 * Why a row is not, although it reads as if:
 * - "no leader", "leader changed", "request timed out", "server stopped": can follow a proposal that sits in some log and
 *   is committed by the next leader.
 * - "database space exceeded": the apply step executes the transaction that crosses the quota and then reports this.
 * - "received message larger than max": may be said of the answer.
 */
static const struct row rows[] = {
	{ GRPC_INVALID, "etcdserver: request is too large", ETCD_REFUSED, ERR_TOO_BIG },
	{ GRPC_INVALID, NULL, ETCD_REFUSED, ERR_BAD_REQUEST },
	{ GRPC_DENIED, NULL, ETCD_REFUSED, ERR_PERMISSION },
	{ GRPC_UNAUTHENTICATED, NULL, ETCD_REFUSED, ERR_PERMISSION },
	{ GRPC_UNIMPLEMENTED, NULL, ETCD_REFUSED, ERR_VERSION },
	{ GRPC_RANGE, NULL, ETCD_RESTART, ERR_STORE },
	{ GRPC_UNKNOWN, "raft proposal dropped", ETCD_NOT_HERE, ERR_NO_MAJORITY },
	{ GRPC_EXHAUSTED, "etcdserver: too many requests", ETCD_NOT_HERE, ERR_STORE },
	{ GRPC_EXHAUSTED, "etcdserver: mvcc: database space exceeded", ETCD_MAYBE, ERR_NO_SPACE },
	{ GRPC_UNAVAILABLE, "etcdserver: rpc not supported for learner", ETCD_NOT_HERE, ERR_STORE },
	{ GRPC_UNAVAILABLE, "etcdserver: not capable", ETCD_NOT_HERE, ERR_STORE },
	{ GRPC_UNAVAILABLE, NULL, ETCD_MAYBE, ERR_NO_MAJORITY },
};

/*
 * Membership: etcd checks these against its own view before it proposes. The ones that time heals are ERR_STORE, which is
 * retryable: for some seconds after a change etcd says "unhealthy cluster" until every member has been connected for long
 * enough, and a learner is not "in sync" until it has caught up.
 */
static const struct row member_rows[] = {
	{ GRPC_INVALID, NULL, ETCD_REFUSED, ERR_BAD_VALUE },
	{ GRPC_NOT_FOUND, NULL, ETCD_REFUSED, ERR_NOT_FOUND },
	{ GRPC_UNAVAILABLE, "etcdserver: unhealthy cluster", ETCD_REFUSED, ERR_STORE },
	{ GRPC_PRECONDITION, "etcdserver: re-configuration failed due to not enough started members", ETCD_REFUSED, ERR_STORE },
	{ GRPC_PRECONDITION, "etcdserver: can only promote a learner member which is in sync with leader", ETCD_REFUSED,
	  ERR_STORE },
	{ GRPC_PRECONDITION, "etcdserver: Peer URLs already exists", ETCD_REFUSED, ERR_EXISTS },
	{ GRPC_PRECONDITION, "etcdserver: member ID already exist", ETCD_REFUSED, ERR_EXISTS },
	{ GRPC_PRECONDITION, "etcdserver: too many learner members in cluster", ETCD_REFUSED, ERR_STORE },
	{ GRPC_PRECONDITION, NULL, ETCD_REFUSED, ERR_WRONG_STATE },
};

static const struct row *find_row(const struct row *table, size_t n, const struct fault *f)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].code == f->code && (!table[i].text || strcmp(table[i].text, f->text) == 0))
			return &table[i];
	return NULL;
}

static void read_fault(const char *text, size_t len, struct fault *f)
{
	AUTO_JSON json_t *j = NULL;

	f->code = GRPC_NONE;
	f->text[0] = '\0';
	if (json_parse(text, len, 64 * 1024, &j, NULL) < 0 || !json_is_object(j))
		return;
	f->code = (int)json_int(j, "code", GRPC_NONE);
	(void)str_copy(f->text, sizeof(f->text), json_str(j, "error", json_str(j, "message", "")));
}

/* The gateway knows no such path or method, or it is no etcd: nothing can have been executed behind it. */
static bool never_routed(int status, const struct fault *f)
{
	return f->code == GRPC_NONE && (status == 400 || status == 404 || status == 405);
}

static enum etcd_verdict judge(int status, const struct fault *f, const struct row *r, struct err *err)
{
	const char *text = f->text[0] ? f->text : "no reason given";

	if (status == 200)
		return ETCD_DONE;
	if (never_routed(status, f)) {
		(void)err_set(err, ERR_STORE, "what answers is no etcd: http status %d", status);
		return ETCD_NOT_HERE;
	}
	if (!r) {
		(void)err_set(err, ERR_STORE, "etcd answered http status %d: %s", status, text);
		return ETCD_MAYBE;
	}
	(void)err_set(err, r->err, "etcd refused: %s", text);
	return r->verdict;
}

enum etcd_verdict etcd_judge(int http_status, const char *text, size_t len, struct err *err)
{
	struct fault f;

	read_fault(text, len, &f);
	return judge(http_status, &f, find_row(rows, ARRAY_SIZE(rows), &f), err);
}

enum etcd_verdict etcd_judge_member(int http_status, const char *text, size_t len, struct err *err)
{
	struct fault f;

	read_fault(text, len, &f);
	const struct row *r = find_row(member_rows, ARRAY_SIZE(member_rows), &f);
	enum etcd_verdict v = judge(http_status, &f, r ? r : find_row(rows, ARRAY_SIZE(rows), &f), err);

	if (v == ETCD_REFUSED && err && err->code == ERR_STORE)
		(void)err_hint(err, "repeat it in some seconds, when all members are connected and have caught up");
	return v;
}
