/**
 * Fids: the client's numbers for files, one table per connection, bounded.
 */
import { EBADF, EMFILE } from '../../spec/linux/errno.ts';
import { NOFID } from '../../spec/p9/constants.ts';
import type { FileNode, OpenNode } from './backend.ts';

/** An extended attribute being read (after Txattrwalk). */
export interface XattrRead {
  readonly kind: 'read';
  readonly value: Uint8Array;
}

/** An extended attribute being written (after Txattrcreate); stored when the fid is clunked. */
export interface XattrWrite {
  readonly kind: 'write';
  readonly name: string;
  readonly flags: number;
  readonly value: Uint8Array;
  written: number;
}

/** A listing with attributes, between its replies. */
export interface Listing {
  readonly open: OpenNode;
  /** The `offset` that goes on with it: how many replies there were. */
  next: number;
}

export class Fid {
  node: FileNode;
  /** The user of the attach it descends from. */
  readonly uid: number;
  open: OpenNode | null = null;
  /** The listing of Treaddirplus, which works on fids that are not open. */
  listing: Listing | null = null;
  xattr: XattrRead | XattrWrite | null = null;

  constructor(node: FileNode, uid: number) {
    this.node = node;
    this.uid = uid;
  }

  closeListing(): void {
    this.listing?.open.close();
    this.listing = null;
  }

  release(): void {
    this.closeListing();
    this.open?.close();
    this.open = null;
    this.node.release();
  }
}

/** Fids that may hold a value at once: each is up to XATTR_SIZE_MAX of our memory. */
const MAX_XATTR_FIDS = 64;

export class FidTable {
  private readonly fids = new Map<number, Fid>();
  private readonly xattrFids = new Set<Fid>();
  private readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  get size(): number {
    return this.fids.size;
  }

  get(number: number): Fid | undefined {
    return this.fids.get(number);
  }

  /** 0 when `number` may be bound now, or -errno. */
  canAdd(number: number): number {
    if (number === NOFID || this.fids.has(number)) return -EBADF;
    return this.fids.size < this.max ? 0 : -EMFILE;
  }

  /** Binds `number`, which `canAdd` allowed. */
  add(number: number, fid: Fid): void {
    if (this.fids.has(number)) throw new Error(`fid ${number} is in use`);
    this.fids.set(number, fid);
  }

  /** Whether one more fid may get a value to read or write. */
  get hasXattrRoom(): boolean {
    return this.xattrFids.size < MAX_XATTR_FIDS;
  }

  /** Gives `fid` its value; `hasXattrRoom` allowed it. */
  holdXattr(fid: Fid, xattr: XattrRead | XattrWrite): void {
    fid.xattr = xattr;
    this.xattrFids.add(fid);
  }

  /** Unbinds without releasing: the caller does. */
  take(number: number): Fid | undefined {
    const fid = this.fids.get(number);
    this.fids.delete(number);
    if (fid !== undefined) this.xattrFids.delete(fid);
    return fid;
  }

  clear(): void {
    for (const fid of this.fids.values()) fid.release();
    this.fids.clear();
    this.xattrFids.clear();
  }
}
