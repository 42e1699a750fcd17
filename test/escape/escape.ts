/**
 * The escape suite: programs that try to get out of a sandbox, on both platforms. What they can reach is
 * asserted from the outside: a directory beside the volumes keeps its contents, its secret appears in no
 * output, a read-only volume and the runtime's own binary stay as they are, a process of the host lives.
 *
 *   base/outside/secret      must not be read, changed or joined
 *   base/rw, base/ro         volumes, with links to the outside in them
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type CommandResult, must, run } from '../harness/command.ts';
import { ociConfig, platformFlags, ROOT, RUNSC } from '../harness/runtime.ts';
import { Tally } from '../harness/tally.ts';
import { overlay, scratch, type Tree } from '../harness/tree.ts';
import { type ConfigAttack, configAttacks } from './config_attacks.ts';

const HERE = import.meta.dirname;
const TREE = join(ROOT, 'build/escape/root');
const PROGRAMS = ['volumes', 'proc_tricks', 'mounts', 'sizes', 'pointers', 'stub'];
/** Asks the host for files as large as they can be: on a disk of its own, so that no other one is full. */
const FILLS = 'sizes';
const SMALL_DISK = 'size=64m,mode=755';
const RACE_S = 30;
/** Longer than the sandbox needs to start and race. */
const FIFO_RACE_S = 12;
const TIMEOUT_MS = 90_000;
const CFLAGS = [
  ...['-std=gnu17', '-O1', '-g0', '-static', '-pthread', '-Wall', '-Wextra', '-Werror'],
  // The programs pass bad arguments on purpose.
  ...['nonnull', 'stringop-overread', 'stringop-overflow', 'array-bounds', 'unused-result'].map(
    (w) => `-Wno-${w}`,
  ),
];

/** Everything that one sandbox is let loose on. */
class World {
  readonly base = fs.realpathSync(scratch('runsc-escape-'));
  readonly outside = join(this.base, 'outside');
  readonly rw = join(this.base, 'rw');
  readonly ro = join(this.base, 'ro');
  readonly secret = `SECRET-${randomBytes(12).toString('hex')}`;
  readonly victim: ChildProcess = spawn('sleep', ['300'], { stdio: 'ignore' });
  private before: readonly string[];
  private fifo = -1;
  private readonly servers: Server[] = [];
  private readonly ownDisk: boolean;

  constructor(ownDisk = false) {
    this.ownDisk = ownDisk;
    if (ownDisk) {
      execFileSync('mount', ['-t', 'tmpfs', '-o', SMALL_DISK, 'runsc-escape', this.base]);
    }
    for (const path of [this.outside, this.rw, this.ro]) fs.mkdirSync(path);
    fs.writeFileSync(join(this.outside, 'secret'), this.secret);
    fs.writeFileSync(join(this.ro, 'file'), 'read-only');
    fs.mkdirSync(join(this.ro, 'd'));
    fs.symlinkSync(this.outside, join(this.ro, 'host-absolute'));
    fs.writeFileSync(join(this.rw, 'file'), 'inside');
    fs.mkdirSync(join(this.rw, 'd'));
    fs.symlinkSync(this.outside, join(this.rw, 'host-absolute'));
    fs.symlinkSync('../outside', join(this.rw, 'host-relative'));
    fs.symlinkSync('host-relative', join(this.rw, 'host-chain'));
    for (const name of ['guest', 'host']) {
      fs.mkdirSync(join(this.rw, name));
      fs.chmodSync(join(this.rw, name), 0o777);
      fs.writeFileSync(join(this.rw, name, 'secret'), 'inside');
    }
    fs.symlinkSync(this.outside, join(this.rw, 'host.link'));
    fs.chmodSync(this.rw, 0o777);
    this.before = this.state();
  }

  /** What of the host stands in a volume and gives the secret to whoever comes: a device is beside. */
  async makeEnds(): Promise<void> {
    await must(['mknod', join(this.rw, 'host-device'), 'c', '1', '1']);
    const fifo = join(this.rw, 'host-fifo');
    await must(['mkfifo', fifo]);
    this.fifo = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    fs.writeSync(this.fifo, this.secret);
    await this.listen(join(this.rw, 'host-socket'), this.secret);
  }

