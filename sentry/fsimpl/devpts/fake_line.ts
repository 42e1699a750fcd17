/** For tests: a terminal line without files, and short names for what is done with it. */
import { byteStringBytes, decodeByteString } from '../../base/byte_string.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import { LineDiscipline } from './line_discipline.ts';
import { DEFAULT_TERMIOS, type Termios } from './termios.ts';

export class FakeLine {
  readonly signals: number[] = [];
  readonly flushes: string[] = [];
  readonly discipline = new LineDiscipline({
    signal: (signo) => this.signals.push(signo),
    inputReady: () => undefined,
    outputChanged: () => undefined,
    flushed: (input, output) => this.flushes.push(`${input ? 'i' : ''}${output ? 'o' : ''}`),
  });

  constructor(changes: Partial<Termios> = {}) {
    this.discipline.setTermios({ ...DEFAULT_TERMIOS, ...changes });
  }

  set(changes: Partial<Termios>): void {
    this.discipline.setTermios({ ...this.discipline.termios, ...changes });
  }

  type(text: string): number {
    const bytes = byteStringBytes(text);
    return this.discipline.receive(bytes, 0, bytes.length);
  }

  /** What the screen shows since the last call. */
  screen(): string {
    const bytes = new Uint8Array(70000);
    const n = this.discipline.output.queue.drain(IoBuffer.over(bytes));
    this.discipline.output.drained();
    return decodeByteString(bytes, 0, n);
  }

  read(size = 5000): string {
    const bytes = new Uint8Array(size);
    return decodeByteString(bytes, 0, this.discipline.read(IoBuffer.over(bytes)));
  }

  write(text: string): number {
    return this.discipline.output.write(IoBuffer.over(byteStringBytes(text)));
  }
}

export function without(flags: number): Partial<Termios> {
  return { lflag: DEFAULT_TERMIOS.lflag & ~flags };
}

export function characters(changes: Readonly<Record<number, number>>): Partial<Termios> {
  const cc = Uint8Array.from(DEFAULT_TERMIOS.cc);
  for (const [index, c] of Object.entries(changes)) cc[Number(index)] = c;
  return { cc };
}
