/* SPDX-License-Identifier: Apache-2.0 */
#include "io/link_frame.h"

#include <assert.h>
#include <string.h>

#define KEEP_BYTES ((size_t)64 * 1024) /* a buffer that grew beyond is not kept for the next frame */

void link_frames_init(struct link_frames *f, size_t max_bytes)
{
	assert(max_bytes > 0 && max_bytes <= UINT32_MAX);
	memset(f, 0, sizeof(*f));
	f->max_bytes = max_bytes;
}

void link_frames_done(struct link_frames *f)
{
	buf_done(&f->body);
}

void link_frame_head(size_t len, unsigned char out[LINK_FRAME_HEAD])
{
	assert(len <= UINT32_MAX);
	out[0] = (unsigned char)(len >> 24);
	out[1] = (unsigned char)(len >> 16);
	out[2] = (unsigned char)(len >> 8);
	out[3] = (unsigned char)len;
}

static int head_complete(struct link_frames *f, struct err *err)
{
	f->want = (size_t)f->head[0] << 24 | (size_t)f->head[1] << 16 | (size_t)f->head[2] << 8 | (size_t)f->head[3];
	if (f->want == 0)
		return err_set(err, ERR_BAD_REQUEST, "an empty frame came");
	if (f->want > f->max_bytes)
		return err_set(err, ERR_TOO_BIG, "a frame of %zu bytes was announced, at most %zu are allowed", f->want,
			       f->max_bytes);
	return 0;
}

static bool deliver(struct link_frames *f, link_frame_fn *fn, void *arg)
{
	bool more = fn(arg, f->body.data, f->body.len);

	f->n_head = 0;
	if (f->body.cap > KEEP_BYTES)
		buf_done(&f->body);
	else
		buf_reset(&f->body);
	return more;
}

int link_frames_feed(struct link_frames *f, const void *data, size_t len, link_frame_fn *fn, void *arg, struct err *err)
{
	const unsigned char *p = data;

	while (len > 0) {
		if (f->n_head < LINK_FRAME_HEAD) {
			f->head[f->n_head++] = *p++;
			len--;
			int rc = f->n_head == LINK_FRAME_HEAD ? head_complete(f, err) : 0;
			if (rc < 0)
				return rc;
			continue;
		}
		size_t missing = f->want - f->body.len, n = len < missing ? len : missing;
		int rc = buf_add(&f->body, p, n);
		assert(rc == 0); /* max_bytes is far below the buffer's own limit */
		(void)rc;
		p += n;
		len -= n;
		if (f->body.len == f->want && !deliver(f, fn, arg))
			return 0;
	}
	return 0;
}
