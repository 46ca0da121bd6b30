/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/runner.h"

#include "storage/exec.h"

void runner_result_done(struct runner_result *res)
{
	buf_done(&res->out);
	buf_done(&res->err);
}

int runner_must(struct runner *r, const char *const argv[], const char *input, int timeout_ms,
		struct runner_result *ret, struct err *err)
{
	int rc = r->run(r, argv, input, timeout_ms, ret, err);

	if (rc < 0)
		return rc;
	if (ret->status != 0)
		return exec_failed(argv, ret, ERR_COMMAND_FAILED, err);
	return 0;
}
