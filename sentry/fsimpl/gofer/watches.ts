/**
 * What others do in a shared tree, told by the host (inotify(7)): the Gofer watches directories for us and
 * gave us the descriptor where the events arrive. Linux queues an event before the call that changed
 * something returns, so what was learnt of a watched directory is true as long as the queue, read at the
 * beginning of a system call, says nothing else. docs/decisions/shared_mounts.md.
 */
import * as fs from '../../../native/fs.ts';
import { EAGAIN, ENOSPC } from '../../../spec/linux/errno.ts';
import { F_GETFL, O_NONBLOCK } from '../../../spec/linux/fcntl.ts';
import * as inotify from '../../../spec/linux/inotify.ts';
import type { Client } from './client.ts';

/** struct inotify_event without its name. */
const EVENT_SIZE = 16;
const BUFFER_SIZE = 16 * 1024;
/** Of one call; what is behind, whole queues of the host, makes us forget everything. */
const MAX_READS = 64;
/** The Gofer allows a few more. */
const MAX_WATCHES = 4000;

/** Names learnt of all directories before everything is forgotten: an attacker can ask for any number. */
const MAX_NAMES = 262144;

const NAMES_CHANGED =
  inotify.IN_CREATE | inotify.IN_DELETE | inotify.IN_MOVED_FROM | inotify.IN_MOVED_TO;
const SELF_CHANGED = inotify.IN_ATTRIB | inotify.IN_MOVE_SELF | inotify.IN_DELETE_SELF;
const ENDED = inotify.IN_IGNORED | inotify.IN_UNMOUNT;
const EVERYTHING = inotify.IN_Q_OVERFLOW;

const buffer = new Uint8Array(BUFFER_SIZE);
const words = new Uint32Array(buffer.buffer);

/** A directory that can be watched. */
export interface Watched {
  /** Used since the last time somebody looked for watches to give up. */
  used: boolean;
  /** Names came or went: nothing is known of its names any more. */
  namesChanged(): void;
  /** Its own attributes changed. */
  outdate(): void;
  /** From now on nothing is told. */
  unwatched(): void;
}

export class Watches {
  private readonly client: Client;
  private readonly kernel: { readonly turn: number };
  private fd = -1;
  /** By watch descriptor, those watched first in front. */
  private readonly watched = new Map<number, Watched>();
  private max = MAX_WATCHES;
  private polledTurn = -1;
  private names = 0;

  constructor(client: Client, kernel: { readonly turn: number }) {
    this.client = client;
    this.kernel = kernel;
  }

  /** Whether it makes sense to ask for one more. */
  get available(): boolean {
    return this.max > 0 && !this.client.isDead;
  }

  /** Takes in what happened up to the beginning of this system call. */
  poll(): void {
    const { turn } = this.kernel;
    if (turn === this.polledTurn || this.fd < 0) return;
    this.polledTurn = turn;
    if (this.client.isDead) return this.stop();
    for (let reads = 0; this.fd >= 0; reads++) {
      const n = fs.read(this.fd, buffer);
      if (n === -EAGAIN) return;
      if (n <= 0) this.stop();
      else if (reads === MAX_READS || !this.takeIn(n)) return this.forgetAll();
    }
  }

  /** `length` bytes of events. False when they do not tell everything. */
  private takeIn(length: number): boolean {
    for (let at = 0; at < length; ) {
      if ((at & 3) !== 0 || at + EVENT_SIZE > length) return false;
      const wd = words[at >> 2]!;
      const mask = words[(at >> 2) + 1]!;
      const nameLength = words[(at >> 2) + 3]!;
      at += EVENT_SIZE + nameLength;
      if (at > length || (mask & EVERYTHING) !== 0) return false;
      const directory = this.watched.get(wd);
      if (directory === undefined) continue;
      if ((mask & NAMES_CHANGED) !== 0) directory.namesChanged();
      // With a name: of a child, whose attributes are asked for elsewhere.
      if ((mask & NAMES_CHANGED) !== 0 || ((mask & SELF_CHANGED) !== 0 && nameLength === 0)) {
        directory.outdate();
      }
      if ((mask & ENDED) !== 0) this.end(wd);
    }
    return true;
  }

  /** The answer to a Twatch for `directory`, with the descriptor that came along or -1. */
  begin(directory: Watched, answer: { readonly wd: number } | number, hostFd: number): boolean {
    if (hostFd >= 0 && !this.adopt(hostFd)) return false;
    if (typeof answer === 'number') {
      if (answer === -ENOSPC) this.shrink(Math.floor(this.watched.size * 0.75));
      return false;
    }
    if (this.fd < 0) return false;
    // Two objects for one directory, the older of which is not looked at any more.
    this.watched.get(answer.wd)?.unwatched();
    this.watched.set(answer.wd, directory);
    directory.used = true;
    if (this.watched.size > this.max) this.dropOldest(Math.ceil(this.max / 8));
    return this.watched.get(answer.wd) === directory;
  }

  private adopt(fd: number): boolean {
    // Where nothing can be read at once, the kernel must not wait.
    const how = fs.fcntl(fd, F_GETFL);
    if (this.fd < 0 && how >= 0 && (how & O_NONBLOCK) !== 0) {
      this.fd = fd;
      return true;
    }
    fs.close(fd);
    return false;
  }

  private shrink(max: number): void {
    this.max = max;
    this.dropOldest(this.watched.size - max);
  }

  /** Gives up to `count` watches back, those first that were not used lately. */
  private dropOldest(count: number): void {
    let left = count;
    for (const pass of [false, true]) {
      for (const [wd, directory] of this.watched) {
        if (left <= 0) return;
        if (!directory.used || pass) {
          this.end(wd);
          left--;
        }
        directory.used = false;
      }
    }
  }

  /** `wd` is not needed any more, or has ended by itself. */
  end(wd: number): void {
    const directory = this.watched.get(wd);
    if (directory === undefined) return;
    this.watched.delete(wd);
    directory.unwatched();
    this.client.unwatch(wd);
  }

  /** One more name is about to be remembered. */
  countName(): void {
    if (++this.names > MAX_NAMES) this.forgetAll();
  }

  private forgetAll(): void {
    this.names = 0;
    for (const directory of this.watched.values()) {
      directory.namesChanged();
      directory.outdate();
    }
  }

  /** Nothing is told any more. */
  stop(): void {
    if (this.fd >= 0) fs.close(this.fd);
    this.fd = -1;
    this.max = 0;
    for (const directory of this.watched.values()) directory.unwatched();
    this.watched.clear();
  }
}
