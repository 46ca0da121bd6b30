/* SPDX-License-Identifier: Apache-2.0 */
/* Fields as people write and read them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/units.h"
#include "common/xmem.h"
#include "schema/field.h"

static int name_field(const struct field *f, struct err *err, int rc)
{
	if (rc < 0 && err && !err->field[0]) {
		(void)err_wrap(err, "%s", f->name);
		(void)str_copy(err->field, sizeof(err->field), f->name);
	}
	return rc;
}

static int set_bool(const char *text, int *ret, struct err *err)
{
	static const char *const yes[] = { "yes", "true", "on", "1", "y" }, *const no[] = { "no", "false", "off", "0", "n" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0) {
			*ret = 1;
			return 0;
		}
		if (strcasecmp(text, no[i]) == 0) {
			*ret = 0;
			return 0;
		}
	}
	return err_set(err, ERR_BAD_VALUE, "'%s' is neither yes nor no", text);
}

static int set_enum(const struct field *f, const char *text, int *ret, struct err *err)
{
	AUTO_BUF struct buf all = BUF_INIT;

	for (int i = 0; f->names[i]; i++) {
		if (strcmp(f->names[i], text) == 0) {
			*ret = i;
			return 0;
		}
		buf_printf(&all, "%s%s", i ? ", " : "", f->names[i]);
	}
	(void)err_set(err, ERR_BAD_VALUE, "'%s' is not known", text);
	return err_hint(err, "one of: %s", buf_str(&all));
}

/* The next "key=value" of a comma list; ",," is a comma in a value. Gives both; false at the end. */
static bool next_pair(const char **p, char **ret_key, char **ret_value, bool *ret_bad)
{
	struct buf key = BUF_INIT, value = BUF_INIT;
	struct buf *to = &key;

	if (!**p)
		return false;
	for (; **p; (*p)++) {
		if (**p == ',' && (*p)[1] == ',') {
			buf_putc(to, ',');
			(*p)++;
		} else if (**p == ',') {
			(*p)++;
			break;
		} else if (**p == '=' && to == &key) {
			to = &value;
		} else {
			buf_putc(to, **p);
		}
	}
	*ret_bad = to == &key;
	*ret_key = buf_steal(&key);
	*ret_value = buf_steal(&value);
	return true;
}

/* reset: where "key=default" goes, as "name.key"; NULL = it is a value like any other. */
struct resets {
	char ***list;
	int *n;
};

