/** Tests of the ways to write a signal. */

import { expect, it } from 'vitest';
import { signalNumber } from './signal_number.ts';

it.each([
  ['9', 9],
  ['TERM', 15],
  ['sigkill', 9],
  ['SIGRTMIN', 34],
  ['RTMIN+3', 37],
  ['RTMAX-1', 63],
  ['64', 64],
])('%s is %d', (written, signo) => {
  expect(signalNumber(written)).toBe(signo);
});

it.each(['0', '65', 'NOPE', 'SIG', '_BLOCK', 'RTMIN+99', ''])('%j is none', (written) => {
  expect(() => signalNumber(written)).toThrow('unknown signal');
});
