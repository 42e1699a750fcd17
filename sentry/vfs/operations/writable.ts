/**
 * Whether a place may be changed at all: read-only mounts and file systems (EROFS).
 */
import { EROFS } from '../../../spec/linux/errno.ts';
import type { Path } from '../mount.ts';

/** 0, or -EROFS when nothing may change through this mount. */
export function checkWritable(at: Path): number {
  return at.mount.readonly ? -EROFS : 0;
}
