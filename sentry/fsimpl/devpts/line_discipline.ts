/**
 * The line discipline between a terminal and its programs: Linux's n_tty (termios(3)). Takes what is typed,
 * echoes and edits it; gives programs lines or bytes; processes what they write. Knows nothing of files,
 * tasks and waiting.
 */
import { SIGINT, SIGQUIT, SIGTSTP } from '../../../spec/linux/signal.ts';
import {
  ECHO,
  ECHONL,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNCR,
  INLCR,
  ISIG,
  ISTRIP,
  IUCLC,
  IXANY,
  IXON,
  NOFLSH,
  PARMRK,
  VEOF,
  VEOL,
  VEOL2,
  VERASE,
  VINTR,
  VKILL,
  VLNEXT,
  VMIN,
  VQUIT,
  VREPRINT,
  VSTART,
  VSTOP,
  VSUSP,
  VTIME,
  VWERASE,
} from '../../../spec/linux/termios.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import { INPUT_SIZE, InputBuffer } from './input_buffer.ts';
import { LineEditor } from './line_editor.ts';
import { OutputProcessor } from './output_processor.ts';
import { DEFAULT_TERMIOS, type Termios } from './termios.ts';

const NEWLINE = 10;
const RETURN = 13;

/** What the line discipline asks of the terminal it is in. */
export interface LineHost {
  /** For the foreground process group. */
  signal(signo: number): void;
  /** There is something to read that was not there before. */
  inputReady(): void;
  /** The output queue or its being stopped changed. */
  outputChanged(): void;
  /** Input or output was thrown away, as a signal or tcflush(3) does. */
  flushed(input: boolean, output: boolean): void;
}

export class LineDiscipline {
  termios: Termios = DEFAULT_TERMIOS;
  readonly input = new InputBuffer();
  readonly output: OutputProcessor;
  private readonly editor: LineEditor;
  private readonly host: LineHost;
  /** VLNEXT was typed: the next character is taken as it is. */
  private literalNext = false;

  constructor(host: LineHost) {
    this.host = host;
    this.output = new OutputProcessor(
      () => this.termios,
      () => host.outputChanged(),
    );
    this.editor = new LineEditor(this.input, this.output, () => this.termios);
  }

  private has(lflag: number): boolean {
    return (this.termios.lflag & lflag) !== 0;
  }
  private hasInput(iflag: number): boolean {
    return (this.termios.iflag & iflag) !== 0;
  }
  /** Whether `c` is the control character at `index`, which 0 switches off. */
  private is(c: number, index: number): boolean {
    return c !== 0 && this.termios.cc[index] === c;
  }

  // Reading ----------------------------------------------------------------------------------

  /** Bytes that read(2) could take now, and in canonical mode perhaps an end of file. */
  get readable(): boolean {
    return this.has(ICANON) ? this.input.hasLine : this.input.used > 0;
  }

  /** Whether poll(2) says so: in raw mode VMIN counts, unless VTIME limits the wait. */
  get pollReadable(): boolean {
    if (this.has(ICANON)) return this.input.hasLine;
    const minimum = this.termios.cc[VTIME] !== 0 ? 1 : Math.max(1, this.minimum);
    return this.input.used >= Math.min(minimum, INPUT_SIZE - 1);
  }

  get minimum(): number {
    return this.termios.cc[VMIN] ?? 1;
  }
  /** Tenths of a second. */
  get timeout(): number {
    return this.termios.cc[VTIME] ?? 0;
  }
  get canonical(): boolean {
    return this.has(ICANON);
  }

  /** Takes one line, or in raw mode all that fits. */
  read(dst: IoBuffer): number {
    return this.has(ICANON) ? this.input.takeLine(dst) : this.input.takeAll(dst);
  }

  /** FIONREAD. */
  get waiting(): number {
    return this.input.count(this.has(ICANON) ? this.input.canonHead : this.input.head);
  }

  // Modes ------------------------------------------------------------------------------------

  setTermios(next: Termios): void {
    const old = this.termios;
    this.termios = next;
    if (((old.lflag ^ next.lflag) & ICANON) !== 0) {
      this.input.completeLine();
      this.literalNext = false;
      if (this.readable) this.host.inputReady();
    }
    if ((old.iflag & IXON) !== 0 && (next.iflag & IXON) === 0) this.output.start();
  }

  flushInput(): void {
    this.input.clear();
    this.editor.reset();
    this.literalNext = false;
    this.host.flushed(true, false);
  }

