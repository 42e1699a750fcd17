/** A signal as the user writes it: 9, KILL, SIGKILL, RTMIN+3. */

import * as signal from '../../spec/linux/signal.ts';
import { Failure } from '../cli/failure.ts';

const LAST_SIGNAL = 64;

export function signalNumber(written: string): number {
  if (/^\d{1,3}$/.test(written)) {
    const signo = Number(written);
    if (signo >= 1 && signo <= LAST_SIGNAL) return signo;
    throw new Failure(`unknown signal ${written}: use 1 to ${LAST_SIGNAL} or a name such as TERM`);
  }
  const name = written.toUpperCase().replace(/^SIG/, '');
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime !== null) {
    const base = realTime[1] === 'MIN' ? FIRST_REAL_TIME : LAST_SIGNAL;
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === '-' ? -1 : 1);
    const signo = base + offset;
    if (signo >= FIRST_REAL_TIME && signo <= LAST_SIGNAL) return signo;
  }
  const known: Readonly<Record<string, unknown>> = signal;
  const signo = /^[A-Z0-9]+$/.test(name) ? known[`SIG${name}`] : undefined;
  if (typeof signo === 'number' && signo >= 1 && signo < FIRST_REAL_TIME) return signo;
  throw new Failure(`unknown signal "${written}": use 1 to ${LAST_SIGNAL} or a name such as TERM`);
}

/** glibc's SIGRTMIN: the first two are the C library's own. */
const FIRST_REAL_TIME = 34;
