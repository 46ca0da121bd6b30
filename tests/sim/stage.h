/* SPDX-License-Identifier: Apache-2.0 */
/* What directed worlds share: vm1 on A, mirrored on B; the master on M, and it does not move to A or B. C and D look on. */
#ifndef TESTS_SIM_STAGE_H
#define TESTS_SIM_STAGE_H

#include "tests/sim/kernel.h"
#include "tests/sim/script.h"

enum { M, A, B, C, D, STAGE_MACHINES };

extern uint64_t stage_seed; /* of the world that runs: delays are drawn, what happens in which order is not */

/* Both return false, and keep the first text as the world's. */
bool stage_failed(const char *what); /* the schedule does not come about: the world shows nothing */
bool stage_broken(const char *what); /* what it is about has happened */

/* 5 voters, or 1: not arbitrated. more: of instance.add's arguments, beginning with a comma; or "". */
bool stage_begin(int voters, const char *more);

void stage_replication(bool on);               /* between A and B, DRBD's and all else's */
void stage_cut(int net, int a, int b, bool on); /* on: it is cut, in both directions */
void stage_isolate(int machine, bool on);      /* from everybody, on both networks */
struct replica *stage_on(int machine);
struct guest *stage_guest(int machine);
bool stage_until(bool (*holds)(void), int64_t us); /* looked at each millisecond */
void stage_run(int64_t us);

/* The request is sent, and goes on by itself: 0 when it was not taken. */
int64_t stage_job(const char *op, const char *args);
const char *stage_error(int64_t job);  /* "" = it has not failed, or not ended */
bool stage_ends(int64_t job, int64_t us); /* done, failed or canceled */

bool a_is_alone(void);   /* Primary, and goes on without its mirror */
bool a_is_frozen(void);
bool in_sync(void);
bool both_current(void); /* says the log */
bool both_primary(void);
bool b_runs(void);       /* vm1 executes there */

/* The worlds: directed_disk.c, directed_node.c. */
typedef bool stage_world(void);
stage_world late_report, late_yes, cut_off_from_all, target_asks_first, wrote_alone_unheard, cut_while_connected, marked_and_alone, no_disk_to_connect_with,
	lost_on_arrival;
stage_world nobody_guarded, connected_and_silent, off_without_effect, was_so_before, told_twice;

#endif
