/**
 * linux.cgroupsPath as a path below a hierarchy's mount point. Three forms: absolute, relative
 * (below our own cgroup), and with --systemd-cgroup slice:prefix:name.
 */

import { Failure } from '../cli/failure.ts';
import type { Hierarchy } from './hierarchy.ts';

/** The path of the container's cgroup, without a slash at its ends; '' when there is none. */
export function cgroupPath(written: string): string {
  const parts = written.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || written.includes('\0')) {
    throw new Failure(`config.json: linux.cgroupsPath: "${written}" must not contain ..`);
  }
  return (written.startsWith('/') ? '/' : '') + parts.join('/');
}

/** Where `path` lies in a hierarchy. */
export function cgroupDirectory(hierarchy: Hierarchy, path: string): string {
  if (path.startsWith('/')) return hierarchy.mountPoint + path;
  const own = hierarchy.ownPath === '/' ? '' : hierarchy.ownPath;
  return `${hierarchy.mountPoint}${own}/${path}`;
}

/** slice:prefix:name, where the slice may be left out, as the units of systemd. */
export function systemdNames(
  written: string,
  defaultSlice: string,
): { readonly slice: string; readonly scope: string } {
  const [given, prefix, name, ...more] = written.split(':');
  const good = /^[\w.@\\-]+$/;
  if (!good.test(name ?? '') || !good.test(prefix || 'none') || more.length > 0) {
    throw new Failure(
      `config.json: linux.cgroupsPath: "${written}" must have the form slice:prefix:name (--systemd-cgroup), of letters, digits and - _ . @ \\`,
    );
  }
  if (name?.endsWith('.slice')) {
    throw new Failure(`config.json: linux.cgroupsPath: "${name}" is a slice: it holds no process`);
  }
  const slice = given || defaultSlice;
  if (!good.test(slice) || !isSlice(slice)) {
    throw new Failure(`config.json: linux.cgroupsPath: "${slice}" is not the name of a slice`);
  }
  return { slice, scope: `${prefix === '' ? '' : `${prefix}-`}${name}.scope` };
}

/** Whether systemd.slice(5) allows the name. */
function isSlice(slice: string): boolean {
  const parts = slice.replace(/\.slice$/, '').split('-');
  return slice === '-.slice' || (slice.endsWith('.slice') && parts.every((part) => part !== ''));
}
