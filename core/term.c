/* SPDX-License-Identifier: Apache-2.0 */
#include "core/term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rule.h"
#include "common/xmem.h"

/*
 * Half a beat short of a quarter: a candidate sees the last beat and has taken over a little after both happened, and half a lease after the death there
 * shall be a new master all the same. It is the holder that is silent earlier for it; the margin is whole.
 */
static int64_t ttl_ms(int64_t lease_ms)
{
	return lease_ms / 4 - lease_ms / 24;
}

int64_t term_ttl_ms(const struct term *t)
{
	return ttl_ms(t->lease_ms);
}

int64_t term_margin_ms(const struct term *t)
{
	return t->lease_ms / 4;
}

int64_t term_beat_ms(const struct term *t)
{
	return t->lease_ms / 12;
}

void term_init(struct term *t, const char *self, const char *boot, int64_t lease_ms, int64_t now_ms)
{
	memset(t, 0, sizeof(*t));
	(void)str_copy(t->self, sizeof(t->self), self);
	(void)str_copy(t->boot, sizeof(t->boot), boot);
	t->lease_ms = lease_ms;
	t->next_ms = now_ms;
	t->state = TERM_STANDBY;
}

static void set_lease(struct term *t, int64_t lease_ms)
{
	if (lease_ms >= LEASE_MS_MIN && lease_ms <= LEASE_MS_MAX)
		t->lease_ms = lease_ms;
}

void term_set_lease(struct term *t, int64_t lease_ms)
{
	if (t->state == TERM_MASTERING || t->state == TERM_STALE)
		set_lease(t, lease_ms);
}

void term_beat_text(const struct term *t, char out[TERM_BEAT_LEN])
{
	(void)snprintf(out, TERM_BEAT_LEN, "%lld %lld", (long long)t->beat_sent_ms, (long long)t->beat_lease_ms);
}

bool term_valid(const struct term *t, int64_t now_ms)
{
	return t->state == TERM_MASTERING && (!RULE(SPEAK) || now_ms < t->valid_until_ms);
}

bool term_beats(const struct term *t, int64_t now_ms)
{
	return t->state == TERM_STANDBY && t->master_rev && !t->resigned && strcmp(t->master, t->self) != 0 && now_ms - t->beat_seen_ms < term_ttl_ms(t);
}

static int beat_now(struct term *t, int64_t now_ms)
{
	t->busy = true;
	t->beat_sent_ms = now_ms;
	t->beat_lease_ms = t->lease_ms;
	t->next_ms = now_ms + term_beat_ms(t);
	/* It may be seen and its answer lost: whoever has seen a shorter lease counts with it from then on, so do we. */
	if (t->valid_until_ms > now_ms + term_ttl_ms(t))
		t->valid_until_ms = now_ms + term_ttl_ms(t);
	return TERM_DO_BEAT;
}

int term_tick(struct term *t, int64_t now_ms)
{
	int todo = 0;

	if (t->state == TERM_MASTERING && now_ms >= t->valid_until_ms && RULE(SPEAK)) {
		t->state = TERM_STALE;
		todo |= TERM_DO_PAUSE;
	}
	if (t->busy || now_ms < t->next_ms)
		return todo;
	switch (t->state) {
	case TERM_STANDBY:
		t->busy = true;
		t->next_ms = now_ms + term_beat_ms(t);
		return todo | (t->doubt ? TERM_DO_READ : TERM_DO_LOOK);
	case TERM_MASTERING:
	case TERM_STALE:
		return todo | beat_now(t, now_ms);
	case TERM_TAKING:
	case TERM_LOADING:
	case TERM_RESIGNING:
	default:
		return todo;
	}
}

/* "resigned", or "resigned UUID". */
static bool resigned_to(const struct term *t, const char *beat_text)
{
	size_t n = strlen(TERM_RESIGNED);

	if (strncmp(beat_text, TERM_RESIGNED, n) != 0)
		return false;
	return !beat_text[n] || (beat_text[n] == ' ' && strcmp(beat_text + n + 1, t->self) == 0);
}

/* May the one that was seen be succeeded now? Only our own clock counts, and only what we saw ourselves. */
static bool may_take(const struct term *t, int64_t now_ms)
{
	if (now_ms < t->hold_until_ms)
		return false;
	if (!t->master_rev || t->resigned)
		return true;
	/* A predecessor on this node in this boot: masterd holds a lock on its state directory, so it is dead. */
	if (strcmp(t->master, t->self) == 0 && strcmp(t->master_boot, t->boot) == 0)
		return true;
	return !RULE(TAKE_WAIT) || now_ms - t->beat_seen_ms >= term_ttl_ms(t) + term_margin_ms(t);
}

/*
 * A beat that is seen late makes the wait for its silence begin late, and nobody is master for as long more. So the looks keep close to the beats: from
 * an eighth before the next is due each eighth, until it is there or so late that there is no rhythm to keep. And one when it may be taken.
 */
static int64_t next_look(const struct term *t, int64_t now_ms, bool fresh)
{
	int64_t beat = term_beat_ms(t), due = t->beat_seen_ms + term_ttl_ms(t) + term_margin_ms(t);
	int64_t next = now_ms + (fresh ? beat - beat / 8 : now_ms - t->beat_seen_ms < 2 * beat ? beat / 8 : beat);

	due = due > t->hold_until_ms ? due : t->hold_until_ms;
	return due < next ? due : next;
}

