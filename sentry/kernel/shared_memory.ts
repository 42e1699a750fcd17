/**
 * System V shared memory (shmget(2), shmat(2)): files in memory that go by a number. Counterpart of
 * Linux's ipc/shm.c.
 *
 * Deviation: mappings split by mprotect(2) and joined again count as one attachment; Linux never joins
 * them.
 */
import { EINVAL, ENOMEM } from '../../spec/linux/errno.ts';
import { SHM_DEST, SHM_HUGETLB } from '../../spec/linux/ipc.ts';
import { FilePages } from '../mm/file_pages.ts';
import type { Mapper } from '../mm/mappable.ts';
import { pageCeil } from '../mm/page.ts';
import { IpcIds, type IpcObject, type IpcPermissions } from './ipc_ids.ts';
import type { Kernel } from './kernel.ts';
import type { Task } from './task.ts';

/** kernel.shmmni: segments there may be. */
export const SHMMNI = 4096;
/** kernel.shmmax in bytes and kernel.shmall in pages, as Linux has them unless told otherwise. */
export const SHMMAX = 18446744073692774399n;
/** What a file in memory may have; above it Linux's are refused in the same way. */
const MOST_BYTES = Number.MAX_SAFE_INTEGER;

export class Segment extends FilePages implements IpcObject {
  readonly permissions: IpcPermissions;
  /** As asked for, in bytes. */
  readonly length: number;
  /** How many mappings there are. */
  attached = 0;
  readonly creator: number;
  /** Who attached or detached last. */
  lastPid = 0;
  /** Seconds since 1970. */
  attachTime = 0;
  detachTime = 0;
  changeTime: number;
  private readonly kernel: Kernel;
  private readonly ended: (segment: Segment) => void;

  constructor(
    t: Task,
    permissions: IpcPermissions,
    length: number,
    ended: (segment: Segment) => void,
  ) {
    const name = (permissions.key >>> 0).toString(16).padStart(8, '0');
    super(t.kernel.memory, {
      devMajor: 0,
      devMinor: 1,
      get ino() {
        return permissions.id;
      },
      mapName: () => `/SYSV${name} (deleted)`,
    });
    this.permissions = permissions;
    this.length = length;
    this.size = pageCeil(length);
    this.creator = t.pid;
    this.kernel = t.kernel;
    this.changeTime = this.now;
    this.ended = ended;
  }

  private get now(): number {
    return this.kernel.clock.realtime().sec;
  }

  private used(): void {
    this.lastPid = this.kernel.current?.pid ?? this.lastPid;
  }

  override addMapping(mapper: Mapper): void {
    super.addMapping(mapper);
    this.attached++;
    this.attachTime = this.now;
    this.used();
  }

  override removeMapping(mapper: Mapper): void {
    super.removeMapping(mapper);
    this.detachTime = this.now;
    this.used();
    this.dropAttachment();
  }

  /** Lets `attach` replace the last mapping of a segment that ends with it. */
  whileHeld(attach: () => number): number {
    this.attached++;
    const r = attach();
    this.dropAttachment();
    return r;
  }

  private dropAttachment(): void {
    if (--this.attached === 0 && (this.permissions.mode & SHM_DEST) !== 0) this.ended(this);
  }

  /** IPC_SET has been done. */
  changed(): void {
    this.changeTime = this.now;
  }
}

/** The segments of one container. */
export class SharedMemory {
  readonly ids = new IpcIds<Segment>(SHMMNI);

  /** shmget(2). */
  get(t: Task, key: number, length: number, flags: number): number {
    const fits = (present: Segment): number => (present.length < length ? -EINVAL : 0);
    return this.ids.get(t.creds, key, flags, fits, (permissions) => {
      if (length < 1 || length > MOST_BYTES) return -EINVAL;
      if ((flags & SHM_HUGETLB) !== 0) return -ENOMEM;
      return new Segment(t, permissions, length, (segment) => this.end(segment));
    });
  }

  private end(segment: Segment): void {
    this.ids.remove(segment);
    segment.release();
  }

  /** IPC_RMID: now, or with the last mapping. */
  remove(segment: Segment): void {
    this.ids.forgetKey(segment);
    segment.permissions.mode |= SHM_DEST;
    if (segment.attached === 0) this.end(segment);
  }

  /** Pages of all segments: as asked for, and backed. */
  get pages(): { readonly total: number; readonly resident: number } {
    let total = 0;
    let resident = 0;
    for (const segment of this.ids.all()) {
      total += segment.size / 4096;
      resident += segment.allocatedBytes / 4096;
    }
    return { total, resident };
  }

  /** The container is gone. */
  release(): void {
    for (const segment of [...this.ids.all()]) this.remove(segment);
  }
}
