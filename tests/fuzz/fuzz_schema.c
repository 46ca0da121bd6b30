/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one decoder behind every request, object, step and message. Input: a schema's name, a newline, JSON.
 * "request" alone is treated as the node does it: the envelope, then the arguments by the request's own rows.
 */
#include <stdio.h>

#include "common/xmem.h"
#include "schema/msgs.h"
#include "schema/ops.h"
#include "schema/steps.h"
#include "tests/fuzz/fuzz.h"

static const struct schema *const objects[] = {
	&cluster_schema, &secret_schema, &node_schema,   &instance_schema, &token_schema,
	&job_schema,     &job_record_schema, &observed_schema, &ownership_schema, &backup_schema,
};

static const struct schema *find(const char *name)
{
#define MSG(m) \
	if (strcmp(name, #m) == 0) \
		return &msg_##m##_schema;
#define msg_settings_schema step_settings_schema
	MSGS(MSG)
#undef MSG
#undef msg_settings_schema
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		if (strcmp(objects[i]->name, name) == 0)
			return objects[i];
	int op = op_by_name(name);
	if (op >= 0)
		return op_infos[op].args;
	int kind = step_kind_by_name(name);
	return kind >= 0 ? step_infos[kind].args : NULL;
}

/* What was decoded can be written, and reads back as the same: this is how it gets to the store, the nodes and back. */
static void round_trip(const struct schema *s, const void *obj)
{
	struct err err = ERR_INIT;
	void *again = xcalloc(1, s->size), *copy = xcalloc(1, s->size);
	char *text = schema_encode_text(s, obj);
	int rc = schema_decode_text(s, again, text, &err);

	if (rc < 0) {
		(void)fprintf(stderr, "%s: %s\n%s\n", s->name, err.msg, text);
		abort();
	}
	assert(schema_equal(s, obj, again));
	char *second = schema_encode_text(s, again);
	assert(strcmp(text, second) == 0);
	schema_copy(s, copy, obj);
	assert(schema_equal(s, obj, copy));
	schema_merge(s, copy, obj);
	assert(schema_equal(s, obj, copy));
	assert(schema_check(s, obj, &err) == 0);
	json_t *public = schema_encode_public(s, obj);
	for (int i = 0; i < s->n_fields; i++)
		assert(!(s->fields[i].flags & FIELD_SECRET) || !json_object_get(public, s->fields[i].name));
	json_decref(public);
	for (int i = 0; i < s->n_fields; i++) {
		struct buf b = BUF_INIT;

		field_format(&s->fields[i], obj, &b);
		buf_done(&b);
	}
	free(text);
	free(second);
	schema_done(s, again);
	schema_done(s, copy);
	schema_done(s, copy); /* it is as after schema_init() */
	free(again);
	free(copy);
}

static void fuzz_one(const struct schema *s, const char *text)
{
	struct err err = ERR_INIT;
	void *obj = xcalloc(1, s->size);

	if (schema_decode_text(s, obj, text, &err) == 0)
		round_trip(s, obj);
	else
		assert(err.code && err.msg[0]);
	schema_done(s, obj);
	free(obj);
}

static void fuzz_request(const char *text)
{
	struct err err = ERR_INIT;
	struct msg_request r;

	if (schema_decode_text(&msg_request_schema, &r, text, &err) < 0)
		return;
	int op = op_by_name(r.op);
	if (op >= 0 && r.args) {
		const struct schema *s = op_infos[op].args;
		void *args = xcalloc(1, s->size);

		if (schema_decode(s, args, r.args, &err) == 0)
			round_trip(s, args);
		schema_done(s, args);
		free(args);
	}
	schema_done(&msg_request_schema, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = fuzz_string(data, size), *text = input;
	const char *name = fuzz_line(&text);
	const struct schema *s = find(name);

	if (s)
		fuzz_one(s, text);
	if (s == &msg_request_schema)
		fuzz_request(text);
	free(input);
	return 0;
}
