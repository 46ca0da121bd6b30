/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/hear.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"

#define SMALL_BYTES 1024

static int give(const struct hear_row *row, struct wire *w, void *who, void *by, struct err *err)
{
	_Alignas(max_align_t) char room[SMALL_BYTES];
	bool small = row->schema->size <= sizeof(room);
	void *msg = small ? room : xmalloc(row->schema->size);
	int rc = (row->loosely ? wire_read_greeting : wire_read)(w, row->schema, msg, err);

	if (rc == 0) {
		rc = row->fn(who, by, msg, err);
		schema_done(row->schema, msg);
	}
	if (!small)
		free(msg);
	return rc;
}

int hear(const struct hear_row *rows, size_t n_rows, hear_may *may, void *who, void *by, const char *text, size_t len, struct err *err)
{
	const struct hear_row *row = NULL;
	struct wire w;
	int rc = wire_open(&w, text, len, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n_rows && !row; i++)
		if (strcmp(rows[i].type, w.type) == 0)
			row = &rows[i];
	rc = row ? may(who, by, row, err) : err_set(err, ERR_BAD_REQUEST, "unknown message '%s'", w.type);
	if (rc > 0)
		rc = give(row, &w, who, by, err);
	wire_done(&w);
	return rc;
}
