/**
 * getppid round trips on a platform, by trap and, where it can be, through a patched call site:
 * `PLATFORM=systrap node --single-threaded ... bench.ts [N]`.
 */

import * as fs from '../../../native/fs.ts';
import { monotonicNs } from '../../../native/index.ts';
import { trampoline } from '../../arch/call_site.ts';
import { REG_RAX, REG_RIP } from '../platform.ts';
import { CODE, load, memory, platform } from './scenario.ts';

const rounds = Number(process.argv[2] ?? 200_000);
// 1: mov $110,%eax; syscall; jmp 1b
const { context } = load([0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]);

function measure(how: string): void {
  for (let pass = 0; pass < 3; pass++) {
    const before = monotonicNs();
    for (let i = 0; i < rounds; i++) {
      context.resume();
      const stopped = platform.poll(Infinity);
      if (stopped !== context || context.stop !== 1) throw new Error(`stop ${stopped?.stop}`);
      context.regs.set(REG_RAX, 1);
    }
    const us = ((monotonicNs() - before) / rounds / 1000).toFixed(2);
    console.log(`${us} µs per system call, ${how}`);
  }
}

measure('by trap');
if (platform.callEntry !== 0) {
  // 1: jmp 2f; syscall; jmp 1b
  fs.pwrite(memory, Uint8Array.of(0xe9, 0xfb, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7), 0x100);
  const moved = Uint8Array.of(0xb8, 110, 0, 0, 0);
  fs.pwrite(memory, trampoline(moved, 0x107 - 0x200, platform.callEntry), 0x200);
  context.regs.set(REG_RIP, CODE + 0x100);
  measure('patched');
}
platform.destroy();
