/**
 * The line discipline as a pure machine: what is typed, echoed and read. The expectations are those of
 * Linux's n_tty.
 */
import { describe, expect, test } from 'vitest';
import { SIGINT, SIGQUIT, SIGTSTP } from '../../../spec/linux/signal.ts';
import * as tty from '../../../spec/linux/termios.ts';
import { characters, FakeLine, without } from './fake_line.ts';
import { DEFAULT_TERMIOS, type Termios } from './termios.ts';

describe('canonical input', () => {
  test('a line can be read when it ends', () => {
    const line = new FakeLine();
    line.type('hel');
    expect(line.discipline.readable).toBe(false);
    line.type('lo\n');
    expect(line.discipline.readable).toBe(true);
    expect(line.read()).toBe('hello\n');
    expect(line.discipline.readable).toBe(false);
  });

  test('one read takes at most one line, and a long line in pieces', () => {
    const line = new FakeLine();
    line.type('one\ntwo\n');
    expect(line.read()).toBe('one\n');
    expect(line.read(2)).toBe('tw');
    expect(line.read(2)).toBe('o\n');
  });

  test('return becomes newline, or nothing, as the modes say', () => {
    const line = new FakeLine();
    line.type('a\r');
    expect(line.read()).toBe('a\n');
    line.set({ iflag: tty.IGNCR });
    line.type('b\rc\n');
    expect(line.read()).toBe('bc\n');
    line.set({ iflag: tty.INLCR });
    line.type('d\n');
    expect(line.discipline.readable).toBe(false);
  });

  test('end of file gives what was typed, then nothing', () => {
    const line = new FakeLine();
    line.type('abc\x04');
    expect(line.read()).toBe('abc');
    line.type('\x04');
    expect(line.discipline.readable).toBe(true);
    expect(line.read()).toBe('');
    expect(line.discipline.readable).toBe(false);
  });

  test('end of file behind a read that is just full makes no empty read', () => {
    const line = new FakeLine();
    line.type('abc\x04');
    expect(line.read(3)).toBe('abc');
    expect(line.discipline.readable).toBe(false);
  });

  test('other line ends', () => {
    const line = new FakeLine(characters({ [tty.VEOL]: 59, [tty.VEOL2]: 46 }));
    line.type('a;b.c\n');
    expect([line.read(), line.read(), line.read()]).toEqual(['a;', 'b.', 'c\n']);
  });

  test('the next character as it is', () => {
    const line = new FakeLine();
    line.type('a\x16\x03b\n');
    expect(line.signals).toEqual([]);
    expect(line.read()).toBe('a\x03b\n');
  });

  test('a line that is too long keeps its end', () => {
    const line = new FakeLine(without(tty.ECHO));
    expect(line.type('x'.repeat(5000))).toBe(5000);
    expect(line.discipline.readable).toBe(false);
    line.type('\n');
    const text = line.read();
    expect(text.length).toBe(4096);
    expect(text.endsWith('x\n')).toBe(true);
  });

  test('whole lines that nobody reads hold up what is typed', () => {
    const line = new FakeLine(without(tty.ECHO));
    const taken = line.type('y\n'.repeat(3000));
    expect(taken).toBeLessThan(6000);
    expect(line.read()).toBe('y\n');
    expect(line.type('z')).toBe(1);
  });

  test('characters that are switched off do nothing', () => {
    const line = new FakeLine(characters({ [tty.VINTR]: 0, [tty.VEOF]: 0 }));
    line.type('\0\x03\x04\n');
    expect(line.signals).toEqual([]);
    expect(line.read()).toBe('\0\x03\x04\n');
  });
});

describe('editing', () => {
  test('erase takes a character back, on the screen too', () => {
    const line = new FakeLine();
    line.type('ab\x7f\x7f\x7fc\n');
    expect(line.screen()).toBe('ab\b \b\b \bc\r\n');
    expect(line.read()).toBe('c\n');
  });

  test('control characters take two columns', () => {
    const line = new FakeLine();
    line.type('\x01\x7f');
    expect(line.screen()).toBe('^A\b \b\b \b');
  });

  test('a tab is erased back to where it began', () => {
    const line = new FakeLine();
    line.write('$ ');
    line.screen();
    line.type('ab\t');
    expect(line.screen()).toBe('ab\t');
    line.type('\x7f');
    expect(line.screen()).toBe('\b\b\b\b');
  });

  test('a word with the blanks behind it', () => {
    const line = new FakeLine();
    line.type('one two  \x17');
    expect(line.screen()).toBe(`one two  ${'\b \b'.repeat(5)}`);
    line.type('\n');
    expect(line.read()).toBe('one \n');
  });

  test('the whole line, erased or marked', () => {
    const line = new FakeLine();
    line.type('abc\x15');
    expect(line.screen()).toBe(`abc${'\b \b'.repeat(3)}`);
    line.set(without(tty.ECHOKE));
    line.type('abc\x15');
    expect(line.screen()).toBe('abc^U\r\n');
    line.type('d\n');
    expect(line.read()).toBe('d\n');
  });

  test('a character of several bytes is erased as one', () => {
    const line = new FakeLine({ iflag: DEFAULT_TERMIOS.iflag | tty.IUTF8 });
    line.type('a\xc3\xa9\x7f');
    expect(line.screen()).toBe('a\xc3\xa9\b \b');
    line.type('\n');
    expect(line.read()).toBe('a\n');
  });

  test('the printing terminal shows what it erases', () => {
    const line = new FakeLine({ lflag: DEFAULT_TERMIOS.lflag | tty.ECHOPRT });
    line.type('ab\x7f\x7fc');
    expect(line.screen()).toBe('ab\\ba/c');
  });

  test('without ECHOE the erase character itself is shown', () => {
    const line = new FakeLine(without(tty.ECHOE));
    line.type('a\x7f');
    expect(line.screen()).toBe('a^?');
  });

  test('reprint', () => {
    const line = new FakeLine();
    line.type('ab\x12c\n');
    expect(line.screen()).toBe('ab^R\r\nabc\r\n');
    expect(line.read()).toBe('abc\n');
  });

  test('lines that were finished are not edited', () => {
    const line = new FakeLine();
    line.type('a\n\x7f\x15\x17b\n');
    expect(line.read()).toBe('a\n');
    expect(line.read()).toBe('b\n');
  });
});

