/* SPDX-License-Identifier: Apache-2.0 */
/* What directed worlds share: vm1 on A, mirrored on B; the master is M, C or D, never A or B. */
#ifndef TESTS_SIM_STAGE_H
#define TESTS_SIM_STAGE_H

#include "tests/sim/kernel.h"
#include "tests/sim/script.h"

enum { M, A, B, C, D, STAGE_MACHINES };

extern int stage_extra; /* machines besides these: set before stage_begin() */
extern uint64_t stage_seed; /* of the world that runs: delays are drawn, what happens in which order is not */

/* Both return false, and keep the first text as the world's. */
bool stage_failed(const char *what); /* the schedule does not come about: the world shows nothing */
bool stage_broken(const char *what); /* what it is about has happened */

/* 5 voters, or 1: not arbitrated. more: of instance.add's arguments, beginning with a comma; or "". */
bool stage_begin(int voters, const char *more);

void stage_replication(bool on);               /* between A and B, DRBD's and all else's */
void stage_cut(int net, int a, int b, bool on); /* on: it is cut, in both directions */
void stage_isolate(int machine, bool on);      /* from everybody, on both networks */
void stage_part(int a, int b, bool on);        /* these two from all others, on both networks */
void stage_slow(int machine, const char *call, int64_t us); /* the next call of that name there hangs so long before it does anything */
struct replica *stage_on(int machine);
struct guest *stage_guest(int machine);
bool stage_until(bool (*holds)(void), int64_t us); /* looked at each millisecond */
void stage_run(int64_t us);

/* The request is sent, and goes on by itself: 0 when it was not taken. */
int64_t stage_job(const char *op, const char *args);
const char *stage_error(int64_t job);  /* "" = it has not failed, or not ended */
bool stage_ends(int64_t job, int64_t us); /* done, failed or canceled */
/* B is back, A is off: a person says so, and asks for a failover, which has so much time to end, well or not. ret_job: it; may be NULL. */
bool stage_word_and_failover(int64_t us, int64_t *ret_job);

bool a_is_alone(void);   /* Primary, and goes on without its mirror */
bool a_is_frozen(void);
bool in_sync(void);
int stage_master(void);  /* whose masterd it is, by the log */
json_t *stage_own(void); /* gives vm1's record of ownership, as the log has it */
bool both_current(void); /* says the log */
bool a_is_current_alone(void);
bool both_primary(void);
bool a_runs(void);       /* vm1 executes there */
bool b_runs(void);
bool somebody_runs(void);
bool tool_is_slow(void); /* the call that hangs has begun */

/* The worlds: directed_disk.c, directed_hung.c, directed_late.c, directed_lost.c, directed_master.c, directed_node.c, directed_replace.c, directed_split.c. */
typedef bool stage_world(void);
stage_world finished_when_down, finished_after_reset_of_both, down_by_a_person;
stage_world late_report, late_yes, cut_off_from_all, target_asks_first, wrote_alone_unheard, cut_while_connected, marked_and_alone, no_disk_to_connect_with,
	lost_on_arrival;
stage_world late_yes_to_handler, outrun_by_cut, outrun_by_resume, late_question, asks_without_disk, asks_from_outside, late_no, mark_not_written, wish_hangs, replaced_mirror;
stage_world cut_off_with_master, order_of_deposed, late_commit_of_deposed, late_commit_of_own, order_after_the_job, dead_link;
stage_world yes_for_a_lost_disk, yes_used_before_the_loss, frozen_then_lost, taken_of_one_off, taken_of_one_that_answers, taken_though_marked, failed_over_at_once,
	no_data_any_more, migrated_off_a_dead_disk, migrated_off_without_arbitration, lost_on_the_way_off;
stage_world source_lost_when_replaced, source_lost_when_rebuilt, source_lost_in_resync;
stage_world frozen_where_drbd_hangs, hung_with_the_yes, hung_beside_a_dead_mirror, noded_anew_in_the_hang, back_before_the_bite, hung_and_replicates, lvm_hangs_beside;
stage_world split_by_hand, split_found_late;
stage_world lease_not_over, silent_for_the_new, nobody_guarded, connected_and_silent, off_without_effect, was_so_before, told_twice,
	pinned_for_nothing, guard_not_written;

#endif
