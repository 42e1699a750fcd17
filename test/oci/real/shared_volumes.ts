/**
 * A volume that the host and a sandbox change in turns at random: whatever the one has done, the other sees
 * at once. Both run volume.c; the native one is the oracle.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { must } from '../../harness/command.ts';
import type { Check } from './check.ts';
import { EFFORT, Random, SEED } from './random.ts';
import { check, type World } from './world.ts';

const STEPS = 700;
const LOOKS = 6;
const TIMEOUT_MS = 20_000;

/** One of the two. */
class Side {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;

  constructor(argv: readonly string[], cwd: string) {
    const [file = '', ...args] = argv;
    this.child = spawn(file, args, { cwd, stdio: ['pipe', 'pipe', 'inherit'] });
    this.reader = createInterface({ input: this.child.stdout! });
    this.lines = this.reader[Symbol.asyncIterator]();
  }

  /** What it answers to each command. */
  async ask(commands: readonly string[]): Promise<string[]> {
    this.child.stdin!.write(commands.map((c) => `${c}\n`).join(''));
    const timer = setTimeout(() => this.child.kill('SIGKILL'), TIMEOUT_MS);
    const answers: string[] = [];
    for (const command of commands) {
      const { value, done } = await this.lines.next();
      check(done !== true, `it ended at: ${command}`);
      answers.push(value);
    }
    clearTimeout(timer);
    return answers;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.child.on('exit', resolve));
    this.child.stdin!.end();
    await ended;
    this.reader.close();
  }
}

const DIRECTORIES = ['.', '.', 'a', 'a', 'b', 'a/x', 'l0'];
const NAMES = ['f0', 'f1', 'f2', 'a', 'b', 'x', 'l0', 'l1'];
const FILES = ['f0', 'f1', 'f2', 'a/f0', 'a/f1', 'b/f0'];

class Choices {
  private readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  below(n: number): number {
    return this.random.below(n);
  }

  name(): string {
    if (this.below(3) === 0) return this.random.pick(FILES);
    return `${this.random.pick(DIRECTORIES)}/${this.random.pick(NAMES)}`;
  }

  change(byHost: boolean): string {
    const name = this.name();
    const other = this.name();
    const n = this.below(100);
    return this.random.pick([
      `append ${name} text${n}`,
      `append ${name} t`,
      `write ${name} new${n}`,
      `create ${name} fresh${n}`,
      `create ${name} fresh${n}`,
      `store ${name} ${n}`,
      `truncate ${name} ${n * 100}`,
      `chmod ${name} ${this.random.pick(['644', '755', '600', '711'])}`,
      `chown ${name} ${n}`,
      `utimes ${name} ${1e9 + n}`,
      `setxattr ${name} value${n}`,
      `unlink ${name}`,
      `unlink ${name}`,
      `rmdir ${name}`,
      `mkdir ${name}`,
      `mkdir ${this.random.pick(['a', 'b', 'a/x'])}`,
      `mkfifo ${name}`,
      `rename ${name} ${other}`,
      `rename ${name} ${other}`,
      // The 9P of the sandbox cannot swap names.
      byHost ? `exchange ${name} ${other}` : `rename ${name} ${other}`,
      `link ${name} ${other}`,
      `symlink ${this.random.pick(['f0', 'a', '../v/f1', 'nowhere'])} ${name}`,
    ]);
  }

  look(): string {
    const what = [
      'lstat',
      'stat',
      'lstat',
      'stat',
      'contents',
      'list',
      'readlink',
      'getxattr',
      'at',
    ];
    const chosen = this.random.pick([...what, 'fstat', 'access']);
    if (chosen === 'list' || this.below(8) === 0) {
      return `${chosen === 'list' ? chosen : 'stat'} ${this.random.pick(DIRECTORIES)}`;
    }
    return `${chosen} ${this.name()}`;
  }
}

/** Host and sandbox take turns on `volume`. */
async function takeTurns(w: World, volume: string, seed: number): Promise<void> {
  fs.mkdirSync(path.join(volume, 'a/x'), { recursive: true });
  const bundle = w.bundle(['/bin/volume', '/data/v'], (c) => {
    c.mounts.push({ destination: '/data/v', type: 'bind', source: volume, options: ['rbind'] });
  });
  const guest = new Side(w.argv('run', '--bundle', bundle, 'guest'), w.top);
  const host = new Side([path.join(w.rootfs, 'bin/volume'), volume], w.top);
  const choices = new Choices(seed);
  let agreed = 0;
  for (let step = 0; step < STEPS * EFFORT; step++) {
    const byHost = choices.below(4) !== 0;
    const change = choices.change(byHost);
    const [done = ''] = await (byHost ? host : guest).ask([change]);
    const looks = Array.from({ length: LOOKS }, () => choices.look());
    if (choices.below(20) === 0) looks.unshift(`keep ${choices.name()}`);
    // Who is asked first must make no difference.
    const seen = await guest.ask(looks);
    const wanted = await host.ask(looks);
    looks.forEach((look, i) => {
      check(
        seen[i] === wanted[i],
        `seed ${seed}, step ${step}: ${byHost ? 'host' : 'guest'}: ${change} (${done}); then ${look}:\nhost  ${wanted[i]}\nguest ${seen[i]}`,
      );
      if (!/^-\d+$/.test(wanted[i]!)) agreed++;
    });
  }
  await host.end();
  await guest.end();
  check(agreed > STEPS, `only ${agreed} answers were not errors`);
}

async function onMount(w: World, seed: number, type: string, options: string): Promise<void> {
  const at = path.join(w.file(type), 'v');
  fs.mkdirSync(at, { recursive: true });
  await must(['mount', '-t', type, '-o', options, 'volume', at]);
  try {
    await takeTurns(w, at, seed);
  } finally {
    await must(['umount', '-l', at]);
  }
}

async function onOverlay(w: World): Promise<void> {
  const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => w.file(name));
  for (const directory of [`${lower}/a/x`, `${lower}/b`, upper!, work!]) {
    fs.mkdirSync(directory, { recursive: true });
  }
  for (const name of FILES) fs.writeFileSync(path.join(lower!, name), 'from below');
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  await onMount(w, SEED + 2, 'overlay', options);
}

async function onScratch(w: World): Promise<void> {
  const at = w.file('v');
  fs.mkdirSync(at);
  await takeTurns(w, at, SEED);
}

export const SHARED_VOLUMES: readonly Check[] = [
  { name: 'host and guest change a volume in turns', body: onScratch },
  {
    name: 'host and guest change a volume in turns: tmpfs',
    body: (w) => onMount(w, SEED + 1, 'tmpfs', 'size=16m,mode=755'),
  },
  { name: 'host and guest change a volume in turns: overlay', body: onOverlay },
];
