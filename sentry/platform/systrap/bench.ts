/**
 * getppid round trips on the systrap platform, by signal and through a patched call site:
 * `node --single-threaded ... bench.ts [N]`.
 */

import * as fs from '../../../native/fs.ts';
import { monotonicNs } from '../../../native/index.ts';
import { trampoline } from '../../arch/call_site.ts';
import { REG_RAX, REG_RIP } from '../platform.ts';
import { SystrapPlatform } from './systrap_platform.ts';

const rounds = Number(process.argv[2] ?? 200_000);
const platform = SystrapPlatform.create();
if (typeof platform === 'string') throw new Error(`systrap platform: ${platform}`);
const made = platform.newAddressSpace();
if (typeof made === 'number') throw new Error(`address space: errno ${-made}`);
const { space, context } = made;

const fd = fs.memfdCreate('code', 1);
fs.ftruncate(fd, 4096);
// 1: mov $110,%eax; syscall; jmp 1b
fs.pwrite(fd, Uint8Array.of(0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7), 0);
// 1: jmp 2f; syscall; jmp 1b
fs.pwrite(fd, Uint8Array.of(0xe9, 0xfb, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7), 0x100);
fs.pwrite(fd, trampoline(Uint8Array.of(0xb8, 110, 0, 0, 0), 0x10107, platform.callEntry), 0x200);
space.map(0x10000, 4096, fd, 0, 5, true);

for (let pass = 0; pass < 6; pass++) {
  if (pass % 3 === 0) context.regs.set(REG_RIP, pass === 0 ? 0x10000 : 0x10100);
  const before = monotonicNs();
  for (let i = 0; i < rounds; i++) {
    context.resume();
    const stopped = platform.poll(Infinity);
    if (stopped !== context || context.stop !== 1) throw new Error(`stop ${stopped?.stop}`);
    context.regs.set(REG_RAX, 1);
  }
  const us = ((monotonicNs() - before) / rounds / 1000).toFixed(2);
  console.log(`${us} µs per system call${pass < 3 ? ', by signal' : ', patched'}`);
}
platform.destroy();
