/**
 * Requests about fids: attach, walk, clunk, remove and our extensions walkgetattr and setowner.
 */
import { EBADF, EINVAL, ENOENT, ENOTDIR } from '../../spec/linux/errno.ts';
import { S_IFDIR, S_IFLNK } from '../../spec/linux/stat.ts';
import {
  IO_HEADER_SIZE,
  MAX_WALK_ELEMENTS,
  NOFID,
  NONUNAME,
  XATTR_REPLACE,
} from '../../spec/p9/constants.ts';
import { ATTR_SIZE } from '../../spec/p9/encoder.ts';
import type { Fields, Qid } from '../../spec/p9/messages.ts';
import type { FileNode } from './backend.ts';
import type { Connection } from './connection.ts';
import { Fid } from './fid.ts';

/** Whether a component may be used: the tree is never left upwards, and "." is not a name. */
export function isPlainName(name: string): boolean {
  return name !== '.' && name !== '..';
}

export function attach(c: Connection, f: Fields<'Tattach'>): Fields<'Rattach'> | number {
  if (f.afid !== NOFID) return -EBADF;
  if (f.aname !== '' && f.aname !== '/') return -ENOENT;
  const error = c.fids.canAdd(f.fid);
  if (error < 0) return error;
  const node = c.backend.attach();
  if (typeof node === 'number') return node;
  c.fids.add(f.fid, new Fid(node, f.nUname === NONUNAME ? 0 : f.nUname));
  return { qid: node.qid };
}

/** Attributes of one component after another, each the body of an Rgetattr. */
interface Attrs {
  readonly bytes: Uint8Array;
  length: number;
}

/**
 * Walks from `start`: where it arrived (owned by the caller), or why it stopped. Tells of each component reached in
 * `qids` or `attrs`.
 */
function walkNames(
  start: FileNode,
  names: readonly string[],
  qids: Qid[] | null,
  attrs: Attrs | null,
): FileNode | number {
  let node = start.clone();
  for (const name of names) {
    let next: FileNode | number = -EINVAL;
    if (node.fileType !== S_IFDIR) next = -ENOTDIR;
    else if (isPlainName(name)) next = node.walk(name, attrs?.bytes, attrs?.length);
    node.release();
    if (typeof next === 'number') return next;
    node = next;
    qids?.push(node.qid);
    if (attrs !== null) attrs.length += ATTR_SIZE;
  }
  return node;
}

/** Binds `newfid` to `node`, replacing `fid` when they are the same. `canBind` allowed it. */
function bind(c: Connection, from: Fid, fid: number, newfid: number, node: FileNode): void {
  if (fid === newfid) c.fids.take(fid)?.release();
  c.fids.add(newfid, new Fid(node, from.uid));
}

function canBind(c: Connection, from: Fid, fid: number, newfid: number): number {
  if (fid !== newfid) return c.fids.canAdd(newfid);
  return from.open === null && from.xattr === null ? 0 : -EINVAL;
}

export function walk(c: Connection, f: Fields<'Twalk'>): Fields<'Rwalk'> | number {
  const from = c.fids.get(f.fid);
  if (from === undefined) return -EBADF;
  const allowed = canBind(c, from, f.fid, f.newfid);
  if (allowed < 0) return allowed;
  const qids: Qid[] = [];
  const node = walkNames(from.node, f.names, qids, null);
  if (typeof node !== 'number') bind(c, from, f.fid, f.newfid, node);
  else if (qids.length === 0) return node;
  return { qids };
}

export function walkGetattr(
  c: Connection,
  f: Fields<'Twalkgetattr'>,
): Fields<'Rwalkgetattr'> | number {
  const from = c.fids.get(f.fid);
  if (from === undefined) return -EBADF;
  const allowed = canBind(c, from, f.fid, f.newfid);
  if (allowed < 0) return allowed;
  const attrs: Attrs = { bytes: c.scratchBytes(MAX_WALK_ELEMENTS * ATTR_SIZE), length: 0 };
  if (f.names.length === 0) {
    const result = from.node.tell(attrs.bytes);
    if (result < 0) return result;
    attrs.length = ATTR_SIZE;
  }
  const node = walkNames(from.node, f.names, null, attrs);
  const data = attrs.bytes.subarray(0, attrs.length);
  if (typeof node === 'number') return { ecode: -node, data, target: '' };
  bind(c, from, f.fid, f.newfid, node);
  const target = node.fileType === S_IFLNK ? node.readlink() : '';
  const fits =
    typeof target !== 'number' && target.length + data.length <= c.msize - IO_HEADER_SIZE;
  return { ecode: 0, data, target: fits ? target : '' };
}

export function clunk(c: Connection, f: Fields<'Tclunk'>): Fields<'Rclunk'> | number {
  const fid = c.fids.take(f.fid);
  if (fid === undefined) return -EBADF;
  let result = 0;
  const { xattr } = fid;
  if (xattr?.kind === 'write' && !c.readonly) {
    // Linux's client removes an attribute by creating it empty with XATTR_REPLACE.
    if (xattr.written !== xattr.value.length) result = -EINVAL;
    else if (xattr.value.length === 0 && xattr.flags === XATTR_REPLACE) {
      result = fid.node.removeXattr(xattr.name);
    } else result = fid.node.setXattr(xattr.name, xattr.value, xattr.flags);
  }
  fid.release();
  return result < 0 ? result : {};
}

export function remove(c: Connection, f: Fields<'Tremove'>): Fields<'Rremove'> | number {
  const fid = c.fids.take(f.fid);
  if (fid === undefined) return -EBADF;
  const result = fid.node.removeSelf();
  fid.release();
  return result < 0 ? result : {};
}

export function setOwner(c: Connection, f: Fields<'Tsetowner'>): Fields<'Rsetowner'> | number {
  c.ownerUid = f.uid;
  return {};
}

export function setCpu(c: Connection, f: Fields<'Tsetcpu'>): Fields<'Rsetcpu'> {
  c.place(f.cpu);
  return {};
}
