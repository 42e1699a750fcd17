/**
 * The output side of the line discipline: what programs write and what is echoed, post-processed as
 * termios(3) c_oflag says, in the queue that the other end reads.
 */
import {
  ECHOCTL,
  IUTF8,
  OCRNL,
  OLCUC,
  ONLCR,
  ONLRET,
  ONOCR,
  OPOST,
  TABDLY,
  XTABS,
} from '../../../spec/linux/termios.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import { ByteQueue } from './byte_queue.ts';
import type { Termios } from './termios.ts';

const OUTPUT_BYTES = 65536;
/** Echo that waits while output is stopped or its queue is full; more is lost, as in Linux. */
const ECHO_BYTES = 4096;
/** Linux's buffer of the other end, which a flush of output does not reach. */
const READER_BYTES = 4095;
/** The most that one byte becomes: a tab of spaces. */
const MOST_PER_BYTE = 8;

const BACKSPACE = 8;
const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
const CARET = 94;
const DELETE = 127;

export function isControl(c: number): boolean {
  return c < SPACE || c === DELETE;
}

export class OutputProcessor {
  readonly queue = new ByteQueue(OUTPUT_BYTES);
  stopped = false;
  private settled = 0;
  /** Where the cursor is, from 0. */
  column = 0;
  private readonly echoed = new ByteQueue(ECHO_BYTES);
  /** What is emitted goes behind the echo that waits. */
  private toEcho = false;
  private readonly termios: () => Termios;
  private readonly changed: () => void;

  constructor(termios: () => Termios, changed: () => void) {
    this.termios = termios;
    this.changed = changed;
  }

  // What programs write ----------------------------------------------------------------------

  get writable(): boolean {
    return !this.stopped && this.queue.room >= MOST_PER_BYTE && this.echoed.length === 0;
  }

  /** Takes what fits of `src`; how many bytes, 0 when it must wait. */
  write(src: IoBuffer): number {
    this.flushEcho();
    if (!this.writable) return 0;
    const { oflag } = this.termios();
    let total = 0;
    if ((oflag & OPOST) === 0) {
      total = this.queue.fill(src);
    } else {
      for (;;) {
        const span = this.queue.room >= MOST_PER_BYTE ? src.peek() : null;
        if (span === null) break;
        const n = this.process(span.bytes, span.start, span.start + span.length);
        src.advance(n);
        total += n;
      }
    }
    if (total > 0) this.changed();
    return total;
  }

  private process(bytes: Uint8Array, start: number, end: number): number {
    const { oflag } = this.termios();
    const plain = (oflag & OLCUC) === 0;
    let at = start;
    while (at < end && this.queue.room >= MOST_PER_BYTE) {
      let run = at;
      const limit = Math.min(end, at + this.queue.room);
      while (plain && run < limit && !isControl(bytes[run] as number)) run++;
      if (run > at) {
        this.queue.pushAll(bytes, at, run);
        this.advanceColumn(bytes, at, run);
        at = run;
      } else {
        this.processByte(bytes[at++] as number);
      }
    }
    return at - start;
  }

  private advanceColumn(bytes: Uint8Array, start: number, end: number): void {
    if ((this.termios().iflag & IUTF8) === 0) {
      this.column += end - start;
      return;
    }
    for (let i = start; i < end; i++) if (((bytes[i] as number) & 0xc0) !== 0x80) this.column++;
  }

  /** One byte through OPOST. */
  private processByte(byte: number): void {
    const { oflag, iflag } = this.termios();
    let c = byte;
    if (c === NEWLINE) {
      if ((oflag & ONLRET) !== 0) this.column = 0;
      if ((oflag & ONLCR) !== 0) {
        this.column = 0;
        this.emit(RETURN);
      }
    } else if (c === RETURN) {
      if ((oflag & ONOCR) !== 0 && this.column === 0) return;
      if ((oflag & OCRNL) !== 0) c = NEWLINE;
      if ((oflag & (OCRNL | ONLRET)) !== OCRNL) this.column = 0;
    } else if (c === TAB) {
      const spaces = 8 - (this.column & 7);
      this.column += spaces;
      if ((oflag & TABDLY) === XTABS) {
        for (let i = 0; i < spaces; i++) this.emit(SPACE);
        return;
      }
    } else if (c === BACKSPACE) {
      if (this.column > 0) this.column--;
    } else if (!isControl(c)) {
      if ((oflag & OLCUC) !== 0 && c >= 97 && c <= 122) c -= 32;
      if ((iflag & IUTF8) === 0 || (c & 0xc0) !== 0x80) this.column++;
    }
    this.emit(c);
  }

  // Echo -------------------------------------------------------------------------------------

  /** A typed character: control characters as ^X when ECHOCTL says so. */
  echo(c: number): void {
    if ((this.termios().lflag & ECHOCTL) !== 0 && isControl(c) && c !== TAB) {
      this.echoVerbatim(CARET);
      this.echoVerbatim(c ^ 0x40);
      this.column += 2;
    } else {
      this.echoRaw(c);
    }
  }

  /** Through output processing, without ^X. */
  echoRaw(c: number): void {
    this.flushEcho();
    this.toEcho = !this.writable;
    if ((this.termios().oflag & OPOST) !== 0) this.processByte(c);
    else this.emit(c);
    this.toEcho = false;
    this.changed();
  }

  private echoVerbatim(c: number): void {
    this.flushEcho();
    this.toEcho = !this.writable;
    this.emit(c);
    this.toEcho = false;
    this.changed();
  }

  private emit(c: number): void {
    if (this.toEcho) this.echoed.push(c);
    else this.queue.push(c);
  }

  private flushEcho(): void {
    if (this.stopped) return;
    while (this.echoed.length > 0) {
      const bytes = this.echoed.peek();
      const n = this.queue.pushAll(bytes, 0, bytes.length);
      if (n === 0) return;
      this.echoed.drop(n);
    }
  }

  // Flow -------------------------------------------------------------------------------------

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.changed();
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.flushEcho();
    this.changed();
  }

  /** What is in the queue by now has reached the other end's own buffer, as far as that has room. */
  settle(): void {
    this.settled = Math.min(this.queue.length, READER_BYTES);
  }

  /** What has not reached the other end yet is lost. */
  discard(): void {
    this.queue.truncate(this.settled);
    this.echoed.clear();
    this.changed();
  }

  /** The other end wants nothing of it. */
  clear(): void {
    this.queue.clear();
    this.echoed.clear();
    this.changed();
  }

  /** A character of flow control that the other end is to see (tcflow(3) TCIOFF, TCION). */
  send(c: number): void {
    if (c !== 0) this.echoVerbatim(c);
  }

  /** The other end made room. */
  drained(): void {
    this.settled = Math.min(this.settled, this.queue.length);
    this.flushEcho();
    this.changed();
  }
}
