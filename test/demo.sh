#!/bin/sh
# Shows a sandbox from the inside: real programs of this machine, below an in-memory overlay.
set -eu
runsc="$(dirname "$0")/../dist/runsc"

show() {
  printf '\n\033[1m$ runsc do %s\033[0m\n' "$*"
  "$runsc" --network=none do "$@"
}

if [ "$(id -u)" != 0 ]; then
  echo 'runsc needs root here; on this machine: uname -a says' "$(uname -a)" >&2
fi
printf '\033[1m$ uname -a   (the host)\033[0m\n'
uname -a
show uname -a
show dmesg
show mount
show ps aux
if command -v python3 >/dev/null; then
  show python3 -c 'import os, platform, threading
t = threading.Thread(target=lambda: print("a thread of python", platform.python_version(), "on Linux", os.uname().release))
t.start(); t.join()
open("/root/proof", "w").write("only in memory\n"); print(open("/root/proof").read(), end="")'
elif command -v perl >/dev/null; then
  show perl -e 'print "perl $^V, pid $$\n"; if (!fork) { print "a child\n"; exit } wait'
fi
echo
if [ -e /root/proof ]; then
  echo 'the sandbox wrote to the host: this must not happen' >&2
  exit 1
fi
echo 'The file that the sandbox wrote is not on the host.'
