/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "storage/lvm/lvm.h"
#include "storage/lvm/prepare.h"
#include "storage/lvm/report.h"
#include "tests/unit/storage_recorder.h"

#define DISK_A "11111111-2222-3333-4444-555555555555"
#define DISK_B "99999999-2222-3333-4444-555555555555"
#define CONFIG "--config devices{global_filter=[\"r|^/dev/drbd|\"]} "
#define LVS    "lvs " CONFIG "--reportformat json --units b --nosuffix -o vg_name,lv_name,lv_size,lv_tags,lv_active"
#define FIND   LVS " -S vg_name=\"xenvg\" && lv_name=\"web1.data\"\n"
#define VGS    "vgs " CONFIG "--reportformat json --units b --nosuffix -o " LVM_VG_FIELDS "\n"

#define NO_LVS "{\"report\":[{\"lv\":[]}]}"
#define LV(size, tags, active)                                                                                         \
	"{\"report\":[{\"lv\":[{\"vg_name\":\"xenvg\",\"lv_name\":\"web1.data\",\"lv_size\":\"" size                   \
	"\",\"lv_tags\":\"" tags "\",\"lv_active\":\"" active "\"}]}]}"
#define VG(free, tags)                                                                                                 \
	"{\"report\":[{\"vg\":[{\"vg_name\":\"xenvg\",\"vg_size\":\"107374182400\",\"vg_free\":\"" free                \
	"\",\"vg_extent_size\":\"4194304\",\"vg_tags\":\"" tags "\"}]}]}"

#define GIB1 "1073741824"

static struct recorder rec;

static struct volume_spec spec(int64_t size_mib)
{
	return (struct volume_spec){.pool = "xenvg", .name = "web1.data", .owner = DISK_A, .size_mib = size_mib};
}

static struct volumes *fresh(void)
{
	struct err err = ERR_INIT;
	struct volumes *v = NULL;

	recorder_reset(&rec);
	recorder_answer(&rec, "lvmconfig", -1, 5, "", "  Configuration node devices/global_filter not found\n");
	assert_int_equal(lvm_new(&rec.base, &v, &err), 0);
	recorder_reset(&rec);
	return v;
}

static void test_filter_keeps_the_hosts_list(void **state)
{
	static const struct {
		const char *printed, *wanted;
	} rows[] = {
	    {"global_filter=[\"r|/dev/sdz|\",\"a|.*|\"]\n", "[\"r|^/dev/drbd|\",\"r|/dev/sdz|\",\"a|.*|\"]"},
	    {"global_filter=\"a|.*|\"\n", "[\"r|^/dev/drbd|\",\"a|.*|\"]"},
	    {"global_filter=[]\n", "[\"r|^/dev/drbd|\"]"},
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF struct buf text = BUF_INIT;
		char wanted[128];

		recorder_reset(&rec);
		recorder_answer(&rec, "lvmconfig devices/global_filter", -1, 0, rows[i].printed, "");
		assert_int_equal(lvm_config_text(&rec.base, &text, &err), 0);
		(void)snprintf(wanted, sizeof(wanted), "devices{global_filter=%s}", rows[i].wanted);
		assert_string_equal(buf_str(&text), wanted);
	}
	/* What cannot be understood is not thrown away: it might hide disks. */
	AUTO_BUF struct buf text = BUF_INIT;
	recorder_reset(&rec);
	recorder_answer(&rec, "lvmconfig", -1, 0, "global_filter=surprise\n", "");
	assert_int_equal(lvm_config_text(&rec.base, &text, &err), -ERR_COMMAND_FAILED);
	recorder_reset(&rec);
	recorder_answer(&rec, "lvmconfig", -1, 3, "", "  Parse error at byte 7\n");
	assert_int_equal(lvm_config_text(&rec.base, &text, &err), -ERR_COMMAND_FAILED);
}

