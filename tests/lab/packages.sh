# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# The one list of Debian packages, by purpose. Sourced by quickstart, check, tests/lab/build-image and tests/lab/lab.

# To build Gantry from a checkout.
packages_build=(
	build-essential autoconf automake autoconf-archive pkg-config scdoc xz-utils
	libcmocka-dev libconfig-dev libcurl4-gnutls-dev libgnutls28-dev libjansson-dev libmnl-dev libnanomsg-dev
	libsodium-dev libuv1-dev libvirt-dev libxml2-dev uuid-dev
)

# What Gantry's programs need on a node, as a package of ours would depend on it.
packages_run=(
	libconfig9 libcurl3-gnutls libgnutls30 libjansson4 libmnl0 libnanomsg5 libsodium23
	libuuid1 libuv1 libvirt0 libxml2
	drbd-utils etcd-client etcd-server kmod iproute2 lvm2 openssl
	libvirt-clients libvirt-daemon-driver-qemu libvirt-daemon-system qemu-system-x86 qemu-utils
)

# To build the lab's image and to run its nodes on this machine.
packages_lab=(
	cpio e2fsprogs gcc iproute2 libc6-dev mmdebstrap openssh-client procps qemu-system-x86 qemu-utils socat
)

# Inside a lab node, besides packages_run: a small Debian and tools to look around with.
packages_node=(
	busybox-static ca-certificates dbus e2fsprogs gdb-minimal iputils-ping jq linux-image-cloud-amd64
	nano netcat-openbsd nftables openssh-client openssh-server procps socat strace systemd-sysv udev
)

# To run ./check.
packages_test=(
	clang clang-tidy cppcheck drbd-utils etcd-client etcd-server jq libvirt-clients libvirt-daemon
	libvirt-daemon-driver-qemu llvm lvm2 openssl qemu-system-x86 qemu-utils shellcheck stunnel4 util-linux
)

# packages_missing NAME...: prints those that are not installed.
packages_missing() {
	local p
	for p; do
		case $(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null) in ii*) ;; *) echo "$p" ;; esac
	done
}

# packages_install NAME...: installs what is missing from Debian, without starting a default etcd or libvirt here.
packages_install() {
	local missing
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	echo "installing from Debian: ${missing[*]}"
	if [ "$(id -u)" != 0 ]; then
		echo "error: packages are missing and this is not root" >&2
		echo "hint: apt-get install --no-install-recommends ${missing[*]}" >&2
		return 1
	fi
	# etcd's package starts a server of its own when it is installed; nobody asked for one on this machine.
	local mask=/run/systemd/system/etcd.service held=no rc=0
	if [ -d /run/systemd/system ] && [ ! -e "$mask" ]; then ln -s /dev/null "$mask" && held=yes; fi
	packages_apt "${missing[@]}" || rc=1
	[ $held = no ] || rm -f "$mask"
	return $rc
}

packages_apt() {
	export DEBIAN_FRONTEND=noninteractive
	local opts=(-q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 --no-install-recommends)
	apt-get "${opts[@]}" install "$@" >/dev/null 2>&1 && return 0
	# Perhaps only the lists are old or absent: fetch them, then let apt-get say what is wrong.
	apt-get -q -o DPkg::Lock::Timeout=600 update >/dev/null || true
	apt-get "${opts[@]}" install "$@" >/dev/null || {
		echo "error: apt-get could not install: $*" >&2
		echo "hint: this needs Debian 12 (bookworm) with its main archive in the apt sources" >&2
		return 1
	}
}
