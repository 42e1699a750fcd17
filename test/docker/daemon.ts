/**
 * A dockerd of our own: its data, state, socket and mounts are in a scratch directory and a mount
 * namespace that end with it, and it has no network.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type CommandOptions, type CommandResult, must, run } from '../harness/command.ts';
import { platformFlags, RUNSC } from '../harness/runtime.ts';
import { scratch } from '../harness/tree.ts';

const START_TIMEOUT_MS = 60_000;

/**
 * Prepares the namespace: cgroup hierarchies, where the machine mounts none, and then the daemon. `$1` is
 * the log, the rest its command line.
 */
const START = `
mount --make-rprivate /
if ! grep -q cgroup /proc/mounts; then
  mount -t tmpfs cgroup /sys/fs/cgroup
  if grep -qw cgroup2 /proc/filesystems && [ "$(awk '$4 == 1 && $2 != 0' /proc/cgroups | wc -l)" = 0 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  else
    for c in $(awk '$4 == 1 { print $1 }' /proc/cgroups); do
      mkdir -p /sys/fs/cgroup/$c && mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c || rmdir /sys/fs/cgroup/$c
    done
    mkdir -p /sys/fs/cgroup/systemd && mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  fi
fi
exec "$@"
`;

export class Daemon {
  readonly #base = scratch('runsc-docker-');
  readonly #process: ChildProcess;
  readonly #log: string;
  readonly #runtime: string;

  /** `runtime` is a key of daemon.json's runtimes, or runc, which Docker has by itself. */
  constructor(runtime: string) {
    this.#runtime = runtime;
    this.#log = join(this.#base, 'dockerd.log');
    const path = (name: string) => join(this.#base, name);
    const ours = (name: string) => ({
      path: RUNSC,
      runtimeArgs: [...(platformFlags(name) ?? []), '--strace', `--debug-log=${path('strace/')}`],
    });
    mkdirSync(path('strace'));
    writeFileSync(
      path('daemon.json'),
      JSON.stringify({
        runtimes: {
          ...Object.fromEntries(['ours', 'ptrace', 'systrap'].map((name) => [name, ours(name)])),
          debian: { path: '/usr/bin/runsc', runtimeArgs: ['--platform=ptrace', '--network=none'] },
        },
      }),
    );
    const log = openSync(this.#log, 'a');
    this.#process = spawn(
      'unshare',
      [
        ...['--mount', '--propagation=private', '/bin/sh', '-c', START, 'start', 'dockerd'],
        ...['--config-file', path('daemon.json'), '--data-root', path('data')],
        ...['--exec-root', path('exec'), '--pidfile', path('dockerd.pid')],
        ...['-H', this.#host, '--bridge=none', '--iptables=false', '--ip6tables=false'],
        ...['--ip-forward=false', '--ip-masq=false', '--userland-proxy=false'],
      ],
      { stdio: ['ignore', log, log], detached: true },
    );
    closeSync(log);
  }

  get #host(): string {
    return `unix://${join(this.#base, 'docker.sock')}`;
  }

  /** Waits until the daemon answers. */
  async ready(): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (performance.now() < deadline && this.#process.exitCode === null) {
      if (existsSync(join(this.#base, 'docker.sock'))) {
        const { status } = await this.docker('version');
        if (status === 0) return;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`dockerd did not start:\n${this.log(30)}`);
  }

  /** The command line of a docker command, for playing it on a terminal. */
  command(...args: readonly string[]): string[] {
    return ['docker', '-H', this.#host, ...args];
  }

  docker(...args: readonly string[]): Promise<CommandResult> {
    return this.dockerWith({}, ...args);
  }

  dockerWith(options: CommandOptions, ...args: readonly string[]): Promise<CommandResult> {
    return run(this.command(...args), { timeoutMs: 60_000, ...options });
  }

  /** `docker run` under the runtime being tested, without a network. */
  runArgs(...args: readonly string[]): string[] {
    return ['run', `--runtime=${this.#runtime}`, '--network=none', ...args];
  }

  /** Imports a small image named `image`: static busybox under its usual names. */
  async importBusybox(image: string): Promise<void> {
    const root = join(this.#base, 'image');
    for (const name of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'root', 'data']) {
      mkdirSync(join(root, name), { recursive: true });
    }
    cpSync('/bin/busybox', join(root, 'bin/busybox'));
    await must(['chroot', root, '/bin/busybox', '--install', '-s', '/bin']);
    writeFileSync(
      join(root, 'etc/passwd'),
      'root:x:0:0::/root:/bin/sh\nguest:x:1000:1000::/tmp:/bin/sh\n',
    );
    writeFileSync(join(root, 'etc/group'), 'root:x:0:\nguest:x:1000:\n');
    writeFileSync(join(root, 'data/not_a_program'), 'text\n');
    await must(['chmod', '1777', join(root, 'tmp')]);
    const archive = join(this.#base, 'image.tar');
    await must(['tar', 'cf', archive, '-C', root, '.']);
    const imported = await this.docker('import', archive, image);
    if (imported.status !== 0) throw new Error(imported.stderr);
  }

  /** The end of the daemon's log. */
  log(lines: number): string {
    return readFileSync(this.#log, 'utf8').split('\n').slice(-lines).join('\n');
  }

  /** A directory of the scratch area, for volumes. */
  directory(name: string): string {
    const path = join(this.#base, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Stops the daemon, and with it its containerd and its mount namespace. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode !== null || this.#process.pid === undefined) return;
    this.#process.kill('SIGTERM');
    const slow = setTimeout(() => process.kill(-this.#process.pid!, 'SIGKILL'), 20_000);
    await ended;
    clearTimeout(slow);
  }
}