  flushOutput(): void {
    this.output.settle();
    this.discardOutput();
  }

  private discardOutput(): void {
    this.output.discard();
    this.host.flushed(false, true);
  }

  // What is typed ----------------------------------------------------------------------------

  /** Takes bytes[start, end) as typed; how many it took before its buffer was full. */
  receive(bytes: Uint8Array, start: number, end: number): number {
    this.output.settle();
    const wasReadable = this.pollReadable;
    const usedBefore = this.input.head;
    let at = start;
    for (; at < end; at++) {
      if (this.input.room <= 1 && !this.makeRoom()) break;
      this.receiveByte(bytes[at] as number);
    }
    const grew = this.input.head !== usedBefore;
    if (this.pollReadable && (grew || !wasReadable)) this.host.inputReady();
    return at - start;
  }

  /** A line longer than the buffer loses its last byte again and again, so that it can still end. */
  private makeRoom(): boolean {
    const { input } = this;
    if (!this.has(ICANON) || input.hasLine) return false;
    if (input.room === 0) input.head--;
    return true;
  }

  private receiveByte(byte: number): void {
    let c = byte;
    if (this.hasInput(ISTRIP)) c &= 0x7f;
    if (this.hasInput(IUCLC) && this.has(IEXTEN) && c >= 65 && c <= 90) c += 32;
    if (this.literalNext) {
      this.literalNext = false;
      this.ordinary(c);
      return;
    }
    if (this.hasInput(IXON) && this.flowControl(c)) return;
    if (this.has(ISIG) && this.signalCharacter(c)) return;
    if (this.output.stopped && this.hasInput(IXON) && this.hasInput(IXANY)) this.output.start();
    if (c === RETURN) {
      if (this.hasInput(IGNCR)) return;
      if (this.hasInput(ICRNL)) c = NEWLINE;
    } else if (c === NEWLINE && this.hasInput(INLCR)) {
      c = RETURN;
    }
    if (this.has(ICANON) && this.canonicalCharacter(c)) return;
    this.ordinary(c);
  }

  private flowControl(c: number): boolean {
    if (this.is(c, VSTART)) {
      this.output.start();
      return true;
    }
    if (!this.is(c, VSTOP)) return false;
    this.output.stop();
    return true;
  }

  private signalCharacter(c: number): boolean {
    let signo = 0;
    if (this.is(c, VINTR)) signo = SIGINT;
    else if (this.is(c, VQUIT)) signo = SIGQUIT;
    else if (this.is(c, VSUSP)) signo = SIGTSTP;
    if (signo === 0) return false;
    if (!this.has(NOFLSH)) {
      this.flushInput();
      this.discardOutput();
    }
    this.host.signal(signo);
    if (this.hasInput(IXON)) this.output.start();
    if (this.has(ECHO)) this.output.echo(c);
    return true;
  }

  /** Characters with a meaning in canonical mode; false for all others. */
  private canonicalCharacter(c: number): boolean {
    const extended = this.has(IEXTEN);
    if (this.is(c, VERASE)) this.editor.erase();
    else if (this.is(c, VKILL)) this.editor.kill();
    else if (extended && this.is(c, VWERASE)) this.editor.eraseWord();
    else if (extended && this.is(c, VLNEXT)) {
      this.literalNext = true;
      if (this.has(ECHO)) this.editor.echoLiteralNext();
    } else if (extended && this.has(ECHO) && this.is(c, VREPRINT)) this.editor.reprint(c);
    else if (c === NEWLINE) {
      if (this.has(ECHO) || this.has(ECHONL)) this.output.echoRaw(NEWLINE);
      this.lineEnd(c);
    } else if (this.is(c, VEOF)) {
      this.input.putEndOfFile();
      this.editor.reset();
    } else if (this.is(c, VEOL) || (extended && this.is(c, VEOL2))) {
      if (this.has(ECHO)) this.editor.echo(c);
      this.lineEnd(c);
    } else return false;
    return true;
  }

  private lineEnd(c: number): void {
    this.input.putLineEnd(c);
    this.editor.reset();
  }

  private ordinary(c: number): void {
    if (this.has(ECHO)) {
      if (c === NEWLINE) this.output.echoRaw(c);
      else this.editor.echo(c);
    }
    // With PARMRK a byte of all ones is doubled, to tell it from the mark of an error.
    if (c === 0xff && this.hasInput(PARMRK) && this.input.room > 1) this.input.put(c);
    this.input.put(c);
  }
}
