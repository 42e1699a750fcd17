/**
 * Directories of a gofer. In an exclusive tree a directory that is looked into, a large one more than a
 * few times, is listed once, with attributes, and from then on knows all its names: present ones,
 * absent ones and what stat(2) says of them.
 */

import { EINVAL, ENOENT, ENOSPC } from '../../../spec/linux/errno.ts';
import { RENAME_EXCHANGE } from '../../../spec/linux/fcntl.ts';
import { S_IFMT } from '../../../spec/linux/stat.ts';
import { P9_RDWR } from '../../../spec/p9/constants.ts';
import type { DirentPlus } from '../../../spec/p9/dirent.ts';
import type { P9Attr } from '../../../spec/p9/messages.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { BoundSocket, Inode, NewInode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { DirectoryFile, type OpenFile } from '../../vfs/open_file.ts';
import type { DirEntry } from '../../vfs/stat.ts';
import type { Ticket } from './channel.ts';
import { Child, type Known, knownOf, TYPE_SHIFT, typeOf } from './child.ts';
import { GoferInode } from './gofer_inode.ts';
import type { Watched } from './watches.ts';

const DT_DIR = 4;

/** Looking once is no reason to have a directory watched. */
const LOOKS_BEFORE_WATCHING = 2;

export class GoferDirectory extends GoferInode implements Watched {
  /** Names that are there; all of them when `complete`. Only in exclusive trees. */
  private children = new Map<string, Known>();
  private complete = false;
  private lookups = 0;
  /** The watch on this directory, in shared trees, or -1. What follows needs one. */
  wd = -1;
  used = false;
  private looks = 0;
  /** Names looked up since the last change: the inode, or null for one that is not there. */
  private readonly seen = new Map<string, GoferInode | null>();
  private listing: readonly DirEntry[] | null = null;

  override open(_caller: FsCaller, path: Path, flags: number): OpenFile {
    return new DirectoryFile(path, this, flags);
  }

  // Looking up -----------------------------------------------------------------------------------

  override lookup(name: string): Inode | number {
    if (!this.fs.exclusive) return this.knows(name, null) ? -ENOENT : this.walk(name);
    const known = this.find(name);
    if (known !== undefined) return known;
    if (this.complete) return -ENOENT;
    if (this.fs.worthListing(++this.lookups, this.attr.size)) {
      if (this.list() === 0) return this.find(name) ?? -ENOENT;
    }
    return this.walk(name);
  }

  private find(name: string): Inode | undefined | number {
    const child = this.children.get(name);
    if (child === undefined) return undefined;
    const { attr } = child;
    if (attr === null) return this.walk(name);
    // Under another name the file may have changed meanwhile.
    const linked = attr.nlink > 1 && typeOf(child) !== DT_DIR;
    if (linked && !this.fs.isLive(child.ino)) return this.walk(name);
    return this.fs.inodeOf(attr, this, name, false);
  }

  /** Asks the gofer for one name. */
  private walk(name: string): GoferInode | number {
    const fid = this.fid();
    if (fid < 0) return fid;
    const watch = this.askWatch(fid);
    const w = this.fs.client.walkGetattr(fid, [name]);
    this.beginWatch(watch);
    if (typeof w === 'number') return w;
    if (w.error === -ENOENT) this.learn(name, null);
    if (w.error < 0) return w.error;
    const inode = this.found(name, w.attrs[0]!, w.fid);
    inode.leadsTo(w.target);
    this.learn(name, inode);
    return inode;
  }

  /** The inode of a name of which the gofer just told. */
  private found(name: string, attr: P9Attr, fid: number): GoferInode {
    const inode = this.fs.inodeOf(attr, this, name);
    inode.adoptFid(fid);
    if (this.fs.exclusive) this.children.set(name, Child.of(attr));
    return inode;
  }

  /** In a shared tree: whether `name` is still this file (null: still absent), and what it is now. */
  stillHas(name: string, inode: GoferInode | null): boolean {
    if (this.knows(name, inode) && (inode === null || inode.stillThere())) {
      inode?.foundAt(this, name);
      return true;
    }
    // An absent name costs one question either way: lookup asks it.
    if (inode === null) return false;
    const fid = this.fid();
    if (fid < 0) return false;
    const watch = this.askWatch(fid);
    const w = this.fs.client.walkGetattr(fid, [name]);
    this.beginWatch(watch);
    if (typeof w === 'number' || w.error < 0) return false;
    const attr = w.attrs[0]!;
    const same = attr.qid.path === inode.ino && (attr.mode & S_IFMT) === inode.type;
    if (!same) {
      this.fs.client.clunk(w.fid);
      return false;
    }
    inode.foundAt(this, name);
    inode.update(attr);
    inode.adoptFid(w.fid);
    this.learn(name, inode);
    return true;
  }

