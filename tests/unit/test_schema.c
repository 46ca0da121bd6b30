/* SPDX-License-Identifier: Apache-2.0 */
/* Fields as data, on a schema of this test's own that has each type of field; and rules that every row of the real ones keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "schema/level.h"
#include "schema/msgs.h"
#include "schema/ops.h"
#include "schema/steps.h"

static const char *const colour_names[] = { "red", "green", NULL };

#define PART_ROWS(F, T)                                                       \
	F(T, STR, tag, 5, FIELD_REQUIRED, NULL, "", "a tag")                  \
	F(T, INT, weight, 0, 10, 0, "3", "", "a weight")
SCHEMA_DECLARE(part, PART_ROWS)
SCHEMA_DEFINE(part, PART_ROWS)
#define THING_ROWS(F, T)                                                      \
	F(T, STR, name, 7, FIELD_REQUIRED, NULL, "@", "its name")             \
	F(T, STR, home, 7, 0, "here", "", "where it is")                      \
	F(T, TEXT, note, 20, 0, NULL, "", "words")                            \
	F(T, TEXT, secret, 20, FIELD_SECRET, NULL, "", "nobody's business")   \
	F(T, INT, n, -5, 5, 0, "1", "", "a number")                           \
	F(T, SIZE, size, 1, 2048, 0, NULL, "", "a size")                      \
	F(T, BOOL, on, 0, NULL, "", "yes or no")                              \
	F(T, ENUM, colour, colour_names, 0, "green", "", "a colour")          \
	F(T, OBJ, main_part, part, 0, "", "the first part")                   \
	F(T, LIST, parts, part, 3, 0, "", "the other parts")                  \
	F(T, STRS, words, 3, 0, "", "some words")                             \
	F(T, JSON, any, 0, "", "anything")
SCHEMA_DECLARE(thing, THING_ROWS)
SCHEMA_DEFINE(thing, THING_ROWS)

/* The same thing a level later, and how this version wrote it: what two versions say to each other. */
#define PART2_ROWS(F, T)                                                      \
	F(T, STR, tag, 5, FIELD_REQUIRED, NULL, "", "a tag")                  \
	F(T, INT, weight, 0, 10, 0, "3", "", "a weight")                      \
	F(T, BOOL, glued, FIELD_SINCE(2), "no", "", "it cannot be taken off")
SCHEMA_DECLARE(part2, PART2_ROWS)
SCHEMA_DEFINE(part2, PART2_ROWS)
#define THING2_ROWS(F, T)                                                     \
	F(T, STR, name, 7, FIELD_REQUIRED, NULL, "@", "its name")             \
	F(T, INT, n, -5, 5, 0, "1", "", "a number")                           \
	F(T, OBJ, main_part, part2, 0, "", "the first part")                  \
	F(T, LIST, parts, part2, 3, 0, "", "the other parts")                 \
	F(T, STR, shelf, 7, FIELD_SINCE(3), NULL, "", "where it is put")
SCHEMA_DECLARE(thing2, THING2_ROWS)
SCHEMA_DEFINE(thing2, THING2_ROWS)

