/* SPDX-License-Identifier: Apache-2.0 */
/* Structs to JSON and back, by their rows. Decoding is strict: what is not declared is an error that names the field. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "common/xmem.h"
#include "schema/field.h"

#define DEPTH_MAX 8

static void *at(const struct field *f, const void *obj)
{
	return (char *)(uintptr_t)obj + f->offset;
}

static int *count(const struct field *f, const void *obj)
{
	return (int *)(void *)((char *)(uintptr_t)obj + f->n_offset);
}

/* ---- decode -------------------------------------------------------------------------------------- */

static int64_t field_since(const struct field *f)
{
	return f->flags >> 8 ? f->flags >> 8 : 1;
}

static int decode(const struct schema *s, void *obj, const json_t *j, int depth, const char *path, struct err *err);

static int fail(struct err *err, enum err_code code, const char *path, const char *what)
{
	int rc = err_set(err, code, "field '%s' %s", path, what);

	if (err)
		(void)str_copy(err->field, sizeof(err->field), path);
	return rc;
}

static int decode_string(const struct field *f, void *p, const json_t *j, const char *path, struct err *err)
{
	const char *text = json_string_value(j);
	char why[80];

	if (!text)
		return fail(err, ERR_BAD_VALUE, path, "is not a string");
	if (strlen(text) != json_string_length(j))
		return fail(err, ERR_BAD_VALUE, path, "contains a NUL byte");
	if ((int64_t)json_string_length(j) > f->max) {
		(void)snprintf(why, sizeof(why), "is longer than %lld bytes", (long long)f->max);
		return fail(err, ERR_TOO_BIG, path, why);
	}
	if (f->type == FIELD_STR) {
		(void)str_copy(p, (size_t)f->max + 1, text);
	} else {
		free(*(char **)p);
		*(char **)p = xstrdup(text);
	}
	return 0;
}

static int decode_number(const struct field *f, void *p, const json_t *j, const char *path, struct err *err)
{
	int64_t v = json_integer_value(j);
	char why[96];

	if (f->type == FIELD_SIZE && json_is_string(j)) {
		int rc = units_parse_mib(json_string_value(j), &v, err);

		if (rc < 0) {
			(void)str_copy(err->field, sizeof(err->field), path);
			return rc;
		}
	} else if (!json_is_integer(j)) {
		return fail(err, ERR_BAD_VALUE, path, "is not a whole number");
	}
	if (v < f->min || v > f->max) {
		(void)snprintf(why, sizeof(why), "is out of range: allowed is %lld to %lld", (long long)f->min, (long long)f->max);
		return fail(err, ERR_BAD_VALUE, path, why);
	}
	*(int64_t *)p = v;
	return 0;
}

static int decode_enum(const struct field *f, void *p, const json_t *j, const char *path, struct err *err)
{
	const char *text = json_string_value(j);
	char why[200] = "is none of";

	for (int i = 0; text && f->names[i]; i++)
		if (strcmp(f->names[i], text) == 0) {
			*(int *)p = i;
			return 0;
		}
	for (int i = 0; f->names[i]; i++) {
		size_t n = strlen(why);

		(void)snprintf(why + n, sizeof(why) - n, "%s%s", i ? ", " : " ", f->names[i]);
	}
	return fail(err, ERR_BAD_VALUE, path, why);
}

