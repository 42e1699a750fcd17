/**
 * What a directory of an exclusive tree knows of one of its names.
 */
import { S_IFMT } from '../../../spec/linux/stat.ts';
import { type DirentPlus, ListedEntry } from '../../../spec/p9/dirent.ts';
import type { P9Attr } from '../../../spec/p9/messages.ts';

/** From S_IFMT to DT_*. */
export const TYPE_SHIFT = 12;

/** `attr` null: the name is there, but its attributes changed. */
export class Child {
  readonly ino: number;
  readonly type: number;
  /** What `attr` is decoded from when first asked for. */
  private source: P9Attr | ListedEntry | null;

  constructor(ino: number, type: number, source: P9Attr | ListedEntry | null) {
    this.ino = ino;
    this.type = type;
    this.source = source;
  }

  static of(attr: P9Attr): Child {
    return new Child(attr.qid.path, (attr.mode & S_IFMT) >> TYPE_SHIFT, attr);
  }

  static listed(entry: DirentPlus): Child {
    if (!(entry instanceof ListedEntry)) return Child.of(entry.attr);
    return new Child(entry.path, (entry.mode & S_IFMT) >> TYPE_SHIFT, entry);
  }

  get attr(): P9Attr | null {
    if (this.source instanceof ListedEntry) this.source = this.source.attr;
    return this.source;
  }

  set attr(attr: P9Attr | null) {
    this.source = attr;
  }

  /** Whether the attributes are out of date. */
  get changed(): boolean {
    return this.source === null;
  }
}
