/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the watchdog is opened, fed and closed, pure: time comes with the event. doc/design/008-liveness.adoc has the arithmetic.
 *
 *   fed only while  now - lease <= X  (the newest answered beat was sent then)
 *           or      now - vouch <= V  (a look began then that found every guarded guest dead or connected)
 */
#ifndef FENCED_DOG_H
#define FENCED_DOG_H

#include <stdbool.h>
#include <stdint.h>

enum dog_state { DOG_OFF, DOG_ARMED, DOG_STARVED, DOG_DRILL, DOG_STATES };
enum dog_event { DOG_EV_ARM, DOG_EV_DISARM, DOG_EV_LIVE, DOG_EV_DEAD, DOG_EV_DRILL, DOG_EVENTS };
enum dog_action { DOG_NOTHING, DOG_OPEN, DOG_SET, DOG_FEED, DOG_CLOSE };

struct dog {
	enum dog_state state;
	int64_t x_ms, w_ms, v_ms;
	int64_t lease_ms, vouch_ms; /* newest stamps; 0 = none yet */
	int64_t fed_ms;
};

const char *dog_state_name(enum dog_state s);
/* Each gives what is to be done with the device at once, before the clock is read again. */
enum dog_action dog_arm(struct dog *d, int64_t now_ms, int64_t x_ms, int64_t w_ms, int64_t v_ms);
/* A fire drill: opened and then not fed, whatever the stamps say. Only where nothing is guarded; only a disarm ends it, or the reset. */
enum dog_action dog_drill(struct dog *d, int64_t w_ms);
enum dog_action dog_disarm(struct dog *d, int64_t now_ms);
enum dog_action dog_tick(struct dog *d, int64_t now_ms);
/* Stamps of the future are lies or bugs, older ones are late: both are ignored. */
void dog_lease(struct dog *d, int64_t now_ms, int64_t sent_ms);
void dog_vouch(struct dog *d, int64_t now_ms, int64_t looked_ms);
/* The device could not be opened or set: nothing is armed. */
void dog_failed(struct dog *d);
/* How often dog_tick() wants to be called; 0 = not at all. */
int64_t dog_period_ms(const struct dog *d);

#endif
