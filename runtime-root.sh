#!/bin/sh
# Collects the root file system of an image for Node.js: `runtime-root.sh FOLDER`, on Debian. It has node, the shared
# libraries that node and the native modules of /app link to, and one user; no shell, no package manager, no npm.
# Node.js brings its own certificate authorities and time zones.
set -eu
root=$1
node=$(command -v node)

mkdir -p "$root/usr/local/bin" "$root/usr/lib" "$root/usr/lib64" "$root/etc" "$root/tmp" "$root/var/lib/dpkg/status.d"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
chmod 1777 "$root/tmp"
cp "$node" "$root/usr/local/bin/node"
cp -L /etc/os-release "$root/etc/os-release"
printf '%s\n' root:x:0:0:root:/root:/sbin/nologin nonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin > "$root/etc/passwd"
printf '%s\n' root:x:0: nonroot:x:65532: > "$root/etc/group"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"

{ echo "$node"; find /app -type f \( -name '*.node' -o -name '*.so' -o -name '*.so.*' \); } > /tmp/programs
xargs ldd < /tmp/programs > /tmp/links
if grep 'not found' /tmp/links; then
  echo "these shared libraries are not installed in the base image" >&2
  exit 1
fi
# The libraries' packages, by the end of their paths: /lib is a link to /usr/lib, and dpkg knows either name.
awk '$2 == "=>" && $3 !~ "^/app/" { sub("^/(usr/)?", "", $3); print "*/" $3 }' /tmp/links | sort -u \
  | xargs dpkg-query --search | cut -d: -f1 | sort -u > /tmp/packages

while read -r package; do
  dpkg-query --listfiles "$package" | grep -E '\.so(\.[0-9.]+)?$' | grep -v /gconv/ | sed 's,^/,,' > /tmp/files
  tar -C / -cf - -T /tmp/files | tar -C "$root" -xf - --keep-directory-symlink
  # For licences, and for scanners, which read the packages of an image without dpkg here.
  mkdir -p "$root/usr/share/doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
  dpkg-query --status "$package" > "$root/var/lib/dpkg/status.d/$package"
done < /tmp/packages
