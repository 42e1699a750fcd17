# Run in the sandbox by minimality.ts: makes Sentry and Gofer use all that their lists allow.
import ctypes, mmap, os, resource, signal, subprocess, sys, threading, time

DATA = '/data'
libc = ctypes.CDLL(None, use_errno=True)

def path(name):
    return DATA + '/' + name

def files():
    fd = os.open(path('file'), os.O_RDWR | os.O_CREAT, 0o600)
    os.write(fd, b'x' * 70000)
    os.pwrite(fd, b'y' * 10, 5)
    os.pwritev(fd, [b'a' * 10, b'b' * 10], 100)
    os.preadv(fd, [bytearray(10), bytearray(10)], 100)
    os.pread(fd, 10, 0)
    os.fsync(fd)
    os.fdatasync(fd)
    os.ftruncate(fd, 5000)
    os.posix_fallocate(fd, 0, 20000)
    os.lseek(fd, 0, os.SEEK_DATA)
    os.fchmod(fd, 0o640)
    os.fchown(fd, 1, 1)
    os.utime(fd, (1, 1))
    os.lockf(fd, os.F_LOCK, 10)
    import fcntl
    fcntl.flock(fd, fcntl.LOCK_EX)
    with mmap.mmap(fd, 5000) as view:
        view[0:4] = b'mmap'
        view.flush()
    os.close(fd)
    appended = os.open(path('file'), os.O_WRONLY | os.O_APPEND)
    os.write(appended, b'end')
    os.writev(appended, [b'end'])
    os.close(appended)

def names():
    os.mkdir(path('folder'))
    os.mkfifo(path('fifo'))
    os.symlink('file', path('link'))
    os.readlink(path('link'))
    os.link(path('file'), path('hard'))
    os.rename(path('hard'), path('harder'))
    os.unlink(path('harder'))
    os.rmdir(path('folder'))
    # Enough for a garbage collection in the Gofer.
    for _ in range(3000):
        os.mkdir(path('folder'))
        os.rmdir(path('folder'))
    os.truncate(path('file'), 100)
    os.statvfs(DATA)
    os.listdir(DATA)
    folder = os.open(DATA, os.O_RDONLY)
    os.fsync(folder)
    os.fdatasync(folder)
    os.close(folder)
    for call in (lambda: os.setxattr(path('file'), 'user.a', b'1'), lambda: os.getxattr(path('file'), 'user.a'),
                 lambda: os.listxattr(path('file')), lambda: os.removexattr(path('file'), 'user.a')):
        try:
            call()
        except OSError:
            pass
    os.sync()

def watched():
    # Looked into again and again, then gone.
    os.mkdir(path('watched'))
    for _ in range(5):
        os.path.exists(path('watched/none'))
    os.rmdir(path('watched'))
    os.listdir(DATA)

def processes():
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    end = time.monotonic() + 0.15
    while time.monotonic() < end:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    threads = [threading.Thread(target=time.sleep, args=(0.02,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subprocess.run(['/bin/sh', '-c', 'sleep 0.05 & kill $!; /bin/true | cat; exit 0'], check=True)
    child = os.fork()
    if child == 0:
        while True:
            pass
    time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.times()
    resource.getrusage(resource.RUSAGE_CHILDREN)
    time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)
    os.getrandom(16)

def memory():
    blocks = [bytearray(1 << 20) for _ in range(32)]
    for block in blocks:
        block[::4096] = b'x' * 256
    del blocks, block
    for i in range(30):
        with open(f'/tmp/{i}', 'wb') as f:
            f.write(b'z' * 100000)
    # What the Sentry keeps of a file outside V8's heap: malloc has no such room yet.
    for i in range(4):
        for j in range(16):
            with open(f'/tmp/{i}-{j}', 'wb') as f:
                os.setxattr(f.fileno(), 'user.a', b'v' * 65536)
    total = 0
    for i in range(3000):
        total += len(os.listdir('/proc/self/fd'))

sys.stdout.write('begin\n')
sys.stdout.flush()
files()
names()
watched()
processes()
memory()
print('done')
