/* SPDX-License-Identifier: Apache-2.0 */
#include "io/etcd_codec.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/xmem.h"
#include "io/store.h"

/* ---- base64 ---- */

void etcd_base64(struct buf *out, const char *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)data;

	int rc = buf_reserve(out, (len / 3 + 1) * 4);
	assert(rc == 0); /* requests are bounded by store_check */
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned v = (unsigned)p[i] << 16 | (n > 1 ? (unsigned)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0u);
		char *q = out->data + out->len;

		q[0] = digits[v >> 18];
		q[1] = digits[v >> 12 & 63];
		q[2] = n > 1 ? digits[v >> 6 & 63] : '=';
		q[3] = n > 2 ? digits[v & 63] : '=';
		out->len += 4;
	}
	out->data[out->len] = '\0';
}

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many of the last four characters are padding: 0, 1, 2; -1 = not base64. */
static int padding_of(const char *text, size_t len)
{
	if (len % 4 != 0)
		return -1;
	if (len == 0 || text[len - 1] != '=')
		return 0;
	return text[len - 2] == '=' ? 2 : 1;
}

int etcd_unbase64(const char *text, size_t len, char **ret, size_t *ret_len, struct err *err)
{
	int pad = padding_of(text, len);

	if (pad < 0)
		return err_set(err, ERR_STORE, "etcd's answer has base64 of %zu characters", len);
	AUTO_FREE char *out = xcalloc(len / 4 * 3 + 1, 1);
	size_t n = 0;
	for (size_t i = 0; i < len; i += 4) {
		unsigned v = 0;

		for (size_t k = 0; k < 4; k++) {
			bool is_pad = i + k >= len - (size_t)pad;
			int d = is_pad ? 0 : digit_of(text[i + k]);

			if (d < 0)
				return err_set(err, ERR_STORE, "etcd's answer has base64 with the byte 0x%02x",
					       (unsigned char)text[i + k]);
			v = v << 6 | (unsigned)d;
		}
		out[n++] = (char)(v >> 16 & 255);
		out[n++] = (char)(v >> 8 & 255);
		out[n++] = (char)(v & 255);
	}
	n -= (size_t)pad;
	out[n] = '\0';
	*ret_len = n;
	*ret = TAKE(out);
	return 0;
}

/* ---- requests ---- */

static void add_base64(struct buf *out, const char *name, const char *data, size_t len)
{
	buf_printf(out, "\"%s\":\"", name);
	etcd_base64(out, data, len);
	buf_putc(out, '"');
}

/*
 * The first key behind all keys with this prefix: the prefix with its last byte raised. A prefix of 0xff bytes alone has no
 * such key; etcd writes "to the end" as one NUL byte.
 */
static void add_prefix_end(struct buf *out, const char *prefix)
{
	size_t n = strlen(prefix);
	AUTO_FREE char *end = xstrdup(prefix);

	while (n > 0 && (unsigned char)end[n - 1] == 0xff)
		n--;
	if (n > 0)
		end[n - 1] = (char)((unsigned char)end[n - 1] + 1);
	buf_putc(out, ',');
	if (n > 0)
		add_base64(out, "range_end", end, n);
	else
		add_base64(out, "range_end", "", 1);
}

static void add_cmp(struct buf *out, const struct store_cmp *c)
{
	buf_putc(out, '{');
	add_base64(out, "key", c->key, strlen(c->key));
	buf_puts(out, ",\"result\":\"EQUAL\",\"target\":");
	switch (c->kind) {
	case STORE_CMP_ABSENT:
		buf_puts(out, "\"CREATE\",\"create_revision\":\"0\"}");
		return;
	case STORE_CMP_MOD_REV:
		buf_printf(out, "\"MOD\",\"mod_revision\":\"%" PRId64 "\"}", c->revision);
		return;
	case STORE_CMP_CREATE_REV:
		buf_printf(out, "\"CREATE\",\"create_revision\":\"%" PRId64 "\"}", c->revision);
		return;
	case STORE_CMP_VALUE:
		buf_puts(out, "\"VALUE\",");
		add_base64(out, "value", c->value, strlen(c->value));
		buf_putc(out, '}');
		return;
	}
	abort();
}

static void add_op(struct buf *out, const struct store_op *op)
{
	buf_puts(out, op->kind == STORE_PUT ? "{\"request_put\":{" : "{\"request_delete_range\":{");
	add_base64(out, "key", op->key, strlen(op->key));
	if (op->kind == STORE_PUT) {
		buf_putc(out, ',');
		add_base64(out, "value", op->value, strlen(op->value));
	} else if (op->kind == STORE_DELETE_PREFIX) {
		add_prefix_end(out, op->key);
	}
	buf_puts(out, "}}");
}