static void decode(struct thing *t, const char *text)
{
	struct err err = ERR_INIT;

	if (schema_decode_text(&thing_schema, t, text, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
}

static void assert_encodes(const struct thing *t, const char *want)
{
	AUTO_FREE char *text = schema_encode_text(&thing_schema, t);
	AUTO_JSON json_t *tree = schema_encode(&thing_schema, t);
	AUTO_FREE char *by_tree = json_text(tree);

	assert_string_equal(text, want);
	assert_string_equal(by_tree, want);
}

#define REST "\"main_part\":{\"tag\":\"m\",\"weight\":3}"

static void defaults_and_unset_fields(void **state)
{
	struct thing t;

	(void)state;
	memset(&t, 0xa5, sizeof(t));
	schema_init(&thing_schema, &t);
	assert_string_equal(t.name, "");
	assert_string_equal(t.home, "here");
	assert_null(t.note);
	assert_int_equal(t.n, 1);
	assert_true(t.size == FIELD_UNSET);
	assert_int_equal(t.on, -1);
	assert_int_equal(t.colour, 1);
	assert_int_equal(t.main_part.weight, 3);
	assert_null(t.parts);
	assert_int_equal(t.n_words, 0);
	assert_null(t.any);
	schema_done(&thing_schema, &t);
}

#define LABEL_ROWS(F, T)                                  \
	F(T, TEXT, words, 20, 0, "as ever", "", "words")  \
	F(T, INT, n, 0, 9, 0, "7", "", "a number")
SCHEMA_DECLARE(label, LABEL_ROWS)
SCHEMA_DEFINE(label, LABEL_ROWS)
#define BOX_ROWS(F, T)                                    \
	F(T, OBJ, lid, label, 0, "", "what stands on it") \
	F(T, LIST, sides, label, 4, 0, "", "the others")
SCHEMA_DECLARE(box, BOX_ROWS)
SCHEMA_DEFINE(box, BOX_ROWS)

/* What is worked out of the rows once is no object's own: none may share a text with it, or with another. */
static void each_object_owns_its_defaults(void **state)
{
	const struct field *sides = schema_find(&box_schema, "sides");
	struct box a, b, c;

	(void)state;
	schema_init(&box_schema, &a);
	schema_init(&box_schema, &b);
	assert_string_equal(a.lid.words, "as ever");
	assert_int_equal(a.lid.n, 7);
	assert_ptr_not_equal(a.lid.words, b.lid.words);
	a.lid.words[0] = 'A';
	((struct label *)schema_list_add(sides, &a))->words[0] = 'S';
	schema_copy(&box_schema, &c, &a);
	schema_done(&box_schema, &a); /* as new again */
	assert_string_equal(a.lid.words, "as ever");
	assert_string_equal(b.lid.words, "as ever");
	assert_string_equal(c.lid.words, "As ever");
	assert_string_equal(c.sides[0].words, "Ss ever");
	assert_string_equal(((struct label *)schema_list_add(sides, &b))->words, "as ever");
	schema_done(&box_schema, &b);
	schema_done(&box_schema, &c);
	free(a.lid.words); /* of an object that is as new this alone is its own */
	free(b.lid.words);
	free(c.lid.words);
}

static void everything_goes_to_json_and_back(void **state)
{
	static const char full[] =
		"{\"any\":{\"x\":[1,null]},\"colour\":\"red\",\"home\":\"\",\"main_part\":{\"tag\":\"m\",\"weight\":0},\"n\":-5,\"name\":\"abcdefg\","
		"\"note\":\"\",\"on\":false,\"parts\":[{\"tag\":\"a\",\"weight\":3},{\"tag\":\"b\",\"weight\":10}],\"secret\":\"s\",\"size\":2048,"
		"\"words\":[\"x\",\"\"]}";
	struct thing t, copy;

	(void)state;
	decode(&t, full);
	assert_encodes(&t, full);
	schema_copy(&thing_schema, &copy, &t);
	assert_true(schema_equal(&thing_schema, &t, &copy));
	assert_encodes(&copy, full);
	AUTO_JSON json_t *public = schema_encode_public(&thing_schema, &t);
	assert_null(json_object_get(public, "secret"));
	assert_non_null(json_object_get(public, "note"));
	schema_done(&thing_schema, &t);
	schema_done(&thing_schema, &copy);
	/* Sizes may carry units, and come back as numbers. */
	decode(&t, "{\"name\":\"x\",\"size\":\"2G\"," REST "}");
	assert_int_equal(t.size, 2048);
	schema_done(&thing_schema, &t);
}

/* Text is written without a tree in between: it is the tree's, for whatever a string may hold and at every level. */
static void text_is_what_the_tree_says(void **state)
{
	static const char *const odd[] = { "", "a\"b", "a\\b", "a/b", "\b\f\n\r\t", "\x01\x1f", "\x7f", "\xc3\xa4 \xe2\x82\xac", "\xff\xfe", "x\xc3", "\xed\xa0\x80" };
	static const char *const values[] = { "null", "\"\\u0001\"", "1.5", "[]", "{}", "{\"b\":[true,{}],\"a\":\"\\n\"}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd) * ARRAY_SIZE(values); i++) {
		struct thing t;

		decode(&t, "{\"name\":\"x\",\"n\":-5,\"size\":2048," REST "}");
		t.note = xstrdup(odd[i % ARRAY_SIZE(odd)]);
		strs_add(&t.words, &t.n_words, odd[i % ARRAY_SIZE(odd)]);
		strs_add(&t.words, &t.n_words, "plain");
		(void)str_copy(t.home, sizeof(t.home), odd[i % ARRAY_SIZE(odd)]);
		(void)schema_list_add(schema_find(&thing_schema, "parts"), &t);
		t.any = json_loads(values[i / ARRAY_SIZE(odd)], JSON_DECODE_ANY, NULL);
		assert_non_null(t.any);
		AUTO_JSON json_t *tree = schema_encode(&thing_schema, &t);
		AUTO_FREE char *want = json_text(tree);
		assert_encodes(&t, want);
		schema_done(&thing_schema, &t);
	}
	for (int64_t level = 1; level <= 3; level++) {
		struct thing2 t;

		schema_init(&thing2_schema, &t);
		(void)str_copy(t.shelf, sizeof(t.shelf), "top");
		AUTO_JSON json_t *tree = schema_encode_at(&thing2_schema, &t, level);
		AUTO_FREE char *want = json_text(tree), *text = schema_encode_text_at(&thing2_schema, &t, level);
		assert_string_equal(text, want);
		schema_done(&thing2_schema, &t);
	}
}

static void what_differs_is_not_equal(void **state)
{
	static const char *const change[] = {
		"\"name\":\"y\"", "\"home\":\"\"", "\"note\":\"z\"", "\"n\":2", "\"size\":9", "\"on\":true", "\"colour\":\"red\"",
		"\"parts\":[{\"tag\":\"q\"}]", "\"words\":[\"w\"]", "\"any\":1", "\"secret\":\"\"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(change); i++) {
		struct thing a, b;
		AUTO_FREE char *text = xasprintf("{%s%s," REST "}", change[i], i ? ",\"name\":\"x\"" : "");

		decode(&a, "{\"name\":\"x\"," REST "}");
		decode(&b, text);
		assert_false(schema_equal(&thing_schema, &a, &b));
		assert_false(schema_equal(&thing_schema, &b, &a));
		schema_done(&thing_schema, &a);
		schema_done(&thing_schema, &b);
	}
}

static void decoding_is_strict_and_names_the_field(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *field;
	} row[] = {
		{ "{" REST "}", ERR_BAD_REQUEST, "name" },
		{ "{\"name\":\"x\",\"main_part\":{}}", ERR_BAD_REQUEST, "main_part.tag" },
		{ "{\"name\":\"abcdefgh\"," REST "}", ERR_TOO_BIG, "name" },
		{ "{\"name\":7," REST "}", ERR_BAD_VALUE, "name" },
		{ "{\"name\":null," REST "}", ERR_BAD_VALUE, "name" },
		{ "{\"name\":\"x\",\"n\":6," REST "}", ERR_BAD_VALUE, "n" },
		{ "{\"name\":\"x\",\"n\":-6," REST "}", ERR_BAD_VALUE, "n" },
		{ "{\"name\":\"x\",\"n\":1.0," REST "}", ERR_BAD_VALUE, "n" },
		{ "{\"name\":\"x\",\"n\":\"1\"," REST "}", ERR_BAD_VALUE, "n" },
		{ "{\"name\":\"x\",\"size\":0," REST "}", ERR_BAD_VALUE, "size" },
		{ "{\"name\":\"x\",\"size\":\"3G\"," REST "}", ERR_BAD_VALUE, "size" },
		{ "{\"name\":\"x\",\"size\":\"big\"," REST "}", ERR_BAD_VALUE, "size" },
		{ "{\"name\":\"x\",\"on\":1," REST "}", ERR_BAD_VALUE, "on" },
		{ "{\"name\":\"x\",\"colour\":\"blue\"," REST "}", ERR_BAD_VALUE, "colour" },
		{ "{\"name\":\"x\",\"colour\":1," REST "}", ERR_BAD_VALUE, "colour" },
		{ "{\"name\":\"x\",\"parts\":{}," REST "}", ERR_BAD_VALUE, "parts" },
		{ "{\"name\":\"x\",\"parts\":[{\"tag\":\"a\"},{}]," REST "}", ERR_BAD_REQUEST, "parts[1].tag" },
		{ "{\"name\":\"x\",\"parts\":[{\"tag\":\"a\",\"wieght\":1}]," REST "}", ERR_UNKNOWN_KEY, "parts[0].wieght" },
		{ "{\"name\":\"x\",\"parts\":[{\"tag\":\"a\"},{\"tag\":\"a\"},{\"tag\":\"a\"},{\"tag\":\"a\"}]," REST "}", ERR_TOO_BIG, "parts" },
		{ "{\"name\":\"x\",\"words\":[\"a\",1]," REST "}", ERR_BAD_VALUE, "words[1]" },
		{ "{\"name\":\"x\",\"words\":[\"a\",\"a\",\"a\",\"a\"]," REST "}", ERR_TOO_BIG, "words" },
		{ "{\"name\":\"x\",\"nmae\":1," REST "}", ERR_UNKNOWN_KEY, "nmae" },
		{ "{\"name\":\"x\",\"note\":\"012345678901234567890\"," REST "}", ERR_TOO_BIG, "note" },
		{ "[]", ERR_BAD_VALUE, NULL },
		{ "{", ERR_BAD_REQUEST, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct thing t;
		struct err err = ERR_INIT;
		int rc = schema_decode_text(&thing_schema, &t, row[i].text, &err);

		if (rc != -row[i].code)
			fail_msg("%s: %d, not %d", row[i].text, -rc, row[i].code);
		if (row[i].field)
			assert_string_equal(err.field, row[i].field);
		assert_string_equal(t.name, ""); /* nothing half done is left */
		assert_null(t.parts);
	}
	struct thing t;
	struct err err = ERR_INIT;
	assert_true(schema_decode_text(&thing_schema, &t, "{\"name\":\"x\",\"colur\":1}", &err) < 0);
	assert_string_equal(err_hint_text(&err), "did you mean 'colour'?");
}

static void set(struct thing *t, const char *field, const char *text, int code)
{
	struct err err = ERR_INIT;
	int rc = field_set_text(schema_find(&thing_schema, field), t, text, &err);

	if (rc != -code)
		fail_msg("%s=%s: %d, not %d (%s)", field, text, -rc, code, err.msg);
}

static void text_is_read_as_people_write_it(void **state)
{
	struct thing t;

	(void)state;
	schema_init(&thing_schema, &t);
	set(&t, "name", "abc", 0);
	set(&t, "name", "abcdefgh", ERR_TOO_BIG);
	set(&t, "home", "", 0);
	set(&t, "n", "-5", 0);
	set(&t, "n", "6", ERR_BAD_VALUE);
	set(&t, "size", "1.5g", 0);
	set(&t, "size", "3g", ERR_BAD_VALUE);
	set(&t, "on", "Yes", 0);
	set(&t, "on", "maybe", ERR_BAD_VALUE);
	set(&t, "colour", "red", 0);
	set(&t, "colour", "Red", ERR_BAD_VALUE);
	set(&t, "main_part", "tag=m,weight=7", 0);
	set(&t, "main_part", "weight", ERR_BAD_VALUE);
	set(&t, "main_part", "wait=1", ERR_UNKNOWN_KEY);
	set(&t, "parts", "0:tag=a,,b", 0);
	set(&t, "parts", "2:tag=c", ERR_BAD_VALUE); /* a gap */
	set(&t, "parts", "1:tag=c", 0);
	set(&t, "parts", "0:weight=9", 0); /* more of the same one */
	set(&t, "parts", "3:tag=d", ERR_BAD_VALUE);
	set(&t, "parts", "tag=d", ERR_BAD_VALUE);
	set(&t, "words", "x,y", 0);
	set(&t, "words", "z", 0);
	set(&t, "words", "more", ERR_TOO_BIG);
	set(&t, "any", "{\"k\":1}", 0);
	set(&t, "any", "{", ERR_BAD_VALUE);
	set(&t, "note", "\xc3\xa9", 0);
	set(&t, "note", "\xe9", ERR_BAD_VALUE); /* no UTF-8 */
	set(&t, "words", "\xff", ERR_BAD_VALUE);
	set(&t, "main_part", "tag=\xff", ERR_BAD_VALUE);
	assert_encodes(&t, "{\"any\":{\"k\":1},\"colour\":\"red\",\"home\":\"\",\"main_part\":{\"tag\":\"m\",\"weight\":7},\"n\":-5,\"name\":\"abc\","
			   "\"note\":\"\xc3\xa9\",\"on\":true,\"parts\":[{\"tag\":\"a,b\",\"weight\":9},{\"tag\":\"c\",\"weight\":3}],\"size\":1536,"
			   "\"words\":[\"x\",\"y\",\"z\"]}");
	struct buf b = BUF_INIT;
	static const char *const shown[] = { "name", "n", "size", "on", "colour", "main_part", "words" };
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		field_format(schema_find(&thing_schema, shown[i]), &t, &b);
		buf_putc(&b, ' ');
	}
	assert_string_equal(buf_str(&b), "abc -5 1.5 GiB yes red tag=m,weight=7 x,y,z ");
	buf_done(&b);
	schema_done(&thing_schema, &t);
}

/* What a command printed need not be UTF-8; a message that carries it must still be a message. */
static void text_of_others_is_made_fit_for_json(void **state)
{
	struct thing t;

	(void)state;
	schema_init(&thing_schema, &t);
	(void)str_copy(t.name, sizeof(t.name), "a\xff");
	t.note = xstrdup("b\xc3");
	strs_add(&t.words, &t.n_words, "\xe9t\xe9");
	t.n = FIELD_UNSET;
	t.colour = -1;
	t.main_part.weight = FIELD_UNSET;
	assert_encodes(&t, "{\"home\":\"here\",\"name\":\"a?\",\"note\":\"b?\",\"words\":[\"?t?\"]}");
	schema_done(&thing_schema, &t);
}

static void merging_takes_what_is_set(void **state)
{
	struct thing a, b;

	(void)state;
	decode(&a, "{\"name\":\"x\",\"note\":\"old\",\"words\":[\"1\"],\"main_part\":{\"tag\":\"m\",\"weight\":9}}");
	schema_init(&thing_schema, &b);
	b.n = FIELD_UNSET;
	b.colour = -1;
	b.home[0] = '\0';
	b.main_part.weight = FIELD_UNSET;
	(void)str_copy(b.main_part.tag, sizeof(b.main_part.tag), "new");
	b.note = xstrdup("new");
	b.on = 0;
	strs_add(&b.words, &b.n_words, "2");
	schema_merge(&thing_schema, &a, &b);
	assert_encodes(&a, "{\"colour\":\"green\",\"home\":\"here\",\"main_part\":{\"tag\":\"new\",\"weight\":9},\"n\":1,\"name\":\"x\",\"note\":\"new\","
			   "\"on\":false,\"words\":[\"2\"]}");
	schema_done(&thing_schema, &a);
	schema_done(&thing_schema, &b);
}

static void lists_grow_and_shrink(void **state)
{
	const struct field *f = schema_find(&thing_schema, "parts");
	struct thing t;

	(void)state;
	schema_init(&thing_schema, &t);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			struct part *p = schema_list_add(f, &t);

			assert_int_equal(p->weight, 3);
			p->tag[0] = (char)('a' + i);
		}
		schema_list_remove(f, &t, 1);
		assert_int_equal(t.n_parts, 2);
		assert_string_equal(t.parts[1].tag, "c");
		schema_list_remove(f, &t, 0);
		schema_list_remove(f, &t, 0);
		assert_int_equal(t.n_parts, 0);
	}
	schema_done(&thing_schema, &t);
	char **list = NULL;
	int n = 0;
	strs_add(&list, &n, "a");
	strs_add(&list, &n, "b");
	assert_true(strs_has(list, n, "b"));
	strs_remove(&list, &n, "a");
	assert_false(strs_has(list, n, "a"));
	assert_int_equal(n, 1);
	strs_remove(&list, &n, "b");
	assert_null(list);
}

