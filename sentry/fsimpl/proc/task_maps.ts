/**
 * /proc/PID/{maps,smaps,smaps_rollup} (proc_pid_maps(5), proc_pid_smaps(5)).
 */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../../spec/linux/mman.ts';
import { TASK_DEAD, type Task } from '../../kernel/task.ts';
import { IN_MEMORY_FILE } from '../../mm/mappable.ts';
import type { MemoryManager } from '../../mm/memory_manager.ts';
import {
  isShared,
  VM_DONTDUMP,
  VM_DONTFORK,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_NOHUGEPAGE,
  VM_NORESERVE,
  VM_WIPEONFORK,
  type Vma,
} from '../../mm/vma.ts';
import { escapeOctal } from './path_text.ts';

/** Names begin in this column. */
const NAME_COLUMN = 73;
const NO_MAPS = '';

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function protection(vma: Vma): string {
  const r = (vma.prot & PROT_READ) !== 0 ? 'r' : '-';
  const w = (vma.prot & PROT_WRITE) !== 0 ? 'w' : '-';
  const x = (vma.prot & PROT_EXEC) !== 0 ? 'x' : '-';
  return r + w + x + (isShared(vma) ? 's' : 'p');
}

/** The name of an unnamed range: the heap is known by its place. */
function nameOf(mm: MemoryManager, vma: Vma): string {
  if (vma.file !== null) return escapeOctal(vma.file.mapName(), '\n').replaceAll('\\134', '\\');
  if (vma.name !== '') return vma.name;
  return vma.start < mm.brkEnd && vma.end > mm.brkStart ? '[heap]' : '';
}

function mapLine(mm: MemoryManager, vma: Vma): string {
  const { file } = vma;
  const device = `${hex(file?.devMajor ?? 0, 2)}:${hex(file?.devMinor ?? 0, 2)}`;
  const range = `${hex(vma.start, 8)}-${hex(vma.end, 8)}`;
  const head = `${range} ${protection(vma)} ${hex(vma.offset, 8)} ${device} ${file?.ino ?? 0} `;
  const name = nameOf(mm, vma);
  return name === '' ? `${head}\n` : `${head.padEnd(NAME_COLUMN)}${name}\n`;
}

export function mapsText(t: Task): string {
  if (t.state === TASK_DEAD) return NO_MAPS;
  let text = '';
  for (const vma of t.mm.vmas.items) text += mapLine(t.mm, vma);
  return text;
}

interface Residence {
  rss: number;
  anonymous: number;
}

/** Bytes of `vma` that are backed. */
function residence(mm: MemoryManager, vma: Vma): Residence {
  const found: Residence = { rss: 0, anonymous: 0 };
  for (let i = mm.pmas.lowerBound(vma.start); i < mm.pmas.items.length; i++) {
    const pma = mm.pmas.items[i];
    if (pma === undefined || pma.start >= vma.end) break;
    const from = Math.max(pma.start, vma.start);
    const bytes = Math.min(pma.end, vma.end) - from;
    if (pma.fd !== IN_MEMORY_FILE) {
      found.rss += bytes;
      continue;
    }
    const held = mm.memory.committedBytes(pma.offset + (from - pma.start), bytes);
    found.rss += held;
    if (!isShared(vma)) found.anonymous += held;
  }
  return found;
}

function kib(name: string, bytes: number): string {
  return `${`${name}:`.padEnd(16)}${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`;
}

/** The VmFlags of Linux that have a meaning here. */
function vmFlags(vma: Vma): string {
  const flags: string[] = [];
  const add = (on: number, name: string): void => {
    if (on !== 0) flags.push(name);
  };
  add(vma.prot & PROT_READ, 'rd');
  add(vma.prot & PROT_WRITE, 'wr');
  add(vma.prot & PROT_EXEC, 'ex');
  add(isShared(vma) ? 1 : 0, 'sh');
  add(vma.maxProt & PROT_READ, 'mr');
  add(vma.maxProt & PROT_WRITE, 'mw');
  add(vma.maxProt & PROT_EXEC, 'me');
  add(isShared(vma) ? 1 : 0, 'ms');
  add(vma.flags & VM_GROWSDOWN, 'gd');
  add(vma.flags & VM_LOCKED, 'lo');
  add(vma.flags & VM_DONTFORK, 'dc');
  add(vma.flags & VM_NORESERVE, 'nr');
  add(vma.flags & VM_WIPEONFORK, 'wf');
  add(vma.flags & VM_DONTDUMP, 'dd');
  add(vma.flags & VM_NOHUGEPAGE, 'nh');
  return flags.join(' ');
}

/** Pages that several processes map count whole in Pss: nobody counts the sharers. */
function residenceLines(size: number | null, r: Residence, locked: number): string {
  const clean = r.rss - r.anonymous;
  return [
    size === null ? '' : kib('Size', size) + kib('KernelPageSize', 4096) + kib('MMUPageSize', 4096),
    kib('Rss', r.rss),
    kib('Pss', r.rss),
    kib('Shared_Clean', 0),
    kib('Shared_Dirty', 0),
    kib('Private_Clean', clean),
    kib('Private_Dirty', r.anonymous),
    kib('Referenced', r.rss),
    kib('Anonymous', r.anonymous),
    kib('AnonHugePages', 0),
    kib('Swap', 0),
    kib('SwapPss', 0),
    kib('Locked', locked),
  ].join('');
}

export function smapsText(t: Task): string {
  if (t.state === TASK_DEAD) return NO_MAPS;
  let text = '';
  for (const vma of t.mm.vmas.items) {
    const size = vma.end - vma.start;
    const r = residence(t.mm, vma);
    const locked = (vma.flags & VM_LOCKED) !== 0 ? r.rss : 0;
    text += `${mapLine(t.mm, vma)}${residenceLines(size, r, locked)}VmFlags: ${vmFlags(vma)} \n`;
  }
  return text;
}

export function smapsRollupText(t: Task): string {
  const first = t.state === TASK_DEAD ? undefined : t.mm.vmas.items[0];
  const last = t.mm.vmas.items[t.mm.vmas.items.length - 1];
  if (first === undefined || last === undefined) return NO_MAPS;
  const total: Residence = { rss: 0, anonymous: 0 };
  let locked = 0;
  for (const vma of t.mm.vmas.items) {
    const r = residence(t.mm, vma);
    total.rss += r.rss;
    total.anonymous += r.anonymous;
    if ((vma.flags & VM_LOCKED) !== 0) locked += r.rss;
  }
  const range = `${hex(first.start, 8)}-${hex(last.end, 8)}`;
  const head = `${range} ---p 00000000 00:00 0 `.padEnd(NAME_COLUMN);
  return `${head}[rollup]\n${residenceLines(null, total, locked)}`;
}
