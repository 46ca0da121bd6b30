/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages: what travels in frames between gantry-noded and gantry-masterd, and in nanomsg requests. Each is a JSON object
 * {"type": NAME, ...fields}; the fields are row lists. A message of an unknown type closes the link.
 *
 *   local client -> noded, noded -> masterd, masterd -> client:  request, reply
 *   node -> master: hello, beat, observe, step_result, step_progress, ask, authorise, join
 *   master -> node: welcome, refused, not_master, beat_ack, step, verdict, authority, gens, joined
 */
#ifndef SCHEMA_MSGS_H
#define SCHEMA_MSGS_H

#include "schema/objects.h"

#define MSGS(MSG)                                                                                                        \
	MSG(request) MSG(reply) MSG(hello) MSG(welcome) MSG(not_master) MSG(beat) MSG(beat_ack) MSG(observe) MSG(step)   \
	MSG(step_result) MSG(step_progress) MSG(ask) MSG(verdict) MSG(authorise) MSG(authority) MSG(gens) MSG(join)      \
	MSG(joined) MSG(settings) MSG(forget) MSG(sign) MSG(signed) MSG(refused)

#define MSG_REQUEST_ROWS(F, T)                                                                                           \
	F(T, STR, id, 63, FIELD_REQUIRED, NULL, "", "made by the client; a repeated one is answered from the record")    \
	F(T, STR, op, 63, FIELD_REQUIRED, NULL, "", "group.verb")                                                        \
	F(T, JSON, args, 0, "", "by the request's rows")                                                                 \
	F(T, BOOL, dry_run, 0, "no", "", "answer the plan, change nothing")                                              \
	F(T, TEXT, reason, TEXT_MAX, 0, NULL, "", "why, for the record")                                                 \
	F(T, STR, ticket, 64, FIELD_SECRET, NULL, "", "who asks, taken from the ticket socket")                          \
	F(T, STR, user, NAME_LEN, 0, NULL, "", "who asks: filled in by noded from the ticket")                           \
	F(T, BOOL, admin, 0, "no", "", "came in by the admin socket: filled in by noded")                                \
	F(T, STR, node, UUID_LEN, 0, NULL, "", "where it was asked: filled in by noded")
SCHEMA_DECLARE(msg_request, MSG_REQUEST_ROWS)

/* Jobs answer {"job": N} as soon as the job is committed. stale_ms: age of the state when there is no majority. */
#define MSG_REPLY_ROWS(F, T)                                                                                             \
	F(T, STR, id, 63, FIELD_REQUIRED, NULL, "", "of the request")                                                    \
	F(T, JSON, result, 0, "", "what was asked for")                                                                  \
	F(T, STR, error, 39, 0, NULL, "", "error name; empty = success")                                                 \
	F(T, TEXT, msg, 1024, 0, NULL, "", "what went wrong")                                                            \
	F(T, TEXT, hint, 1024, 0, NULL, "", "what to do")                                                                \
	F(T, STR, field, 63, 0, NULL, "", "field of the request")                                                        \
	F(T, INT, stale_ms, 0, INT64_MAX, 0, NULL, "", "the answer is this old: no majority of voters")
SCHEMA_DECLARE(msg_reply, MSG_REPLY_ROWS)

/* A frame of this type has a second line: the reply itself, which is for the client alone; a node passes it on as it is. */
#define MSG_REPLY_HEAD_ROWS(F, T) F(T, STR, id, 63, FIELD_REQUIRED, NULL, "", "of the request")
SCHEMA_DECLARE(msg_reply_head, MSG_REPLY_HEAD_ROWS)

#define MSG_HELLO_ROWS(F, T)                                                                                             \
	F(T, STR, node, UUID_LEN, FIELD_REQUIRED, NULL, "", "must equal the certificate's")                              \
	F(T, STR, boot_id, UUID_LEN, FIELD_REQUIRED, NULL, "", "of the running kernel")                                  \
	F(T, STR, version, 31, FIELD_REQUIRED, NULL, "", "gantry's")                                                     \
	F(T, INT, epoch, 0, INT64_MAX, 0, "0", "", "highest seen")                                                       \
	F(T, INT, wall_ms, 0, INT64_MAX, 0, "0", "", "clock")                                                            \
	F(T, STR, side, 11, 0, "primary", "", "which network this link uses: primary or replication")                    \
	F(T, INT, level_oldest, 1, LEVEL_MAX, 0, "1", "", "levels that it reads and writes: from")                       \
	F(T, INT, level_newest, 1, LEVEL_MAX, 0, "1", "", "to")
SCHEMA_DECLARE(msg_hello, MSG_HELLO_ROWS)

