/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a harness without libFuzzer: over each file of its corpus, and over what a seeded generator makes of it (cut short,
 * bytes changed, parts doubled or swapped with another input's). Named replay_NAME, it finds corpus/NAME by itself.
 *   replay_NAME [FILE...]    only these, unchanged: what a crash file is looked at with
 * GANTRY_FUZZ_ROUNDS: changed inputs for each file, default 40.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/rng.h"
#include "tests/fuzz/fuzz.h"

#define INPUTS_MAX 4096
#define INPUT_BYTES_MAX ((size_t)1024 * 1024)
#define ROUNDS 40

struct input {
	char name[300];
	uint8_t *data;
	size_t size;
};

static struct input inputs[INPUTS_MAX];
static int n_inputs;

static void read_input(const char *path)
{
	FILE *f = fopen(path, "re");
	struct input *in = &inputs[n_inputs];

	if (!f || n_inputs == INPUTS_MAX) {
		(void)fprintf(stderr, "replay: cannot read '%s': %s\n", path, f ? "too many inputs" : strerror(errno));
		exit(1);
	}
	in->data = malloc(INPUT_BYTES_MAX);
	if (!in->data)
		abort();
	in->size = fread(in->data, 1, INPUT_BYTES_MAX, f);
	(void)snprintf(in->name, sizeof(in->name), "%s", path);
	(void)fclose(f);
	n_inputs++;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct input *)a)->name, ((const struct input *)b)->name);
}

static void read_corpus(const char *program)
{
	const char *name = strrchr(program, '/'), *top = getenv("top_srcdir");
	char dir[200], path[300];
	struct dirent *e;

	name = name ? name + 1 : program;
	name = strncmp(name, "replay_", 7) == 0 ? name + 7 : name;
	(void)snprintf(dir, sizeof(dir), "%.120s/tests/fuzz/corpus/%.60s", top ? top : ".", name);
	DIR *d = opendir(dir);
	if (!d) {
		(void)fprintf(stderr, "replay: no corpus '%s': %s\n", dir, strerror(errno));
		exit(1);
	}
	while ((e = readdir(d)) != NULL) {
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/%.90s", dir, e->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			read_input(path);
	}
	(void)closedir(d);
	qsort(inputs, (size_t)n_inputs, sizeof(inputs[0]), by_name); /* the order decides what the generator makes */
}

/* The input that is being run, for whoever looks at the core dump or the log. */
static void run(const char *name, const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	if (getenv("GANTRY_FUZZ_VERBOSE"))
		(void)fprintf(stderr, "%s %zu bytes\n", name, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static size_t change(struct rng *r, const struct input *in, uint8_t *out, size_t room)
{
	static const char odd[] = "\"\\{}[]:,=<>&/\n\t 0-.e\x00\x7f\x80\xff";
	size_t n = in->size < room ? in->size : room;

	memcpy(out, in->data, n);
	if (n == 0)
		return 0;
	for (uint64_t k = 1 + rng_below(r, 4); k > 0; k--) {
		size_t at = (size_t)rng_below(r, n);

		switch (rng_below(r, 6)) {
		case 0: n = at + 1; break; /* cut short */
		case 1: out[at] = (uint8_t)rng_next(r); break;
		case 2: out[at] = (uint8_t)odd[rng_below(r, sizeof(odd) - 1)]; break;
		case 3: { /* a part is left out */
			size_t len = (size_t)rng_below(r, n - at) + 1;

			memmove(out + at, out + at + len, n - at - len);
			n -= len;
			break;
		}
		case 4: { /* a part stands there twice */
			size_t len = (size_t)rng_below(r, n - at) + 1;

			if (n + len <= room) {
				memmove(out + at + len, out + at, n - at);
				n += len;
			}
			break;
		}
		default: { /* another input's tail */
			const struct input *o = &inputs[rng_below(r, (uint64_t)n_inputs)];
			size_t from = o->size ? (size_t)rng_below(r, o->size) : 0, len = o->size - from;

			if (at + len <= room) {
				memcpy(out + at, o->data + from, len);
				n = at + len;
			}
		}
		}
		if (n == 0)
			return 0;
	}
	return n;
}

int main(int argc, char **argv)
{
	const char *text = getenv("GANTRY_FUZZ_ROUNDS");
	long rounds = text ? strtol(text, NULL, 10) : ROUNDS, runs = 0;
	struct rng r;

	for (int i = 1; i < argc; i++)
		read_input(argv[i]);
	if (argc == 1)
		read_corpus(argv[0]);
	if (n_inputs == 0) {
		(void)fprintf(stderr, "replay: the corpus is empty\n");
		return 1;
	}
	for (int i = 0; i < n_inputs; i++, runs++)
		run(inputs[i].name, inputs[i].data, inputs[i].size);
	rng_seed(&r, 1);
	uint8_t *room = malloc(2 * INPUT_BYTES_MAX);
	for (int i = 0; room && argc == 1 && i < n_inputs; i++)
		for (long k = 0; k < rounds; k++, runs++) {
			size_t n = change(&r, &inputs[i], room, 2 * INPUT_BYTES_MAX);

			run(inputs[i].name, room, n);
		}
	free(room);
	for (int i = 0; i < n_inputs; i++)
		free(inputs[i].data);
	(void)printf("%d inputs, %ld runs\n", n_inputs, runs);
	return 0;
}
