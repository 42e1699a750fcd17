/**
 * Root, working directory and umask: what CLONE_FS shares (Linux's fs_struct).
 */
import type { MountNamespace, Path } from './mount.ts';
import { pin, unpin } from './mount.ts';

export class FsContext {
  root: Path;
  cwd: Path;
  umask: number;
  mounts: MountNamespace;
  private refs = 1;

  constructor(mounts: MountNamespace, root: Path, cwd: Path, umask: number) {
    this.mounts = mounts;
    this.root = pin(root);
    this.cwd = pin(cwd);
    this.umask = umask;
  }

  setCwd(path: Path): void {
    pin(path);
    unpin(this.cwd);
    this.cwd = path;
  }

  setRoot(path: Path): void {
    pin(path);
    unpin(this.root);
    this.root = path;
  }

  share(): FsContext {
    this.refs++;
    return this;
  }

  copy(): FsContext {
    return new FsContext(this.mounts, this.root, this.cwd, this.umask);
  }

  /** How many tasks it belongs to. */
  get sharers(): number {
    return this.refs;
  }

  release(): void {
    if (--this.refs > 0) return;
    unpin(this.root);
    unpin(this.cwd);
  }
}
