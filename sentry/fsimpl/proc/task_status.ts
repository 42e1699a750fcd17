/**
 * /proc/PID/{stat,statm,status,schedstat} (proc_pid_stat(5), proc_pid_status(5)).
 */
import { PAGE_SIZE } from '../../../spec/linux/mman.ts';
import { RLIMIT_RSS, RLIMIT_SIGPENDING } from '../../../spec/linux/resource.ts';
import { SIG_DFL, SIG_IGN } from '../../../spec/linux/signal.ts';
import { IoAccounting } from '../../kernel/io_accounting.ts';
import { SIGNAL_MAX } from '../../kernel/signal.ts';
import { SignalSet } from '../../kernel/signal_set.ts';
import { TASK_BLOCKED, TASK_DEAD, TASK_STOPPED, TASK_VFORK, type Task } from '../../kernel/task.ts';
import type { MemoryUsage } from '../../mm/usage.ts';
import { REG_RIP, REG_RSP } from '../../platform/platform.ts';

/** USER_HZ: times in /proc are in hundredths of a second. */
export const NS_PER_TICK = 10_000_000;
/** RLIM_INFINITY and other numbers of 64 ones. */
const ALL_ONES = '18446744073709551615';
const PF_RANDOMIZE = 0x00400000;

const STATES: Readonly<Record<string, string>> = {
  R: 'R (running)',
  S: 'S (sleeping)',
  D: 'D (disk sleep)',
  T: 'T (stopped)',
  Z: 'Z (zombie)',
};

export function ticks(ns: number): number {
  return Math.floor(ns / NS_PER_TICK);
}

/** The one-letter state of proc(5). */
export function stateOf(t: Task): string {
  switch (t.state) {
    case TASK_BLOCKED:
      return 'S';
    case TASK_VFORK:
      return 'D';
    case TASK_STOPPED:
      return 'T';
    case TASK_DEAD:
      return 'Z';
    default:
      return 'R';
  }
}

const NO_MEMORY: MemoryUsage = {
  size: 0,
  resident: 0,
  residentAnonymous: 0,
  residentFile: 0,
  residentShared: 0,
  data: 0,
  stack: 0,
  text: 0,
  locked: 0,
};

function usageOf(t: Task): MemoryUsage {
  return t.state === TASK_DEAD || t.mm.dead ? NO_MEMORY : t.mm.usage();
}

/** tty_nr: the device number in the kernel's encoding for user space. */
export function terminalNumber(t: Task): number {
  const terminal = t.group.session.terminal;
  if (terminal === null) return 0;
  const { devMajor, devMinor } = terminal;
  return (devMinor & 0xff) | (devMajor << 8) | ((devMinor & ~0xff) << 12);
}

interface SignalDisposition {
  readonly ignored: SignalSet;
  readonly caught: SignalSet;
}

function dispositions(t: Task): SignalDisposition {
  const ignored = new SignalSet();
  const caught = new SignalSet();
  for (let signo = 1; signo <= SIGNAL_MAX; signo++) {
    const { handler } = t.group.handlers.get(signo);
    if (handler === SIG_IGN) ignored.add(signo);
    else if (handler !== SIG_DFL) caught.add(signo);
  }
  return { ignored, caught };
}

/** Addresses of a program: zero for who may not know them, and for zombies. */
function addresses(t: Task, visible: boolean) {
  if (!visible || t.state === TASK_DEAD) {
    const none = {
      codeStart: 0,
      codeEnd: 0,
      stackStart: 0,
      esp: 0,
      eip: 0,
      dataStart: 0,
      dataEnd: 0,
    };
    return { ...none, brkStart: 0, argStart: 0, argEnd: 0, envStart: 0, envEnd: 0 };
  }
  const { codeStart, codeEnd, stackStart, dataStart, dataEnd, brkStart } = t.mm;
  const { argStart, argEnd, envStart, envEnd } = t.mm;
  const asleep = t.state === TASK_BLOCKED || t.state === TASK_STOPPED;
  const esp = asleep ? t.context.regs.get(REG_RSP) : 0;
  const eip = asleep ? t.context.regs.get(REG_RIP) : 0;
  const program = { codeStart, codeEnd, stackStart, esp, eip, dataStart, dataEnd, brkStart };
  return { ...program, argStart, argEnd, envStart, envEnd };
}

