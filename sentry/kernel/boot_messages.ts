/**
 * The kernel log that dmesg(1) shows: what a machine made of one thread of JavaScript has to say while it
 * starts. The first and last lines are always the same, those between are a selection.
 */
import { LINUX_RELEASE, LINUX_VERSION } from './linux_version.ts';

const FIRST: readonly string[] = [
  `Linux version ${LINUX_RELEASE} (runsc@typescript) ${LINUX_VERSION}`,
  'Command line: --single-threaded --no-regrets',
];

const BETWEEN: readonly string[] = [
  'Type-checking the laws of physics... no errors',
  'Locking nothing: there is nobody to lock out',
  'clocksource: borrowing the time from the host',
  'Teaching the event loop to sit still...',
  'Memory: all of it is one file, please do not delete it',
  'random: seeded by a very long prime and a short nap',
  'Mounting the root file system, gopher permitting...',
  'vdso: telling the time without being asked',
  'sched: one core, one thread, one thing at a time',
  'Counting file descriptors: three so far',
  'Hiding the host behind the curtain...',
  'floppy0: not found, which is a relief',
  'pty: allocating teletypes, ink not included',
  "Awaiting nothing: async is somebody else's kernel",
  'Garbage collector asked to keep its hands off the page tables',
  'Loading drivers for hardware that is not there... done, quickly',
  'NaN is not a number, proceeding anyway',
  'Checking undefined behaviour: undefined is not a function',
];

const LAST = 'Ready. Kindly call again.';

const CHOSEN = 9;
/** Kernel severity "informational", facility 0. */
const PREFIX = '<6>';

/** The log, lines ending in newline; `random` fills bytes. */
export function bootMessages(random: (into: Uint8Array) => void): string {
  const dice = new Uint8Array(CHOSEN * 2);
  random(dice);
  const rest = [...BETWEEN];
  const lines = [...FIRST];
  for (let i = 0; i < CHOSEN; i++) {
    lines.push(...rest.splice((dice[i] ?? 0) % rest.length, 1));
  }
  lines.push(LAST);
  let ms = 0;
  return lines
    .map((text, i) => {
      if (i >= FIRST.length) ms += 20 + (dice[CHOSEN + (i % CHOSEN)] ?? 0);
      const seconds = (ms / 1000).toFixed(6).padStart(12);
      return `${PREFIX}[${seconds}] ${text}\n`;
    })
    .join('');
}
