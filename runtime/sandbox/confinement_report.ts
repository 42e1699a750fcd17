/**
 * What confines the processes of a sandbox, as the host's kernel tells it of the processes that run:
 * /proc/PID/status and /proc/PID/ns, proc(5). Nothing is concluded from what we meant to do. Only
 * Landlock cannot be seen from outside: what it is told by the processes themselves.
 */

import * as fs from 'node:fs';
import { CAPABILITY_NAMES } from '../../spec/linux/capability.ts';
import { codeOf } from '../cli/failure.ts';
import { table } from '../cli/output.ts';

const NAMESPACES = ['user', 'pid', 'mnt', 'net', 'ipc', 'uts'];
const SECCOMP = ['no', 'strict', 'yes'];
const UNSEEN = 'cannot be seen';

export interface Confined {
  readonly name: string;
  readonly pid: number;
}

/** The processes of the sandbox of that Sentry and Gofer: both, and one stub if there is any. */
export function confinedProcesses(sentry: number, gofer: number): Confined[] {
  const children = read(`/proc/${sentry}/task/${sentry}/children`).split(' ').filter(Boolean);
  const stub = children.slice(0, 1).map((pid) => ({ name: 'stub', pid: Number(pid) }));
  return [{ name: 'Sentry', pid: sentry }, { name: 'Gofer', pid: gofer }, ...stub];
}

/** A table with a column for each process. */
export function confinementTable(processes: readonly Confined[]): string {
  const row = (layer: string, of: (pid: number) => string) => [
    layer,
    ...processes.map(({ pid }) => of(pid)),
  ];
  const rows = [
    ['LAYER', ...processes.map(({ name }) => name)],
    row('system call filter', (pid) => SECCOMP[Number(field(pid, 'Seccomp'))] ?? UNSEEN),
    row('no new privileges', (pid) => (field(pid, 'NoNewPrivs') === '1' ? 'yes' : 'no')),
    row('capabilities', (pid) => capabilities(field(pid, 'CapPrm'))),
    row('user', (pid) => field(pid, 'Uid').split('\t')[1] ?? UNSEEN),
    ...NAMESPACES.map((type) => row(`${type} namespace`, (pid) => namespace(pid, type))),
    row('root directory', rootDirectory),
    row('core, locked memory, queues', limits),
  ];
  return table(rows);
}

/** What the processes themselves said, in their debug log, that they run without. */
export function refusedLayers(log: string): string {
  const lines = (what: RegExp) => [...log.matchAll(what)].map(([line]) => `  ${line}\n`);
  const missing = lines(/^.*running without .*$/gm);
  const none = 'Nothing that runsc asks for was refused.\n';
  const told = missing.length === 0 ? none : `Refused by the host:\n${missing.join('')}`;
  // A negative version is an error: then it is among what was refused.
  return `${told}Told by the processes themselves:\n${lines(/^.* Landlock version \d+$/gm).join('')}`;
}

/** A field of /proc/PID/status. */
function field(pid: number, name: string): string {
  return new RegExp(`^${name}:\\t(.*)$`, 'm').exec(read(`/proc/${pid}/status`))?.[1] ?? '';
}

function capabilities(hex: string): string {
  if (hex === '') return UNSEEN;
  const names = CAPABILITY_NAMES.filter((_, index) => {
    const digit = Number.parseInt(hex[hex.length - 1 - (index >> 2)] ?? '0', 16);
    return (digit & (1 << (index & 3))) !== 0;
  }).map((name) => name.replace('CAP_', '').toLowerCase());
  return names.length === 0 ? 'none' : names.length > 8 ? `${names.length}` : names.join(',');
}

/** The hard limits of getrlimit(2) that are taken away. */
function limits(pid: number): string {
  const text = read(`/proc/${pid}/limits`);
  return ['core file size', 'locked memory', 'msgqueue size']
    .map((name) => new RegExp(`^Max ${name} +\\S+ +(\\S+)`, 'm').exec(text)?.[1] ?? UNSEEN)
    .join(', ');
}

function namespace(pid: number, type: string): string {
  try {
    const own = fs.readlinkSync(`/proc/${pid}/ns/${type}`);
    return own === fs.readlinkSync(`/proc/self/ns/${type}`) ? "the host's" : 'own';
  } catch (thrown) {
    return `${UNSEEN} (${codeOf(thrown)})`;
  }
}

/** How much of the host's tree is below the root that the process has. */
function rootDirectory(pid: number): string {
  try {
    const entries = fs.readdirSync(`/proc/${pid}/root/`).length;
    const root = fs.statSync(`/proc/${pid}/root/`);
    const host = fs.statSync('/');
    const same = root.dev === host.dev && root.ino === host.ino;
    return same ? "the host's" : entries === 0 ? 'empty' : 'own';
  } catch (thrown) {
    return `${UNSEEN} (${codeOf(thrown)})`;
  }
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
