/* SPDX-License-Identifier: Apache-2.0 */
#include "fenced/dog.h"

#include <stddef.h>

struct move {
	enum dog_state next;
	enum dog_action action;
};

/* Armed by words only where the stamps say so too: a starved dog is not fed because somebody arms it once more. */
static const struct move moves[DOG_STATES][DOG_EVENTS] = {
	[DOG_OFF] = {
		[DOG_EV_ARM] = { DOG_ARMED, DOG_OPEN },
		[DOG_EV_DISARM] = { DOG_OFF, DOG_NOTHING },
		[DOG_EV_LIVE] = { DOG_OFF, DOG_NOTHING },
		[DOG_EV_DEAD] = { DOG_OFF, DOG_NOTHING },
		[DOG_EV_DRILL] = { DOG_DRILL, DOG_OPEN },
	},
	[DOG_ARMED] = {
		[DOG_EV_ARM] = { DOG_ARMED, DOG_SET },
		[DOG_EV_DISARM] = { DOG_OFF, DOG_CLOSE },
		[DOG_EV_LIVE] = { DOG_ARMED, DOG_FEED },
		[DOG_EV_DEAD] = { DOG_STARVED, DOG_NOTHING },
		[DOG_EV_DRILL] = { DOG_ARMED, DOG_NOTHING },
	},
	[DOG_STARVED] = {
		[DOG_EV_ARM] = { DOG_STARVED, DOG_NOTHING },
		[DOG_EV_DISARM] = { DOG_OFF, DOG_CLOSE },
		[DOG_EV_LIVE] = { DOG_ARMED, DOG_FEED },
		[DOG_EV_DEAD] = { DOG_STARVED, DOG_NOTHING },
		[DOG_EV_DRILL] = { DOG_STARVED, DOG_NOTHING },
	},
	[DOG_DRILL] = {
		[DOG_EV_ARM] = { DOG_DRILL, DOG_NOTHING },
		[DOG_EV_DISARM] = { DOG_OFF, DOG_CLOSE },
		[DOG_EV_LIVE] = { DOG_DRILL, DOG_NOTHING },
		[DOG_EV_DEAD] = { DOG_DRILL, DOG_NOTHING },
		[DOG_EV_DRILL] = { DOG_DRILL, DOG_NOTHING },
	},
};

const char *dog_state_name(enum dog_state s)
{
	static const char *const names[DOG_STATES] = { "off", "armed", "starved", "drill" };

	return s >= 0 && s < DOG_STATES ? names[s] : "?";
}

static enum dog_action move(struct dog *d, enum dog_event ev)
{
	const struct move *m = &moves[d->state][ev];

	d->state = m->next;
	return m->action;
}

static bool fresh(int64_t stamp_ms, int64_t now_ms, int64_t within_ms)
{
	return stamp_ms > 0 && now_ms - stamp_ms <= within_ms;
}

static bool alive(const struct dog *d, int64_t now_ms)
{
	return fresh(d->lease_ms, now_ms, d->x_ms) || fresh(d->vouch_ms, now_ms, d->v_ms);
}

enum dog_action dog_arm(struct dog *d, int64_t now_ms, int64_t x_ms, int64_t w_ms, int64_t v_ms)
{
	if (x_ms <= 0 || w_ms <= 0 || v_ms <= 0)
		return DOG_NOTHING;
	if (d->state == DOG_OFF) {
		struct dog as = *d;

		as.x_ms = x_ms;
		if (!fresh(as.lease_ms, now_ms, as.x_ms))
			return DOG_NOTHING;
	} else if (d->x_ms == x_ms && d->w_ms == w_ms && d->v_ms == v_ms) {
		return DOG_NOTHING;
	}
	enum dog_action a = move(d, DOG_EV_ARM);
	if (a == DOG_NOTHING)
		return a;
	d->x_ms = x_ms;
	d->w_ms = w_ms;
	d->v_ms = v_ms;
	d->fed_ms = now_ms; /* opening and setting start the device anew */
	return a;
}

enum dog_action dog_drill(struct dog *d, int64_t w_ms)
{
	if (w_ms <= 0)
		return DOG_NOTHING;
	enum dog_action a = move(d, DOG_EV_DRILL);
	if (a == DOG_OPEN)
		d->w_ms = w_ms;
	return a;
}

enum dog_action dog_disarm(struct dog *d, int64_t now_ms)
{
	(void)now_ms;
	return move(d, DOG_EV_DISARM);
}

enum dog_action dog_tick(struct dog *d, int64_t now_ms)
{
	enum dog_action a = move(d, alive(d, now_ms) ? DOG_EV_LIVE : DOG_EV_DEAD);

	if (a != DOG_FEED)
		return a;
	if (now_ms - d->fed_ms < d->w_ms / 4)
		return DOG_NOTHING;
	d->fed_ms = now_ms;
	return a;
}

static void stamp(int64_t *at, int64_t now_ms, int64_t new_ms)
{
	if (new_ms <= now_ms && new_ms > *at)
		*at = new_ms;
}

void dog_lease(struct dog *d, int64_t now_ms, int64_t sent_ms)
{
	stamp(&d->lease_ms, now_ms, sent_ms);
}

void dog_vouch(struct dog *d, int64_t now_ms, int64_t looked_ms)
{
	stamp(&d->vouch_ms, now_ms, looked_ms);
}

void dog_failed(struct dog *d)
{
	d->state = DOG_OFF;
}

int64_t dog_period_ms(const struct dog *d)
{
	int64_t p = d->w_ms / 8;

	if (d->state == DOG_OFF)
		return 0;
	return p < 20 ? 20 : p;
}