static const char *word(const char *text, char out[UUID_LEN + 1])
{
	size_t n;

	text += strspn(text, " ");
	n = strcspn(text, " ");
	(void)snprintf(out, UUID_LEN + 1, "%.*s", (int)(n < UUID_LEN ? n : UUID_LEN), text);
	return text + n;
}

/* "UUID BOOT". The same one is seen every second by everybody. */
static void read_master(struct term *t, const char *text)
{
	size_t n = strlen(t->master);

	if (n && strncmp(text, t->master, n) == 0 && text[n] == ' ' && strcmp(text + n + 1, t->master_boot) == 0)
		return;
	(void)word(word(text, t->master), t->master_boot);
}

/* The second number of "SENT LEASE"; 0 = there is none. */
static int64_t lease_in(const char *beat_text)
{
	char *end, *last;

	(void)strtoll(beat_text, &end, 10);
	long long lease_ms = strtoll(end, &last, 10);
	return end != beat_text && last != end ? lease_ms : 0;
}

int term_seen(struct term *t, int64_t now_ms, const char *master_text, int64_t master_rev, const char *beat_text, int64_t beat_rev)
{
	t->busy = false;
	if (t->state != TERM_STANDBY)
		return 0;
	bool fresh = !t->seen_any || beat_rev != t->beat_rev || master_rev != t->master_rev;
	if (fresh)
		t->beat_seen_ms = now_ms;
	t->seen_any = true;
	t->doubt = false;
	t->master_rev = master_rev;
	t->beat_rev = beat_rev;
	t->resigned = resigned_to(t, beat_text);
	read_master(t, master_text);
	set_lease(t, lease_in(beat_text)); /* a resignation has none: its writer says nothing any more */
	if (!may_take(t, now_ms)) {
		t->next_ms = next_look(t, now_ms, fresh);
		return 0;
	}
	t->state = TERM_TAKING;
	t->busy = true;
	t->beat_sent_ms = now_ms;
	t->beat_lease_ms = t->lease_ms;
	return TERM_DO_TAKE;
}

int term_read_failed(struct term *t, int64_t now_ms)
{
	(void)now_ms;
	t->busy = false;
	return 0;
}

int term_taken(struct term *t, int64_t now_ms, bool committed, int64_t epoch)
{
	t->busy = false;
	if (!committed) {
		/* Refused, or unknown: in both cases what stands in the store now says who is master. If it was ours after all, the next
		 * look shows our own node and boot, and it is taken again with a new epoch. */
		t->state = TERM_STANDBY;
		t->doubt = true;
		t->next_ms = now_ms;
		return 0;
	}
	t->state = TERM_LOADING;
	t->epoch = epoch;
	t->valid_until_ms = t->beat_sent_ms + ttl_ms(t->beat_lease_ms); /* the take-over writes the first beat */
	return TERM_DO_LOAD;
}

int term_loaded(struct term *t, int64_t now_ms, bool ok)
{
	if (!ok) {
		t->state = TERM_STANDBY;
		t->next_ms = now_ms + term_beat_ms(t);
		return 0;
	}
	t->state = now_ms < t->valid_until_ms ? TERM_MASTERING : TERM_STALE;
	return (t->state == TERM_STALE ? TERM_DO_PAUSE : 0) | beat_now(t, now_ms);
}

static int stop(struct term *t, int64_t now_ms)
{
	t->state = TERM_STANDBY;
	t->seen_any = false;
	t->next_ms = now_ms;
	t->valid_until_ms = 0;
	return TERM_DO_STOP;
}

int term_beaten(struct term *t, int64_t now_ms, enum term_beat outcome)
{
	t->busy = false;
	if (t->state == TERM_RESIGNING) { /* the beat that was under way: it must not come after the resignation */
		t->busy = true;
		return TERM_DO_RESIGN;
	}
	if (t->state != TERM_MASTERING && t->state != TERM_STALE)
		return 0;
	if (outcome == TERM_BEAT_REFUSED)
		return stop(t, now_ms);
	if (outcome == TERM_BEAT_UNKNOWN)
		return 0; /* the next beat tells; until then validity runs out by itself */
	t->valid_until_ms = t->beat_sent_ms + ttl_ms(t->beat_lease_ms);
	if (t->state == TERM_STALE && now_ms < t->valid_until_ms) {
		t->state = TERM_MASTERING;
		return TERM_DO_GO;
	}
	return 0;
}

int term_deposed(struct term *t, int64_t now_ms)
{
	if (t->state != TERM_MASTERING && t->state != TERM_STALE)
		return 0;
	return stop(t, now_ms);
}

int term_resign(struct term *t, int64_t now_ms, const char *heir)
{
	if (t->state != TERM_MASTERING && t->state != TERM_STALE)
		return 0;
	t->state = TERM_RESIGNING;
	t->valid_until_ms = 0;
	(void)str_copy(t->heir, sizeof(t->heir), heir);
	/* The others wait ttl + margin from when they saw the last beat; we a beat longer, so that an heir who lives always comes first. */
	t->hold_until_ms = now_ms + term_ttl_ms(t) + term_margin_ms(t) + 2 * term_beat_ms(t);
	if (t->busy)
		return 0;
	t->busy = true;
	return TERM_DO_RESIGN;
}

void term_resigned(struct term *t, int64_t now_ms)
{
	t->busy = false;
	(void)stop(t, now_ms);
}

void term_resign_text(const struct term *t, char out[sizeof(TERM_RESIGNED) + UUID_LEN + 1])
{
	(void)snprintf(out, sizeof(TERM_RESIGNED) + UUID_LEN + 1, "%s%s%s", TERM_RESIGNED, t->heir[0] ? " " : "", t->heir);
}
