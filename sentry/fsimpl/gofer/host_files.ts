/**
 * The opened forms of one gofer file that all its openings and mappings share: one for reading, one
 * for reading and writing, each a donated host descriptor or an open fid.
 *
 * When nobody uses them any more they are closed or, where nobody else changes the tree, kept for the
 * next opening: programs and libraries are opened again and again.
 */
import * as fs from '../../../native/fs.ts';
import { EACCES, ENFILE } from '../../../spec/linux/errno.ts';
import { P9_RDWR, P9_WRONLY } from '../../../spec/p9/constants.ts';
import type { Client, Opened } from './client.ts';

/** Files of one file system that stay open without a user. */
const MAX_IDLE = 256;

export class HostFiles {
  private reading: Opened | null = null;
  private writing: Opened | null = null;
  private users = 0;
  private readonly client: Client;
  private readonly pool: IdlePool;

  constructor(client: Client, pool: IdlePool) {
    this.client = client;
    this.pool = pool;
  }

  /** What can be read: the writable form is as good. Null before `acquire`. */
  get readable(): Opened | null {
    return this.writing ?? this.reading;
  }

  get writable(): Opened | null {
    return this.writing;
  }

  get used(): boolean {
    return this.users > 0;
  }

  /** One more user; `open` opens the file with P9_* flags when it must be. 0 or -errno. */
  acquire(write: boolean, open: (flags: number) => Opened | number): number {
    if (write ? this.writing === null : this.readable === null) {
      const opened = this.open(open, write);
      if (typeof opened === 'number') return opened;
      if (write) this.writing = opened;
      else this.reading = opened;
    }
    this.users++;
    this.pool.remove(this);
    return 0;
  }

  private open(open: (flags: number) => Opened | number, write: boolean): Opened | number {
    const flags = write ? P9_RDWR : 0;
    let opened = open(flags);
    if (opened === -ENFILE && this.pool.clear()) opened = open(flags);
    // A gofer without privileges may write what it cannot read.
    if (opened === -EACCES && write) return open(P9_WRONLY);
    return opened;
  }

  /** A file just created came opened for reading and writing: kept for whoever opens it next. */
  adopt(opened: Opened): void {
    if (this.writing !== null) discard(this.client, opened);
    else this.writing = opened;
    if (this.users === 0) this.pool.add(this);
  }

  release(): void {
    this.users--;
    if (this.users === 0) this.pool.add(this);
  }

  /** Closes both forms; only without users. */
  close(): void {
    this.pool.remove(this);
    if (this.reading !== null) discard(this.client, this.reading);
    if (this.writing !== null) discard(this.client, this.writing);
    this.reading = null;
    this.writing = null;
  }
}

/** Closes what was opened, wherever it is open. */
export function discard(client: Client, opened: Opened): void {
  if (opened.hostFd >= 0) fs.close(opened.hostFd);
  client.clunk(opened.fid);
}

/** The files that are open without a user, oldest first. */
export class IdlePool {
  private readonly idle = new Set<HostFiles>();
  private readonly max: number;

  constructor(keep: boolean) {
    this.max = keep ? MAX_IDLE : 0;
  }

  add(files: HostFiles): void {
    this.idle.add(files);
    while (this.idle.size > this.max) {
      const [oldest] = this.idle;
      oldest!.close();
    }
  }

  remove(files: HostFiles): void {
    this.idle.delete(files);
  }

  /** Closes them all; whether there were any. */
  clear(): boolean {
    const some = this.idle.size > 0;
    for (const files of this.idle) files.close();
    return some;
  }
}
