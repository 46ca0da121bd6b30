/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints how many thousand times a second this machine's time stamp counter ticks. An emulated machine's counter is this one;
 * left to measure it by itself while the host is busy, its kernel can be wrong by a factor of seven, and its clock with it.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct sample {
	uint64_t ticks, ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Both clocks at one moment: of many tries the one that was interrupted least. */
static struct sample both(void)
{
	struct sample best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();

		if (after - before < least) {
			least = after - before;
			best = (struct sample){ before + (after - before) / 2, ns };
		}
	}
	return best;
}

int main(void)
{
	struct sample a = both(), b;

	do
		b = both();
	while (b.ns - a.ns < 300000000u);
	printf("%llu\n", (unsigned long long)((b.ticks - a.ticks) * 1000000u / (b.ns - a.ns)));
	return 0;
}
