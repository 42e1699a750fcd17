/**
 * Who watches an inode (inotify(7)), and the events that file operations report. Linux's counterpart is
 * fs/notify. Nearly no inode is watched, so every report begins with two null tests.
 */
import {
  IN_CLOSE_NOWRITE,
  IN_CLOSE_WRITE,
  IN_DELETE_SELF,
  IN_EXCL_UNLINK,
  IN_ISDIR,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
} from '../../spec/linux/inotify.ts';
import type { Dentry } from './dentry.ts';
import type { Inode } from './inode.ts';

/** One interest in one inode; fsimpl/inotify implements it. */
export interface Watch {
  /** IN_* of interest and the flags of inotify_add_watch(2). */
  readonly mask: number;
  /** `name` is '' for events of the inode itself. */
  notify(mask: number, cookie: number, name: string): void;
  /** The inode is gone (IN_DELETE_SELF was reported) or its file system was unmounted. */
  gone(): void;
}

export class WatchList {
  private readonly watches = new Set<Watch>();

  get empty(): boolean {
    return this.watches.size === 0;
  }
  add(watch: Watch): void {
    this.watches.add(watch);
  }
  remove(watch: Watch): void {
    this.watches.delete(watch);
  }

  /** `unlinked`: the subject has no name any more, which IN_EXCL_UNLINK watches ignore. */
  notify(mask: number, cookie: number, name: string, unlinked = false): void {
    for (const w of [...this.watches]) {
      if ((w.mask & mask & ~IN_ISDIR) === 0) continue;
      if (unlinked && (w.mask & IN_EXCL_UNLINK) !== 0) continue;
      w.notify(mask, cookie, name);
    }
  }

  gone(): void {
    for (const w of [...this.watches]) w.gone();
    this.watches.clear();
  }
}

/** Reports something that happened to the file at `d`: to its own watchers and to its directory's. */
export function notifyFile(d: Dentry, mask: number): void {
  const inode = d.inode;
  const parent = d.isRoot ? null : (d.parent.inode?.watches ?? null);
  if (inode === null || (inode.watches === null && parent === null)) return;
  const event = inode.isDirectory ? mask | IN_ISDIR : mask;
  parent?.notify(event, 0, d.name, d.detached);
  inode.watches?.notify(event, 0, '');
}

/** Reports a change of the entry `name` in `dir`. */
export function notifyEntry(dir: Inode, mask: number, name: string, isDirectory: boolean): void {
  dir.watches?.notify(isDirectory ? mask | IN_ISDIR : mask, 0, name);
}

/** Reports a change of an inode that reaches only its own watchers (IN_DELETE_SELF, link counts). */
export function notifyInode(inode: Inode, mask: number): void {
  inode.watches?.notify(inode.isDirectory ? mask | IN_ISDIR : mask, 0, '');
}

/**
 * The last name and the last opening of an inode are gone; so are its watches. IN_ISDIR never comes with
 * IN_DELETE_SELF and IN_MOVE_SELF.
 */
export function notifyGone(inode: Inode): void {
  const { watches } = inode;
  if (watches === null) return;
  watches.notify(IN_DELETE_SELF, 0, '');
  watches.gone();
  inode.watches = null;
}

/** Reports a rename; `cookie` ties the two halves together. */
export function notifyMove(
  moved: Inode,
  oldDir: Inode,
  oldName: string,
  newDir: Inode,
  newName: string,
  cookie: number,
): void {
  const directory = moved.isDirectory ? IN_ISDIR : 0;
  oldDir.watches?.notify(IN_MOVED_FROM | directory, cookie, oldName);
  newDir.watches?.notify(IN_MOVED_TO | directory, cookie, newName);
  moved.watches?.notify(IN_MOVE_SELF, 0, '');
}

/** Reports the end of an open file. */
export function notifyClose(d: Dentry, writable: boolean): void {
  notifyFile(d, writable ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
}