static void test_create(void **state)
{
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s = spec(1024);
	struct err err = ERR_INIT;

	(void)state;
	recorder_answer(&rec, "lvs", 1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, VG("2147483648", ""), "");
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	assert_string_equal(buf_str(&rec.log), FIND VGS "lvcreate " CONFIG "-y -W y -Z y --addtag gantry-" DISK_A
							" -L 1024m -n web1.data xenvg\n");
}

static void test_create_is_idempotent(void **state)
{
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s = spec(1024);
	struct err err = ERR_INIT;

	(void)state;
	recorder_answer(&rec, "lvs", 1, 0, LV(GIB1, "other,gantry-" DISK_A, "active"), "");
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	assert_string_equal(buf_str(&rec.log), FIND);
	/* inactive: made usable */
	recorder_answer(&rec, "lvs", 1, 0, LV(GIB1, "gantry-" DISK_A, ""), "");
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	assert_string_equal(buf_str(&rec.log), FIND FIND "lvchange " CONFIG "-a y xenvg/web1.data\n");
	/* too small is not what was asked for */
	s.size_mib = 1025;
	recorder_answer(&rec, "lvs", 1, 0, LV(GIB1, "gantry-" DISK_A, "active"), "");
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_WRONG_STATE);
}

static void test_foreign_volumes_are_left_alone(void **state)
{
	static const char *const tags[] = {"", "gantry-" DISK_B, "gantry-" DISK_A ",gantry-" DISK_B,
					   "gantry-" DISK_B ",gantry-" DISK_A, "gantry-nonsense"};
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s = spec(1024);
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		char report[512];
		bool present = true;

		(void)snprintf(
		    report, sizeof(report),
		    "{\"report\":[{\"lv\":[{\"vg_name\":\"xenvg\",\"lv_name\":\"web1.data\",\"lv_size\":\"" GIB1
		    "\",\"lv_tags\":\"%s\",\"lv_active\":\"active\"}]}]}",
		    tags[i]);
		recorder_reset(&rec);
		recorder_answer(&rec, "lvs", -1, 0, report, "");
		assert_int_equal(v->ops->create(v, &s, &err), -ERR_FOREIGN);
		assert_int_equal(v->ops->remove(v, &s, &err), -ERR_FOREIGN);
		s.size_mib = 4096;
		assert_int_equal(v->ops->grow(v, &s, &err), -ERR_FOREIGN);
		assert_int_equal(v->ops->probe(v, &s, &present, &err), 0);
		assert_false(present);
		assert_string_equal(buf_str(&rec.log), FIND FIND FIND FIND);
	}
}

static void test_no_space_says_both_figures(void **state)
{
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s = spec(20480);
	struct err err = ERR_INIT;

	(void)state;
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, VG("8589934592", ""), "");
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_NO_SPACE);
	assert_string_equal(err.msg, "volume group 'xenvg' has 8.0 GiB free, volume 'web1.data' needs 20.0 GiB");
	assert_null(strstr(buf_str(&rec.log), "lvcreate"));
	/* Free when looked at, gone when made: somebody else was faster. */
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", 1, 0, VG("42949672960", ""), "");
	recorder_answer(&rec, "vgs", 1, 0, VG("1073741824", ""), "");
	recorder_answer(&rec, "lvcreate", 1, 5, "",
			"  Volume group \"xenvg\" has insufficient free space (256 extents): 5120 required.\n");
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_NO_SPACE);
	assert_string_equal(err.msg, "volume group 'xenvg' has 1.0 GiB free, volume 'web1.data' needs 20.0 GiB");
	/* Only whole extents count: 5 MiB do not fit into 7 MiB of 4 MiB extents. */
	recorder_reset(&rec);
	s.size_mib = 5;
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, VG("7340032", ""), "");
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_NO_SPACE);
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, "{\"report\":[{\"vg\":[]}]}", "");
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_NOT_FOUND);
}

