/**
 * File attributes as the kernel keeps them (inode(7)).
 */

/** A point in time. Two fields because nanoseconds since 1970 do not fit a Number exactly. */
export interface Timestamp {
  readonly sec: number;
  readonly nsec: number;
}

/** What stat(2) reports, before encoding. Sizes in bytes, blocks in 512-byte units. */
export interface Stat {
  readonly devMajor: number;
  readonly devMinor: number;
  readonly ino: number;
  /** File type and permission bits (S_IF* | 07777). */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atime: Timestamp;
  readonly mtime: Timestamp;
  readonly ctime: Timestamp;
  /** Creation time where the file system keeps one. */
  readonly btime: Timestamp | null;
}

/** Changes for setattr: only the fields present are applied. Permission was checked by the caller. */
export interface SetAttr {
  /** Permission bits only (07777). */
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  atime?: Timestamp;
  mtime?: Timestamp;
}

/** statfs(2) numbers; blocks in units of `bsize` bytes. */
export interface StatFs {
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly namelen: number;
}

/** One entry of a directory listing. `type` is DT_*. */
export interface DirEntry {
  readonly name: string;
  readonly ino: number;
  readonly type: number;
}
