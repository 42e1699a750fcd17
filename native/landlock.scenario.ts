/** A process that confines itself to two trees, and prints what it reaches then. See landlock.test.ts. */

import * as fs from './fs.ts';
import { restrictTo } from './landlock.ts';
import * as process_ from './process.ts';
import { fstat, procPath } from './stat.ts';

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_PATH = 0o10000000;
const PR_SET_NO_NEW_PRIVS = 38;
const S_IFCHR = 0o020000;

const [top = ''] = process.argv.slice(2);
const [readable, writable] = ['ro', 'rw'].map((name) => fs.open(`${top}/${name}`, O_PATH));
const held = fs.open(`${top}/outside`, O_PATH);
process_.prctl(PR_SET_NO_NEW_PRIVS, 1);
const confined = restrictTo([
  { fd: readable ?? -1, isDirectory: true, readonly: true },
  { fd: writable ?? -1, isDirectory: true, readonly: false },
]);
const worked = (result: number) => result >= 0;
console.log(
  JSON.stringify({
    confined,
    outside: worked(fs.open(`${top}/outside`, O_RDONLY)),
    // A descriptor from before opens nothing either.
    held: worked(fs.open(procPath(held), O_RDONLY)),
    climbing: worked(fs.open(`${top}/ro/../outside`, O_RDONLY)),
    making: worked(fs.open(`${top}/new`, O_WRONLY | O_CREAT, 0o600)),
    read: worked(fs.open(`${top}/ro/file`, O_RDONLY)),
    write: worked(fs.open(`${top}/ro/file`, O_WRONLY)),
    writable: worked(fs.open(`${top}/rw/file`, O_WRONLY | O_CREAT, 0o600)),
    device: worked(fs.mknodat(writable ?? -1, 'device', S_IFCHR | 0o600, 0x103)),
    attributes: typeof fstat(held) !== 'number',
  }),
);