void etcd_encode_txn(struct buf *out, const struct store_cmp *cmps, int n_cmps, const struct store_op *ops, int n_ops)
{
	buf_puts(out, "{\"compare\":[");
	for (int i = 0; i < n_cmps; i++) {
		if (i)
			buf_putc(out, ',');
		add_cmp(out, &cmps[i]);
	}
	buf_puts(out, "],\"success\":[");
	for (int i = 0; i < n_ops; i++) {
		if (i)
			buf_putc(out, ',');
		add_op(out, &ops[i]);
	}
	buf_puts(out, "]}");
}

void etcd_encode_range(struct buf *out, const struct etcd_range *r)
{
	buf_putc(out, '{');
	if (r->after)
		add_base64(out, "key", r->after, strlen(r->after) + 1); /* with its NUL: the least key behind it */
	else if (r->key[0])
		add_base64(out, "key", r->key, strlen(r->key));
	else
		add_base64(out, "key", "", 1); /* the least key there is */
	if (!r->exact)
		add_prefix_end(out, r->key);
	buf_printf(out, ",\"limit\":\"%" PRId64 "\"", r->limit);
	if (r->revision)
		buf_printf(out, ",\"revision\":\"%" PRId64 "\"", r->revision);
	if (r->serializable)
		buf_puts(out, ",\"serializable\":true");
	buf_putc(out, '}');
}

static void add_json(struct buf *out, json_t *j)
{
	AUTO_FREE char *text = json_text(j);

	buf_puts(out, text);
	json_decref(j);
}

void etcd_encode_member_add(struct buf *out, const char *peer_url, bool learner)
{
	json_t *j = json_pack("{s:[s], s:b}", "peerURLs", peer_url, "isLearner", learner);

	assert(j); /* not UTF-8: store_etcd checks it */
	add_json(out, j);
}

void etcd_encode_member_id(struct buf *out, const char *id)
{
	json_t *j = json_pack("{s:s}", "ID", id);

	assert(j);
	add_json(out, j);
}

/* ---- answers ---- */

static int parse(const char *text, size_t len, json_t **ret, struct err *err)
{
	struct err why = ERR_INIT;

	if (json_parse(text, len, ETCD_REPLY_MAX, ret, &why) < 0)
		return err_set(err, ERR_STORE, "etcd's answer is %s", why.msg);
	if (!json_is_object(*ret)) {
		json_decref(*ret);
		*ret = NULL;
		return err_set(err, ERR_STORE, "etcd's answer is no json object");
	}
	return 0;
}

/* "12", 12, or nothing (0). Revisions and counts are never negative. */
static int get_int64(const json_t *obj, const char *name, int64_t *ret, struct err *err)
{
	const json_t *v = json_object_get(obj, name);
	const char *text = json_string_value(v);
	char *end = NULL;

	if (!v) {
		*ret = 0;
		return 0;
	}
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*ret = json_integer_value(v);
		return 0;
	}
	if (text && text[0] >= '0' && text[0] <= '9') {
		errno = 0;
		long long n = strtoll(text, &end, 10);

		if (errno == 0 && *end == '\0') {
			*ret = n;
			return 0;
		}
	}
	return err_set(err, ERR_STORE, "etcd's answer has a '%s' that is no number", name);
}

/* Each answer of the key space carries the revision, and it is never 0; without it this is not an answer. */
static int get_revision(const json_t *j, int64_t *ret, struct err *err)
{
	int64_t revision = 0;
	int rc = get_int64(json_object_get(j, "header"), "revision", &revision, err);

	if (rc < 0)
		return rc;
	if (revision == 0)
		return err_set(err, ERR_STORE, "etcd's answer has no revision");
	*ret = revision;
	return 0;
}

/* Missing = false. */
static int get_bool(const json_t *j, const char *name, bool *ret, struct err *err)
{
	const json_t *v = json_object_get(j, name);

	if (v && !json_is_boolean(v))
		return err_set(err, ERR_STORE, "etcd's answer has a '%s' that is neither true nor false", name);
	*ret = json_is_true(v);
	return 0;
}

int etcd_decode_txn(const char *text, size_t len, struct etcd_txn_reply *ret, struct err *err)
{
	AUTO_JSON json_t *j = NULL;
	struct etcd_txn_reply reply = { .committed = false };
	int rc = parse(text, len, &j, err);

	if (rc == 0)
		rc = get_revision(j, &reply.revision, err);
	if (rc == 0)
		rc = get_bool(j, "succeeded", &reply.committed, err);
	if (rc < 0)
		return rc;
	*ret = reply;
	return 0;
}

