/* SPDX-License-Identifier: Apache-2.0 */
/* What etcd's gateway answers; the first byte chooses: 't' transaction, 'r' range, 'm' members, 'e' an error, 'b' base64. */
#include "common/buf.h"
#include "io/etcd_codec.h"
#include "io/store.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_range(const char *text, size_t len)
{
	struct etcd_page p;
	struct err err = ERR_INIT;

	if (etcd_decode_range(text, len, &p, &err) < 0) {
		assert(err.code == ERR_STORE);
		return;
	}
	assert(p.revision > 0 && p.n_kvs >= 0 && (!p.more || p.n_kvs > 0));
	for (int i = 0; i < p.n_kvs; i++) {
		assert(p.kvs[i].key[0] && p.kvs[i].value && p.kvs[i].mod_revision >= 0 && p.kvs[i].create_revision >= 0);
		assert(i == 0 || strcmp(p.kvs[i - 1].key, p.kvs[i].key) < 0);
	}
	etcd_kvs_free(p.kvs, p.n_kvs);
}

static void fuzz_members(const char *text, size_t len)
{
	struct store_member *m = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	if (etcd_decode_members(text, len, &m, &n, &err) < 0)
		return;
	assert(n > 0 && n <= ETCD_MEMBERS_MAX);
	for (int i = 0; i < n; i++) {
		assert(m[i].id[0] && strlen(m[i].name) < sizeof(m[i].name) && strlen(m[i].peer_url) < sizeof(m[i].peer_url));
		assert(m[i].started == (m[i].name[0] != '\0'));
	}
	free(m);
}

/* An answer that is no clear yes may never be taken for one, and each has an error. */
static void fuzz_error(const char *text, size_t len)
{
	static const int statuses[] = { 0, 200, 400, 404, 412, 429, 500, 503 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct err a = ERR_INIT, b = ERR_INIT;
		enum etcd_verdict v = etcd_judge(statuses[i], text, len, &a), w = etcd_judge_member(statuses[i], text, len, &b);

		assert((v == ETCD_DONE) == (statuses[i] == 200) && (w == ETCD_DONE) == (statuses[i] == 200));
		assert((v == ETCD_DONE) == (a.code == 0) && (w == ETCD_DONE) == (b.code == 0));
		assert(len > 0 || statuses[i] == 200 || statuses[i] == 400 || statuses[i] == 404 || v == ETCD_MAYBE);
	}
}

static void fuzz_base64(const char *text, size_t len)
{
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	char *out = NULL;
	size_t n = 0;

	etcd_base64(&b, text, len);
	assert(etcd_unbase64(buf_str(&b), b.len, &out, &n, &err) == 0);
	assert(n == len && memcmp(out, text, n) == 0 && out[n] == '\0');
	free(out);
	buf_done(&b);
	if (etcd_unbase64(text, len, &out, &n, &err) == 0) {
		assert(n <= len);
		free(out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct etcd_txn_reply reply = { .committed = false };
	struct err err = ERR_INIT;

	if (size == 0)
		return 0;
	char *text = fuzz_bytes(data + 1, size - 1);
	switch (data[0]) {
	case 't':
		if (etcd_decode_txn(text, size - 1, &reply, &err) == 0)
			assert(reply.revision > 0);
		else
			assert(!reply.committed);
		break;
	case 'r': fuzz_range(text, size - 1); break;
	case 'm': fuzz_members(text, size - 1); break;
	case 'e': fuzz_error(text, size - 1); break;
	default: fuzz_base64(text, size - 1); break;
	}
	free(text);
	return 0;
}
