/**
 * What the 9P server needs from whoever holds the files. Every call is synchronous and answers with
 * an object, a count, or a negative errno. Names are byte strings of one component that is neither
 * empty, "." nor "..": the dispatcher checked.
 */
import type { Fields, P9Attr, Qid } from '../../spec/p9/messages.ts';

/** One tree that can be attached to. */
export interface Backend {
  /** A new reference to the root of the tree. */
  attach(): FileNode | number;
  /** A new queue of what happens in directories of the tree, or -errno. */
  watches(): Watches | number;
}

/** Directories watched for a client, and the queue of what happens there. */
export interface Watches {
  /** The host descriptor that the client reads events from. */
  readonly donation: number;
  /** Watches a directory: a watch descriptor, or -errno. */
  add(directory: FileNode): number;
  remove(wd: number): number;
  close(): void;
}

/** Who owns what is created. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface DirectoryEntry {
  readonly name: string;
  /** DT_*. */
  readonly type: number;
  readonly qid: Qid;
}

export interface FileStatfs {
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly namelen: number;
}

/** A file in the tree, open or not. Owned by one fid and released by it. */
export interface FileNode {
  readonly qid: Qid;
  /** S_IFMT bits: a file's type never changes. */
  readonly fileType: number;
  /** A host descriptor that tells the file's attributes and no more, for the client; or -1. */
  readonly pathDonation: number;
  clone(): FileNode;
  /**
   * Never follows a symbolic link. Writes the attributes of what is found to `into`, from byte `at` on, as the body
   * of an Rgetattr.
   */
  walk(name: string, into?: Uint8Array | null, at?: number): FileNode | number;
  /** Writes its own: 0 or -errno. */
  tell(into: Uint8Array): number;
  /** Opens a regular file in this directory with P9_* flags, and follows nothing. */
  openChild(name: string, flags: number): OpenedChild | number;
  getattr(): P9Attr | number;
  setattr(changes: Fields<'Tsetattr'>): number;
  /** Opens with P9_* flags. Only regular files and directories can be. */
  open(flags: number): OpenNode | number;
  create(name: string, flags: number, mode: number, owner: Owner): CreatedFile | number;
  mkdir(name: string, mode: number, owner: Owner): Qid | number;
  /** A regular file, fifo or socket; `mode` says which. */
  mknod(name: string, mode: number, owner: Owner): Qid | number;
  symlink(name: string, target: string, owner: Owner): Qid | number;
  /** A new socket of SOCK_* `type` that is connected to this one. */
  connect(type: number): OpenSocket | number;
  /** A new socket, bound to `name` in this directory. */
  bind(name: string, type: number, mode: number, owner: Owner): OpenSocket | number;
  /** A host descriptor of this fifo, open with O_RDONLY, O_WRONLY or O_RDWR, that does not wait. */
  openFifo(access: number): number;
  readlink(): string | number;
  link(name: string, target: FileNode): number;
  rename(oldName: string, newDirectory: FileNode, newName: string): number;
  unlink(name: string, removeDirectory: boolean): number;
  /** Moves this very file, wherever its name came from; ENOENT when it is not there any more. */
  renameSelf(newDirectory: FileNode, newName: string): number;
  removeSelf(): number;
  getXattr(name: string): Uint8Array | number;
  /** All names, also those no client may see. */
  listXattr(): readonly string[] | number;
  setXattr(name: string, value: Uint8Array, flags: number): number;
  removeXattr(name: string): number;
  statfs(): FileStatfs | number;
  release(): void;
}

/** An open file on its way to the client: whoever gets it owns the descriptor. */
export interface OpenedChild {
  readonly fd: number;
  readonly qid: Qid;
}

export interface CreatedFile {
  readonly node: FileNode;
  readonly open: OpenNode;
}

/** A host socket on its way to the client. */
export interface OpenSocket {
  readonly fd: number;
  close(): void;
}

/** An open regular file or directory. */
export interface OpenNode {
  /** The host descriptor that may be given to the client, or -1. */
  readonly donation: number;
  read(into: Uint8Array, offset: number): number;
  write(from: Uint8Array, offset: number): number;
  fsync(): number;
  /** Never waits: -EAGAIN when another holds the range. A length of 0 reaches to the end. */
  lock(type: number, start: number, length: number): number;
  getLock(type: number, start: number, length: number): FileLock | number;
  /** The entry at `index`, null behind the last. Cheap for ascending indices. */
  entryAt(index: number): DirectoryEntry | null | number;
  /**
   * Writes the next entries of a directory to `into` as records of an Rreaddirplus, and whether there may
   * be more to `status`: how many bytes, or -errno. Begins at the first entry, and never again.
   */
  listInto(into: Uint8Array, status: { more: boolean }): number;
  close(): void;
}

/** Who stands in the way of a lock (LOCK_TYPE_UNLCK: nobody). */
export interface FileLock {
  readonly type: number;
  readonly start: number;
  readonly length: number;
  readonly pid: number;
}
