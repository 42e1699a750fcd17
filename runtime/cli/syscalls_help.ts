/** `runsc help syscalls`: what each system call can do here, from the very table the kernel uses. */

import { syscallTable } from '../../sentry/syscalls/table.ts';
import { syscallName } from '../../spec/linux/syscall_numbers.ts';
import { table } from './output.ts';

/** The last number that spec/linux knows. */
const LAST_SYSCALL = 462;

export function syscallsHelp(): string {
  const rows: string[][] = [];
  for (let nr = 0; nr <= LAST_SYSCALL; nr++) {
    const name = syscallName(nr);
    const entry = syscallTable[nr];
    if (name === undefined && entry === undefined) continue;
    const support = entry === undefined ? 'none' : entry.gap === undefined ? 'full' : 'partial';
    const note = entry === undefined ? 'answers ENOSYS' : (entry.gap ?? '');
    rows.push([String(nr), entry?.name ?? name ?? '', support, note]);
  }
  const supported = rows.filter((row) => row[2] !== 'none').length;
  const summary = `${supported} of ${rows.length} system calls of x86-64 are there.\n`;
  return table([['NUM', 'NAME', 'SUPPORT', 'NOTE'], ...rows]) + summary;
}