static int decode_list(const struct field *f, void *obj, const json_t *j, int depth, const char *path, struct err *err)
{
	char sub[96], why[64];
	size_t i;
	json_t *e;

	if (!json_is_array(j))
		return fail(err, ERR_BAD_VALUE, path, "is not a list");
	if ((int64_t)json_array_size(j) > f->max) {
		(void)snprintf(why, sizeof(why), "has more than %lld entries", (long long)f->max);
		return fail(err, ERR_TOO_BIG, path, why);
	}
	json_array_foreach(j, i, e) {
		(void)snprintf(sub, sizeof(sub), "%.80s[%zu]", path, i);
		if (f->type == FIELD_STRS) {
			if (!json_is_string(e) || json_string_length(e) > TEXT_MAX || strlen(json_string_value(e)) != json_string_length(e))
				return fail(err, ERR_BAD_VALUE, sub, "is not a short string");
			strs_add(at(f, obj), count(f, obj), json_string_value(e));
			continue;
		}
		int rc = decode(f->sub, schema_list_add(f, obj), e, depth + 1, sub, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int decode_field(const struct field *f, void *obj, const json_t *j, int depth, const char *path, struct err *err)
{
	void *p = at(f, obj);

	switch (f->type) {
	case FIELD_STR:
	case FIELD_TEXT: return decode_string(f, p, j, path, err);
	case FIELD_INT:
	case FIELD_SIZE: return decode_number(f, p, j, path, err);
	case FIELD_BOOL:
		if (!json_is_boolean(j))
			return fail(err, ERR_BAD_VALUE, path, "is neither true nor false");
		*(int *)p = json_is_true(j);
		return 0;
	case FIELD_ENUM: return decode_enum(f, p, j, path, err);
	case FIELD_OBJ: return decode(f->sub, p, j, depth + 1, path, err);
	case FIELD_LIST:
	case FIELD_STRS: return decode_list(f, obj, j, depth, path, err);
	case FIELD_JSON:
		json_decref(*(json_t **)p);
		*(json_t **)p = json_incref((json_t *)(uintptr_t)j);
		return 0;
	default: assert(!"field type"); return -ERR_INTERNAL;
	}
}

static int unknown(const struct schema *s, const char *path, struct err *err)
{
	const char *dot = strrchr(path, '.');
	const char *near = schema_nearest(s, dot ? dot + 1 : path);
	int rc = err_set(err, ERR_UNKNOWN_KEY, "unknown field '%s'", path);

	if (err)
		(void)str_copy(err->field, sizeof(err->field), path);
	if (near)
		(void)err_hint(err, "did you mean '%s'?", near);
	return rc;
}

static int decode(const struct schema *s, void *obj, const json_t *j, int depth, const char *path, struct err *err)
{
	char sub[160];
	const char *key;
	json_t *value;

	if (depth > DEPTH_MAX)
		return fail(err, ERR_BAD_REQUEST, path, "is nested too deep");
	if (!json_is_object(j))
		return fail(err, ERR_BAD_VALUE, path[0] ? path : s->name, "is not an object");
	json_object_foreach((json_t *)(uintptr_t)j, key, value) {
		const struct field *f = schema_find(s, key);

		(void)snprintf(sub, sizeof(sub), "%.80s%s%.60s", path, path[0] ? "." : "", key);
		if (!f)
			return unknown(s, sub, err);
		/* A default of a list or text is replaced, not added to. */
		if (f->type == FIELD_STRS)
			strs_clear(at(f, obj), count(f, obj));
		int rc = decode_field(f, obj, value, depth, sub, err);
		if (rc < 0)
			return rc;
	}
	for (int i = 0; i < s->n_fields; i++) {
		if (!(s->fields[i].flags & FIELD_REQUIRED) || json_object_get(j, s->fields[i].name))
			continue;
		(void)snprintf(sub, sizeof(sub), "%.80s%s%s", path, path[0] ? "." : "", s->fields[i].name);
		return fail(err, ERR_BAD_REQUEST, sub, "is missing");
	}
	return 0;
}

int schema_decode(const struct schema *s, void *obj, const json_t *j, struct err *err)
{
	struct err local = ERR_INIT;

	schema_init(s, obj);
	int rc = decode(s, obj, j, 0, "", err ? err : &local);
	if (rc < 0)
		schema_done(s, obj);
	return rc;
}

int schema_decode_greeting(const struct schema *s, void *obj, const json_t *j, struct err *err)
{
	AUTO_JSON json_t *known = json_object();

	if (!json_is_object(j))
		return schema_decode(s, obj, j, err);
	for (int i = 0; i < s->n_fields; i++)
		(void)json_object_set(known, s->fields[i].name, json_object_get(j, s->fields[i].name));
	return schema_decode(s, obj, known, err);
}

int schema_decode_text(const struct schema *s, void *obj, const char *text, struct err *err)
{
	AUTO_JSON json_t *j = NULL;
	int rc = json_parse(text, strlen(text), FRAME_MAX, &j, err);

	if (rc < 0) {
		schema_init(s, obj);
		return rc;
	}
	return schema_decode(s, obj, j, err);
}

/* ---- encode --------------------------------------------------------------------------------------- */

struct how {
	bool secrets;  /* those rows too */
	bool borrow;   /* JSON values are shared with the struct, not copied: for a tree that is only written out */
	int64_t level; /* no rows that came later */
};

static json_t *encode(const struct schema *s, const void *obj, struct how how);

/* Text from outside (a command's stderr, say) may not be UTF-8: what JSON cannot carry becomes '?'. */
static json_t *encode_string(const char *text)
{
	json_t *j = json_string(text);

	if (j)
		return j;
	AUTO_FREE char *copy = xstrdup(text);
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return json_string(copy);
}

static json_t *encode_field(const struct field *f, const void *obj, struct how how)
{
	const void *p = at(f, obj);
	json_t *a;

	switch (f->type) {
	case FIELD_STR: return encode_string(p);
	case FIELD_TEXT: return encode_string(*(char *const *)p);
	case FIELD_INT:
	case FIELD_SIZE: return json_integer(*(const int64_t *)p);
	case FIELD_BOOL: return json_boolean(*(const int *)p);
	case FIELD_ENUM: return json_string(f->names[*(const int *)p]);
	case FIELD_OBJ: return encode(f->sub, p, how);
	case FIELD_LIST:
		a = json_array();
		for (int i = 0; i < *count(f, obj); i++)
			json_array_append_new(a, encode(f->sub, *(char *const *)p + (size_t)i * f->sub->size, how));
		return a;
	case FIELD_STRS:
		a = json_array();
		for (int i = 0; i < *count(f, obj); i++)
			json_array_append_new(a, encode_string((*(char **const *)p)[i]));
		return a;
	case FIELD_JSON: return how.borrow ? json_incref(*(json_t *const *)p) : json_deep_copy(*(json_t *const *)p);
	default: assert(!"field type"); return NULL;
	}
}

/* An empty string where there is a default was said on purpose: left out, it would come back as the default. */
static bool is_said(const struct field *f, const void *obj)
{
	return field_is_set(f, obj) || (f->type == FIELD_STR && f->def && f->def[0]);
}

static json_t *encode(const struct schema *s, const void *obj, struct how how)
{
	json_t *o = json_object();

	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (is_said(f, obj) && field_since(f) <= how.level && (how.secrets || !(f->flags & FIELD_SECRET)))
			json_object_set_new(o, f->name, encode_field(f, obj, how));
	}
	return o;
}

json_t *schema_encode(const struct schema *s, const void *obj)
{
	return schema_encode_at(s, obj, INT64_MAX);
}

json_t *schema_encode_public(const struct schema *s, const void *obj)
{
	return encode(s, obj, (struct how){ .level = INT64_MAX });
}

json_t *schema_json_public(const struct schema *s, const json_t *j)
{
	json_t *o = json_copy((json_t *)(uintptr_t)j), *e;
	size_t k;

	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];
		json_t *v = json_object_get(o, f->name);

		if (f->flags & FIELD_SECRET) {
			(void)json_object_del(o, f->name);
		} else if (f->type == FIELD_OBJ && v) {
			(void)json_object_set_new(o, f->name, schema_json_public(f->sub, v));
		} else if (f->type == FIELD_LIST && v) {
			json_t *a = json_array();

			json_array_foreach(v, k, e)
				(void)json_array_append_new(a, schema_json_public(f->sub, e));
			(void)json_object_set_new(o, f->name, a);
		}
	}
	return o;
}

