/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/enums.h"

#include <stddef.h>

const char *const template_names[] = { "drbd", "plain", "file", "diskless", NULL };
const char *const admin_state_names[] = { "down", "up", NULL };
const char *const liveness_names[] = { "online", "suspect", "lost", "fenced", NULL };
const char *const evidence_names[] = { "none", "lease", "power", "report", "person", NULL };
const char *const run_side_names[] = { "owner", "target", NULL };
const char *const ha_policy_names[] = { "none", "restart", "failover", NULL };
const char *const front_lost_names[] = { "evacuate", "leave", NULL };
const char *const disk_cache_names[] = { "none", "directsync", "writethrough", "writeback", NULL };
const char *const disk_bus_names[] = { "virtio", "scsi", "ide", NULL };
const char *const nic_model_names[] = { "virtio", "e1000", "rtl8139", NULL };
const char *const domain_type_names[] = { "kvm", "qemu", NULL };
const char *const reboot_type_names[] = { "soft", "hard", "full", NULL };
const char *const yes_no_names[] = { "no", "yes", NULL };
