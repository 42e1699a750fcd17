/**
 * The Debian file tree of the conformance tests: debootstrap's minbase with the programs that the
 * cases use. Made once, and kept in build/rootfs (or where RUNSC_TEST_ROOTFS says) between runs.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, run } from '../harness/command.ts';
import { ROOT } from '../harness/runtime.ts';

const SUITE = 'bookworm';
const PACKAGES = [
  'python3',
  'perl',
  'git',
  'gcc',
  'make',
  'libc6-dev',
  'sqlite3',
  'busybox',
  'procps',
  'psmisc',
  'file',
  'less',
  'strace',
];
const KEY = createHash('sha256')
  .update(`${SUITE} ${PACKAGES.join(' ')}`)
  .digest('hex');
const TIMEOUT_MS = 10 * 60_000;

/** Where the tree is, made now if it is not there yet. Throws when it cannot be made. */
export async function debianRootfs(): Promise<string> {
  const path = process.env['RUNSC_TEST_ROOTFS'] ?? join(ROOT, 'build/rootfs');
  const stamp = `${path}.key`;
  if (existsSync(path) && existsSync(stamp) && readFileSync(stamp, 'utf8') === KEY) return path;
  if (existsSync(path) && process.env['RUNSC_TEST_ROOTFS']) return path;
  console.log('making the Debian file tree with debootstrap (about a minute, once)');
  const scratch = `${path}.${process.pid}`;
  const argv = ['debootstrap', '--variant=minbase', `--include=${PACKAGES.join(',')}`, SUITE];
  try {
    const first = await run([...argv, scratch], { timeoutMs: TIMEOUT_MS });
    if (first.status !== 0) {
      rmSync(scratch, { recursive: true, force: true });
      await must([...argv, scratch], { timeoutMs: TIMEOUT_MS });
    }
    rmSync(join(scratch, 'var/cache/apt/archives'), { recursive: true, force: true });
    rmSync(path, { recursive: true, force: true });
    renameSync(scratch, path);
    writeFileSync(stamp, KEY);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return path;
}
