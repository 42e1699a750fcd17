/** What the fuzzer can be let loose on. */
export interface Target {
  readonly name: string;
  /** Valid inputs to start from. */
  seeds(): Uint8Array[];
  /** Byte strings that mean something to it. */
  readonly tokens: readonly string[];
  /** Handles one input. An exception is a finding. */
  run(input: Uint8Array): void;
  /** What must hold at any time between runs: throws when it does not. */
  check(): void;
  close(): void;
}

/** Reads an input as a sequence of choices; nothing but zeros behind its end. */
export class Choices {
  private at = 0;
  private readonly input: Uint8Array;

  constructor(input: Uint8Array) {
    this.input = input;
  }

  get ended(): boolean {
    return this.at >= this.input.length;
  }

  u8(): number {
    return this.input[this.at++] ?? 0;
  }

  u16(): number {
    return this.u8() + this.u8() * 256;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.u8() % from.length] as T;
  }

  bytes(length: number): Uint8Array {
    const taken = this.input.slice(this.at, this.at + length);
    this.at += length;
    return taken;
  }
}

/** Descriptors of this process. */
export function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}
