/**
 * Compiles vdso.c and puts the image's bytes into generated/image.js. Does nothing when up to date.
 *
 *   node sentry/loader/vdso/build.mjs
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const folder = join(here, 'generated');
const object = join(folder, 'vdso.so');
const output = join(folder, 'image.js');
const PAGE_SIZE = 4096;

const flags = [
  ...['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-nostdlib', '-shared'],
  ...['-fPIC', '-fvisibility=hidden', '-fno-stack-protector', '-mgeneral-regs-only'],
  ...['-fcf-protection=none', '-fno-builtin', '-fasynchronous-unwind-tables'],
  ...['-Wl,--no-undefined', '-Wl,--hash-style=both', '-Wl,--build-id=none', '-Wl,--eh-frame-hdr'],
  ...['-Wl,-soname=linux-vdso.so.1', '-Wl,-z,noseparate-code', '-Wl,-z,max-page-size=4096', '-s'],
];

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function main() {
  const inputs = ['vdso.c', 'vvar.h', 'vdso.lds', 'build.mjs'].map((name) => join(here, name));
  if (modified(output) > Math.max(...inputs.map(modified))) return;
  mkdirSync(folder, { recursive: true });
  const args = [...flags, '-T', join(here, 'vdso.lds'), '-o', object, join(here, 'vdso.c')];
  const gcc = spawnSync('gcc', args, { stdio: 'inherit' });
  if (gcc.error) throw new Error(`gcc: ${gcc.error.message}: install gcc`);
  if (gcc.status !== 0) throw new Error('gcc failed');
  // What lies behind the one segment are section headers, which nobody maps.
  const elf = readFileSync(object);
  const length = Number(elf.readBigUInt64LE(64 + 32));
  if (length > PAGE_SIZE) throw new Error(`the image has ${length} bytes, more than a page`);
  const image = elf.subarray(0, length);
  image.writeBigUInt64LE(0n, 40); // e_shoff
  image.writeUInt16LE(0, 60); // e_shnum
  image.writeUInt16LE(0, 62); // e_shstrndx
  const text = `// Made by build.mjs from vdso.c.\nexport const image = new Uint8Array([${image.join(',')}]);\n`;
  writeFileSync(join(folder, 'image.d.ts'), 'export const image: Uint8Array;\n');
  writeFileSync(`${output}.${process.pid}`, text);
  renameSync(`${output}.${process.pid}`, output);
  rmSync(object);
}

try {
  main();
} catch (error) {
  console.error(`sentry/loader/vdso/build.mjs: ${error.message}`);
  process.exitCode = 1;
}
