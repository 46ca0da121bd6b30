/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor on libvirt's own test driver, which lives in this process: the vtable with real libvirt objects, but for migration and
 * a start that stands still, which that driver does not have.
 * It has one domain of its own ("test"), which is nobody of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmem.h"
#include "hypervisor/libvirt/libvirt.h"

#define UUID "11111111-2222-4333-8444-555555555555"
#define OTHER "99999999-2222-4333-8444-555555555555"
#define FOREIGN "6695eb01-f6a4-8304-79aa-97f2502e193f" /* the test driver's domain */

static struct hypervisor *hv;

static void guest(struct hv_guest *g, const char *name, const char *uuid)
{
	memset(g, 0, sizeof(*g));
	(void)str_copy(g->name, sizeof(g->name), name);
	(void)str_copy(g->uuid, sizeof(g->uuid), uuid);
	g->memory_mib = 64;
	g->vcpus = 1;
	g->domain_type = "test";
	g->cpu_type = "qemu64";
	g->n_disks = 1;
	(void)str_copy(g->disks[0].path, sizeof(g->disks[0].path), "/x.img");
	(void)str_copy(g->disks[0].format, sizeof(g->disks[0].format), "raw");
	(void)str_copy(g->disks[0].bus, sizeof(g->disks[0].bus), "virtio");
	(void)str_copy(g->disks[0].cache, sizeof(g->disks[0].cache), "none");
}

static struct hv_info look(const char *uuid)
{
	struct hv_info i;
	struct err err = ERR_INIT;

	if (hv->ops->info(hv, uuid, &i, &err) < 0)
		fail_msg("info: %s", err.msg);
	return i;
}

static void start(const char *name, const char *uuid)
{
	struct err err = ERR_INIT;
	struct hv_guest g;

	guest(&g, name, uuid);
	if (hv->ops->start(hv, &g, false, &err) < 0)
		fail_msg("start: %s", err.msg);
}

static int set_up(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	return libvirt_new("test:///default", &hv, &err);
}

static int tear_down(void **state)
{
	(void)state;
	libvirt_free(hv);
	return 0;
}

static int destroy_all(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	return hv->ops->destroy(hv, UUID, &err) | hv->ops->destroy(hv, OTHER, &err);
}

static void a_guest_is_started_once(void **state)
{
	(void)state;
	assert_int_equal(look(UUID).state, HV_NONE);
	start("web1", UUID);
	struct hv_info i = look(UUID);
	assert_int_equal(i.state, HV_RUNNING);
	assert_string_equal(i.name, "web1");
	assert_string_equal(i.uuid, UUID);
	assert_true(i.ours);
	assert_false(i.migrating);
	assert_int_equal(i.memory_mib, 64);
	assert_int_equal(i.vcpus, 1);
	start("web1", UUID); /* again: it is there */
	assert_int_equal(look(UUID).state, HV_RUNNING);
}

static void suspend_and_resume_may_be_repeated(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	start("web1", UUID);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hv->ops->suspend(hv, UUID, &err), 0);
		assert_int_equal(look(UUID).state, HV_PAUSED);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hv->ops->resume(hv, UUID, &err), 0);
		assert_int_equal(look(UUID).state, HV_RUNNING);
	}
}

static void destroy_ends_it_and_may_be_repeated(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	start("web1", UUID);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hv->ops->destroy(hv, UUID, &err), 0);
		assert_int_equal(look(UUID).state, HV_NONE);
	}
}

static void a_shutdown_of_what_is_gone_is_done(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(hv->ops->shutdown(hv, UUID, 1000, &err), 0);
	start("web1", UUID);
	assert_int_equal(hv->ops->shutdown(hv, UUID, 10000, &err), 0); /* the test driver's guests obey at once */
	assert_int_equal(look(UUID).state, HV_NONE);
}

