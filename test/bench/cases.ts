/** What is measured. Adding a line here adds a row to docs/benchmarks.md. */

export interface BenchCase {
  readonly name: string;
  /** In the Debian tree, as root; a number printed as the last word of its output is its own measurement. */
  readonly script: string;
  /** Runs this in place of bash with the script. */
  readonly args?: readonly string[];
  /** `time`: the whole command by the clock. `value`: the number the command prints. */
  readonly measure: 'time' | 'value';
  readonly unit: string;
  /** Repetitions; the median is reported. */
  readonly repeat: number;
  /** The most that ours may be, as a multiple of Debian's runsc. */
  readonly target?: number;
}

const PYTHON_TIMER = 'import time; t=time.perf_counter()';

/** A system call in a loop from C, microseconds each. */
const perCall = (setup: string, call: string, count: number): string => `
cat > /tmp/b.c <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(void) {
  struct timespec a, b;
  char buffer[65536];
  struct stat st;
  (void)buffer; (void)st;
  ${setup}
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int i = 0; i < ${count}; i++) { ${call} }
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%.3f\\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / 1e3 / ${count});
}
END
gcc -O1 -w -o /tmp/b /tmp/b.c && /tmp/b`;

export const CASES: readonly BenchCase[] = [
  {
    name: 'run /bin/true',
    script: '',
    args: ['/bin/true'],
    measure: 'time',
    unit: 'ms',
    repeat: 11,
    target: 0.6,
  },
  {
    name: 'getppid',
    script: perCall('', 'syscall(SYS_getppid);', 50000),
    measure: 'value',
    unit: 'µs',
    repeat: 3,
  },
  {
    name: 'read 4 KiB of a file',
    script: perCall(
      'int fd = open("/usr/bin/perl", O_RDONLY);',
      'pread(fd, buffer, 4096, (i & 255) * 4096);',
      20000,
    ),
    measure: 'value',
    unit: 'µs',
    repeat: 3,
  },
  {
    name: 'write 4 KiB to /tmp',
    script: perCall(
      'int fd = open("/tmp/x", O_RDWR | O_CREAT, 0600);',
      'pwrite(fd, buffer, 4096, (i & 255) * 4096);',
      20000,
    ),
    measure: 'value',
    unit: 'µs',
    repeat: 3,
  },
  {
    name: 'stat',
    script: perCall('', 'stat("/usr/share/perl5/Debconf", &st);', 20000),
    measure: 'value',
    unit: 'µs',
    repeat: 3,
  },
  {
    name: 'open and close',
    script: perCall('', 'close(open("/etc/passwd", O_RDONLY));', 10000),
    measure: 'value',
    unit: 'µs',
    repeat: 3,
  },
  {
    name: 'pipe ping-pong, two processes',
    script: perCall(
      'int p[2], q[2]; pipe(p); pipe(q); if (!fork()) { char c; while (read(p[0], &c, 1) == 1) write(q[1], &c, 1); _exit(0); } close(p[0]); close(q[1]);',
      'char c; write(p[1], "x", 1); read(q[0], &c, 1);',
      5000,
    ),
    measure: 'value',
    unit: 'µs',
    repeat: 3,
  },
  {
    name: 'fork and wait',
    script: perCall('', 'if (!fork()) _exit(0); wait(0);', 300),
    measure: 'value',
    unit: 'µs',
    repeat: 3,
  },
  {
    name: 'mmap, touch, munmap 1 MiB',
    script: perCall(
      '',
      'char *m = mmap(0, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); for (int k = 0; k < 256; k++) m[k * 4096] = 1; munmap(m, 1 << 20);',
      300,
    ),
    measure: 'value',
    unit: 'µs',
    repeat: 3,
  },
  {
    name: '500 × /bin/true in bash',
    script: 'for ((i = 0; i < 500; i++)); do /bin/true; done',
    measure: 'time',
    unit: 'ms',
    repeat: 3,
    target: 0.5,
  },
  {
    name: "python3 -c 'import ssl,asyncio,json'",
    script: "exec python3 -c 'import ssl,asyncio,json'",
    measure: 'time',
    unit: 'ms',
    repeat: 5,
    target: 0.5,
  },
  {
    name: 'find / -xdev | wc -l',
    script: 'find / -xdev | wc -l > /dev/null',
    measure: 'time',
    unit: 'ms',
    repeat: 3,
    target: 0.5,
  },
  {
    name: 'tar of /usr/share to /dev/null',
    script: 'tar cf - -C /usr share | cat > /dev/null',
    measure: 'time',
    unit: 'ms',
    repeat: 3,
  },
  {
    name: 'python arithmetic (no system calls)',
    script: `python3 -c '${PYTHON_TIMER}
n=0
for i in range(3000000): n+=i*i
print((time.perf_counter()-t)*1e3)'`,
    measure: 'value',
    unit: 'ms',
    repeat: 3,
  },
  {
    name: 'gcc of a small program',
    script:
      'printf "#include <stdio.h>\\nint main(){puts(\\"x\\");}" > /tmp/a.c; gcc -o /tmp/a /tmp/a.c',
    measure: 'time',
    unit: 'ms',
    repeat: 3,
  },
];