  private async listen(at: string, says: string): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(says);
    });
    this.servers.push(server);
    await new Promise<void>((done) => server.listen(at, done));
    if (!at.startsWith('\0')) fs.chmodSync(at, 0o777);
  }

  /** For --host-uds=all: a socket in the volume that may be used, and others that may not. */
  async makeSockets(): Promise<void> {
    await this.listen(join(this.rw, 'host-socket'), 'inside');
    await this.listen(join(this.outside, 'socket'), this.secret);
    const name = `runsc-escape-${randomBytes(8).toString('hex')}`;
    await this.listen(`\0${name}`, this.secret);
    fs.writeFileSync(join(this.rw, 'abstract-name'), name);
    fs.symlinkSync('../outside/socket', join(this.rw, 'host-socket-link'));
    this.before = this.state();
  }

  /** For --host-fifo=open: fifos in the volumes, one outside with the secret, and what takes their place. */
  async makeFifos(): Promise<void> {
    const fifos = [join(this.ro, 'fifo'), join(this.rw, 'swap'), join(this.rw, 'swap.fifo')];
    await must(['mkfifo', '-m', '666', join(this.outside, 'fifo'), ...fifos]);
    this.fifo = fs.openSync(join(this.outside, 'fifo'), 'r+');
    fs.writeSync(this.fifo, this.secret);
    fs.writeFileSync(join(this.rw, 'swap.file'), 'inside', { mode: 0o666 });
    await must(['mknod', '-m', '666', join(this.rw, 'swap.device'), 'c', '1', '1']);
    fs.symlinkSync('../outside/fifo', join(this.rw, 'swap.link'));
    this.before = this.state();
  }

  /** What must not change: every file outside and in the read-only volume, and our own binary. */
  private state(): readonly string[] {
    const lines: string[] = [];
    const visit = (path: string): void => {
      const s = fs.lstatSync(path);
      const times = `${s.mtimeMs} ${s.ctimeMs}`;
      const contents = s.isFile() ? fs.readFileSync(path, 'latin1') : '';
      lines.push(`${path} ${s.mode} ${s.uid} ${s.gid} ${s.nlink} ${times} ${contents}`);
      if (s.isDirectory()) for (const name of fs.readdirSync(path).sort()) visit(join(path, name));
    };
    visit(this.outside);
    visit(this.ro);
    const own = fs.statSync(RUNSC);
    lines.push(`${RUNSC} ${own.ino} ${own.size} ${own.mode} ${own.mtimeMs} ${own.ctimeMs}`);
    for (const file of ['kernel/core_pattern', 'kernel/modprobe', 'vm/panic_on_oom']) {
      const path = `/proc/sys/${file}`;
      if (fs.existsSync(path)) lines.push(fs.readFileSync(path, 'latin1'));
    }
    return lines;
  }

  /** What a run that printed `output` got out of the sandbox; empty when nothing. */
  escapes(output: string): string[] {
    const found = output.split('\n').filter((line) => line.startsWith('ESCAPED'));
    if (output.includes(this.secret)) found.push(`the secret was read:\n${output.slice(-2000)}`);
    const after = this.state();
    const changed = after.filter((line) => !this.before.includes(line));
    if (changed.length > 0 || after.length !== this.before.length) {
      found.push(`the host's files changed:\n${changed.join('\n')}`);
    }
    const names = fs.readdirSync(this.base).sort().join(' ');
    if (names !== 'outside ro rw') found.push(`beside the volumes there is ${names}`);
    if (this.victim.exitCode !== null || this.victim.signalCode !== null) {
      found.push('a process of the host was killed');
    }
    if (this.fifo >= 0 && this.inFifo() !== this.secret)
      found.push('the pipe of the host was used');
    found.push(...this.strangeFiles(this.rw));
    return found;
  }

  private inFifo(): string {
    const bytes = Buffer.alloc(4096);
    return bytes.toString('latin1', 0, fs.readSync(this.fifo, bytes));
  }

  /** Devices but the one we made, and set-ID files of root that root did not make so. */
  private strangeFiles(directory: string): string[] {
    const found: string[] = [];
    for (const bytes of fs.readdirSync(directory, { encoding: 'buffer' })) {
      const name = bytes.toString('latin1');
      const s = fs.lstatSync(Buffer.concat([Buffer.from(`${directory}/`), bytes]));
      const device = s.isCharacterDevice() || s.isBlockDevice();
      if (device && name !== 'host-device' && !name.startsWith('swap'))
        found.push(`a device in the volume: ${name}`);
      if (name.startsWith('set-id') && (s.mode & 0o6000) !== 0 && s.uid === 0) {
        found.push(`${name} is set-ID to root`);
      }
    }
    return found;
  }

  release(): void {
    this.victim.kill('SIGKILL');
    for (const server of this.servers) server.close();
    if (this.fifo >= 0) fs.closeSync(this.fifo);
    if (this.ownDisk) execFileSync('umount', ['-l', this.base]);
    fs.rmSync(this.base, { recursive: true, force: true });
  }
}