describe('echo', () => {
  test('control characters are spelled, tab and newline are not', () => {
    const line = new FakeLine();
    line.type('\x01\t\x1b\n');
    expect(line.screen()).toBe('^A\t^[\r\n');
  });

  test('nothing without ECHO, but the newline with ECHONL', () => {
    const line = new FakeLine(without(tty.ECHO));
    line.type('secret\n');
    expect(line.screen()).toBe('');
    line.set({ lflag: line.discipline.termios.lflag | tty.ECHONL });
    line.type('secret\n');
    expect(line.screen()).toBe('\r\n');
  });

  test('the caret under the cursor while a literal character is awaited', () => {
    const line = new FakeLine();
    line.type('\x16');
    expect(line.screen()).toBe('^\b');
  });

  test('waits while output is stopped', () => {
    const line = new FakeLine();
    line.type('\x13ab');
    expect(line.screen()).toBe('');
    line.type('\x11');
    expect(line.screen()).toBe('ab');
  });
});

describe('signals', () => {
  test('interrupt, quit and suspend, with what was typed thrown away', () => {
    const line = new FakeLine();
    line.type('abc\x03');
    expect(line.signals).toEqual([SIGINT]);
    expect(line.screen()).toBe('^C');
    line.type('\x1c\x1ad\n');
    expect(line.signals).toEqual([SIGINT, SIGQUIT, SIGTSTP]);
    expect(line.read()).toBe('d\n');
    expect(line.flushes).toContain('i');
    expect(line.flushes).toContain('o');
  });

  test('output is thrown away but for what its reader has as good as got', () => {
    const line = new FakeLine();
    line.write('x'.repeat(10000));
    line.type('\x03');
    expect(line.screen()).toBe(`${'x'.repeat(4095)}^C`);
  });

  test('NOFLSH keeps it', () => {
    const line = new FakeLine({ lflag: DEFAULT_TERMIOS.lflag | tty.NOFLSH });
    line.type('ab\x03c\n');
    expect(line.read()).toBe('abc\n');
  });

  test('without ISIG they are characters', () => {
    const line = new FakeLine(without(tty.ISIG));
    line.type('\x03\n');
    expect(line.signals).toEqual([]);
    expect(line.read()).toBe('\x03\n');
  });

  test('a signal starts output that was stopped', () => {
    const line = new FakeLine();
    line.type('\x13\x03');
    expect(line.discipline.output.stopped).toBe(false);
  });
});

describe('raw input', () => {
  const RAW: Partial<Termios> = { iflag: 0, oflag: 0, lflag: 0 };

  test('bytes can be read as they come', () => {
    const line = new FakeLine(RAW);
    line.type('a\r\x03\x04');
    expect(line.read()).toBe('a\r\x03\x04');
    expect(line.screen()).toBe('');
  });

  test('VMIN says when poll does', () => {
    const line = new FakeLine({ ...RAW, ...characters({ [tty.VMIN]: 3 }) });
    line.type('ab');
    expect(line.discipline.pollReadable).toBe(false);
    line.type('c');
    expect(line.discipline.pollReadable).toBe(true);
  });

  test('what was typed survives a change of modes', () => {
    const line = new FakeLine();
    line.type('abc');
    expect(line.discipline.readable).toBe(false);
    line.set(RAW);
    expect(line.discipline.readable).toBe(true);
    line.set({ lflag: tty.ICANON });
    expect(line.read()).toBe('abc');
  });

  test('a full buffer takes no more', () => {
    const line = new FakeLine(RAW);
    expect(line.type('x'.repeat(5000))).toBe(4095);
    expect(line.read().length).toBe(4095);
    expect(line.type('y')).toBe(1);
  });

  test('bytes of all ones are doubled with PARMRK', () => {
    const line = new FakeLine({ ...RAW, iflag: tty.PARMRK });
    line.type('\xff');
    expect(line.read()).toBe('\xff\xff');
  });

  test('ISTRIP and IUCLC', () => {
    const line = new FakeLine({ ...RAW, iflag: tty.ISTRIP | tty.IUCLC, lflag: tty.IEXTEN });
    line.type('\xc1B');
    expect(line.read()).toBe('ab');
  });
});
