/** /proc over processes that never run: what is there, for whom, and in which form. */
import { describe, expect, test } from 'vitest';
import { EACCES, EINVAL, ENOENT, EPERM } from '../../../spec/linux/errno.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../spec/linux/mman.ts';
import { S_IFDIR, S_IFLNK } from '../../../spec/linux/stat.ts';
import { reap } from '../../kernel/exit.ts';
import { TASK_BLOCKED, TASK_DEAD, type Task } from '../../kernel/task.ts';
import type { Path } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import { USER } from '../../vfs/operations/fake_files.ts';
import { openExisting, openFile } from '../../vfs/operations/open.ts';
import { cpuFlags } from './cpu_features.ts';
import { cpuinfoText } from './cpuinfo.ts';
import { FakeProcesses } from './fake_processes.ts';
import { escapeOctal } from './path_text.ts';
import { ticks } from './task_status.ts';

function fields(text: string | number): string[] {
  if (typeof text === 'number') throw new Error(`errno ${-text}`);
  return text
    .slice(text.lastIndexOf(')') + 2)
    .trim()
    .split(' ');
}

function line(text: string | number, name: string): string {
  if (typeof text === 'number') throw new Error(`errno ${-text}`);
  const found = text.split('\n').find((l) => l.startsWith(`${name}:`));
  return found?.slice(name.length + 1).trim() ?? 'missing';
}

function lookup(p: FakeProcesses, t: Task, path: string, follow = true) {
  p.kernel.current = t;
  return p.kernel.vfs.namei.lookup(t, path, { follow });
}

describe('processes', () => {
  test('stat has the fields of proc(5), whatever the name is', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    const child = p.start('a) b (c', init);
    child.state = TASK_BLOCKED;
    child.context = { ...child.context, regs: { get: () => 0 } } as unknown as Task['context'];
    const text = p.read(init, '/2/stat');
    expect(text).toMatch(/^2 \(a\) b \(c\) S 1 1 1 0 -1 /);
    expect(fields(text).length).toBe(50);
  });

  test('status tells ids, signals and capabilities', () => {
    const p = new FakeProcesses();
    const t = p.start('x\\y\n');
    t.signalMask.add(2);
    const text = p.read(t, '/self/status');
    expect(line(text, 'Name')).toBe('x\\\\y\\n');
    expect(line(text, 'Uid')).toBe('0\t0\t0\t0');
    expect(line(text, 'SigBlk')).toBe('0000000000000002');
    expect(line(text, 'CapEff')).toBe('000001ffffffffff');
    expect(line(text, 'Cpus_allowed_list')).toBe('0-1');
    expect(line(text, 'Threads')).toBe('1');
  });

  test('zombies have no memory, files or maps', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    const child = p.start('child', init);
    child.state = TASK_DEAD;
    child.mm.release();
    expect(line(p.read(init, '/2/status'), 'State')).toBe('Z (zombie)');
    expect(p.read(init, '/2/maps')).toBe('');
    expect(p.read(init, '/2/cmdline')).toBe('');
    expect(p.read(init, '/2/fd/0')).toBe(-ENOENT);
    expect(lookup(p, init, '/2/cwd')).toBe(-ENOENT);
    expect(fields(p.read(init, '/2/stat'))[0]).toBe('Z');
  });

  test('directories come and go with the processes, and ids are not confused', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    expect(lookup(p, init, '/2')).toBe(-ENOENT);
    const child = p.start('child', init);
    expect(p.read(init, '/2/comm')).toBe('child\n');
    p.container.pids.groups.delete(2);
    p.container.pids.tasks.delete(2);
    expect(lookup(p, init, '/2/comm')).toBe(-ENOENT);
    p.container.pids.groups.set(2, child.group);
    expect(p.read(init, '/2/comm')).toBe('child\n');
    for (const bad of ['/02', '/+2', '/2x', '/99999999999']) {
      expect(lookup(p, init, bad)).toBe(-ENOENT);
    }
  });

  test('self is who looks', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    const child = p.start('child', init);
    expect(p.read(init, '/self/comm')).toBe('init\n');
    expect(p.read(child, '/self/comm')).toBe('child\n');
    expect(p.read(child, '/thread-self/comm')).toBe('child\n');
  });

  test('maps are in columns', () => {
    const p = new FakeProcesses();
    const t = p.start('t');
    const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    const common = { addr: 0, length: 8192, flags, file: null, offset: 0 };
    const at = t.mm.mmap({ ...common, prot: PROT_READ | PROT_WRITE, name: '[stack]' });
    const text = p.read(t, '/self/maps') as string;
    const from = at.toString(16);
    const head = `${from}-${(at + 8192).toString(16)} rw-p 00000000 00:00 0 `;
    expect(text).toBe(`${head.padEnd(73)}[stack]\n`);
    expect(p.read(t, '/self/smaps')).toContain('Size:                  8 kB\n');
  });
});

