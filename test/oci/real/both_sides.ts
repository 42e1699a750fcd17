/**
 * A program that runs on the host and in a sandbox, with a volume between the two.
 */
import { spawn } from 'node:child_process';
import * as path from 'node:path';
import type { Change, World } from './world.ts';

/** Mounts `source` at /data/v. */
export const bind =
  (source: string, ...options: string[]): Change =>
  (c) => {
    c.mounts.push({ destination: '/data/v', type: 'bind', source, options: ['rbind', ...options] });
  };

export interface Sides {
  /** Runs the program on the host; its output. */
  onHost(w: World, ...args: string[]): Promise<string>;
  /** Runs it in a sandbox; its output and what stderr says. */
  inside(w: World, change: Change, ...args: string[]): Promise<string>;
}

/** `program` lies in the test's root file system: 'bin/host_fifo'. */
export function bothSides(program: string): Sides {
  return {
    onHost: (w, ...args) => {
      const file = path.join(w.rootfs, program);
      const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (chunk) => {
        text += chunk;
      });
      return new Promise((resolve) => child.on('close', () => resolve(text)));
    },
    inside: async (w, change, ...args) => {
      const bundle = w.bundle([`/${program}`, ...args], change);
      const { stdout, stderr } = await w.runsc(['run', '--bundle', bundle, path.basename(bundle)]);
      return stdout + stderr;
    },
  };
}
