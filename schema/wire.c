/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/wire.h"

#include "common/json.h"
#include "common/xmem.h"
#include "schema/limits.h"

char *wire_text(const char *type, const struct schema *s, const void *msg)
{
	return wire_text_at(type, s, msg, LEVEL_MAX);
}

char *wire_text_at(const char *type, const struct schema *s, const void *msg, int64_t level)
{
	AUTO_JSON json_t *j = schema_encode_at(s, msg, level);

	json_object_set_new(j, "type", json_string(type));
	return json_text(j);
}

int wire_open(struct wire *w, const char *text, size_t len, struct err *err)
{
	json_t *j = NULL;
	int rc = json_parse(text, len, FRAME_MAX, &j, err);

	if (rc < 0)
		return rc;
	if (str_copy(w->type, sizeof(w->type), json_str(j, "type", "")) < 0)
		w->type[0] = '\0';
	(void)json_object_del(j, "type");
	w->inside = j;
	return 0;
}

int wire_read(struct wire *w, const struct schema *s, void *msg, struct err *err)
{
	return schema_decode(s, msg, w->inside, err);
}

int wire_read_greeting(struct wire *w, const struct schema *s, void *msg, struct err *err)
{
	return schema_decode_greeting(s, msg, w->inside, err);
}

void wire_done(struct wire *w)
{
	json_decref(w->inside);
	w->inside = NULL;
}
