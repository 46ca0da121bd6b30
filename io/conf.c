/* SPDX-License-Identifier: Apache-2.0 */
#include "io/conf.h"

#include <assert.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmem.h"
#include "io/conf_rows.h"
#include "io/files.h"

#define CONF_BYTES_MAX ((size_t)64 * 1024)
#define CONF_DIR "/etc/gantry"
#define CONF_HINT "correct the line; gantry.conf(5) has every setting"

/* ---- reading ------------------------------------------------------------------------------------------------- */

struct reading {
	const char *name; /* of the file */
	config_t *doc;
	struct conf *conf;
	struct err *err;
};

static int wrong(struct reading *r, const config_setting_t *s, const char *what, const char *value)
{
	int rc = err_set(r->err, ERR_BAD_VALUE, "%s:%d: %s '%.80s' is %s", r->name, (int)config_setting_source_line(s),
			 config_setting_name(s), value, what);

	(void)err_hint(r->err, CONF_HINT);
	return rc;
}

static int wrong_type(struct reading *r, const config_setting_t *s, const char *wanted)
{
	int rc = err_set(r->err, ERR_BAD_VALUE, "%s:%d: %s is not %s", r->name, (int)config_setting_source_line(s),
			 config_setting_name(s), wanted);

	(void)err_hint(r->err, CONF_HINT);
	return rc;
}

static int check_text(struct reading *r, const struct conf_row *row, const config_setting_t *s, const char *value)
{
	const char *what = row->check ? row->check(value) : NULL;

	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			what = "a text with control characters";
	if (strlen(value) >= row->size)
		what = "too long";
	if (row->choices && !conf_choice_ok(row->choices, value)) {
		int rc = err_set(r->err, ERR_BAD_VALUE, "%s:%d: %s '%.80s' is not one of %s", r->name,
				 (int)config_setting_source_line(s), row->name, value, row->choices);

		(void)err_hint(r->err, CONF_HINT);
		return rc;
	}
	return what ? wrong(r, s, what, value) : 0;
}

static int take_text(struct reading *r, const struct conf_row *row, const config_setting_t *s)
{
	const char *v = config_setting_get_string(s);

	if (config_setting_type(s) != CONFIG_TYPE_STRING || !v)
		return wrong_type(r, s, "a text in quotes");
	int rc = check_text(r, row, s, v);
	if (rc == 0)
		(void)str_copy(conf_member(r->conf, row->offset), row->size, v);
	return rc;
}

static int take_int(struct reading *r, const struct conf_row *row, const config_setting_t *s)
{
	int64_t v = config_setting_type(s) == CONFIG_TYPE_INT64 ? config_setting_get_int64(s) : config_setting_get_int(s);

	if (config_setting_type(s) != CONFIG_TYPE_INT && config_setting_type(s) != CONFIG_TYPE_INT64)
		return wrong_type(r, s, "a whole number");
	if (v < row->min || v > row->max) {
		int rc = err_set(r->err, ERR_BAD_VALUE, "%s:%d: %s %lld is not between %lld and %lld", r->name,
				 (int)config_setting_source_line(s), row->name, (long long)v, (long long)row->min, (long long)row->max);

		(void)err_hint(r->err, CONF_HINT);
		return rc;
	}
	*(int64_t *)conf_member(r->conf, row->offset) = v;
	return 0;
}

static int take_texts(struct reading *r, const struct conf_row *row, const config_setting_t *s)
{
	char ***list = conf_member(r->conf, row->offset);
	int *n = conf_member(r->conf, row->count_offset);
	int len = config_setting_length(s);

	if (config_setting_type(s) != CONFIG_TYPE_ARRAY && config_setting_type(s) != CONFIG_TYPE_LIST)
		return wrong_type(r, s, "a list of texts, [ \"a\", \"b\" ]");
	if (len > row->max) {
		AUTO_FREE char *wanted = xasprintf("a list of at most %lld texts", (long long)row->max);

		return wrong_type(r, s, wanted);
	}
	for (int i = 0; i < len; i++) {
		const char *v = config_setting_get_string_elem(s, i);

		if (!v)
			return wrong_type(r, s, "a list of texts, [ \"a\", \"b\" ]");
		int rc = check_text(r, row, s, v);
		if (rc < 0)
			return rc;
		conf_texts_add(list, n, v);
	}
	return 0;
}