/** /proc/PID/stat; in task/TID of one thread, whose times are its own. */
export function statText(t: Task, ofProcess: boolean, visible: boolean): string {
  const { group } = t;
  const usage = usageOf(t);
  const { ignored, caught } = dispositions(t);
  const at = addresses(t, visible);
  const terminal = group.session.terminal;
  const realtime = t.schedulingPolicy === 1 || t.schedulingPolicy === 2;
  const { ownUsage: own, childrenUsage: children } = group;
  const rssLimit = group.limits.soft(RLIMIT_RSS);
  const fields: (number | string)[] = [
    group.parent?.pid ?? 0,
    group.processGroup.id,
    group.session.id,
    terminalNumber(t),
    terminal === null ? -1 : (terminal.foreground?.id ?? -1),
    PF_RANDOMIZE,
    own.minorFaults,
    children.minorFaults,
    own.majorFaults,
    children.majorFaults,
    ticks(ofProcess ? group.cpuTimeNs : t.cpuTimeNs),
    0,
    ticks(children.cpuNs),
    0,
    realtime ? -1 - t.schedulingPriority : 20 + t.nice,
    t.nice,
    Math.max(group.tasks.size, 1),
    0,
    ticks(t.startNs - t.kernel.bootNs),
    usage.size,
    Math.floor(usage.resident / PAGE_SIZE),
    rssLimit === Number.POSITIVE_INFINITY ? ALL_ONES : rssLimit,
    at.codeStart,
    at.codeEnd,
    at.stackStart,
    at.esp,
    at.eip,
    t.pending.set.lo & 0x7fffffff,
    t.signalMask.lo & 0x7fffffff,
    ignored.lo & 0x7fffffff,
    caught.lo & 0x7fffffff,
    0,
    0,
    0,
    group.exitSignal,
    0,
    realtime ? t.schedulingPriority : 0,
    t.schedulingPolicy,
    0,
    0,
    0,
    at.dataStart,
    at.dataEnd,
    at.brkStart,
    at.argStart,
    at.argEnd,
    at.envStart,
    at.envEnd,
    visible && t.state === TASK_DEAD ? group.exitStatus : 0,
  ];
  return `${t.tid} (${t.name}) ${stateOf(t)} ${fields.join(' ')}\n`;
}

/** Pages: size, resident, shared, text, lib (0), data with stack, dirty (0). */
export function statmText(t: Task): string {
  const u = usageOf(t);
  const shared = u.residentFile + u.residentShared;
  const bytes = [u.size, u.resident, shared, u.text, 0, u.data + u.stack, 0];
  return `${bytes.map((n) => Math.floor(n / PAGE_SIZE)).join(' ')}\n`;
}

export function schedstatText(t: Task): string {
  return `${Math.floor(t.cpuTimeNs)} 0 0\n`;
}

/** proc_pid_io(5). No byte goes to a block device of the sandbox: it has none. */
export function ioText(t: Task, ofProcess: boolean): string {
  const io = new IoAccounting();
  if (ofProcess) {
    io.add(t.group.pastIo);
    for (const other of t.group.tasks) io.add(other.io);
  } else {
    io.add(t.io);
  }
  return (
    `rchar: ${io.readChars}\nwchar: ${io.writtenChars}\n` +
    `syscr: ${io.readCalls}\nsyscw: ${io.writeCalls}\n` +
    'read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n'
  );
}

function hex64(lo: number, hi: number): string {
  return (hi >>> 0).toString(16).padStart(8, '0') + (lo >>> 0).toString(16).padStart(8, '0');
}

function signals(set: SignalSet): string {
  return hex64(set.lo, set.hi);
}

function capabilities(set: number): string {
  return set.toString(16).padStart(16, '0');
}

function memoryLines(t: Task): string[] {
  if (t.state === TASK_DEAD) return [];
  const u = usageOf(t);
  const line = (name: string, bytes: number): string =>
    `${name}:\t${String(Math.floor(bytes / 1024)).padStart(8)} kB`;
  return [
    line('VmPeak', u.size),
    line('VmSize', u.size),
    line('VmLck', u.locked),
    line('VmPin', 0),
    line('VmHWM', Math.max(t.mm.peakRssBytes, u.resident)),
    line('VmRSS', u.resident),
    line('RssAnon', u.residentAnonymous),
    line('RssFile', u.residentFile),
    line('RssShmem', u.residentShared),
    line('VmData', u.data),
    line('VmStk', u.stack),
    line('VmExe', Math.max(t.mm.codeEnd - t.mm.codeStart, 0)),
    line('VmLib', Math.max(u.text - Math.max(t.mm.codeEnd - t.mm.codeStart, 0), 0)),
    line('VmPTE', 0),
    line('VmSwap', 0),
  ];
}

