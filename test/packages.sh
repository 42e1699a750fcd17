#!/bin/sh
# Installs the Debian packages that the tests and benchmarks use, when root and apt are there. Packages that
# cannot be had are not an error here: the tests that need them say so.
set -u
packages='gcc libc6-dev strace runc runsc docker.io containerd debootstrap busybox-static util-linux python3 dbus systemd procps'
missing=
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing packages:$missing" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# Installing docker.io must not start a daemon.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
for attempt in 1 2; do
  apt-get update -qq &&
    # shellcheck disable=SC2086
    apt-get install -qq -y --no-install-recommends $missing </dev/null >/dev/null && exit 0
  sleep 5
done
echo "could not install:$missing" >&2
exit 0
