/** The flags before the command's name, and the configuration they make. */

import type {
  FileAccess,
  HostFifo,
  HostUds,
  NetworkName,
  OverlayScope,
  PlatformChoice,
} from '../../spec/control/boot.ts';
import { Failure } from './failure.ts';
import type { FlagValues, Syntax } from './flags.ts';

export const GLOBAL_SYNTAX = {
  name: '',
  summary: 'OCI container runtime that gives every container its own Linux kernel',
  positionals: [],
  flags: {
    root: { kind: 'string', help: 'directory for the state of containers' },
    log: { kind: 'string', help: 'file to which errors are appended' },
    'log-format': {
      kind: 'string',
      default: 'text',
      choices: ['text', 'json'],
      help: 'format of --log',
    },
    debug: { kind: 'boolean', help: 'log what runsc and the sandbox do' },
    'debug-log': {
      kind: 'string',
      help: 'file for --debug and --strace; a name ending in / is a directory; %ID%, %COMMAND% and %TIMESTAMP% are replaced',
    },
    alsologtostderr: { kind: 'boolean', help: 'send the debug log to stderr too' },
    strace: { kind: 'boolean', help: 'log every system call to the debug log' },
    'strace-syscalls': { kind: 'string', help: 'only these system calls, separated by commas' },
    'strace-log-size': { kind: 'int', default: 1024, help: 'most bytes of a buffer to log' },
    platform: {
      kind: 'string',
      default: 'auto',
      help: 'how application code runs: systrap, ptrace, or auto: systrap where the host allows it, else ptrace',
    },
    network: { kind: 'string', default: 'none', help: 'network of the sandbox: none' },
    rootless: { kind: 'boolean', help: 'work without root, in a user namespace' },
    'systemd-cgroup': {
      kind: 'boolean',
      help: 'ask systemd for the cgroup: linux.cgroupsPath has the form slice:prefix:name',
    },
    'ignore-cgroups': { kind: 'boolean', help: 'make and join no cgroup' },
    overlay2: {
      kind: 'string',
      default: 'root:memory',
      help: 'where writes go: none (the host), root:memory, all:memory',
    },
    'file-access': {
      kind: 'string',
      default: 'exclusive',
      choices: ['exclusive', 'shared'],
      help: 'whether others change the root file system meanwhile',
    },
    'host-uds': {
      kind: 'string',
      default: 'none',
      choices: ['none', 'open', 'create', 'all'],
      help: 'unix sockets of the host in volumes: connect to them (open), make them (create), or all',
    },
    'host-fifo': {
      kind: 'string',
      default: 'none',
      choices: ['none', 'open'],
      help: 'named pipes of the host in volumes: open them (open), or have ones of the sandbox (none)',
    },
    version: { kind: 'boolean', alias: 'v', help: 'print the version' },
    help: { kind: 'boolean', alias: 'h', help: 'print this help' },
  },
} as const satisfies Syntax;

export type GlobalFlags = FlagValues<(typeof GLOBAL_SYNTAX)['flags']>;

export interface RuntimeConfig {
  readonly rootDirectory: string;
  readonly logFile: string;
  readonly logFormat: 'text' | 'json';
  readonly debug: boolean;
  readonly debugLog: string;
  readonly alsoLogToStderr: boolean;
  readonly strace: boolean;
  readonly straceSyscalls: readonly string[];
  readonly straceLogSize: number;
  readonly platform: PlatformChoice;
  readonly network: NetworkName;
  readonly rootless: boolean;
  readonly systemdCgroup: boolean;
  readonly ignoreCgroups: boolean;
  readonly overlay: OverlayScope;
  readonly fileAccess: FileAccess;
  readonly hostUds: HostUds;
  readonly hostFifo: HostFifo;
}

/** Where the flags do not say: what of the environment counts. */
export interface Surroundings {
  readonly uid: number;
  readonly runtimeDirectory: string;
}

export function runtimeConfig(flags: GlobalFlags, around: Surroundings): RuntimeConfig {
  const rootless = flags.rootless || around.uid !== 0;
  return {
    rootDirectory: flags.root || defaultRoot(rootless, around),
    logFile: flags.log,
    logFormat: flags['log-format'] === 'json' ? 'json' : 'text',
    debug: flags.debug,
    debugLog: flags['debug-log'],
    alsoLogToStderr: flags.alsologtostderr,
    strace: flags.strace,
    straceSyscalls: flags['strace-syscalls'].split(',').filter((name) => name !== ''),
    straceLogSize: Math.max(0, flags['strace-log-size']),
    platform: platformName(flags.platform),
    network: networkName(flags.network),
    rootless,
    systemdCgroup: flags['systemd-cgroup'],
    ignoreCgroups: flags['ignore-cgroups'],
    overlay: overlayScope(flags.overlay2),
    fileAccess: flags['file-access'] === 'shared' ? 'shared' : 'exclusive',
    hostUds: flags['host-uds'] as HostUds,
    hostFifo: flags['host-fifo'] as HostFifo,
  };
}

function defaultRoot(rootless: boolean, around: Surroundings): string {
  if (!rootless) return '/var/run/runsc';
  return `${around.runtimeDirectory || `/tmp/runsc-${around.uid}`}/runsc`;
}

function platformName(name: string): PlatformChoice {
  if (name === 'auto' || name === 'systrap' || name === 'ptrace') return name;
  throw new Failure(`--platform: unknown platform "${name}": known are auto, systrap, ptrace`);
}

function networkName(name: string): NetworkName {
  if (name === 'none') return name;
  if (name === 'sandbox' || name === 'host') {
    throw new Failure(`--network: "${name}" is not there yet: use --network=none`);
  }
  throw new Failure(`--network: unknown network "${name}": known are none`);
}

function overlayScope(value: string): OverlayScope {
  switch (value) {
    case 'none':
      return 'none';
    case 'root:memory':
      return 'root';
    case 'all:memory':
      return 'all';
    default:
      throw new Failure(
        `--overlay2: unknown value "${value}": known are none, root:memory, all:memory`,
      );
  }
}