static int take(struct reading *r, const config_setting_t *s)
{
	const struct conf_row *row = conf_row_by_name(config_setting_name(s));

	if (!row) {
		const char *near = conf_row_nearest(config_setting_name(s));
		int rc = err_set(r->err, ERR_UNKNOWN_KEY, "%s:%d: unknown setting '%.80s'", r->name,
				 (int)config_setting_source_line(s), config_setting_name(s));

		if (near)
			(void)err_hint(r->err, "did you mean '%s'?", near);
		else
			(void)err_hint(r->err, "gantry.conf(5) has every setting");
		return rc;
	}
	switch (row->type) {
	case CONF_TEXT:
		return take_text(r, row, s);
	case CONF_INT:
		return take_int(r, row, s);
	case CONF_BOOL:
		if (config_setting_type(s) != CONFIG_TYPE_BOOL)
			return wrong_type(r, s, "true or false");
		*(bool *)conf_member(r->conf, row->offset) = config_setting_get_bool(s);
		return 0;
	case CONF_TEXTS:
		return take_texts(r, row, s);
	}
	return 0;
}

static int take_all(struct reading *r, const char *text)
{
	if (config_read_string(r->doc, text) != CONFIG_TRUE) {
		int rc = err_set(r->err, ERR_BAD_VALUE, "%s:%d: %s", r->name, config_error_line(r->doc), config_error_text(r->doc));

		(void)err_hint(r->err, CONF_HINT);
		return rc;
	}
	config_setting_t *top = config_root_setting(r->doc);
	for (int i = 0; i < config_setting_length(top); i++) {
		int rc = take(r, config_setting_get_elem(top, (unsigned)i));

		if (rc < 0)
			return rc;
	}
	const char *bad = conf_check_whole(r->conf, r->err);
	if (!bad)
		return 0;
	const config_setting_t *s = config_setting_get_member(top, bad);
	(void)err_wrap(r->err, "%s:%d", r->name, s ? (int)config_setting_source_line(s) : 0);
	return err_hint(r->err, CONF_HINT);
}

int conf_parse(const char *root, const char *name, const char *text, struct conf *ret, struct err *err)
{
	struct conf c = { .root = "" };
	config_t doc;
	struct reading r = { .name = name, .doc = &doc, .conf = &c, .err = err };

	if (str_copy(c.root, sizeof(c.root), root) < 0)
		return err_set(err, ERR_TOO_BIG, "root '%.80s...' is longer than %d characters", root, PATH_LEN);
	conf_set_defaults(&c);
	int rc = conf_scan(name, text, err);
	if (rc < 0)
		return rc;
	config_init(&doc);
	rc = take_all(&r, text);
	config_destroy(&doc);
	if (rc < 0) {
		conf_done(&c);
		return rc;
	}
	if (!c.replication_address[0])
		(void)str_copy(c.replication_address, sizeof(c.replication_address), c.address);
	*ret = c;
	return 0;
}

int conf_load(const char *root, struct conf *ret, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s" CONF_DIR "/gantry.conf", root);
	AUTO_FREE char *text = NULL;
	int rc = file_read_text(path, CONF_BYTES_MAX, &text, err);

	if (rc == -ERR_NOT_FOUND)
		return conf_parse(root, path, "", ret, err);
	return rc < 0 ? rc : conf_parse(root, path, text, ret, err);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static void put_text(struct buf *b, const char *s)
{
	buf_putc(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_putc(b, '\\');
		buf_putc(b, *s);
	}
	buf_putc(b, '"');
}

static void put_value(struct buf *b, const struct conf_row *row, const struct conf *c)
{
	void *m = conf_member(c, row->offset);

	switch (row->type) {
	case CONF_TEXT:
		put_text(b, m);
		break;
	case CONF_INT:
		buf_printf(b, "%lld", (long long)*(int64_t *)m);
		break;
	case CONF_BOOL:
		buf_puts(b, *(bool *)m ? "true" : "false");
		break;
	case CONF_TEXTS:
		buf_puts(b, "[");
		for (int i = 0; i < *(int *)conf_member(c, row->count_offset); i++) {
			buf_puts(b, i ? ", " : " ");
			put_text(b, (*(char ***)m)[i]);
		}
		buf_puts(b, " ]");
		break;
	}
}

char *conf_text(const struct conf *c)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct conf def = { .root = "" };

	conf_set_defaults(&def);
	buf_puts(&b, "# Local settings of Gantry's daemons on this node; see gantry.conf(5).\n"
		     "# Written by Gantry when the node is made a member: comments of your own are not kept.\n"
		     "# A line that begins with '#' shows a default.\n");
	for (int i = 0; i < n_conf_rows; i++) {
		const struct conf_row *row = &conf_rows[i];
		AUTO_BUF struct buf value = BUF_INIT, usual = BUF_INIT;

		put_value(&value, row, c);
		put_value(&usual, row, &def);
		bool same = strcmp(buf_str(&value), buf_str(&usual)) == 0 ||
			    (conf_member(c, row->offset) == c->replication_address && strcmp(c->replication_address, c->address) == 0);
		buf_printf(&b, "\n# %s\n%s%s = %s;\n", row->help, same ? "# " : "", row->name, buf_str(same ? &usual : &value));
	}
	return buf_steal(&b);
}

