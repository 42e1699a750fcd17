#!/bin/sh
# systemd_boot.sh SCRATCH READ_ONLY: a system with systemd as its first process and a bus, which runs SCRATCH/script
# as a service and ends with it. It has namespaces of its own. Its root is a new tmpfs: of the machine it can write
# SCRATCH alone (a systemd that sees the machine's /tmp empties it), and the cgroups below the one made for it here.
set -eu

hierarchies() {
  awk '$3 ~ /^cgroup2?$/ && $2 ~ "^/sys/fs/cgroup" { print $2, $3, $4 }' /proc/mounts
}

# Outside: joins a cgroup of its own and enters the namespaces.
outside() {
  group=runsc-test-systemd-$$
  hierarchies | while read -r at type _; do
    if [ "$type" = cgroup2 ]; then
      for name in $(cat "$at/cgroup.controllers"); do
        echo "+$name" > "$at/cgroup.subtree_control" || true
      done
    fi
    mkdir "$at/$group"
    if [ "$type" = cgroup ] && [ -e "$at/cpuset.cpus" ]; then
      for file in cpuset.cpus cpuset.mems; do cat "$at/$file" > "$at/$group/$file"; done
    fi
  done
  status=0
  GROUP=$group sh -c '
    awk '\''$3 ~ /^cgroup2?$/ && $2 ~ "^/sys/fs/cgroup" { print $2 }'\'' /proc/mounts | while read -r at; do
      echo $$ > "$at/$GROUP/cgroup.procs"
    done
    exec timeout --signal=KILL 60 unshare --mount --pid --fork --kill-child=KILL --net --uts --ipc --cgroup "$@"
  ' sh /bin/sh "$0" inside "$1" "$2" </dev/null || status=$?
  hierarchies | while read -r at _; do
    for _ in $(seq 100); do
      find "$at/$group" -depth -type d -exec rmdir {} + 2> /dev/null && break
      sleep 0.05
    done
  done
  return $status
}

bind_read_only() {
  mkdir -p ".$1"
  mount --bind "$1" ".$1"
  mount -o remount,bind,ro ".$1"
}

make_dev() {
  mount -t tmpfs -o mode=755 tmpfs dev
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  for node in null zero full random urandom tty; do
    touch dev/$node
    mount --bind /dev/$node dev/$node
  done
}

make_cgroups() {
  hierarchies | while read -r at type options; do
    [ "$at" = /sys/fs/cgroup ] || mountpoint -q sys/fs/cgroup || mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
    mkdir -p ".$at"
    if [ "$type" = cgroup2 ]; then
      mount -t cgroup2 cgroup2 ".$at"
    else
      mount -t cgroup -o "${options#*relatime,}" cgroup ".$at"
    fi
  done
}

# The first process of the new pid namespace: makes the root, and becomes systemd.
inside() {
  scratch=$1
  mount --make-rprivate /
  mkdir -p "$scratch/root"
  mount -t tmpfs -o mode=755 tmpfs "$scratch/root"
  cd "$scratch/root"
  mkdir usr dev proc sys run tmp etc var root
  for name in bin sbin lib lib64; do
    if [ -L /$name ]; then cp -P /$name $name; elif [ -e /$name ]; then bind_read_only /$name; fi
  done
  bind_read_only /usr
  bind_read_only "$2"
  mkdir -p ".$scratch"
  mount --bind "$scratch" ".$scratch"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  make_dev
  mount -t tmpfs -o mode=755 tmpfs run
  mkdir -p run/dbus run/systemd run/user
  cp /etc/passwd /etc/group etc/
  cp -r "$scratch/units" run/
  make_cgroups
  mkdir old
  pivot_root . old
  umount -l /old
  rmdir /old
  unit_path=/run/systemd/system.control:/run/systemd/transient:/run/units
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test SYSTEMD_UNIT_PATH=$unit_path \
    SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=warning /lib/systemd/systemd --system --unit=test.target
}

if [ "$1" = inside ]; then
  inside "$2" "$3"
else
  outside "$1" "$2"
fi
