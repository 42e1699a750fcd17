/**
 * Writes docs/compatibility.md from the system call table and the tests' list of known differences.
 *
 *   compatibility.ts [--check]     --check: only says whether the page is up to date
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { syscallTable } from '../sentry/syscalls/table.ts';
import { syscallName } from '../spec/linux/syscall_numbers.ts';
import { KNOWN_DIFFERENCES, KNOWN_LINES } from '../test/known_differences.ts';

const PAGE = fileURLToPath(new URL('../docs/compatibility.md', import.meta.url));
/** The last number that spec/linux knows. */
const LAST_SYSCALL = 462;

/** The page's text. */
export function compatibilityPage(): string {
  const complete: string[] = [];
  const partial: string[] = [];
  const absent: string[] = [];
  for (let nr = 0; nr <= LAST_SYSCALL; nr++) {
    const entry = syscallTable[nr];
    const name = entry?.name ?? syscallName(nr);
    if (name === undefined) continue;
    if (entry === undefined) absent.push(name);
    else if (entry.gap === undefined) complete.push(name);
    else partial.push(`| ${name} | ${entry.gap} |`);
  }
  const differences = [
    ...KNOWN_DIFFERENCES.map((d) => `| ${d.test} | ${d.reason} |`),
    ...KNOWN_LINES.map((d) => `| guest: ${d.program}: \`${d.native}\` | ${d.reason} |`),
  ];
  return `# Compatibility

Made by \`tools/compatibility.ts\` from the system call table and from the tests' list of known differences; a test fails when it is
out of date. The same table answers \`runsc help syscalls\`.

## System calls

${complete.length} are complete, ${partial.length} have gaps, ${absent.length} are absent and answer ENOSYS.

### With gaps

| call | what is missing |
|---|---|
${partial.join('\n')}

### Complete

${complete.join(', ')}

### Absent

${absent.join(', ')}

## What a program can tell of systrap

On systrap hot \`syscall\` instructions of mapped files are replaced by jumps (docs/decisions/systrap_call_sites.md). \`--platform=ptrace\` replaces nothing.

- A program that reads its own text by its own loads sees them. What the kernel reads for it (write, process_vm_readv, /proc/PID/mem) is the original.
- One that copies its text elsewhere and runs the copy gets the original back in there at the first jump, unless that comes into the middle of a site or the jump leads to something that can be executed.
- One that single-steps itself sees trampolines, mapped as \`[trampolines]\`.
- \`rdgsbase\`, which AT_HWCAP2 does not offer, shows an address that is not the program's.

## Tests whose result is known to differ from Linux or from runc

A test of this list that passes counts as a failure, so the list cannot outlive its reasons.

| test | reason |
|---|---|
${differences.join('\n')}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = compatibilityPage();
  if (!process.argv.includes('--check')) writeFileSync(PAGE, text);
  else if (readFileSync(PAGE, 'utf8') !== text) {
    console.error('docs/compatibility.md is out of date: run tools/compatibility.ts');
    process.exitCode = 1;
  }
}
