/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a link on one loop, over the loopback interface, and the identities that they show each other. For tests/unit/test_link*.c. */
#ifndef TESTS_UNIT_LINK_RIG_H
#define TESTS_UNIT_LINK_RIG_H

#include "io/link.h"
#include "io/loop.h"

#define UUID_A "aaaaaaaa-2222-4333-8444-555555555555"
#define UUID_B "bbbbbbbb-7777-4888-9999-aaaaaaaaaaaa"

/* What one end saw. Several links may share one. */
struct end {
	int opened, closed, frames;
	size_t bytes;
	char peer[UUID_LEN + 1];
	char remote[ADDR_LEN + 1];
	struct err why;     /* of the last that closed */
	struct link *link;  /* the newest that opened */
	char *text;         /* the last frame */
	bool echo;          /* answers each frame with itself */
	int out_of_order;   /* frames that were not the number that was due */
	bool numbered;
	struct link_server *free_at_frame; /* misbehaves: frees the server from within */
};

struct ids {
	char *ca, *ca_key;
	char *cert_a, *key_a, *cert_b, *key_b, *cert_none, *key_none;
	char *other_ca, *other_ca_key, *other_cert, *other_key; /* another cluster's */
};

struct rig {
	struct ids *ids;
	struct loop *loop;
	struct link_server *server;
	struct link_tls *tls_a, *tls_b;
	struct end s, c; /* server's, client's */
	int port;
};

extern const struct link_cb rig_callbacks; /* arg is a struct end */

/* ids are made once for a program: cmocka's group set-up and tear-down. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
/* The server listens; nobody has dialled. */
void rig_up(struct rig *r, void **state, bool allow_anonymous);
void rig_down(struct rig *r);
/* A certificate for the node ("" = for none) and its key, by that CA; the caller frees. */
void rig_issue(const char *ca, const char *ca_key, const char *uuid, char **cert, char **key);
struct link_tls *tls_of(const char *ca, const char *cert, const char *key, const char *crl);
struct link *dial_with(struct rig *r, struct link_tls *tls, const char *pin);
struct link *dial(struct rig *r);
/* Runs the loop until *value has reached target; false when that took too long. */
bool wait_for(struct rig *r, const int *value, int target, int64_t at_most_ms);
/* The same within ten seconds, or the test fails and says what both ends know. */
void must(struct rig *r, const int *value, int target);
void run_ms(struct rig *r, int64_t ms);

#endif