static void test_create_done_in_spite_of_a_failure(void **state)
{
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s = spec(1024);
	struct err err = ERR_INIT;

	(void)state;
	recorder_answer(&rec, "lvs", 1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, VG("2147483648", ""), "");
	recorder_fail(&rec, "lvcreate", 1, -ERR_TIMEOUT);
	recorder_answer(&rec, "lvs", 1, 0, LV(GIB1, "gantry-" DISK_A, "active"), "");
	assert_int_equal(v->ops->create(v, &s, &err), 0);
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, VG("2147483648", ""), "");
	recorder_fail(&rec, "lvcreate", 1, -ERR_TIMEOUT);
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_TIMEOUT);
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, VG("2147483648", ""), "");
	recorder_answer(&rec, "lvcreate", 1, 5, "", "  WARNING: x\n  Something odd.\n\n");
	assert_int_equal(v->ops->create(v, &s, &err), -ERR_COMMAND_FAILED);
	assert_non_null(strstr(err.msg, "ended with status 5: Something odd."));
}

static void test_bad_specs_reach_no_command(void **state)
{
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s[] = {spec(0), spec(-5), spec(10), spec(10), spec(10), spec(10)};
	struct err err = ERR_INIT;

	(void)state;
	(void)snprintf(s[2].name, sizeof(s[2].name), "-f");
	(void)snprintf(s[3].name, sizeof(s[3].name), "a\" || \"b");
	(void)snprintf(s[4].pool, sizeof(s[4].pool), "../xenvg");
	s[5].owner[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		assert_int_equal(v->ops->create(v, &s[i], &err), -ERR_BAD_VALUE);
	for (size_t i = 2; i < ARRAY_SIZE(s); i++)
		assert_int_equal(v->ops->remove(v, &s[i], &err), -ERR_BAD_VALUE);
	assert_string_equal(buf_str(&rec.log), "");
}

static void test_remove(void **state)
{
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s = spec(1024);
	struct err err = ERR_INIT;

	(void)state;
	recorder_answer(&rec, "lvs", 1, 0, LV(GIB1, "gantry-" DISK_A, "active"), "");
	assert_int_equal(v->ops->remove(v, &s, &err), 0);
	recorder_answer(&rec, "lvs", 1, 0, NO_LVS, "");
	assert_int_equal(v->ops->remove(v, &s, &err), 0);
	assert_string_equal(buf_str(&rec.log), FIND "lvremove " CONFIG "-y xenvg/web1.data\n" FIND);
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", -1, 0, LV(GIB1, "gantry-" DISK_A, "active"), "");
	recorder_answer(&rec, "lvremove", 1, 5, "", "  Logical volume xenvg/web1.data in use.\n");
	assert_int_equal(v->ops->remove(v, &s, &err), -ERR_BUSY);
	/* gone after all */
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", 1, 0, LV(GIB1, "gantry-" DISK_A, "active"), "");
	recorder_answer(&rec, "lvs", 1, 0, NO_LVS, "");
	recorder_fail(&rec, "lvremove", 1, -ERR_TIMEOUT);
	assert_int_equal(v->ops->remove(v, &s, &err), 0);
}

static void test_snapshot(void **state)
{
	struct err err = ERR_INIT;
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s = spec(1024);
	static const char name[] = "web1.tail7.1";

	(void)state;
	recorder_answer(&rec, "lvs", 1, 0, LV(GIB1, "gantry-" DISK_A, "active"), "");
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, VG("2147483648", ""), "");
	recorder_answer(&rec, "lvcreate", -1, 0, "", "");
	assert_int_equal(v->ops->snapshot(v, &s, name, 1040, &err), 0);
	assert_non_null(strstr(buf_str(&rec.log), "lvcreate " CONFIG "-y -s -p r --addtag gantry-" DISK_A " -L 1040m -n web1.tail7.1 xenvg/web1.data\n"));
	/* No room for all of it: none, with both figures. */
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", 1, 0, LV(GIB1, "gantry-" DISK_A, "active"), "");
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	recorder_answer(&rec, "vgs", -1, 0, VG(GIB1, ""), "");
	assert_int_equal(v->ops->snapshot(v, &s, name, 1040, &err), -ERR_NO_SPACE);
	assert_null(strstr(buf_str(&rec.log), "lvcreate"));
	/* Not ours: left alone. */
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", -1, 0, LV(GIB1, "gantry-" DISK_B, "active"), "");
	assert_int_equal(v->ops->snapshot(v, &s, name, 1040, &err), -ERR_FOREIGN);
	assert_null(strstr(buf_str(&rec.log), "lvcreate"));
}

