/**
 * How much the pipes of a container may hold (pipe(7), "Pipe capacity" and "/proc files"). Counterpart of
 * the accounting in Linux's fs/pipe.c.
 *
 * What counts is what a pipe may take, in pages, whether it does or not.
 */
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from '../../spec/linux/capability.ts';
import { EINVAL, ENFILE, EPERM } from '../../spec/linux/errno.ts';
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import type { Credentials } from '../vfs/credentials.ts';

const DEFAULT_PAGES = 16;
/** A pipe of a user who has too many. */
const LEAST_PAGES = 2;
const MOST_BYTES = 2 ** 31;

/** The size in bytes that is had for `wanted`, or -EINVAL. */
export function roundPipeSize(wanted: number): number {
  if (wanted > MOST_BYTES) return -EINVAL;
  let size = PAGE_SIZE;
  while (size < wanted) size *= 2;
  return size;
}

export class PipeLimits {
  /** fs.pipe-max-size, bytes. */
  maxSize = 2 ** 20;
  /** fs.pipe-user-pages-soft and -hard: pages of one user, 0 for no limit. */
  softPages = 16384;
  hardPages = 0;
  /** Pages by user. */
  private readonly used = new Map<number, number>();

  /** Takes what a new pipe gets. Pages, or -ENFILE. */
  open(creds: Credentials): number {
    let pages = DEFAULT_PAGES;
    if (pages * PAGE_SIZE > this.maxSize && !creds.has(CAP_SYS_RESOURCE)) {
      pages = this.maxSize / PAGE_SIZE;
    }
    const before = this.used.get(creds.uid) ?? 0;
    if (!isPrivileged(creds)) {
      if (exceeds(before + pages, this.softPages)) pages = LEAST_PAGES;
      if (exceeds(before + pages, this.hardPages)) return -ENFILE;
    }
    this.change(creds.uid, pages);
    return pages;
  }

  /** F_SETPIPE_SZ by `creds` on a pipe of `uid` that has `pages`: 0 or -EPERM. */
  resize(creds: Credentials, uid: number, pages: number, wanted: number): number {
    if (wanted > pages) {
      if (wanted * PAGE_SIZE > this.maxSize && !creds.has(CAP_SYS_RESOURCE)) return -EPERM;
      const total = (this.used.get(uid) ?? 0) - pages + wanted;
      const tooMany = exceeds(total, this.softPages) || exceeds(total, this.hardPages);
      if (tooMany && !isPrivileged(creds)) return -EPERM;
    }
    this.change(uid, wanted - pages);
    return 0;
  }

  close(uid: number, pages: number): void {
    this.change(uid, -pages);
  }

  private change(uid: number, pages: number): void {
    const total = (this.used.get(uid) ?? 0) + pages;
    if (total === 0) this.used.delete(uid);
    else this.used.set(uid, total);
  }
}

function isPrivileged(creds: Credentials): boolean {
  return creds.has(CAP_SYS_RESOURCE) || creds.has(CAP_SYS_ADMIN);
}

function exceeds(pages: number, limit: number): boolean {
  return limit > 0 && pages > limit;
}
