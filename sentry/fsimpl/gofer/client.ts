/**
 * A 9P2000.L client with typed operations: objects or -errno, never an exception. What a server lacks
 * of our extensions is made up with plain 9P2000.L, so any 9P2000.L server can be a volume.
 *
 * Fids are numbers that the caller clunks. Host descriptors that come with replies belong to the
 * caller; each was checked to be a regular file, open as asked for.
 */
import * as fs from '../../../native/fs.ts';
import { modeOf } from '../../../native/stat.ts';
import { EIO, EOPNOTSUPP, EPROTO } from '../../../spec/linux/errno.ts';
import { F_GETFL, O_ACCMODE, O_NONBLOCK, O_PATH, O_RDWR } from '../../../spec/linux/fcntl.ts';
import { S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../../spec/linux/stat.ts';
import * as p9 from '../../../spec/p9/constants.ts';
import { type DirentPlus, decodeDirents, decodeDirentsPlus } from '../../../spec/p9/dirent.ts';
import type { Fields, P9Attr } from '../../../spec/p9/messages.ts';
import { Channel, type Ticket } from './channel.ts';
import { Session, type Walked } from './session.ts';

const DT_SHIFT = 12;
/** The most entries of one directory that are listed; more are a hostile server's. */
const MAX_ENTRIES = 4 * 1024 * 1024;

export interface Opened {
  /** The open fid, to be clunked; -1 when `hostFd` makes it needless. */
  readonly fid: number;
  /** The file on the host, or -1 when the server donates none. */
  readonly hostFd: number;
}

export interface Created extends Opened {
  /** An unopened fid of the new file, and its attributes. */
  readonly nodeFid: number;
  readonly attr: P9Attr;
}

/** Owner and mode of what is created. */
export interface Creation {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export class Client extends Session {
  private ownerUid = -1;

  /** Agrees on a version over the connected socket `fd`, which is taken over. */
  static connect(fd: number, versions = [p9.VERSION_RUNSC, p9.VERSION_9P2000_L]): Client | number {
    const channel = new Channel(fd);
    for (const version of versions) {
      const r = channel.call('Tversion', { msize: p9.MAX_MSIZE, version }, p9.NOTAG);
      if (typeof r === 'number') break;
      if (r.version !== version) continue;
      if (r.msize < p9.MIN_MSIZE || r.msize > p9.MAX_MSIZE) break;
      channel.msize = r.msize;
      channel.tellsCpu = version === p9.VERSION_RUNSC;
      return new Client(channel, version === p9.VERSION_RUNSC);
    }
    channel.die();
    return -EPROTO;
  }

  setattr(changes: Fields<'Tsetattr'>): number {
    return status(this.channel.call('Tsetattr', changes));
  }

  /** Opens the file of `fid` (which stays as it is) with P9_* flags. */
  open(fid: number, flags: number): Opened | number {
    return this.withRoom(fid, () => this.openOnce(fid, flags));
  }

  private openOnce(fid: number, flags: number): Opened | number {
    const newfid = this.newFid();
    const w = this.channel.queue('Twalk', { fid, newfid, names: [] });
    const o = this.channel.queue('Tlopen', { fid: newfid, flags });
    const walked = this.channel.receive(w);
    const opened = this.channel.receive(o);
    const hostFd = this.channel.hostFd;
    if (typeof walked === 'number') this.unusedFid(newfid);
    else if (typeof opened === 'number') this.clunk(newfid);
    if (typeof walked === 'number' || typeof opened === 'number') {
      // A server that fails the walk but opens and donates all the same.
      if (hostFd >= 0) fs.close(hostFd);
      return typeof walked === 'number' ? walked : (opened as number);
    }
    return this.usable(newfid, hostFd, flags);
  }

  /**
   * Opens regular file `name` of directory `from`, in one message: the file's number and host descriptor.
   * -EOPNOTSUPP when the server gives no descriptors.
   */
  openAt(
    from: number,
    name: string,
    flags: number,
  ): { readonly ino: number; readonly opened: Opened } | number {
    if (!this.extended) return -EOPNOTSUPP;
    return this.withRoom(from, () => {
      const r = this.channel.call('Twalkopen', { fid: from, name, flags });
      const { hostFd } = this.channel;
      if (typeof r === 'number') return r;
      if (hostFd < 0) return this.broken();
      const opened = this.usable(-1, hostFd, flags);
      return typeof opened === 'number' ? opened : { ino: r.qid.path, opened };
    });
  }

  /**
   * A descriptor that tells the attributes of the regular file of `fid` and nothing else, or -errno. The
   * fid stays as it is.
   */
  look(fid: number): number {
    if (!this.extended) return -EOPNOTSUPP;
    const opened = this.channel.call('Tlopen', { fid, flags: p9.P9_PATH });
    if (typeof opened === 'number') return opened;
    const { hostFd } = this.channel;
    const regular = hostFd >= 0 && isA(S_IFREG, hostFd);
    if (regular && (fs.fcntl(hostFd, F_GETFL) & O_PATH) !== 0) return hostFd;
    if (hostFd >= 0) fs.close(hostFd);
    return this.broken();
  }

  /** Asks for events of the directory of `fid`, before whatever is asked next. */
  askWatch(fid: number): Ticket<'Twatch'> {
    return this.extended ? this.channel.queue('Twatch', { fid }) : -EOPNOTSUPP;
  }

  /** The answer, and the descriptor that may come with it, which is the caller's. */
  watching(ticket: Ticket<'Twatch'>): { answer: Fields<'Rwatch'> | number; hostFd: number } {
    const answer = this.channel.receive(ticket);
    return { answer, hostFd: this.channel.hostFd };
  }

  unwatch(wd: number): void {
    this.channel.post('Tunwatch', { wd });
  }

  /** Checks a donated descriptor; without one the fid stays open for reading and writing by 9P. */
  private usable(fid: number, hostFd: number, flags: number): Opened | number {
    if (hostFd < 0) return { fid, hostFd };
    this.clunk(fid);
    const how = fs.fcntl(hostFd, F_GETFL);
    if (isA(S_IFREG, hostFd) && (how & p9.P9_ACCMODE) === (flags & p9.P9_ACCMODE))
      return { fid: -1, hostFd };
    fs.close(hostFd);
    return this.broken();
  }

  private setOwner(uid: number): void {
    if (!this.extended || uid === this.ownerUid) return;
    this.channel.post('Tsetowner', { uid });
    this.ownerUid = uid;
  }

  /** Makes a regular file that must not exist, and opens it with P9_* flags. */
  create(directory: number, name: string, flags: number, how: Creation): Created | number {
    this.setOwner(how.uid);
    const created = this.withRoom(directory, () => this.createOnce(directory, name, flags, how));
    if (typeof created === 'number') return created;
    const node = this.lookupNew(directory, name, how);
    if (typeof node !== 'number') return { ...created, nodeFid: node.fid, attr: node.attr };
    this.clunk(created.fid);
    if (created.hostFd >= 0) fs.close(created.hostFd);
    return node;
  }

  private createOnce(
    directory: number,
    name: string,
    flags: number,
    how: Creation,
  ): Opened | number {
    const fid = this.newFid();
    const w = this.channel.queue('Twalk', { fid: directory, newfid: fid, names: [] });
    const creation = { fid, name, flags: flags | p9.P9_CREATE | p9.P9_EXCL };
    const c = this.channel.queue('Tlcreate', { ...creation, mode: how.mode, gid: how.gid });
    const walked = this.channel.receive(w);
    const created = this.channel.receive(c);
    const { hostFd } = this.channel;
    if (typeof walked === 'number') this.unusedFid(fid);
    else if (typeof created === 'number') this.clunk(fid);
    if (typeof walked === 'number' || typeof created === 'number') {
      if (hostFd >= 0) fs.close(hostFd);
      return typeof walked === 'number' ? walked : (created as number);
    }
    return this.usable(fid, hostFd, flags);
  }

  /** The fid and attributes of what was just made. */
  private lookupNew(
    directory: number,
    name: string,
    how: Creation,
  ): { readonly fid: number; readonly attr: P9Attr } | number {
    const w = this.walkGetattr(directory, [name]);
    if (typeof w === 'number') return w;
    const attr = w.attrs[0];
    if (w.error < 0 || attr === undefined) return w.error < 0 ? w.error : -EIO;
    if (this.extended || attr.uid === how.uid) return { fid: w.fid, attr };
    // Plain 9P2000.L gives everything to the user of the attach.
    const { uid } = how;
    const link = (attr.mode & S_IFMT) === S_IFLNK;
    const mode = how.mode & 0o7777;
    // The change of owner takes set-user-ID bits away, so the mode is said again.
    const valid = p9.SETATTR_UID | (link ? 0 : p9.SETATTR_MODE);
    this.setattr({ ...NO_CHANGES, fid: w.fid, valid, uid, mode });
    return { fid: w.fid, attr: { ...attr, uid } };
  }

  /** Makes a directory; answers with its fid and attributes. */
  mkdir(dfid: number, name: string, how: Creation) {
    this.setOwner(how.uid);
    const { mode, gid } = how;
    const r = this.channel.call('Tmkdir', { dfid, name, mode, gid });
    return typeof r === 'number' ? r : this.lookupNew(dfid, name, how);
  }

  /** Makes a fifo, socket or regular file; `how.mode` includes the type. */
  mknod(dfid: number, name: string, how: Creation, major: number, minor: number) {
    this.setOwner(how.uid);
    const { mode, gid } = how;
    const r = this.channel.call('Tmknod', { dfid, name, mode, major, minor, gid });
    return typeof r === 'number' ? r : this.lookupNew(dfid, name, how);
  }

  /** A new host socket of SOCK_* `type`, connected to the one that `fid` is; or -errno. */
  connect(fid: number, type: number): number {
    return this.endFrom(this.channel.call('Tconnect', { fid, type }), S_IFSOCK, O_RDWR);
  }

  /** A new host descriptor of the fifo that `fid` is, with O_* `access`; or -errno. */
  openFifo(fid: number, access: number): number {
    return this.endFrom(this.channel.call('Tfifo', { fid, access }), S_IFIFO, access);
  }

  /** A new host socket, bound to `name`; its descriptor, and the fid and attributes of the name. */
  bind(dfid: number, name: string, type: number, how: Creation) {
    this.setOwner(how.uid);
    const { mode, gid } = how;
    const reply = this.channel.call('Tbind', { dfid, name, type, mode, gid });
    const fd = this.endFrom(reply, S_IFSOCK, O_RDWR);
    if (fd < 0) return fd;
    const made = this.lookupNew(dfid, name, how);
    if (typeof made !== 'number') return { ...made, fd };
    fs.close(fd);
    return made;
  }

  /** The socket or fifo that came with a reply: one that would have us wait is no answer. */
  private endFrom(reply: object | number, type: number, access: number): number {
    const fd = this.channel.hostFd;
    if (typeof reply === 'number') return reply;
    if (fd < 0) return this.broken();
    const how = fs.fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK);
    if (isA(type, fd) && how === (access | O_NONBLOCK)) return fd;
    fs.close(fd);
    return this.broken();
  }

  symlink(fid: number, name: string, target: string, how: Creation) {
    this.setOwner(how.uid);
    const r = this.channel.call('Tsymlink', { fid, name, target, gid: how.gid });
    return typeof r === 'number' ? r : this.lookupNew(fid, name, how);
  }

  link(dfid: number, name: string, fid: number): number {
    return status(this.channel.call('Tlink', { dfid, fid, name }));
  }

  rename(olddirfid: number, oldname: string, newdirfid: number, newname: string): number {
    return status(this.channel.call('Trenameat', { olddirfid, oldname, newdirfid, newname }));
  }

  unlink(dfid: number, name: string, removeDirectory: boolean): number {
    const flags = removeDirectory ? p9.P9_AT_REMOVEDIR : 0;
    return status(this.channel.call('Tunlinkat', { dfid, name, flags }));
  }

  readlink(fid: number): string | number {
    const r = this.channel.call('Treadlink', { fid });
    return typeof r === 'number' ? r : r.target;
  }

  statfs(fid: number): Fields<'Rstatfs'> | number {
    return this.channel.call('Tstatfs', { fid });
  }

  private get maxData(): number {
    return this.channel.msize - p9.IO_HEADER_SIZE;
  }

  /** All entries of directory `fid` but "." and "..", with attributes. */
  readdirPlus(fid: number): DirentPlus[] | number {
    return this.withRoom(fid, () =>
      this.extended ? this.listed(fid, this.askListing(fid, 0)) : this.readdirPlain(fid),
    );
  }

  /** Walks to `name` and lists it, in one exchange. The walk may succeed and the listing not. */
  walkAndList(
    from: number,
    name: string,
  ): { readonly walked: Walked; readonly entries: DirentPlus[] | number } | number {
    if (!this.extended) {
      const walked = this.walkGetattr(from, [name]);
      if (typeof walked === 'number') return walked;
      return { walked, entries: walked.fid < 0 ? walked.error : this.readdirPlain(walked.fid) };
    }
    const newfid = this.newFid();
    const names = [name];
    const walk = this.channel.queue('Twalkgetattr', { fid: from, newfid, names });
    const list = this.askListing(newfid, 0);
    const walked = this.walked(walk, newfid, names);
    if (typeof walked !== 'number') return { walked, entries: this.listed(newfid, list) };
    this.channel.receive(list);
    return walked;
  }

  private askListing(fid: number, offset: number): Ticket<'Treaddirplus'> {
    return this.channel.queue('Treaddirplus', { fid, offset, count: this.maxData });
  }

  /** Collects a listing whose first part was asked for. */
  private listed(fid: number, first: Ticket<'Treaddirplus'>): DirentPlus[] | number {
    const entries: DirentPlus[] = [];
    for (let offset = 0, ticket = first; ; ticket = this.askListing(fid, offset)) {
      const r = this.channel.receive(ticket);
      if (typeof r === 'number') return r;
      const some = decodeDirentsPlus(r.data);
      if (some === null || entries.length + some.length > MAX_ENTRIES) return this.broken();
      for (const entry of some) entries.push(entry);
      if (r.next === 0) return entries;
      if (r.next <= offset || some.length === 0) return this.broken();
      offset = r.next;
    }
  }

  private readdirPlain(fid: number): DirentPlus[] | number {
    const opened = this.open(fid, p9.P9_DIRECTORY);
    if (typeof opened === 'number') return opened;
    if (opened.hostFd >= 0) {
      // A regular file in the place of a directory.
      fs.close(opened.hostFd);
      return this.broken();
    }
    const names: string[] = [];
    let error = 0;
    for (let offset = 0; ; ) {
      const r = this.channel.call('Treaddir', { fid: opened.fid, offset, count: this.maxData });
      if (typeof r === 'number') {
        error = r;
        break;
      }
      const some = decodeDirents(r.data);
      if (some === null || names.length + some.length > MAX_ENTRIES) return this.broken();
      const last = some.at(-1);
      if (last === undefined) break;
      for (const { name } of some) if (name !== '.' && name !== '..') names.push(name);
      offset = last.offset;
    }
    this.clunk(opened.fid);
    return error < 0 ? error : this.attributesOf(fid, names);
  }

  private attributesOf(fid: number, names: readonly string[]): DirentPlus[] | number {
    const entries: DirentPlus[] = [];
    for (const name of names) {
      const w = this.walkGetattr(fid, [name]);
      if (typeof w === 'number') return w;
      this.clunk(w.fid);
      const attr = w.attrs[0];
      if (attr !== undefined) entries.push({ name, attr, type: (attr.mode >> DT_SHIFT) & 0xf });
    }
    return entries;
  }

  /** Reads by 9P, for files whose server donates no descriptor. Bytes read, or -errno. */
  read(fid: number, into: Uint8Array, offset: number): number {
    const count = Math.min(into.length, this.maxData);
    const r = this.channel.call('Tread', { fid, offset, count });
    if (typeof r === 'number') return r;
    if (r.data.length > count) return this.broken();
    into.set(r.data);
    return r.data.length;
  }

  write(fid: number, from: Uint8Array, offset: number): number {
    const data = from.subarray(0, this.maxData);
    const r = this.channel.call('Twrite', { fid, offset, data });
    if (typeof r === 'number') return r;
    return r.count > data.length ? this.broken() : r.count;
  }

  fsync(fid: number, dataOnly: boolean): number {
    return status(this.channel.call('Tfsync', { fid, datasync: dataOnly ? 1 : 0 }));
  }

  /** An advisory lock on open `fid`: LOCK_SUCCESS, LOCK_BLOCKED or LOCK_ERROR, or -errno. */
  lock(fid: number, type: number, start: number, length: number, procId: number): number {
    const fields = { fid, type, flags: 0, start, length, procId, clientId: 'runsc' };
    const r = this.channel.call('Tlock', fields);
    return typeof r === 'number' ? r : r.status;
  }

  getLock(fid: number, type: number, start: number, length: number, procId: number) {
    const fields = { fid, type, start, length, procId, clientId: 'runsc' };
    return this.channel.call('Tgetlock', fields);
  }

  /** An extended attribute's value; of the empty name: all names, each NUL-terminated. */
  getXattr(from: number, name: string): Uint8Array | number {
    return this.withRoom(from, () => this.getXattrOnce(from, name));
  }

  private getXattrOnce(from: number, name: string): Uint8Array | number {
    const fid = this.newFid();
    const r = this.channel.call('Txattrwalk', { fid: from, newfid: fid, name });
    if (typeof r === 'number') {
      this.unusedFid(fid);
      return r;
    }
    const value = this.readValue(fid, r.size);
    this.clunk(fid);
    return value;
  }

  private readValue(fid: number, size: number): Uint8Array | number {
    // XATTR_SIZE_MAX and XATTR_LIST_MAX.
    if (size > 65536) return this.broken();
    const value = new Uint8Array(size);
    for (let done = 0; done < size; ) {
      const n = this.read(fid, value.subarray(done), done);
      if (n <= 0) return n < 0 ? n : -EIO;
      done += n;
    }
    return value;
  }

  /** `flags` are XATTR_CREATE, XATTR_REPLACE. */
  setXattr(from: number, name: string, value: Uint8Array, flags: number): number {
    return this.withRoom<number>(from, () => this.setXattrOnce(from, name, value, flags));
  }

  private setXattrOnce(from: number, name: string, value: Uint8Array, flags: number): number {
    const fid = this.newFid();
    const w = this.channel.queue('Twalk', { fid: from, newfid: fid, names: [] });
    const c = this.channel.queue('Txattrcreate', { fid, name, size: value.length, flags });
    const walked = this.channel.receive(w);
    const created = this.channel.receive(c);
    if (typeof walked === 'number') {
      this.unusedFid(fid);
      return walked;
    }
    if (typeof created === 'number') {
      this.clunk(fid);
      return created;
    }
    for (let done = 0; done < value.length; ) {
      const n = this.write(fid, value.subarray(done), done);
      if (n <= 0) {
        this.clunk(fid);
        return n < 0 ? n : -EIO;
      }
      done += n;
    }
    // The clunk stores the value, so its outcome counts.
    const result = status(this.channel.call('Tclunk', { fid }));
    this.unusedFid(fid);
    return result;
  }

  removeXattr(fid: number, name: string): number {
    return this.setXattr(fid, name, new Uint8Array(0), p9.XATTR_REPLACE);
  }
}

/** A Tsetattr that changes nothing: fill in `fid`, `valid` and what it names. */
export const NO_CHANGES: Fields<'Tsetattr'> = {
  fid: 0,
  valid: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  atimeSec: 0,
  atimeNsec: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
};

/** Whether a descriptor is of a file of S_IFMT type `type`. */
function isA(type: number, fd: number): boolean {
  const mode = modeOf(fd);
  return mode >= 0 && (mode & S_IFMT) === type;
}

function status(reply: object | number): number {
  return typeof reply === 'number' ? reply : 0;
}