static void checking_says_what_decoding_would(void **state)
{
	struct thing t;
	struct err err = ERR_INIT;

	(void)state;
	decode(&t, "{\"name\":\"x\"," REST "}");
	assert_int_equal(schema_check(&thing_schema, &t, &err), 0);
	t.n = 6;
	assert_int_equal(schema_check(&thing_schema, &t, &err), -ERR_BAD_VALUE);
	assert_string_equal(err.field, "n");
	t.n = 1;
	t.name[0] = '\0';
	assert_int_equal(schema_check(&thing_schema, &t, &err), -ERR_BAD_REQUEST);
	schema_done(&thing_schema, &t);
}

/* ---- the real ones ------------------------------------------------------------------------------------------------ */

static void check_rows(const struct schema *s, int depth)
{
	assert_true(depth < 8); /* the decoder's bound */
	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (!f->help || !f->help[0])
			fail_msg("%s.%s: no help", s->name, f->name);
		assert_ptr_equal(schema_find(s, f->name), f); /* no name twice */
		if ((f->flags & FIELD_REQUIRED) && f->def)
			fail_msg("%s.%s: required, with a default", s->name, f->name);
		if (f->sub)
			check_rows(f->sub, depth + 1);
	}
	void *obj = xcalloc(1, s->size);
	schema_init(s, obj); /* asserts that each default is a value */
	schema_done(s, obj);
	free(obj);
}

