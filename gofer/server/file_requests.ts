/**
 * Requests about one file: attributes, opening, reading, writing, locks.
 */
import {
  EACCES,
  EAGAIN,
  EBADF,
  EINVAL,
  EISDIR,
  ELOOP,
  EMFILE,
  ENOTDIR,
  ENXIO,
  EROFS,
} from '../../spec/linux/errno.ts';
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from '../../spec/linux/stat.ts';
import {
  IO_HEADER_SIZE,
  IOUNIT_FD_DONATED,
  LOCK_BLOCKED,
  LOCK_ERROR,
  LOCK_FLAGS_BLOCK,
  LOCK_FLAGS_RECLAIM,
  LOCK_SUCCESS,
  LOCK_TYPE_UNLCK,
  P9_ACCMODE,
  P9_PATH,
  P9_TRUNC,
} from '../../spec/p9/constants.ts';
import type { Fields } from '../../spec/p9/messages.ts';
import type { FileNode, OpenNode } from './backend.ts';
import type { Connection } from './connection.ts';
import { isPlainName } from './session_requests.ts';

export function getattr(c: Connection, f: Fields<'Tgetattr'>): Fields<'Rgetattr'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  const attr = fid.node.getattr();
  return typeof attr === 'number' ? attr : { attr };
}

export function setattr(c: Connection, f: Fields<'Tsetattr'>): Fields<'Rsetattr'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  const result = fid.node.setattr(f);
  return result < 0 ? result : {};
}

/** Why a file of this type cannot be opened here, or 0. Devices, pipes and sockets never are. */
export function openError(fileType: number): number {
  switch (fileType) {
    case S_IFREG:
    case S_IFDIR:
      return 0;
    case S_IFLNK:
      return -ELOOP;
    case S_IFIFO:
    case S_IFSOCK:
      return -ENXIO;
    default:
      return -EACCES;
  }
}

/** The iounit of a reply that opened `open`, donating its descriptor where both sides can. */
export function ioUnit(c: Connection, open: OpenNode): number {
  const unit = c.msize - IO_HEADER_SIZE;
  const donated = c.extended && open.donation >= 0 && c.donate(open.donation);
  return donated ? (unit | IOUNIT_FD_DONATED) >>> 0 : unit;
}

export function open(c: Connection, f: Fields<'Tlopen'>): Fields<'Rlopen'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (fid.open !== null || fid.xattr !== null) return -EINVAL;
  if ((f.flags & P9_ACCMODE) === P9_ACCMODE) return -EINVAL;
  if (c.extended && (f.flags & P9_PATH) !== 0) return lookAt(c, fid.node);
  const writes = (f.flags & (P9_ACCMODE | P9_TRUNC)) !== 0;
  if (c.readonly && writes) return -EROFS;
  const error = openError(fid.node.fileType);
  if (error < 0) return error;
  if (fid.node.fileType === S_IFDIR && writes) return -EISDIR;
  const opened = fid.node.open(f.flags);
  if (typeof opened === 'number') return opened;
  fid.open = opened;
  return { qid: fid.node.qid, iounit: ioUnit(c, opened) };
}

export function walkOpen(c: Connection, f: Fields<'Twalkopen'>): Fields<'Rwalkopen'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (!isPlainName(f.name) || (f.flags & P9_ACCMODE) === P9_ACCMODE) return -EINVAL;
  if (fid.node.fileType !== S_IFDIR) return -ENOTDIR;
  if (c.readonly && (f.flags & (P9_ACCMODE | P9_TRUNC)) !== 0) return -EROFS;
  const opened = fid.node.openChild(f.name, f.flags);
  if (typeof opened === 'number') return opened;
  c.handOver(opened.fd);
  return { qid: opened.qid, iounit: ((c.msize - IO_HEADER_SIZE) | IOUNIT_FD_DONATED) >>> 0 };
}

/** P9_PATH: a descriptor that tells the file's attributes; the fid is not opened. */
function lookAt(c: Connection, node: FileNode): Fields<'Rlopen'> | number {
  const fd = node.pathDonation;
  if (fd < 0) return -EACCES;
  return c.donate(fd) ? { qid: node.qid, iounit: IOUNIT_FD_DONATED } : -EMFILE;
}

export function read(c: Connection, f: Fields<'Tread'>): Fields<'Rread'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  const count = Math.min(f.count, c.msize - IO_HEADER_SIZE);
  if (fid.xattr !== null) {
    if (fid.xattr.kind !== 'read') return -EBADF;
    const start = Math.min(f.offset, fid.xattr.value.length);
    return { data: fid.xattr.value.subarray(start, start + count) };
  }
  if (fid.open === null) return -EBADF;
  if (fid.node.fileType === S_IFDIR) return -EISDIR;
  if (f.offset > Number.MAX_SAFE_INTEGER) return -EINVAL;
  const into = c.scratchBytes(count);
  const n = fid.open.read(into, f.offset);
  return n < 0 ? n : { data: into.subarray(0, n) };
}

export function write(c: Connection, f: Fields<'Twrite'>): Fields<'Rwrite'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (f.offset > Number.MAX_SAFE_INTEGER) return -EINVAL;
  const { xattr } = fid;
  if (xattr !== null) {
    if (xattr.kind !== 'write') return -EBADF;
    // The value arrives front to back; what is missing at the clunk fails it.
    if (f.offset !== xattr.written || f.data.length > xattr.value.length - f.offset) return -EINVAL;
    xattr.value.set(f.data, f.offset);
    xattr.written += f.data.length;
    return { count: f.data.length };
  }
  if (fid.open === null) return -EBADF;
  const n = fid.open.write(f.data, f.offset);
  return n < 0 ? n : { count: n };
}

export function fsync(c: Connection, f: Fields<'Tfsync'>): Fields<'Rfsync'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined || fid.open === null) return -EBADF;
  // More than `datasync` asks for; our Sentry calls the host itself.
  const result = fid.open.fsync();
  return result < 0 ? result : {};
}

export function lock(c: Connection, f: Fields<'Tlock'>): Fields<'Rlock'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined || fid.open === null) return -EBADF;
  if (f.type > LOCK_TYPE_UNLCK) return -EINVAL;
  // Reclaiming after a server's restart has no meaning here: there is no restart.
  if ((f.flags & ~(LOCK_FLAGS_BLOCK | LOCK_FLAGS_RECLAIM)) !== 0) return -EINVAL;
  const result = fid.open.lock(f.type, f.start, f.length);
  if (result === 0) return { status: LOCK_SUCCESS };
  return result === -EAGAIN ? { status: LOCK_BLOCKED } : { status: LOCK_ERROR };
}

export function getLock(c: Connection, f: Fields<'Tgetlock'>): Fields<'Rgetlock'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined || fid.open === null) return -EBADF;
  if (f.type > LOCK_TYPE_UNLCK) return -EINVAL;
  const held = fid.open.getLock(f.type, f.start, f.length);
  if (typeof held === 'number') return held;
  const { type, start, length, pid } = held;
  return { type, start, length, procId: pid, clientId: f.clientId };
}

export function readlink(c: Connection, f: Fields<'Treadlink'>): Fields<'Rreadlink'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (fid.node.fileType !== S_IFLNK) return -EINVAL;
  const target = fid.node.readlink();
  return typeof target === 'number' ? target : { target };
}

export function statfs(c: Connection, f: Fields<'Tstatfs'>): Fields<'Rstatfs'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  const s = fid.node.statfs();
  return typeof s === 'number' ? s : { ...s, fsid: 0 };
}