static void test_grow_and_probe(void **state)
{
	AUTO(lvm_free) struct volumes *v = fresh();
	struct volume_spec s = spec(2048);
	struct err err = ERR_INIT;
	bool present = true;

	(void)state;
	recorder_answer(&rec, "lvs", -1, 0, LV(GIB1, "gantry-" DISK_A, "active"), "");
	recorder_answer(&rec, "vgs", -1, 0, VG("1073741824", ""), "");
	assert_int_equal(v->ops->probe(v, &s, &present, &err), 0);
	assert_false(present);
	assert_int_equal(v->ops->grow(v, &s, &err), 0);
	assert_string_equal(buf_str(&rec.log), FIND FIND VGS "lvextend " CONFIG "-y -L 2048m xenvg/web1.data\n");
	s.size_mib = 2049;
	assert_int_equal(v->ops->grow(v, &s, &err), -ERR_NO_SPACE);
	assert_non_null(strstr(err.msg, "needs 1.0 GiB more"));
	s.size_mib = 512;
	assert_int_equal(v->ops->grow(v, &s, &err), 0);
	assert_int_equal(v->ops->probe(v, &s, &present, &err), 0);
	assert_true(present);
	recorder_reset(&rec);
	recorder_answer(&rec, "lvs", -1, 0, NO_LVS, "");
	assert_int_equal(v->ops->grow(v, &s, &err), -ERR_NOT_FOUND);
	char path[PATH_LEN + 1];
	v->ops->path(v, &s, path);
	assert_string_equal(path, "/dev/xenvg/web1.data");
}

