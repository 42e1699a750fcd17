/**
 * What a file must offer to be mapped (mmap(2)): where its pages are, and a register of who maps it,
 * so that truncation can take pages away.
 *
 * Two kinds of backing. Pages in the MemoryFile (tmpfs, shared anonymous memory, memfd): the
 * application maps the very pages that read(2) copies from. Pages of a host file (donated by the
 * gofer): the application maps the host descriptor itself.
 */

/** Extent.fd of pages that lie in the MemoryFile. */
export const IN_MEMORY_FILE = -1;

/** Where a run of file pages is. Filled in by Mappable.translate. */
export interface Extent {
  /** IN_MEMORY_FILE, or a host descriptor that stays open while anything is mapped. */
  fd: number;
  /** Page-aligned byte offset in the MemoryFile or in the host file. */
  offset: number;
  /** Bytes from there, a multiple of the page size. */
  length: number;
}

/** The part of a MemoryManager that files talk to. */
export interface Mapper {
  /**
   * Forgets the pages of [start, end) of `file` (page-aligned file offsets), so that the next touch
   * asks `translate` again. `evenPrivate`: also private copies, as truncate(2) does.
   */
  invalidate(file: Mappable, start: number, end: number, evenPrivate: boolean): void;
  /** write(2) has changed `file`. What is mapped are its own pages: this matters to copies of them. */
  written(file: Mappable): void;
}

export interface Mappable {
  /** The same object for all openings of one inode: the key of shared futexes. */
  readonly identity: object;
  /** st_dev and st_ino as /proc/PID/maps shows them. */
  readonly devMajor: number;
  readonly devMinor: number;
  readonly ino: number;
  /** The path that /proc/PID/maps shows (a byte string), with ' (deleted)' when it is. */
  mapName(): string;

  /**
   * Finds the run of pages that begins at file offset `offset` (page-aligned) and is at most
   * `length` bytes. `write`: the pages will be written through a shared mapping. Returns 0, or -errno:
   * -ENXIO when `offset` is past the page that holds the end of the file (SIGBUS), -ENOSPC, -EIO.
   */
  translate(offset: number, length: number, write: boolean, into: Extent): number;

  /** One more mapping by `mapper`; each is balanced by a removeMapping. */
  addMapping(mapper: Mapper): void;
  removeMapping(mapper: Mapper): void;

  /** msync(2) MS_SYNC and the like. 0 or -errno. */
  syncRange(offset: number, length: number): number;
  /** madvise(2) MADV_REMOVE: frees the pages, leaving a hole. 0 or -errno. */
  removeRange(offset: number, length: number): number;
}

/** Register of mappings for implementers of Mappable. */
export class MappingSet {
  private readonly counts = new Map<Mapper, number>();

  get empty(): boolean {
    return this.counts.size === 0;
  }

  /** True when this is the first mapping of all. */
  add(mapper: Mapper): boolean {
    const first = this.counts.size === 0;
    this.counts.set(mapper, (this.counts.get(mapper) ?? 0) + 1);
    return first;
  }

  /** True when this was the last mapping of all. */
  remove(mapper: Mapper): boolean {
    const count = this.counts.get(mapper);
    if (count === undefined) throw new Error('MappingSet: unbalanced removal');
    if (count > 1) this.counts.set(mapper, count - 1);
    else this.counts.delete(mapper);
    return this.counts.size === 0;
  }

  invalidate(file: Mappable, start: number, end: number, evenPrivate: boolean): void {
    for (const mapper of this.counts.keys()) mapper.invalidate(file, start, end, evenPrivate);
  }

  written(file: Mappable): void {
    for (const mapper of this.counts.keys()) mapper.written(file);
  }
}
