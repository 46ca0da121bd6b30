# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The power of a virtual cluster's nodes, and their watchdogs. Sourced: wants here (this folder), BUILD, VC, LEASE. Off is tests/vcluster/crash.
: "${here:?}" "${BUILD:?}" "${VC:?}" "${LEASE:?}"

fenced() { # I: starts its gantry-fenced
	"$BUILD/gantry-fenced" --fake --device "$VC/node$1/dog" --socket "$VC/node$1/run/gantry/fenced.sock" >>"$VC/node$1/fenced.log" 2>&1 &
	echo $! >"$VC/node$1/fenced.pid"
	disown
}
watchdog() { # I: and the watchdog that it feeds
	mkfifo "$VC/node$1/dog"
	# shellcheck disable=SC2017 # whole seconds, as gantry-fenced takes it
	"$BUILD/tests/vcluster/dog" "$VC/node$1/dog" $((LEASE / 4 * 1000)) "$here/crash" "$1" >>"$VC/node$1/dog.log" 2>&1 &
	echo $! >"$VC/node$1/dog.pid"
	disown
	fenced "$1"
}
noded() { # I: starts it again
	"$BUILD/gantry-noded" --root "$VC/node$1" >>"$VC/node$1/noded.log" 2>&1 &
	echo $! >"$VC/node$1/noded.pid"
	disown
}
power_on() { # I: after crash
	rm -f "$VC/node$1/dog"
	noded "$1"
	etcd --config-file "$VC/node$1/etc/gantry/etcd.yaml" >>"$VC/node$1/etcd.log" 2>&1 &
	echo $! >"$VC/node$1/var/lib/gantry/gantry-etcd.pid"
	disown
	"$BUILD/gantry-masterd" --root "$VC/node$1" >>"$VC/node$1/var/lib/gantry/gantry-masterd.log" 2>&1 &
	echo $! >"$VC/node$1/var/lib/gantry/gantry-masterd.pid"
	disown
	: >"$VC/node$1/dog.log"
	watchdog "$1"
}
power_end() { # the whole cluster ends, and its watchdogs after it: they would fire
	local f p dogs=()
	for f in "$VC"/node*/dog.pid; do [ -s "$f" ] && dogs+=("$(cat "$f")"); done
	"$here/down"
	for p in ${dogs[@]+"${dogs[@]}"}; do kill "$p" 2>/dev/null || true; done # under set -e, too: one may have gone by itself
}
