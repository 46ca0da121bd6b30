/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/msgs.h"

const char *const step_dir_names[] = { "do", "undo", NULL };
const char *const verdict_names[] = { "yes", "no", "not-now", "stale", NULL };
const char *const authority_names[] = { "promote", "start", "resume", "two-primaries", NULL };

SCHEMA_DEFINE(msg_request, MSG_REQUEST_ROWS)
SCHEMA_DEFINE(msg_reply, MSG_REPLY_ROWS)
SCHEMA_DEFINE(msg_reply_head, MSG_REPLY_HEAD_ROWS)
SCHEMA_DEFINE(msg_hello, MSG_HELLO_ROWS)
SCHEMA_DEFINE(msg_welcome, MSG_WELCOME_ROWS)
SCHEMA_DEFINE(msg_not_master, MSG_NOT_MASTER_ROWS)
SCHEMA_DEFINE(msg_beat, MSG_BEAT_ROWS)
SCHEMA_DEFINE(msg_beat_ack, MSG_BEAT_ACK_ROWS)
SCHEMA_DEFINE(msg_observe, MSG_OBSERVE_ROWS)
SCHEMA_DEFINE(msg_step, MSG_STEP_ROWS)
SCHEMA_DEFINE(msg_step_result, MSG_STEP_RESULT_ROWS)
SCHEMA_DEFINE(msg_step_progress, MSG_STEP_PROGRESS_ROWS)
SCHEMA_DEFINE(msg_ask, MSG_ASK_ROWS)
SCHEMA_DEFINE(msg_verdict, MSG_VERDICT_ROWS)
SCHEMA_DEFINE(msg_authorise, MSG_AUTHORISE_ROWS)
SCHEMA_DEFINE(msg_authority, MSG_AUTHORITY_ROWS)
SCHEMA_DEFINE(msg_gen, MSG_GEN_ROWS)
SCHEMA_DEFINE(msg_gens, MSG_GENS_ROWS)
SCHEMA_DEFINE(msg_join, MSG_JOIN_ROWS)
SCHEMA_DEFINE(msg_joined, MSG_JOINED_ROWS)
SCHEMA_DEFINE(msg_forget, MSG_FORGET_ROWS)
SCHEMA_DEFINE(msg_sign, MSG_SIGN_ROWS)
SCHEMA_DEFINE(msg_signed, MSG_SIGNED_ROWS)
SCHEMA_DEFINE(msg_refused, MSG_REFUSED_ROWS)
