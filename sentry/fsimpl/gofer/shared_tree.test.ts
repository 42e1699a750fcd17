/**
 * A tree that others change, over a real gofer: what is remembered is what the host has, and it is
 * remembered. The host is asked the same questions.
 */
import * as nodeFs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { IN_MEMORY, startGofer, treeOfTest } from '../../../test/harness/gofer.ts';
import { TimerQueue } from '../../base/timer_queue.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { DirEntry } from '../../vfs/stat.ts';
import { GoferFileSystem } from './gofer_file_system.ts';

const DIRECTORIES = ['.', 'a', 'b', 'a/x'];
const NAMES = ['f', 'g', 'a', 'b', 'x'];
const STEPS = 2000;

const clock = {
  monotonicNs: () => performance.now() * 1e6,
  realtime: () => ({ sec: Math.floor(Date.now() / 1000), nsec: (Date.now() % 1000) * 1e6 }),
};

/** The tree as the VFS uses it: with a cache of names that is asked first. */
class View {
  readonly tree: string;
  readonly kernel = { clock, timers: new TimerQueue(), turn: 0 };
  readonly fs: GoferFileSystem;
  /** The gofer knows all owners. */
  readonly mayChown: boolean;
  private readonly known = new Map<string, Inode | null>();
  /** Exchanges with the gofer. */
  exchanges = 0;

  constructor(tree: string, prefix: readonly string[] = []) {
    this.tree = tree;
    this.mayChown = process.getuid?.() === 0 && prefix.length === 0;
    const gofer = startGofer('rw', [tree], prefix);
    const made = GoferFileSystem.connect(gofer.fds[0]!, {
      kernel: this.kernel,
      devMinor: 9,
      exclusive: false,
    });
    if (typeof made === 'number') throw new Error(`errno ${-made}`);
    this.fs = made;
    const channel = (made.client as unknown as { channel: { flush(): void } }).channel;
    const flush = channel.flush.bind(channel);
    channel.flush = () => {
      this.exchanges++;
      flush();
    };
    onTestFinished(async () => {
      made.destroy();
      expect(await gofer.ended).toBe(0);
    });
  }

  at(name: string): string {
    return path.join(this.tree, name);
  }

  private find(name: string): Inode | null {
    let inode: Inode = this.fs.root;
    for (const [i, part] of name.split('/').entries()) {
      if (part === '.') continue;
      if (!inode.isDirectory) return null;
      const key = name
        .split('/')
        .slice(0, i + 1)
        .join('/');
      const known = this.known.get(key);
      let next: Inode | null | undefined = known;
      if (known === undefined || !this.fs.revalidate(inode, part, known)) {
        const found = inode.lookup(part);
        next = typeof found === 'number' ? null : found;
        this.known.set(key, next);
      }
      if (next === null || next === undefined) return null;
      inode = next;
    }
    return inode;
  }

  /** What lstat(2) says, in one system call. */
  stat(name: string): string {
    this.kernel.turn++;
    const s = this.find(name)?.getattr();
    if (s === undefined || typeof s === 'number') return 'none';
    const { ino, mode, nlink, uid, size, mtime, ctime } = s;
    return `${ino} ${mode} ${nlink} ${uid} ${size} ${mtime.sec}.${mtime.nsec} ${ctime.sec}.${ctime.nsec}`;
  }

  list(name: string): string {
    this.kernel.turn++;
    const inode = this.find(name);
    const entries = inode?.isDirectory ? (inode.readdir() as readonly DirEntry[]) : [];
    return entries
      .map((e) => e.name)
      .sort()
      .join();
  }
}

function hostStat(file: string): string {
  if (
    !nodeFs.existsSync(path.dirname(file)) ||
    !nodeFs.statSync(path.dirname(file)).isDirectory()
  ) {
    return 'none';
  }
  const s = nodeFs.lstatSync(file, { bigint: true, throwIfNoEntry: false });
  if (s === undefined) return 'none';
  const time = (ns: bigint): string => `${ns / 1000000000n}.${ns % 1000000000n}`;
  return `${s.ino} ${s.mode} ${s.nlink} ${s.uid} ${s.size} ${time(s.mtimeNs)} ${time(s.ctimeNs)}`;
}

function hostList(file: string): string {
  return hostStat(file) !== 'none' && nodeFs.lstatSync(file).isDirectory()
    ? nodeFs.readdirSync(file).sort().join()
    : '';
}

/** One change at random, which may fail. */
function change(v: View, random: (n: number) => number): void {
  const name = (): string =>
    v.at(`${DIRECTORIES[random(DIRECTORIES.length)]}/${NAMES[random(NAMES.length)]}`);
  const changes: (() => void)[] = [
    () => nodeFs.writeFileSync(name(), `${random(1000)}`),
    () => nodeFs.appendFileSync(name(), 'x'),
    () => nodeFs.mkdirSync(name()),
    () => nodeFs.rmdirSync(name()),
    () => nodeFs.unlinkSync(name()),
    () => nodeFs.renameSync(name(), name()),
    () => nodeFs.linkSync(name(), name()),
    () => nodeFs.symlinkSync('nowhere', name()),
    () => nodeFs.chmodSync(name(), 0o600 + random(8)),
    () => nodeFs.utimesSync(name(), random(1000), random(1000)),
    () => v.mayChown && nodeFs.lchownSync(name(), random(100), 0),
  ];
  try {
    changes[random(changes.length)]!();
  } catch {
    // Nothing has changed then.
  }
}

