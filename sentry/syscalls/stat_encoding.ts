/**
 * struct stat, statx and statfs in application memory (stat(2), statx(2), statfs(2)). The one buffer is
 * reused: system calls are handled one at a time.
 */

import { STAT, STATFS, STATX, STATX_TIMESTAMP } from '../../spec/linux/layout/file.ts';
import { TIMESPEC } from '../../spec/linux/layout/time.ts';
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  ST_NOATIME,
  ST_NODEV,
  ST_NODIRATIME,
  ST_NOEXEC,
  ST_NOSUID,
  ST_RDONLY,
  ST_RELATIME,
  ST_VALID,
} from '../../spec/linux/mount.ts';
import {
  STATX_ATTR_MOUNT_ROOT,
  STATX_BASIC_STATS,
  STATX_BTIME,
  STATX_MNT_ID,
} from '../../spec/linux/stat.ts';
import type { Task } from '../kernel/task.ts';
import type { Path } from '../vfs/mount.ts';
import type { Stat, StatFs, Timestamp } from '../vfs/stat.ts';

const buffer = new Uint8Array(256);
const view = new DataView(buffer.buffer);
const TWO_32 = 2 ** 32;
/** What of a struct stat has no name: four bytes, and the end. */
const PADDING = STAT.offsets.st_gid + 4;
const UNUSED = STAT.offsets.st_ctim + TIMESPEC.size;

/** A device number as stat(2) gives it (makedev(3), the kernel's new_encode_dev). */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function deviceMajor(dev: number): number {
  return (dev & 0xfff00) >>> 8;
}

export function deviceMinor(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xfff00);
}

function put64(into: DataView, at: number, value: number): void {
  into.setUint32(at, value >>> 0, true);
  into.setUint32(at + 4, Math.floor(value / TWO_32) >>> 0, true);
}

function putTime(into: DataView, at: number, time: Timestamp): void {
  put64(into, at + TIMESPEC.offsets.tv_sec, time.sec);
  put64(into, at + TIMESPEC.offsets.tv_nsec, time.nsec);
}

/** 0 or -EFAULT, here and below. */
export function writeStat(t: Task, addr: number, s: Stat): number {
  const at = t.mm.writable(addr, STAT.size);
  if (at >= 0) {
    putStat(t.mm.memory.view, at, s);
    return 0;
  }
  putStat(view, 0, s);
  return t.mm.copyOut(addr, buffer, 0, STAT.size);
}

function putStat(into: DataView, at: number, s: Stat): void {
  const o = STAT.offsets;
  put64(into, at + o.st_dev, encodeDevice(s.devMajor, s.devMinor));
  put64(into, at + o.st_ino, s.ino);
  put64(into, at + o.st_nlink, s.nlink);
  into.setUint32(at + o.st_mode, s.mode, true);
  into.setUint32(at + o.st_uid, s.uid, true);
  into.setUint32(at + o.st_gid, s.gid, true);
  into.setUint32(at + PADDING, 0, true);
  put64(into, at + o.st_rdev, encodeDevice(s.rdevMajor, s.rdevMinor));
  put64(into, at + o.st_size, s.size);
  put64(into, at + o.st_blksize, s.blksize);
  put64(into, at + o.st_blocks, s.blocks);
  putTime(into, at + o.st_atim, s.atime);
  putTime(into, at + o.st_mtim, s.mtime);
  putTime(into, at + o.st_ctim, s.ctime);
  for (let rest = UNUSED; rest < STAT.size; rest += 4) into.setUint32(at + rest, 0, true);
}

function putStatxTime(at: number, time: Timestamp): void {
  put64(view, at + STATX_TIMESTAMP.offsets.tv_sec, time.sec);
  view.setUint32(at + STATX_TIMESTAMP.offsets.tv_nsec, time.nsec, true);
}

export function writeStatx(t: Task, addr: number, s: Stat, at: Path): number {
  const o = STATX.offsets;
  buffer.fill(0, 0, STATX.size);
  let mask = STATX_BASIC_STATS | STATX_MNT_ID;
  if (s.btime !== null) mask |= STATX_BTIME;
  view.setUint32(o.stx_mask, mask, true);
  view.setUint32(o.stx_blksize, s.blksize, true);
  put64(view, o.stx_attributes, at.dentry === at.mount.root ? STATX_ATTR_MOUNT_ROOT : 0);
  put64(view, o.stx_attributes_mask, STATX_ATTR_MOUNT_ROOT);
  view.setUint32(o.stx_nlink, s.nlink, true);
  view.setUint32(o.stx_uid, s.uid, true);
  view.setUint32(o.stx_gid, s.gid, true);
  view.setUint16(o.stx_mode, s.mode, true);
  put64(view, o.stx_ino, s.ino);
  put64(view, o.stx_size, s.size);
  put64(view, o.stx_blocks, s.blocks);
  putStatxTime(o.stx_atime, s.atime);
  if (s.btime !== null) putStatxTime(o.stx_btime, s.btime);
  putStatxTime(o.stx_ctime, s.ctime);
  putStatxTime(o.stx_mtime, s.mtime);
  view.setUint32(o.stx_rdev_major, s.rdevMajor, true);
  view.setUint32(o.stx_rdev_minor, s.rdevMinor, true);
  view.setUint32(o.stx_dev_major, s.devMajor, true);
  view.setUint32(o.stx_dev_minor, s.devMinor, true);
  put64(view, o.stx_mnt_id, at.mount.id);
  return t.mm.copyOut(addr, buffer, 0, STATX.size);
}

const MOUNT_TO_STATFS: readonly (readonly [number, number])[] = [
  [MS_RDONLY, ST_RDONLY],
  [MS_NOSUID, ST_NOSUID],
  [MS_NODEV, ST_NODEV],
  [MS_NOEXEC, ST_NOEXEC],
  [MS_NOATIME, ST_NOATIME],
  [MS_NODIRATIME, ST_NODIRATIME],
];

export function writeStatFs(t: Task, addr: number, s: StatFs, at: Path): number {
  const o = STATFS.offsets;
  let flags = ST_VALID;
  for (const [mount, st] of MOUNT_TO_STATFS) if ((at.mount.flags & mount) !== 0) flags |= st;
  if ((flags & ST_NOATIME) === 0) flags |= ST_RELATIME;
  buffer.fill(0, 0, STATFS.size);
  put64(view, o.f_type, s.type);
  put64(view, o.f_bsize, s.bsize);
  put64(view, o.f_blocks, s.blocks);
  put64(view, o.f_bfree, s.bfree);
  put64(view, o.f_bavail, s.bavail);
  put64(view, o.f_files, s.files);
  put64(view, o.f_ffree, s.ffree);
  view.setUint32(o.f_fsid, encodeDevice(at.mount.fs.devMajor, at.mount.fs.devMinor), true);
  put64(view, o.f_namelen, s.namelen);
  put64(view, o.f_frsize, s.bsize);
  put64(view, o.f_flags, flags);
  return t.mm.copyOut(addr, buffer, 0, STATFS.size);
}
