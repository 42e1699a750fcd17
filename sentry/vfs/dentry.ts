/**
 * The dentry cache: names already looked up, present or absent (Linux's dcache).
 *
 * A dentry without children that nobody pins may be forgotten when the cache is full; pins are held by
 * open files, working directories, roots and mounts. Forgetting costs a lookup, never correctness.
 */
import type { Inode } from './inode.ts';

/** Upper bound on cached dentries before the oldest unpinned leaves go. */
const MAX_DENTRIES = 65536;

export class Dentry {
  name: string;
  /** The root of a file system is its own parent. */
  parent: Dentry;
  /** Null for a cached absence. */
  inode: Inode | null;
  children: Map<string, Dentry> | null = null;
  /** Number of mounts standing on this dentry, in any namespace. */
  mountCount = 0;
  pins = 0;
  /** Unlinked or forgotten: no longer reachable from its parent. */
  detached = false;
  /** Found in the cache since the cache last looked for something to forget. */
  used = false;

  constructor(parent: Dentry | null, name: string, inode: Inode | null) {
    this.parent = parent ?? this;
    this.name = name;
    this.inode = inode;
  }

  get isRoot(): boolean {
    return this.parent === this;
  }

  cached(name: string): Dentry | undefined {
    return this.children?.get(name);
  }

  isDescendantOf(ancestor: Dentry): boolean {
    for (let d: Dentry = this; ; d = d.parent) {
      if (d === ancestor) return true;
      if (d.isRoot) return false;
    }
  }
}

/** Bounds the number of dentries of one kernel. */
export class DentryCache {
  private readonly order = new Set<Dentry>();

  /** Adds the result of a lookup under `parent`. */
  add(parent: Dentry, name: string, inode: Inode | null): Dentry {
    const d = new Dentry(parent, name, inode);
    parent.children ??= new Map();
    const old = parent.children.get(name);
    if (old !== undefined) this.remove(old);
    parent.children ??= new Map();
    parent.children.set(name, d);
    this.order.add(d);
    if (this.order.size > MAX_DENTRIES) this.shrink();
    return d;
  }

  /** Takes `d` out of its parent; open files keep using it. */
  remove(d: Dentry): void {
    if (d.detached || d.isRoot) return;
    const siblings = d.parent.children;
    if (siblings?.get(d.name) === d) {
      siblings.delete(d.name);
      if (siblings.size === 0) d.parent.children = null;
    }
    d.detached = true;
    this.order.delete(d);
    if (d.pins === 0 && d.children === null) d.inode?.forget();
  }

  /** Takes out `d` and all below it, but for what mounts stand on. */
  removeTree(d: Dentry): void {
    if (d.children !== null) for (const child of [...d.children.values()]) this.removeTree(child);
    if (d.mountCount === 0 && d.children === null) this.remove(d);
  }

  /** Renames within the cache; what stood at the target name is removed. */
  move(d: Dentry, newParent: Dentry, newName: string): void {
    const old = newParent.cached(newName);
    if (old !== undefined && old !== d) this.remove(old);
    const siblings = d.parent.children;
    siblings?.delete(d.name);
    if (siblings?.size === 0) d.parent.children = null;
    d.parent = newParent;
    d.name = newName;
    newParent.children ??= new Map();
    newParent.children.set(newName, d);
  }

  /** Swaps the places of two dentries (RENAME_EXCHANGE). */
  exchange(a: Dentry, b: Dentry): void {
    const { parent, name } = a;
    a.parent.children?.set(name, b);
    b.parent.children?.set(b.name, a);
    a.parent = b.parent;
    a.name = b.name;
    b.parent = parent;
    b.name = name;
  }

  private shrink(): void {
    let toDrop = MAX_DENTRIES / 16;
    let toLook = MAX_DENTRIES / 4;
    for (const d of this.order) {
      if (toDrop === 0 || toLook-- === 0) return;
      // A watched inode must be found again as the same object.
      const watched = d.inode !== null && d.inode.watches !== null;
      if (d.pins > 0 || d.mountCount > 0 || d.children !== null || watched || d.used) {
        // What this very system call found first must outlast what it looks up next.
        d.used = false;
        this.order.delete(d);
        this.order.add(d);
        continue;
      }
      this.remove(d);
      toDrop--;
    }
  }
}
