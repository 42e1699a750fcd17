/**
 * Extended attributes: Txattrwalk makes a fid that reads a value (or the list of names),
 * Txattrcreate turns a fid into one that collects a value, stored when it is clunked (xattr(7)).
 *
 * Only what the container owns: `user.*`, and file capabilities to read, since the Sentry's execve
 * goes by them. Writing those would put privileges on a host file; the rest is the host's own
 * bookkeeping (labels, ACLs, overlay marks), neither shown nor changed.
 */
import { E2BIG, EBADF, EINVAL, ENODATA, ENOMEM, EPERM } from '../../spec/linux/errno.ts';
import { XATTR_NAME_CAPS, XATTR_USER_PREFIX } from '../../spec/linux/xattr.ts';
import { XATTR_CREATE, XATTR_REPLACE } from '../../spec/p9/constants.ts';
import type { Fields } from '../../spec/p9/messages.ts';
import type { FileNode } from './backend.ts';
import type { Connection } from './connection.ts';
import { Fid } from './fid.ts';

/** XATTR_SIZE_MAX of limits.h. */
const MAX_VALUE_SIZE = 65536;

function isWritable(name: string): boolean {
  return name.startsWith(XATTR_USER_PREFIX) && name !== XATTR_USER_PREFIX;
}

function isReadable(name: string): boolean {
  return isWritable(name) || name === XATTR_NAME_CAPS;
}

/** The value, or of the empty name all readable names with a NUL behind each. */
function readValue(node: FileNode, name: string): Uint8Array | number {
  if (name !== '') return isReadable(name) ? node.getXattr(name) : -ENODATA;
  const names = node.listXattr();
  if (typeof names === 'number') return names;
  const text = names.filter(isReadable).map((n) => `${n}\0`);
  return Uint8Array.from(text.join(''), (c) => c.charCodeAt(0));
}

export function walk(c: Connection, f: Fields<'Txattrwalk'>): Fields<'Rxattrwalk'> | number {
  const from = c.fids.get(f.fid);
  if (from === undefined) return -EBADF;
  const error = c.fids.canAdd(f.newfid);
  if (error < 0) return error;
  if (!c.fids.hasXattrRoom) return -ENOMEM;
  const value = readValue(from.node, f.name);
  if (typeof value === 'number') return value;
  const fid = new Fid(from.node.clone(), from.uid);
  c.fids.add(f.newfid, fid);
  c.fids.holdXattr(fid, { kind: 'read', value });
  return { size: value.length };
}

export function create(c: Connection, f: Fields<'Txattrcreate'>): Fields<'Rxattrcreate'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (fid.open !== null || fid.xattr !== null || f.name === '') return -EINVAL;
  if (!isWritable(f.name)) return -EPERM;
  if (f.size > MAX_VALUE_SIZE) return -E2BIG;
  if ((f.flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return -EINVAL;
  if (!c.fids.hasXattrRoom) return -ENOMEM;
  const value = new Uint8Array(f.size);
  c.fids.holdXattr(fid, { kind: 'write', name: f.name, flags: f.flags, value, written: 0 });
  return {};
}
