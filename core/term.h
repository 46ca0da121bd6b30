/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mastership, pure (DESIGN.md 2; doc/design/005-mastership.adoc). /gantry/term/master is written at a take-over only: the revision
 * of that write is the epoch. /gantry/term/beat is renewed by its holder, guarded by the epoch. A successor takes over by one
 * transaction that compares both keys with what it saw, after its own clock has seen no new beat for ttl + margin. A holder acts only
 * until the send time of its last committed beat + ttl.
 *
 * A holder that hands over has dropped its core (it says nothing any more) before it writes "resigned UUID" as its last beat: the node
 * named there need not wait, all others wait as for a dead master, the one that resigned a beat longer than they.
 *
 * All times derive from ha.lease: beat lease/12, ttl half a beat short of lease/4, margin lease/4. The lease stands in each beat, so that holder and candidates
 * count with the same one whatever the configuration says meanwhile: who has not seen the newest beat cannot take over, because the
 * transaction compares it.
 */
#ifndef CORE_TERM_H
#define CORE_TERM_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/limits.h"

#define TERM_PREFIX "/gantry/term/"
#define TERM_MASTER "/gantry/term/master"
#define TERM_BEAT "/gantry/term/beat"
#define TERM_SEQ "/gantry/seq"
#define TERM_RESIGNED "resigned" /* a beat: alone = to anybody, with a node behind it = to that one */

enum term_state { TERM_STANDBY, TERM_TAKING, TERM_LOADING, TERM_MASTERING, TERM_STALE, TERM_RESIGNING };

enum term_action {
	TERM_DO_READ = 1,   /* read TERM_PREFIX, then term_seen() or term_read_failed() */
	TERM_DO_LOOK = 256, /* the same, as the member at hand has it: store_ops.look() */
	TERM_DO_TAKE = 2,   /* the take-over transaction, then term_taken() */
	TERM_DO_BEAT = 4,   /* the beat transaction, then term_beaten() */
	TERM_DO_LOAD = 8,   /* read everything, start the core, then term_loaded() */
	TERM_DO_STOP = 16,  /* another one is master: drop the core */
	TERM_DO_PAUSE = 32, /* no commit for ttl: say nothing to anybody until TERM_DO_GO */
	TERM_DO_GO = 64,
	TERM_DO_RESIGN = 128, /* write term_resign_text() as the beat, guarded by the epoch, then term_resigned() */
};

struct term {
	enum term_state state;
	char self[UUID_LEN + 1];  /* our node */
	char boot[UUID_LEN + 1];  /* our boot: a predecessor of ours in the same boot is dead (we hold its lock) */
	int64_t lease_ms;         /* a candidate: of the newest beat seen. A holder: of the next beat */
	int64_t beat_lease_ms;    /* a holder: of the beat under way */
	int64_t epoch;            /* ours, from TERM_LOADING on */
	/* what was seen */
	char master[UUID_LEN + 1]; /* "" = none yet */
	char master_boot[UUID_LEN + 1];
	int64_t master_rev, beat_rev; /* 0 = absent */
	bool resigned;             /* to anybody, or to us */
	int64_t beat_seen_ms;     /* our clock when that beat was first seen */
	bool seen_any;
	bool doubt;                /* our take-over was refused, so what the member at hand showed was old: the majority is asked */
	/* timers and calls under way */
	int64_t next_ms;
	bool busy;
	int64_t beat_sent_ms;     /* of the beat under way */
	int64_t valid_until_ms;   /* send time of the last committed beat + ttl */
	char heir[UUID_LEN + 1];  /* TERM_RESIGNING: "" = anybody */
	int64_t hold_until_ms;    /* we resigned: not ours again before */
};

void term_init(struct term *t, const char *self, const char *boot, int64_t lease_ms, int64_t now_ms);
/* The cluster's setting has changed: from the next beat on. Only a holder has it from the configuration. */
void term_set_lease(struct term *t, int64_t lease_ms);
/* What TERM_DO_TAKE and TERM_DO_BEAT write as the beat. */
#define TERM_BEAT_LEN 48
void term_beat_text(const struct term *t, char out[TERM_BEAT_LEN]);
/* What is to be done now: a mask of TERM_DO_*. Call at least every beat. */
int term_tick(struct term *t, int64_t now_ms);

/* The answer to TERM_DO_READ: revisions are 0 when the key is absent; master_text "uuid boot". */
int term_seen(struct term *t, int64_t now_ms, const char *master_text, int64_t master_rev, const char *beat_text, int64_t beat_rev);
int term_read_failed(struct term *t, int64_t now_ms);
/* committed: epoch = the revision of the transaction. Refused or unknown: look again. */
int term_taken(struct term *t, int64_t now_ms, bool committed, int64_t epoch);
int term_loaded(struct term *t, int64_t now_ms, bool ok);
enum term_beat { TERM_BEAT_OK, TERM_BEAT_REFUSED, TERM_BEAT_UNKNOWN };
int term_beaten(struct term *t, int64_t now_ms, enum term_beat outcome);
/* A batch of the core was refused: another one is master. */
int term_deposed(struct term *t, int64_t now_ms);

/* Hands the mastership to heir ("" = anybody). The caller has dropped its core: from here on it is silent. */
int term_resign(struct term *t, int64_t now_ms, const char *heir);
/* The answer to TERM_DO_RESIGN, whatever it was: unless it landed the heir waits as for a dead master. */
void term_resigned(struct term *t, int64_t now_ms);
void term_resign_text(const struct term *t, char out[sizeof(TERM_RESIGNED) + UUID_LEN + 1]);

/* A standby's: has it seen, within ttl, a beat of another one who has not resigned? */
bool term_beats(const struct term *t, int64_t now_ms);
/* May the master speak at this moment? */
bool term_valid(const struct term *t, int64_t now_ms);
int64_t term_ttl_ms(const struct term *t);
int64_t term_margin_ms(const struct term *t);
int64_t term_beat_ms(const struct term *t);

#endif
