# Run on the host by minimality.ts: a sandbox with a terminal of its own, through a console socket.
#   console.py SOCKET COMMAND...
import array, os, select, socket, subprocess, sys, time, fcntl, struct, termios

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(1)
made = subprocess.run(sys.argv[2:-2] + ['create', '--bundle', sys.argv[-1], '--console-socket', sys.argv[1], sys.argv[-2]],
                      stderr=subprocess.PIPE, timeout=20)
if made.returncode != 0:
    sys.exit(1)
connection, _ = listener.accept()
_, fds, _, _ = socket.recv_fds(connection, 100, 1)
started = subprocess.run(sys.argv[2:-2] + ['start', sys.argv[-2]], timeout=20)
text = b''
end = time.monotonic() + 15
rows = 41
while b'done' not in text and time.monotonic() < end:
    if select.select(fds, [], [], 0.2)[0]:
        try:
            piece = os.read(fds[0], 4096)
        except OSError:
            break
        text += piece
    if b'%d\r' % rows in text:
        fcntl.ioctl(fds[0], termios.TIOCSWINSZ, struct.pack('HHHH', rows, 100, 0, 0))
        os.write(fds[0], b'typed\n')
        rows += 1
sys.exit(0 if b'done' in text else 1)
