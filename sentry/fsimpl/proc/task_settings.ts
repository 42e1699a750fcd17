/**
 * Files of a process that can be written, and its limits: /proc/PID/{comm,oom_score_adj,limits,...}
 * (proc_pid_comm(5), proc_pid_oom_score_adj(5), proc_pid_limits(5)).
 */
import { CAP_SYS_NICE, CAP_SYS_RESOURCE } from '../../../spec/linux/capability.ts';
import { EACCES, EINVAL, EPERM } from '../../../spec/linux/errno.ts';
import { mayPtrace } from '../../kernel/ptrace_access.ts';
import type { Task } from '../../kernel/task.ts';

/** What was never set: (uid_t) -1. */
export const NO_ID = 4294967295;
/** One line of uid_map: every id stands for itself. */
export const IDENTITY_MAP = `${'0'.padStart(10)} ${'0'.padStart(10)} ${NO_ID}\n`;

const COMM_MAX = 15;
const OOM_SCORE_ADJ_MAX = 1000;
const OOM_ADJ_MAX = 15;
const OOM_DISABLE = -17;
const TIMER_SLACK_DEFAULT_NS = 50000;

/** Takes what `writer` wrote about `t`; 0 or -errno. */
export type Accept = (writer: Task, t: Task, text: string) => number;

/** A decimal number as the kernel reads it, or null. */
function parseInteger(text: string): number | null {
  const match = /^\s*([-+]?\d{1,15})\s*\0*$/.exec(text);
  return match === null ? null : Number(match[1]);
}

export function setComm(writer: Task, t: Task, text: string): number {
  if (writer.group !== t.group) return -EINVAL;
  const nul = text.indexOf('\0');
  t.name = text.slice(0, Math.min(nul < 0 ? COMM_MAX : nul, COMM_MAX));
  return 0;
}

export function setOomScoreAdj(writer: Task, t: Task, text: string): number {
  const value = parseInteger(text);
  if (value === null || Math.abs(value) > OOM_SCORE_ADJ_MAX) return -EINVAL;
  if (value < t.group.oomScoreAdj && !writer.creds.has(CAP_SYS_RESOURCE)) return -EACCES;
  t.group.oomScoreAdj = value;
  return 0;
}

/** The old scale from -17 to 15. */
export function oomAdjText(t: Task): string {
  const score = t.group.oomScoreAdj;
  const old =
    score === OOM_SCORE_ADJ_MAX
      ? OOM_ADJ_MAX
      : Math.trunc((score * -OOM_DISABLE) / OOM_SCORE_ADJ_MAX);
  return `${old}\n`;
}

export function setOomAdj(writer: Task, t: Task, text: string): number {
  const value = parseInteger(text);
  if (value === null || value < OOM_DISABLE || value > OOM_ADJ_MAX) return -EINVAL;
  const score =
    value === OOM_ADJ_MAX
      ? OOM_SCORE_ADJ_MAX
      : Math.trunc((value * OOM_SCORE_ADJ_MAX) / -OOM_DISABLE);
  return setOomScoreAdj(writer, t, `${score}`);
}

/** Thousandths of the memory that the process uses, shifted by its adjustment. */
export function oomScoreText(t: Task): string {
  const used = t.mm.dead ? 0 : t.mm.usage().resident;
  const share = Math.floor((used / t.container.totalMemoryBytes) * OOM_SCORE_ADJ_MAX);
  return `${Math.max(0, share + t.group.oomScoreAdj)}\n`;
}

export function setTimerSlack(writer: Task, t: Task, text: string): number {
  const value = parseInteger(text);
  if (value === null || value < 0) return -EINVAL;
  if (writer !== t && !writer.creds.has(CAP_SYS_NICE) && !mayPtrace(writer, t)) return -EPERM;
  t.timerSlackNs = value === 0 ? TIMER_SLACK_DEFAULT_NS : value;
  return 0;
}

/** Pids of the children of a thread; those of the whole process count as the leader's. */
export function childrenText(t: Task): string {
  if (t.group.leader !== t) return '';
  return [...t.group.children].map((g) => `${g.pid} `).join('');
}

/** In the order of RLIMIT_*. */
const LIMITS: readonly (readonly [name: string, unit: string])[] = [
  ['Max cpu time', 'seconds'],
  ['Max file size', 'bytes'],
  ['Max data size', 'bytes'],
  ['Max stack size', 'bytes'],
  ['Max core file size', 'bytes'],
  ['Max resident set', 'bytes'],
  ['Max processes', 'processes'],
  ['Max open files', 'files'],
  ['Max locked memory', 'bytes'],
  ['Max address space', 'bytes'],
  ['Max file locks', 'locks'],
  ['Max pending signals', 'signals'],
  ['Max msgqueue size', 'bytes'],
  ['Max nice priority', ''],
  ['Max realtime priority', ''],
  ['Max realtime timeout', 'us'],
];

export function limitsText(t: Task): string {
  const row = (name: string, soft: string, hard: string, unit: string): string =>
    `${name.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${unit.padEnd(10)}\n`;
  const shown = (value: number): string => (Number.isFinite(value) ? `${value}` : 'unlimited');
  let text = row('Limit', 'Soft Limit', 'Hard Limit', 'Units');
  LIMITS.forEach(([name, unit], resource) => {
    const limit = t.group.limits.get(resource);
    if (limit !== undefined) text += row(name, shown(limit.soft), shown(limit.hard), unit);
  });
  return text;
}