#define MSG_WELCOME_ROWS(F, T)                                                                                           \
	F(T, INT, epoch, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "the master's")                                         \
	F(T, STR, master, UUID_LEN, FIELD_REQUIRED, NULL, "", "its node")                                                \
	F(T, STR, cluster, NAME_LEN, 0, NULL, "", "name")                                                                \
	F(T, INT, lease_ms, 1000, 600000, 0, "12000", "", "ha.lease")
SCHEMA_DECLARE(msg_welcome, MSG_WELCOME_ROWS)

#define MSG_NOT_MASTER_ROWS(F, T)                                                                                        \
	F(T, STR, master, UUID_LEN, 0, NULL, "", "who it believes is; empty = unknown")                                  \
	F(T, STR, problem, 255, 0, NULL, "", "why there is none, e.g. no majority of voters")                            \
	F(T, BOOL, stale, 0, "no", "", "it was the master and may be again: queries are answered from what it last knew")
SCHEMA_DECLARE(msg_not_master, MSG_NOT_MASTER_ROWS)

/* In place of a welcome: this node cannot be let in as it is. */
#define MSG_REFUSED_ROWS(F, T)                                                                                           \
	F(T, STR, error, 39, 0, NULL, "", "error name")                                                                  \
	F(T, TEXT, msg, 1024, 0, NULL, "", "why")                                                                        \
	F(T, TEXT, hint, 1024, 0, NULL, "", "what to do")
SCHEMA_DECLARE(msg_refused, MSG_REFUSED_ROWS)

#define MSG_BEAT_ROWS(F, T)                                                                                              \
	F(T, INT, seq, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "counts up; the answer repeats it")                       \
	F(T, STR, boot_id, UUID_LEN, FIELD_REQUIRED, NULL, "", "of the running kernel")                                  \
	F(T, INT, wall_ms, 0, INT64_MAX, 0, "0", "", "its clock when it was sent; 0 = it does not say")
SCHEMA_DECLARE(msg_beat, MSG_BEAT_ROWS)
#define MSG_BEAT_ACK_ROWS(F, T)                                                                                          \
	F(T, INT, seq, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "of the beat")                                            \
	F(T, INT, epoch, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "the master's")
SCHEMA_DECLARE(msg_beat_ack, MSG_BEAT_ACK_ROWS)

#define MSG_OBSERVE_ROWS(F, T)                                                                                           \
	F(T, INT, seq, 0, INT64_MAX, 0, "0", "", "counts up")                                                            \
	F(T, OBJ, observed, observed, 0, "", "all of it, whenever something changed")
SCHEMA_DECLARE(msg_observe, MSG_OBSERVE_ROWS)

enum step_dir { STEP_DO, STEP_UNDO_DIR };
extern const char *const step_dir_names[]; /* do, undo */

/* id = "<job>/<index>/<do|undo>", the same whenever it is sent again. */
#define MSG_STEP_ROWS(F, T)                                                                                              \
	F(T, INT, epoch, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "lower than the highest seen: refused")                 \
	F(T, INT, job, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "job")                                                    \
	F(T, INT, index, 0, STEPS_MAX, FIELD_REQUIRED, NULL, "", "step")                                                 \
	F(T, ENUM, dir, step_dir_names, FIELD_REQUIRED, NULL, "", "do or undo")                                          \
	F(T, STR, kind, 39, FIELD_REQUIRED, NULL, "", "step kind")                                                       \
	F(T, INT, attempt, 0, 1000000, 0, "0", "", "a failed step is tried again with a higher one; equal: answered from the record") \
	F(T, BOOL, cancel, 0, "no", "", "stop this do if it still runs (its result follows as usual)")                   \
	F(T, JSON, args, 0, "", "by the kind's rows")
SCHEMA_DECLARE(msg_step, MSG_STEP_ROWS)

#define MSG_STEP_RESULT_ROWS(F, T)                                                                                       \
	F(T, INT, epoch, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "of the order that it answers")                         \
	F(T, INT, job, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "job")                                                    \
	F(T, INT, index, 0, STEPS_MAX, FIELD_REQUIRED, NULL, "", "step")                                                 \
	F(T, ENUM, dir, step_dir_names, FIELD_REQUIRED, NULL, "", "do or undo")                                          \
	F(T, JSON, result, 0, "", "what it answers")                                                                     \
	F(T, STR, error, 39, 0, NULL, "", "error name; empty = done")                                                    \
	F(T, TEXT, msg, 1024, 0, NULL, "", "what went wrong")                                                            \
	F(T, TEXT, hint, 1024, 0, NULL, "", "what to do")
