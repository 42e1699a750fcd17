/**
 * linux.cgroupsPath as a path below a hierarchy's mount point. Three forms: absolute, relative
 * (below our own cgroup), and with --systemd-cgroup slice:prefix:name. The last is expanded to the
 * path that systemd would use and made through cgroupfs: no systemd need be running.
 */

import { Failure } from '../cli/failure.ts';
import type { Hierarchy } from './hierarchy.ts';

/** The path of the container's cgroup, without a slash at its ends; '' when there is none. */
export function cgroupPath(written: string, systemd: boolean): string {
  if (written === '') return '';
  const path = systemd ? systemdPath(written) : written;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || path.includes('\0')) {
    throw new Failure(`config.json: linux.cgroupsPath: "${written}" must not contain ..`);
  }
  return (path.startsWith('/') ? '/' : '') + parts.join('/');
}

/** Where `path` lies in a hierarchy. */
export function cgroupDirectory(hierarchy: Hierarchy, path: string): string {
  if (path.startsWith('/')) return hierarchy.mountPoint + path;
  const own = hierarchy.ownPath === '/' ? '' : hierarchy.ownPath;
  return `${hierarchy.mountPoint}${own}/${path}`;
}

/** slice:prefix:name → /a.slice/a-b.slice/prefix-name.scope */
function systemdPath(written: string): string {
  const [slice, prefix, name, ...more] = written.split(':');
  if (slice === undefined || prefix === undefined || name === undefined || more.length > 0) {
    throw new Failure(
      `config.json: linux.cgroupsPath: "${written}" must have the form slice:prefix:name (--systemd-cgroup)`,
    );
  }
  const unit = name.endsWith('.slice') ? name : prefix === '' ? name : `${prefix}-${name}.scope`;
  return `${expandSlice(slice || 'system.slice')}/${unit}`;
}

/** user-1000.slice lies in user.slice: systemd.slice(5). */
function expandSlice(slice: string): string {
  if (slice === '-.slice') return '';
  const name = slice.replace(/\.slice$/, '');
  if (!slice.endsWith('.slice') || name === '' || name.includes('/') || name.includes('--')) {
    throw new Failure(`config.json: linux.cgroupsPath: "${slice}" is not the name of a slice`);
  }
  let path = '';
  let prefix = '';
  for (const part of name.split('-')) {
    prefix += part;
    path += `/${prefix}.slice`;
    prefix += '-';
  }
  return path;
}
