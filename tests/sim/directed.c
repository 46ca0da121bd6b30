/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/directed.h"

#include "tests/sim/stage.h"

const struct directed directed[] = {
	{ "EXIT_ONE", "cut off from everybody, the handler's time-out is no yes", cut_off_from_all },
	{ "ASK_RUNNER", "the target of a migration asks first and gets no yes", target_asks_first },
	{ "GROW_GEN", "a report of before the loss puts the peer back into current", late_report },
	{ "BUMP", "a yes to the sole member of current leaves an older report good", late_report },
	{ "PROVE", "without arbitration the mirror of one who wrote alone unheard is no target", wrote_alone_unheard },
	{ "ASK_NUMBER", "a yes for an earlier loss thaws a later one", late_yes },
	{ "HARD_CUT", "who takes over from a side that is connected lets it freeze", cut_while_connected },
	{ "MARK", "a replica that lost its disk is not failed over to", marked_and_alone },
	{ "ATTACH_FIRST", "a side without its disk does not thaw a Primary", no_disk_to_connect_with },
	{ "PIVOT_CURRENT", "a migration whose replicas lost each other on arrival is undone", lost_on_arrival },
	{ "PAUSED_ARRIVAL", "a guest that has arrived stands still until the log says so", lost_on_arrival },
	{ "GUARDED", "a lease is no evidence where no watchdog was armed", nobody_guarded },
	{ "APART", "a node that is silent, and replicates, is left alone", connected_and_silent },
	{ "POWER_READ_BACK", "an agent's off that had no effect is no evidence", off_without_effect },
	{ "PROBE", "an undo leaves what was there before", was_so_before },
	{ "REPEAT", "an order that is given again is not carried out again", told_twice },
};
const int n_directed = (int)ARRAY_SIZE(directed);

bool directed_run(int i, uint64_t with_seed)
{
	stage_seed = with_seed;
	return directed[i].run();
}
