/**
 * Device numbers and what opens them (Linux's chrdevs). Block devices do not exist here: opening a node
 * of one is -ENXIO.
 */
import { ENXIO } from '../../spec/linux/errno.ts';
import type { FsCaller } from './caller.ts';
import type { Path } from './mount.ts';
import type { OpenFile } from './open_file.ts';

/** `flags` are O_*, without the creation flags. */
export type DeviceOpener = (caller: FsCaller, path: Path, flags: number) => OpenFile | number;

export class DeviceTable {
  private readonly openers = new Map<number, Map<number, DeviceOpener>>();
  private readonly wholeMajors = new Map<number, DeviceOpener>();

  register(major: number, minor: number, open: DeviceOpener): void {
    let minors = this.openers.get(major);
    if (minors === undefined) this.openers.set(major, (minors = new Map()));
    minors.set(minor, open);
  }

  /** For families whose minors come and go (136: /dev/pts/N). */
  registerMajor(major: number, open: DeviceOpener): void {
    this.wholeMajors.set(major, open);
  }

  open(caller: FsCaller, path: Path, flags: number): OpenFile | number {
    const inode = path.dentry.inode;
    if (inode === null) return -ENXIO;
    const open =
      this.openers.get(inode.rdevMajor)?.get(inode.rdevMinor) ??
      this.wholeMajors.get(inode.rdevMajor);
    return open === undefined ? -ENXIO : open(caller, path, flags);
  }
}