  // Being told of changes, in shared trees -------------------------------------------------------

  /** Whether `name` is known to lead to `inode`, or, if that is null, nowhere. */
  private knows(name: string, inode: GoferInode | null): boolean {
    if (this.wd < 0) return false;
    this.fs.watches.poll();
    this.used = true;
    return this.seen.get(name) === inode;
  }

  /** What the gofer just said. Events that are older than its answer only take it away again. */
  private learn(name: string, inode: GoferInode | null): void {
    if (this.wd < 0) return;
    this.fs.watches.countName();
    this.seen.set(name, inode);
  }

  /** Asks for a watch that begins before the next question, if this directory is worth one. */
  private askWatch(fid: number): Ticket<'Twatch'> | null {
    const { watches, client, exclusive } = this.fs;
    if (exclusive || this.wd >= 0 || !watches.available) return null;
    return ++this.looks < LOOKS_BEFORE_WATCHING ? null : client.askWatch(fid);
  }

  private beginWatch(ticket: Ticket<'Twatch'> | null): void {
    if (ticket === null) return;
    const { answer, hostFd } = this.fs.client.watching(ticket);
    // Attributes from before are not covered.
    this.outdate();
    if (this.fs.watches.begin(this, answer, hostFd)) this.wd = (answer as { wd: number }).wd;
    else this.looks = answer === -ENOSPC ? 0 : Number.NEGATIVE_INFINITY;
  }

  namesChanged(): void {
    this.seen.clear();
    if (this.listing !== null) this.forgetListing();
  }

  unwatched(): void {
    this.wd = -1;
    this.looks = 0;
    this.namesChanged();
  }

  protected override get fresh(): boolean {
    if (super.fresh || this.wd < 0 || this.parent === null) return super.fresh;
    // While its name stands it was not removed, which is the one change that its own watch does not tell.
    return this.parent.knows(this.name, this) && !this.stale;
  }

  protected override refresh(): number {
    const fid = this.fid();
    if (fid < 0) return fid;
    const watch = this.askWatch(fid);
    const attr = this.fs.client.getattr(fid);
    this.beginWatch(watch);
    if (typeof attr === 'number') return attr;
    this.update(attr);
    return 0;
  }

  // Listing --------------------------------------------------------------------------------------

  override readdir(): readonly DirEntry[] | number {
    if (this.fs.exclusive) {
      if (!this.complete) {
        const r = this.list();
        if (r < 0) return r;
      }
      const entries: DirEntry[] = [];
      for (const [name, child] of this.children) {
        entries.push({ name, ino: child.ino, type: typeOf(child) });
      }
      return entries;
    }
    if (this.wd >= 0) this.fs.watches.poll();
    if (this.listing !== null) return this.listing;
    const listed = this.ask();
    if (typeof listed === 'number') return listed;
    const entries = listed.map(({ name, type, attr }) => ({ name, type, ino: attr.qid.path }));
    // Reading a directory is seen in its attributes.
    this.outdate();
    if (this.wd >= 0) {
      this.listing = entries;
      this.fs.listingKept(this, entries.length);
    }
    return entries;
  }

  /** All entries, from the gofer; on the way gets the fid if there is none. */
  private ask(): DirentPlus[] | number {
    const from = this.hasFid || this.parent === null ? -1 : this.parent.fid();
    if (from >= 0) {
      const r = this.fs.client.walkAndList(from, this.name);
      if (typeof r !== 'number' && r.walked.fid >= 0) {
        const fid = this.arrived(r.walked);
        return fid < 0 ? fid : r.entries;
      }
    }
    const fid = this.fid();
    if (fid < 0) return fid;
    const watch = this.askWatch(fid);
    const listed = this.fs.client.readdirPlus(fid);
    this.beginWatch(watch);
    return listed;
  }

  /** Fetches all names with their attributes: 0 or -errno. */
  private list(): number {
    const listed = this.ask();
    if (typeof listed === 'number') return listed;
    const before = this.children;
    this.children = new Map();
    for (const entry of listed) this.children.set(entry.name, knownOf(entry));
    // What was written through an open file may not have reached the attributes yet.
    for (const [name, child] of before) {
      const now = child.attr === null ? this.children.get(name) : undefined;
      if (now !== undefined) this.children.set(name, new Child(now.ino, typeOf(now), null));
    }
    this.complete = true;
    this.fs.listingKept(this, listed.length);
    return 0;
  }

  forgetListing(): void {
    this.fs.listingDropped(this);
    this.children = new Map();
    this.complete = false;
    this.listing = null;
    this.lookups = 0;
  }

