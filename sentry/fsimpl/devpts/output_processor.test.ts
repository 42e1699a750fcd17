/** What programs write and how it is held back, on its way through the line discipline. */
import { describe, expect, test } from 'vitest';
import * as tty from '../../../spec/linux/termios.ts';
import { FakeLine } from './fake_line.ts';
import { DEFAULT_TERMIOS } from './termios.ts';

describe('flow control', () => {
  test('stop and start are not read, and hold back output', () => {
    const line = new FakeLine();
    line.type('\x13');
    expect(line.write('abc')).toBe(0);
    line.type('\x11');
    expect(line.write('abc')).toBe(3);
    expect(line.screen()).toBe('abc');
    expect(line.discipline.readable).toBe(false);
  });

  test('any character starts with IXANY', () => {
    const line = new FakeLine({ iflag: DEFAULT_TERMIOS.iflag | tty.IXANY });
    line.type('\x13a');
    expect(line.discipline.output.stopped).toBe(false);
  });

  test('switching IXON off starts', () => {
    const line = new FakeLine();
    line.type('\x13');
    line.set({ iflag: 0 });
    expect(line.discipline.output.stopped).toBe(false);
  });
});

describe('output', () => {
  test('newline becomes return and newline', () => {
    const line = new FakeLine();
    line.write('a\nb\n');
    expect(line.screen()).toBe('a\r\nb\r\n');
    line.set({ oflag: 0 });
    line.write('a\n');
    expect(line.screen()).toBe('a\n');
  });

  test('tabs become blanks with XTABS', () => {
    const line = new FakeLine({ oflag: tty.OPOST | tty.XTABS });
    line.write('ab\tc\t');
    expect(line.screen()).toBe('ab      c       ');
  });

  test('OCRNL, ONOCR, OLCUC', () => {
    const line = new FakeLine({ oflag: tty.OPOST | tty.OCRNL });
    line.write('a\r');
    expect(line.screen()).toBe('a\n');
    const other = new FakeLine({ oflag: tty.OPOST | tty.ONOCR | tty.OLCUC });
    other.write('\rab\r');
    expect(other.screen()).toBe('AB\r');
  });

  test('takes what fits and goes on when the reader made room', () => {
    const line = new FakeLine();
    const text = 'x\n'.repeat(40000);
    const first = line.write(text);
    expect(first).toBeLessThan(text.length);
    expect(line.write('more')).toBe(0);
    expect(line.screen().length).toBeGreaterThan(60000);
    expect(line.write('more')).toBe(4);
  });

  test('FIONREAD counts bytes, not ends of file', () => {
    const line = new FakeLine();
    line.type('ab\ncd');
    expect(line.discipline.waiting).toBe(3);
    line.type('\x04');
    expect(line.discipline.waiting).toBe(5);
  });
});
