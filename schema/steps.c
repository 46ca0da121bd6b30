/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/steps.h"

#include <string.h>

SCHEMA_DEFINE(step_none, STEP_NONE_ROWS)
SCHEMA_DEFINE(step_ref, STEP_REF_ROWS)
SCHEMA_DEFINE(step_volume, STEP_VOLUME_ROWS)
SCHEMA_DEFINE(step_volumes, STEP_VOLUMES_ROWS)
SCHEMA_DEFINE(step_grow, STEP_GROW_ROWS)
SCHEMA_DEFINE(step_resize, STEP_RESIZE_ROWS)
SCHEMA_DEFINE(step_guest_grow, STEP_GUEST_GROW_ROWS)
SCHEMA_DEFINE(step_disk, STEP_DISK_ROWS)
SCHEMA_DEFINE(step_tail, STEP_TAIL_ROWS)
SCHEMA_DEFINE(step_image, STEP_IMAGE_ROWS)
SCHEMA_DEFINE(step_drbd_volume, STEP_DRBD_VOLUME_ROWS)
SCHEMA_DEFINE(step_drbd_peer, STEP_DRBD_PEER_ROWS)
SCHEMA_DEFINE(step_drbd_conf, STEP_DRBD_CONF_ROWS)
SCHEMA_DEFINE(step_tail_ref, STEP_TAIL_REF_ROWS)
SCHEMA_DEFINE(step_resource, STEP_RESOURCE_ROWS)
SCHEMA_DEFINE(step_guest_disk, STEP_GUEST_DISK_ROWS)
SCHEMA_DEFINE(step_guest, STEP_GUEST_ROWS)
SCHEMA_DEFINE(step_guest_ref, STEP_GUEST_REF_ROWS)
SCHEMA_DEFINE(step_migrate, STEP_MIGRATE_ROWS)
SCHEMA_DEFINE(step_admin, STEP_ADMIN_ROWS)
SCHEMA_DEFINE(step_rename, STEP_RENAME_ROWS)
SCHEMA_DEFINE(step_params, STEP_PARAMS_ROWS)
SCHEMA_DEFINE(step_own, STEP_OWN_ROWS)
SCHEMA_DEFINE(step_replicas, STEP_REPLICAS_ROWS)
SCHEMA_DEFINE(step_node, STEP_NODE_ROWS)
SCHEMA_DEFINE(step_fence_agent, STEP_FENCE_AGENT_ROWS)
SCHEMA_DEFINE(step_fence, STEP_FENCE_ROWS)
SCHEMA_DEFINE(step_member, STEP_MEMBER_ROWS)
SCHEMA_DEFINE(step_etcd, STEP_ETCD_ROWS)
SCHEMA_DEFINE(step_masterd, STEP_MASTERD_ROWS)
SCHEMA_DEFINE(step_certs, STEP_CERTS_ROWS)
SCHEMA_DEFINE(settings_node, SETTINGS_NODE_ROWS)
SCHEMA_DEFINE(step_settings, STEP_SETTINGS_ROWS)
SCHEMA_DEFINE(step_noop, STEP_NOOP_ROWS)

const struct step_info step_infos[STEP_KIND_COUNT] = {
#define STEP(kind, w, u, c, r, a, s)                                                                                 \
	[STEP_KIND_##kind] = { .name = #kind, .where = STEP_##w, .undo = STEP_##u, .class = STEP_##c, .retries = (r), \
			       .args = &a##_schema, .summary = (s) },
	STEP_KINDS(STEP)
#undef STEP
};

int step_kind_by_name(const char *name)
{
	for (int i = 0; i < STEP_KIND_COUNT; i++)
		if (strcmp(step_infos[i].name, name) == 0)
			return i;
	return -1;
}