let serial = 0;

/** Runs `args` in a sandbox with the world's volumes at /rw and /ro. */
async function inSandbox(
  runtime: string,
  world: World,
  args: readonly string[],
  attack: ConfigAttack['change'] = () => undefined,
  more: readonly string[] = [],
): Promise<CommandResult> {
  const tree: Tree = await overlay(TREE);
  const dir = scratch();
  const config = ociConfig(tree.root, { args }) as Parameters<ConfigAttack['change']>[0];
  const bind = { type: 'bind' };
  config.mounts.push(
    { ...bind, destination: '/rw', source: world.rw, options: ['rbind', 'rw'] },
    { ...bind, destination: '/ro', source: world.ro, options: ['rbind', 'ro'] },
  );
  attack(config, { root: tree.root, outside: world.outside, rw: world.rw });
  fs.writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  const id = `escape-${process.pid}-${++serial}`;
  const own = platformFlags(runtime) ?? [];
  const flags = [RUNSC, '--root', join(dir, 'state'), '--network=none', ...own, ...more];
  const result = await run([...flags, 'run', '--bundle', dir, id], { timeoutMs: TIMEOUT_MS });
  if (result.timedOut) await run([...flags, 'delete', '--force', id], { timeoutMs: 10_000 });
  await tree.release();
  return result;
}

async function build(): Promise<void> {
  for (const path of ['proc', 'dev', 'sys', 'tmp', 'etc', 'rw', 'ro', 'mnt', 'bin']) {
    fs.mkdirSync(join(TREE, path), { recursive: true });
  }
  for (const name of [...PROGRAMS, 'race', 'sockets', 'fifos']) {
    const source = join(HERE, `${name}.c`);
    await must(['gcc', ...CFLAGS, '-o', join(TREE, 'bin', name), source]);
  }
}

function judge(tally: Tally, name: string, world: World, result: CommandResult): void {
  const escapes = world.escapes(result.stdout + result.stderr);
  const finished = result.status === 0 && /^done [1-9]/m.test(result.stdout);
  if (escapes.length > 0) tally.fail(name, escapes.join('\n'));
  else if (finished) {
    const said = result.stdout.trim().split('\n').slice(-3).join('; ');
    tally.pass(name, `${said}, ${result.elapsedMs.toFixed(0)} ms`);
  } else {
    const how = result.timedOut ? 'timed out' : `ended with status ${result.status}`;
    tally.fail(name, `${how}\n${result.stdout.slice(-1000)}\n${result.stderr.slice(-1000)}`);
  }
}

/** Symbolic links and directories change places on both sides while names are followed. */
async function race(tally: Tally, runtime: string): Promise<void> {
  const world = new World();
  const seconds = `${RACE_S}`;
  const host = run([join(TREE, 'bin/race'), 'swap', join(world.rw, 'host'), seconds]);
  const result = await inSandbox(runtime, world, ['/bin/race', world.outside, seconds]);
  await host;
  const counts = /^swaps (\d+) inside (\d+) elsewhere (\d+)$/m.exec(result.stdout);
  if (counts === null || counts.slice(1).some((n) => Number(n) < 100)) {
    tally.fail('race: both sides ran', result.stdout.slice(-1000));
  } else tally.pass('race: both sides ran', counts[0]);
  judge(tally, 'race', world, result);
  world.release();
}

async function programs(tally: Tally, runtime: string, filter: string): Promise<void> {
  for (const program of PROGRAMS) {
    if (!program.includes(filter)) continue;
    const world = new World(program === FILLS);
    await world.makeEnds();
    const args = [`/bin/${program}`, world.outside, `${world.victim.pid}`];
    judge(tally, program, world, await inSandbox(runtime, world, args));
    world.release();
  }
}

