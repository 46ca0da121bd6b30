/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "storage/storage.h"

const char *drbd_role_name(enum drbd_role r)
{
	static const char *const names[] = {
	    [DRBD_ROLE_UNKNOWN] = "Unknown",
	    [DRBD_ROLE_PRIMARY] = "Primary",
	    [DRBD_ROLE_SECONDARY] = "Secondary",
	};

	assert((size_t)r < ARRAY_SIZE(names));
	return names[r];
}

const char *drbd_cstate_name(enum drbd_cstate c)
{
	static const char *const names[] = {
	    [DRBD_CONN_NONE] = "None",
	    [DRBD_CONN_STANDALONE] = "StandAlone",
	    [DRBD_CONN_DISCONNECTING] = "Disconnecting",
	    [DRBD_CONN_UNCONNECTED] = "Unconnected",
	    [DRBD_CONN_TIMEOUT] = "Timeout",
	    [DRBD_CONN_BROKEN_PIPE] = "BrokenPipe",
	    [DRBD_CONN_NETWORK_FAILURE] = "NetworkFailure",
	    [DRBD_CONN_PROTOCOL_ERROR] = "ProtocolError",
	    [DRBD_CONN_TEARDOWN] = "TearDown",
	    [DRBD_CONN_CONNECTING] = "Connecting",
	    [DRBD_CONN_CONNECTED] = "Connected",
	};

	assert((size_t)c < ARRAY_SIZE(names));
	return names[c];
}

const char *drbd_dstate_name(enum drbd_dstate s)
{
	static const char *const names[] = {
	    [DRBD_DISK_NONE] = "None",
	    [DRBD_DISK_DISKLESS] = "Diskless",
	    [DRBD_DISK_ATTACHING] = "Attaching",
	    [DRBD_DISK_DETACHING] = "Detaching",
	    [DRBD_DISK_FAILED] = "Failed",
	    [DRBD_DISK_NEGOTIATING] = "Negotiating",
	    [DRBD_DISK_INCONSISTENT] = "Inconsistent",
	    [DRBD_DISK_OUTDATED] = "Outdated",
	    [DRBD_DISK_UNKNOWN] = "DUnknown",
	    [DRBD_DISK_CONSISTENT] = "Consistent",
	    [DRBD_DISK_UPTODATE] = "UpToDate",
	};

	assert((size_t)s < ARRAY_SIZE(names));
	return names[s];
}

const char *drbd_repl_name(enum drbd_repl r)
{
	static const char *const names[] = {
	    [DRBD_REPL_OFF] = "Off",
	    [DRBD_REPL_ESTABLISHED] = "Established",
	    [DRBD_REPL_SYNC_SOURCE] = "SyncSource",
	    [DRBD_REPL_SYNC_TARGET] = "SyncTarget",
	    [DRBD_REPL_PAUSED_SYNC] = "PausedSync",
	    [DRBD_REPL_OTHER] = "Other",
	};

	assert((size_t)r < ARRAY_SIZE(names));
	return names[r];
}

bool drbd_status_uptodate(const struct drbd_status *s)
{
	if (!s->up || s->n_volumes == 0)
		return false;
	for (int i = 0; i < s->n_volumes; i++)
		if (s->volumes[i].disk != DRBD_DISK_UPTODATE)
			return false;
	return true;
}

bool drbd_status_shakes_hands(const struct drbd_status *s)
{
	for (int i = 0; i < s->n_volumes; i++)
		if (s->conn == DRBD_CONN_CONNECTED && s->volumes[i].repl == DRBD_REPL_OFF)
			return true;
	return false;
}

bool drbd_status_frozen(const struct drbd_status *s)
{
	return s->suspended_fencing || s->suspended_no_data || s->suspended_other;
}

bool drbd_status_peer_has_all(const struct drbd_status *s)
{
	/* Frozen and connected is a state in passing: the stream says "suspended" before it says "disconnected". */
	if (!s->up || s->conn != DRBD_CONN_CONNECTED || s->suspended_fencing || s->suspended_no_data)
		return false;
	for (int i = 0; i < s->n_volumes; i++) {
		const struct drbd_volume_status *v = &s->volumes[i];

		if (v->peer_disk != DRBD_DISK_UPTODATE || v->repl != DRBD_REPL_ESTABLISHED || (v->disk != DRBD_DISK_UPTODATE && v->disk != DRBD_DISK_DISKLESS))
			return false;
	}
	return s->n_volumes > 0;
}

bool drbd_status_in_sync(const struct drbd_status *s)
{
	return drbd_status_uptodate(s) && drbd_status_peer_has_all(s);
}
