/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/drbd/words.h"

#include <assert.h>
#include <string.h>

/* ---- words ------------------------------------------------------------------------------------ */

bool word_next(const char **p, const char *end, struct word *ret)
{
	const char *s = *p;

	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	if (s == end)
		return false;
	const char *stop = s;
	while (stop < end && *stop != ' ' && *stop != '\t')
		stop++;
	const char *colon = memchr(s, ':', (size_t)(stop - s));
	ret->key = colon ? s : "";
	ret->key_len = colon ? (size_t)(colon - s) : 0;
	ret->value = colon ? colon + 1 : s;
	ret->value_len = (size_t)(stop - ret->value);
	*p = stop;
	return true;
}

bool word_key_is(const struct word *w, const char *key)
{
	return w->key_len == strlen(key) && memcmp(w->key, key, w->key_len) == 0;
}

bool word_value_is(const struct word *w, const char *value)
{
	return w->value_len == strlen(value) && memcmp(w->value, value, w->value_len) == 0;
}

bool word_number(const struct word *w, int64_t max, int64_t *ret)
{
	int64_t n = 0;

	if (w->value_len == 0)
		return false;
	for (size_t i = 0; i < w->value_len; i++) {
		int digit = w->value[i] - '0';

		if (digit < 0 || digit > 9 || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return true;
}

/* "12.34" percent -> 123 permille; anything odd (the tools divide by zero now and then) -> 0. */
static int permille_of(const struct word *w)
{
	int value = 0, decimals = -1;

	for (size_t i = 0; i < w->value_len && decimals < 1; i++) {
		char c = w->value[i];

		if (c == '.' && decimals < 0) {
			decimals = 0;
		} else if (c >= '0' && c <= '9' && value <= 1000) {
			value = value * 10 + (c - '0');
			decimals += decimals >= 0;
		} else {
			return 0;
		}
	}
	if (decimals < 1)
		value *= 10;
	return value > 1000 ? 1000 : value;
}

/* ---- names of states -------------------------------------------------------------------------- */

struct name_row {
	const char *name;
	int value;
};

static int look_up(const struct name_row *rows, size_t n, const struct word *w, int other)
{
	for (size_t i = 0; i < n; i++)
		if (word_value_is(w, rows[i].name))
			return rows[i].value;
	return other;
}

static enum drbd_role role_of(const struct word *w)
{
	static const struct name_row rows[] = {
	    {"Primary", DRBD_ROLE_PRIMARY},
	    {"Secondary", DRBD_ROLE_SECONDARY},
	};

	return (enum drbd_role)look_up(rows, ARRAY_SIZE(rows), w, DRBD_ROLE_UNKNOWN);
}

/* Any state behind the handshake is a replication state of an established connection; whether it is behind it the volumes say (8.4). */
static enum drbd_cstate cstate_of(const struct word *w)
{
	static const struct name_row rows[] = {
	    {"StandAlone", DRBD_CONN_STANDALONE},        {"Disconnecting", DRBD_CONN_DISCONNECTING},
	    {"Unconnected", DRBD_CONN_UNCONNECTED},      {"Timeout", DRBD_CONN_TIMEOUT},
	    {"BrokenPipe", DRBD_CONN_BROKEN_PIPE},       {"NetworkFailure", DRBD_CONN_NETWORK_FAILURE},
	    {"ProtocolError", DRBD_CONN_PROTOCOL_ERROR}, {"TearDown", DRBD_CONN_TEARDOWN},
	    {"Connecting", DRBD_CONN_CONNECTING},        {"WFConnection", DRBD_CONN_CONNECTING},
	    {"Connected", DRBD_CONN_CONNECTED},          {"WFReportParams", DRBD_CONN_CONNECTED},
	};

	return (enum drbd_cstate)look_up(rows, ARRAY_SIZE(rows), w, DRBD_CONN_UNCONNECTED);
}

static enum drbd_dstate dstate_of(const struct word *w)
{
	static const struct name_row rows[] = {
	    {"Diskless", DRBD_DISK_DISKLESS},       {"Attaching", DRBD_DISK_ATTACHING},
	    {"Detaching", DRBD_DISK_DETACHING},     {"Failed", DRBD_DISK_FAILED},
	    {"Negotiating", DRBD_DISK_NEGOTIATING}, {"Inconsistent", DRBD_DISK_INCONSISTENT},
	    {"Outdated", DRBD_DISK_OUTDATED},       {"DUnknown", DRBD_DISK_UNKNOWN},
	    {"Consistent", DRBD_DISK_CONSISTENT},   {"UpToDate", DRBD_DISK_UPTODATE},
	};

	return (enum drbd_dstate)look_up(rows, ARRAY_SIZE(rows), w, DRBD_DISK_UNKNOWN);
}

/* 8.4 prints the connection's state here while there is no replication. */
static enum drbd_repl repl_of(const struct word *w)
{
	static const struct name_row rows[] = {
	    {"Off", DRBD_REPL_OFF},
	    {"StandAlone", DRBD_REPL_OFF},
	    {"Disconnecting", DRBD_REPL_OFF},
	    {"Unconnected", DRBD_REPL_OFF},
	    {"Timeout", DRBD_REPL_OFF},
	    {"BrokenPipe", DRBD_REPL_OFF},
	    {"NetworkFailure", DRBD_REPL_OFF},
	    {"ProtocolError", DRBD_REPL_OFF},
	    {"TearDown", DRBD_REPL_OFF},
	    {"WFConnection", DRBD_REPL_OFF},
	    {"WFReportParams", DRBD_REPL_OFF},
	    {"Established", DRBD_REPL_ESTABLISHED},
	    {"Connected", DRBD_REPL_ESTABLISHED},
	    {"SyncSource", DRBD_REPL_SYNC_SOURCE},
	    {"SyncTarget", DRBD_REPL_SYNC_TARGET},
	    {"PausedSyncS", DRBD_REPL_PAUSED_SYNC},
	    {"PausedSyncT", DRBD_REPL_PAUSED_SYNC},
	};

	return (enum drbd_repl)look_up(rows, ARRAY_SIZE(rows), w, DRBD_REPL_OTHER);
}

static bool is_syncing(enum drbd_repl r)
{
	return r == DRBD_REPL_SYNC_SOURCE || r == DRBD_REPL_SYNC_TARGET || r == DRBD_REPL_PAUSED_SYNC;
}

/* ---- the table's rows ------------------------------------------------------------------------- */

void drbdm_status_no_peer(struct drbd_status *s)
{
	s->conn = DRBD_CONN_STANDALONE;
	s->peer_role = DRBD_ROLE_UNKNOWN;
	for (int i = 0; i < s->n_volumes; i++) {
		s->volumes[i].peer_disk = DRBD_DISK_UNKNOWN;
		s->volumes[i].repl = DRBD_REPL_OFF;
		s->volumes[i].done_permille = 1000;
	}
}

void drbdm_status_init(struct drbd_status *s)
{
	memset(s, 0, sizeof(*s));
	s->up = true;
	drbdm_status_no_peer(s);
}

struct drbd_volume_status *drbdm_status_volume(struct drbd_status *s, int index)
{
	int at = 0;

	while (at < s->n_volumes && s->volumes[at].index < index)
		at++;
	if (at < s->n_volumes && s->volumes[at].index == index)
		return &s->volumes[at];
	if (s->n_volumes == DISKS_MAX)
		return NULL;
	memmove(&s->volumes[at + 1], &s->volumes[at], (size_t)(s->n_volumes - at) * sizeof(s->volumes[0]));
	s->volumes[at] = (struct drbd_volume_status){
	    .index = index,
	    .minor = -1,
	    .disk = DRBD_DISK_NONE,
	    .peer_disk = DRBD_DISK_UNKNOWN,
	    .repl = DRBD_REPL_OFF,
	    .done_permille = 1000,
	};
	s->n_volumes++;
	return &s->volumes[at];
}

void drbdm_status_drop_volume(struct drbd_status *s, int index)
{
	for (int i = 0; i < s->n_volumes; i++) {
		if (s->volumes[i].index != index)
			continue;
		s->n_volumes--;
		memmove(&s->volumes[i], &s->volumes[i + 1], (size_t)(s->n_volumes - i) * sizeof(s->volumes[0]));
		memset(&s->volumes[s->n_volumes], 0, sizeof(s->volumes[0]));
		return;
	}
}

/* "no", or a list of reasons: "user,no-data,fencing,quorum". */
static void set_suspended(struct drbd_status *s, const struct word *w)
{
	s->suspended_fencing = s->suspended_no_data = s->suspended_other = false;
	for (size_t i = 0; i < w->value_len;) {
		const char *part = w->value + i;
		const char *comma = memchr(part, ',', w->value_len - i);
		size_t len = comma ? (size_t)(comma - part) : w->value_len - i;

		if (len == 7 && memcmp(part, "fencing", 7) == 0)
			s->suspended_fencing = true;
		else if (len == 7 && memcmp(part, "no-data", 7) == 0)
			s->suspended_no_data = true;
		else if (len > 0 && !(len == 2 && memcmp(part, "no", 2) == 0))
			s->suspended_other = true;
		i += len + 1;
	}
}

void drbdm_set_resource(struct drbd_status *s, const struct word *w)
{
	if (word_key_is(w, "role"))
		s->role = role_of(w);
	else if (word_key_is(w, "suspended"))
		set_suspended(s, w);
}

void drbdm_set_device(struct drbd_volume_status *v, const struct word *w)
{
	int64_t n = 0;

	if (word_key_is(w, "disk"))
		v->disk = dstate_of(w);
	else if (word_key_is(w, "minor") && word_number(w, INT32_MAX, &n))
		v->minor = (int)n;
}

void drbdm_set_connection(struct drbd_status *s, const struct word *w)
{
	if (word_key_is(w, "connection"))
		s->conn = cstate_of(w);
	else if (word_key_is(w, "role"))
		s->peer_role = role_of(w);
}

void drbdm_set_peer_device(struct drbd_volume_status *v, const struct word *w)
{
	int64_t n = 0;

	if (word_key_is(w, "replication")) {
		bool was = is_syncing(v->repl);

		v->repl = repl_of(w);
		if (is_syncing(v->repl) != was)
			v->done_permille = was ? 1000 : 0;
	} else if (word_key_is(w, "peer-disk")) {
		v->peer_disk = dstate_of(w);
	} else if (word_key_is(w, "out-of-sync") && word_number(w, INT64_MAX, &n)) {
		v->out_of_sync_kib = n;
	} else if (word_key_is(w, "done") && is_syncing(v->repl)) {
		v->done_permille = permille_of(w); /* also printed for a verify, which is no resync */
	}
}
