/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/ops.h"

#include <string.h>

SCHEMA_DEFINE(op_none, OP_NONE_ROWS)
SCHEMA_DEFINE(op_list, OP_LIST_ROWS)
SCHEMA_DEFINE(op_cluster_init, OP_CLUSTER_INIT_ROWS)
SCHEMA_DEFINE(op_cluster_modify, OP_CLUSTER_MODIFY_ROWS)
SCHEMA_DEFINE(op_renew_crypto, OP_RENEW_CRYPTO_ROWS)
SCHEMA_DEFINE(op_cluster_backup, OP_CLUSTER_BACKUP_ROWS)
SCHEMA_DEFINE(op_cluster_export, OP_CLUSTER_EXPORT_ROWS)
SCHEMA_DEFINE(op_instance_confirm, OP_INSTANCE_CONFIRM_ROWS)
SCHEMA_DEFINE(op_cluster_restore, OP_CLUSTER_RESTORE_ROWS)
SCHEMA_DEFINE(op_cluster_recover, OP_CLUSTER_RECOVER_ROWS)
SCHEMA_DEFINE(op_cluster_destroy, OP_CLUSTER_DESTROY_ROWS)
SCHEMA_DEFINE(op_node_name, OP_NODE_NAME_ROWS)
SCHEMA_DEFINE(op_node_prepare, OP_NODE_PREPARE_ROWS)
SCHEMA_DEFINE(op_node_token, OP_NODE_TOKEN_ROWS)
SCHEMA_DEFINE(op_node_add, OP_NODE_ADD_ROWS)
SCHEMA_DEFINE(op_node_join, OP_NODE_JOIN_ROWS)
SCHEMA_DEFINE(op_node_admit, OP_NODE_ADMIT_ROWS)
SCHEMA_DEFINE(op_node_promote, OP_NODE_PROMOTE_ROWS)
SCHEMA_DEFINE(op_cluster_arbitrate, OP_CLUSTER_ARBITRATE_ROWS)
SCHEMA_DEFINE(op_node_modify, OP_NODE_MODIFY_ROWS)
SCHEMA_DEFINE(op_node_info, OP_NODE_INFO_ROWS)
SCHEMA_DEFINE(op_node_failover, OP_NODE_FAILOVER_ROWS)
SCHEMA_DEFINE(op_node_evacuate, OP_NODE_EVACUATE_ROWS)
SCHEMA_DEFINE(op_node_maintenance, OP_NODE_MAINTENANCE_ROWS)
SCHEMA_DEFINE(op_ha_report, OP_HA_REPORT_ROWS)
SCHEMA_DEFINE(op_node_fence, OP_NODE_FENCE_ROWS)
SCHEMA_DEFINE(op_instance_add, OP_INSTANCE_ADD_ROWS)
SCHEMA_DEFINE(op_instance_name, OP_INSTANCE_NAME_ROWS)
SCHEMA_DEFINE(op_instance_info, OP_INSTANCE_INFO_ROWS)
SCHEMA_DEFINE(op_instance_startup, OP_INSTANCE_STARTUP_ROWS)
SCHEMA_DEFINE(op_instance_shutdown, OP_INSTANCE_SHUTDOWN_ROWS)
SCHEMA_DEFINE(op_instance_reboot, OP_INSTANCE_REBOOT_ROWS)
SCHEMA_DEFINE(op_instance_console, OP_INSTANCE_CONSOLE_ROWS)
SCHEMA_DEFINE(op_instance_remove, OP_INSTANCE_REMOVE_ROWS)
SCHEMA_DEFINE(op_instance_modify, OP_INSTANCE_MODIFY_ROWS)
SCHEMA_DEFINE(op_instance_migrate, OP_INSTANCE_MIGRATE_ROWS)
SCHEMA_DEFINE(op_instance_failover, OP_INSTANCE_FAILOVER_ROWS)
SCHEMA_DEFINE(op_replace_disks, OP_REPLACE_DISKS_ROWS)
SCHEMA_DEFINE(op_instance_rename, OP_INSTANCE_RENAME_ROWS)
SCHEMA_DEFINE(op_grow_disk, OP_GROW_DISK_ROWS)
SCHEMA_DEFINE(op_disk_tails, OP_DISK_TAILS_ROWS)
SCHEMA_DEFINE(op_disk_remove_tail, OP_DISK_REMOVE_TAIL_ROWS)
SCHEMA_DEFINE(op_job_list, OP_JOB_LIST_ROWS)
SCHEMA_DEFINE(op_job_id, OP_JOB_ID_ROWS)
SCHEMA_DEFINE(op_job_wait, OP_JOB_WAIT_ROWS)
SCHEMA_DEFINE(op_debug_noop, OP_DEBUG_NOOP_ROWS)

const struct op_info op_infos[OP_COUNT] = {
#define OP(i, g, v, k, l, a, d, t, s)                                                                          \
	[OP_##g##_##v] = { .id = (i), .group = #g, .verb = #v, .name = #g "." #v, .kind = OP_##k,               \
			   .lock = OP_LOCK_##l, .acl = OP_##a, .danger = OP_##d, .args = &t##_schema, .summary = (s) },
	OPS(OP)
#undef OP
};

int op_by_name(const char *name)
{
	for (int i = 0; i < OP_COUNT; i++)
		if (strcmp(op_infos[i].name, name) == 0)
			return i;
	return -1;
}

static bool same_verb(const char *verb, const char *word)
{
	for (; *verb && *word; verb++, word++)
		if (*verb != *word && !(*verb == '_' && *word == '-'))
			return false;
	return *verb == *word;
}

int op_by_words(const char *group, const char *verb)
{
	for (int i = 0; i < OP_COUNT; i++)
		if (strcmp(op_infos[i].group, group) == 0 && same_verb(op_infos[i].verb, verb))
			return i;
	return -1;
}
