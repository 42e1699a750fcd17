/**
 * File descriptor tables (Linux's files_struct), shared by CLONE_FILES.
 */
import { EBADF, EMFILE } from '../../spec/linux/errno.ts';
import type { LockOwner } from '../vfs/file_lock.ts';
import type { OpenFile } from '../vfs/open_file.ts';

interface Slot {
  readonly file: OpenFile;
  closeOnExec: boolean;
}

export class FdTable implements LockOwner {
  /** See vfs/file_lock.ts: POSIX locks belong to the table. */
  lockWait: LockOwner | null = null;
  private readonly slots: (Slot | null)[] = [];
  /** No free descriptor is below this. */
  private lowestFree = 0;
  private refs = 1;
  /** Runs whenever a descriptor goes away: POSIX locks and epoll registrations end then. */
  onClose: ((file: OpenFile, fd: number) => void) | null = null;

  get(fd: number): OpenFile | undefined {
    return this.slots[fd]?.file;
  }

  closeOnExec(fd: number): boolean {
    return this.slots[fd]?.closeOnExec ?? false;
  }

  setCloseOnExec(fd: number, on: boolean): number {
    const slot = this.slots[fd];
    if (!slot) return -EBADF;
    slot.closeOnExec = on;
    return 0;
  }

  /**
   * Puts `file` at the lowest free descriptor >= `from` and below `limit` (RLIMIT_NOFILE); takes over
   * the caller's reference. On -EMFILE the caller keeps it.
   */
  add(file: OpenFile, closeOnExec: boolean, limit: number, from = 0): number {
    let fd = Math.max(from, this.lowestFree);
    while (this.slots[fd]) fd++;
    if (fd >= limit) return -EMFILE;
    while (this.slots.length < fd) this.slots.push(null);
    this.slots[fd] = { file, closeOnExec };
    if (from <= this.lowestFree) this.lowestFree = fd + 1;
    return fd;
  }

  /** Puts `file` at exactly `fd`, closing what was there (dup2); takes over the reference. */
  replace(fd: number, file: OpenFile, closeOnExec: boolean): void {
    while (this.slots.length < fd) this.slots.push(null);
    const old = this.slots[fd];
    this.slots[fd] = { file, closeOnExec };
    if (old) this.drop(old.file, fd);
  }

  /** close(2): 0, -EBADF, or what the file's flush reports. */
  close(fd: number): number {
    const slot = this.slots[fd];
    if (!slot) return -EBADF;
    this.slots[fd] = null;
    if (fd < this.lowestFree) this.lowestFree = fd;
    return this.drop(slot.file, fd);
  }

  private drop(file: OpenFile, fd: number): number {
    const r = file.flush();
    // POSIX locks end when their owner closes any descriptor of the file (fcntl(2)).
    file.inode.locks?.releaseOwner(this);
    this.onClose?.(file, fd);
    file.close();
    return r;
  }

  /** Descriptors in use, ascending. */
  *entries(): IterableIterator<[number, OpenFile]> {
    for (let fd = 0; fd < this.slots.length; fd++) {
      const slot = this.slots[fd];
      if (slot) yield [fd, slot.file];
    }
  }

  /** One past the highest descriptor ever used. */
  get length(): number {
    return this.slots.length;
  }

  share(): FdTable {
    this.refs++;
    return this;
  }

  get shared(): boolean {
    return this.refs > 1;
  }

  copy(): FdTable {
    const t = new FdTable();
    t.onClose = this.onClose;
    for (const slot of this.slots) {
      t.slots.push(slot ? { file: slot.file.acquire(), closeOnExec: slot.closeOnExec } : null);
    }
    t.lowestFree = this.lowestFree;
    return t;
  }

  closeAllOnExec(): void {
    for (let fd = 0; fd < this.slots.length; fd++) if (this.slots[fd]?.closeOnExec) this.close(fd);
  }

  release(): void {
    if (--this.refs > 0) return;
    for (let fd = 0; fd < this.slots.length; fd++) if (this.slots[fd]) this.close(fd);
  }
}
