/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between gantry-noded and gantry-masterd as they travel: a JSON object with "type" beside the fields of its rows (schema/msgs.h).
 * Both sides read and write them here alone, so that the simulation can pass structs instead (tests/sim/twin_wire.c).
 */
#ifndef SCHEMA_WIRE_H
#define SCHEMA_WIRE_H

#include "schema/field.h"

struct wire {
	char type[32]; /* "" = it says none, or one that is too long */
	void *inside;
};

char *wire_text(const char *type, const struct schema *s, const void *msg); /* gives */
char *wire_text_at(const char *type, const struct schema *s, const void *msg, int64_t level); /* gives; schema_encode_at() */
/* On error there is nothing to be done with w. */
int wire_open(struct wire *w, const char *text, size_t len, struct err *err) WARN_UNUSED;
/* As schema_decode(). */
int wire_read(struct wire *w, const struct schema *s, void *msg, struct err *err) WARN_UNUSED;
/* As schema_decode_greeting(). */
int wire_read_greeting(struct wire *w, const struct schema *s, void *msg, struct err *err) WARN_UNUSED;
void wire_done(struct wire *w);

#endif
