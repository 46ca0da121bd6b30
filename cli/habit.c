/* SPDX-License-Identifier: Apache-2.0 */
/* What hands that know Ganeti type, and is not here: the nearest name would mislead, so a person is told what to do instead. */
#include <string.h>

#include "cli/cli.h"

#define ANY NULL

/* Options of commands that are here. verb ANY: of every one of the group; group ANY: of every one. More exact rows first. */
static const struct habit options[] = {
	{ "instance", "add", "-I", "leave it away: without -n the master places the instance" },
	{ "instance", "add", "--iallocator", "leave it away: without -n the master places the instance" },
	{ "instance", "add", "-o", "guests are made from an image: '--image NAME', or '--no-install' for empty disks" },
	{ "instance", "add", "--os-type", "guests are made from an image: '--image NAME', or '--no-install' for empty disks" },
	{ "instance", "add", "-O", "an image is taken as it is: '--image NAME'" },
	{ "instance", "add", "--os-parameters", "an image is taken as it is: '--image NAME'" },
	{ "instance", "add", "-s", "write '--disk 0:size=SIZE'" },
	{ "instance", "add", "--os-size", "write '--disk 0:size=SIZE'" },
	{ "instance", "add", "--no-name-check", "leave it away: names of instances are not looked up in DNS" },
	{ "instance", "add", "--name-check", "leave it away: names of instances are not looked up in DNS" },
	{ "instance", "add", "--no-ip-check", "leave it away: addresses of guests are not tried" },
	{ "instance", "add", "--ip-check", "leave it away: addresses of guests are not tried" },
	{ "instance", "add", "--no-conflicts-check", "leave it away: there are no networks to be in conflict with" },
	{ "instance", "add", "--opportunistic-locking", "leave it away: locks are computed from the plan" },
	{ "instance", "rename", "--no-name-check", "leave it away: names of instances are not looked up in DNS" },
	{ "instance", "rename", "--no-ip-check", "leave it away: addresses of guests are not tried" },
	{ "instance", "info", "-s", "leave it away: 'info' shows what the nodes reported last, it asks none of them" },
	{ "instance", "info", "--static", "leave it away: 'info' shows what the nodes reported last, it asks none of them" },
	{ "instance", "info", "--all", "leave it away: without names all are shown" },
	{ "instance", "startup", "-B", "'gnt instance modify -B' first, then start it" },
	{ "instance", "startup", "-H", "'gnt instance modify -H' first, then start it" },
	{ "instance", "startup", "--no-remember", "leave it away: what is started is wanted up, and kept up" },
	{ "instance", "shutdown", "--no-remember", "leave it away: what is shut down is wanted down, and stays so" },
	{ "instance", ANY, "--ignore-offline", "leave it away: 'gnt instance failover' takes it from a node that is off" },
	{ "instance", "startup", "--ignore-secondaries", "write '--force'" },
	{ "instance", "migrate", "--allow-failover", "leave it away: 'gnt instance failover' when it cannot be migrated" },
	{ "instance", "migrate", "--migration-mode", "write '--non-live', or leave it away: live" },
	{ "instance", "migrate", "-n", "leave it away: it goes to its mirror; 'gnt instance replace-disks -n NODE' makes the mirror elsewhere first" },
	{ "instance", "failover", "-n", "leave it away: it goes to its mirror; 'gnt instance replace-disks -n NODE' makes the mirror elsewhere first" },
	{ "instance", "replace-disks", "-I", "write '-n auto': the master places the mirror" },
	{ "instance", "replace-disks", "--iallocator", "write '-n auto': the master places the mirror" },
	{ "instance", "replace-disks", "-a", "'gnt cluster verify' says which replica lost its disk: '-p' or '-s' rebuilds it" },
	{ "instance", "replace-disks", "--auto", "'gnt cluster verify' says which replica lost its disk: '-p' or '-s' rebuilds it" },
	{ "instance", "replace-disks", "--disks", "leave it away: all disks of an instance are one DRBD resource and move together" },
	{ "instance", "replace-disks", "--early-release", "leave it away: the old mirror stays until the new one is in sync" },
	{ "instance", "modify", "--disk", "'gnt instance grow-disk' makes a disk larger; disks are not added later" },
	{ "instance", "modify", "--net", "network cards are given with 'gnt instance add'" },
	{ "instance", "modify", "-t", "the template is given with 'gnt instance add'" },
	{ "instance", "modify", "-m", "'-B memory=SIZE' takes effect at the next start" },
	{ "instance", "activate-disks", "--ignore-size", "leave it away: sizes are not compared" },
	{ "instance", "activate-disks", "--wait-for-sync", "'gnt instance info' shows 'current': both nodes are in it when the replicas are in sync" },
	{ "node", "add", "--readd", "'gnt node remove' first; a machine that was only away comes back by itself" },
	{ "node", "add", "--no-ssh-key-check", "'gnt node token NAME' here, 'gantry-noded join TOKEN' there: without ssh" },
	{ "node", "modify", "--auto-promote", "leave it away: places of master candidates are filled by themselves" },
	{ "node", "evacuate", "-I", "leave it away: without -n the master places the mirrors" },
	{ "node", "evacuate", "--iallocator", "leave it away: without -n the master places the mirrors" },
	{ "node", "evacuate", "--early-release", "leave it away: the old mirror stays until the new one is in sync" },
	{ "node", "migrate", "--non-live", "'gnt instance migrate --non-live' for those that need it" },
	{ "cluster", "init", "--enabled-hypervisors", "leave it away: KVM is the only one" },
	{ "cluster", "init", "--enabled-disk-templates", "leave it away: '--vg-name \"\"' makes a cluster without LVM" },
	{ "cluster", "init", "--no-ssh-init", "leave it away: nothing goes over ssh" },
	{ "cluster", "init", "--no-etc-hosts", "leave it away: /etc/hosts is not touched" },
	{ "cluster", "init", "-N", "write '--bridge NAME'" },
	{ "cluster", "init", "--nic-parameters", "write '--bridge NAME'" },
	{ "cluster", "modify", "-N", "write '--bridge NAME'" },
	{ "cluster", "modify", "--nic-parameters", "write '--bridge NAME'" },
	{ "cluster", "init", "-I", "leave it away: placing is the master's work" },
	{ "cluster", "init", "--drbd-usermode-helper", "leave it away: 'gnt node prepare' sets DRBD's helper" },
	{ "cluster", "master-failover", "--no-voting", "leave it away: etcd elects; with the majority of voters lost for good, 'gnt cluster recover'" },
	{ "cluster", "renew-crypto", "--new-cluster-certificate", "leave it away: every node's certificate is renewed" },
	{ "cluster", "renew-crypto", "--new-node-certificates", "leave it away: every node's certificate is renewed" },
	{ ANY, ANY, "--tags", "there are no tags" },
	{ ANY, ANY, "--node-tags", "there are no tags" },
	{ ANY, ANY, "-g", "there are no node groups" },
	{ ANY, ANY, "--node-group", "there are no node groups" },
	{ ANY, ANY, "--ignore-ipolicy", "leave it away: there are no instance policies" },
	{ ANY, ANY, "--no-runtime-changes", "leave it away: a guest's memory is not changed while it moves" },
	{ ANY, ANY, "--priority", "leave it away: jobs are served in the order in which they were filed" },
	{ ANY, ANY, "-d", "leave it away: 'journalctl -u gantry-noded -u gantry-masterd' has what the daemons did" },
	{ ANY, ANY, "--debug", "leave it away: 'journalctl -u gantry-noded -u gantry-masterd' has what the daemons did" },
	{ ANY, ANY, "-v", "leave it away: a command says all it knows, '-q' less" },
	{ ANY, ANY, "--verbose", "leave it away: a command says all it knows, '-q' less" },
};