char *schema_encode_text(const struct schema *s, const void *obj)
{
	return schema_encode_text_at(s, obj, INT64_MAX);
}

json_t *schema_encode_at(const struct schema *s, const void *obj, int64_t level)
{
	return encode(s, obj, (struct how){ .secrets = true, .level = level });
}

/*
 * The same as text, with no tree in between: each record of a job or an object that is kept, and each message, is written like this. Byte for byte what
 * json_text(schema_encode_at()) gives; test_schema holds the two together.
 */
static void write_string(struct buf *b, const char *text)
{
	bool plain = true;

	for (const char *c = text; *c && plain; c++)
		plain = (unsigned char)*c >= 0x20 && (unsigned char)*c < 0x80 && *c != '"' && *c != '\\';
	if (plain) {
		buf_putc(b, '"');
		buf_puts(b, text);
		buf_putc(b, '"');
		return;
	}
	AUTO_JSON json_t *j = encode_string(text);
	AUTO_FREE char *quoted = json_text(j);
	buf_puts(b, quoted);
}

static void write_object(struct buf *b, const struct schema *s, const void *obj, int64_t level);

static void write_field(struct buf *b, const struct field *f, const void *obj, int64_t level)
{
	const void *p = at(f, obj);
	char number[24];

	switch (f->type) {
	case FIELD_STR: write_string(b, p); return;
	case FIELD_TEXT: write_string(b, *(char *const *)p); return;
	case FIELD_INT:
	case FIELD_SIZE:
		(void)snprintf(number, sizeof(number), "%lld", (long long)*(const int64_t *)p);
		buf_puts(b, number);
		return;
	case FIELD_BOOL: buf_puts(b, *(const int *)p ? "true" : "false"); return;
	case FIELD_ENUM: write_string(b, f->names[*(const int *)p]); return;
	case FIELD_OBJ: write_object(b, f->sub, p, level); return;
	case FIELD_LIST:
		buf_putc(b, '[');
		for (int i = 0; i < *count(f, obj); i++) {
			if (i)
				buf_putc(b, ',');
			write_object(b, f->sub, *(char *const *)p + (size_t)i * f->sub->size, level);
		}
		buf_putc(b, ']');
		return;
	case FIELD_STRS:
		buf_putc(b, '[');
		for (int i = 0; i < *count(f, obj); i++) {
			if (i)
				buf_putc(b, ',');
			write_string(b, (*(char **const *)p)[i]);
		}
		buf_putc(b, ']');
		return;
	case FIELD_JSON: {
		AUTO_FREE char *text = json_text(*(json_t *const *)p);

		buf_puts(b, text);
		return;
	}
	default: assert(!"field type");
	}
}

