/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "schema/field.h"

static void *at(const struct field *f, const void *obj)
{
	return (char *)(uintptr_t)obj + f->offset;
}

static int *count(const struct field *f, const void *obj)
{
	return (int *)(void *)((char *)(uintptr_t)obj + f->n_offset);
}

/*
 * Objects of some schemas are made, copied and freed for each message and each look: what follows from the rows alone is worked out once, by whoever
 * comes first. Workers come too, so it is published whole; it is kept for good.
 */
struct schema_memo {
	void *fresh;      /* an object as schema_init() leaves it */
	bool fresh_owns;  /* a default is a text of its own */
	const struct field **by_name;
	int n_deep;       /* the fields that own something, or hold objects that do: all that a copy of the bytes does not copy */
	const struct field *deep[];
};

static const struct schema_memo *memo_of(const struct schema *s);
static void field_copy(const struct field *f, void *dst, const void *src);
static void field_free(const struct field *f, void *obj);

static void unset(const struct field *f, void *obj)
{
	void *p = at(f, obj);

	switch (f->type) {
	case FIELD_STR: *(char *)p = '\0'; break;
	case FIELD_TEXT: *(char **)p = NULL; break;
	case FIELD_INT:
	case FIELD_SIZE: *(int64_t *)p = FIELD_UNSET; break;
	case FIELD_BOOL:
	case FIELD_ENUM: *(int *)p = -1; break;
	case FIELD_OBJ: schema_init(f->sub, p); break;
	case FIELD_LIST:
	case FIELD_STRS:
		*(void **)p = NULL;
		*count(f, obj) = 0;
		break;
	case FIELD_JSON: *(json_t **)p = NULL; break;
	default: assert(!"field type");
	}
}

static void set_default(const struct field *f, void *obj)
{
	struct err err = ERR_INIT;
	int rc = field_set_text(f, obj, f->def, &err);

	assert(rc == 0);
}

static bool owns(const struct field *f)
{
	switch (f->type) {
	case FIELD_TEXT:
	case FIELD_LIST:
	case FIELD_STRS:
	case FIELD_JSON: return true;
	case FIELD_OBJ: return memo_of(f->sub)->n_deep > 0;
	default: return false;
	}
}

static int name_order(const void *a, const void *b)
{
	const struct field *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static struct schema_memo *memo_make(const struct schema *s)
{
	struct schema_memo *m = xcalloc(1, sizeof(*m) + (size_t)s->n_fields * sizeof(m->deep[0]));

	m->fresh = xcalloc(1, s->size);
	m->by_name = xcalloc((size_t)s->n_fields, sizeof(*m->by_name));
	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		m->by_name[i] = f;
		unset(f, m->fresh);
		if (f->def && f->def[0])
			set_default(f, m->fresh);
		if (!owns(f))
			continue;
		m->deep[m->n_deep++] = f;
		m->fresh_owns = m->fresh_owns || (f->type == FIELD_OBJ ? memo_of(f->sub)->fresh_owns : f->type == FIELD_TEXT && f->def && f->def[0]);
	}
	qsort(m->by_name, (size_t)s->n_fields, sizeof(*m->by_name), name_order);
	return m;
}

static void memo_free(struct schema_memo *m)
{
	for (int i = 0; i < m->n_deep; i++)
		field_free(m->deep[i], m->fresh);
	free(m->fresh);
	free(m->by_name);
	free(m);
}

