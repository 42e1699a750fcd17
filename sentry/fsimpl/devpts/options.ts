/**
 * Mount options of devpts: uid, gid, mode, ptmxmode, max, newinstance. Hostile text.
 */
import { EINVAL } from '../../../spec/linux/errno.ts';

export interface DevptsOptions {
  /** Null: those of whoever opens ptmx. */
  readonly uid: number | null;
  readonly gid: number | null;
  readonly mode: number;
  readonly ptmxMode: number;
  readonly max: number;
}

const DEFAULT_MAX = 4096;
const NUMBER = /^\d{1,9}$/;
const OCTAL = /^[0-7]{1,5}$/;

/** The options in `data`, or -EINVAL. */
export function parseOptions(data: string): DevptsOptions | number {
  let uid: number | null = null;
  let gid: number | null = null;
  let mode = 0o600;
  let ptmxMode = 0;
  let max = DEFAULT_MAX;
  for (const option of data.split(',')) {
    if (option === '' || option === 'newinstance') continue;
    const [key = '', value = ''] = option.split('=', 2);
    const wanted = key === 'mode' || key === 'ptmxmode' ? OCTAL : NUMBER;
    if (!wanted.test(value)) return -EINVAL;
    if (key === 'uid') uid = Number(value);
    else if (key === 'gid') gid = Number(value);
    else if (key === 'mode') mode = Number.parseInt(value, 8) & 0o777;
    else if (key === 'ptmxmode') ptmxMode = Number.parseInt(value, 8) & 0o777;
    else if (key === 'max') max = Math.min(Number(value), DEFAULT_MAX);
    else return -EINVAL;
  }
  return { uid, gid, mode, ptmxMode, max };
}

export function optionText(o: DevptsOptions): string {
  const parts: string[] = [];
  if (o.uid !== null) parts.push(`uid=${o.uid}`);
  if (o.gid !== null) parts.push(`gid=${o.gid}`);
  parts.push(`mode=${o.mode.toString(8).padStart(3, '0')}`);
  parts.push(`ptmxmode=${o.ptmxMode.toString(8).padStart(3, '0')}`);
  return parts.join(',');
}
