/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields as data. A struct is declared once, as a list of rows (objects.h, ops.h, steps.h); from the rows come the C
 * struct, its table below, strict JSON decode and encode, the command line, help and manual text.
 *
 * "Unset": INT/SIZE FIELD_UNSET, BOOL and ENUM -1, STR "", TEXT and JSON NULL, LIST and STRS empty. schema_init() gives each
 * field its default, or unset; an unset field is left out of the JSON, but for a STR that has a default: there "" is a value.
 */
#ifndef SCHEMA_FIELD_H
#define SCHEMA_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "schema/limits.h"

#define FIELD_UNSET INT64_MIN

enum field_type {
	FIELD_STR,  /* char name[max + 1] */
	FIELD_TEXT, /* char *name, owned; at most max bytes */
	FIELD_INT,  /* int64_t in [min, max] */
	FIELD_SIZE, /* int64_t MiB; text may carry units */
	FIELD_BOOL, /* int: 0, 1 (-1 unset) */
	FIELD_ENUM, /* int: index into names (-1 unset) */
	FIELD_OBJ,  /* struct sub, in place */
	FIELD_LIST, /* struct sub *name; int n_name; owned */
	FIELD_STRS, /* char **name; int n_name; owned */
	FIELD_JSON, /* json_t *name; owned; any value */
};

/* Flags of a row. */
#define FIELD_REQUIRED 1u /* decode refuses it missing */
#define FIELD_SECRET 2u   /* never shown, never logged */
#define FIELD_HIDDEN 4u   /* not on the command line */
#define FIELD_REST 8u     /* positional: takes the remaining words */
#define FIELD_SINCE(level) ((unsigned)(level) << 8) /* came with this level (schema/level.h); else it was always there */

struct schema;

struct field {
	const char *name;
	enum field_type type;
	size_t offset, n_offset; /* n_offset: the count of LIST and STRS */
	int64_t min, max;        /* value range; length for STR/TEXT; count for LIST/STRS */
	unsigned flags;
	const char *def;         /* default as text; NULL = unset */
	const char *cli;         /* "" = --name; "@" positional; "-n" short option too */
	const char *const *names; /* ENUM: NULL-terminated */
	const struct schema *sub;
	const char *help;
};

struct schema_memo;

struct schema {
	const char *name;
	size_t size;
	const struct field *fields;
	int n_fields;
	struct schema_memo **memo; /* what value.c has worked out of the rows */
};

/* ---- values -------------------------------------------------------------------------------- */

void schema_init(const struct schema *s, void *obj);              /* defaults or unset; obj may be garbage before */
void schema_done(const struct schema *s, void *obj);              /* frees what it owns; then as after schema_init */
void schema_copy(const struct schema *s, void *dst, const void *src); /* dst may be garbage before; deep */
bool schema_equal(const struct schema *s, const void *a, const void *b);
/* src's set fields over dst's (for "modify" requests and parameter inheritance). */
void schema_merge(const struct schema *s, void *dst, const void *src);
/* Unsets what the paths name, "object.key" each: it is inherited again. */
int schema_reset(const struct schema *s, void *obj, char *const *paths, int n, struct err *err) WARN_UNUSED;
bool field_is_set(const struct field *f, const void *obj);
const struct field *schema_find(const struct schema *s, const char *name);
const struct field *const *schema_by_name(const struct schema *s); /* all of them, in that order */
/* The nearest right name for a wrong one, NULL when nothing is near. */
const char *schema_nearest(const struct schema *s, const char *name);
/* The same among words (NULL-terminated). */
const char *words_nearest(const char *const *words, const char *word);
/* Grows a LIST by one initialised element and returns it; asserts the row's maximum. */
void *schema_list_add(const struct field *f, void *obj);
void schema_list_remove(const struct field *f, void *obj, int index);
void strs_add(char ***list, int *n, const char *s);
void strs_clear(char ***list, int *n);
bool strs_has(char *const *list, int n, const char *s);
void strs_remove(char ***list, int *n, const char *s);

