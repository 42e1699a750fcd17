/**
 * Requests about the entries of a directory: making, moving, removing and listing them.
 */
import { EBADF, EINVAL, ENOTDIR, EPERM } from '../../spec/linux/errno.ts';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../../spec/linux/stat.ts';
import { IO_HEADER_SIZE, P9_ACCMODE, P9_AT_REMOVEDIR } from '../../spec/p9/constants.ts';
import { direntSize, encodeDirent } from '../../spec/p9/dirent.ts';
import { Encoder } from '../../spec/p9/encoder.ts';
import type { Fields } from '../../spec/p9/messages.ts';
import type { Owner } from './backend.ts';
import type { Connection } from './connection.ts';
import type { Fid, Listing } from './fid.ts';
import { ioUnit } from './file_requests.ts';
import { isPlainName } from './session_requests.ts';

/** The directory behind `number` in which `name` can be changed, or -errno. */
export function parentOf(c: Connection, number: number, name: string): Fid | number {
  const fid = c.fids.get(number);
  if (fid === undefined) return -EBADF;
  if (!isPlainName(name)) return -EINVAL;
  return fid.node.fileType === S_IFDIR ? fid : -ENOTDIR;
}

export function owner(c: Connection, fid: Fid, gid: number): Owner {
  return { uid: c.ownerUid >= 0 ? c.ownerUid : fid.uid, gid };
}

export function create(c: Connection, f: Fields<'Tlcreate'>): Fields<'Rlcreate'> | number {
  const fid = parentOf(c, f.fid, f.name);
  if (typeof fid === 'number') return fid;
  if (fid.open !== null || fid.xattr !== null) return -EINVAL;
  if ((f.flags & P9_ACCMODE) === P9_ACCMODE) return -EINVAL;
  const created = fid.node.create(f.name, f.flags, f.mode & 0o7777, owner(c, fid, f.gid));
  if (typeof created === 'number') return created;
  fid.closeListing();
  fid.node.release();
  fid.node = created.node;
  fid.open = created.open;
  return { qid: created.node.qid, iounit: ioUnit(c, created.open) };
}

export function mkdir(c: Connection, f: Fields<'Tmkdir'>): Fields<'Rmkdir'> | number {
  const fid = parentOf(c, f.dfid, f.name);
  if (typeof fid === 'number') return fid;
  const qid = fid.node.mkdir(f.name, f.mode & 0o7777, owner(c, fid, f.gid));
  return typeof qid === 'number' ? qid : { qid };
}

export function mknod(c: Connection, f: Fields<'Tmknod'>): Fields<'Rmknod'> | number {
  const fid = parentOf(c, f.dfid, f.name);
  if (typeof fid === 'number') return fid;
  switch (f.mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
      break;
    case S_IFCHR:
    case S_IFBLK:
      // A device node would be one of the host's.
      return -EPERM;
    default:
      return -EINVAL;
  }
  const mode = f.mode & (S_IFMT | 0o7777);
  const qid = fid.node.mknod(f.name, mode, owner(c, fid, f.gid));
  return typeof qid === 'number' ? qid : { qid };
}

export function symlink(c: Connection, f: Fields<'Tsymlink'>): Fields<'Rsymlink'> | number {
  const fid = parentOf(c, f.fid, f.name);
  if (typeof fid === 'number') return fid;
  const qid = fid.node.symlink(f.name, f.target, owner(c, fid, f.gid));
  return typeof qid === 'number' ? qid : { qid };
}

export function link(c: Connection, f: Fields<'Tlink'>): Fields<'Rlink'> | number {
  const directory = parentOf(c, f.dfid, f.name);
  if (typeof directory === 'number') return directory;
  const target = c.fids.get(f.fid);
  if (target === undefined) return -EBADF;
  if (target.node.fileType === S_IFDIR) return -EPERM;
  const result = directory.node.link(f.name, target.node);
  return result < 0 ? result : {};
}

export function rename(c: Connection, f: Fields<'Trename'>): Fields<'Rrename'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  const to = parentOf(c, f.dfid, f.name);
  if (typeof to === 'number') return to;
  const result = fid.node.renameSelf(to.node, f.name);
  return result < 0 ? result : {};
}

export function renameat(c: Connection, f: Fields<'Trenameat'>): Fields<'Rrenameat'> | number {
  const from = parentOf(c, f.olddirfid, f.oldname);
  if (typeof from === 'number') return from;
  const to = parentOf(c, f.newdirfid, f.newname);
  if (typeof to === 'number') return to;
  const result = from.node.rename(f.oldname, to.node, f.newname);
  return result < 0 ? result : {};
}

export function unlinkat(c: Connection, f: Fields<'Tunlinkat'>): Fields<'Runlinkat'> | number {
  const fid = parentOf(c, f.dfid, f.name);
  if (typeof fid === 'number') return fid;
  if ((f.flags & ~P9_AT_REMOVEDIR) !== 0) return -EINVAL;
  const result = fid.node.unlink(f.name, f.flags === P9_AT_REMOVEDIR);
  return result < 0 ? result : {};
}

/** How much listing one reply carries. */
function listingRoom(c: Connection, count: number): number {
  return Math.min(count, c.msize - IO_HEADER_SIZE);
}

export function readdir(c: Connection, f: Fields<'Treaddir'>): Fields<'Rreaddir'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined || fid.open === null) return -EBADF;
  if (fid.node.fileType !== S_IFDIR) return -ENOTDIR;
  const e = new Encoder(c.scratchBytes(listingRoom(c, f.count)));
  for (let index = f.offset; ; index++) {
    const entry = fid.open.entryAt(index);
    if (typeof entry === 'number') {
      if (e.pos === 0) return entry;
      break;
    }
    if (entry === null) break;
    if (direntSize(entry.name) > e.room) {
      // Not even one entry: an empty reply would mean the end.
      if (e.pos === 0) return -EINVAL;
      break;
    }
    const { qid, type, name } = entry;
    encodeDirent(e, { qid, offset: index + 1, type, name });
  }
  return { data: e.bytes.subarray(0, e.pos) };
}

/** The listing behind Treaddirplus, opened at offset 0; null when it does not stand at `offset`. */
function listing(fid: Fid, offset: number): Listing | number | null {
  if (offset !== 0) return fid.listing?.next === offset ? fid.listing : null;
  fid.closeListing();
  const open = fid.node.open(0);
  if (typeof open === 'number') return open;
  fid.listing = { open, next: 0 };
  return fid.listing;
}

const listed = { more: false };

export function readdirPlus(
  c: Connection,
  f: Fields<'Treaddirplus'>,
): Fields<'Rreaddirplus'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (fid.node.fileType !== S_IFDIR) return -ENOTDIR;
  const current = listing(fid, f.offset);
  if (current === null) return -EINVAL;
  if (typeof current === 'number') return current;
  const into = c.scratchBytes(listingRoom(c, f.count));
  const length = current.open.listInto(into, listed);
  if (length < 0 || !listed.more) fid.closeListing();
  if (length < 0) return length;
  current.next++;
  return { next: listed.more ? current.next : 0, data: into.subarray(0, length) };
}
