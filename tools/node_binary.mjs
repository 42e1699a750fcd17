/**
 * Makes the Node binary that becomes the executable: without symbols, and without the deadlock detector
 * of its mutexes. Node is built with assertions, so Abseil keeps a graph of who locks what: a table of
 * 1 MB that every process fills at its start, and work for each lock. Setting its mode to `kIgnore`
 * (absl/synchronization/mutex.h) is the change of one word of data.
 *
 *   node_binary.mjs NODE OUTPUT
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const MODE = 'synch_deadlock_detection';
const MODE_ABORT = 2;
const MODE_IGNORE = 0;

const PT_LOAD = 1;
const PROGRAM_HEADER_LENGTH = 56;

const [node, output] = process.argv.slice(2);

/** The address of the one data symbol whose name has `part` in it, or -1. */
function symbolAddress(part) {
  const symbols = execFileSync('nm', [node], { maxBuffer: 2 ** 28, encoding: 'latin1' });
  const lines = symbols.split('\n').filter((line) => line.includes(part) && / [dD] /.test(line));
  return lines.length === 1 ? Number.parseInt(lines[0], 16) : -1;
}

/** Where in the ELF file `image` lies what is loaded at `address`, or -1. */
function fileOffset(image, address) {
  const table = Number(image.readBigUInt64LE(32));
  const count = image.readUInt16LE(56);
  for (let i = 0; i < count; i++) {
    const at = table + i * PROGRAM_HEADER_LENGTH;
    if (image.readUInt32LE(at) !== PT_LOAD) continue;
    const [offset, start, , length] = [8, 16, 24, 32].map((field) =>
      Number(image.readBigUInt64LE(at + field)),
    );
    if (address >= start && address < start + length) return offset + address - start;
  }
  return -1;
}

execFileSync('strip', ['-o', output, node]);
const image = readFileSync(output);
const address = symbolAddress(MODE);
const offset = address < 0 ? -1 : fileOffset(image, address);
if (offset >= 0 && image.readUInt32LE(offset) === MODE_ABORT) {
  image.writeUInt32LE(MODE_IGNORE, offset);
  writeFileSync(output, image);
} else {
  console.error('node_binary: no deadlock detector found: runsc will use 1 MB more');
}
