/** Writing to the standard descriptors at once: a command may end by _exit or fork right after. */

import * as fs from 'node:fs';
import { codeOf } from './failure.ts';

const PAUSE_MS = 1;

export function print(text: string): void {
  write(1, text);
}

export function printError(text: string): void {
  write(2, text);
}

function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += fs.writeSync(fd, bytes, done);
    } catch (thrown) {
      // A pipe that its other end made nonblocking is full; a closed one takes nothing any more.
      if (codeOf(thrown) !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}

/** Columns padded to their widest cell, two spaces between, as tabwriter prints them. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