describe('permission', () => {
  test('strangers may not look into a process', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    const user = p.start('user', init, USER);
    for (const name of ['maps', 'environ', 'auxv', 'mem']) {
      expect(p.read(user, `/1/${name}`), name).toBe(-EACCES);
      expect(p.read(init, `/2/${name}`), name).not.toBe(-EACCES);
    }
    expect(lookup(p, user, '/1/cwd')).toBe(-EACCES);
    expect(lookup(p, user, '/1/fd/0')).toBe(-EACCES);
    expect(p.read(user, '/1/status')).toContain('Name:\tinit');
  });

  test('addresses in stat are for those who may trace', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    init.mm.stackStart = 0x7000;
    const user = p.start('user', init, USER);
    expect(fields(p.read(user, '/1/stat'))[25]).toBe('0');
    expect(fields(p.read(init, '/1/stat'))[25]).toBe(`${0x7000}`);
  });

  test('files belong to who the process acts as, also after it changes', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    const user = p.start('user', init, USER);
    const owner = (): number | undefined => {
      const at = lookup(p, init, '/2/comm');
      return typeof at === 'number' ? at : at.dentry.inode?.uid;
    };
    expect(owner()).toBe(1000);
    user.creds = init.creds;
    expect(owner()).toBe(0);
    user.creds = USER;
    user.group.dumpable = 0;
    expect(owner()).toBe(0);
  });

  test('a name may be changed by the process itself only', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    const child = p.start('child', init);
    expect(p.write(child, '/self/comm', 'a name that is too long')).toBe(23);
    expect(child.name).toBe('a name that is ');
    expect(p.write(init, '/2/comm', 'other')).toBe(-EINVAL);
  });

  test('the out-of-memory adjustment is bounded, and lowered by the privileged', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    const user = p.start('user', init, USER);
    expect(p.write(user, '/self/oom_score_adj', '500\n')).toBe(4);
    expect(p.read(user, '/self/oom_score_adj')).toBe('500\n');
    expect(p.write(user, '/self/oom_score_adj', '100')).toBe(-EACCES);
    expect(p.write(init, '/2/oom_score_adj', '-1000')).toBe(5);
    expect(p.read(init, '/2/oom_adj')).toBe('-17\n');
    for (const bad of ['1001', 'x', '', '1e2']) {
      expect(p.write(init, '/2/oom_score_adj', bad)).toBe(-EINVAL);
    }
  });

  test('the host name needs CAP_SYS_ADMIN', () => {
    const p = new FakeProcesses();
    const init = p.start('init');
    expect(p.write(init, '/sys/kernel/hostname', 'new\n')).toBe(4);
    expect(p.container.uts.hostname).toBe('new');
    expect(p.read(init, '/sys/kernel/hostname')).toBe('new\n');
    init.creds = init.creds.with({ effective: 0 });
    expect(p.write(init, '/sys/kernel/hostname', 'newer')).toBe(-EPERM);
  });
});

test('nothing is cached of threads that are gone', () => {
  const p = new FakeProcesses();
  const init = p.start('init');
  const child = p.start('child', init);
  const at = lookup(p, init, '/') as Path;
  const thread = 77;
  p.container.pids.tasks.set(thread, child);
  for (const path of ['/2/stat', '/2/task/2/stat', '/77/stat']) p.read(init, path);
  const held = openFile(p.kernel.vfs, init, at, '/2/status', { flags: 0, mode: 0 }) as OpenFile;
  const cached = (): string[] => [...(at.dentry.children?.keys() ?? [])];
  expect(cached()).toEqual(['2', '77']);
  p.container.pids.remove(2, thread);
  expect(cached()).toEqual(['2']);
  child.state = TASK_DEAD;
  child.group.zombie = true;
  reap(child.group);
  expect(cached()).toEqual([]);
  held.close();
  expect(p.read(init, '/2/stat')).toBe(-ENOENT);
  p.proc.destroy();
  expect(p.container.pids.listeners.size).toBe(0);
});

