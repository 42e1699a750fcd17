/** Processors as sysfs writes them. */
import { expect, test } from 'vitest';
import { cpuList, cpuMask } from './cpu_tree.ts';

test('lists', () => {
  expect(cpuList(1)).toBe('0');
  expect(cpuList(8)).toBe('0-7');
});

test('masks have as many digits as there are processors', () => {
  expect(cpuMask([0], 2)).toBe('1');
  expect(cpuMask([0, 1, 2, 3, 4], 8)).toBe('1f');
  expect(cpuMask([33], 40)).toBe('02,00000000');
  expect(cpuMask([31], 32)).toBe('80000000');
});
