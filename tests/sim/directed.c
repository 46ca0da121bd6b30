/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/directed.h"

#include "tests/sim/stage.h"

const struct directed directed[] = {
	{ "EXIT_ONE", "cut off from everybody, the handler's time-out is no yes", cut_off_from_all },
	{ "ASK_RUNNER", "the target of a migration asks first and gets no yes", target_asks_first },
	{ "GROW_GEN", "a report of before the loss puts the peer back into current", late_report },
	{ "BUMP", "a yes to the sole member of current leaves an older report good", late_report },
	{ "PROVE", "without arbitration the mirror of one who wrote alone unheard is no target", wrote_alone_unheard },
	{ "ASK_NUMBER", "a yes for an earlier loss is no answer to the handler of a later one", late_yes_to_handler },
	{ "ASK_NUMBER+SAID_SYNC", "a yes for an earlier loss thaws a later one", late_yes },
	{ "SAID_SYNC", "who carries a yes out says nothing of being in sync", outrun_by_cut },
	{ "CUT_FIRST+SAID_SYNC", "a thaw that takes long is for the loss that was asked about", outrun_by_resume },
	{ "ASK_GEN", "a question that is older than the record is no question any more", late_question },
	{ "ASK_DISK+TEAR_DISKLESS", "who has lost its disk while frozen does not become the only one in current", asks_without_disk },
	{ "MARK+ASK_CURRENT", "who left current between permission and promotion gets no yes", asks_from_outside },
	{ "END_PRIMARY+HARD_CUT", "a late no to a Secondary that is current again parts nobody politely", late_no },
	{ "SHRINK", "who lost its disk, and could not mark it, is not in current", mark_not_written },
	{ "SHRINK", "a sole good mirror is not taken out of current for an owner that lost its disk", wish_hangs },
	{ "GROW_BOTH", "a mirror that was just replaced is not current by the word for the old one", replaced_mirror },
	{ "SPEAK", "a master that is cut off with a node keeps it alive for nobody", cut_off_with_master },
	{ "NODE_EPOCH+SPEAK+JOURNAL", "a master that was succeeded commands nobody, and permits nothing", order_of_deposed },
	{ "EPOCH_GUARD", "a late commit of a master that was succeeded changes nothing", late_commit_of_deposed },
	{ "SEQ_GUARD", "a late commit that was made again meanwhile changes nothing", late_commit_of_own },
	{ "TOMBSTONE", "an order that comes when its job is over is not carried out", order_after_the_job },
	{ "PULL", "a start that nobody permitted is under an old guard's number", nobody_guarded },
	{ "SUPERSEDE", "orders that went into a dead link are given again", dead_link },
	{ "FEED_X", "a watchdog bites although its daemon said a while ago that all is well", lease_not_over },
	{ "LEASE_MARGIN", "a node whose beats were answered until now is not lost", lease_not_over },
	{ "SILENT_SINCE", "a new master takes nobody for long silent", silent_for_the_new },
	{ "HARD_CUT", "who takes over from a side that is connected lets it freeze", cut_while_connected },
	{ "MARK", "a replica that lost its disk is not failed over to", marked_and_alone },
	{ "ATTACH_FIRST", "a side without its disk does not thaw a Primary", no_disk_to_connect_with },
	{ "PIVOT_CURRENT", "a migration whose replicas lost each other on arrival is undone", lost_on_arrival },
	{ "PAUSED_ARRIVAL", "a guest that has arrived stands still until the log says so", lost_on_arrival },
	{ "STAYS_GOOD", "a mirror is not given up for one that would be made from a lost disk", source_lost_when_replaced },
	{ "LIVES_HERE", "a mirror that alone has the data is not made anew", source_lost_when_rebuilt },
	{ "KEEP_OLD", "the old mirror's volumes outlast a resync that fails", source_lost_in_resync },
	{ "TEAR_DISKLESS", "a frozen Primary that loses its disk, and whom no master hears, is taken apart", frozen_then_lost },
	{ "HAND", "a yes that came when the disk was gone is handed back to the mirror", yes_for_a_lost_disk },
	{ "HAND", "a yes that was used before the disk was gone is not", yes_used_before_the_loss },
	{ "LIVES_ON", "a guest whose own disk is gone migrates to the one it lives on", migrated_off_a_dead_disk },
	{ "LIVES_ON", "... without arbitration", migrated_off_without_arbitration },
	{ "LIVES_ON", "... though the replicas lose each other on the way, a second time", lost_on_the_way_off },
	{ "LET_GO", "a guest that freezes where DRBD's commands hang comes up on its mirror", frozen_where_drbd_hangs },
	{ "LET_GO", "... also when its node's daemon was started anew meanwhile", noded_anew_in_the_hang },
	{ "LET_GO", "who hangs when the yes comes is reset, and goes on", hung_with_the_yes },
	{ "LET_GO", "... and who hangs when its mirror dies", hung_beside_a_dead_mirror },
	{ "LET_GO", "a node whose DRBD answers again in time is not reset", back_before_the_bite },
	{ "LET_GO_FROZEN", "what replicates is left alone where DRBD's commands hang", hung_and_replicates },
	{ "LET_GO_DRBD", "a hung LVM is no reason to let go of a frozen guest", lvm_hangs_beside },
	{ "AS_IS", "an instance that is down is taken from a node that is off, as its mirror is", taken_of_one_off },
	{ "AS_IS", "an instance that is down is taken from a node that answers and has lost its disk, as its mirror is", taken_of_one_that_answers },
	{ "AS_IS", "a mirror that is marked is taken as it is", taken_though_marked },
	{ "HOPELESS", "an owner whose disk is lost is not tried for minutes before its mirror takes over", failed_over_at_once },
	{ "SPLIT", "nobody goes on with one side of a split that the log does not know", split_by_hand },
	{ "SHAKES", "nobody goes on before the two have told each other what they have", split_found_late },
	{ "GUARDED", "a lease is no evidence where no watchdog was armed", nobody_guarded },
	{ "APART", "a node that is silent, and replicates, is left alone", connected_and_silent },
	{ "POWER_READ_BACK", "an agent's off that had no effect is no evidence", off_without_effect },
	{ "PROBE", "an undo leaves what was there before", was_so_before },
	{ "PIN_ENDS", "a replica that was to take over, and did not, is a mirror again", pinned_for_nothing },
	{ "REPEAT", "an order that is given again is not carried out again", told_twice },
};
const int n_directed = (int)ARRAY_SIZE(directed);

bool directed_run(int i, uint64_t with_seed)
{
	stage_seed = with_seed;
	return directed[i].run();
}
