/**
 * Editing the line that is being typed, and its echo: VERASE, VKILL, VWERASE, VREPRINT (termios(3)). What is
 * erased in the buffer is erased on the screen too, be it a tab, ^X or a character of several bytes.
 */
import {
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ECHOPRT,
  IUTF8,
  VERASE,
  VKILL,
} from '../../../spec/linux/termios.ts';
import type { InputBuffer } from './input_buffer.ts';
import { isControl, type OutputProcessor } from './output_processor.ts';
import type { Termios } from './termios.ts';

const BACKSPACE = 8;
const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;
const SLASH = 47;
const CARET = 94;
const BACKSLASH = 92;
const UNDERSCORE = 95;

type EraseKind = 'character' | 'word' | 'line';

function isWordCharacter(c: number): boolean {
  const letter = c | 0x20;
  return (c >= 48 && c <= 57) || (letter >= 97 && letter <= 122) || c === UNDERSCORE;
}

export class LineEditor {
  private readonly input: InputBuffer;
  private readonly output: OutputProcessor;
  private readonly termios: () => Termios;
  /** Column at which the line began. */
  private startColumn = 0;
  /** Between the backslash and the slash of ECHOPRT. */
  private erasing = false;

  constructor(input: InputBuffer, output: OutputProcessor, termios: () => Termios) {
    this.input = input;
    this.output = output;
    this.termios = termios;
  }

  private has(lflag: number): boolean {
    return (this.termios().lflag & lflag) !== 0;
  }

  private isContinuation(c: number): boolean {
    return (this.termios().iflag & IUTF8) !== 0 && (c & 0xc0) === 0x80;
  }

  /** A line ended. */
  reset(): void {
    this.erasing = false;
  }

  echo(c: number): void {
    this.finishErasing();
    if (this.input.head === this.input.canonHead) this.startColumn = this.output.column;
    this.output.echo(c);
  }

  /** The caret that stands under the cursor until the literal character comes. */
  echoLiteralNext(): void {
    this.finishErasing();
    if (!this.has(ECHOCTL)) return;
    this.output.echoRaw(CARET);
    this.output.echoRaw(BACKSPACE);
  }

  reprint(c: number): void {
    this.finishErasing();
    this.output.echo(c);
    this.output.echoRaw(NEWLINE);
    for (let i = this.input.canonHead; i < this.input.head; i++) this.output.echo(this.input.at(i));
  }

  erase(): void {
    this.eraseBack('character');
  }

  eraseWord(): void {
    this.eraseBack('word');
  }

  kill(): void {
    const { input } = this;
    if (input.head === input.canonHead) return;
    if (this.has(ECHO) && this.has(ECHOK) && this.has(ECHOKE) && this.has(ECHOE)) {
      this.eraseBack('line');
      return;
    }
    input.head = input.canonHead;
    if (!this.has(ECHO)) return;
    this.finishErasing();
    this.output.echo(this.termios().cc[VKILL] ?? 0);
    if (this.has(ECHOK)) this.output.echoRaw(NEWLINE);
  }

  private eraseBack(kind: EraseKind): void {
    const { input } = this;
    let seenWord = false;
    while (input.head !== input.canonHead) {
      let at = input.head;
      do at--;
      while (this.isContinuation(input.at(at)) && at !== input.canonHead);
      const c = input.at(at);
      // The start of this character was read already: it stays.
      if (this.isContinuation(c)) break;
      if (kind === 'word') {
        if (isWordCharacter(c)) seenWord = true;
        else if (seenWord) break;
      }
      const bytes = input.head - at;
      input.head = at;
      if (this.has(ECHO)) this.showErased(c, at, bytes, kind);
      if (kind === 'character') break;
    }
    if (input.head === input.canonHead && this.has(ECHO)) this.finishErasing();
  }

  private showErased(c: number, at: number, bytes: number, kind: EraseKind): void {
    const { output } = this;
    if (this.has(ECHOPRT)) {
      if (!this.erasing) output.echoRaw(BACKSLASH);
      this.erasing = true;
      output.echo(c);
      for (let i = 1; i < bytes; i++) output.echoRaw(this.input.at(at + i));
    } else if (kind === 'character' && !this.has(ECHOE)) {
      output.echo(this.termios().cc[VERASE] ?? 0);
    } else if (c === TAB) {
      this.eraseTab();
    } else if (!isControl(c)) {
      this.rubOut();
    } else if (this.has(ECHOCTL)) {
      this.rubOut();
      this.rubOut();
    }
  }

  private rubOut(): void {
    this.output.echoRaw(BACKSPACE);
    this.output.echoRaw(SPACE);
    this.output.echoRaw(BACKSPACE);
  }

  /** Goes back to where the tab began, which what stands before it tells. */
  private eraseTab(): void {
    const { input } = this;
    let columns = 0;
    let afterTab = false;
    for (let i = input.head; i !== input.canonHead && !afterTab; ) {
      const c = input.at(--i);
      if (c === TAB) afterTab = true;
      else if (isControl(c)) columns += this.has(ECHOCTL) ? 2 : 0;
      else if (!this.isContinuation(c)) columns++;
    }
    if (!afterTab) columns += this.startColumn;
    for (let i = 8 - (columns & 7); i > 0; i--) this.output.echoRaw(BACKSPACE);
  }

  private finishErasing(): void {
    if (!this.erasing) return;
    this.erasing = false;
    this.output.echoRaw(SLASH);
  }
}
