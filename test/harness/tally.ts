/** Counts results, prints failures as they come, and remembers them for the end. */

import { KNOWN_DIFFERENCES } from '../known_differences.ts';
import { platformFlags } from './runtime.ts';

export class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly failures: string[] = [];
  readonly section: string;
  private readonly runtime: string | undefined;

  /** `runtime` is that under test, where there is a choice. */
  constructor(section: string, runtime?: string) {
    this.section = section;
    this.runtime = runtime;
  }

  /** What comes before the name of a test. */
  private get where(): string {
    return this.runtime === undefined ? this.section : `${this.section} on ${this.runtime}`;
  }

  pass(name: string, note = ''): void {
    if (this.known(name) !== undefined) {
      this.record(name, 'passes, though test/known_differences.ts lists it: take it off the list');
      return;
    }
    this.passed++;
    if (process.env['VERBOSE']) console.log(`ok   ${this.where}: ${name} ${note}`);
  }

  /** A failure, unless the difference is known: then it is skipped and its reason printed. */
  fail(name: string, why: string): void {
    const known = this.known(name);
    if (known === undefined) this.record(name, why);
    else this.skip(name, known);
  }

  private known(name: string): string | undefined {
    // The list is of our own differences: other runtimes have none of them.
    if (this.runtime !== undefined && !platformFlags(this.runtime)) return undefined;
    return KNOWN_DIFFERENCES.find((d) => d.test === `${this.section}: ${name}`)?.reason;
  }

  private record(name: string, why: string): void {
    this.failed++;
    this.failures.push(`${this.where}: ${name}`);
    const indented = why.trimEnd().split('\n').slice(0, 40).join('\n     ');
    console.log(`FAIL ${this.where}: ${name}\n     ${indented}`);
  }

  skip(name: string, why: string): void {
    this.skipped++;
    console.log(`skip ${this.where}: ${name}: ${why}`);
  }

  add(other: Tally): void {
    this.passed += other.passed;
    this.failed += other.failed;
    this.skipped += other.skipped;
    this.failures.push(...other.failures);
  }

  toString(): string {
    return `${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`;
  }
}

/** Says on a terminal what a long suite is at. */
export function progress(index: number, count: number, name: string): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\x1b[K[${index}/${count}] ${name}${index === count ? '\n' : ''}`);
}

/** The first lines in which two texts differ, as a small unified listing. */
export function difference(expected: string, actual: string): string {
  const want = expected.split('\n');
  const got = actual.split('\n');
  const lines: string[] = [];
  const longest = Math.max(want.length, got.length);
  for (let i = 0; i < longest && lines.length < 12; i++) {
    if (want[i] === got[i]) continue;
    if (lines.length === 0) lines.push(`line ${i + 1}:`);
    if (want[i] !== undefined) lines.push(`- ${want[i]!.slice(0, 300)}`);
    if (got[i] !== undefined) lines.push(`+ ${got[i]!.slice(0, 300)}`);
  }
  return lines.join('\n');
}
