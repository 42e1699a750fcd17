/** Files: stat(2), statx(2), statfs(2), getdents64(2), fcntl(2), openat2(2), readv(2), mount_setattr(2). */

import { layout } from './layout.ts';
import { TIMESPEC } from './time.ts';

export const STAT = layout('stat', 144, {
  st_dev: ['u64', 0],
  st_ino: ['u64', 8],
  st_nlink: ['u64', 16],
  st_mode: ['u32', 24],
  st_uid: ['u32', 28],
  st_gid: ['u32', 32],
  st_rdev: ['u64', 40],
  st_size: ['s64', 48],
  st_blksize: ['s64', 56],
  st_blocks: ['s64', 64],
  st_atim: [TIMESPEC, 72],
  st_mtim: [TIMESPEC, 88],
  st_ctim: [TIMESPEC, 104],
});

export const STATX_TIMESTAMP = layout('statx_timestamp', 16, {
  tv_sec: ['s64', 0],
  tv_nsec: ['u32', 8],
});

export const STATX = layout('statx', 256, {
  stx_mask: ['u32', 0],
  stx_blksize: ['u32', 4],
  stx_attributes: ['u64', 8],
  stx_nlink: ['u32', 16],
  stx_uid: ['u32', 20],
  stx_gid: ['u32', 24],
  stx_mode: ['u16', 28],
  stx_ino: ['u64', 32],
  stx_size: ['u64', 40],
  stx_blocks: ['u64', 48],
  stx_attributes_mask: ['u64', 56],
  stx_atime: [STATX_TIMESTAMP, 64],
  stx_btime: [STATX_TIMESTAMP, 80],
  stx_ctime: [STATX_TIMESTAMP, 96],
  stx_mtime: [STATX_TIMESTAMP, 112],
  stx_rdev_major: ['u32', 128],
  stx_rdev_minor: ['u32', 132],
  stx_dev_major: ['u32', 136],
  stx_dev_minor: ['u32', 140],
  stx_mnt_id: ['u64', 144],
  stx_dio_mem_align: ['u32', 152],
  stx_dio_offset_align: ['u32', 156],
});

export const STATFS = layout('statfs', 120, {
  f_type: ['s64', 0],
  f_bsize: ['s64', 8],
  f_blocks: ['u64', 16],
  f_bfree: ['u64', 24],
  f_bavail: ['u64', 32],
  f_files: ['u64', 40],
  f_ffree: ['u64', 48],
  f_fsid: ['u32', 56, 2],
  f_namelen: ['s64', 64],
  f_frsize: ['s64', 72],
  f_flags: ['s64', 80],
});

/** The fixed part: d_name follows at byte 19, and d_reclen is rounded up to 8. */
export const DIRENT64 = layout('dirent64', 19, {
  d_ino: ['u64', 0],
  d_off: ['s64', 8],
  d_reclen: ['u16', 16],
  d_type: ['u8', 18],
});

/** getdents(2), the fixed part: d_name follows at byte 18, d_type is the last byte of the record. */
export const LINUX_DIRENT = layout('linux_dirent', 18, {
  d_ino: ['u64', 0],
  d_off: ['u64', 8],
  d_reclen: ['u16', 16],
});

export const FLOCK = layout('flock', 32, {
  l_type: ['s16', 0],
  l_whence: ['s16', 2],
  l_start: ['s64', 8],
  l_len: ['s64', 16],
  l_pid: ['s32', 24],
});

export const F_OWNER_EX = layout('f_owner_ex', 8, { type: ['s32', 0], pid: ['s32', 4] });

export const OPEN_HOW = layout('open_how', 24, {
  flags: ['u64', 0],
  mode: ['u64', 8],
  resolve: ['u64', 16],
});

export const IOVEC = layout('iovec', 16, { iov_base: ['u64', 0], iov_len: ['u64', 8] });

/** The fixed part: f_handle follows at byte 8. */
export const FILE_HANDLE = layout('file_handle', 8, {
  handle_bytes: ['u32', 0],
  handle_type: ['s32', 4],
});

/** FS_IOC_FSGETXATTR. */
export const FSXATTR = layout('fsxattr', 28, {
  fsx_xflags: ['u32', 0],
  fsx_extsize: ['u32', 4],
  fsx_nextents: ['u32', 8],
  fsx_projid: ['u32', 12],
  fsx_cowextsize: ['u32', 16],
});

export const MOUNT_ATTR = layout('mount_attr', 32, {
  attr_set: ['u64', 0],
  attr_clr: ['u64', 8],
  propagation: ['u64', 16],
  userns_fd: ['u64', 24],
});

export const FILE_CLONE_RANGE = layout('file_clone_range', 32, {
  src_fd: ['s64', 0],
  src_offset: ['u64', 8],
  src_length: ['u64', 16],
  dest_offset: ['u64', 24],
});