static void what_is_not_there_cannot_be_told_anything(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(hv->ops->suspend(hv, UUID, &err), -ERR_WRONG_STATE);
	assert_int_equal(hv->ops->resume(hv, UUID, &err), -ERR_WRONG_STATE);
	assert_int_equal(hv->ops->reset(hv, UUID, &err), -ERR_WRONG_STATE);
	struct hv_migrate m = { .dest_uri = "test:///default", .migrate_uri = "tcp://127.0.0.1" };
	assert_int_equal(hv->ops->migrate(hv, UUID, &m, &err), -ERR_WRONG_STATE);
	assert_int_equal(hv->ops->migrate_cancel(hv, UUID, &err), 0); /* nothing to cancel */
}

static void a_name_that_is_another_ones_is_refused(void **state)
{
	struct err err = ERR_INIT;
	struct hv_guest g;

	(void)state;
	guest(&g, "test", UUID);
	assert_int_equal(hv->ops->start(hv, &g, false, &err), -ERR_FOREIGN);
	assert_non_null(strstr(err.msg, "'test'"));
	assert_int_equal(look(UUID).state, HV_NONE);
	assert_int_equal(look(FOREIGN).state, HV_RUNNING); /* and that one is left alone */
}

static void the_list_says_whose_each_is(void **state)
{
	struct err err = ERR_INIT;
	struct hv_info *list = NULL;
	int n = 0, ours = 0, foreign = 0;

	(void)state;
	start("web1", UUID);
	start("web2", OTHER);
	assert_int_equal(hv->ops->list(hv, &list, &n, &err), 0);
	for (int i = 0; i < n; i++) {
		ours += list[i].ours;
		foreign += strcmp(list[i].uuid, FOREIGN) == 0 && !list[i].ours;
	}
	assert_int_equal(n, 3);
	assert_int_equal(ours, 2);
	assert_int_equal(foreign, 1);
	free(list);
}

static void what_the_hypervisor_refuses_is_an_error(void **state)
{
	struct err err = ERR_INIT;
	struct hv_guest g;

	(void)state;
	guest(&g, "web1", UUID);
	g.n_disks = 2; /* two of one name */
	g.disks[1] = g.disks[0];
	(void)str_copy(g.disks[1].bus, sizeof(g.disks[1].bus), "no-such");
	assert_int_equal(hv->ops->start(hv, &g, false, &err), -ERR_HYPERVISOR);
	assert_non_null(strstr(err.msg, "starting the guest"));
	assert_int_equal(look(UUID).state, HV_NONE);
}

static void the_node_is_described(void **state)
{
	struct hv_node_info i;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(hv->ops->node_info(hv, &i, &err), 0);
	assert_int_equal(i.memory_total_mib, 3072); /* what the test driver says */
	assert_int_equal(i.cpus, 16);
	assert_int_equal(strncmp(i.version, "libvirt ", 8), 0);
	assert_false(i.kvm); /* it has no domain capabilities */
	free(i.host_cpu_xml);
}

static void no_libvirt_is_said_so(void **state)
{
	struct hypervisor *none = NULL;
	struct err err = ERR_INIT;
	struct hv_info i;

	(void)state;
	assert_int_equal(libvirt_new("qemu+unix:///system?socket=/nowhere/sock", &none, &err), 0);
	assert_int_equal(none->ops->info(none, UUID, &i, &err), -ERR_LIBVIRT_DOWN);
	assert_int_equal(err.code, ERR_LIBVIRT_DOWN);
	libvirt_free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_guest_is_started_once, destroy_all),
		cmocka_unit_test_teardown(suspend_and_resume_may_be_repeated, destroy_all),
		cmocka_unit_test_teardown(destroy_ends_it_and_may_be_repeated, destroy_all),
		cmocka_unit_test_teardown(a_shutdown_of_what_is_gone_is_done, destroy_all),
		cmocka_unit_test_teardown(what_is_not_there_cannot_be_told_anything, destroy_all),
		cmocka_unit_test_teardown(a_name_that_is_another_ones_is_refused, destroy_all),
		cmocka_unit_test_teardown(the_list_says_whose_each_is, destroy_all),
		cmocka_unit_test_teardown(what_the_hypervisor_refuses_is_an_error, destroy_all),
		cmocka_unit_test(the_node_is_described),
		cmocka_unit_test(no_libvirt_is_said_so),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
