/* SPDX-License-Identifier: Apache-2.0 */
/* Repeatable random numbers from a seed (splitmix64). Not for secrets: those come from libsodium in io/. */
#ifndef COMMON_RNG_H
#define COMMON_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline void rng_seed(struct rng *r, uint64_t seed)
{
	r->state = seed;
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Uniform in [0, n); n > 0. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

/* A random (version 4) uuid text from this stream into out[37]. */
void rng_uuid(struct rng *r, char out[37]);
/* n hexadecimal digits and a NUL into out[n + 1]. */
void rng_hex(struct rng *r, char *out, int n);

#endif
