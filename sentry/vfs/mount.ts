/**
 * Mounts and mount namespaces (mount(2), mount_namespaces(7)).
 */
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from '../../spec/linux/mount.ts';
import { Dentry } from './dentry.ts';
import type { FileSystem } from './inode.ts';

/** A place in the file tree: a dentry as seen through a mount. */
export interface Path {
  readonly mount: Mount;
  readonly dentry: Dentry;
}

export function samePath(a: Path, b: Path): boolean {
  return a.dentry === b.dentry && a.mount === b.mount;
}

/** Keeps the dentry cached while something refers to it by path. */
export function pin(path: Path): Path {
  path.dentry.pins++;
  path.mount.pins++;
  return path;
}

export function unpin(path: Path): void {
  const d = path.dentry;
  path.mount.unpinned();
  if (--d.pins === 0 && d.detached && d.children === null) d.inode?.forget();
}

/** The path as text from the root of everything, for messages and /proc/PID/maps. */
export function pathText(path: Path): string {
  let { mount, dentry } = path;
  let text = '';
  for (;;) {
    if (dentry === mount.root) {
      if (mount.parent === null || mount.mountpoint === null) return text === '' ? '/' : text;
      dentry = mount.mountpoint;
      mount = mount.parent;
    } else if (dentry.isRoot) {
      // An anonymous file: its name is the whole text.
      return text === '' ? dentry.name || '/' : text;
    } else {
      text = `/${dentry.name}${text}`;
      dentry = dentry.parent;
    }
  }
}

/** Linux's flags that belong to a mount, not to a file system. */
export const MOUNT_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

export class Mount {
  /** As in /proc/PID/mountinfo. */
  readonly id: number;
  readonly fs: FileSystem;
  readonly root: Dentry;
  /** First field of /proc/mounts. */
  readonly source: string;
  /** MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC and the atime flags. */
  flags: number;
  /** Where it stands; null for the root of a namespace. */
  parent: Mount | null = null;
  mountpoint: Dentry | null = null;
  /** Open files, working directories and roots in this mount: umount(2) says EBUSY while there are. */
  pins = 0;
  /** Set while a mount that was detached lazily still has users; runs when the last one goes. */
  onIdle: (() => void) | null = null;
  /** Mounts standing on dentries of this mount; the topmost wins. */
  readonly children = new Map<Dentry, Mount>();

  constructor(id: number, fs: FileSystem, root: Dentry, source: string, flags: number) {
    this.id = id;
    this.fs = fs;
    this.root = root;
    this.source = source;
    this.flags = flags;
  }

  unpinned(): void {
    if (--this.pins > 0 || this.onIdle === null) return;
    const done = this.onIdle;
    this.onIdle = null;
    done();
  }

  get readonly(): boolean {
    return (this.flags & MS_RDONLY) !== 0;
  }
}

export class MountNamespace {
  root: Mount;
  /** In the order they were made, as /proc/mounts lists them. */
  readonly mounts: Mount[] = [];
  private nextId = 20;

  constructor(fs: FileSystem, source: string, flags: number) {
    this.root = this.newMount(fs, new Dentry(null, '', fs.root), source, flags);
    this.mounts.push(this.root);
    this.root.root.pins++;
  }

  private newMount(fs: FileSystem, root: Dentry, source: string, flags: number): Mount {
    return new Mount(this.nextId++, fs, root, source, flags);
  }

  get rootPath(): Path {
    return this.top({ mount: this.root, dentry: this.root.root });
  }

  /** Mounts the root of `fs` on `at` (already the topmost there). */
  mount(at: Path, fs: FileSystem, source: string, flags: number): Mount {
    return this.attach(at, this.newMount(fs, new Dentry(null, '', fs.root), source, flags));
  }

  /** A bind mount: `from`'s tree also at `at`. */
  bind(at: Path, from: Path, source: string, flags: number): Mount {
    return this.attach(at, this.newMount(from.mount.fs, from.dentry, source, flags));
  }

  private attach(at: Path, m: Mount): Mount {
    this.stand(m, at);
    m.root.pins++;
    m.root.inode?.held();
    this.mounts.push(m);
    return m;
  }

  /** Takes `m` out of the tree; the caller made sure that it has no children. */
  detach(m: Mount): void {
    const i = this.mounts.indexOf(m);
    if (i >= 0) this.mounts.splice(i, 1);
    if (m.parent === null || m.mountpoint === null) return;
    this.lift(m);
    m.root.pins--;
    m.root.inode?.dropped();
    if (this.mounts.some((o) => o.fs === m.fs)) return;
    if (m.pins === 0) m.fs.destroy();
    else m.onIdle = () => m.fs.destroy();
  }

  private lift(m: Mount): void {
    if (m.parent === null || m.mountpoint === null) return;
    m.parent.children.delete(m.mountpoint);
    m.mountpoint.mountCount--;
    m.mountpoint.pins--;
    m.parent = null;
    m.mountpoint = null;
  }

  private stand(m: Mount, at: Path): void {
    m.parent = at.mount;
    m.mountpoint = at.dentry;
    at.mount.children.set(at.dentry, m);
    at.dentry.mountCount++;
    at.dentry.pins++;
  }

  /** MS_MOVE: `m` with all that stands on it goes to `at`. */
  move(m: Mount, at: Path): void {
    this.lift(m);
    this.stand(m, at);
  }

  /** pivot_root(2): `next` takes the place of `old`, which moves to `putOld`. */
  pivot(old: Mount, next: Mount, putOld: Path): void {
    const { parent, mountpoint } = old;
    this.lift(next);
    this.lift(old);
    if (parent === null || mountpoint === null) this.root = next;
    else this.stand(next, { mount: parent, dentry: mountpoint });
    this.stand(old, putOld);
  }

  /** Follows mounts standing on `path` up to the topmost one's root. */
  top(path: Path): Path {
    let { mount, dentry } = path;
    if (dentry.mountCount === 0) return path;
    for (;;) {
      const child = mount.children.get(dentry);
      if (child === undefined) return { mount, dentry };
      mount = child;
      dentry = child.root;
    }
  }

  /** The path as text seen from `root`; null when it is not below `root` (getcwd's "(unreachable)"). */
  pathname(path: Path, root: Path): string | null {
    let { mount, dentry } = path;
    let text = '';
    for (;;) {
      if (dentry === root.dentry && mount === root.mount) return text === '' ? '/' : text;
      if (dentry === mount.root) {
        if (mount.parent === null || mount.mountpoint === null) return null;
        dentry = mount.mountpoint;
        mount = mount.parent;
        continue;
      }
      if (dentry.isRoot) return dentry.name === '' ? null : dentry.name;
      text = `/${dentry.name}${text}`;
      dentry = dentry.parent;
    }
  }
}
