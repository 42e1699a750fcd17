"""Plays a script of keystrokes to a program on a pseudo-terminal.

Reads {"argv", "env", "rows", "cols", "timeout", "steps"} as JSON from standard input; a step is
["send", TEXT], ["expect", REGEX], ["resize", ROWS, COLS] or ["pause", SECONDS]. Writes {"ok", "failed",
"transcript", "status"} as JSON. The timeout, in seconds, is for each expectation and for the end.
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time


def resize(fd, rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


class Session:
    def __init__(self, script):
        self.timeout = script["timeout"]
        self.transcript = ""
        self.seen = 0
        self.ended = False
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            resize(0, script["rows"], script["cols"])
            try:
                os.execvpe(script["argv"][0], script["argv"], script["env"] or os.environ)
            finally:
                os._exit(127)

    def pump(self, seconds):
        if self.ended:
            return
        if not select.select([self.fd], [], [], max(0, seconds))[0]:
            return
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if not data:
            self.ended = True
        self.transcript += data.decode("latin1")

    def expect(self, pattern):
        deadline = time.monotonic() + self.timeout
        while True:
            match = re.compile(pattern, re.S | re.M).search(self.transcript, self.seen)
            if match:
                self.seen = match.end()
                return True
            left = deadline - time.monotonic()
            if left <= 0 or self.ended:
                return False
            self.pump(min(left, 0.5))

    def step(self, verb, *args):
        if verb == "send":
            os.write(self.fd, args[0].encode())
        elif verb == "resize":
            resize(self.fd, *args)
        elif verb == "pause":
            until = time.monotonic() + args[0]
            while time.monotonic() < until:
                self.pump(until - time.monotonic())
                if self.ended:
                    break
        else:
            return self.expect(args[0])
        return True

    def finish(self):
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pump(0)
                return os.waitstatus_to_exitcode(status)
            self.pump(0.05)
            if self.ended:
                time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


def main():
    script = json.load(sys.stdin)
    session = Session(script)
    failed = None
    for step in script["steps"]:
        if not session.step(*step):
            failed = step
            break
    if failed:
        os.kill(session.pid, signal.SIGKILL)
    status = session.finish()
    ok = failed is None and status is not None
    json.dump({"ok": ok, "failed": failed, "transcript": session.transcript, "status": status}, sys.stdout)


main()
