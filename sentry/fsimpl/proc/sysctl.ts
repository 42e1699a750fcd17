/**
 * /proc/sys (proc_sys(5)): the settings of the kernel that programs read. Only names and the
 * limits of pipes can be changed.
 */
import { CAP_SYS_ADMIN } from '../../../spec/linux/capability.ts';
import { EINVAL, EPERM } from '../../../spec/linux/errno.ts';
import { MSGMAX, MSGMNB, MSGMNI, SEMMNI, SEMMSL, SEMOPM } from '../../../spec/linux/ipc.ts';
import type { Container, UtsNames } from '../../kernel/container.ts';
import { LINUX_RELEASE, LINUX_SYSNAME, LINUX_VERSION } from '../../kernel/linux_version.ts';
import { roundPipeSize } from '../../kernel/pipe_limits.ts';
import { SEMMNS } from '../../kernel/semaphores.ts';
import { SHMMAX, SHMMNI } from '../../kernel/shared_memory.ts';
import { type PseudoDirectory, TextFile } from '../pseudo/pseudo_file_system.ts';
import type { ProcFileSystem } from './proc_file_system.ts';

/** __NEW_UTS_LEN. */
const UTS_LENGTH_MAX = 64;
const CAP_LAST_CAP = 40;
const UUID_BYTES = 16;

/** Directory to setting to value; see proc_sys_kernel(5), proc_sys_vm(5), proc_sys_fs(5). */
const CONSTANTS: Readonly<Record<string, Readonly<Record<string, string | number | bigint>>>> = {
  kernel: {
    cap_last_cap: CAP_LAST_CAP,
    core_pattern: 'core',
    core_uses_pid: 0,
    msgmax: MSGMAX,
    msgmnb: MSGMNB,
    msgmni: MSGMNI,
    ngroups_max: 65536,
    osrelease: LINUX_RELEASE,
    ostype: LINUX_SYSNAME,
    overflowgid: 65534,
    overflowuid: 65534,
    panic: 0,
    perf_event_paranoid: 3,
    pid_max: 32768,
    printk: '4\t4\t1\t7',
    randomize_va_space: 2,
    sem: `${SEMMSL}\t${SEMMNS}\t${SEMOPM}\t${SEMMNI}`,
    shm_rmid_forced: 0,
    shmall: SHMMAX,
    shmmax: SHMMAX,
    shmmni: SHMMNI,
    tainted: 0,
    'threads-max': 32768,
    version: LINUX_VERSION,
  },
  'kernel/random': { entropy_avail: 256, poolsize: 256 },
  vm: {
    max_map_count: 65530,
    mmap_min_addr: 65536,
    overcommit_memory: 1,
    overcommit_ratio: 50,
    swappiness: 60,
  },
  fs: {
    'aio-max-nr': 65536,
    'aio-nr': 0,
    'file-max': 1048576,
    nr_open: 1048576,
    protected_hardlinks: 0,
    protected_symlinks: 0,
    'lease-break-time': 45,
    overflowgid: 65534,
    overflowuid: 65534,
  },
  'fs/epoll': { max_user_watches: 1048576 },
  'fs/inotify': { max_queued_events: 16384, max_user_instances: 128, max_user_watches: 65536 },
  'net/core': { somaxconn: 4096 },
  'net/unix': { max_dgram_qlen: 512 },
};

function directoryAt(root: PseudoDirectory, path: string): PseudoDirectory {
  let dir = root;
  for (const name of path.split('/')) {
    const found = dir.lookup(name);
    dir = typeof found === 'number' ? dir.addDirectory(name) : (found as PseudoDirectory);
  }
  return dir;
}

function uuid(random: (into: Uint8Array) => void): string {
  const bytes = new Uint8Array(UUID_BYTES);
  random(bytes);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const digits = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  const cuts = [0, 8, 12, 16, 20, 32];
  return cuts
    .slice(1)
    .map((end, i) => digits.slice(cuts[i], end))
    .join('-');
}

function nameFile(fs: ProcFileSystem, c: Container, which: keyof UtsNames): TextFile {
  return new TextFile(
    fs,
    0o644,
    () => `${c.uts[which]}\n`,
    (caller, text) => {
      if (!caller.creds.has(CAP_SYS_ADMIN)) return -EPERM;
      const end = text.search(/[\n\0]/);
      const name = end < 0 ? text : text.slice(0, end);
      if (name.length > UTS_LENGTH_MAX) return -EINVAL;
      c.uts[which] = name;
      return 0;
    },
  );
}

/** A number that root may change; `set` returns 0 or -errno. */
function numberFile(fs: ProcFileSystem, get: () => number, set: (n: number) => number): TextFile {
  return new TextFile(
    fs,
    0o644,
    () => `${get()}\n`,
    (_caller, text) => {
      const match = /^\s*(\d{1,15})\s*$/.exec(text);
      return match === null ? -EINVAL : set(Number(match[1]));
    },
  );
}

/** fs.pipe-*: see pipe(7). */
function addPipeLimits(dir: PseudoDirectory, fs: ProcFileSystem): void {
  const { pipeLimits } = fs.container;
  const add = (name: string, which: 'maxSize' | 'softPages' | 'hardPages', round = false): void => {
    const set = (n: number): number => {
      const value = round ? roundPipeSize(n) : n;
      if (value < 0) return value;
      pipeLimits[which] = value;
      return 0;
    };
    dir.add(
      name,
      numberFile(fs, () => pipeLimits[which], set),
    );
  };
  add('pipe-max-size', 'maxSize', true);
  add('pipe-user-pages-soft', 'softPages');
  add('pipe-user-pages-hard', 'hardPages');
}

/** Open files of the container: in use, free (always 0), and the most there may be. */
function fileNumbers(c: Container): string {
  let open = 0;
  for (const t of c.pids.groups.values()) for (const _ of t.leader.files.entries()) open++;
  return `${open}\t0\t${CONSTANTS['fs']?.['file-max']}\n`;
}

/** Fills /proc/sys. */
export function addSysctl(root: PseudoDirectory, fs: ProcFileSystem): void {
  const { container, kernel } = fs;
  for (const [path, settings] of Object.entries(CONSTANTS)) {
    const dir = directoryAt(root, path);
    for (const [name, value] of Object.entries(settings)) dir.addText(name, () => `${value}\n`);
  }
  const names = directoryAt(root, 'kernel');
  names.add('hostname', nameFile(fs, container, 'hostname'));
  names.add('domainname', nameFile(fs, container, 'domainname'));
  const random = directoryAt(root, 'kernel/random');
  const bootId = uuid(kernel.random);
  random.addText('boot_id', () => `${bootId}\n`);
  random.addText('uuid', () => `${uuid(kernel.random)}\n`);
  addPipeLimits(directoryAt(root, 'fs'), fs);
  directoryAt(root, 'fs').addText('file-nr', () => fileNumbers(container));
  directoryAt(root, 'kernel').addText('ns_last_pid', () => `${container.pids.lastPid}\n`);
}
