/* SPDX-License-Identifier: Apache-2.0 */
/* The one door to jansson: bounded in bytes and depth, no duplicate keys. */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "common/err.h"

DEFINE_CLEANUP(json_t *, json_decref);
#define AUTO_JSON AUTO(json_decref)

#define JSON_DEPTH_MAX 24

/*
 * Parses len bytes of text. Refuses more than max_bytes (-ERR_TOO_BIG), deeper than JSON_DEPTH_MAX
 * and duplicate keys (-ERR_BAD_REQUEST). Gives a new reference in ret.
 */
int json_parse(const char *text, size_t len, size_t max_bytes, json_t **ret, struct err *err) WARN_UNUSED;

/* Compact text with sorted keys (so that equal values are equal bytes). Gives the string; never NULL. */
char *json_text(const json_t *j);

/* Can JSON carry this text: is it valid UTF-8? */
bool json_is_utf8(const char *text);

/* Look-ups with defaults that never fail: for replies that were already checked. */
const char *json_str(const json_t *obj, const char *key, const char *def);
json_int_t json_int(const json_t *obj, const char *key, json_int_t def);
bool json_bool(const json_t *obj, const char *key, bool def);

#endif
