/**
 * The vDSO, run natively: a C program maps a page written by VvarWriter and the image behind it,
 * finds the functions as a C library does, and compares them with the host's clocks.
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sampleClocks } from '../../../native/index.ts';
import { VDSO_LENGTH, VVAR_LENGTH, vdsoImage } from './vdso.ts';
import { type ClockSample, VVAR, VVAR_SYSCALL, VVAR_TSC, VvarWriter } from './vvar.ts';

const folder = mkdtempSync(join(tmpdir(), 'vdso-'));
const program = join(folder, 'harness');
const pages = join(folder, 'pages');

beforeAll(() => {
  const source = join(import.meta.dirname, 'vdso_harness.c');
  const gcc = spawnSync('gcc', ['-O1', '-Wall', '-Werror', '-pthread', '-o', program, source], {
    encoding: 'utf8',
  });
  expect(gcc.stderr).toBe('');
});
afterAll(() => rmSync(folder, { recursive: true }));

const numbers = new Float64Array(4);

function sample(): ClockSample {
  sampleClocks(numbers);
  const [tsc = 0, monotonicNs = 0, realtimeSec = 0, realtimeNsec = 0] = numbers;
  return { tsc, monotonicNs, realtimeSec, realtimeNsec };
}

/** Both pages, the data page calibrated over `windowMs`. */
function calibrated(windowMs: number): { bytes: Uint8Array; writer: VvarWriter } {
  const bytes = new Uint8Array(VVAR_LENGTH + VDSO_LENGTH);
  bytes.set(vdsoImage(), VVAR_LENGTH);
  const writer = new VvarWriter(bytes.subarray(0, VVAR_LENGTH), {
    cpuCount: 2,
    boottimeOffsetNs: 5e9,
  });
  writer.update(sample());
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, windowMs);
  writer.update(sample());
  return { bytes, writer };
}

/** The harness's report: `name value` lines. */
function run(bytes: Uint8Array): Map<string, number> {
  writeFileSync(pages, bytes);
  const done = spawnSync(program, [pages], { encoding: 'utf8' });
  expect(done.stderr).toBe('');
  expect(done.status).toBe(0);
  return new Map(
    done.stdout
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])] as const),
  );
}

test('the C header declares the layout', () => {
  const names = Object.keys(VVAR.fields);
  const prints = names.map((name) => `printf("%zu ", offsetof(struct vvar, ${name}));`);
  const source = `#include <stddef.h>\n#include <stdio.h>\n#include "vvar.h"\nint main(void) { ${prints.join(' ')} printf("%zu %d %d", sizeof(struct vvar), VVAR_SYSCALL, VVAR_TSC); }\n`;
  const path = join(folder, 'offsets');
  writeFileSync(`${path}.c`, source);
  const gcc = spawnSync('gcc', ['-I', import.meta.dirname, '-o', path, `${path}.c`], {
    encoding: 'utf8',
  });
  expect(gcc.stderr).toBe('');
  expect(spawnSync(path, { encoding: 'utf8' }).stdout).toBe(
    [...Object.values(VVAR.offsets), VVAR.size, VVAR_SYSCALL, VVAR_TSC].join(' '),
  );
});

test('the image is one page that needs no relocation and names what C libraries look for', () => {
  const path = join(folder, 'image.so');
  writeFileSync(path, vdsoImage());
  expect(spawnSync(program, [path, 'symbols'], { encoding: 'utf8' }).stdout).toBe('symbols 10\n');
  const readelf = spawnSync('readelf', ['--wide', '-d', '-l', path], { encoding: 'utf8' }).stdout;
  expect(readelf).not.toMatch(/\bRELA?\b|TEXTREL|NEEDED/);
  expect(readelf.match(/\bLOAD\b/g)).toHaveLength(1);
});

test('the clocks agree with the host', () => {
  const report = run(calibrated(50).bytes);
  expect(report.get('functions')).toBe(10);
  // Differences to the host's own clock, ns, the tightest of many tries; the page is milliseconds old.
  for (const clock of ['realtime', 'monotonic', 'realtime_coarse', 'monotonic_coarse']) {
    expect(Math.abs(report.get(clock) ?? Number.NaN), clock).toBeLessThan(20_000);
  }
  expect(Math.abs((report.get('boottime') ?? 0) - 5e9)).toBeLessThan(20_000);
  expect(Math.abs(report.get('gettimeofday') ?? Number.NaN)).toBeLessThan(20_000);
  expect(report.get('time')).toBe(0);
  expect(report.get('getcpu')).toBe(1);
  expect(report.get('resolution')).toBe(1);
  expect(report.get('coarse_resolution')).toBe(4_000_000);
  // A clock that the page does not hold goes to the kernel.
  expect(report.get('raw')).toBe(1);
  expect(report.get('invalid')).toBe(-22);
  expect(report.get('system_call')).toBe(0);
});

test('without calibration every call is a system call', () => {
  const bytes = new Uint8Array(VVAR_LENGTH + VDSO_LENGTH);
  bytes.set(vdsoImage(), VVAR_LENGTH);
  new VvarWriter(bytes.subarray(0, VVAR_LENGTH), { cpuCount: 0, boottimeOffsetNs: 0 });
  const report = run(bytes);
  expect(Math.abs(report.get('monotonic') ?? Number.NaN)).toBeLessThan(100_000);
  expect(report.get('system_call')).toBe(1);
});

test('time does not run backwards in any thread while the page is rewritten', async () => {
  const { bytes, writer } = calibrated(20);
  const result = await new Promise<string>((resolve) => {
    // The harness reads the rewritten data page from its standard input, as fast as it comes.
    writeFileSync(pages, bytes);
    const child = spawn(program, [pages, 'monotonic'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.on('exit', () => resolve(output));
    let left = 200;
    const rewrite = () => {
      writer.update(sample());
      child.stdin.write(Buffer.from(bytes.subarray(0, VVAR.size)));
      if (--left > 0) setTimeout(rewrite, 2);
      else child.stdin.end();
    };
    setTimeout(rewrite, 20);
  });
  expect(result).toMatch(/^backwards 0 of \d{5,}\n$/);
});