static void test_lists(void **state)
{
	AUTO(lvm_free) struct volumes *v = fresh();
	AUTO_FREE struct volume_info *volumes = NULL;
	AUTO_FREE struct pool_info *pools = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	(void)state;
	recorder_answer(
	    &rec, "lvs", -1, 0,
	    "{\"report\":[{\"lv\":[{\"vg_name\":\"a\",\"lv_name\":\"root\",\"lv_size\":\"2097152\",\"lv_tags\":\"\","
	    "\"lv_active\":\"active\"},{\"vg_name\":\"a\",\"lv_name\":\"d\",\"lv_size\":\"4194303\","
	    "\"lv_tags\":\"gantry-" DISK_B "\",\"lv_active\":\"\"}]}],\"log\":[]}",
	    "");
	recorder_answer(&rec, "vgs", -1, 0, VG("8589934592", ""), "");
	assert_int_equal(v->ops->list(v, &volumes, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(volumes[0].owner, "");
	assert_true(volumes[0].active);
	assert_string_equal(volumes[1].owner, DISK_B);
	assert_int_equal(volumes[1].size_mib, 3);
	assert_false(volumes[1].active);
	assert_int_equal(v->ops->pools(v, &pools, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(pools[0].name, "xenvg");
	assert_int_equal(pools[0].size_mib, 102400);
	assert_int_equal(pools[0].free_mib, 8192);
	assert_string_equal(buf_str(&rec.log), LVS "\n" VGS);
}

static void test_bad_reports(void **state)
{
	static const char *const texts[] = {
	    "",
	    "{}",
	    "[]",
	    "{\"report\":[]}",
	    "{\"report\":[{\"vg\":[]}]}",
	    "{\"report\":[{\"lv\":[]}",
	    "{\"report\":[{\"lv\":[{\"vg_name\":\"a\",\"lv_name\":\"b\",\"lv_size\":\"12g\"}]}]}",
	    "{\"report\":[{\"lv\":[{\"vg_name\":\"a\",\"lv_name\":\"b\",\"lv_size\":\"-1\"}]}]}",
	    "{\"report\":[{\"lv\":[{\"vg_name\":\"a\",\"lv_name\":\"b\"}]}]}",
	    "{\"report\":[{\"lv\":[7]}]}",
	};
	struct volume_info *volumes = NULL;
	struct lvm_vg *groups = NULL;
	struct err err = ERR_INIT;
	int n = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(lvm_report_lvs(texts[i], strlen(texts[i]), &volumes, &n, &err), -ERR_COMMAND_FAILED);
	assert_int_equal(lvm_report_vgs(NO_LVS, strlen(NO_LVS), &groups, &n, &err), -ERR_COMMAND_FAILED);
	const char zero[] = "{\"report\":[{\"vg\":[{\"vg_name\":\"a\",\"vg_size\":\"1\",\"vg_free\":\"1\","
			    "\"vg_extent_size\":\"0\"}]}]}";
	assert_int_equal(lvm_report_vgs(zero, strlen(zero), &groups, &n, &err), -ERR_COMMAND_FAILED);
	assert_null(volumes);
	assert_null(groups);
	assert_int_equal(n, -1); /* outputs untouched on failure */
}

/* ---- node prepare ----------------------------------------------------------------------------- */

#define LSBLK(rest)                                                                                                    \
	"{\"blockdevices\":[{\"path\":\"/dev/vdb\",\"type\":\"disk\",\"size\":10737418240,\"ro\":false," rest "}]}"
#define CLEAN         "\"fstype\":null,\"pttype\":null,\"mountpoints\":[null]"
#define NO_SIGNATURES "{\"signatures\":[]}"
#define NO_PVS        "{\"report\":[{\"pv\":[]}]}"
#define NO_VGS        "{\"report\":[{\"vg\":[]}]}"
#define LOOK                                                                                                           \
	"lsblk -J -b -o PATH,TYPE,SIZE,RO,FSTYPE,PTTYPE,MOUNTPOINTS /dev/vdb\n"                                        \
	"wipefs -n -J /dev/vdb\n"                                                                                      \
	"pvs " CONFIG "--reportformat json -o pv_name,vg_name -S pv_name=\"/dev/vdb\"\n"

static void prepare_rules(const char *lsblk, const char *wipefs, const char *pvs, const char *vgs)
{
	recorder_reset(&rec);
	recorder_answer(&rec, "lvmconfig", -1, 5, "", "not found");
	recorder_answer(&rec, "lsblk", -1, 0, lsblk, "");
	recorder_answer(&rec, "wipefs", -1, 0, wipefs, "");
	recorder_answer(&rec, "pvs", -1, 0, pvs, "");
	recorder_answer(&rec, "vgs", -1, 0, vgs, "");
}

static void test_prepare_makes_a_group(void **state)
{
	const char *const disks[] = {"/dev/vdb", "/dev/vdb"};
	struct err err = ERR_INIT;

	(void)state;
	prepare_rules(LSBLK(CLEAN), NO_SIGNATURES, NO_PVS, NO_VGS);
	assert_int_equal(lvm_prepare(&rec.base, "xenvg", disks, 2, &err), 0); /* one disk named twice is one disk */
	assert_string_equal(buf_str(&rec.log), "lvmconfig devices/global_filter\n" VGS LOOK LOOK "vgcreate " CONFIG
					       "--addtag gantry xenvg /dev/vdb\n");
	prepare_rules(LSBLK(CLEAN), "", NO_PVS, VG("0", "x,gantry"));
	assert_int_equal(lvm_prepare(&rec.base, "xenvg", disks, 1, &err), 0);
	assert_non_null(strstr(buf_str(&rec.log), "vgextend " CONFIG "xenvg /dev/vdb\n"));
	/* a group of that name that somebody else made */
	prepare_rules(LSBLK(CLEAN), NO_SIGNATURES, NO_PVS, VG("0", "gantry2"));
	assert_int_equal(lvm_prepare(&rec.base, "xenvg", disks, 1, &err), -ERR_FOREIGN);
	/* again: nothing is left to do */
	prepare_rules(LSBLK("\"fstype\":\"LVM2_member\",\"pttype\":null,\"mountpoints\":[null]"),
		      "{\"signatures\":[{\"type\":\"LVM2_member\",\"offset\":\"0x218\"}]}",
		      "{\"report\":[{\"pv\":[{\"pv_name\":\"/dev/vdb\",\"vg_name\":\"xenvg\"}]}]}", VG("0", "gantry"));
	assert_int_equal(lvm_prepare(&rec.base, "xenvg", disks, 1, &err), 0);
	assert_null(strstr(buf_str(&rec.log), "vgcreate"));
	assert_null(strstr(buf_str(&rec.log), "vgextend"));
}

static void test_prepare_refuses_what_is_not_empty(void **state)
{
	static const struct {
		const char *lsblk, *wipefs, *pvs, *found;
	} rows[] = {
	    {LSBLK("\"fstype\":null,\"pttype\":\"gpt\",\"mountpoints\":[null],\"children\":[{\"path\":\"/dev/vdb1\"},"
		   "{\"path\":\"/dev/vdb2\"}]"),
	     NO_SIGNATURES, NO_PVS, "partition table gpt, 2 devices made of it (/dev/vdb1)"},
	    {LSBLK("\"fstype\":\"ext4\",\"pttype\":null,\"mountpoints\":[\"/srv\"]"),
	     "{\"signatures\":[{\"type\":\"ext4\",\"offset\":\"0x438\"}]}", NO_PVS,
	     "signature of ext4, mounted at '/srv', signature of ext4 at offset 0x438"},
	    {LSBLK(CLEAN), "{\"signatures\":[{\"type\":\"zfs_member\",\"offset\":\"0x3f000\"}]}", NO_PVS,
	     "signature of zfs_member at offset 0x3f000"}, /* udev's database was behind */
	    {LSBLK(CLEAN), NO_SIGNATURES, "{\"report\":[{\"pv\":[{\"pv_name\":\"/dev/vdb\",\"vg_name\":\"other\"}]}]}",
	     "a physical volume of volume group 'other'"},
	    {"{\"blockdevices\":[{\"path\":\"/dev/vdb\",\"type\":\"rom\",\"size\":\"10737418240\",\"ro\":\"1\"," CLEAN
	     "}]}",
	     NO_SIGNATURES, NO_PVS, "a device of type 'rom', read-only"},
	};
	const char *const disks[] = {"/dev/vdb"};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char wanted[512];
		struct lvm_disk d;

		prepare_rules(rows[i].lsblk, rows[i].wipefs, rows[i].pvs, NO_VGS);
		assert_int_equal(lvm_disk_inspect(&rec.base, "/dev/vdb", &d, &err), 0);
		assert_string_equal(d.found, rows[i].found);
		assert_int_equal(d.size_mib, 10240);
		assert_int_equal(lvm_disk_must_be_empty(&rec.base, "/dev/vdb", &d, &err), -ERR_NOT_EMPTY);
		assert_int_equal(lvm_prepare(&rec.base, "xenvg", disks, 1, &err), -ERR_NOT_EMPTY);
		(void)snprintf(wanted, sizeof(wanted), "disk '/dev/vdb' (10240 MiB) is not empty: %s", rows[i].found);
		assert_string_equal(err.msg, wanted);
		assert_null(strstr(buf_str(&rec.log), "vgcreate"));
	}
	prepare_rules("{\"blockdevices\":[{\"path\":\"/dev/vdb\",\"type\":\"disk\",\"size\":1048576,\"ro\":false," CLEAN
		      "}]}",
		      NO_SIGNATURES, NO_PVS, NO_VGS);
	assert_int_equal(lvm_prepare(&rec.base, "xenvg", disks, 1, &err), -ERR_BAD_VALUE);
	prepare_rules("{\"blockdevices\":[]}", NO_SIGNATURES, NO_PVS, NO_VGS);
	assert_int_equal(lvm_prepare(&rec.base, "xenvg", disks, 1, &err), -ERR_COMMAND_FAILED);
	const char *const bad[] = {"vdb", "/etc/passwd", "--help", "/dev/../etc/x", "/dev/v db"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(lvm_prepare(&rec.base, "xenvg", &bad[i], 1, &err), -ERR_BAD_VALUE);
}

/* If one disk of several is not empty, none is touched. */
static void test_prepare_looks_at_all_first(void **state)
{
	const char *const disks[] = {"/dev/vdb", "/dev/vdc"};
	struct err err = ERR_INIT;

	(void)state;
	recorder_reset(&rec);
	recorder_answer(&rec, "lvmconfig", -1, 5, "", "not found");
	recorder_answer(&rec, "/dev/vdb", 1, 0, LSBLK(CLEAN), "");
	recorder_answer(&rec, "lsblk", 1, 0,
			"{\"blockdevices\":[{\"path\":\"/dev/vdc\",\"type\":\"disk\",\"size\":10737418240,\"ro\":false,"
			"\"fstype\":\"xfs\",\"pttype\":null,\"mountpoints\":[null]}]}",
			"");
	recorder_answer(&rec, "wipefs", -1, 0, NO_SIGNATURES, "");
	recorder_answer(&rec, "pvs", -1, 0, NO_PVS, "");
	recorder_answer(&rec, "vgs", -1, 0, NO_VGS, "");
	assert_int_equal(lvm_prepare(&rec.base, "xenvg", disks, 2, &err), -ERR_NOT_EMPTY);
	assert_null(strstr(buf_str(&rec.log), "vgcreate"));
}

static void test_runner_must(void **state)
{
	const char *const argv[] = {"tool", "x", NULL};
	struct err err = ERR_INIT;

	(void)state;
	recorder_reset(&rec);
	recorder_answer(&rec, "tool", 1, 3, "out\n", "first\n \t last words\x01 \n\n");
	recorder_answer(&rec, "tool", 1, 1, "only out\n", "");
	recorder_fail(&rec, "tool", 1, -ERR_TIMEOUT);
	const char *wanted[] = {"command 'tool x' ended with status 3: last words ",
				"command 'tool x' ended with status 1: only out"};
	for (int i = 0; i < 3; i++) {
		AUTO_RESULT struct runner_result res = {.status = -1};
		int rc = runner_must(&rec.base, argv, NULL, 1000, &res, &err);

		assert_int_equal(rc, i < 2 ? -ERR_COMMAND_FAILED : -ERR_TIMEOUT);
		if (i < 2)
			assert_string_equal(err.msg, wanted[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_runner_must),
	    cmocka_unit_test(test_filter_keeps_the_hosts_list),
	    cmocka_unit_test(test_create),
	    cmocka_unit_test(test_create_is_idempotent),
	    cmocka_unit_test(test_foreign_volumes_are_left_alone),
	    cmocka_unit_test(test_no_space_says_both_figures),
	    cmocka_unit_test(test_create_done_in_spite_of_a_failure),
	    cmocka_unit_test(test_bad_specs_reach_no_command),
	    cmocka_unit_test(test_remove),
	    cmocka_unit_test(test_snapshot),
	    cmocka_unit_test(test_grow_and_probe),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_bad_reports),
	    cmocka_unit_test(test_prepare_makes_a_group),
	    cmocka_unit_test(test_prepare_refuses_what_is_not_empty),
	    cmocka_unit_test(test_prepare_looks_at_all_first),
	};

	recorder_init(&rec);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	recorder_done(&rec);
	return failed;
}
