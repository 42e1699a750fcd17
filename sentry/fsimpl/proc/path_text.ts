/**
 * Paths as /proc shows them: from the reader's root, with ' (deleted)' after names that are gone.
 */
import type { Kernel } from '../../kernel/kernel.ts';
import { type Path, pathText } from '../../vfs/mount.ts';

export function shownPath(kernel: Kernel, path: Path): string {
  const reader = kernel.current;
  const seen = reader === null ? null : reader.fs.mounts.pathname(path, reader.fs.root);
  const text = seen ?? pathText(path);
  return path.dentry.detached && !path.dentry.isRoot ? `${text} (deleted)` : text;
}

/** Characters of `special` and the backslash as octal escapes (proc_pid_mounts(5), fstab(5)). */
export function escapeOctal(text: string, special: string): string {
  let escaped = '';
  for (const c of text) {
    const octal = special.includes(c) || c === '\\';
    escaped += octal ? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}` : c;
  }
  return escaped;
}
