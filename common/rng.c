/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rng.h"

#include <stdio.h>

void rng_hex(struct rng *r, char *out, int n)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < n; i++)
		out[i] = digits[rng_below(r, 16)];
	out[n] = '\0';
}

void rng_uuid(struct rng *r, char out[37])
{
	uint64_t a = rng_next(r), b = rng_next(r);

	(void)snprintf(out, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffffu,
		       (unsigned)a & 0xfffu, ((unsigned)(b >> 48) & 0x3fffu) | 0x8000u,
		       (unsigned long long)(b & UINT64_C(0xffffffffffff)));
}
