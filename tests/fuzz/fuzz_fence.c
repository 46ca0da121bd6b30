/* SPDX-License-Identifier: Apache-2.0 */
/* The setting of a node's fence agents: what comes out is run as root, with these options on its standard input. */
#include "core/fence.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct step_fence f;
	char *text = fuzz_string(data, size);

	schema_init(&step_fence_schema, &f);
	if (fence_parse(text, &f, &err) == 0) {
		assert(f.n_agents >= 1 && f.n_agents <= FENCE_AGENTS_MAX);
		for (int i = 0; i < f.n_agents; i++) {
			const char *o = f.agents[i].options;

			assert(strncmp(f.agents[i].agent, "fence_", 6) == 0 && !strpbrk(f.agents[i].agent, "/. \n;|&$"));
			/* Lines of key=value, none of which chooses the action. */
			for (const char *p = o; *p; p = strchr(p, '\n') + 1) {
				assert(strchr(p, '\n') && strncmp(p, "action=", 7) != 0);
				assert(strcspn(p, "=") < strcspn(p, "\n"));
			}
		}
	} else {
		assert(err.code == ERR_BAD_VALUE || err.code == ERR_TOO_BIG);
	}
	schema_done(&step_fence_schema, &f);
	free(text);
	return 0;
}