/** Processors as Linux prints masks: 32 to a word. */
function allowedCpus(t: Task): { readonly mask: string; readonly list: string } {
  const cpus: number[] = [];
  for (let cpu = 0; cpu < t.container.cpuCount; cpu++) {
    const byte = t.affinity === null ? 0xff : (t.affinity[cpu >>> 3] ?? 0);
    if (((byte >>> (cpu & 7)) & 1) !== 0) cpus.push(cpu);
  }
  const words: number[] = [];
  for (const cpu of cpus) {
    while (words.length <= cpu >>> 5) words.push(0);
    words[cpu >>> 5] = ((words[cpu >>> 5] as number) | (1 << (cpu & 31))) >>> 0;
  }
  const [top = 0, ...rest] = words.reverse();
  const mask = [top.toString(16), ...rest.map((w) => w.toString(16).padStart(8, '0'))].join(',');
  const list: string[] = [];
  for (let i = 0; i < cpus.length; ) {
    let j = i;
    while (cpus[j + 1] === (cpus[j] as number) + 1) j++;
    list.push(i === j ? `${cpus[i]}` : `${cpus[i]}-${cpus[j]}`);
    i = j + 1;
  }
  return { mask, list: list.join(',') };
}

/** A name may hold anything: newlines and backslashes are escaped. */
function escapedName(name: string): string {
  return name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

export function statusText(t: Task): string {
  const { group, creds: c } = t;
  const dead = t.state === TASK_DEAD;
  const { ignored, caught } = dispositions(t);
  const cpus = allowedCpus(t);
  const queued = t.pending.length + group.pending.length;
  const lines = [
    `Name:\t${escapedName(t.name)}`,
    ...(dead ? [] : [`Umask:\t${t.fs.umask.toString(8).padStart(4, '0')}`]),
    `State:\t${STATES[stateOf(t)]}`,
    `Tgid:\t${group.pid}`,
    'Ngid:\t0',
    `Pid:\t${t.tid}`,
    `PPid:\t${group.parent?.pid ?? 0}`,
    'TracerPid:\t0',
    `Uid:\t${c.uid}\t${c.euid}\t${c.suid}\t${c.fsuid}`,
    `Gid:\t${c.gid}\t${c.egid}\t${c.sgid}\t${c.fsgid}`,
    `FDSize:\t${dead ? 0 : Math.max(64, 2 ** Math.ceil(Math.log2(t.files.length || 1)))}`,
    `Groups:\t${c.groups.map((g) => `${g} `).join('')}`,
    `NStgid:\t${group.pid}`,
    `NSpid:\t${t.tid}`,
    `NSpgid:\t${group.processGroup.id}`,
    `NSsid:\t${group.session.id}`,
    ...memoryLines(t),
    `Threads:\t${Math.max(group.tasks.size, 1)}`,
    `SigQ:\t${queued}/${group.limits.soft(RLIMIT_SIGPENDING)}`,
    `SigPnd:\t${signals(t.pending.set)}`,
    `ShdPnd:\t${signals(group.pending.set)}`,
    `SigBlk:\t${signals(t.signalMask)}`,
    `SigIgn:\t${signals(ignored)}`,
    `SigCgt:\t${signals(caught)}`,
    `CapInh:\t${capabilities(c.inheritable)}`,
    `CapPrm:\t${capabilities(c.permitted)}`,
    `CapEff:\t${capabilities(c.effective)}`,
    `CapBnd:\t${capabilities(c.bounding)}`,
    `CapAmb:\t${capabilities(c.ambient)}`,
    `NoNewPrivs:\t${c.noNewPrivs ? 1 : 0}`,
    'Seccomp:\t0',
    `Cpus_allowed:\t${cpus.mask}`,
    `Cpus_allowed_list:\t${cpus.list}`,
    'Mems_allowed:\t1',
    'Mems_allowed_list:\t0',
    `voluntary_ctxt_switches:\t${group.ownUsage.voluntarySwitches}`,
    `nonvoluntary_ctxt_switches:\t${group.ownUsage.involuntarySwitches}`,
  ];
  return `${lines.join('\n')}\n`;
}