describe('the system', () => {
  test('mounts are seen from the reader', () => {
    const p = new FakeProcesses();
    const t = p.start('t');
    expect(p.read(t, '/mounts')).toBe('proc / proc rw,nosuid 0 0\n');
    // What it stands on cannot be seen from there.
    const info = p.read(t, '/self/mountinfo');
    expect(info).toMatch(/^21 20 0:\d+ \/ \/ rw,nosuid - proc proc rw\n$/);
  });

  test('limits of pipes are set by root, within reason', () => {
    const p = new FakeProcesses();
    const root = p.start('root');
    const user = p.start('user', root, USER);
    const set = (name: string, text: string, by = root): unknown => [
      p.write(by, `/sys/fs/pipe-${name}`, text),
      p.read(by, `/sys/fs/pipe-${name}`),
    ];
    expect(set('max-size', '5000\n')).toEqual([5, '8192\n']);
    expect(set('max-size', '0')).toEqual([1, '4096\n']);
    expect(set('max-size', '3000000000')).toEqual([-EINVAL, '4096\n']);
    expect(set('user-pages-hard', '17')).toEqual([2, '17\n']);
    expect(set('user-pages-soft', 'many')).toEqual([-EINVAL, '16384\n']);
    expect(set('user-pages-soft', '1', user)).toEqual([-EACCES, '16384\n']);
    expect(p.container.pipeLimits).toMatchObject({ maxSize: 4096, hardPages: 17 });
  });

  test('load averages', () => {
    const p = new FakeProcesses();
    const t = p.start('t');
    expect(p.read(t, '/loadavg')).toBe('1.00 0.50 0.00 1/1 1\n');
  });

  test('all that is listed is there, and can be read', () => {
    const p = new FakeProcesses();
    const t = p.start('t');
    const walk = (path: string): void => {
      const at = lookup(p, t, path === '' ? '/' : path, false);
      if (typeof at === 'number') throw new Error(`${path}: ${at}`);
      const inode = at.dentry.inode;
      if (inode === null || inode.type === S_IFLNK) return;
      if (inode.type !== S_IFDIR) {
        const file = openExisting(p.kernel.vfs, t, at, 0);
        if (typeof file === 'number') throw new Error(`${path}: ${file}`);
        file.close();
        if (!path.endsWith('/mem')) expect(typeof p.read(t, path), path).toBe('string');
        return;
      }
      const listed = inode.readdir();
      if (typeof listed === 'number') throw new Error(`${path}: ${listed}`);
      for (const entry of listed) {
        const found = lookup(p, t, `${path}/${entry.name}`, false);
        if (typeof found === 'number') throw new Error(`${path}/${entry.name}: ${found}`);
        expect(found.dentry.inode?.ino, `${path}/${entry.name}`).toBe(entry.ino);
        walk(`${path}/${entry.name}`);
      }
    };
    walk('');
  });

  test('stat, uptime and meminfo agree with the machine', () => {
    const p = new FakeProcesses();
    const t = p.start('t');
    const stat = p.read(t, '/stat') as string;
    expect(stat.match(/^cpu\d+ /gm)?.length).toBe(2);
    expect(stat).toMatch(/^btime 0$/m);
    expect(p.read(t, '/meminfo')).toMatch(/^MemTotal: +1048576 kB\n/);
    expect(p.read(t, '/uptime')).toMatch(/^\d+\.\d\d \d+\.\d\d\n$/);
    expect(p.read(t, '/version')).toMatch(/^Linux version 4\.4\.0 /);
  });

  test('identifiers: one for the boot, a new one at each look', () => {
    const p = new FakeProcesses();
    const t = p.start('t');
    const id = p.read(t, '/sys/kernel/random/uuid');
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/);
  });
});

describe('forms', () => {
  test('octal escapes', () => {
    expect(escapeOctal('/a b\\c\nd', ' \n')).toBe('/a\\040b\\134c\\012d');
  });

  test('ticks are hundredths of a second', () => {
    expect(ticks(1.239e9)).toBe(123);
  });

  test('cpuinfo speaks of a processor by its CPUID', () => {
    const words: Record<number, readonly [number, number, number, number]> = {
      0: [0xd, 0x756e6547, 0x6c65746e, 0x49656e69],
      1: [0x306c3, 0x00000800, 0x80000001, 0x02000001],
      2147483648: [0x80000001, 0, 0, 0],
    };
    const cpuid = (leaf: number) => words[leaf] ?? ([0, 0, 0, 0] as const);
    const text = cpuinfoText({ cpuid, mhz: () => 2400 }, 2);
    expect(text.match(/^processor/gm)?.length).toBe(2);
    expect(text).toMatch(/^vendor_id\t: GenuineIntel$/m);
    expect(text).toMatch(/^cpu family\t: 6$/m);
    expect(text).toMatch(/^model\t\t: 60$/m);
    expect(text).toMatch(/^clflush size\t: 64$/m);
    expect(cpuFlags(cpuid)).toEqual(['fpu', 'sse', 'constant_tsc', 'rep_good', 'nopl', 'pni']);
  });
});
