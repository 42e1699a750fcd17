/**
 * Root file systems for tests: a directory that is never written to, and a throw-away overlay mount
 * above it for each run, the same for the native run and for the sandbox.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must, run } from './command.ts';

/** A scratch directory that goes away with the process. */
export function scratch(prefix = 'runsc-test-'): string {
  const path = mkdtempSync(join(tmpdir(), prefix));
  scratches.push(path);
  return path;
}

const scratches: string[] = [];
const mounted = new Set<string>();
process.on('exit', () => {
  for (const root of mounted) spawnSync('umount', ['-l', root]);
  for (const path of scratches) rmSync(path, { recursive: true, force: true });
});

export interface Tree {
  /** Where the writable copy is mounted. */
  readonly root: string;
  release(): Promise<void>;
}

/** Mounts a writable view of `lower`; `release` throws the writes away. */
export async function overlay(lower: string): Promise<Tree> {
  const base = scratch();
  for (const name of ['upper', 'work', 'root']) mkdirSync(join(base, name));
  const root = join(base, 'root');
  const options = `lowerdir=${lower},upperdir=${join(base, 'upper')},workdir=${join(base, 'work')}`;
  await must(['mount', '-t', 'overlay', 'overlay', '-o', options, root]);
  mounted.add(root);
  return {
    root,
    async release() {
      const result = await run(['umount', root]);
      if (result.status !== 0) await run(['umount', '-l', root]);
      mounted.delete(root);
      rmSync(base, { recursive: true, force: true });
    },
  };
}