static void every_row_is_whole(void **state)
{
	(void)state;
	for (int i = 0; i < OP_COUNT; i++) {
		check_rows(op_infos[i].args, 1);
		assert_true(op_infos[i].summary && op_infos[i].summary[0]);
		assert_int_equal(op_by_name(op_infos[i].name), i);
		assert_int_equal(op_by_words(op_infos[i].group, op_infos[i].verb), i);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(op_infos[k].id, op_infos[i].id); /* numbers are never used again */
	}
	for (int i = 0; i < STEP_KIND_COUNT; i++) {
		check_rows(step_infos[i].args, 1);
		assert_int_equal(step_kind_by_name(step_infos[i].name), i);
		assert_true(step_infos[i].summary && step_infos[i].summary[0]);
	}
#define MSG(m) check_rows(&msg_##m##_schema, 1);
#define msg_settings_schema step_settings_schema
	MSGS(MSG)
#undef MSG
#undef msg_settings_schema
	check_rows(&cluster_schema, 1);
	check_rows(&node_schema, 1);
	check_rows(&instance_schema, 1);
	check_rows(&job_schema, 1);
	check_rows(&job_record_schema, 1);
	check_rows(&observed_schema, 1);
}

/* A default said empty ("no volume group") is not the default. */
static void an_empty_volume_group_stays_empty(void **state)
{
	struct op_cluster_init a, b;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(schema_decode_text(&op_cluster_init_schema, &a, "{\"name\":\"c\",\"vg_name\":\"\"}", &err), 0);
	AUTO_FREE char *text = schema_encode_text(&op_cluster_init_schema, &a);
	assert_int_equal(schema_decode_text(&op_cluster_init_schema, &b, text, &err), 0);
	assert_string_equal(b.vg_name, "");
	schema_done(&op_cluster_init_schema, &a);
	schema_done(&op_cluster_init_schema, &b);
}

