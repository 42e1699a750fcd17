/** Signal sets, pending order, siginfo as bytes. */
import { describe, expect, test } from 'vitest';
import { getS32, getU32, getU64 } from '../../spec/linux/little_endian.ts';
import {
  CLD_EXITED,
  SEGV_MAPERR,
  SI_QUEUE,
  SI_TIMER,
  SI_USER,
  SIG_DFL,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SIGTERM,
} from '../../spec/linux/signal.ts';
import { encodeSigInfo, encodeSignalfdSigInfo, sigInfoKind } from './siginfo.ts';
import { DEFAULT_ACTION, PendingSignals, SignalHandlers } from './signal.ts';
import { SignalSet } from './signal_set.ts';

const NONE = new SignalSet();

describe('SignalSet', () => {
  test('holds 1 to 64 in two halves', () => {
    const set = SignalSet.of(1, 32, 33, 64);
    expect([set.lo, set.hi]).toEqual([0x80000001, 0x80000001]);
    for (let s = 1; s <= 64; s++) expect(set.has(s)).toBe([1, 32, 33, 64].includes(s));
    set.delete(64);
    expect(set.has(64)).toBe(false);
    expect(set.anyOutside(SignalSet.of(1, 32))).toBe(true);
    expect(set.anyOutside(SignalSet.of(1, 32, 33))).toBe(false);
  });
});

describe('PendingSignals', () => {
  test('standard signals are kept once, real-time ones in order', () => {
    const pending = new PendingSignals();
    expect(pending.add({ signo: SIGTERM, code: SI_USER, pid: 1 })).toBe(true);
    expect(pending.add({ signo: SIGTERM, code: SI_USER, pid: 2 })).toBe(false);
    for (const valueLo of [1, 2, 3]) pending.add({ signo: 40, code: SI_QUEUE, valueLo });
    pending.add({ signo: 34, code: SI_QUEUE });
    pending.add({ signo: SIGHUP, code: SI_USER });
    const order: (number | undefined)[][] = [];
    for (let i = pending.dequeue(NONE); i !== null; i = pending.dequeue(NONE)) {
      order.push([i.signo, i.valueLo]);
    }
    expect(order).toEqual([
      [SIGHUP, undefined],
      [SIGTERM, undefined],
      [34, undefined],
      [40, 1],
      [40, 2],
      [40, 3],
    ]);
    expect(pending.set.empty).toBe(true);
  });

  test('a mask holds signals back; discarding forgets all of a kind', () => {
    const pending = new PendingSignals();
    const info = { signo: 40, code: SI_QUEUE };
    pending.add(info);
    pending.add({ signo: 40, code: SI_QUEUE });
    expect(pending.dequeue(SignalSet.of(40))).toBe(null);
    expect(pending.holds(info)).toBe(true);
    pending.discard(SignalSet.of(40));
    expect(pending.holds(info)).toBe(false);
    expect(pending.length).toBe(0);
  });
});

test('what is ignored, and what execve resets', () => {
  const handlers = new SignalHandlers();
  expect([SIGCHLD, SIGCONT].every((s) => handlers.ignores(s))).toBe(true);
  expect([SIGTERM, SIGKILL, SIGSTOP].some((s) => handlers.ignores(s))).toBe(false);
  handlers.set(SIGTERM, { ...DEFAULT_ACTION, handler: SIG_IGN, flags: 4 });
  handlers.set(SIGHUP, { ...DEFAULT_ACTION, handler: 0x400000 });
  handlers.resetForExec();
  expect(handlers.get(SIGTERM).handler).toBe(SIG_IGN);
  expect(handlers.get(SIGHUP).handler).toBe(SIG_DFL);
});

describe('siginfo', () => {
  test('kill, queue, timer, child and fault fill different arms', () => {
    const kill = encodeSigInfo({ signo: SIGTERM, code: SI_USER, pid: 7, uid: 8 });
    expect([getS32(kill, 0), getS32(kill, 8), getS32(kill, 16), getU32(kill, 20)]).toEqual([
      15, 0, 7, 8,
    ]);
    const queued = encodeSigInfo({ signo: 34, code: SI_QUEUE, pid: 7, valueLo: 5, valueHi: 6 });
    expect([getU32(queued, 24), getU32(queued, 28)]).toEqual([5, 6]);
    const timer = encodeSigInfo({ signo: 14, code: SI_TIMER, timerId: 3, overrun: 9, valueLo: 1 });
    expect([getS32(timer, 16), getS32(timer, 20), getU32(timer, 24)]).toEqual([3, 9, 1]);
    const child = { signo: SIGCHLD, code: CLD_EXITED, pid: 9, status: 4, utime: 5 };
    expect(getS32(encodeSigInfo(child), 24)).toBe(4);
    const fault = { signo: SIGSEGV, code: SEGV_MAPERR, address: 0x7fff12345678 };
    expect(sigInfoKind(fault)).toBe('fault');
    expect(getU64(encodeSigInfo(fault), 16)).toBe(0x7fff12345678);
    expect(sigInfoKind({ signo: SIGSEGV, code: SI_USER, pid: 1 })).toBe('kill');
  });

  test('signalfd shows the same in its own order', () => {
    const child = { signo: SIGCHLD, code: CLD_EXITED, pid: 9, uid: 2, status: 4 };
    const bytes = encodeSignalfdSigInfo(child);
    expect(bytes.length).toBe(128);
    expect([getU32(bytes, 0), getU32(bytes, 12), getU32(bytes, 16), getS32(bytes, 40)]).toEqual([
      SIGCHLD,
      9,
      2,
      4,
    ]);
  });
});
