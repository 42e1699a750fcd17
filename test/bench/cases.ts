/**
 * What is measured. Adding a line here adds a row to docs/benchmarks.md. Programs are those of
 * test/bench/programs, at /bench in the Debian tree; what else they need is in inputs.ts.
 */

export interface BenchCase {
  readonly name: string;
  /** Run as root in the tree; the last word of its output is the figure, unless `whole`. */
  readonly args: readonly string[];
  /** The figure is the time of the whole run, from outside. */
  readonly whole?: true;
  readonly unit: 'µs' | 'ms';
  /** Repetitions, the runtimes taking turns; the median is reported. */
  readonly repeat: number;
  /** The most that systrap shall take, as a multiple of native. */
  readonly target?: number;
  /** Where the time goes beyond that, said in the report where the target is missed. */
  readonly profile?: string;
}

const FORKS =
  'docs/decisions/systrap_processes.md: half is host calls for lists of mappings and stops, half the kernel in a run so short that its code is cold or being compiled (hot_paths.md)';
const PREAD = "the Sentry's own preadv2 of the donated file, as long as the native call, is in it";

const ROOTFS_FILE = '/bench/data';
const BOUND_FILE = '/bound/data';

function program(name: string, target: number, ...args: readonly string[]): BenchCase {
  return {
    name,
    args: args.map((a, i) => (i === 0 ? `/bench/${a}` : a)),
    unit: 'µs',
    repeat: 3,
    target,
  };
}

/** A script timed from inside, so that starting the sandbox is left out. */
function script(name: string, target: number | undefined, text: string): BenchCase {
  const timed = `
begin=\${EPOCHREALTIME/./}
{
${text}
} > /dev/null || exit 1
echo $((\${EPOCHREALTIME/./} - begin))`;
  const bash = ['bash', '-c', timed];
  return { name, args: bash, unit: 'ms', repeat: 3, ...(target === undefined ? {} : { target }) };
}

export const CASES: readonly BenchCase[] = [
  { name: 'run /bin/true', args: ['/bin/true'], whole: true, unit: 'ms', repeat: 7 },
  program('getppid', 3, 'calls', 'getppid'),
  program('getppid, in code that cannot be patched', 25, 'calls', 'unpatched'),
  program('read 1 byte of /dev/zero', 4, 'calls', 'zero'),
  program('write 1 byte to /dev/null', 4, 'calls', 'null'),
  program('stat, root file system', 5, 'calls', 'stat', ROOTFS_FILE),
  program('open and close, root file system', 5, 'calls', 'open', ROOTFS_FILE),
  { ...program('pread 4 KiB, root file system', 5, 'calls', 'pread', ROOTFS_FILE), profile: PREAD },
  program('stat, bind mount', 8, 'calls', 'stat', BOUND_FILE),
  program('open and close, bind mount', 8, 'calls', 'open', BOUND_FILE),
  { ...program('pread 4 KiB, bind mount', 8, 'calls', 'pread', BOUND_FILE), profile: PREAD },
  program('pipe ping-pong, two processes', 2, 'ping_pong', 'pipe'),
  program('futex ping-pong, two threads', 2, 'ping_pong', 'futex'),
  ...[
    program('fork, wait', 3, 'spawn'),
    program('fork, exec, wait: static program', 3, 'spawn', '/bench/nothing'),
    program('fork, exec, wait: dynamic program', 3, 'spawn', '/bin/true'),
    script('500 × /bin/true in bash', 3, 'for ((i = 0; i < 500; i++)); do /bin/true; done'),
  ].map((one) => ({ ...one, profile: FORKS })),
  {
    ...program('touch 256 MB of fresh memory', 1.3, 'memory', 'fresh'),
    unit: 'ms',
    profile:
      "docs/decisions/systrap_processes.md, Memory: the host's fault in a memory file costs 2.8 µs a page, in anonymous memory 1.8",
  },
  { ...program('touch 64 MB after fork', 3, 'memory', 'forked'), unit: 'ms' },
  program('mmap, touch, munmap 64 KiB', 4, 'memory', 'churn'),
  script(
    'tar xf, find, rm -r of 5,000 files',
    3,
    'cd /root; tar xf /bench/files.tar; find files; rm -r files',
  ),
  script('find / -xdev', undefined, 'find / -xdev'),
  {
    ...script("python3 -c 'import ssl,asyncio,json'", 2, "python3 -c 'import ssl,asyncio,json'"),
    profile:
      "docs/decisions/hot_paths.md, Where python's start goes: opening and stat in code that runs for the first time, 221 exchanges with the Gofer, page faults",
  },
  script('gcc -O1 of 2,000 lines', 1.5, 'gcc -O1 -c /bench/lines.c -o /tmp/lines.o'),
  {
    ...script('sqlite3, 10,000 inserts in WAL', 2, 'sqlite3 /tmp/db < /bench/inserts.sql'),
    profile:
      'docs/decisions/hot_paths.md: per insert six calls for locks, two writes, an fdatasync',
  },
  { ...program('two threads, a barrier every 10 µs', 1.5, 'barriers'), unit: 'ms' },
  { ...program('computation', 1.02, 'compute'), unit: 'ms', repeat: 5 },
];