int conf_save(const struct conf *c, struct err *err)
{
	AUTO_FREE char *text = conf_text(c);
	AUTO_FREE char *path = conf_path(c, "gantry.conf");
	AUTO_FREE char *dir = xasprintf("%s" CONF_DIR, c->root);
	struct conf check;
	int rc = conf_parse(c->root, path, text, &check, err); /* a file that no daemon can read must never be written */

	if (rc < 0)
		return rc;
	conf_done(&check);
	rc = dir_make(dir, 0755, err);
	return rc < 0 ? rc : file_write_durable(path, text, 0644, err);
}

void conf_copy(struct conf *dst, const struct conf *src)
{
	*dst = *src;
	dst->etcd_endpoints = NULL;
	dst->n_etcd_endpoints = 0;
	for (int i = 0; i < src->n_etcd_endpoints; i++)
		conf_texts_add(&dst->etcd_endpoints, &dst->n_etcd_endpoints, src->etcd_endpoints[i]);
}

void conf_done(struct conf *c)
{
	conf_texts_clear(&c->etcd_endpoints, &c->n_etcd_endpoints);
}

/* ---- paths and levels ---------------------------------------------------------------------------------------- */

char *conf_path(const struct conf *c, const char *file)
{
	return xasprintf("%s" CONF_DIR "/%s", c->root, file);
}

char *conf_run_path(const struct conf *c, const char *file)
{
	return xasprintf("%s%s/%s", c->root, c->run_dir, file);
}

char *conf_state_path(const struct conf *c, const char *file)
{
	return xasprintf("%s%s/%s", c->root, c->state_dir, file);
}

enum log_level conf_log_level(const struct conf *c)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{ "err", LOG_LEVEL_ERR },   { "warning", LOG_LEVEL_WARNING }, { "notice", LOG_LEVEL_NOTICE },
		{ "info", LOG_LEVEL_INFO }, { "debug", LOG_LEVEL_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(levels[i].name, c->log_level) == 0)
			return levels[i].level;
	return LOG_LEVEL_INFO;
}

/* ---- documentation ------------------------------------------------------------------------------------------- */

static void put_kind(struct buf *b, const struct conf_row *row)
{
	switch (row->type) {
	case CONF_TEXT:
		if (row->choices)
			buf_printf(b, "one of %s", row->choices);
		else
			buf_printf(b, "text of at most %zu characters", row->size - 1);
		break;
	case CONF_INT:
		buf_printf(b, "number from %lld to %lld", (long long)row->min, (long long)row->max);
		break;
	case CONF_BOOL:
		buf_puts(b, "true or false");
		break;
	case CONF_TEXTS:
		buf_printf(b, "list of at most %lld texts", (long long)row->max);
		break;
	}
	if (row->def[0])
		buf_printf(b, "; default %s", row->def);
}

void conf_dump_adoc(struct buf *out)
{
	for (int i = 0; i < n_conf_rows; i++) {
		buf_printf(out, "`%s`:: ", conf_rows[i].name);
		put_kind(out, &conf_rows[i]);
		buf_printf(out, ".\n%s\n\n", conf_rows[i].help);
	}
}

/* scdoc reads '_' as underlining: names need it escaped. */
static void put_escaped(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (strchr("_*\\", *s))
			buf_putc(out, '\\');
		buf_putc(out, *s);
	}
}

void conf_dump_scd(struct buf *out)
{
	for (int i = 0; i < n_conf_rows; i++) {
		AUTO_BUF struct buf kind = BUF_INIT;

		put_kind(&kind, &conf_rows[i]);
		buf_puts(out, "*");
		put_escaped(out, conf_rows[i].name);
		buf_puts(out, "*\n\t");
		put_escaped(out, buf_str(&kind));
		buf_puts(out, ".\n\t");
		put_escaped(out, conf_rows[i].help);
		buf_puts(out, "\n\n");
	}
}
