# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2086
# SPDX-License-Identifier: Apache-2.0
# What the scenarios about failover share, on top of scenario.sh. Sourced after it.
#
# The witness is this machine: it hears the guest's reports (guest-init.c) on the lab's primary network, so what was acknowledged is known
# even when the node that ran the guest, and its console with it, has lost its power. And it owns the sockets that the nodes are plugged
# into: power-switch, asked by fence_lab on the nodes, over the lab's own network only.
vm_args='-B memory=96m,ha=failover'
report_to=10.77.0.1:7777
guest_hv=${guest_hv/no_timer_check/no_timer_check lab.ip=10.77.0.50\/24 lab.report=$report_to}
reports=$work/reports
helpers=()
ctl=3    # the node that is asked; it has no disk of the guest
src='' dst='' master=''

finish() {
	local p
	for p in ${helpers[@]+"${helpers[@]}"}; do kill "$p" 2>/dev/null; done
	[ "${LAB_KEEP:-}" = yes ] || "$lab" down
	rm -rf "$work"
}

# ---- the witness ---------------------------------------------------------------------------------------

stamp() { local line; while IFS= read -r line; do printf '%s %s\n' "$EPOCHREALTIME" "$line"; done; }
witness_begin() {
	local mode port
	: >"$reports"
	: >"$work/power.log"
	"$lab" in socat -u "UDP4-RECV:${report_to#*:},bind=${report_to%:*},reuseaddr" STDOUT > >(stamp >>"$reports") &
	helpers+=($!)
	for mode in honest liar hangs; do
		port=$(power_port "$mode")
		socat "UNIX-LISTEN:$work/power-$mode,fork" "EXEC:$top/tests/lab/power-switch $mode $work/power.log" 2>/dev/null &
		helpers+=($!)
		"$lab" in socat "TCP4-LISTEN:$port,bind=10.77.0.1,fork,reuseaddr" "UNIX-CONNECT:$work/power-$mode" 2>/dev/null &
		helpers+=($!)
	done
	until_true 20 test -S "$work/power-hangs"
}
power_port() { case $1 in honest) echo 7701 ;; liar) echo 7702 ;; hangs) echo 7703 ;; esac; }
# What a node's setting says: fence_agents N MODE...: in this order.
fence_agents() {
	local n=$1 mode text=
	shift
	for mode; do text+="${text:+;}agent=fence_lab,ip=10.77.0.1,ipport=$(power_port "$mode"),plug=$n,login=lab,passwd=lab-secret"; done
	echo "$text"
}

# After a snapshot was restored the guest has gone back in time: what it said before counts no more.
witness_forget() { : >"$reports"; }

reported_max() { awk '/ w=ok /{ sub(/.* count=/, ""); n = $1 + 0; if (n > max) max = n } END { print max + 0 }' "$reports"; }
# The newest number that anybody heard to be acknowledged: by datagram, or on the console of a node that can be asked.
acked_anywhere() {
	local a b
	a=$(reported_max) b=$(acked)
	[ "${b:-0}" -gt "$a" ] && a=$b
	echo "$a"
}

# Of all that was heard: a run that follows another one found everything that the earlier had acknowledged, whole; no run speaks again
# after a later one has begun; no number is acknowledged by two runs. Prints what is wrong.
witness_content() {
	awk '
	{ for (i = 2; i <= NF; i++) { split($i, kv, "="); v[kv[1]] = kv[2] }
	  b = v["boot"]
	  if (b == "" || v["count"] == "") next
	  if (b != now) {
		if (b in seen) { print "run " b " speaks again after run " now " had begun: two copies"; bad = 1 }
		if (v["found"] != "none" && v["found"] + 0 < max) { print "run " b " found " v["found"] ", but " max " was acknowledged"; bad = 1 }
		seen[b] = 1; now = b; runs++
	  }
	  if (v["gaps"] + v["bad"] > 0) { print "run " b " found " v["gaps"] " gaps, " v["bad"] " broken sectors"; bad = 1 }
	  if (v["w"] == "ok") {
		n = v["count"] + 0
		if ((n in by) && by[n] != b) { print "number " n " was acknowledged to run " by[n] " and to run " b; bad = 1 }
		by[n] = b
		if (n > max) max = n
	  }
	}
	END { if (!runs) { print "nothing was heard of the guest"; bad = 1 } exit bad }' "$reports"
}
heard_after() { # TIME [NOT-THIS-RUN]: something was heard since
	awk -v t="$1" -v not="boot=${2:-}" '$1 > t && / w=ok / && $2 != not { found = 1; exit } END { exit !found }' "$reports"
}
run_now() { tail -n 1 "$reports" | sed -n 's/.*boot=\([0-9a-f-]*\) .*/\1/p'; }
first_write_after() { awk -v t="$1" -v not="boot=$2" '$1 > t && / w=ok / && $2 != not { print $1; exit }' "$reports"; }

