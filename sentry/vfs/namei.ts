/**
 * Path resolution (path_resolution(7); Linux's fs/namei.c).
 */
import { ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV } from '../../spec/linux/errno.ts';
import {
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../spec/linux/fcntl.ts';
import type { FsCaller } from './caller.ts';
import type { Dentry, DentryCache } from './dentry.ts';
import { type Path, samePath } from './mount.ts';
import { MAY_EXEC, permission } from './permission.ts';

const MAX_SYMLINKS = 40;
const NAME_MAX = 255;
export const PATH_MAX = 4096;

export interface WalkOptions {
  /** Follow a symlink in the last component. */
  readonly follow: boolean;
  /** Where relative paths start; the working directory when absent. */
  readonly start?: Path | undefined;
  /** RESOLVE_* of openat2(2). */
  readonly resolve?: number;
}

/** The directory that holds the last component, for operations that make or remove names. */
export interface ParentPath {
  readonly parent: Path;
  /** The last component, without slashes; '' for the root, also '.' and '..' as they came. */
  readonly name: string;
  /** The path ended in a slash: the name must be a directory. */
  readonly trailingSlash: boolean;
}

export class Namei {
  private readonly cache: DentryCache;

  constructor(cache: DentryCache) {
    this.cache = cache;
  }

  /** The existing object that `path` names, or -errno. */
  lookup(caller: FsCaller, path: string, options: WalkOptions): Path | number {
    if (path === '') return -ENOENT;
    if (path.length >= PATH_MAX) return -ENAMETOOLONG;
    const walk = new Walk(this, caller, options);
    const r = walk.run(path, false);
    return r === 0 ? walk.at : r;
  }

  /**
   * Resolves all but the last component. With `follow`, a final symlink leads on to the last component
   * of what it names (O_CREAT through a dangling link); a magic link leaves its object as `parent` and
   * '' as the name.
   */
  lookupParent(caller: FsCaller, path: string, options: WalkOptions): ParentPath | number {
    if (path === '') return -ENOENT;
    if (path.length >= PATH_MAX) return -ENAMETOOLONG;
    const walk = new Walk(this, caller, options);
    const r = walk.run(path, true);
    if (r !== 0) return r;
    return { parent: walk.at, name: walk.last, trailingSlash: walk.trailingSlash };
  }

  /** One name in a directory, from the cache or the file system. A dentry may be negative. */
  child(dir: Path, name: string): Dentry | number {
    const d = dir.dentry;
    const inode = d.inode;
    if (inode === null) return -ENOENT;
    const cached = d.cached(name);
    if (cached !== undefined) {
      if (inode.fs.revalidate(inode, name, cached.inode)) {
        cached.used = true;
        return cached;
      }
      this.cache.remove(cached);
    }
    if (name.length > NAME_MAX) return -ENAMETOOLONG;
    const found = inode.lookup(name);
    if (typeof found !== 'number') return this.cache.add(d, name, found);
    // A directory that is gone keeps nothing: it is forgotten when its last user goes.
    return found === -ENOENT && !d.detached ? this.cache.add(d, name, null) : found;
  }
}

class Walk {
  at: Path;
  last = '';
  trailingSlash = false;
  private readonly namei: Namei;
  private readonly caller: FsCaller;
  private readonly options: WalkOptions;
  private readonly resolve: number;
  private readonly root: Path;
  private readonly start: Path;
  private links = 0;

  constructor(namei: Namei, caller: FsCaller, options: WalkOptions) {
    this.namei = namei;
    this.caller = caller;
    this.options = options;
    this.resolve = options.resolve ?? 0;
    this.start = options.start ?? caller.fs.cwd;
    this.at = this.start;
    this.root = (this.resolve & RESOLVE_IN_ROOT) !== 0 ? this.start : caller.fs.root;
  }

  /** Walks `path`; with `parentOnly` stops before the last component, leaving it in `last`. */
  run(path: string, parentOnly: boolean): number {
    const r = this.beginAt(path);
    return r !== 0 ? r : this.components(path, parentOnly, true);
  }

  private beginAt(path: string): number {
    if (path.charCodeAt(0) !== 47) return 0;
    if ((this.resolve & RESOLVE_BENEATH) !== 0) return -EXDEV;
    this.at = this.root;
    return 0;
  }

  /** `outermost` is false while walking the target of a symlink in the middle of a path. */
  private components(path: string, parentOnly: boolean, outermost: boolean): number {
    let i = 0;
    const end = path.length;
    this.last = '';
    for (;;) {
      while (i < end && path.charCodeAt(i) === 47) i++;
      if (i >= end) return outermost && this.trailingSlash ? this.requireDirectory() : 0;
      const next = path.indexOf('/', i);
      const j = next < 0 ? end : next;
      const name = path.slice(i, j);
      let k = j;
      while (k < end && path.charCodeAt(k) === 47) k++;
      const isLast = k >= end;
      const slash = isLast && j < end;
      if (isLast && outermost) this.trailingSlash = slash;
      const dir = this.at.dentry.inode;
      if (dir === null || !dir.isDirectory) return -ENOTDIR;
      const allowed = permission(dir, this.caller.creds, MAY_EXEC);
      if (allowed < 0) return allowed;
      if (isLast && parentOnly) {
        const link = this.options.follow ? this.finalLink(name) : null;
        if (link !== null) return this.followLink(link, true);
        this.last = name;
        return 0;
      }
      const follow = !isLast || slash || !outermost || this.options.follow;
      const r = this.step(name, follow);
      if (r !== 0) return r;
      i = k;
    }
  }

  private finalLink(name: string): Path | null {
    if (name === '.' || name === '..') return null;
    const d = this.namei.child(this.at, name);
    if (typeof d === 'number' || d.inode?.isSymlink !== true) return null;
    return { mount: this.at.mount, dentry: d };
  }

  private requireDirectory(): number {
    return this.at.dentry.inode?.isDirectory === true ? 0 : -ENOTDIR;
  }

  private step(name: string, follow: boolean): number {
    if (name === '.') return 0;
    if (name === '..') return this.dotdot();
    const d = this.namei.child(this.at, name);
    if (typeof d === 'number') return d;
    if (d.inode === null) return -ENOENT;
    if (d.inode.isSymlink && follow) return this.followLink({ mount: this.at.mount, dentry: d });
    return this.moveTo(this.caller.fs.mounts.top({ mount: this.at.mount, dentry: d }));
  }

  private moveTo(path: Path): number {
    const crossed = path.mount !== this.at.mount;
    if (crossed && (this.resolve & RESOLVE_NO_XDEV) !== 0) return -EXDEV;
    this.at = path;
    return 0;
  }

  private dotdot(): number {
    if (samePath(this.at, this.root)) return (this.resolve & RESOLVE_BENEATH) !== 0 ? -EXDEV : 0;
    if ((this.resolve & RESOLVE_BENEATH) !== 0 && samePath(this.at, this.start)) return -EXDEV;
    let { mount, dentry } = this.at;
    while (dentry === mount.root) {
      if (mount.parent === null || mount.mountpoint === null) return 0;
      dentry = mount.mountpoint;
      mount = mount.parent;
      if (mount === this.root.mount && dentry === this.root.dentry) break;
    }
    if (!(mount === this.root.mount && dentry === this.root.dentry)) {
      // What was moved out of the part of a tree that is mounted here has no way up.
      if (!mount.root.isRoot && !dentry.isDescendantOf(mount.root)) return -ENOENT;
      dentry = dentry.parent;
    }
    return this.moveTo(this.caller.fs.mounts.top({ mount, dentry }));
  }

  private followLink(link: Path, parentOnly = false): number {
    const inode = link.dentry.inode;
    if (inode === null) return -ENOENT;
    if ((this.resolve & RESOLVE_NO_SYMLINKS) !== 0) return -ELOOP;
    if (++this.links > MAX_SYMLINKS) return -ELOOP;
    const magic = inode.magicLink(this.caller);
    if (typeof magic === 'number') return magic;
    if (magic !== null) {
      if ((this.resolve & RESOLVE_NO_MAGICLINKS) !== 0) return -ELOOP;
      if ((this.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) return -EXDEV;
      return this.moveTo(magic);
    }
    const target = inode.readlink();
    if (typeof target === 'number') return target;
    if (target === '') return -ENOENT;
    if (target.length >= PATH_MAX) return -ENAMETOOLONG;
    const r = this.beginAt(target);
    return r !== 0 ? r : this.components(target, parentOnly, parentOnly);
  }
}
