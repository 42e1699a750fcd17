/** python3 and perl. */
import { type Case, cases } from './case.ts';

/** A python script as a bash command. */
const py = (code: string) => `python3 - <<'PYTHON'\n${code.trim()}\nPYTHON`;

export const pythonCases: readonly Case[] = [
  ...cases('python', {
    threading: py(`
import threading, queue, time
n = 0; lock = threading.Lock()
def add():
    global n
    for _ in range(20000):
        with lock: n += 1
ts = [threading.Thread(target=add) for _ in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]; print(n)
q = queue.Queue(5); got = []
def consume():
    while (x := q.get()) is not None: got.append(x)
c = threading.Thread(target=consume); c.start()
for i in range(1000): q.put(i)
q.put(None); c.join(); print(sum(got), got == sorted(got))
e = threading.Event(); t = threading.Timer(0.05, e.set); t.start(); print(e.wait(5), e.wait(0))
b = threading.Barrier(4); r = []
def bar(): r.append(b.wait())
ts = [threading.Thread(target=bar) for _ in range(4)]; [t.start() for t in ts]; [t.join() for t in ts]; print(sorted(r))
cond = threading.Condition(); ready = []
def w():
    with cond:
        while not ready: cond.wait()
ts = [threading.Thread(target=w) for _ in range(5)]; [t.start() for t in ts]
with cond: ready.append(1); cond.notify_all()
[t.join() for t in ts]; s = threading.Semaphore(0); print(s.acquire(timeout=0.05)); l = threading.local(); l.x = 1
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as ex: print(sum(ex.map(lambda x: x * x, range(100))))`),
    subprocess: py(`
import subprocess, os, sys
print(subprocess.run(['sh', '-c', 'echo out; echo err >&2; exit 3'], capture_output=True, text=True))
print(subprocess.check_output(['tr', 'a-z', 'A-Z'], input=b'hello'))
p1 = subprocess.Popen(['seq', '5'], stdout=subprocess.PIPE); p2 = subprocess.Popen(['wc', '-l'], stdin=p1.stdout, stdout=subprocess.PIPE); p1.stdout.close(); print(p2.communicate()[0].strip())
try: subprocess.run(['sleep', '9'], timeout=0.1)
except subprocess.TimeoutExpired: print('timeout')
for cmd in ['/no/such', '/etc', '/etc/passwd']:
    try: subprocess.run([cmd])
    except OSError as e: print(type(e).__name__, e.errno)
p = subprocess.Popen(['sleep', '30']); p.terminate(); print(p.wait()); p = subprocess.Popen(['sleep', '30']); p.kill(); print(p.wait())
print(subprocess.run(['pwd'], cwd='/usr', stdout=subprocess.PIPE).stdout, subprocess.run(['env'], env={'A': 'b'}, stdout=subprocess.PIPE).stdout)
big = os.urandom(1 << 20); print(subprocess.run(['cat'], input=big, stdout=subprocess.PIPE).stdout == big)
ps = [subprocess.Popen([sys.executable, '-c', f'print({i})'], stdout=subprocess.PIPE) for i in range(6)]; print([p.communicate()[0] for p in ps])
print(subprocess.run(['sh', '-c', 'kill -SEGV $$']).returncode, subprocess.getoutput('echo hi'), os.system('exit 5') >> 8, os.popen('echo popen').read())
r, w = os.pipe(); subprocess.run(['sh', '-c', f'echo passed >&{w}'], pass_fds=[w]); print(os.read(r, 100)); print(subprocess.run(['true'], start_new_session=True, preexec_fn=lambda: os.nice(1)).returncode)`),
    multiprocessing: `cat > /tmp/m.py <<'PYTHON'
import multiprocessing as mp, os
def square(x): return x * x
def worker(q, r):
    for x in iter(q.get, None): r.put(x + 1)
def bump(v, l):
    for _ in range(500):
        with l: v.value += 1
if __name__ == '__main__':
    for method in ['fork', 'spawn', 'forkserver']:
        ctx = mp.get_context(method)
        with ctx.Pool(3) as p: print(method, sum(p.map(square, range(50))))
    q, r = mp.Queue(), mp.Queue(); ps = [mp.Process(target=worker, args=(q, r)) for _ in range(3)]; [p.start() for p in ps]
    for i in range(100): q.put(i)
    for _ in ps: q.put(None)
    print(sum(r.get() for _ in range(100))); [p.join() for p in ps]; print([p.exitcode for p in ps])
    v, l = mp.Value('i', 0), mp.Lock(); ps = [mp.Process(target=bump, args=(v, l)) for _ in range(4)]; [p.start() for p in ps]; [p.join() for p in ps]; print(v.value)
    a, b = mp.Pipe(); p = mp.Process(target=lambda: b.send([1, 'x', None])); p.start(); print(a.recv()); p.join()
    from multiprocessing import shared_memory
    s = shared_memory.SharedMemory(create=True, size=4096); t = shared_memory.SharedMemory(name=s.name); s.buf[:3] = b'abc'; print(bytes(t.buf[:3])); t.close(); s.close(); s.unlink()
    p = mp.Process(target=os._exit, args=(7,)); p.start(); p.join(); print(p.exitcode)
    with mp.Manager() as m: d = m.dict(); d['k'] = 1; print(dict(d))
PYTHON
python3 /tmp/m.py`,
    asyncio: py(`
import asyncio, os, socket, signal
async def main():
    async def serve(r, w):
        while (line := await r.readline()): w.write(line.upper()); await w.drain()
        w.close()
    server = await asyncio.start_unix_server(serve, '/tmp/s')
    async def client(i):
        r, w = await asyncio.open_unix_connection('/tmp/s')
        w.write(f'hello {i}\\n'.encode() * 20); w.write_eof(); data = await r.read(); w.close(); return len(data), data[:7]
    print(sorted(await asyncio.gather(*[client(i) for i in range(20)]))[:3])
    server.close(); await server.wait_closed()
    p = await asyncio.create_subprocess_exec('cat', stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE); print(await p.communicate(b'piped')); print(p.returncode)
    ps = [await asyncio.create_subprocess_shell(f'sleep 0.0{i}; exit {i}') for i in range(5)]; print([await p.wait() for p in ps])
    r, w = os.pipe(); loop = asyncio.get_running_loop(); reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, 'rb')); os.write(w, b'through\\n'); print(await reader.readline()); os.close(w); print(await reader.read())
    got = asyncio.Event(); loop.add_signal_handler(signal.SIGUSR1, got.set); os.kill(os.getpid(), signal.SIGUSR1); await asyncio.wait_for(got.wait(), 5); print('signal')
    try: await asyncio.wait_for(asyncio.sleep(10), 0.05)
    except asyncio.TimeoutError: print('timeout')
    a, b = socket.socketpair(); a.setblocking(False); b.setblocking(False)
    await asyncio.gather(loop.sock_sendall(a, b'x' * 1000000), drain(loop, b)); print(await asyncio.to_thread(lambda: 'thread'))
async def drain(loop, b):
    n = 0
    while n < 1000000: n += len(await loop.sock_recv(b, 65536))
    print(n)
asyncio.run(main())`),
    mmap: py(`
import mmap, os
with open('/tmp/f', 'wb') as f: f.write(b'0' * 10000)
with open('/tmp/f', 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0); print(len(m), m[:3]); m[0:5] = b'hello'; m.flush(); print(open('/tmp/f', 'rb').read(6)); print(m.find(b'o')); f.seek(0); f.write(b'J'); f.flush(); print(m[:5])
    p = mmap.mmap(f.fileno(), 4096, flags=mmap.MAP_PRIVATE); p[0] = 90; print(open('/tmp/f', 'rb').read(1), p[:1]); m.resize(20000); print(os.path.getsize('/tmp/f')); m.close(); p.close()
a = mmap.mmap(-1, 8192)
if os.fork() == 0: a[0] = 7; a[8191] = 9; os._exit(0)
os.wait(); print(a[0], a[8191])
with open('/usr/bin/bash', 'rb') as f: m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); print(m[1:4]); import hashlib; print(hashlib.md5(m).hexdigest() == hashlib.md5(open('/usr/bin/bash','rb').read()).hexdigest())
try: m[0] = 1
except TypeError as e: print('read-only')
a.madvise(mmap.MADV_DONTNEED); big = mmap.mmap(-1, 1 << 30); big[1 << 29] = 1; print(big[1 << 29], big[0])`),
    signals: py(`
import signal, os, time, threading
log = []
signal.signal(signal.SIGUSR1, lambda s, f: log.append(s)); os.kill(os.getpid(), signal.SIGUSR1); print(log)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.02); n = 0
def tick(s, f):
    global n; n += 1
signal.signal(signal.SIGALRM, tick)
while n < 5: signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0); print('ticks')
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]); os.kill(os.getpid(), signal.SIGUSR2); print(signal.sigpending()); print(signal.sigwait([signal.SIGUSR2])); print(signal.sigtimedwait([signal.SIGUSR2], 0.05))
signal.signal(signal.SIGALRM, lambda s, f: (_ for _ in ()).throw(TimeoutError())); signal.alarm(1)
try: time.sleep(10)
except TimeoutError: print('interrupted')
signal.signal(signal.SIGALRM, lambda s, f: None); signal.setitimer(signal.ITIMER_REAL, 0.05); t = time.monotonic(); time.sleep(0.3); print(time.monotonic() - t >= 0.3)
pid = os.fork()
if pid == 0: signal.signal(signal.SIGTERM, signal.SIG_DFL); time.sleep(30)
os.kill(pid, signal.SIGTERM); print(os.waitstatus_to_exitcode(os.wait()[1])); signal.signal(signal.SIGCHLD, lambda s, f: log.append('chld'))
if os.fork() == 0: os._exit(0)
while 'chld' not in log: time.sleep(0.01)
r, w = os.pipe2(os.O_NONBLOCK); signal.set_wakeup_fd(w); os.kill(os.getpid(), signal.SIGUSR1); print(os.read(r, 10)[-1]); signal.raise_signal(signal.SIGUSR1); print(signal.getsignal(signal.SIGPIPE), signal.strsignal(9)); signal.pthread_kill(threading.get_ident(), signal.SIGUSR1); signal.siginterrupt(signal.SIGUSR1, True); print(len(log))`),
    tempfile: py(`
import tempfile, os, shutil, pathlib, glob, stat
with tempfile.TemporaryFile() as f: f.write(b'x' * 100000); f.seek(50000); print(len(f.read()), os.fstat(f.fileno()).st_nlink)
with tempfile.NamedTemporaryFile() as f: print(os.path.exists(f.name), oct(os.stat(f.name).st_mode)); n = f.name
print(os.path.exists(n)); d = tempfile.mkdtemp(); p = pathlib.Path(d); (p / 'a' / 'b').mkdir(parents=True); (p / 'a/b/c.txt').write_text('héllo'); print([x.name for x in sorted(p.rglob('*'))], (p / 'a/b/c.txt').read_text())
(p / 'l').symlink_to('a/b/c.txt'); print((p / 'l').resolve() == p / 'a/b/c.txt', os.readlink(p / 'l')); os.link(p / 'a/b/c.txt', p / 'h'); print(os.stat(p / 'h').st_nlink, os.path.samefile(p / 'h', p / 'l')); shutil.copytree(p, '/tmp/copy', symlinks=True); print(sorted(glob.glob('/tmp/copy/**', recursive=True))[1:])
shutil.move('/tmp/copy', '/tmp/moved'); shutil.rmtree(d); print(os.path.exists(d), sorted(os.listdir('/tmp/moved'))); os.chmod('/tmp/moved', 0o700); print(stat.filemode(os.stat('/tmp/moved').st_mode)); os.utime('/tmp/moved', ns=(1, 10**18 + 1)); print(os.stat('/tmp/moved').st_mtime_ns); print(shutil.disk_usage('/tmp').total > 0, [e.name for e in sorted(os.scandir('/tmp/moved'), key=lambda e: e.name) if e.is_symlink()])
fd = os.open('/tmp', os.O_TMPFILE | os.O_RDWR, 0o600); os.write(fd, b'tmp'); os.link(f'/proc/self/fd/{fd}', '/tmp/linked', src_dir_fd=fd); print(open('/tmp/linked').read()); print(os.sendfile(os.open('/tmp/out', os.O_CREAT | os.O_WRONLY), fd, 0, 100), os.copy_file_range(fd, os.open('/tmp/out2', os.O_CREAT | os.O_RDWR), 100, 0))`),
    sqlite: py(`
import sqlite3, os, threading
c = sqlite3.connect('/tmp/d.db'); c.execute('create table t (id integer primary key, v text)'); c.executemany('insert into t (v) values (?)', [(f'row {i}',) for i in range(5000)]); c.commit()
print(c.execute('select count(*), max(v) from t').fetchone()); c.execute('pragma journal_mode=wal'); c.execute("update t set v = 'x' where id % 2"); c.commit(); print(c.execute("select count(*) from t where v = 'x'").fetchone())
if os.fork() == 0:
    d = sqlite3.connect('/tmp/d.db'); d.execute("insert into t (v) values ('child')"); d.commit(); os._exit(0)
os.wait(); print(c.execute("select id from t where v = 'child'").fetchone())
a, b = sqlite3.connect('/tmp/l.db', timeout=0), sqlite3.connect('/tmp/l.db', timeout=0); a.execute('create table x (y)'); a.execute('begin exclusive')
try: b.execute('insert into x values (1)')
except sqlite3.OperationalError as e: print(e)
a.rollback(); c.execute('vacuum'); print(c.execute('pragma integrity_check').fetchone()); c.close(); print(sorted(f for f in os.listdir('/tmp') if '.db' in f))`),
    select: py(`
import select, os, socket, time
r, w = os.pipe(); print(select.select([r], [w], [], 0)[1] == [w]); os.write(w, b'x'); print(select.select([r], [], [], 1)[0] == [r]); p = select.poll(); p.register(r, select.POLLIN); p.register(w, select.POLLOUT); print(sorted(e for _, e in p.poll(100))); os.read(r, 1); t = time.monotonic(); p.unregister(w); print(p.poll(60), time.monotonic() - t >= 0.06); os.close(w); print(p.poll()[0][1] == select.POLLHUP)
e = select.epoll(); a, b = socket.socketpair(); e.register(a, select.EPOLLIN | select.EPOLLET); b.send(b'1'); print(e.poll(1)[0][1], e.poll(0.02)); b.send(b'2'); print(len(e.poll(1))); e.modify(a, select.EPOLLIN | select.EPOLLOUT | select.EPOLLONESHOT); print(e.poll(1)[0][1], e.poll(0.02)); b.close(); e.modify(a, select.EPOLLIN | select.EPOLLRDHUP); print(hex(e.poll(1)[0][1])); f = select.epoll(); f.register(e, select.EPOLLIN); print(len(f.poll(1))); e.unregister(a); print(f.poll(0.02))
import selectors; s = selectors.DefaultSelector(); a, b = socket.socketpair(); s.register(a, selectors.EVENT_READ, 'data'); b.send(b'x'); print([k.data for k, _ in s.select(1)]); fd = os.eventfd(3, os.EFD_NONBLOCK) if hasattr(os, 'eventfd') else None; print(os.eventfd_read(fd)); os.eventfd_write(fd, 9); print(select.select([fd], [], [], 0)[0] == [fd])`),
    forks: py(`
import os, time
kids = []
for i in range(60):
    pid = os.fork()
    if pid == 0: os._exit(i)
    kids.append(pid)
print(sorted(os.waitstatus_to_exitcode(os.waitpid(k, 0)[1]) for k in kids) == list(range(60)))
def tree(d):
    if d == 0: return 1
    r, w = os.pipe(); n = 0
    for _ in range(2):
        if os.fork() == 0: os.write(w, b'x' * tree(d - 1)); os._exit(0)
    os.close(w)
    while (b := os.read(r, 4096)): n += len(b)
    os.wait(); os.wait(); return n
print(tree(4)); data = bytearray(20 << 20); data[::4096] = b'1' * len(data[::4096])
for i in range(3):
    if os.fork() == 0: data[i * 5000000] = 65; os._exit(data[i * 5000000])
print(sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(3)), data[5000000]); print(os.getpgrp() == os.getpgid(0), os.getsid(0) > 0); 
pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'exit 9'], {}); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])); print(os.times().user >= 0, os.sched_yield(), len(os.sched_getaffinity(0)) >= 1)`),
    locks: py(`
import fcntl, os, errno, struct
f = open('/tmp/l', 'w+'); f.write('x' * 100); f.flush(); fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
def child(fn):
    r, w = os.pipe(); pid = os.fork()
    if pid == 0:
        try: os.write(w, repr(fn()).encode())
        except OSError as e: os.write(w, errno.errorcode[e.errno].encode())
        os._exit(0)
    os.waitpid(pid, 0); os.close(w); print(os.read(r, 1000).decode())
g = lambda: open('/tmp/l', 'r+')
child(lambda: fcntl.lockf(g(), fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)); child(lambda: fcntl.lockf(g(), fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)); child(lambda: fcntl.lockf(g(), fcntl.LOCK_SH | fcntl.LOCK_NB))
child(lambda: struct.unpack('hhqqi', fcntl.fcntl(g(), fcntl.F_GETLK, struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0)))[:4]); fcntl.lockf(f, fcntl.LOCK_UN, 5, 0); child(lambda: fcntl.lockf(g(), fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 0)); fcntl.lockf(f, fcntl.LOCK_UN)
fcntl.flock(f, fcntl.LOCK_EX); child(lambda: fcntl.flock(g(), fcntl.LOCK_SH | fcntl.LOCK_NB)); child(lambda: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)); fcntl.flock(f, fcntl.LOCK_SH); child(lambda: fcntl.flock(g(), fcntl.LOCK_SH | fcntl.LOCK_NB)); fcntl.flock(f, fcntl.LOCK_UN)
r, w = os.pipe(); pid = os.fork()
if pid == 0: fcntl.lockf(f, fcntl.LOCK_EX); os.write(w, b'l'); import time; time.sleep(0.1); os._exit(0)
os.read(r, 1); fcntl.lockf(f, fcntl.LOCK_EX); print('got'); os.wait(); fl = fcntl.fcntl(r, fcntl.F_GETFL); fcntl.fcntl(r, fcntl.F_SETFL, fl | os.O_NONBLOCK); print(fcntl.fcntl(r, fcntl.F_GETFL) == fl | os.O_NONBLOCK, fcntl.fcntl(f, fcntl.F_GETFD)); print(fcntl.fcntl(f, fcntl.F_DUPFD_CLOEXEC, 50) >= 50); os.close(w)
try: print(os.read(r, 1))
except OSError as e: print(errno.errorcode[e.errno])`),
    imports: `python3 -c 'import ssl, asyncio, json, decimal, hashlib, zlib, ctypes, xml.dom.minidom, email, http.client, unittest, sqlite3; print(json.dumps({"a": [1, 2.5, None]}), hashlib.sha256(b"x").hexdigest(), zlib.crc32(b"x"), ctypes.CDLL(None).getppid() >= 0)'
python3 -c 'import sys; sys.exit(3)'; echo $?; python3 -c 'raise ValueError' 2>&1 | tail -1; echo 'print(6*7)' | python3; python3 -m timeit -n 1 -r 1 pass > /dev/null && echo timeit; python3 -c 'import platform, socket, time, os; print(platform.machine(), socket.gethostname(), time.tzname, os.cpu_count() > 0, time.time() > 1.7e9, abs(time.time() - os.stat("/proc/self").st_ctime) < 100)'
python3 -c 'import random, statistics; random.seed(1); x=[random.random() for _ in range(200000)]; print(statistics.fmean(sorted(x)))'; python3 -c 'import sys; sys.setrecursionlimit(10**6); f=lambda n: 0 if n==0 else 1+f(n-1); print(f(20000))'; python3 -c 'import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)); resource.setrlimit(resource.RLIMIT_AS, (1<<28, 1<<28)); bytearray(1<<29)' 2>&1 | sed 's/.*\\///'`,
    unix_sockets: py(`
import socket, os, array, struct
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM); r, w = os.pipe(); socket.send_fds(a, [b'fd'], [w]); m, fds, fl, ad = socket.recv_fds(b, 10, 4); os.write(fds[0], b'via'); print(m, os.read(r, 9))
b.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1); a.send(b'c'); d, anc, f, _ = b.recvmsg(10, 200); print([(l, t, struct.unpack('3i', x)[1:]) for l, t, x in anc]); print(struct.unpack('3i', a.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:])
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
    for name in (f'/tmp/s{int(kind)}', f'\\0abstract{int(kind)}'):
        s = socket.socket(socket.AF_UNIX, kind); s.bind(name); s.listen(1); c = socket.socket(socket.AF_UNIX, kind); c.connect(name); k, _ = s.accept(); c.send(b'one'); c.send(b'two'); print(k.recv(3), k.recv(10), k.getsockname(), c.getpeername(), repr(c.getsockname())); c.shutdown(socket.SHUT_WR); print(k.recv(1)); k.send(b'back'); print(c.recv(10))
d1 = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d1.bind('/tmp/d1'); d2 = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d2.bind('\\0d2'); d2.sendto(b'dgram', '/tmp/d1'); print(d1.recvfrom(100)); d1.sendto(b'r', '\\0d2'); print(d2.recvfrom(9)); d2.sendto(b'truncated', '/tmp/d1'); print(d1.recvmsg(4)[0::2])
def err(f):
    try: f(); print('ok')
    except OSError as e: print(e.errno, e.strerror)
err(lambda: socket.socket(socket.AF_UNIX).bind('/tmp/d1')); err(lambda: socket.socket(socket.AF_UNIX).connect('/tmp/none')); err(lambda: socket.socket(socket.AF_UNIX).connect('/tmp/d1')); os.close(r); a.close(); print(b.recv(10)); err(lambda: b.send(b'x')); err(lambda: socket.socket(socket.AF_UNIX).bind('x' * 109)); x = socket.socket(socket.AF_UNIX); err(lambda: x.send(b'')); err(x.getpeername); x.settimeout(0.05); y = socket.socketpair()[0]`),
  }),
  ...cases('perl', {
    basics: `
perl -e 'print join(",", map { $_ ** 2 } 1..5), "\\n"; my %h = (a => 1, b => 2); print "$_=$h{$_};" for sort keys %h; print "\\n"; exit 4'; echo $?; perl -ne 'print if /root/' /etc/passwd; perl -pe 's/(\\w+)/\\u$1/' <<< 'hello world'; perl -MPOSIX -e 'print strftime("%Y", gmtime 0), " ", POSIX::floor(3.7), "\\n"'; perl -MData::Dumper -e '$Data::Dumper::Sortkeys=1; print Dumper({a=>[1,2]})'
perl -MFile::Find -e 'my $n = 0; find(sub { $n++ if -f }, "/usr/share/perl5"); print "$n\\n"'; perl -MDigest::MD5=md5_hex -e 'print md5_hex("x"), "\\n"'; seq 50000 | perl -lane '$s += $F[0]; END { print $s }'; perl -i.bak -pe 's/a/b/' /tmp/none 2> /dev/null; perl -e 'opendir D, "/etc"; print scalar(grep /^pass/, readdir D), "\\n"; print -s "/etc/passwd" > 0, (stat "/etc/passwd")[2] & 0777, "\\n"'`,
    processes: `
perl -e 'for my $i (1..5) { my $p = fork; if (!$p) { exit $i } push @p, $p } for (@p) { waitpid $_, 0; print $? >> 8, " " } print "\\n"; print \`echo backtick\`; system "sh", "-c", "exit 3"; print $? >> 8, "\\n"; open P, "-|", "seq 3"; print <P>; close P; pipe R, W; if (!fork) { print W "child\\n"; exit } close W; print <R>; wait'
perl -e '$SIG{ALRM} = sub { die "alarm\\n" }; eval { alarm 1; sleep 10 }; print $@; $SIG{USR1} = sub { print "usr1\\n" }; kill USR1 => $$; $SIG{CHLD} = sub { $c++ }; if (!fork) { exit } select undef, undef, undef, 0.2 until $c; print "chld\\n"; local $SIG{__DIE__}; use Socket; socketpair A, B, AF_UNIX, SOCK_STREAM, PF_UNSPEC; syswrite A, "sock"; sysread B, $x, 10; print "$x\\n"; use Fcntl ":flock"; open L, ">/tmp/l"; print flock(L, LOCK_EX | LOCK_NB), "\\n"; exec "echo", "exec"'`,
  }),
];