/** With sockets of the host allowed, those outside of the volumes are as far as before. */
async function sockets(tally: Tally, runtime: string, filter: string): Promise<void> {
  if (!'sockets'.includes(filter)) return;
  const world = new World();
  await world.makeSockets();
  const args = ['/bin/sockets', world.outside, `${world.victim.pid}`];
  const result = await inSandbox(runtime, world, args, undefined, ['--host-uds=all']);
  judge(tally, 'sockets', world, result);
  world.release();
}

/** With fifos of the host allowed, nothing else is opened in their place. */
async function fifos(tally: Tally, runtime: string, filter: string): Promise<void> {
  if (!'fifos'.includes(filter)) return;
  const world = new World();
  await world.makeFifos();
  const host = run([join(TREE, 'bin/fifos'), 'swap', world.rw, `${FIFO_RACE_S}`]);
  const args = ['/bin/fifos', world.outside, `${world.victim.pid}`];
  const result = await inSandbox(runtime, world, args, undefined, ['--host-fifo=open']);
  await host;
  judge(tally, 'fifos', world, result);
  world.release();
}

/** Bundles whose configuration is the attack. */
async function configs(tally: Tally, runtime: string, filter: string): Promise<void> {
  for (const { name, change } of configAttacks()) {
    if (!name.includes(filter)) continue;
    const world = new World();
    const args = ['/bin/proc_tricks', world.outside, `${world.victim.pid}`];
    const result = await inSandbox(runtime, world, args, change);
    const escapes = world.escapes(result.stdout + result.stderr);
    if (escapes.length > 0) tally.fail(name, escapes.join('\n'));
    else if (result.timedOut) tally.fail(name, `timed out\n${result.stderr.slice(-1000)}`);
    else tally.pass(name, `status ${result.status}, ${result.elapsedMs.toFixed(0)} ms`);
    world.release();
  }
}

/** Every kind of escape, carried out from the host: the checks above must see each. */
function checksNotice(tally: Tally): void {
  const kinds: Record<string, (w: World) => unknown> = {
    'a secret read': (w) => w.secret,
    'a claim of the program': () => 'done 1\nESCAPED somehow\n',
    'a file written': (w) => fs.appendFileSync(join(w.outside, 'secret'), '+'),
    'a file made': (w) => fs.writeFileSync(join(w.outside, 'new'), ''),
    'a mode changed': (w) => fs.chmodSync(join(w.outside, 'secret'), 0o777),
    'a link made': (w) => fs.linkSync(join(w.outside, 'secret'), join(w.rw, 'x')),
    'a read-only volume written': (w) => fs.writeFileSync(join(w.ro, 'file'), ''),
    'a file beside the volumes': (w) => fs.writeFileSync(join(w.base, 'new'), ''),
    'a set-ID file': (w) => {
      fs.writeFileSync(join(w.rw, 'set-id'), '');
      fs.chmodSync(join(w.rw, 'set-id'), 0o4755);
    },
  };
  for (const [kind, act] of Object.entries(kinds)) {
    const world = new World();
    if (world.escapes('').length > 0) tally.fail(`the checks: ${kind}`, 'before anything happened');
    const output = `${act(world) ?? ''}`;
    if (world.escapes(output).length > 0) tally.pass(`the checks: ${kind}`);
    else tally.fail(`the checks: ${kind}`, 'was not noticed');
    world.release();
  }
}

export async function runEscape(runtimes: readonly string[], filter: string): Promise<Tally> {
  const total = new Tally('escape');
  const ours = runtimes.filter((runtime) => platformFlags(runtime) !== undefined);
  if (ours.length < runtimes.length) {
    total.skip('other runtimes', 'it means harm to the host, whose kernel they share');
  }
  if (ours.length === 0) return total;
  await build();
  if ('the checks'.includes(filter)) checksNotice(total);
  const tallies = ours.map((runtime) => new Tally('escape', runtime));
  // The races wait more than they work: both run beside the others.
  const races = 'race'.includes(filter) ? tallies.map((t, i) => race(t, ours[i]!)) : [];
  for (const [i, runtime] of ours.entries()) {
    await programs(tallies[i]!, runtime, filter);
    await sockets(tallies[i]!, runtime, filter);
    await fifos(tallies[i]!, runtime, filter);
    await configs(tallies[i]!, runtime, filter);
  }
  await Promise.all(races);
  for (const tally of tallies) total.add(tally);
  return total;
}