static const struct schema_memo *memo_of(const struct schema *s)
{
	struct schema_memo *m = __atomic_load_n(s->memo, __ATOMIC_ACQUIRE), *first = NULL;

	if (m)
		return m;
	m = memo_make(s);
	if (__atomic_compare_exchange_n(s->memo, &first, m, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return m;
	memo_free(m); /* another thread was quicker */
	return first;
}

const struct field *const *schema_by_name(const struct schema *s)
{
	return memo_of(s)->by_name;
}

void schema_init(const struct schema *s, void *obj)
{
	const struct schema_memo *m = memo_of(s);

	memcpy(obj, m->fresh, s->size);
	for (int i = 0; m->fresh_owns && i < m->n_deep; i++)
		field_copy(m->deep[i], obj, m->fresh);
}

static void release(const struct schema *s, void *obj);

static void field_free(const struct field *f, void *obj)
{
	void *p = at(f, obj);

	switch (f->type) {
	case FIELD_TEXT: free(*(char **)p); break;
	case FIELD_OBJ: release(f->sub, p); break;
	case FIELD_LIST:
		for (int i = 0; i < *count(f, obj); i++)
			release(f->sub, *(char **)p + (size_t)i * f->sub->size);
		free(*(void **)p);
		break;
	case FIELD_STRS: strs_clear((char ***)p, count(f, obj)); break;
	case FIELD_JSON: json_decref(*(json_t **)p); break;
	default: break;
	}
}

/* What is a part of another is not made anew before that is: its defaults may own something. */
static void release(const struct schema *s, void *obj)
{
	const struct schema_memo *m = memo_of(s);

	for (int i = 0; i < m->n_deep; i++)
		field_free(m->deep[i], obj);
}

void schema_done(const struct schema *s, void *obj)
{
	release(s, obj);
	schema_init(s, obj);
}

/* Lists have no capacity of their own: it is always the next power of two of the count. */
static size_t list_room(int n)
{
	size_t room = 1;

	while (room < (size_t)n)
		room *= 2;
	return room;
}

static void field_copy(const struct field *f, void *dst, const void *src)
{
	void *d = at(f, dst);
	const void *p = at(f, src);

	switch (f->type) {
	case FIELD_STR: memcpy(d, p, (size_t)f->max + 1); break;
	case FIELD_TEXT: *(char **)d = *(char *const *)p ? xstrdup(*(char *const *)p) : NULL; break;
	case FIELD_INT:
	case FIELD_SIZE: *(int64_t *)d = *(const int64_t *)p; break;
	case FIELD_BOOL:
	case FIELD_ENUM: *(int *)d = *(const int *)p; break;
	case FIELD_OBJ: schema_copy(f->sub, d, p); break;
	case FIELD_LIST: {
		int n = *count(f, src);

		*(void **)d = n ? xcalloc(list_room(n), f->sub->size) : NULL;
		*count(f, dst) = n;
		for (int i = 0; i < n; i++)
			schema_copy(f->sub, *(char **)d + (size_t)i * f->sub->size, *(char *const *)p + (size_t)i * f->sub->size);
		break;
	}
	case FIELD_STRS:
		*(char ***)d = NULL;
		*count(f, dst) = 0;
		for (int i = 0; i < *count(f, src); i++)
			strs_add((char ***)d, count(f, dst), (*(char **const *)p)[i]);
		break;
	case FIELD_JSON: *(json_t **)d = *(json_t *const *)p ? json_deep_copy(*(json_t *const *)p) : NULL; break;
	default: assert(!"field type");
	}
}

void schema_copy(const struct schema *s, void *dst, const void *src)
{
	const struct schema_memo *m = memo_of(s);

	memcpy(dst, src, s->size);
	for (int i = 0; i < m->n_deep; i++)
		field_copy(m->deep[i], dst, src);
}

static bool field_equal(const struct field *f, const void *a, const void *b)
{
	const void *p = at(f, a), *q = at(f, b);

	switch (f->type) {
	case FIELD_STR: return strcmp(p, q) == 0;
	case FIELD_TEXT: {
		const char *x = *(char *const *)p, *y = *(char *const *)q;

		return x && y ? strcmp(x, y) == 0 : x == y;
	}
	case FIELD_INT:
	case FIELD_SIZE: return *(const int64_t *)p == *(const int64_t *)q;
	case FIELD_BOOL:
	case FIELD_ENUM: return *(const int *)p == *(const int *)q;
	case FIELD_OBJ: return schema_equal(f->sub, p, q);
	case FIELD_LIST:
		if (*count(f, a) != *count(f, b))
			return false;
		for (int i = 0; i < *count(f, a); i++)
			if (!schema_equal(f->sub, *(char *const *)p + (size_t)i * f->sub->size, *(char *const *)q + (size_t)i * f->sub->size))
				return false;
		return true;
	case FIELD_STRS:
		if (*count(f, a) != *count(f, b))
			return false;
		for (int i = 0; i < *count(f, a); i++)
			if (strcmp((*(char **const *)p)[i], (*(char **const *)q)[i]) != 0)
				return false;
		return true;
	case FIELD_JSON: return json_equal(*(json_t *const *)p, *(json_t *const *)q) || *(json_t *const *)p == *(json_t *const *)q;
	default: return false;
	}
}

bool schema_equal(const struct schema *s, const void *a, const void *b)
{
	for (int i = 0; i < s->n_fields; i++)
		if (!field_equal(&s->fields[i], a, b))
			return false;
	return true;
}

bool field_is_set(const struct field *f, const void *obj)
{
	const void *p = at(f, obj);

	switch (f->type) {
	case FIELD_STR: return *(const char *)p != '\0';
	case FIELD_TEXT: return *(char *const *)p != NULL;
	case FIELD_INT:
	case FIELD_SIZE: return *(const int64_t *)p != FIELD_UNSET;
	case FIELD_BOOL:
	case FIELD_ENUM: return *(const int *)p >= 0;
	case FIELD_OBJ:
		for (int i = 0; i < f->sub->n_fields; i++)
			if (field_is_set(&f->sub->fields[i], p))
				return true;
		return false;
	case FIELD_LIST:
	case FIELD_STRS: return *count(f, obj) > 0;
	case FIELD_JSON: return *(json_t *const *)p != NULL;
	default: return false;
	}
}

void schema_merge(const struct schema *s, void *dst, const void *src)
{
	for (int i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (!field_is_set(f, src))
			continue;
		if (f->type == FIELD_OBJ) {
			schema_merge(f->sub, at(f, dst), at(f, src));
			continue;
		}
		field_free(f, dst);
		unset(f, dst);
		field_copy(f, dst, src);
	}
}

const struct field *schema_find(const struct schema *s, const char *name)
{
	for (int i = 0; i < s->n_fields; i++)
		if (strcmp(s->fields[i].name, name) == 0)
			return &s->fields[i];
	return NULL;
}

int schema_reset(const struct schema *s, void *obj, char *const *paths, int n, struct err *err)
{
	for (int i = 0; i < n; i++) {
		const char *dot = strchr(paths[i], '.');
		AUTO_FREE char *name = dot ? xstrndup(paths[i], (size_t)(dot - paths[i])) : xstrdup(paths[i]);
		const struct field *of = schema_find(s, name);
		const struct field *f = of && of->type == FIELD_OBJ && dot ? schema_find(of->sub, dot + 1) : NULL;

		if (!f)
			return err_set(err, ERR_UNKNOWN_KEY, "there is no parameter '%s' to reset", paths[i]);
		field_free(f, at(of, obj));
		unset(f, at(of, obj));
	}
	return 0;
}

/* Edit distance, capped: names are short. */
static int distance(const char *a, const char *b)
{
	int row[64];
	int n = (int)strlen(a), m = (int)strlen(b);

	if (n >= 63 || m >= 63)
		return 99;
	for (int j = 0; j <= m; j++)
		row[j] = j;
	for (int i = 1; i <= n; i++) {
		int diagonal = row[0];

		row[0] = i;
		for (int j = 1; j <= m; j++) {
			int keep = row[j], best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = keep;
		}
	}
	return row[m];
}

const char *schema_nearest(const struct schema *s, const char *name)
{
	const char *best = NULL;
	int least = 1 + (int)strlen(name) / 2;

	for (int i = 0; i < s->n_fields; i++) {
		int d = distance(name, s->fields[i].name);

		if (d < least) {
			least = d;
			best = s->fields[i].name;
		}
	}
	return best;
}

const char *words_nearest(const char *const *words, const char *word)
{
	const char *best = NULL;
	int least = 1 + (int)strlen(word) / 2;

	for (; *words; words++) {
		int d = distance(word, *words);

		if (d < least) {
			least = d;
			best = *words;
		}
	}
	return best;
}

void *schema_list_add(const struct field *f, void *obj)
{
	void **list = at(f, obj);
	int *n = count(f, obj);

	assert(f->type == FIELD_LIST && *n < f->max);
	if ((*n & (*n - 1)) == 0) /* grows by doubling: the allocation is the next power of two */
		*list = xrealloc(*list, (size_t)(*n ? 2 * *n : 1) * f->sub->size);
	void *e = (char *)*list + (size_t)*n * f->sub->size;
	schema_init(f->sub, e);
	(*n)++;
	return e;
}

void schema_list_remove(const struct field *f, void *obj, int index)
{
	char *list = *(char **)at(f, obj);
	int *n = count(f, obj);

	assert(f->type == FIELD_LIST && index >= 0 && index < *n);
	release(f->sub, list + (size_t)index * f->sub->size);
	memmove(list + (size_t)index * f->sub->size, list + (size_t)(index + 1) * f->sub->size, (size_t)(*n - index - 1) * f->sub->size);
	(*n)--;
	*(void **)at(f, obj) = xrealloc(list, list_room(*n) * f->sub->size);
}

void strs_add(char ***list, int *n, const char *s)
{
	*list = xrealloc(*list, (size_t)(*n + 1) * sizeof(**list));
	(*list)[(*n)++] = xstrdup(s);
}

void strs_clear(char ***list, int *n)
{
	for (int i = 0; i < *n; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
	*n = 0;
}

bool strs_has(char *const *list, int n, const char *s)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

void strs_remove(char ***list, int *n, const char *s)
{
	int kept = 0;

	for (int i = 0; i < *n; i++) {
		if (strcmp((*list)[i], s) == 0)
			free((*list)[i]);
		else
			(*list)[kept++] = (*list)[i];
	}
	*n = kept;
	if (kept == 0) {
		free(*list);
		*list = NULL;
	}
}

int64_t field_int(const struct field *f, const void *obj)
{
	const void *p = at(f, obj);

	return f->type == FIELD_BOOL || f->type == FIELD_ENUM ? *(const int *)p : *(const int64_t *)p;
}
