/** Which class stands for a lower inode, by its type. */
import type { Inode } from '../../vfs/inode.ts';
import type { Stat } from '../../vfs/stat.ts';
import type { Overlay } from './overlay.ts';
import { OverlayDirectory } from './overlay_directory.ts';
import { type OverlayInode, OverlayNode } from './overlay_inode.ts';
import { OverlayRegular } from './overlay_regular.ts';

export function wrapLower(fs: Overlay, lower: Inode, attr: Stat): OverlayInode {
  if (lower.isDirectory) return new OverlayDirectory(fs, attr.ino, attr, lower);
  if (lower.isRegular) return OverlayRegular.over(fs, attr, lower);
  return new OverlayNode(fs, attr.ino, attr.mode, attr.uid, attr.gid, null, lower, attr);
}
