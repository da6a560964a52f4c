#!/bin/sh
# Lays out the root directory of an image: image.sh PROGRAM DIRECTORY. The tests start what it makes.
set -eu
program=$1 root=$2

mkdir -p "$root/usr/local/bin" "$root/etc" "$root/data" "$root/tmp"
cp "$program" "$root/usr/local/bin/waymark"

# The libraries, and what loads them, where the program looks for them.
ldd "$program" | grep -o '/[^ ]*' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done

# Names of hosts are looked up in /etc/hosts and by DNS, which takes no further library.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'waymark:x:10001:10001:waymark:/data:/nonexistent' >"$root/etc/passwd"
echo 'waymark:x:10001:' >"$root/etc/group"
chmod 1777 "$root/tmp"
if [ "$(id -u)" = 0 ]; then chown 10001:10001 "$root/data"; fi
