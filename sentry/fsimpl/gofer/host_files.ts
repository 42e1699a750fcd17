/**
 * The opened forms of one gofer file that all its openings and mappings share: one for reading, one
 * for reading and writing, each a donated host descriptor or an open fid.
 *
 * When nobody uses them any more they are kept for the next opening: programs and libraries are opened
 * again and again. In a shared tree not for long, so that a file removed by others gives its space back,
 * and not for writing, which keeps others from executing it and from being told that it was closed.
 */
import * as fs from '../../../native/fs.ts';
import { EACCES, ENFILE } from '../../../spec/linux/errno.ts';
import { P9_RDWR, P9_WRONLY } from '../../../spec/p9/constants.ts';
import { Timer, type TimerQueue } from '../../base/timer_queue.ts';
import type { Client, Opened } from './client.ts';

/** Files of one file system that stay open without a user. */
const MAX_IDLE = 256;
const MAX_IDLE_SHARED = 1024;
/** In a shared tree, those that were not used since the last sweep are closed. */
const SWEEP_NS = 1e9;

interface PoolKernel {
  readonly clock: { monotonicNs(): number };
  readonly timers: TimerQueue;
}

export class HostFiles {
  private reading: Opened | null = null;
  private writing: Opened | null = null;
  /** Tells attributes and nothing else, or -1. Only in shared trees. */
  private looking = -1;
  /** When it was last used, as the pool counts. */
  usedAt = 0;
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

  /** What attributes can be asked of, or -1. */
  get attributesFd(): number {
    this.usedAt = this.pool.now;
    const { readable } = this;
    return readable === null || readable.hostFd < 0 ? this.looking : readable.hostFd;
  }

  /** Takes over a descriptor that tells attributes. */
  look(fd: number): void {
    this.looking = fd;
    this.usedAt = this.pool.now;
    if (this.users === 0) this.pool.add(this);
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
    if (this.users > 0) return;
    if (this.pool.shared && this.writing !== null) {
      discard(this.client, this.writing);
      this.writing = null;
    }
    this.usedAt = this.pool.now;
    if (this.reading !== null || this.writing !== null || this.looking >= 0) this.pool.add(this);
  }

  /** Closes all forms; only without users. */
  close(): void {
    this.pool.remove(this);
    if (this.reading !== null) discard(this.client, this.reading);
    if (this.writing !== null) discard(this.client, this.writing);
    if (this.looking >= 0) fs.close(this.looking);
    this.reading = null;
    this.writing = null;
    this.looking = -1;
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
  /** Only of a shared tree. */
  private readonly kernel: PoolKernel | null;
  private readonly sweeper = new Timer(() => this.sweep());
  /** Counts sweeps. */
  now = 0;

  constructor(kernel: PoolKernel | null) {
    this.kernel = kernel;
    this.max = kernel === null ? MAX_IDLE : MAX_IDLE_SHARED;
  }

  get shared(): boolean {
    return this.kernel !== null;
  }

  get hasRoom(): boolean {
    return this.idle.size < this.max;
  }

  add(files: HostFiles): void {
    this.idle.add(files);
    if (this.idle.size > this.max) {
      const [oldest] = this.idle;
      oldest!.close();
    }
    if (!this.sweeper.armed) this.startSweeper();
  }

  remove(files: HostFiles): void {
    this.idle.delete(files);
  }

  private startSweeper(): void {
    this.kernel?.timers.start(this.sweeper, this.kernel.clock.monotonicNs() + SWEEP_NS);
  }

  private sweep(): void {
    for (const files of this.idle) if (files.usedAt < this.now) files.close();
    this.now++;
    if (this.idle.size > 0) this.startSweeper();
  }

  /** Closes them all; whether there were any. */
  clear(): boolean {
    const some = this.idle.size > 0;
    for (const files of this.idle) files.close();
    this.kernel?.timers.cancel(this.sweeper);
    return some;
  }
}