  /** The inode of a name leaves memory: what was learnt about it stays here. */
  childForgotten(inode: GoferInode): void {
    const child = this.children.get(inode.name);
    if (child?.ino === inode.ino) {
      this.children.set(inode.name, new Child(inode.ino, inode.type >> TYPE_SHIFT, inode.known));
    }
    if (this.seen.get(inode.name) === inode) this.seen.delete(inode.name);
  }

  // Changing -------------------------------------------------------------------------------------

  /** A name was added or removed: times and link count of this directory changed. */
  private changed(): void {
    this.outdate();
    if (!this.fs.exclusive) this.namesChanged();
  }

  private made(
    name: string,
    result: { readonly fid: number; readonly attr: P9Attr } | number,
  ): GoferInode | number {
    this.changed();
    if (typeof result === 'number') return result;
    return this.found(name, result.attr, result.fid);
  }

  override create(name: string, how: NewInode): Inode | number {
    const fid = this.fid();
    if (fid < 0) return fid;
    const created = this.fs.client.create(fid, name, P9_RDWR, how);
    this.changed();
    if (typeof created === 'number') return created;
    const inode = this.found(name, created.attr, created.nodeFid);
    // The VFS opens what it creates: that needs no further question.
    inode.adoptOpened(created);
    return inode;
  }

  override mkdir(name: string, how: NewInode): Inode | number {
    const fid = this.fid();
    return fid < 0 ? fid : this.made(name, this.fs.client.mkdir(fid, name, how));
  }

  override mknod(
    name: string,
    type: number,
    how: NewInode,
    major: number,
    minor: number,
  ): Inode | number {
    const fid = this.fid();
    if (fid < 0) return fid;
    const node = { ...how, mode: type | how.mode };
    return this.made(name, this.fs.client.mknod(fid, name, node, major, minor));
  }

  override bindSocket(name: string, type: number, how: NewInode): BoundSocket | number | null {
    const { hostSockets } = this.fs;
    if (hostSockets?.binds !== true) return null;
    const fid = this.fid();
    if (fid < 0) return fid;
    const made = this.fs.client.bind(fid, name, type, how);
    this.changed();
    if (typeof made === 'number') return made;
    const socket = hostSockets.open(made.fd, type);
    return { inode: this.found(name, made.attr, made.fid), socket };
  }

  override symlink(name: string, target: string, how: NewInode): Inode | number {
    const fid = this.fid();
    return fid < 0 ? fid : this.made(name, this.fs.client.symlink(fid, name, target, how));
  }

  override link(name: string, target: Inode): number {
    const inode = target as GoferInode;
    if (inode.deleted) return -ENOENT;
    const fid = this.fid();
    const from = inode.fid();
    if (fid < 0 || from < 0) return Math.min(fid, from);
    const r = this.fs.client.link(fid, name, from);
    this.changed();
    if (r < 0) return r;
    inode.linked();
    if (this.fs.exclusive) {
      const type = inode.type >> TYPE_SHIFT;
      this.children.set(name, new Child(inode.ino, type, null));
    }
    return 0;
  }

  override unlink(name: string, victim: Inode): number {
    return this.removeName(name, victim as GoferInode, false);
  }

  override rmdir(name: string, victim: Inode): number {
    return this.removeName(name, victim as GoferInode, true);
  }

  private removeName(name: string, victim: GoferInode, directory: boolean): number {
    const fid = this.fid();
    if (fid < 0) return fid;
    victim.keepReachable();
    const r = this.fs.client.unlink(fid, name, directory);
    this.changed();
    if (r < 0) return r;
    this.children.delete(name);
    victim.unlinked();
    return 0;
  }

  override rename(
    oldName: string,
    source: Inode,
    newDir: Inode,
    newName: string,
    victim: Inode | null,
    flags: number,
  ): number {
    // 9P2000.L cannot swap two names.
    if ((flags & RENAME_EXCHANGE) !== 0) return -EINVAL;
    const to = newDir as GoferDirectory;
    const fromFid = this.fid();
    const toFid = to.fid();
    if (fromFid < 0 || toFid < 0) return Math.min(fromFid, toFid);
    if (victim !== null) (victim as GoferInode).keepReachable();
    const r = this.fs.client.rename(fromFid, oldName, toFid, newName);
    this.changed();
    to.changed();
    if (r < 0) return r;
    const moved = source as GoferInode;
    const child = this.children.get(oldName);
    this.children.delete(oldName);
    moved.foundAt(to, newName);
    moved.outdate();
    if (this.fs.exclusive && child !== undefined)
      to.children.set(newName, new Child(child.ino, typeOf(child), null));
    if (victim !== null) (victim as GoferInode).unlinked();
    return 0;
  }

  override forget(): void {
    if (this.parent !== null) {
      if (this.complete || this.listing !== null) this.forgetListing();
      this.fs.watches.end(this.wd);
    }
    super.forget();
  }
}