SCHEMA_DECLARE(msg_step_result, MSG_STEP_RESULT_ROWS)

#define MSG_STEP_PROGRESS_ROWS(F, T)                                                                                     \
	F(T, INT, job, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "job")                                                    \
	F(T, INT, index, 0, STEPS_MAX, FIELD_REQUIRED, NULL, "", "step")                                                 \
	F(T, INT, permille, 0, 1000, 0, "0", "", "how far")                                                              \
	F(T, STR, text, 127, 0, NULL, "", "in words")
SCHEMA_DECLARE(msg_step_progress, MSG_STEP_PROGRESS_ROWS)

/* Disk arbitration: "may I go on alone?" (doc/design/003 H1-H5). */
#define MSG_ASK_ROWS(F, T)                                                                                               \
	F(T, STR, instance, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                              \
	F(T, STR, boot_id, UUID_LEN, FIELD_REQUIRED, NULL, "", "of the asker's kernel")                                  \
	F(T, INT, number, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "of the connection loss, counted by noded")            \
	F(T, INT, gen, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "generation the asker knows")                             \
	F(T, BOOL, uptodate, FIELD_REQUIRED, NULL, "", "own disk UpToDate on every volume")                              \
	F(T, BOOL, shrink, 0, "no", "", "other way round: my disk is gone, take me out of current (H6)")                  \
	F(T, INT, lost_gen, 0, INT64_MAX, 0, "0", "", "shrink: generation the asker knew when it first saw its disk gone; it uses no yes since (H7); 0 = not known")
SCHEMA_DECLARE(msg_ask, MSG_ASK_ROWS)

/* yes: go on alone. no: another owner was committed: tear down. not_now: ask again. stale: learn gen, ask again. */
enum verdict { VERDICT_YES, VERDICT_NO, VERDICT_NOT_NOW, VERDICT_STALE };
extern const char *const verdict_names[];
#define MSG_VERDICT_ROWS(F, T)                                                                                           \
	F(T, STR, instance, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                              \
	F(T, STR, boot_id, UUID_LEN, FIELD_REQUIRED, NULL, "", "from the question")                                      \
	F(T, INT, number, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "from the question")                                   \
	F(T, ENUM, verdict, verdict_names, FIELD_REQUIRED, NULL, "", "yes, no, not-now, stale")                          \
	F(T, INT, gen, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "the record's generation now")                            \
	F(T, INT, epoch, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "the master's")                                         \
	F(T, INT, wait_ms, 0, 600000, 0, "0", "", "not-now: a question so much later would be answered; 0 = nobody knows when")
SCHEMA_DECLARE(msg_verdict, MSG_VERDICT_ROWS)

/* Pulled permission (H10): answered from a transaction made in that round trip. */
enum authority { AUTH_PROMOTE, AUTH_START, AUTH_RESUME, AUTH_TWO_PRIMARIES };
extern const char *const authority_names[];
#define MSG_AUTHORISE_ROWS(F, T)                                                                                         \
	F(T, STR, id, 63, FIELD_REQUIRED, NULL, "", "of this question")                                                  \
	F(T, STR, instance, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                              \
	F(T, ENUM, what, authority_names, FIELD_REQUIRED, NULL, "", "promote, start, resume, two-primaries")             \
	F(T, STR, boot_id, UUID_LEN, FIELD_REQUIRED, NULL, "", "of the asker's kernel")
SCHEMA_DECLARE(msg_authorise, MSG_AUTHORISE_ROWS)
#define MSG_AUTHORITY_ROWS(F, T)                                                                                         \
	F(T, STR, id, 63, FIELD_REQUIRED, NULL, "", "of the question")                                                   \
	F(T, BOOL, granted, FIELD_REQUIRED, NULL, "", "yes or no")                                                       \
	F(T, TEXT, reason, 1024, 0, NULL, "", "why not")                                                                 \
	F(T, INT, gen, 0, INT64_MAX, 0, "0", "", "the record's generation")                                              \
	F(T, INT, epoch, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "the master's")                                         \
	F(T, BOOL, ha, 0, "no", "", "arm the watchdog first: ha=failover")                                               \
	F(T, INT, ha_rev, 0, INT64_MAX, 0, "0", "", "number of this permission")
SCHEMA_DECLARE(msg_authority, MSG_AUTHORITY_ROWS)

/* The generations a node must know before it looks at the kernel (H1): sent whenever one changes. */
#define MSG_GEN_ROWS(F, T)                                                                                               \
	F(T, STR, instance, UUID_LEN, FIELD_REQUIRED, NULL, "", "instance")                                              \
	F(T, INT, gen, 0, INT64_MAX, FIELD_REQUIRED, NULL, "", "generation")                                             \
	F(T, BOOL, arbitrated, 0, "no", "", "verdicts decide")                                                           \
	F(T, BOOL, current, 0, "no", "", "this node is in current")                                                      \
	F(T, BOOL, owner, 0, "no", "", "this node may run it")                                                           \
	F(T, BOOL, ha, 0, "no", "", "ha=failover, and arbitrated")                                                       \
	F(T, INT, ha_rev, 0, INT64_MAX, 0, "0", "", "its number")
SCHEMA_DECLARE(msg_gen, MSG_GEN_ROWS)
#define MSG_GENS_ROWS(F, T)                                                                                              \
	F(T, INT, epoch, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "the master's")                                         \
	F(T, LIST, gens, msg_gen, INSTANCES_MAX, 0, "", "instances with a replica on this node")
SCHEMA_DECLARE(msg_gens, MSG_GENS_ROWS)

#define MSG_JOIN_ROWS(F, T)                                                                                              \
	F(T, STR, token_id, 16, FIELD_REQUIRED, NULL, "", "token")                                                       \
	F(T, STR, secret, 64, FIELD_REQUIRED | FIELD_SECRET, NULL, "", "its secret part")                                \
	F(T, TEXT, csr, 16384, FIELD_REQUIRED, NULL, "", "certificate request (PEM)")                                    \
	F(T, STR, name, NAME_LEN, FIELD_REQUIRED, NULL, "", "uname -n")                                                  \
	F(T, STR, address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "primary address")                                        \
	F(T, STR, replication_address, ADDR_LEN, FIELD_REQUIRED, NULL, "", "replication address")                        \
	F(T, STR, version, 31, FIELD_REQUIRED, NULL, "", "gantry's")                                                     \
	F(T, BOOL, witness, 0, "no", "", "it only votes")                                                                \
	F(T, INT, wall_ms, 0, INT64_MAX, 0, "0", "", "clock")                                                            \
	F(T, INT, level_oldest, 1, LEVEL_MAX, 0, "1", "", "levels that it reads and writes: from")                       \
	F(T, INT, level_newest, 1, LEVEL_MAX, 0, "1", "", "to")
SCHEMA_DECLARE(msg_join, MSG_JOIN_ROWS)
/* Sent once the node's object is committed. */
#define MSG_JOINED_ROWS(F, T)                                                                                            \
	F(T, STR, error, 39, 0, NULL, "", "error name; empty = success")                                                 \
	F(T, TEXT, msg, 1024, 0, NULL, "", "what went wrong")                                                            \
	F(T, TEXT, hint, 1024, 0, NULL, "", "what to do")                                                                \
	F(T, STR, uuid, UUID_LEN, 0, NULL, "", "the node's identity")                                                    \
	F(T, TEXT, cert, 16384, 0, NULL, "", "its certificate")                                                          \
	F(T, TEXT, ca, 16384, 0, NULL, "", "the CA's")                                                                   \
	F(T, INT, job, 0, INT64_MAX, 0, "0", "", "job that goes on (candidates, DRBD arbitration)")                      \
	F(T, JSON, settings, 0, "", "step_settings")
SCHEMA_DECLARE(msg_joined, MSG_JOINED_ROWS)


/* settings: the fields are step_settings (schema/steps.h). */

/* Master to node: the job is over, drop its records. */
#define MSG_FORGET_ROWS(F, T) F(T, INT, job, 1, INT64_MAX, FIELD_REQUIRED, NULL, "", "job that has ended")
SCHEMA_DECLARE(msg_forget, MSG_FORGET_ROWS)

/* A node asks its master to sign a new certificate for it; the answer carries the id. */
#define MSG_SIGN_ROWS(F, T)                                                                                              \
	F(T, STR, id, 63, FIELD_REQUIRED, NULL, "", "of the question")                                                   \
	F(T, TEXT, csr, 16384, FIELD_REQUIRED, NULL, "", "certificate request (PEM)")
SCHEMA_DECLARE(msg_sign, MSG_SIGN_ROWS)
#define MSG_SIGNED_ROWS(F, T)                                                                                            \
	F(T, STR, id, 63, FIELD_REQUIRED, NULL, "", "of the question")                                                   \
	F(T, TEXT, cert, 16384, 0, NULL, "", "certificate; absent = refused")                                            \
	F(T, TEXT, ca, 16384, 0, NULL, "", "the CA's")                                                                   \
	F(T, TEXT, msg, 1024, 0, NULL, "", "why refused")
SCHEMA_DECLARE(msg_signed, MSG_SIGNED_ROWS)

#endif
