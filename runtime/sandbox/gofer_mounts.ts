/**
 * Which host paths a container may see: its root file system and the sources of its bind mounts.
 * All are resolved (symbolic links, relative to the bundle) and checked before anything is made.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Config, Mount } from '../../spec/oci/config.ts';
import { codeOf, Failure } from '../cli/failure.ts';

export interface HostTree {
  /** Absolute, without symbolic links. */
  readonly source: string;
  readonly readonly: boolean;
}

export interface GoferMounts {
  readonly root: HostTree;
  /** The bind mounts, and for each its index in config.mounts. */
  readonly binds: readonly HostTree[];
  readonly bindIndices: readonly number[];
}

/** Throws a Failure that names the field whose path is no good. */
export function resolveGoferMounts(config: Config, bundle: string): GoferMounts {
  const source = resolveSource('root.path', bundle, config.root.path);
  if (!fs.statSync(source).isDirectory()) {
    throw new Failure(`config.json: root.path: ${source} is not a directory: name one`);
  }
  const binds: HostTree[] = [];
  const bindIndices: number[] = [];
  (config.mounts ?? []).forEach((mount, index) => {
    if (!isBind(mount)) return;
    const field = `mounts[${index}].source`;
    binds.push({
      // validate.ts has seen to it that there is one.
      source: resolveSource(field, bundle, mount.source ?? ''),
      readonly: isReadonly(mount),
    });
    bindIndices.push(index);
  });
  return { root: { source, readonly: config.root.readonly ?? false }, binds, bindIndices };
}

export function isBind(mount: Mount): boolean {
  const options = mount.options ?? [];
  const kind = mount.type ?? 'none';
  return ['bind', 'none'].includes(kind) || options.includes('bind') || options.includes('rbind');
}

/** The last of ro and rw counts, as in mount(8). */
function isReadonly(mount: Mount): boolean {
  const options = mount.options ?? [];
  const last = (...names: string[]) =>
    Math.max(...names.map((name) => options.lastIndexOf(name)), -1);
  return last('ro', 'rro') > last('rw');
}

function resolveSource(field: string, bundle: string, written: string): string {
  const absolute = path.resolve(bundle, written);
  try {
    const real = fs.realpathSync(absolute);
    // Who asks for a place outside says so; a link inside may be another's doing.
    const strays = absolute.startsWith(`${bundle}/`) && !real.startsWith(`${bundle}/`);
    if (!strays) return real;
    throw new Failure(
      `config.json: ${field}: ${absolute} is a symbolic link out of the bundle: name ${real} itself`,
    );
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    const reason = { ENOENT: 'does not exist', EACCES: 'permission denied', ELOOP: 'link loop' }[
      codeOf(thrown)
    ];
    const problem = reason ?? `cannot be resolved (${codeOf(thrown)})`;
    const what = field === 'root.path' ? 'the root file system' : 'the mount source';
    throw new Failure(
      `config.json: ${field}: ${what} ${absolute} ${problem}: create it or correct the path`,
    );
  }
}
