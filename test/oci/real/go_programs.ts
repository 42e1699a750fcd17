/**
 * Programs written in Go, which make their calls by instructions of their own instead of the C library's:
 * what they print is what they print on the host, before and after their call sites have been patched.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { must } from '../../harness/command.ts';
import type { Check } from './check.ts';
import { check, same, type World } from './world.ts';

/** Which the tests of docker and containerd have installed. */
const COMMANDS = ['runc --version', 'runc features', 'containerd --version', 'docker --version'];
/** A call site is patched when it has trapped 32 times. */
const ROUNDS = 20;
/** Of a wrong output. */
const SHOWN = 2000;
const DIRECTORIES = ['/usr', '/lib', '/lib64'];
/** mov %reg,%reg; mov %reg,%reg; syscall: the one through which most calls of a Go program go. */
const SYSCALL6 = /^48 89 .. 48 89 .. 0f 05$/;

function find(name: string): string | undefined {
  const places = ['/usr/bin', '/usr/sbin', '/usr/local/bin'];
  return places.map((place) => path.join(place, name)).find((file) => fs.existsSync(file));
}

/** Whether the debug log tells of a site of that form in a Go program. */
function hasPatchedSyscall6(log: string): boolean {
  for (const [, file = '', offset = ''] of log.matchAll(/call site (\S+)\+0x(\w+) is patched/g)) {
    const bytes = Buffer.alloc(8);
    const fd = fs.openSync(file, 'r');
    fs.readSync(fd, bytes, 0, bytes.length, Number.parseInt(offset, 16));
    fs.closeSync(fd);
    if (SYSCALL6.test(bytes.toString('hex').replace(/..(?!$)/g, '$& '))) return true;
  }
  return false;
}

async function goPrograms(w: World): Promise<void> {
  const commands: string[] = [];
  for (const command of COMMANDS) {
    const [name = '', ...args] = command.split(' ');
    const file = find(name);
    if (file !== undefined) commands.push([file, ...args].join(' '));
  }
  check(commands.length > 0, 'no program in Go is installed');
  const script = `for i in $(seq ${ROUNDS}); do ${commands.join('; ')}; done`;
  const { stdout: native } = await must(['/bin/sh', '-c', script]);
  const log = w.file('debug.log');
  w.flags = ['--debug', `--debug-log=${log}`];
  const bundle = w.bundle(['/bin/sh', '-c', script], (c) => {
    c.process.env = ['PATH=/bin'];
    for (const source of DIRECTORIES) {
      c.mounts.push({ destination: source, type: 'bind', source, options: ['rbind', 'ro'] });
    }
  });
  const { status, stdout, stderr } = await w.runsc(['run', '--bundle', bundle, 'a'], {
    timeoutMs: 120_000,
  });
  same([status, stderr], [0, '']);
  check(stdout === native, `not what they print on the host:\n${stdout.slice(0, SHOWN)}`);
  const text = fs.readFileSync(log, 'utf8');
  const onSystrap = text.includes('platform: systrap');
  same(hasPatchedSyscall6(text), onSystrap);
}

export const GO_PROGRAMS: readonly Check[] = [
  { name: 'programs in Go are what they are on the host', body: goPrograms },
];