/* ---- levels ------------------------------------------------------------------------------------------------- */

static void a_newer_version_writes_what_an_older_one_reads(void **state)
{
	struct err err = ERR_INIT;
	struct thing2 new;
	struct thing old;

	(void)state;
	schema_init(&thing2_schema, &new);
	(void)str_copy(new.name, sizeof(new.name), "a");
	(void)str_copy(new.shelf, sizeof(new.shelf), "top");
	(void)str_copy(new.main_part.tag, sizeof(new.main_part.tag), "m");
	new.main_part.glued = 1;
	struct part2 *p = schema_list_add(schema_find(&thing2_schema, "parts"), &new);
	(void)str_copy(p->tag, sizeof(p->tag), "p");
	AUTO_FREE char *at_1 = schema_encode_text_at(&thing2_schema, &new, 1);
	AUTO_FREE char *at_2 = schema_encode_text_at(&thing2_schema, &new, 2);
	AUTO_FREE char *at_3 = schema_encode_text_at(&thing2_schema, &new, 3);
	assert_null(strstr(at_1, "glued"));
	assert_null(strstr(at_1, "shelf"));
	assert_non_null(strstr(at_2, "\"glued\":true"));
	assert_null(strstr(at_2, "shelf"));
	assert_non_null(strstr(at_3, "shelf"));
	if (schema_decode_text(&thing_schema, &old, at_1, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(old.main_part.tag, "m");
	assert_int_equal(old.n_parts, 1);
	schema_done(&thing_schema, &old);
	assert_int_equal(schema_decode_text(&thing_schema, &old, at_2, &err), -ERR_UNKNOWN_KEY);
	schema_done(&thing2_schema, &new);
}

static void an_older_version_writes_what_a_newer_one_reads(void **state)
{
	struct err err = ERR_INIT;
	struct thing2 new;

	(void)state;
	if (schema_decode_text(&thing2_schema, &new, "{\"name\":\"a\",\"main_part\":{\"tag\":\"m\"},\"parts\":[{\"tag\":\"p\"}]}", &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(new.main_part.glued, 0);
	assert_int_equal(new.parts[0].glued, 0);
	assert_string_equal(new.shelf, "");
	assert_int_equal(schema_needs(&thing2_schema, &new, NULL), 1);
	schema_done(&thing2_schema, &new);
}

static void what_is_set_says_which_level_it_needs(void **state)
{
	const struct field *f = NULL;
	struct thing2 t;

	(void)state;
	schema_init(&thing2_schema, &t);
	assert_int_equal(schema_needs(&thing2_schema, &t, &f), 1);
	assert_null(f);
	struct part2 *p = schema_list_add(schema_find(&thing2_schema, "parts"), &t);
	assert_int_equal(schema_needs(&thing2_schema, &t, &f), 1);
	p->glued = 1;
	assert_int_equal(schema_needs(&thing2_schema, &t, &f), 2);
	assert_string_equal(f->name, "glued");
	(void)str_copy(t.shelf, sizeof(t.shelf), "top");
	assert_int_equal(schema_needs(&thing2_schema, &t, &f), 3);
	assert_string_equal(f->name, "shelf");
	schema_done(&thing2_schema, &t);
}

static void a_greeting_is_read_by_whoever_hears_it(void **state)
{
	AUTO_JSON json_t *j = json_pack("{s:s, s:s, s:{s:s}}", "name", "a", "shelf", "top", "main_part", "tag", "m");
	AUTO_JSON json_t *wrong = json_pack("{s:i}", "name", 1);
	struct err err = ERR_INIT;
	struct thing t;

	(void)state;
	assert_int_equal(schema_decode(&thing_schema, &t, j, &err), -ERR_UNKNOWN_KEY);
	err_clear(&err);
	assert_int_equal(schema_decode_greeting(&thing_schema, &t, j, &err), 0);
	assert_string_equal(t.name, "a");
	schema_done(&thing_schema, &t);
	assert_int_equal(schema_decode_greeting(&thing_schema, &t, wrong, &err), -ERR_BAD_VALUE); /* what it knows it checks */
}

/* No row is of a level that this version does not have: it would never be written. */
static void no_row_is_ahead_of_its_version(void **state)
{
	const struct schema *all[] = { &cluster_schema, &node_schema, &instance_schema, &job_schema, &job_record_schema, &token_schema, &observed_schema };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (int k = 0; k < all[i]->n_fields; k++)
			assert_true((int64_t)(all[i]->fields[k].flags >> 8) <= level_here.newest);
	for (int op = 0; op < OP_COUNT; op++)
		for (int k = 0; k < op_infos[op].args->n_fields; k++)
			assert_true((int64_t)(op_infos[op].args->fields[k].flags >> 8) <= level_here.newest);
	assert_true(level_here.oldest >= 1 && level_here.oldest <= level_here.newest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newer_version_writes_what_an_older_one_reads),
		cmocka_unit_test(an_older_version_writes_what_a_newer_one_reads),
		cmocka_unit_test(what_is_set_says_which_level_it_needs),
		cmocka_unit_test(a_greeting_is_read_by_whoever_hears_it),
		cmocka_unit_test(no_row_is_ahead_of_its_version),
		cmocka_unit_test(defaults_and_unset_fields),
		cmocka_unit_test(each_object_owns_its_defaults),
		cmocka_unit_test(everything_goes_to_json_and_back),
		cmocka_unit_test(text_is_what_the_tree_says),
		cmocka_unit_test(what_differs_is_not_equal),
		cmocka_unit_test(decoding_is_strict_and_names_the_field),
		cmocka_unit_test(text_is_read_as_people_write_it),
		cmocka_unit_test(text_of_others_is_made_fit_for_json),
		cmocka_unit_test(merging_takes_what_is_set),
		cmocka_unit_test(lists_grow_and_shrink),
		cmocka_unit_test(checking_says_what_decoding_would),
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(an_empty_volume_group_stays_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
