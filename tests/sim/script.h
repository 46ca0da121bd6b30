/* SPDX-License-Identifier: Apache-2.0 */
/* An operator: files requests, waits for their jobs, waits until all is quiet. */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "tests/sim/world.h"

/* Asks until somebody answers. The job's number; 0 = refused (why is in script_answer()) or answered at once. */
int64_t script_request(const char *op, const char *args_json, int64_t max_us);
const char *script_answer(void);
/* The state of a job by the store: "success", "error", ..., "?" = none such. */
const char *script_job_state(int64_t job);
/* A field of its record, as text. */
void script_job_says(int64_t job, const char *field, const char *if_unset, const char *if_gone, char *out, size_t size);
/* Runs until no job is open and check_rest() holds, that long in a row. False = W.why says what is not so. */
bool script_settle(int64_t max_us);
/* Asks, waits for the job's end, settles; true when it ended with success. */
bool script_do(const char *op, const char *args_json);
/* A token, and that machine joins by it. */
bool script_join(struct machine *m);

#endif