static int set_obj(const struct field *f, void *obj, const char *text, const struct resets *reset, struct err *err)
{
	void *p = (char *)obj + f->offset;
	AUTO_FREE char *key = NULL, *value = NULL;
	bool bad = false;

	while (next_pair(&text, &key, &value, &bad)) {
		const struct field *sub = schema_find(f->sub, key);
		int rc = 0;

		if (bad || !sub) {
			const char *near = schema_nearest(f->sub, key);

			rc = bad ? err_set(err, ERR_BAD_VALUE, "'%s' is not of the form key=value", key) :
				   err_set(err, ERR_UNKNOWN_KEY, "unknown key '%s'", key);
			if (!bad && near)
				(void)err_hint(err, "did you mean '%s'?", near);
		} else if (reset && strcmp(value, "default") == 0) {
			AUTO_FREE char *path = xasprintf("%s.%s", f->name, key);

			strs_add(reset->list, reset->n, path);
		} else {
			rc = field_set_text(sub, p, value, err);
		}
		free(key);
		free(value);
		key = value = NULL;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int set_list(const struct field *f, void *obj, const char *text, struct err *err)
{
	/* "N:k=v,k=v": element N, counted from 0; elements come in order. */
	int *n = (int *)(void *)((char *)obj + f->n_offset);
	const char *colon = strchr(text, ':');
	int64_t index = 0;
	char number[8];

	if (!colon || (size_t)(colon - text) >= sizeof(number)) {
		(void)err_set(err, ERR_BAD_VALUE, "'%s' does not begin with a number and a colon", text);
		return err_hint(err, "for example 0:%s=...", f->sub->fields[f->sub->n_fields > 1 ? 1 : 0].name);
	}
	memcpy(number, text, (size_t)(colon - text));
	number[colon - text] = '\0';
	int rc = units_parse_int(number, 0, f->max - 1, &index, err);
	if (rc < 0)
		return rc;
	if (index > *n) {
		(void)err_set(err, ERR_BAD_VALUE, "number %lld comes before number %d", (long long)index, *n);
		return err_hint(err, "count from 0 without a gap");
	}
	void *e = index == *n ? schema_list_add(f, obj) : *(char **)((char *)obj + f->offset) + (size_t)index * f->sub->size;
	struct field as_obj = { .name = f->name, .type = FIELD_OBJ, .sub = f->sub };
	return set_obj(&as_obj, e, colon + 1, NULL, err);
}

static int set_strs(const struct field *f, void *obj, const char *text, struct err *err)
{
	char ***list = (char ***)(void *)((char *)obj + f->offset);
	int *n = (int *)(void *)((char *)obj + f->n_offset);
	AUTO_FREE char *copy = xstrdup(text);

	for (char *save = NULL, *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		if (*n >= f->max)
			return err_set(err, ERR_TOO_BIG, "more than %lld entries", (long long)f->max);
		strs_add(list, n, w);
	}
	return 0;
}

static int set_number(const struct field *f, int64_t *p, const char *text, struct err *err)
{
	int64_t v;
	int rc = f->type == FIELD_SIZE ? units_parse_mib(text, &v, err) : units_parse_int(text, f->min, f->max, &v, err);

	if (rc < 0)
		return rc;
	if (v < f->min || v > f->max)
		return err_set(err, ERR_BAD_VALUE, "'%s' is out of range: allowed is %lld to %lld MiB", text, (long long)f->min, (long long)f->max);
	*p = v;
	return 0;
}

static int set(const struct field *f, void *obj, const char *text, struct err *err)
{
	void *p = (char *)obj + f->offset;
	struct err why = ERR_INIT;

	if (!json_is_utf8(text))
		return err_set(err, ERR_BAD_VALUE, "this is not UTF-8 text");
	switch (f->type) {
	case FIELD_STR:
	case FIELD_TEXT:
		if ((int64_t)strlen(text) > f->max)
			return err_set(err, ERR_TOO_BIG, "longer than %lld bytes", (long long)f->max);
		if (f->type == FIELD_STR) {
			(void)str_copy(p, (size_t)f->max + 1, text);
		} else {
			free(*(char **)p);
			*(char **)p = xstrdup(text);
		}
		return 0;
	case FIELD_INT:
	case FIELD_SIZE: return set_number(f, p, text, err);
	case FIELD_BOOL: return set_bool(text, p, err);
	case FIELD_ENUM: return set_enum(f, text, p, err);
	case FIELD_OBJ: return set_obj(f, obj, text, NULL, err);
	case FIELD_LIST: return set_list(f, obj, text, err);
	case FIELD_STRS: return set_strs(f, obj, text, err);
	case FIELD_JSON: {
		json_t *j = NULL;

		if (json_parse(text, strlen(text), MESSAGE_MAX, &j, &why) < 0)
			return err_set(err, ERR_BAD_VALUE, "%s", why.msg);
		json_decref(*(json_t **)p);
		*(json_t **)p = j;
		return 0;
	}
	default: assert(!"field type"); return -ERR_INTERNAL;
	}
}

int field_set_text(const struct field *f, void *obj, const char *text, struct err *err)
{
	struct err local = ERR_INIT;

	return name_field(f, err ? err : &local, set(f, obj, text, err ? err : &local));
}

int field_set_text_or_reset(const struct field *f, void *obj, const char *text, char ***reset, int *n_reset, struct err *err)
{
	const struct resets r = { reset, n_reset };
	struct err local = ERR_INIT;

	assert(f->type == FIELD_OBJ);
	return name_field(f, err ? err : &local, json_is_utf8(text) ? set_obj(f, obj, text, &r, err ? err : &local) :
								      err_set(err ? err : &local, ERR_BAD_VALUE, "this is not UTF-8 text"));
}

void field_format(const struct field *f, const void *obj, struct buf *out)
{
	const void *p = (const char *)obj + f->offset;
	char size[32];

	if (!field_is_set(f, obj))
		return;
	switch (f->type) {
	case FIELD_STR: buf_puts(out, p); return;
	case FIELD_TEXT: buf_puts(out, *(char *const *)p); return;
	case FIELD_INT: buf_printf(out, "%lld", (long long)*(const int64_t *)p); return;
	case FIELD_SIZE:
		units_format_mib(*(const int64_t *)p, size, sizeof(size));
		buf_puts(out, size);
		return;
	case FIELD_BOOL: buf_puts(out, *(const int *)p ? "yes" : "no"); return;
	case FIELD_ENUM: buf_puts(out, f->names[*(const int *)p]); return;
	case FIELD_OBJ:
		for (int i = 0, n = 0; i < f->sub->n_fields; i++)
			if (field_is_set(&f->sub->fields[i], p)) {
				buf_printf(out, "%s%s=", n++ ? "," : "", f->sub->fields[i].name);
				field_format(&f->sub->fields[i], p, out);
			}
		return;
	case FIELD_STRS:
		for (int i = 0; i < *(const int *)(const void *)((const char *)obj + f->n_offset); i++)
			buf_printf(out, "%s%s", i ? "," : "", (*(char **const *)p)[i]);
		return;
	case FIELD_LIST:
	case FIELD_JSON:
	default: return;
	}
}

int schema_check(const struct schema *s, const void *obj, struct err *err)
{
	/* The decoder is the one place that knows what the rows say: what it would refuse is wrong. */
	AUTO_JSON json_t *j = schema_encode(s, obj);
	void *copy = xcalloc(1, s->size);
	int rc = schema_decode(s, copy, j, err);

	if (rc == 0)
		schema_done(s, copy);
	free(copy);
	return rc;
}