/* ---- JSON ---------------------------------------------------------------------------------- */

/* Strict: unknown field, wrong type, out of range, missing required are errors that name the field. obj is initialised
 * first; on error it is done (nothing to free). */
int schema_decode(const struct schema *s, void *obj, const json_t *j, struct err *err) WARN_UNUSED;
int schema_decode_text(const struct schema *s, void *obj, const char *text, struct err *err) WARN_UNUSED;
/* As schema_decode(), but passes over what it does not know: for what is said before it is known which level the other side speaks. */
int schema_decode_greeting(const struct schema *s, void *obj, const json_t *j, struct err *err) WARN_UNUSED;
json_t *schema_encode(const struct schema *s, const void *obj);       /* all set fields */
/* Without the rows that came after level: its readers would refuse them, and take the defaults' meaning. */
json_t *schema_encode_at(const struct schema *s, const void *obj, int64_t level);
char *schema_encode_text_at(const struct schema *s, const void *obj, int64_t level); /* gives */
/* The lowest level that can say what is set here, with *ret_field (may be NULL) the row that asks for it. */
int64_t schema_needs(const struct schema *s, const void *obj, const struct field **ret_field);
json_t *schema_encode_public(const struct schema *s, const void *obj); /* without FIELD_SECRET */
json_t *schema_json_public(const struct schema *s, const json_t *j);  /* the same of what is encoded already; gives */
char *schema_encode_text(const struct schema *s, const void *obj);     /* gives */

/* ---- text (command line, defaults) --------------------------------------------------------- */

/* One field from text: "10G", "yes", an enum's word; for OBJ "k=v,k=v" (commas in values doubled: ",,"). */
int field_set_text(const struct field *f, void *obj, const char *text, struct err *err) WARN_UNUSED;
/* An OBJ, where "key=default" takes a value back (Ganeti's word): "name.key" goes into the list, for schema_reset(). */
int field_set_text_or_reset(const struct field *f, void *obj, const char *text, char ***reset, int *n_reset, struct err *err) WARN_UNUSED;
/* One field as people read it, appended to out. */
void field_format(const struct field *f, const void *obj, struct buf *out);
/* Value access for generic code. */
int64_t field_int(const struct field *f, const void *obj);

/* Checks what the rows say (ranges, required, enum) on a struct that was filled by code. */
int schema_check(const struct schema *s, const void *obj, struct err *err) WARN_UNUSED;

/* ---- declaring ------------------------------------------------------------------------------ */

/*
 * A row list is a macro ROWS(F, T) of F(T, KIND, name, ...) entries:
 *   F(T, STR,  name, max, flags, default, cli, help)        F(T, TEXT, name, max, flags, default, cli, help)
 *   F(T, INT,  name, min, max, flags, default, cli, help)   F(T, SIZE, name, min, max, flags, default, cli, help)
 *   F(T, BOOL, name, flags, default, cli, help)             F(T, ENUM, name, names, flags, default, cli, help)
 *   F(T, OBJ,  name, struct_tag, flags, cli, help)          F(T, LIST, name, struct_tag, max, flags, cli, help)
 *   F(T, STRS, name, max, flags, cli, help)                 F(T, JSON, name, flags, cli, help)
 */
#define FIELD_MEMBER(T, KIND, ...) FIELD_MEMBER_##KIND(__VA_ARGS__)
#define FIELD_MEMBER_STR(n, max, ...) char n[(max) + 1];
#define FIELD_MEMBER_TEXT(n, ...) char *n;
#define FIELD_MEMBER_INT(n, ...) int64_t n;
#define FIELD_MEMBER_SIZE(n, ...) int64_t n;
#define FIELD_MEMBER_BOOL(n, ...) int n;
#define FIELD_MEMBER_ENUM(n, ...) int n;
#define FIELD_MEMBER_OBJ(n, tag, ...) struct tag n;
#define FIELD_MEMBER_LIST(n, tag, ...) struct tag *n; int n_##n;
#define FIELD_MEMBER_STRS(n, ...) char **n; int n_##n;
#define FIELD_MEMBER_JSON(n, ...) json_t *n;