# ---- nodes -----------------------------------------------------------------------------------------------

other() { case $1 in 1) echo 2 ;; 2) echo 1 ;; esac; }
boot_id() { on "$1" 'cat /proc/sys/kernel/random/boot_id'; }
another_boot() { local b; b=$(boot_id "$1") && [ -n "$b" ] && [ "$b" != "$2" ]; } # by its own word
same_boot() { [ "$(boot_id "$1")" = "$2" ]; }
other_boot() { local b; b=$(boot_id "$1") && [ -n "$b" ] && [ "$b" != "$2" ]; }
is_master() { [ "$(gnt "$1" cluster getmaster 2>/dev/null)" = "node$1" ]; }
master_now() { gnt "$ctl" cluster getmaster 2>/dev/null | tr -dc 0-9; }
another_master() { local m; m=$(master_now); [[ $m =~ ^[1-5]$ ]] && [ "$m" != "$1" ]; }
status_is() { jq_is "$ctl" ".[] | select(.name == \"node$1\") | .status == \"$2\"" node list; }
all_online() { jq_is "$ctl" '[.[] | select(.status == "online")] | length == 3' node list; }
guarded() { jq_is "$ctl" '.[0].ha.guarded' instance info $vm; }
watchdog_is() { jq_is "$ctl" ".watchdog == \"$2\"" node info "node$1"; }
has_cluster_ip() { on "$1" "ip -o addr show | grep -qw 10.77.0.20"; }
# What verify says and nobody expects: all errors, and all warnings but those about drills that this cluster has not had.
verify_findings() { gnt "$ctl" cluster verify --json 2>/dev/null | jq -r '.findings[] | select(.level == "error" or (.text | test("proven") | not)) | .text'; }
verify_clean() { gnt "$ctl" cluster verify --json 2>/dev/null | jq -e '[.findings[] | select(.level == "error" or (.text | test("proven") | not))] | length == 0' >/dev/null; }
make_master() { # NODE
	is_master "$1" && return 0
	gnt "$1" cluster master-failover --yes >/dev/null 2>&1
	until_true 180 is_master "$1"
}

# One guest, mirrored, guarded; who is where.
ready() {
	until_true 420 all_online && until_true 420 in_sync "$ctl" && until_true 240 no_open_jobs "$ctl" && until_true 120 runs_alone &&
		until_true 120 guarded || return 1
	src=$(runs_on) dst=$(other "$src") master=$(master_now)
	[ -n "$dst" ] && [[ $master =~ ^[1-5]$ ]]
}

# ---- faults -------------------------------------------------------------------------------------------------

fault_at='' run_before='' before='' boots_before=''
# The moment before a fault: what is known of the guest.
mark() {
	before=$(acked_anywhere)
	run_before=$(run_now)
	boots_before=$(boots)
	fault_at=$EPOCHREALTIME
}

# How long it took, from the events that the master remembers; their times are its clock's, which is asked how far off ours it is.
clock_off_ms() { # NODE
	local a b there
	a=${EPOCHREALTIME/./}
	there=$(on "$1" 'echo $EPOCHREALTIME')
	b=${EPOCHREALTIME/./}
	echo $(((${there/./} - (a + b) / 2) / 1000))
}
events_get() { # into $work/events: seconds after the fault, and the text
	local m off
	m=$(master_now)
	off=$(clock_off_ms "$m")
	gnt "$ctl" event list --json | jq -r --argjson t "${fault_at/./}" --argjson off "${off:-0}" '.[] | ((.wall_ms - $off - $t / 1000) / 1000) as $s | select($s > -0.5) |
		"\($s * 1000 | round / 1000)\t\(.text)"' >"$work/events"
}
event_at() { awk -F'\t' -v re="$1" '$2 ~ re { print $1; exit }' "$work/events"; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "" || b == "") print "?"; else printf "%.1f", a - b }'; }
# took NAME NODE: NODE's guest came up elsewhere. Detection ends when the node is lost (or its power was read as off), evidence when the failover is
# filed, promotion when the mirror's node asks for the permission to start, start when the job has ended; then the guest boots.
took() {
	local name=$1 lost filed start ended write
	events_get
	lost=$(event_at "node 'node$2' is (lost|fenced)")
	filed=$(event_at "instance '$vm': .*ha=failover, evidence")
	start=$(event_at "instance '$vm': node .* asked to start: granted")
	ended=$(event_at "job [0-9]+ .instance.failover.*ended: success")
	write=$(first_write_after "$fault_at" "$run_before")
	[ -z "$write" ] || write=$(minus "$write" "$fault_at")
	say "   $name: detection ${lost:-?}, evidence $(minus "$filed" "$lost"), promotion $(minus "$start" "$filed"), start $(minus "$ended" "$start"): process after ${ended:-?} s; its first write after ${write:-?} s"
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "${lost:-?}" "$(minus "$filed" "$lost")" "$(minus "$start" "$filed")" "$(minus "$ended" "$start")" "${ended:-?}" \
		"${write:-?}" >>"$work/times"
}
# The distribution: one line a part of the time.
distribution() {
	local i names=(x x detection evidence promotion start process first-write)
	[ -s "$work/times" ] || return 0
	say "seconds from the fault (this lab is emulated, its lease is $lease s: a booting guest alone takes about 15 s of it)"
	for i in 2 3 4 5 6 7; do
		cut -f$i "$work/times" | grep -v '?' | sort -n | awk -v name="${names[i]}" '{ v[NR] = $1 }
			END { if (NR) printf "   %-12s n %-3d min %6.1f  median %6.1f  p90 %6.1f  max %6.1f\n", name, NR, v[1], v[int((NR + 1) / 2)], v[int((9 * NR + 9) / 10)], v[NR] }'
	done
}

