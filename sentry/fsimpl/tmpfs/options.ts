/**
 * Mount options of tmpfs (tmpfs(5)): size, nr_blocks, nr_inodes, mode, uid, gid. Hostile text: every
 * value is checked.
 */
import { EINVAL } from '../../../spec/linux/errno.ts';

export interface TmpfsOptions {
  /** Infinity for no limit. */
  sizeBytes: number;
  inodes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** For /proc/mounts: what was asked for explicitly. */
  shown: readonly string[];
}

const SUFFIXES: Readonly<Record<string, number>> = {
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};
const PAGE = 4096;
const IGNORED = new Set(['huge', 'mpol', 'inode32', 'inode64', 'noswap', 'rw', 'ro', 'defaults']);

/** A number with a k, m, g or t suffix, or -EINVAL. */
function parseSize(text: string): number {
  const match = /^(\d{1,15})([kmgtKMGT]?)$/.exec(text);
  if (match === null) return -EINVAL;
  return Number(match[1]) * (SUFFIXES[(match[2] ?? '').toLowerCase()] ?? 1);
}

function parseId(text: string): number {
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1 ? Number(text) : -EINVAL;
}

function parseBytes(text: string, totalMemoryBytes: number): number {
  if (!/^\d{1,3}%$/.test(text)) return parseSize(text);
  return Math.floor((totalMemoryBytes * Number(text.slice(0, -1))) / 100);
}

/** Reads the data string of mount(2). -EINVAL for anything tmpfs does not know. */
export function parseOptions(data: string, totalMemoryBytes: number): TmpfsOptions | number {
  let sizeBytes = Math.floor(totalMemoryBytes / 2);
  let inodes = Math.floor(totalMemoryBytes / 2 / PAGE);
  let mode = 0o1777;
  let uid = 0;
  let gid = 0;
  const shown: string[] = [];
  for (const option of data.split(',')) {
    if (option === '') continue;
    const equals = option.indexOf('=');
    const key = equals < 0 ? option : option.slice(0, equals);
    const value = equals < 0 ? '' : option.slice(equals + 1);
    let n = 0;
    if (key === 'size') n = sizeBytes = parseBytes(value, totalMemoryBytes);
    else if (key === 'nr_blocks') n = sizeBytes = parseSize(value) * PAGE;
    else if (key === 'nr_inodes') n = inodes = parseSize(value);
    else if (key === 'mode') n = mode = /^[0-7]{1,5}$/.test(value) ? Number.parseInt(value, 8) : -1;
    else if (key === 'uid') n = uid = parseId(value);
    else if (key === 'gid') n = gid = parseId(value);
    else if (!IGNORED.has(key)) n = -1;
    if (n < 0) return -EINVAL;
    if (!IGNORED.has(key)) shown.push(option);
  }
  // Zero means "no limit" (tmpfs(5)).
  if (sizeBytes === 0) sizeBytes = Infinity;
  else sizeBytes = Math.ceil(sizeBytes / PAGE) * PAGE;
  if (inodes === 0) inodes = Infinity;
  return { sizeBytes, inodes, mode: mode & 0o7777, uid, gid, shown };
}

/** Whether the size, or the number of inodes, was asked for. */
export function given(options: TmpfsOptions, what: 'size' | 'inodes'): boolean {
  const keys = what === 'size' ? ['size=', 'nr_blocks='] : ['nr_inodes='];
  return options.shown.some((o) => keys.some((key) => o.startsWith(key)));
}

export function optionText(options: TmpfsOptions): string {
  const parts: string[] = [];
  if (given(options, 'size')) {
    parts.push(
      `size=${options.sizeBytes === Infinity ? 0 : Math.floor(options.sizeBytes / 1024)}k`,
    );
  }
  if (given(options, 'inodes')) {
    parts.push(`nr_inodes=${options.inodes === Infinity ? 0 : options.inodes}`);
  }
  if (options.mode !== 0o1777) parts.push(`mode=${options.mode.toString(8)}`);
  if (options.uid !== 0) parts.push(`uid=${options.uid}`);
  if (options.gid !== 0) parts.push(`gid=${options.gid}`);
  return parts.join(',');
}
