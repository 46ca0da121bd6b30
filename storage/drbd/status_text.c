/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/drbd/status_text.h"

#include <string.h>

#include "common/xmem.h"
#include "storage/drbd/words.h"

#define RESOURCES_MAX 4096

/*
 * A resource stands at column 0, its devices ("volume:") and peers (a name) at column 2, a peer's volumes
 * at column 4. Everything further in, or without those first words, goes on with the line before: the tool
 * wraps long lines.
 */
enum context { IN_NOTHING, IN_RESOURCE, IN_DEVICE, IN_PEER, IN_PEER_DEVICE, IN_OTHER_PEER };

struct reader {
	struct drbd_status *list; /* owned */
	int n;
	struct drbd_status *now; /* the resource being read; NULL = one that is left out */
	struct drbd_volume_status *volume;
	bool has_peer;
	enum context in;
};

static void begin_resource(struct reader *r, const struct word *w)
{
	r->now = NULL;
	r->volume = NULL;
	r->has_peer = false;
	r->in = IN_NOTHING;
	if (w->key_len > 0 || w->value_len == 0 || w->value_len > NAME_LEN || r->n == RESOURCES_MAX)
		return;
	r->list = xrealloc(r->list, ((size_t)r->n + 1) * sizeof(*r->list));
	r->now = &r->list[r->n++];
	drbdm_status_init(r->now);
	memcpy(r->now->resource, w->value, w->value_len);
	r->in = IN_RESOURCE;
}

static void begin_volume(struct reader *r, const struct word *w, enum context in)
{
	int64_t index = 0;

	r->volume = NULL;
	if (r->now && word_number(w, INT32_MAX, &index))
		r->volume = drbdm_status_volume(r->now, (int)index);
	r->in = in;
}

static void begin_peer(struct reader *r)
{
	r->in = r->has_peer ? IN_OTHER_PEER : IN_PEER;
	r->has_peer = true;
	r->volume = NULL;
}

static void take_word(struct reader *r, const struct word *w)
{
	if (!r->now)
		return;
	switch (r->in) {
	case IN_RESOURCE:
		drbdm_set_resource(r->now, w);
		break;
	case IN_DEVICE:
		if (r->volume)
			drbdm_set_device(r->volume, w);
		break;
	case IN_PEER:
		drbdm_set_connection(r->now, w);
		break;
	case IN_PEER_DEVICE:
		if (r->volume)
			drbdm_set_peer_device(r->volume, w);
		break;
	case IN_NOTHING:
	case IN_OTHER_PEER:
		break;
	}
}

static void take_line(struct reader *r, const char *line, const char *end)
{
	const char *p = line;
	struct word w;

	while (p < end && *p == ' ')
		p++;
	size_t column = (size_t)(p - line);
	if (p == end || *p == '#' || !word_next(&p, end, &w))
		return;
	bool is_volume = word_key_is(&w, "volume");
	if (column == 0)
		begin_resource(r, &w);
	else if (column == 2 && is_volume)
		begin_volume(r, &w, IN_DEVICE);
	else if (column == 2 && (w.key_len == 0 || word_key_is(&w, "node-id")))
		begin_peer(r);
	else if (column == 4 && is_volume && (r->in == IN_PEER || r->in == IN_PEER_DEVICE))
		begin_volume(r, &w, IN_PEER_DEVICE);
	else
		take_word(r, &w);
	while (word_next(&p, end, &w))
		take_word(r, &w);
}

int drbdm_parse_status(const char *text, size_t len, struct drbd_status **ret, int *ret_n, struct err *err)
{
	struct reader r = {.in = IN_NOTHING};
	const char *end = text + len;

	if (memchr(text, '\0', len))
		return err_set(err, ERR_COMMAND_FAILED, "drbdsetup's status has a zero byte in it");
	r.list = xcalloc(1, sizeof(*r.list));
	for (const char *p = text; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (!eol)
			eol = end;
		take_line(&r, p, eol);
		p = eol < end ? eol + 1 : end;
	}
	*ret = r.list;
	*ret_n = r.n;
	return 0;
}
