/**
 * Where an inode that came from the lower tree was found. As long as it is as it was below, it may be
 * forgotten and found again; from its first change on, its directory must hold it.
 */
import type { OverlayDirectory } from './overlay_directory.ts';
import type { OverlayInode } from './overlay_inode.ts';

export class Placement {
  private directory: OverlayDirectory | null = null;
  private name = '';
  private held = false;

  /** It was found below, in `directory`. */
  foundAt(directory: OverlayDirectory, name: string): void {
    this.directory = directory;
    this.name = name;
  }

  /** Its changes are safe: some directory has it among its own entries, or it has no name any more. */
  get isHeld(): boolean {
    return this.held;
  }

  /** Whoever calls puts it into a directory's entries himself, or takes its name away. */
  release(): void {
    this.held = true;
    this.directory = null;
  }

  /** `inode` changes: from now on the way to it is kept in memory. */
  hold(inode: OverlayInode): void {
    if (this.held) return;
    const { directory } = this;
    this.release();
    if (directory === null) return;
    directory.keep(this.name, inode);
    directory.place.hold(directory);
  }
}
