/** Counts results, prints failures as they come, and remembers them for the end. */

export class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly failures: string[] = [];
  readonly section: string;

  constructor(section: string) {
    this.section = section;
  }

  pass(name: string, note = ''): void {
    this.passed++;
    if (process.env['VERBOSE']) console.log(`ok   ${this.section}: ${name} ${note}`);
  }

  fail(name: string, why: string): void {
    this.failed++;
    this.failures.push(`${this.section}: ${name}`);
    const indented = why.trimEnd().split('\n').slice(0, 40).join('\n     ');
    console.log(`FAIL ${this.section}: ${name}\n     ${indented}`);
  }

  skip(name: string, why: string): void {
    this.skipped++;
    console.log(`skip ${this.section}: ${name}: ${why}`);
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
