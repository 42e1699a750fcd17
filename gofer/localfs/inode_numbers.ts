/**
 * Qids out of host inodes. qid.path must be unique per file and is a Number here, so device and
 * inode (64 bits each) are folded: the low 44 bits of the inode number stay, and each combination of
 * a device with the inode's upper 20 bits gets a small index above them.
 *
 * Few such combinations occur in one tree (file systems that use high bits, such as overlayfs with
 * xino, put a small layer number there). Past MAX_INDEX, numbers may repeat: then two files could be
 * taken for hard links of each other, nothing worse.
 */
import type { Stat } from '../../native/stat.ts';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../../spec/linux/stat.ts';
import { QTDIR, QTFILE, QTSYMLINK } from '../../spec/p9/constants.ts';
import type { Qid } from '../../spec/p9/messages.ts';

const LOW_BITS = 44;
const MAX_INDEX = 2 ** (53 - LOW_BITS) - 1;
const DT_DIR = 4;
const DT_LNK = 10;

export class InodeNumbers {
  /**
   * The combinations known: how many, then device major, minor and the inode number's upper bits of each.
   * The addon, which tells of files, reads it and adds to it.
   */
  readonly table = new Uint32Array(1 + 3 * MAX_INDEX);

  path(devMajor: number, devMinor: number, inoLow: number, inoHigh: number): number {
    const index = this.indexOf(devMajor, devMinor, inoHigh >>> (LOW_BITS - 32));
    const high = inoHigh & (2 ** (LOW_BITS - 32) - 1);
    return index * 2 ** LOW_BITS + high * 2 ** 32 + inoLow;
  }

  private indexOf(devMajor: number, devMinor: number, upper: number): number {
    const { table } = this;
    const count = table[0] as number;
    let index = 0;
    for (let at = 1; index < count; index++, at += 3) {
      if (table[at + 2] !== upper || table[at + 1] !== devMinor) continue;
      if (table[at] === devMajor) return index;
    }
    if (index === MAX_INDEX) return index;
    table.set([devMajor, devMinor, upper], 1 + 3 * index);
    table[0] = index + 1;
    return index;
  }

  qid(s: Stat): Qid {
    const path = this.path(s.devMajor, s.devMinor, s.inoLow, s.inoHigh);
    return { type: qidType(s.mode), version: (s.ctimeSec ^ s.ctimeNsec) >>> 0, path };
  }
}

export function qidType(mode: number): number {
  if ((mode & S_IFMT) === S_IFDIR) return QTDIR;
  return (mode & S_IFMT) === S_IFLNK ? QTSYMLINK : QTFILE;
}

/** The same from a directory entry's DT_* type. */
export function qidTypeOfEntry(type: number): number {
  if (type === DT_DIR) return QTDIR;
  return type === DT_LNK ? QTSYMLINK : QTFILE;
}
