/**
 * A state directory, a file tree and bundles of their own for one check, the real runsc on them, and
 * the question what is left when the check is over: processes, mounts, files.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { ociConfig, RUNSC } from '../../harness/runtime.ts';
import { scratch } from '../../harness/tree.ts';

const COMMAND_TIMEOUT_MS = 30_000;
const GONE_TIMEOUT_MS = 5000;
const PAUSE_MS = 5;
export const STUB = 'runsc-stub';

export interface Ended {
  /** Exit status, or 128 + signal. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Written to stdin; without it stdin is /dev/null. */
  readonly input?: string;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** The parts of config.json that checks change. */
// biome-ignore lint/suspicious/noExplicitAny: checks write bad configurations too.
export type Change = (config: any) => void;

/** A host process: its number and start time, so that a later one is not taken for it. */
export interface HostProcess {
  readonly pid: number;
  readonly startTime: string;
  readonly parent: number;
  readonly name: string;
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export class World {
  readonly top = scratch('runsc-oci-');
  readonly state = path.join(this.top, 'state');
  readonly temporary = path.join(this.top, 'tmp');
  readonly rootfs: string;
  private readonly platform: readonly string[];
  /** Global flags of every call. */
  flags: readonly string[] = [];
  /** What runsc is run by. */
  prefix: readonly string[] = [];
  private serial = 0;
  private readonly seen = new Map<number, HostProcess>();

  /** `platform` are the flags that choose it. */
  constructor(rootfs: string, platform: readonly string[]) {
    this.rootfs = rootfs;
    this.platform = platform;
    fs.mkdirSync(this.temporary);
  }

  /** Another world of the same kind, for what runs beside this one. */
  sibling(): World {
    const other = new World(this.rootfs, this.platform);
    other.flags = this.flags;
    return other;
  }

  file(name: string): string {
    return path.join(this.top, name);
  }

  read(name: string): string {
    return fs.readFileSync(this.file(name), 'utf8');
  }

  /** A bundle that runs `args`; its path. */
  bundle(args: readonly string[], change: Change = () => {}): string {
    const bundle = this.file(`bundle${++this.serial}`);
    fs.mkdirSync(bundle);
    const config = ociConfig(this.rootfs, { args });
    change(config);
    fs.writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config));
    return bundle;
  }

  argv(...args: readonly string[]): string[] {
    return [...this.prefix, RUNSC, '--root', this.state, ...this.platform, ...this.flags, ...args];
  }

  /** Starts runsc with its output in files: a pipe would stay open as long as a container has it. */
  start(args: readonly string[], options: RunOptions = {}): Started {
    const base = this.file(`out${++this.serial}`);
    const [file = '', ...rest] = this.argv(...args);
    const out = fs.openSync(`${base}.out`, 'w');
    const err = fs.openSync(`${base}.err`, 'w');
    const child = spawn(file, rest, {
      cwd: options.cwd ?? this.top,
      env: { ...process.env, TMPDIR: this.temporary, ...options.env },
      stdio: [options.input === undefined ? 'ignore' : 'pipe', out, err],
    });
    fs.closeSync(out);
    fs.closeSync(err);
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? COMMAND_TIMEOUT_MS);
    const ended = new Promise<Ended>((resolve) => {
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        const status = code ?? 128 + (signal === 'SIGKILL' ? 9 : 15);
        const stdout = fs.readFileSync(`${base}.out`, 'latin1');
        resolve({ status, stdout, stderr: fs.readFileSync(`${base}.err`, 'latin1') });
      });
    });
    return { child, ended, outFile: `${base}.out`, errFile: `${base}.err` };
  }

  runsc(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** Must succeed and say nothing on stderr; its output. */
  async ok(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.runsc(args);
    same({ args, status, stderr }, { args, status: 0, stderr: '' });
    return stdout;
  }

  /** Must fail with one line that matches. */
  async fails(status: number, message: RegExp, ...args: readonly string[]): Promise<void> {
    const ended = await this.runsc(args);
    check(
      ended.status === status && message.test(ended.stderr) && /^runsc: .*\n$/.test(ended.stderr),
      `runsc ${args.join(' ')}: want ${status} and one line like ${message}, got ${ended.status}: ${ended.stderr}`,
    );
  }

  /** Runs a shell script as a container of its own. */
  async script(text: string, change: Change = () => {}, options: RunOptions = {}): Promise<Ended> {
    const bundle = this.bundle(['/bin/sh', '-c', text], change);
    return await this.runsc(['run', '--bundle', bundle, `s${++this.serial}`], options);
  }

  /** The container's status, as `state` tells it. */
  async status(id: string): Promise<string> {
    return JSON.parse(await this.ok('state', id)).status;
  }

  stateOf(id: string): { sentry: { pid: number }; gofer: { pid: number } } {
    return JSON.parse(fs.readFileSync(path.join(this.state, id, 'state.json'), 'utf8'));
  }

  /** A running container named `id`. */
  async running(id: string, args: readonly string[], change: Change = () => {}): Promise<void> {
    await this.ok('run', '--detach', '--bundle', this.bundle(args, change), id);
  }

  // What there is ------------------------------------------------------------------------------

  /**
   * The host processes of this world: those started with its path, and the stubs, which keep nothing of
   * what started them: they are known by their parent, or by having lost it.
   */
  processes(): HostProcess[] {
    const all = hostProcesses();
    const isKnown = (p: HostProcess) => this.seen.get(p.pid)?.startTime === p.startTime;
    for (const p of all) {
      if (!isKnown(p) && commandLine(p.pid).includes(this.top)) this.seen.set(p.pid, p);
    }
    const pids = new Set(all.filter(isKnown).map((p) => p.pid));
    for (const p of all) {
      const isStub = p.name === STUB && (pids.has(p.parent) || p.parent === 1);
      if (isStub) this.seen.set(p.pid, p);
    }
    return all.filter(isKnown);
  }

  /** Deletes every container by force and tells what is left then. */
  async leftovers(): Promise<string[]> {
    this.processes();
    const left: string[] = [];
    for (const id of list(this.state)) {
      const { status, stderr } = await this.runsc(['delete', '--force', id]);
      if (status !== 0) left.push(`delete --force ${id}: ${status}: ${stderr}`);
    }
    const deadline = Date.now() + GONE_TIMEOUT_MS;
    while (this.processes().length > 0 && Date.now() < deadline) await sleep(PAUSE_MS);
    left.push(...this.processes().map((p) => `process ${p.pid} ${p.name}`));
    left.push(...list(this.state).map((name) => `state/${name}`));
    left.push(...list(this.temporary).map((name) => `tmp/${name}`));
    const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
    left.push(...mounts.filter((line) => line.includes(this.top)));
    return left;
  }

  /** Ends what a failed check left. */
  release(): void {
    for (const p of this.processes()) {
      if (p.pid !== process.pid) trySignal(p.pid, 'SIGKILL');
    }
    fs.rmSync(this.top, { recursive: true, force: true });
  }
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly outFile: string;
  readonly errFile: string;
}

export function trySignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

export function list(directory: string): string[] {
  return fs.existsSync(directory) ? fs.readdirSync(directory) : [];
}

/** All processes but zombies. */
function hostProcesses(): HostProcess[] {
  const all: HostProcess[] = [];
  for (const name of fs.readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
      const end = text.lastIndexOf(')');
      const fields = text.slice(end + 2).split(' ');
      if (fields[0] === 'Z' || fields[0] === 'X') continue;
      const parent = Number(fields[1]);
      const startTime = fields[19] ?? '';
      all.push({ pid, startTime, parent, name: text.slice(text.indexOf('(') + 1, end) });
    } catch {
      // It has just ended.
    }
  }
  return all;
}

function commandLine(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

export function same(actual: unknown, wanted: unknown): void {
  const [got, want] = [JSON.stringify(actual), JSON.stringify(wanted)];
  check(got === want, `want ${want}\ngot  ${got}`);
}

/** Waits until `condition` holds, at most `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    check(Date.now() < deadline, `waited in vain: ${what}`);
    await sleep(PAUSE_MS);
  }
}
