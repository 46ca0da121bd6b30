/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Safety rules by name. RULE(x) is true; only in tests/sim/mutations one of them at a time is false, or a few that stand in for each other, to see
 * that somebody notices. A rule whose absence nobody notices is not needed, or not tested.
 */
#ifndef COMMON_RULE_H
#define COMMON_RULE_H

#define RULES(R)                                                                                       \
	R(GROW_GEN, "H1: current grows on an unchanged generation only")                               \
	R(GROW_BOTH, "H19: current grows only when the mirror says the same of itself")                \
	R(LEAVING, "H8: what a plan takes apart does not become current meanwhile")                    \
	R(BUMP, "H2: every yes raises the generation")                                                 \
	R(ASK_GEN, "H3: a question of an older generation is stale")                                   \
	R(ASK_NUMBER, "H3: a verdict is for one loss of one boot")                                     \
	R(SAID_SYNC, "H3: a yes that this side has outrun by saying in sync is dropped")               \
	R(CUT_FIRST, "H3: the agent's own yes cuts the connection before it resumes")                  \
	R(ASK_DISK, "H4: yes only to a disk that is UpToDate")                                         \
	R(ASK_CURRENT, "H4: yes only to a member of current")                                          \
	R(ASK_RUNNER, "H4, H15: yes only to the side that runs")                                       \
	R(EXIT_ONE, "H5: no and not-now are exit 1, not 5")                                            \
	R(MARK, "H6: a replica that lost its disk is not attached, promoted or connected")             \
	R(SHRINK, "H6: a replica that lost its disk asks out of current")                              \
	R(HAND, "H7: who lost its disk before it could use a yes hands current back to its mirror")     \
	R(PLAN_SHRINK, "H8: a plan takes the replica out of current before it touches it")             \
	R(STAYS_GOOD, "H7: whom a plan leaves alone in current has said, at this generation, that it is good") \
	R(LIVES_HERE, "H7: a replica whose disk the other side's Primary lives on is not taken down")  \
	R(KEEP_OLD, "H19: a mirror's volumes stay until the one in its place is current")              \
	R(FINISH, "what a replacement left undone of an instance that is down is finished when its nodes answer") \
	R(STAY_DOWN, "disks that a person took down stay down, whatever a replacement left undone")     \
	R(HARD_CUT, "H9: plain cut, never the graceful disconnect")                                    \
	R(PULL, "H10: promotion, start and resume are pulled")                                         \
	R(ATTACH_FIRST, "H11: a side without its disk does not connect")                               \
	R(END_PRIMARY, "H8: a no ends a Primary, not a Secondary that may be connected again")         \
	R(AS_IS, "a replica that a person took as it is can be used, also of an instance that is down") \
	R(HOPELESS, "H16: nothing is tried on an owner that has lost its disk, and nothing waited for")  \
	R(NO_DATA, "H16: who has lost its own disk and its mirror stands still, and is known to")       \
	R(TEAR_DISKLESS, "H13: a frozen Primary without its disk is taken apart at once")              \
	R(TEAR_ORDER, "H13: cut, detach, then resume")                                                 \
	R(READ_BACK, "H14: an unknown outcome is read back, not taken as yes")                         \
	R(PAUSED_ARRIVAL, "H15: the guest stands still on arrival until the pivot")                    \
	R(PIVOT_CURRENT, "H15: the pivot needs the migration's record and the target in current")      \
	R(LIVES_ON, "H15: a guest whose own disk is gone migrates to the one that it lives on")          \
	R(PROVE, "without arbitration a planned hand-over needs DRBD's word that the mirror has it all")  \
	R(SPLIT, "who has parted from its mirror is not promoted before somebody has decided")           \
	R(SHAKES, "a promotion waits for the end of the replicas' handshake")                            \
	R(NODE_EPOCH, "the node refuses a lower epoch, and tells its master of a higher one")                                                \
	R(SEQ_GUARD, "a commit compares what the batch before left")                                   \
	R(EPOCH_GUARD, "a commit compares the epoch")                                                  \
	R(JOURNAL, "journal, then send")                                                               \
	R(TOMBSTONE, "an undo leaves a tombstone, and a job that is over a memory")                                                     \
	R(PROBE, "what was so before is not taken back by an undo")                                    \
	R(REPEAT, "a repeated order is answered from its record")                                      \
	R(TAKE_WAIT, "a successor waits ttl and margin")                                               \
	R(SPEAK, "a master speaks only while its last beat is valid")                                  \
	R(EVIDENCE, "no failover of a lost node without evidence")                                     \
	R(LEASE_MARGIN, "a node is lost only when nobody can hold a lease of it any more")            \
	R(SILENT_SINCE, "a new master counts a silent node from its predecessor's last possible grant") \
	R(APART, "lease evidence waits until the mirror has been cut off for long enough")            \
	R(GUARDED, "lease evidence only of a guest that a watchdog guarded")                           \
	R(FEED_X, "the watchdog is fed for X after the newest answered beat, not longer")              \
	R(LET_GO, "a node that can neither free nor end a frozen guest lets its lease run out")          \
	R(LET_GO_FROZEN, "... and only such a node: what replicates is left alone")                      \
	R(LET_GO_DRBD, "... by DRBD's silence: what hangs beside it is no reason")                       \
	R(VOUCH, "noded vouches only for guests that are dead or connected")                           \
	R(POWER_READ_BACK, "an agent's off counts when the power was read back")                       \
	R(SUPERSEDE, "a node's new link supersedes its old one")                                      \
	R(PIN_ENDS, "H7: who was to take over, and did not, does not stay apart for ever")            \
	R(GUARD_KEPT, "a guard counts when it is on its node's disk")

#ifdef GANTRY_MUTATIONS
#include <stdint.h>

enum rule {
#define R(name, text) RULE_##name,
	RULES(R)
#undef R
	RULE_COUNT
};
extern uint64_t rules_off; /* a bit each; 0 = all hold */
#define RULE(name) (!(rules_off >> RULE_##name & 1))
#else
#define RULE(name) true
#endif

#endif
