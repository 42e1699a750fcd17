/**
 * Constants of 9P2000.L (the Linux dialect of 9P) and of our extensions to it.
 *
 * Counterpart: Linux's net/9p and fs/9p; the message set is described in diod's protocol.md and
 * intro(5) of Plan 9.
 */

/** The standard dialect, and the same with the extensions listed in messages.ts. */
export const VERSION_9P2000_L = '9P2000.L';
export const VERSION_RUNSC = '9P2000.L.runsc';
/** What Rversion says to a version that the server does not speak. */
export const VERSION_UNKNOWN = 'unknown';

export const NOTAG = 0xffff;
export const NOFID = 0xffffffff;
export const NONUNAME = 0xffffffff;

/** size[4] type[1] tag[2] */
export const HEADER_SIZE = 7;
/** Room that Rread and Twrite need beside their data: header, fid[4], offset[8], count[4]. */
export const IO_HEADER_SIZE = 24;
/** Messages are never larger; smaller than MIN_MSIZE is refused because an Rgetattr must fit. */
export const MAX_MSIZE = 1024 * 1024;
export const MIN_MSIZE = 4096;
/** The most components one Twalk may carry. */
export const MAX_WALK_ELEMENTS = 16;
export const MAX_NAME_LENGTH = 255;
/** Symbolic link targets, user and attach names, versions. */
export const MAX_TEXT_LENGTH = 4096;

/** qid.type bits. */
export const QTDIR = 0x80;
export const QTSYMLINK = 0x02;
export const QTFILE = 0x00;

/** Tgetattr request_mask and Rgetattr valid bits. */
export const GETATTR_MODE = 0x0001;
export const GETATTR_NLINK = 0x0002;
export const GETATTR_UID = 0x0004;
export const GETATTR_GID = 0x0008;
export const GETATTR_RDEV = 0x0010;
export const GETATTR_ATIME = 0x0020;
export const GETATTR_MTIME = 0x0040;
export const GETATTR_CTIME = 0x0080;
export const GETATTR_INO = 0x0100;
export const GETATTR_SIZE = 0x0200;
export const GETATTR_BLOCKS = 0x0400;
export const GETATTR_BTIME = 0x0800;
export const GETATTR_GEN = 0x1000;
export const GETATTR_DATA_VERSION = 0x2000;
/** Everything stat(2) reports. */
export const GETATTR_BASIC = 0x07ff;
export const GETATTR_ALL = 0x3fff;

/** Tsetattr valid bits. Without *_SET a time is set to the server's clock. */
export const SETATTR_MODE = 0x001;
export const SETATTR_UID = 0x002;
export const SETATTR_GID = 0x004;
export const SETATTR_SIZE = 0x008;
export const SETATTR_ATIME = 0x010;
export const SETATTR_MTIME = 0x020;
export const SETATTR_CTIME = 0x040;
export const SETATTR_ATIME_SET = 0x080;
export const SETATTR_MTIME_SET = 0x100;

/** Tlopen and Tlcreate flags: the x86 values of open(2), by protocol and not by accident. */
export const P9_ACCMODE = 0o3;
export const P9_WRONLY = 0o1;
export const P9_RDWR = 0o2;
export const P9_CREATE = 0o100;
export const P9_EXCL = 0o200;
export const P9_NOCTTY = 0o400;
export const P9_TRUNC = 0o1000;
export const P9_APPEND = 0o2000;
export const P9_NONBLOCK = 0o4000;
export const P9_DSYNC = 0o10000;
export const P9_DIRECT = 0o40000;
export const P9_LARGEFILE = 0o100000;
export const P9_DIRECTORY = 0o200000;
export const P9_NOFOLLOW = 0o400000;
export const P9_NOATIME = 0o1000000;
export const P9_CLOEXEC = 0o2000000;
export const P9_SYNC = 0o4000000;
/** Extension: see messages.ts. */
export const P9_PATH = 0o10000000;

/** Tunlinkat flags. */
export const P9_AT_REMOVEDIR = 0x200;

/** Tlock and Tgetlock. */
export const LOCK_TYPE_RDLCK = 0;
export const LOCK_TYPE_WRLCK = 1;
export const LOCK_TYPE_UNLCK = 2;
export const LOCK_FLAGS_BLOCK = 1;
export const LOCK_FLAGS_RECLAIM = 2;
export const LOCK_SUCCESS = 0;
export const LOCK_BLOCKED = 1;
export const LOCK_ERROR = 2;

/** Txattrcreate flags: those of setxattr(2). */
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

/**
 * Extension: this bit of Rlopen's, Rlcreate's and Rwatch's iounit says that a host descriptor came with
 * the message (SCM_RIGHTS). The rest of the field is the I/O unit as ever.
 */
export const IOUNIT_FD_DONATED = 0x80000000;
