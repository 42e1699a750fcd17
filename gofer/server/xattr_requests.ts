/**
 * Extended attributes: Txattrwalk makes a fid that reads a value (or the list of names),
 * Txattrcreate turns a fid into one that collects a value, stored when it is clunked (xattr(7)).
 */
import { E2BIG, EBADF, EINVAL } from '../../spec/linux/errno.ts';
import { XATTR_CREATE, XATTR_REPLACE } from '../../spec/p9/constants.ts';
import type { Fields } from '../../spec/p9/messages.ts';
import type { Connection } from './connection.ts';
import { Fid } from './fid.ts';

/** XATTR_SIZE_MAX of limits.h. */
const MAX_VALUE_SIZE = 65536;

export function walk(c: Connection, f: Fields<'Txattrwalk'>): Fields<'Rxattrwalk'> | number {
  const from = c.fids.get(f.fid);
  if (from === undefined) return -EBADF;
  const error = c.fids.canAdd(f.newfid);
  if (error < 0) return error;
  const value = from.node.getXattr(f.name);
  if (typeof value === 'number') return value;
  const fid = new Fid(from.node.clone(), from.uid);
  fid.xattr = { kind: 'read', value };
  c.fids.add(f.newfid, fid);
  return { size: value.length };
}

export function create(c: Connection, f: Fields<'Txattrcreate'>): Fields<'Rxattrcreate'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (fid.open !== null || fid.xattr !== null || f.name === '') return -EINVAL;
  if (f.size > MAX_VALUE_SIZE) return -E2BIG;
  if ((f.flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return -EINVAL;
  fid.xattr = {
    kind: 'write',
    name: f.name,
    flags: f.flags,
    value: new Uint8Array(f.size),
    written: 0,
  };
  return {};
}