/** Steps until the view and the host differ; `steps` when they do not. */
function firstDifference(v: View, steps: number, seed: number): number {
  let state = seed;
  const random = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  for (let step = 0; step < steps; step++) {
    change(v, random);
    for (let i = 0; i < 5; i++) {
      const directory = DIRECTORIES[random(DIRECTORIES.length)]!;
      const name = `${directory}/${NAMES[random(NAMES.length)]}`;
      if (random(8) === 0 && v.list(directory) !== hostList(v.at(directory))) return step;
      if (v.stat(name) !== hostStat(v.at(name))) return step;
    }
  }
  return steps;
}

test('whatever the host does is seen at once', () => {
  const v = new View(treeOfTest());
  expect(firstDifference(v, STEPS, 1)).toBe(STEPS);
  // Much of it without asking, though much has changed.
  expect(v.exchanges).toBeLessThan(STEPS * 5);
});

test('control: it is not when nobody reads what the host tells', () => {
  const v = new View(treeOfTest());
  v.fs.watches.poll = () => undefined;
  expect(firstDifference(v, STEPS, 1)).toBeLessThan(STEPS);
});

test('what did not change is answered without the gofer', async () => {
  const v = new View(treeOfTest());
  nodeFs.mkdirSync(v.at('a/x'), { recursive: true });
  nodeFs.writeFileSync(v.at('a/x/f'), 'text');
  // The clock of ctime ticks: what changed just now is not known to be settled.
  await sleep(50);
  const look = (): string =>
    [v.stat('a/x/f'), v.stat('a/x'), v.stat('a/x/none'), v.list('a/x')].join();
  for (let i = 0; i < 6; i++) look();
  v.exchanges = 0;
  for (let i = 0; i < 100; i++) look();
  expect(v.exchanges).toBe(0);
  nodeFs.writeFileSync(v.at('a/x/none'), '');
  expect(v.stat('a/x/none')).toBe(hostStat(v.at('a/x/none')));
  expect(v.list('a/x')).toBe('f,none');
});

test('the host’s queue overflows', () => {
  const v = new View(treeOfTest(IN_MEMORY));
  nodeFs.mkdirSync(v.at('a'));
  nodeFs.writeFileSync(v.at('f'), '');
  for (let i = 0; i < 5; i++) for (const name of ['f', 'g', 'a/f']) v.stat(name);
  const queued = Number(nodeFs.readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
  for (let i = 0; i < queued / 2 + 100; i++) {
    nodeFs.writeFileSync(v.at('a/f'), '');
    nodeFs.unlinkSync(v.at('a/f'));
  }
  nodeFs.renameSync(v.at('f'), v.at('g'));
  for (const name of ['f', 'g']) expect(v.stat(name)).toBe(hostStat(v.at(name)));
}, 60_000);

test('more directories than can be watched', () => {
  const v = new View(treeOfTest(IN_MEMORY));
  const names = Array.from({ length: 4200 }, (_, i) => `d${i}`);
  for (const name of names) nodeFs.mkdirSync(v.at(name));
  for (let round = 0; round < 3; round++) {
    for (const name of names) v.stat(`${name}/f`);
  }
  for (const name of names) nodeFs.writeFileSync(v.at(`${name}/f`), '');
  for (const name of names) expect(v.stat(`${name}/f`)).toBe(hostStat(v.at(`${name}/f`)));
}, 60_000);

test.runIf(process.getuid?.() === 0).each([
  ['no instance', 'instances', 0],
  ['few watches', 'watches', 2],
])('the host allows %s', (_, what, count) => {
  const limit = `echo ${count} > /proc/sys/user/max_inotify_${what} && exec "$@"`;
  const v = new View(treeOfTest(), ['unshare', '-Ur', 'sh', '-c', limit, 'sh']);
  expect(firstDifference(v, 300, 2)).toBe(300);
  const { watched } = v.fs.watches as unknown as { watched: Map<number, unknown> };
  expect(watched.size).toBeLessThanOrEqual(count);
});

/** '' of the descriptor by which the others were listed. */
function linkTarget(file: string): string {
  try {
    return nodeFs.readlinkSync(file);
  } catch {
    return '';
  }
}

test('descriptors without a user are closed soon, so that what was removed is gone', () => {
  const v = new View(treeOfTest());
  nodeFs.writeFileSync(v.at('f'), 'text');
  const open = (): number =>
    nodeFs
      .readdirSync('/proc/self/fd')
      .filter((fd) => linkTarget(`/proc/self/fd/${fd}`).startsWith(v.at('f'))).length;
  for (let i = 0; i < 5; i++) v.stat('f');
  expect(open()).toBe(1);
  nodeFs.unlinkSync(v.at('f'));
  for (let i = 0; i < 2; i++) v.kernel.timers.runExpired(Number.MAX_SAFE_INTEGER);
  expect(open()).toBe(0);
  expect(v.kernel.timers.nextDeadlineNs).toBe(Number.POSITIVE_INFINITY);
});