static int get_text(const json_t *obj, const char *name, char **ret, struct err *err)
{
	const json_t *v = json_object_get(obj, name);
	size_t len = 0;

	if (!v) {
		*ret = xstrdup("");
		return 0;
	}
	if (!json_is_string(v))
		return err_set(err, ERR_STORE, "etcd's answer has a '%s' that is no string", name);
	AUTO_FREE char *text = NULL;
	int rc = etcd_unbase64(json_string_value(v), json_string_length(v), &text, &len, err);
	if (rc < 0)
		return rc;
	/* We write texts only; cutting a foreign value at its NUL would be a quiet lie. */
	if (strlen(text) != len)
		return err_set(err, ERR_STORE, "the store has a '%s' with a NUL byte, which is not ours", name);
	*ret = TAKE(text);
	return 0;
}

static int get_kv(const json_t *j, struct store_kv *kv, struct err *err)
{
	if (!json_is_object(j))
		return err_set(err, ERR_STORE, "etcd's answer has a key-value pair that is no object");
	int rc = get_text(j, "key", &kv->key, err);

	if (rc == 0 && !kv->key[0])
		rc = err_set(err, ERR_STORE, "etcd's answer has an empty key");
	if (rc == 0)
		rc = get_text(j, "value", &kv->value, err);
	if (rc == 0)
		rc = get_int64(j, "mod_revision", &kv->mod_revision, err);
	if (rc == 0)
		rc = get_int64(j, "create_revision", &kv->create_revision, err);
	return rc;
}

void etcd_kvs_free(struct store_kv *kvs, int n_kvs)
{
	for (int i = 0; i < n_kvs; i++) {
		free(kvs[i].key);
		free(kvs[i].value);
	}
	free(kvs);
}

static int get_kvs(const json_t *j, struct etcd_page *page, struct err *err)
{
	const json_t *kvs = json_object_get(j, "kvs");
	size_t n = json_array_size(kvs);

	if (kvs && !json_is_array(kvs))
		return err_set(err, ERR_STORE, "etcd's answer has 'kvs' that are no array");
	assert(n < INT_MAX); /* ETCD_REPLY_MAX bytes */
	page->kvs = xcalloc(n, sizeof(*page->kvs));
	page->n_kvs = (int)n;
	for (size_t i = 0; i < n; i++) {
		int rc = get_kv(json_array_get(kvs, i), &page->kvs[i], err);

		if (rc < 0)
			return rc;
		if (i > 0 && strcmp(page->kvs[i - 1].key, page->kvs[i].key) >= 0)
			return err_set(err, ERR_STORE, "etcd's answer has its keys out of order");
	}
	return 0;
}

int etcd_decode_range(const char *text, size_t len, struct etcd_page *ret, struct err *err)
{
	AUTO_JSON json_t *j = NULL;
	struct etcd_page page = { .kvs = NULL };
	int rc = parse(text, len, &j, err);

	if (rc == 0)
		rc = get_revision(j, &page.revision, err);
	if (rc == 0)
		rc = get_bool(j, "more", &page.more, err);
	if (rc == 0)
		rc = get_kvs(j, &page, err);
	if (rc == 0 && page.more && page.n_kvs == 0)
		rc = err_set(err, ERR_STORE, "etcd's answer promises more keys and has none");
	if (rc < 0) {
		etcd_kvs_free(page.kvs, page.n_kvs);
		return rc;
	}
	*ret = page;
	return 0;
}

static bool is_id(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n <= 20 && s[n] == '\0';
}

static int get_member(const json_t *j, struct store_member *m, struct err *err)
{
	const char *id = json_str(j, "ID", "");
	const char *url = json_string_value(json_array_get(json_object_get(j, "peerURLs"), 0));
	int rc;

	if (!is_id(id))
		return err_set(err, ERR_STORE, "etcd's answer has a member without an id");
	rc = get_bool(j, "isLearner", &m->learner, err);
	if (rc < 0)
		return rc;
	(void)str_copy(m->id, sizeof(m->id), id);
	/* A cut name or URL would compare unequal to ours, which is what a foreign member's should do. */
	(void)str_copy(m->name, sizeof(m->name), json_str(j, "name", ""));
	(void)str_copy(m->peer_url, sizeof(m->peer_url), url ? url : "");
	/* A member gets its name from itself, when it has started for the first time. */
	m->started = m->name[0] != '\0';
	return 0;
}

int etcd_decode_members(const char *text, size_t len, struct store_member **ret, int *ret_n, struct err *err)
{
	AUTO_JSON json_t *j = NULL;
	int rc = parse(text, len, &j, err);

	if (rc < 0)
		return rc;
	const json_t *list = json_object_get(j, "members");
	size_t n = json_array_size(list);
	if (n == 0 || n > ETCD_MEMBERS_MAX)
		return err_set(err, ERR_STORE, "etcd's answer has %zu members", n);
	AUTO_FREE struct store_member *m = xcalloc(n, sizeof(*m));
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = get_member(json_array_get(list, i), &m[i], err);
	if (rc < 0)
		return rc;
	*ret = TAKE(m);
	*ret_n = (int)n;
	return 0;
}
