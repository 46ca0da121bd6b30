# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the lab's scenarios share. Sourced. They look from outside: virsh, drbdsetup, lvs, and the guest's own counter on its
# disk; what `gnt` says is only ever asked in addition. Every wait polls a state, with a limit that a loaded machine keeps.
#
# BUILD: a build directory configured with --prefix=/usr --sysconfdir=/etc --localstatedir=/var (default: one of our own).
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LAB_NAME=${LAB_NAME:-scenario}
lab=$top/tests/lab/lab
work=$(mktemp -d /tmp/gantry-lab.XXXXXX)
passed=0 failed=0
lease=${LEASE:-40}
vm=vm1
guest_hv='kernel_path=/var/lib/lab/guest.vmlinuz,initrd_path=/var/lib/lab/guest.initrd.gz,kernel_args=console=ttyS0 quiet mitigations=off nokaslr tsc=reliable no_timer_check'

# LAB_KEEP=yes: the lab is left as it is at the end, and a next scenario begins with its cluster as it was when it was new.
finish() {
	[ "${LAB_KEEP:-}" = yes ] || "$lab" down
	rm -rf "$work"
}
trap finish EXIT

say() { printf '%s\n' "$*"; }
ok() { passed=$((passed + 1)); say "ok: $* ($SECONDS s)"; }
bad() { failed=$((failed + 1)); say "FAILED: $*"; }
check() { # TEXT COMMAND...: the command's success is the test
	local text=$1
	shift
	if "$@" >"$work/out" 2>&1; then ok "$text"; else
		bad "$text: $(tail -n 5 "$work/out" | tr '\n' '|')"
		return 1
	fi
}
# until_true SECONDS COMMAND...: polls; the pause lets an emulated node breathe.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		read -rt 1 <> <(:) || true
	done
}
check_until() { # TEXT SECONDS COMMAND...
	local text=$1
	shift
	if until_true "$@"; then ok "$text"; else
		bad "$text: not within $1 s"
		return 1
	fi
}

# ---- nodes -------------------------------------------------------------------------------------------

on() { local n=$1; shift; "$lab" ssh "$n" "$@" </dev/null; } # node command
gnt() { local n=$1; shift; on "$n" "gnt $*"; }
# A node that does not answer has refused nothing and shows nothing: `! on ...`, or an empty answer, would not know the difference. Statuses from 124 on
# are not the command's own (timeout, no such command, killed); gnt's 5 and 11 say that there is no cluster, or no master that answers.
refused() { on "$1" "( $2 ); rc=\$?; [ \$rc -gt 0 ] && [ \$rc -lt 124 ]"; } # NODE COMMAND
gnt_refused() { local n=$1; shift; on "$n" "( gnt $* ); rc=\$?; [ \$rc -gt 0 ] && [ \$rc -lt 124 ] && [ \$rc -ne 5 ] && [ \$rc -ne 11 ]"; } # NODE GNT-ARGUMENTS...
shows() { on "$1" "s=\$($2) && echo \"\$s\" | grep -E -- '$3'"; } # NODE COMMAND PATTERN: a line of what it prints, and it succeeds
shows_not() { on "$1" "s=\$($2) && ! echo \"\$s\" | grep -E -- '$3'"; } # ... or none such, and it succeeds
nodes_up() { "$lab" nodes | sed -n 's/^node\([0-9]\).*running.*/\1/p'; }
jq_is() { # NODE FILTER GNT-ARGUMENTS...: gnt's JSON is as the filter says
	[ "$(gnt "$1" "${@:3}" --json 2>/dev/null | jq -r "$2" 2>/dev/null)" = true ]
}
install_build() {
	local stage=$work/stage n
	make -s -C "$BUILD" install-strip DESTDIR="$stage" >"$work/install.log" 2>&1 || { tail -n 20 "$work/install.log"; return 1; }
	"$lab" install "$stage"
	for n in $(nodes_up); do
		on "$n" 'mkdir -p /etc/gantry && echo "slow = 8;" >/etc/gantry/gantry.conf && systemctl -q enable --now gantry-noded'
	done
}
build() {
	[ -z "${BUILD:-}" ] || return 0
	BUILD=$work/build
	mkdir -p "$BUILD"
	[ -x "$top/configure" ] || (cd "$top" && ./autogen.sh) >"$work/build.log" 2>&1
	(cd "$BUILD" && "$top/configure" -q --prefix=/usr --sysconfdir=/etc --localstatedir=/var && make -s -j"$(nproc)") >>"$work/build.log" 2>&1 ||
		{ tail -n 20 "$work/build.log"; return 1; }
}
prepare_all() { # side by side: two cores, and each node has one
	local n pids=()
	for n in 1 2 3; do gnt "$n" node prepare --disk /dev/vdb --bridge br0=eth0 --yes >"$work/prepare$n" 2>&1 & pids+=($!); done
	for n in 1 2 3; do
		if wait "${pids[n - 1]}"; then ok "node$n is prepared"; else
			bad "node$n is prepared: $(tail -n 3 "$work/prepare$n" | tr '\n' '|')"
			return 1
		fi
	done
}
# Three nodes, three voters, arbitration on.
cluster() {
	local n
	if [ "${LAB_KEEP:-}" = yes ] && "$lab" restore cluster 2>/dev/null; then
		check_until "the cluster is as it was when it was new" 120 jq_is 1 '[.[] | select(.status == "online")] | length == 3' node list
		return
	fi
	build || return 1
	"$top/tests/lab/build-image" >/dev/null && "$lab" up 3 && install_build || return 1
	prepare_all || return 1
	check "cluster init" gnt 1 cluster init cluster --secondary-ip 10.77.1.11 --lease "$lease" || return 1
	for n in 2 3; do
		check "node add node$n" gnt 1 node add "node$n" --secondary-ip "10.77.1.1$n" || return 1
	done
	check_until "three voters" 300 jq_is 1 '.voters | length == 3' cluster info || return 1
	check_until "arbitration is on" 300 jq_is 1 '.arbitration' cluster info || return 1
	check_until "no job is open" 300 no_open_jobs || return 1
	[ "${LAB_KEEP:-}" != yes ] || "$lab" save cluster
}
add_vm() { # extra hypervisor parameters
	check "instance add $vm" gnt 1 "instance add $vm -t drbd -n node1:node2 --disk 0:size=64m -B memory=96m -H '$guest_hv${1:-}' --no-install" &&
		check_until "the guest writes to its disk" 300 counts_past 3
}

