/**
 * A program run to its end, natively or under an OCI runtime, seen as the same thing: a command in
 * a root file system, giving an exit status, output and diagnostics.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type CommandOptions, type CommandResult, run } from './command.ts';
import { scratch } from './tree.ts';

export interface Job extends Omit<CommandOptions, 'env' | 'cwd'> {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  /** Host directories bound to directories of the tree. */
  readonly binds?: readonly { readonly source: string; readonly destination: string }[];
}

/** A job as a host command line. */
export interface Prepared {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>> | undefined;
  /** Removes what the command may have left behind. */
  release(timedOut: boolean): Promise<void>;
}

export interface Runtime {
  readonly name: string;
  /** The command that runs `job` with `root` as its file tree, which it may write to. */
  prepare(root: string, job: Job, terminal?: boolean): Prepared;
}

/** Runs `job` to its end. */
export async function runJob(runtime: Runtime, root: string, job: Job): Promise<CommandResult> {
  const { argv, env, release } = runtime.prepare(root, job);
  const { args: _args, env: _env, cwd: _cwd, uid: _uid, binds: _binds, ...options } = job;
  const result = await run(argv, { ...options, ...(env ? { env } : {}) });
  await release(result.timedOut);
  return result;
}

export const ROOT = resolve(import.meta.dirname, '../..');
export const RUNSC = process.env['RUNSC_TEST_BINARY'] ?? join(ROOT, 'dist/runsc');

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  TERM: 'xterm',
};

const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_KILL',
  'CAP_LEASE',
  'CAP_MKNOD',
  'CAP_NET_ADMIN',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_ADMIN',
  'CAP_SYS_CHROOT',
  'CAP_SYS_NICE',
  'CAP_SYS_PTRACE',
];

/** An OCI bundle's config.json for `job`. */
export function ociConfig(root: string, job: Job, terminal = false): object {
  const env = Object.entries({ ...ENVIRONMENT, ...job.env }).map(([k, v]) => `${k}=${v}`);
  const capabilities = Object.fromEntries(
    ['bounding', 'effective', 'permitted'].map((set) => [set, CAPABILITIES]),
  );
  return {
    ociVersion: '1.0.2',
    process: {
      terminal,
      user: { uid: job.uid ?? 0, gid: job.uid ?? 0 },
      args: job.args,
      env,
      cwd: job.cwd ?? '/',
      capabilities,
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 4096, soft: 1024 }],
    },
    root: { path: root, readonly: false },
    hostname: 'sandbox',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'mode=1777'] },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=1777'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'ro'] },
      ...(job.binds ?? []).map((bind) => ({ ...bind, type: 'bind', options: ['rbind'] })),
    ],
    linux: {
      namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
    },
  };
}

let serial = 0;

/** Makes a bundle directory for `job`; the root file system stays where it is. */
export function bundle(root: string, job: Job, terminal = false): string {
  const path = join(scratch(), 'bundle');
  mkdirSync(path);
  writeFileSync(join(path, 'config.json'), JSON.stringify(ociConfig(root, job, terminal), null, 1));
  return path;
}

/** An OCI runtime: `argv` is the binary and its global flags. */
export function ociRuntime(name: string, argv: readonly string[]): Runtime {
  const state = join(scratch(), 'state');
  return {
    name,
    prepare(root, job, terminal) {
      const id = `t${process.pid}-${++serial}`;
      const path = bundle(root, job, terminal);
      const flags = [...argv, '--root', state];
      return {
        argv: [...flags, 'run', '--bundle', path, id],
        env: undefined,
        async release(timedOut) {
          if (!timedOut && !existsSync(join(state, id))) return;
          await run([...flags, 'kill', id, 'KILL'], { timeoutMs: 10_000 });
          await run([...flags, 'delete', '--force', id], { timeoutMs: 10_000 });
        },
      };
    },
  };
}

/**
 * The oracle: namespaces and a chroot of the host's own kernel. The mounts are those of `ociConfig`,
 * and so are the limits.
 */
const NATIVE_SCRIPT = `
set -e
root=$1 cwd=$2 uid=$3; shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o nosuid,mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o nosuid,mode=1777 shm "$root/dev/shm"
for node in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "$root/dev/\${node%:*}" c 1 "\${node#*:}"
done
mknod -m 666 "$root/dev/tty" c 5 0
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/\${n%:*}" "$root/dev/\${n#*:}"; done
mount -t tmpfs -o nosuid,mode=1777 tmpfs "$root/tmp"
mount -t sysfs -o ro sysfs "$root/sys"
hostname sandbox
ulimit -Sn 1024; ulimit -Hn 4096
cd "$root"
bounding=-all,BOUNDING
exec setsid setpriv --bounding-set "$bounding" chroot --userspec="$uid:$uid" --groups="$uid" . /bin/sh -c 'cd "$0" && exec "$@"' "$cwd" "$@"
`.replace('BOUNDING', CAPABILITIES.map((name) => `+${name.slice(4).toLowerCase()}`).join(','));

/** Runs on the host kernel. `shell` says whether the tree has a /bin/sh; without one cwd must be /. */
export function native(shell = true): Runtime {
  const script = shell ? NATIVE_SCRIPT : NATIVE_SCRIPT.replace(/ chroot .*$/m, ' chroot . "$@"');
  return {
    name: 'native',
    prepare(root, job, terminal) {
      const unshare = [
        'unshare',
        '--fork',
        '--pid',
        '--kill-child',
        '--mount',
        '--uts',
        '--ipc',
        '--net',
      ];
      const binds = (job.binds ?? []).map(
        ({ source, destination }) =>
          `mkdir -p "$root${destination}"; mount --bind ${source} "$root${destination}"\n`,
      );
      const text = (
        terminal ? script.replace('exec setsid', 'exec setsid --ctty') : script
      ).replace(/^hostname/m, `${binds.join('')}hostname`);
      const shellArgs = ['/bin/sh', '-c', text, 'native', root, job.cwd ?? '/', `${job.uid ?? 0}`];
      return {
        argv: [...unshare, ...shellArgs, ...job.args],
        env: { ...ENVIRONMENT, ...job.env },
        async release() {},
      };
    },
  };
}

const PLATFORMS: Readonly<Record<string, readonly string[]>> = {
  ours: [],
  ptrace: ['--platform=ptrace'],
  systrap: ['--platform=systrap'],
};

/** The global flags that make runsc the runtime of this name; undefined when it is another program's. */
export function platformFlags(name: string): readonly string[] | undefined {
  return PLATFORMS[name];
}

/** The runtime under test, as the command line names it. */
export function runtimeNamed(name: string, shell = true): Runtime {
  const flags = platformFlags(name);
  if (flags) return ociRuntime(name, [RUNSC, '--network=none', ...flags]);
  switch (name) {
    case 'native':
      return native(shell);
    case 'runc':
    case 'crun':
      return ociRuntime(name, [name]);
    case 'debian':
      return ociRuntime(name, ['/usr/bin/runsc', '--platform=ptrace', '--network=none']);
    default:
      throw new Error(
        `unknown runtime ${name}: ours, ptrace, systrap, native, runc, crun or debian`,
      );
  }
}