static void write_object(struct buf *b, const struct schema *s, const void *obj, int64_t level)
{
	const struct field *const *fields = schema_by_name(s);
	bool first = true;

	buf_putc(b, '{');
	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = fields[i];

		if (!is_said(f, obj) || field_since(f) > level)
			continue;
		buf_puts(b, first ? "\"" : ",\"");
		buf_puts(b, f->name);
		buf_puts(b, "\":");
		write_field(b, f, obj, level);
		first = false;
	}
	buf_putc(b, '}');
}

char *schema_encode_text_at(const struct schema *s, const void *obj, int64_t level)
{
	struct buf b = { .max_bytes = SIZE_MAX / 2 };

	write_object(&b, s, obj, level);
	return buf_steal(&b);
}

/* A value that is the default says what an older version would do anyway. */
static bool is_default(const struct schema *s, const struct field *f, const void *obj)
{
	void *fresh = xcalloc(1, s->size);

	const struct how all = { .secrets = true, .borrow = true, .level = INT64_MAX };

	schema_init(s, fresh);
	AUTO_JSON json_t *a = field_is_set(f, obj) ? encode_field(f, obj, all) : NULL;
	AUTO_JSON json_t *b = field_is_set(f, fresh) ? encode_field(f, fresh, all) : NULL;
	bool same = (!a && !b) || (a && b && json_equal(a, b));
	schema_done(s, fresh);
	free(fresh);
	return same;
}

int64_t schema_needs(const struct schema *s, const void *obj, const struct field **ret_field)
{
	int64_t needs = 1;

	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];
		const struct field *inner = f;
		int64_t n = field_since(f) > 1 && !is_default(s, f, obj) ? field_since(f) : 1;

		if (n == 1 && f->type == FIELD_OBJ)
			n = schema_needs(f->sub, at(f, obj), &inner);
		for (int k = 0; n == 1 && f->type == FIELD_LIST && k < *count(f, obj); k++)
			n = schema_needs(f->sub, *(char *const *)at(f, obj) + (size_t)k * f->sub->size, &inner);
		if (n > needs) {
			needs = n;
			if (ret_field)
				*ret_field = inner;
		}
	}
	return needs;
}