/* Commands and, with verb ANY, whole groups of commands. */
static const struct habit commands[] = {
	{ ANY, "list-fields", NULL, "the list's own --help names all fields" },
	{ ANY, "add-tags", NULL, "there are no tags" },
	{ ANY, "list-tags", NULL, "there are no tags" },
	{ ANY, "remove-tags", NULL, "there are no tags" },
	{ "cluster", "redist-conf", NULL, "it is not needed: the configuration is in etcd" },
	{ "cluster", "master-ping", NULL, "'gnt cluster status' says whether the master is reached" },
	{ "cluster", "version", NULL, "'gnt --version', 'gnt node list -o name,version'" },
	{ "cluster", "queue", NULL, "it is not needed: jobs go on with the next master" },
	{ "cluster", "watcher", NULL, "it is not needed: the master keeps guests up by itself; 'gnt node maintenance' for a node" },
	{ "cluster", "command", NULL, "use ssh; 'gnt node list --no-headers -o name' names the nodes" },
	{ "cluster", "copyfile", NULL, "use scp; 'gnt node list --no-headers -o name' names the nodes" },
	{ "cluster", "upgrade", NULL, "nodes are upgraded one after the other, under running guests: doc/handbook/operations.adoc" },
	{ "cluster", "rename", NULL, "a cluster keeps the name that it was given with 'gnt cluster init'" },
	{ "cluster", "epo", NULL, "'gnt instance shutdown --all', then switch the machines off" },
	{ "cluster", "repair-disk-sizes", NULL, "it is not needed: disks change by 'gnt instance grow-disk' only" },
	{ "cluster", "activate-master-ip", NULL, "it is not needed: the address goes with the master" },
	{ "cluster", "deactivate-master-ip", NULL, "it is not needed: the address goes with the master" },
	{ "node", "powercycle", NULL, "'gnt node fence' switches a machine off by its fence agents" },
	{ "node", "power", NULL, "'gnt node fence' switches a machine off by its fence agents" },
	{ "node", "health", NULL, "'gnt node fence --test' asks its fence agents" },
	{ "node", "volumes", NULL, "'lvs' on the node; 'gnt instance info' shows an instance's disks" },
	{ "node", "list-drbd", NULL, "'drbdadm status' on the node: resources have the instances' names" },
	{ "node", "list-storage", NULL, "'gnt node list -o name,dtotal,dfree'; 'vgs' on the node" },
	{ "node", "modify-storage", NULL, "LVM's own commands, on the node" },
	{ "node", "repair-storage", NULL, "LVM's own commands, on the node" },
	{ "instance", "reinstall", NULL, "'gnt instance remove', then 'gnt instance add --image NAME'" },
	{ "instance", "recreate-disks", NULL, "'gnt instance replace-disks -p' or '-s' rebuilds a replica" },
	{ "instance", "move", NULL, "a mirrored one: 'gnt instance replace-disks -n NODE', then 'gnt instance migrate'; a plain one stays where it is" },
	{ "instance", "change-group", NULL, "there are no node groups" },
	{ "instance", "batch-create", NULL, "'gnt instance add --submit' for each" },
	{ "job", "autoarchive", NULL, "it is not needed: the newest 1000 ended jobs are kept" },
	{ "job", "change-priority", NULL, "jobs are served in the order in which they were filed" },
	{ "os", ANY, NULL, "guests are made from images: 'gnt instance add --image NAME'" },
	{ "group", ANY, NULL, "there are no node groups: every node may mirror every other" },
	{ "network", ANY, NULL, "network cards join a bridge: 'gnt instance add --net 0:link=BRIDGE'" },
	{ "backup", ANY, NULL, "'gnt cluster backup' is for the configuration; guests are backed up from within" },
	{ "filter", ANY, NULL, "jobs are served in the order in which they were filed" },
	{ "storage", ANY, NULL, "disks are LVM's, DRBD's or files: 'gnt instance add -t'" },
};

static bool same(const char *mine, const char *word, size_t n)
{
	return mine == ANY || (strlen(mine) == n && strncmp(mine, word, n) == 0);
}

const char *habit_option(const char *group, const char *verb, const char *word)
{
	/* "-o debian" and "-odebian", "--os-type x" and "--os-type=x" */
	size_t n = word[1] == '-' ? strcspn(word, "=") : 2;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (same(options[i].group, group, strlen(group)) && same(options[i].verb, verb, strlen(verb)) && same(options[i].option, word, n))
			return options[i].hint;
	return NULL;
}

const char *habit_command(const char *group, const char *verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (same(commands[i].group, group, strlen(group)) && (verb ? commands[i].verb && strcmp(commands[i].verb, verb) == 0 : !commands[i].verb))
			return commands[i].hint;
	return NULL;
}

const struct habit *habit_nth(size_t i)
{
	if (i < ARRAY_SIZE(options))
		return &options[i];
	i -= ARRAY_SIZE(options);
	return i < ARRAY_SIZE(commands) ? &commands[i] : NULL;
}
