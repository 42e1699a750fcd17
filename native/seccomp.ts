/**
 * System call filters: compiles the allow-lists of spec/seccomp to classic BPF and installs them, see
 * seccomp(2). What is not allowed kills the process; so do 32-bit and x32 calls.
 *
 * The numbers are looked up by binary search. A call that is allowed with any arguments runs none of it on
 * Linux 5.11 and later, which remembers such answers.
 */

import { EINVAL } from '../spec/linux/errno.ts';
import { SYS_seccomp } from '../spec/linux/syscall_numbers.ts';
import type { ArgumentTest, SyscallRule } from '../spec/seccomp/rule.ts';
import { result, setResult64 } from './bytes.ts';
import { addressOf, syscall } from './index.ts';

const LOAD = 0x20;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_EQUAL = 0x35;
const JUMP_SET = 0x45;
const RETURN = 0x06;

const KILL_PROCESS = 0x80000000;
const ERRNO = 0x00050000;
const ALLOW = 0x7fff0000;

const AUDIT_ARCH_X86_64 = 0xc000003e;
const X32_NUMBERS = 0x40000000;

/** Offsets in struct seccomp_data. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENTS = 16;

const SECCOMP_SET_MODE_FILTER = 1;
/** All threads; and speculation stays as it is, which the price of a call depends on. */
const FLAG_TSYNC = 1;
const FLAG_SPEC_ALLOW = 4;
const MAX_INSTRUCTIONS = 4096;

/** How far a jump goes: a count, behind its test (it passed), or behind its alternative (it failed). */
type Distance = number | 'pass' | 'fail';

interface Instruction {
  readonly code: number;
  readonly yes: Distance;
  readonly no: Distance;
  readonly k: number;
}

const plain = (code: number, k: number): Instruction => ({ code, yes: 0, no: 0, k });
const jump = (code: number, k: number, yes: Distance, no: Distance): Instruction => ({
  code,
  yes,
  no,
  k,
});
const low = (arg: number) => plain(LOAD, ARGUMENTS + arg * 8);
const high = (arg: number) => plain(LOAD, ARGUMENTS + arg * 8 + 4);
const upper = (value: number) => Math.floor(value / 2 ** 32) >>> 0;

function compileTest(test: ArgumentTest): Instruction[] {
  const { arg } = test;
  if ('is' in test) {
    const last = test.is.length - 1;
    const compare = (value: number, i: number) =>
      jump(JUMP_EQUAL, value, 'pass', i === last ? 'fail' : 0);
    return [low(arg), ...test.is.map(compare)];
  }
  if ('equals' in test) {
    return [
      low(arg),
      jump(JUMP_EQUAL, test.equals, 0, 'fail'),
      high(arg),
      jump(JUMP_EQUAL, upper(test.equals), 'pass', 'fail'),
    ];
  }
  if ('bits' in test) {
    return [
      low(arg),
      jump(JUMP_SET, ~test.bits, 'fail', 0),
      high(arg),
      jump(JUMP_SET, ~upper(test.bits), 'fail', 'pass'),
    ];
  }
  return [low(arg), jump(JUMP_SET, 0x80000000, 'fail', 0), jump(JUMP_EQUAL, 0, 'fail', 'pass')];
}

/** Allows when all tests hold, else runs on behind itself. */
function compileAlternative(tests: readonly ArgumentTest[]): Instruction[] {
  const compiled = tests.map(compileTest);
  // The return is the last: a failure jumps over it.
  const end = compiled.reduce((sum, test) => sum + test.length, 0) + 1;
  const code: Instruction[] = [];
  for (const test of compiled) {
    const passed = code.length + test.length;
    for (const each of test) {
      const from = code.length + 1;
      const resolve = (to: Distance) =>
        to === 'pass' ? passed - from : to === 'fail' ? end - from : to;
      code.push({ ...each, yes: resolve(each.yes), no: resolve(each.no) });
    }
  }
  return [...code, plain(RETURN, ALLOW)];
}

function compileRule(rule: SyscallRule): Instruction[] {
  if (rule.refuse !== undefined) return [plain(RETURN, ERRNO | rule.refuse)];
  if (rule.when === undefined) return [plain(RETURN, ALLOW)];
  return [...rule.when.flatMap(compileAlternative), plain(RETURN, KILL_PROCESS)];
}

/** Decides over the loaded number; the rules are in its order. */
function search(rules: readonly SyscallRule[]): Instruction[] {
  const [rule] = rules;
  if (rule === undefined) return [plain(RETURN, KILL_PROCESS)];
  if (rules.length === 1) {
    return [jump(JUMP_EQUAL, rule.nr, 1, 0), plain(RETURN, KILL_PROCESS), ...compileRule(rule)];
  }
  const middle = rules.length >> 1;
  const below = search(rules.slice(0, middle));
  const above = search(rules.slice(middle));
  const pivot = rules[middle] as SyscallRule;
  return [jump(JUMP_GREATER_EQUAL, pivot.nr, 0, 1), plain(JUMP, below.length), ...below, ...above];
}

/** The program: struct sock_filter[], 8 bytes each. */
export function compileFilter(rules: readonly SyscallRule[]): Uint8Array {
  const ordered = [...rules].sort((a, b) => a.nr - b.nr);
  const code = [
    plain(LOAD, ARCHITECTURE),
    jump(JUMP_EQUAL, AUDIT_ARCH_X86_64, 1, 0),
    plain(RETURN, KILL_PROCESS),
    plain(LOAD, NUMBER),
    jump(JUMP_GREATER_EQUAL, X32_NUMBERS, 0, 1),
    plain(RETURN, KILL_PROCESS),
    ...search(ordered),
  ];
  const program = new Uint8Array(code.length * 8);
  const view = new DataView(program.buffer);
  code.forEach(({ code, yes, no, k }, i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, yes as number);
    view.setUint8(i * 8 + 3, no as number);
    view.setUint32(i * 8 + 4, k >>> 0, true);
  });
  return program;
}

/** Confines every thread of this process for good: 0 or -errno. Needs no_new_privs. */
export function installFilter(program: Uint8Array): number {
  const count = program.length / 8;
  if (count > MAX_INSTRUCTIONS) return -EINVAL;
  setResult64(0, count);
  setResult64(8, addressOf(program));
  const flags = FLAG_TSYNC | FLAG_SPEC_ALLOW;
  const status = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, result.address);
  // A positive one is the thread that has a filter of its own.
  return status > 0 ? -EINVAL : status;
}
