/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/objects.h"

const char *const job_state_names[] = { "queued", "waiting", "running", "undoing", "success", "error", "canceled", "stuck", NULL };
const char *const step_state_names[] = { "pending", "started", "done", "failed", "skipped", "undoing", "undone", NULL };
const char *const record_event_names[] = { "started", "done", "failed", "undo-started", "undone", "undo-failed", NULL };

SCHEMA_DEFINE(beparams, BEPARAMS_ROWS)
SCHEMA_DEFINE(hvparams, HVPARAMS_ROWS)
SCHEMA_DEFINE(disk, DISK_ROWS)
SCHEMA_DEFINE(nic, NIC_ROWS)
SCHEMA_DEFINE(ownership, OWNERSHIP_ROWS)
SCHEMA_DEFINE(instance, INSTANCE_ROWS)
SCHEMA_DEFINE(node, NODE_ROWS)
SCHEMA_DEFINE(cluster, CLUSTER_ROWS)
SCHEMA_DEFINE(secret, SECRET_ROWS)
SCHEMA_DEFINE(token, TOKEN_ROWS)
SCHEMA_DEFINE(backup, BACKUP_ROWS)
SCHEMA_DEFINE(plan_step, PLAN_STEP_ROWS)
SCHEMA_DEFINE(job, JOB_ROWS)
SCHEMA_DEFINE(job_record, JOB_RECORD_ROWS)
SCHEMA_DEFINE(obs_guest, OBS_GUEST_ROWS)
SCHEMA_DEFINE(obs_drbd, OBS_DRBD_ROWS)
SCHEMA_DEFINE(obs_pool, OBS_POOL_ROWS)
SCHEMA_DEFINE(obs_tail, OBS_TAIL_ROWS)
SCHEMA_DEFINE(observed, OBSERVED_ROWS)
