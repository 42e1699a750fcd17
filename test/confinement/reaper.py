# Run on the host by minimality.ts: runs a command and waits for all that it leaves behind. Status 1 when
# any of it ended by a signal.
#   reaper.py COMMAND...
import ctypes, os, sys

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
if os.fork() == 0:
    os.execv(sys.argv[1], sys.argv[1:])
killed = False
while True:
    try:
        _, status = os.wait()
    except ChildProcessError:
        break
    killed |= os.WIFSIGNALED(status)
sys.exit(1 if killed else 0)
