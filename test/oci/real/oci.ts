/**
 * The sealed binary, from outside: the OCI lifecycle with the real Sentry, bad input, processes
 * killed at random, and guests that use up everything. After each check nothing may be left.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { must } from '../../harness/command.ts';
import { platformFlags, ROOT } from '../../harness/runtime.ts';
import { Tally } from '../../harness/tally.ts';
import { BAD_INPUT } from './bad_input.ts';
import { CAREFUL } from './careful.ts';
import type { Check } from './check.ts';
import { CONTROL } from './control_fuzz.ts';
import { EXHAUSTION } from './exhaustion.ts';
import { GO_PROGRAMS } from './go_programs.ts';
import { HOST_FIFOS } from './host_fifos.ts';
import { HOST_SOCKETS } from './host_sockets.ts';
import { HUNG_GOFER } from './hung_gofer.ts';
import { IDLE } from './idle.ts';
import { KILLS } from './kills.ts';
import { LIFECYCLE } from './lifecycle.ts';
import { LIMITS } from './limits.ts';
import { MOUNTS } from './mounts.ts';
import { CHOICE, PLATFORM } from './platform.ts';
import { PROCESS } from './process.ts';
import { ROOTLESS } from './rootless.ts';
import { SHARED_VOLUMES } from './shared_volumes.ts';
import { STDIO } from './stdio.ts';
import { STUBS } from './stubs.ts';
import { SYSTEMD } from './systemd.ts';
import { World } from './world.ts';

const TREE = path.join(ROOT, 'build/oci/root');
const PROGRAMS =
  'sh cat sleep echo ls true false id mount kill head wc touch mkdir stat dd ps env pwd grep readlink hostname printf seq test rm chmod usleep timeout mv ln cut tr od df ulimit nproc mkfifo';
/** What the platform has to do with: done on each. */
const ON_EACH: readonly Check[] = [
  ...PLATFORM,
  ...LIFECYCLE,
  ...PROCESS,
  ...ROOTLESS,
  ...EXHAUSTION,
  ...IDLE,
  ...STUBS,
  ...HOST_FIFOS,
  ...HOST_SOCKETS,
  ...KILLS,
  ...SHARED_VOLUMES,
  ...GO_PROGRAMS,
];
/** Done on the last platform only (the limits choose their platforms). */
const ONCE: readonly Check[] = [
  ...STDIO,
  ...MOUNTS,
  ...HUNG_GOFER,
  ...BAD_INPUT,
  ...CAREFUL,
  ...CONTROL,
  ...LIMITS,
  ...SYSTEMD,
  ...CHOICE,
];

/** busybox and the programs of single checks. */
async function makeTree(): Promise<void> {
  for (const name of ['bin', 'proc', 'sys', 'dev', 'tmp', 'etc', 'data']) {
    fs.mkdirSync(path.join(TREE, name), { recursive: true });
  }
  fs.copyFileSync('/bin/busybox', path.join(TREE, 'bin/busybox'));
  for (const name of PROGRAMS.split(' ')) {
    fs.rmSync(path.join(TREE, 'bin', name), { force: true });
    fs.symlinkSync('busybox', path.join(TREE, 'bin', name));
  }
  fs.writeFileSync(
    path.join(TREE, 'etc/passwd'),
    'root:x:0:0::/root:/bin/sh\nu:x:7:8::/home/u:/bin/sh\n',
  );
  fs.writeFileSync(path.join(TREE, 'bin/not-executable'), '#!/bin/sh\n', { mode: 0o644 });
  fs.writeFileSync(path.join(TREE, 'bin/bad-elf'), '\x7fELF\x02\x01\x01garbage', { mode: 0o755 });
  fs.writeFileSync(path.join(TREE, 'data/file'), 'from the host\n');
  await Promise.all(['hog', 'host_fifo', 'host_socket', 'volume'].map(compile));
}

async function compile(name: string): Promise<void> {
  const source = path.join(import.meta.dirname, `${name}.c`);
  const flags = ['-O1', '-static', '-pthread', '-Wall', '-Werror'];
  await must(['gcc', ...flags, '-o', path.join(TREE, 'bin', name), source]);
}

export async function runOci(runtimes: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('oci');
  if (process.getuid?.() !== 0) {
    tally.skip('all', 'needs root');
    return tally;
  }
  await makeTree();
  for (const [index, runtime] of runtimes.entries()) {
    const isLast = index === runtimes.length - 1;
    tally.add(await runOciOn(runtime, isLast ? [...ONCE, ...ON_EACH] : ON_EACH, filter));
  }
  return tally;
}

async function runOciOn(runtime: string, checks: readonly Check[], filter: string): Promise<Tally> {
  const tally = new Tally('oci', runtime);
  const platform = platformFlags(runtime);
  if (!platform) {
    tally.skip('all', 'these are checks of runsc alone');
    return tally;
  }
  for (const { name, body } of checks) {
    if (!name.includes(filter)) continue;
    const world = new World(TREE, platform);
    const started = performance.now();
    try {
      await body(world);
      const left = await world.leftovers();
      if (left.length > 0) throw new Error(`left behind: ${left.join('; ')}`);
      tally.pass(name, `${Math.round(performance.now() - started)} ms`);
    } catch (error) {
      tally.fail(name, error instanceof Error ? error.message : String(error));
      await world.leftovers();
    } finally {
      world.release();
    }
  }
  return tally;
}
