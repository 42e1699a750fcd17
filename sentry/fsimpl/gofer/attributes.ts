/**
 * Attributes of gofer files in their several forms: of 9P, of host descriptors, of the VFS.
 */
import type { Stat as HostStat } from '../../../native/stat.ts';
import * as p9 from '../../../spec/p9/constants.ts';
import type { Fields, P9Attr } from '../../../spec/p9/messages.ts';
import type { SetAttr, Stat } from '../../vfs/stat.ts';
import { NO_CHANGES } from './client.ts';

/** What stat(2) says of a file with attributes `a` in a file system with this device number. */
export function statOf(a: P9Attr, devMajor: number, devMinor: number): Stat {
  return {
    devMajor,
    devMinor,
    ino: a.qid.path,
    mode: a.mode,
    nlink: a.nlink,
    uid: a.uid,
    gid: a.gid,
    rdevMajor: deviceMajor(a.rdev),
    rdevMinor: deviceMinor(a.rdev),
    size: a.size,
    blksize: a.blksize,
    blocks: a.blocks,
    atime: { sec: a.atimeSec, nsec: a.atimeNsec },
    mtime: { sec: a.mtimeSec, nsec: a.mtimeNsec },
    ctime: { sec: a.ctimeSec, nsec: a.ctimeNsec },
    btime: (a.valid & p9.GETATTR_BTIME) === 0 ? null : { sec: a.btimeSec, nsec: a.btimeNsec },
  };
}

/** Device numbers as makedev(3) packs them. */
export function deviceMajor(rdev: number): number {
  return Math.floor(rdev / 2 ** 8) & 0xfff;
}

export function deviceMinor(rdev: number): number {
  return (rdev % 2 ** 8) + (Math.floor(rdev / 2 ** 20) & 0xfff) * 2 ** 8;
}

/**
 * `a` as the host reports it now through a descriptor of the same file. Not its owner: in the user
 * namespace that the Sentry is locked into, everything seems to belong to nobody.
 */
export function refreshed(a: P9Attr, s: HostStat): P9Attr {
  return {
    ...a,
    mode: s.mode,
    nlink: s.nlink,
    size: s.size,
    blksize: s.blksize,
    blocks: s.blocks,
    atimeSec: s.atimeSec,
    atimeNsec: s.atimeNsec,
    mtimeSec: s.mtimeSec,
    mtimeNsec: s.mtimeNsec,
    ctimeSec: s.ctimeSec,
    ctimeNsec: s.ctimeNsec,
  };
}

/** The Tsetattr that carries out `c` on `fid`. */
export function setattrFields(fid: number, c: SetAttr): Fields<'Tsetattr'> {
  const f = { ...NO_CHANGES, fid };
  if (c.mode !== undefined) {
    f.valid |= p9.SETATTR_MODE;
    f.mode = c.mode;
  }
  if (c.uid !== undefined) {
    f.valid |= p9.SETATTR_UID;
    f.uid = c.uid;
  }
  if (c.gid !== undefined) {
    f.valid |= p9.SETATTR_GID;
    f.gid = c.gid;
  }
  if (c.size !== undefined) {
    f.valid |= p9.SETATTR_SIZE;
    f.size = c.size;
  }
  if (c.atime !== undefined) {
    f.valid |= p9.SETATTR_ATIME | p9.SETATTR_ATIME_SET;
    f.atimeSec = c.atime.sec;
    f.atimeNsec = c.atime.nsec;
  }
  if (c.mtime !== undefined) {
    f.valid |= p9.SETATTR_MTIME | p9.SETATTR_MTIME_SET;
    f.mtimeSec = c.mtime.sec;
    f.mtimeNsec = c.mtime.nsec;
  }
  return f;
}
