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
  readonly attr: P9Attr | null;

  constructor(ino: number, type: number, attr: P9Attr | null) {
    this.ino = ino;
    this.type = type;
    this.attr = attr;
  }

  static of(attr: P9Attr): Child {
    return new Child(attr.qid.path, (attr.mode & S_IFMT) >> TYPE_SHIFT, attr);
  }
}

/** Most names are listed and never looked at: of those, the bytes are kept that the gofer sent. */
export type Known = Child | ListedEntry;

/** DT_*. */
export function typeOf(known: Known): number {
  return known instanceof ListedEntry ? (known.mode & S_IFMT) >> TYPE_SHIFT : known.type;
}

export function knownOf(entry: DirentPlus): Known {
  return entry instanceof ListedEntry ? entry : Child.of(entry.attr);
}