# ---- the guest, seen from outside ----------------------------------------------------------------------

# Nodes on which the guest's CPUs run / a process of it exists.
runs_on() { local n; for n in $(nodes_up); do on "$n" "virsh -q list --name --state-running | grep -qx $vm" 2>/dev/null && echo "$n"; done; }
exists_on() { local n; for n in $(nodes_up); do on "$n" "virsh -q list --name | grep -qx $vm" 2>/dev/null && echo "$n"; done; }
primary_on() { local n; for n in $(nodes_up); do on "$n" "drbdsetup status $vm 2>/dev/null | head -n 1 | grep -q role:Primary" && echo "$n"; done; }
nowhere() { # by the word of every node that is on
	local n nodes
	nodes=$(nodes_up)
	[ -n "$nodes" ] || return 1
	for n in $nodes; do shows_not "$n" 'virsh -q list --name' "^$vm\$" || return 1; done
}
runs_alone_on() { [ "$(exists_on)" = "$1" ] && [ "$(runs_on)" = "$1" ] && [ "$(primary_on)" = "$1" ]; }
runs_alone() { local n; n=$(runs_on); [[ $n =~ ^[0-9]$ ]] && runs_alone_on "$n"; }

# The largest number that the guest said was acknowledged, on any node's copy of its console.
acked() {
	local n
	for n in $(nodes_up); do
		on "$n" "grep -ah 'count=.*w=ok' /var/lib/gantry/console/* 2>/dev/null" | sed -n 's/.*count=\([0-9]*\) w=ok.*/\1/p'
	done | sort -n | tail -n 1
	return 0 # not grep's on the last node, which may know nothing of the guest
}
# The newest number on the disk, read through DRBD on its Primary.
on_disk() { local p; p=$(primary_on); [[ $p =~ ^[0-9]$ ]] && on "$p" "dd if=\$(drbdadm sh-dev $vm | head -n 1) bs=512 count=1 iflag=direct status=none" | tr -d '\0' | sed -n 's/^count=\([0-9]*\) .*/\1/p'; }
counts_past() { local d; d=$(on_disk); [ -n "$d" ] && [ "$d" -gt "$1" ]; }
boots() { local n; for n in $(nodes_up); do on "$n" "grep -ah 'LAB-GUEST up' /var/lib/gantry/console/* 2>/dev/null"; done | sed -n 's/.*boot=\([0-9a-f-]*\).*/\1/p' | sort -u | wc -l; }

# NODE: each time the guest started there it found its disk whole, and it did start.
no_gaps() { shows "$1" 'grep -ah "LAB-GUEST disk" /var/lib/gantry/console/*' 'gaps=0 bad=0' && shows_not "$1" 'grep -ah "LAB-GUEST disk" /var/lib/gantry/console/* | grep -v "gaps=0 bad=0" || true' .; }

# Every number of the last ring is in its sector: sector N % 2000 + 1 holds N, or N + a multiple of 2000 that came later.
disk_whole() {
	local p head
	p=$(primary_on)
	head=$(on_disk)
	[[ $p =~ ^[0-9]$ ]] && [ -n "$head" ] || return 1
	on "$p" "dd if=\$(drbdadm sh-dev $vm | head -n 1) bs=512 skip=1 count=2000 iflag=direct status=none" | tr -d '\0' |
		sed -n 's/^count=\([0-9]*\) .*/\1/p' | awk -v head="$head" '
		{ at[$1 % 2000] = $1 }
		END { low = head > 1999 ? head - 1999 : 1
			for (n = low; n <= head; n++) if (at[n % 2000] < n) { print "number " n " is missing"; bad = 1 }
			exit bad }'
}
in_sync() { jq_is "${1:-1}" '.[0] | (.own.current | length == 2) and (.replicas | map(.connection == "Connected" and .disk == "UpToDate") | all)' instance info $vm; }
no_open_jobs() { jq_is "${1:-1}" '[.[] | select(.state | IN("queued", "waiting", "running", "undoing", "stuck"))] | length == 0' job list; }

summary() { # NAME: the closing line, for ./check
	say "$1: $passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
