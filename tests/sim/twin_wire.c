/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of schema/wire.h: a message travels as a copy of its struct, its text only names it: "@TYPE NUMBER". One in SAMPLE travels as the
 * JSON that it is on a real wire. Who keeps a text (links) holds what it names; what nobody holds any more is freed.
 */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/xmem.h"
#include "schema/limits.h"
#include "schema/wire.h"
#include "tests/sim/world.h"

#define SAMPLE 64

struct box {
	const struct schema *schema;
	int held;
	_Alignas(max_align_t) char msg[];
};

static struct box **boxes;
static int64_t n_boxes, cap_boxes;

void wire_world_new(void)
{
	n_boxes = 0; /* a world is a process: what an earlier one left is lost with it */
}

static char *json_of(const char *type, const struct schema *s, const void *msg)
{
	AUTO_JSON json_t *j = schema_encode(s, msg);

	json_object_set_new(j, "type", json_string(type));
	return json_text(j);
}

/* By hand: it is most of what is written in a world. */
static char *name_of(const char *type, int64_t number)
{
	char digits[24];
	size_t n = sizeof(digits), n_type = strlen(type);

	do
		digits[--n] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	char *text = xmalloc(n_type + 3 + sizeof(digits) - n);
	text[0] = '@';
	memcpy(text + 1, type, n_type);
	text[n_type + 1] = ' ';
	memcpy(text + n_type + 2, digits + n, sizeof(digits) - n);
	text[n_type + 2 + sizeof(digits) - n] = '\0';
	return text;
}

char *wire_text(const char *type, const struct schema *s, const void *msg)
{
	if (rng_below(&eng.rng, SAMPLE) == 0)
		return json_of(type, s, msg);
	if (n_boxes == cap_boxes) {
		cap_boxes = cap_boxes ? 2 * cap_boxes : 4096;
		boxes = xrealloc(boxes, (size_t)cap_boxes * sizeof(struct box *));
	}
	struct box *b = xmalloc(sizeof(*b) + s->size);
	b->schema = s;
	b->held = 0;
	schema_copy(s, b->msg, msg);
	boxes[n_boxes] = b;
	return name_of(type, n_boxes++);
}

/* One version in a world: everything is said at its level. */
char *wire_text_at(const char *type, const struct schema *s, const void *msg, int64_t level)
{
	(void)level;
	return wire_text(type, s, msg);
}

static struct box *box_of(const char *text, size_t len, int64_t *ret_number)
{
	const char *space = len && text[0] == '@' ? memchr(text, ' ', len) : NULL;

	if (!space)
		return NULL;
	*ret_number = 0;
	for (const char *c = space + 1; c < text + len && *c >= '0' && *c <= '9'; c++)
		*ret_number = 10 * *ret_number + (*c - '0');
	assert(*ret_number < n_boxes && boxes[*ret_number]);
	return boxes[*ret_number];
}

void wire_hold(const char *text, size_t len)
{
	int64_t number;
	struct box *b = box_of(text, len, &number);

	if (b)
		b->held++;
}

void wire_let_go(const char *text, size_t len)
{
	int64_t number;
	struct box *b = box_of(text, len, &number);

	if (!b || --b->held > 0)
		return;
	schema_done(b->schema, b->msg);
	free(b);
	boxes[number] = NULL;
}

struct inside {
	const struct box *box; /* or */
	json_t *j;
};

int wire_open(struct wire *w, const char *text, size_t len, struct err *err)
{
	struct inside in = { NULL, NULL };
	int64_t number;
	int rc = 0;

	in.box = box_of(text, len, &number);
	if (in.box) {
		const char *space = memchr(text, ' ', len);

		size_t n = (size_t)(space - text - 1);

		assert(n < sizeof(w->type));
		memcpy(w->type, text + 1, n);
		w->type[n] = '\0';
	} else {
		rc = json_parse(text, len, FRAME_MAX, &in.j, err);
	}
	if (rc < 0)
		return rc;
	if (in.j) {
		(void)str_copy(w->type, sizeof(w->type), json_str(in.j, "type", ""));
		(void)json_object_del(in.j, "type");
	}
	w->inside = xmalloc(sizeof(in));
	memcpy(w->inside, &in, sizeof(in));
	return 0;
}

int wire_read(struct wire *w, const struct schema *s, void *msg, struct err *err)
{
	const struct inside *in = w->inside;

	if (!in->box)
		return schema_decode(s, msg, in->j, err);
	assert(in->box->schema == s);
	schema_copy(s, msg, in->box->msg);
	return 0;
}

int wire_read_greeting(struct wire *w, const struct schema *s, void *msg, struct err *err)
{
	return wire_read(w, s, msg, err);
}

void wire_done(struct wire *w)
{
	struct inside *in = w->inside;

	json_decref(in->j);
	free(in);
	w->inside = NULL;
}
