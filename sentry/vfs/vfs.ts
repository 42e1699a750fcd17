/**
 * What the file operations of one kernel share: the name cache, path resolution, devices, and openers
 * of objects that live in names but belong to other parts of the kernel.
 */
import { ENXIO } from '../../spec/linux/errno.ts';
import { DentryCache } from './dentry.ts';
import { type DeviceOpener, DeviceTable } from './device.ts';
import { Namei } from './namei.ts';

export class Vfs {
  readonly dentries: DentryCache;
  readonly namei: Namei;
  readonly devices = new DeviceTable();
  /**
   * Opens a named pipe; fsimpl/pipe supplies it. Answers -EAGAIN when it must wait for the other end:
   * the file then waits in the pipe's own way (see Task.waitUntil and operations/open.ts).
   */
  openFifo: DeviceOpener = () => -ENXIO;
  private lastMoveCookie = 0;

  constructor(dentries = new DentryCache()) {
    this.dentries = dentries;
    this.namei = new Namei(dentries);
  }

  /** Ties IN_MOVED_FROM and IN_MOVED_TO together. */
  nextMoveCookie(): number {
    this.lastMoveCookie = (this.lastMoveCookie + 1) >>> 0;
    return this.lastMoveCookie;
  }
}