/* Struct and extern table: in headers. */
#define SCHEMA_DECLARE(tag, ROWS)                \
	struct tag {                             \
		ROWS(FIELD_MEMBER, tag)          \
	};                                       \
	extern const struct schema tag##_schema;

#define FIELD_ROW(T, KIND, ...) FIELD_ROW_##KIND(T, __VA_ARGS__)
#define FIELD_ROW_STR(T, n, mx, fl, df, cl, hl) \
	{ .name = #n, .type = FIELD_STR, .offset = offsetof(struct T, n), .max = (mx), .flags = (fl), .def = (df), .cli = (cl), .help = (hl) },
#define FIELD_ROW_TEXT(T, n, mx, fl, df, cl, hl) \
	{ .name = #n, .type = FIELD_TEXT, .offset = offsetof(struct T, n), .max = (mx), .flags = (fl), .def = (df), .cli = (cl), .help = (hl) },
#define FIELD_ROW_INT(T, n, mn, mx, fl, df, cl, hl) \
	{ .name = #n, .type = FIELD_INT, .offset = offsetof(struct T, n), .min = (mn), .max = (mx), .flags = (fl), .def = (df), .cli = (cl), .help = (hl) },
#define FIELD_ROW_SIZE(T, n, mn, mx, fl, df, cl, hl) \
	{ .name = #n, .type = FIELD_SIZE, .offset = offsetof(struct T, n), .min = (mn), .max = (mx), .flags = (fl), .def = (df), .cli = (cl), .help = (hl) },
#define FIELD_ROW_BOOL(T, n, fl, df, cl, hl) \
	{ .name = #n, .type = FIELD_BOOL, .offset = offsetof(struct T, n), .flags = (fl), .def = (df), .cli = (cl), .help = (hl) },
#define FIELD_ROW_ENUM(T, n, nm, fl, df, cl, hl) \
	{ .name = #n, .type = FIELD_ENUM, .offset = offsetof(struct T, n), .flags = (fl), .def = (df), .cli = (cl), .names = (nm), .help = (hl) },
#define FIELD_ROW_OBJ(T, n, tag, fl, cl, hl) \
	{ .name = #n, .type = FIELD_OBJ, .offset = offsetof(struct T, n), .flags = (fl), .cli = (cl), .sub = &tag##_schema, .help = (hl) },
#define FIELD_ROW_LIST(T, n, tag, mx, fl, cl, hl) \
	{ .name = #n, .type = FIELD_LIST, .offset = offsetof(struct T, n), .n_offset = offsetof(struct T, n_##n), .max = (mx), .flags = (fl), .cli = (cl), .sub = &tag##_schema, .help = (hl) },
#define FIELD_ROW_STRS(T, n, mx, fl, cl, hl) \
	{ .name = #n, .type = FIELD_STRS, .offset = offsetof(struct T, n), .n_offset = offsetof(struct T, n_##n), .max = (mx), .flags = (fl), .cli = (cl), .help = (hl) },
#define FIELD_ROW_JSON(T, n, fl, cl, hl) \
	{ .name = #n, .type = FIELD_JSON, .offset = offsetof(struct T, n), .flags = (fl), .cli = (cl), .help = (hl) },

/* Table: in one .c file. */
#define SCHEMA_DEFINE(tag, ROWS)                                                    \
	static const struct field tag##_fields[] = { ROWS(FIELD_ROW, tag) };        \
	static struct schema_memo *tag##_memo;                                      \
	const struct schema tag##_schema = {                                        \
		.name = #tag, .size = sizeof(struct tag), .fields = tag##_fields,   \
		.n_fields = (int)ARRAY_SIZE(tag##_fields), .memo = &tag##_memo,     \
	};

#endif
