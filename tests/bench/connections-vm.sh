#!/usr/bin/env bash
# connections-vm.sh MUSTERD - 50,000 gRPC connections at a time where the limit of descriptors is too low for them and may
# not be raised: server and load in a virtual machine (qemu; ACCEL=kvm where that works) with Debian's cloud kernel
# and an initramfs of the two programs and their libraries. Everything is ten to thirty times slower in there, so that the
# figures are: it completes, what a connection costs in memory, and that nobody who answers is removed.
#   CONNECTIONS (50000), HOLD (150 s: every one is asked for its health once), LIMIT (2400 s for all),
#   KERNEL (a vmlinuz; else the newest of /boot, else Debian's package is fetched)
# Needs qemu-system-x86, busybox-static, cpio.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
musterd=$1 count=${CONNECTIONS:-50000} limit=${LIMIT:-2400}
. "$here/bars.sh"
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
for program in qemu-system-x86_64 busybox cpio; do
	command -v "$program" >/dev/null || { echo "connections-vm: $program is not installed" >&2; exit 77; }
done

find_kernel() {
	local name
	kernel=${KERNEL:-$(find /boot -name "vmlinuz-*" 2>/dev/null | sort -V | tail -1)}
	[ -z "$kernel" ] || return 0
	name=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
	[ -n "$name" ] || { echo "connections-vm: no kernel: set KERNEL" >&2; exit 77; }
	(cd "$w" && apt-get download -qq "$name" 2>/dev/null && dpkg-deb -x "$name"_*.deb image)
	kernel=$(ls "$w"/image/boot/vmlinuz-*)
}

# The programs, and the libraries that the loader finds for them here, at the same paths.
fill() {
	mkdir -p "$w/root"/{bin,dev,proc,sys,tmp}
	cc -O2 -DPREPARE_LIMIT_SEC=1500 -o "$w/root/bin/nacosblast" "$here"/nacosblast/*.c -lnghttp2 -lz
	cp "$musterd" "$w/root/bin/musterd"
	cp "$(command -v busybox)" "$w/root/bin/busybox"
	ldd "$musterd" "$w/root/bin/nacosblast" | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p' | sort -u | while read -r library; do
		mkdir -p "$w/root$(dirname "$library")"
		cp -L "$library" "$w/root$library"
	done
	cat >"$w/root/init" <<-INIT
		#!/bin/busybox sh
		export PATH=/bin
		/bin/busybox --install -s /bin
		mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
		ip link set lo up
		ulimit -n 200000
		musterd --server.data_dir=/tmp/data --http.listen=127.0.0.1:0 --dns.listen=127.0.0.1:0 --dns.threads=1 \\
			--grpc.connections=100000 --grpc.connections_per_address=100000 \\
			--health.connection_idle=120s --health.connection_probe=120s >/tmp/log 2>&1 &
		until [ -f /tmp/data/ports.json ]; do sleep 0.2; done
		port() { sed -n 's/.*"'"\$1"'":\\["127.0.0.1:\\([0-9]*\\)".*/\\1/p' /tmp/data/ports.json; }
		nacosblast grpc-idle -H "\$(port http)" -G "\$(port grpc)" -P \$! -c $count -t ${HOLD:-150} -A 8 -b 100 2>&1
		echo "evicted=\$(wget -qO- "http://127.0.0.1:\$(port http)/metrics" | sed -n 's/^muster_grpc_connections_evicted_total //p')"
		tail -5 /tmp/log
		echo "the end"
		poweroff -f
	INIT
	chmod +x "$w/root/init"
	(cd "$w/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$w/initramfs"
}

find_kernel
fill
echo "== $count gRPC connections in a virtual machine ($(basename "$kernel"))"
timeout "$limit" qemu-system-x86_64 -M q35 -cpu Nehalem -smp 2 -m 8192 -accel "${ACCEL:-tcg,thread=multi}" -display none -monitor none -serial stdio \
	-no-reboot -nic none -kernel "$kernel" -initrd "$w/initramfs" \
	-append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null 2>"$w/errors" | tr -d '\r' | tee "$w/console" || true
grep -q '^the end' "$w/console" || { echo "connections-vm: it has not completed within $limit s" >&2; tail -3 "$w/errors" >&2; exit 1; }
value() { sed -n "s/.*\\b$1=\\([0-9.]*\\).*/\\1/p" "$w/console" | tail -1; }
bar "$count gRPC connections at a time, those that are up" "$(value up)" ">=" "$count"
bar "$count gRPC connections: errors, lost and removed ones" "$(($(value errors) + $(value closed) + $(value evicted)))" "<=" 0
up=$(value rss_up_kb) before=$(value rss_before_kb) held=$(value rss_held_kb)
bar "memory of one of them once they are set up" $(((up - before) * 1024 / count)) "<=" 12288 bytes
echo "... and once each was asked for its health: $(((held - before) * 1024 / count)) bytes"
