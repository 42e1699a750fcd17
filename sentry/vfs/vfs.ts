/**
 * What the file operations of one kernel share: the name cache, path resolution, devices, and openers
 * of objects that live in names but belong to other parts of the kernel.
 */
import { ENXIO } from '../../spec/linux/errno.ts';
import type { FsCaller } from './caller.ts';
import { DentryCache } from './dentry.ts';
import { type DeviceOpener, DeviceTable } from './device.ts';
import type { FileSystem } from './inode.ts';
import { Namei } from './namei.ts';

/** Makes a file system for mount(2): its type's mount options are in `data`; -errno on failure. */
export type FileSystemType = (
  caller: FsCaller,
  source: string,
  data: string,
) => FileSystem | number;

export class Vfs {
  readonly dentries: DentryCache;
  readonly namei: Namei;
  readonly devices = new DeviceTable();
  /**
   * Opens a named pipe; fsimpl/pipe supplies it. Answers -EAGAIN when it must wait for the other end:
   * the file then waits in the pipe's own way (see Task.waitUntil and operations/open.ts).
   */
  openFifo: DeviceOpener = () => -ENXIO;
  /** What mount(2) and the container builder can mount, by type: /proc/filesystems. */
  readonly fileSystemTypes = new Map<string, FileSystemType>();
  /** Minor numbers of file systems without a device (major 0). */
  private lastDevMinor = 30;
  private lastMoveCookie = 0;

  constructor(dentries = new DentryCache()) {
    this.dentries = dentries;
    this.namei = new Namei(dentries);
  }

  nextDevMinor(): number {
    return ++this.lastDevMinor;
  }

  /** Ties IN_MOVED_FROM and IN_MOVED_TO together. */
  nextMoveCookie(): number {
    this.lastMoveCookie = (this.lastMoveCookie + 1) >>> 0;
    return this.lastMoveCookie;
  }
}