# What has to be true after a fault, whatever it was.
nothing_lost() { # TEXT
	check_until "$1: it counts past $before, what was acknowledged" 240 counts_past "$before"
	check_until "$1: no number is missing on the disk" 60 disk_whole
	check "$1: no acknowledged write lost, one copy at a time" witness_content
}
came_up_on() { # TEXT NODE: as a new run
	check_until "$1: it runs on node$2 alone" 420 runs_alone_on "$2" &&
		check_until "$1: a new run of it is heard" 300 heard_after "$fault_at" "$run_before"
}
# Its machine was not reset, and it is the same run as before.
undisturbed() { # TEXT NODE BOOT
	check "$1: node$2 was not reset" same_boot "$2" "$3"
	check "$1: the guest was not started anew" test "$(boots)" = "$boots_before"
	check "$1: it is on node$2 alone" runs_alone_on "$2"
}
whole_again() { # TEXT
	check_until "$1: all nodes are online" 420 all_online
	check_until "$1: both replicas are current" 420 in_sync "$ctl"
	check_until "$1: no job is open" 240 no_open_jobs "$ctl"
	check_until "$1: a watchdog guards it" 180 guarded
	check_until "$1: verify finds nothing" 120 verify_clean || verify_findings
	check_until "$1: one copy" 60 runs_alone
}

install_agent() { # fence_lab onto the nodes
	local n
	for n in 1 2 3; do (cd "$top/tests/lab" && "$lab" push fence_lab "$n:/usr/sbin") && on "$n" 'chmod 755 /usr/sbin/fence_lab && sync' || return 1; done
}
# The guest of this checkout, in a lab whose image may be older: it has to report.
install_guest() {
	local g=$work/guest n
	mkdir -p "$g/root"
	on 1 'cat /var/lib/lab/guest.initrd.gz' >"$g/old.gz" && (cd "$g/root" && gzip -dc ../old.gz | cpio -id --quiet) && mv "$g/root/init" "$g/init.old" &&
		gcc -std=gnu11 -static -Os -s -Wall -Wextra -o "$g/root/init" "$top/tests/lab/guest-init.c" || return 1
	cmp -s "$g/root/init" "$g/init.old" && return 0
	(cd "$g/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$g/guest.initrd.gz" || return 1
	for n in 1 2 3; do (cd "$g" && "$lab" push guest.initrd.gz "$n:/var/lib/lab") && on "$n" sync || return 1; done
}
# A cluster with the guest; once made it is a snapshot.
begin() {
	if [ "${LAB_KEEP:-}" = yes ] && "$lab" restore ha-ready 2>/dev/null; then
		witness_begin && check_until "the cluster with its guest is as it was" 240 ready && check_until "the guest is heard" 120 heard_after 0
		return
	fi
	cluster && witness_begin && install_agent && install_guest && make_master 3 || return 1
	check "instance add $vm, ha=failover" gnt 1 "instance add $vm -t drbd -n node1:node2 --disk 0:size=64m $vm_args -H '$guest_hv' --no-install" || return 1
	check_until "the guest writes to its disk" 300 counts_past 3 && check_until "the guest is heard" 120 heard_after 0 || return 1
	check_until "it is mirrored and guarded, everybody online" 420 ready || return 1
	"$lab" save ha-ready
}
