/**
 * inotify instances (inotify(7)): watches on inodes and a queue of events to read.
 */
import { EAGAIN, EEXIST, EINVAL, ENOSPC } from '../../../spec/linux/errno.ts';
import {
  IN_ALL_EVENTS,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_ONESHOT,
  IN_Q_OVERFLOW,
} from '../../../spec/linux/inotify.ts';
import { FIONREAD } from '../../../spec/linux/ioctl.ts';
import { POLLIN, POLLRDNORM } from '../../../spec/linux/poll.ts';
import { encodeByteString } from '../../base/byte_string.ts';
import { WaitQueue } from '../../base/wait_queue.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { type Watch, WatchList } from '../../vfs/fsnotify.ts';
import type { Inode } from '../../vfs/inode.ts';
import { OpenFile } from '../../vfs/open_file.ts';

/** fs.inotify.max_queued_events and max_user_watches. */
const MAX_EVENTS = 16384;
const MAX_WATCHES = 65536;
const HEADER = 16;
const READABLE = POLLIN | POLLRDNORM;

interface QueuedEvent {
  readonly wd: number;
  readonly mask: number;
  readonly cookie: number;
  readonly name: string;
}

/** Bytes of an event when read: the name is padded with NULs to a multiple of the header. */
function eventLength(e: QueuedEvent): number {
  return e.name === '' ? HEADER : HEADER + Math.ceil((e.name.length + 1) / HEADER) * HEADER;
}

class InotifyWatch implements Watch {
  readonly wd: number;
  readonly inode: Inode;
  mask: number;
  private readonly owner: InotifyFile;

  constructor(owner: InotifyFile, wd: number, inode: Inode, mask: number) {
    this.owner = owner;
    this.wd = wd;
    this.inode = inode;
    this.mask = mask;
  }

  notify(mask: number, cookie: number, name: string): void {
    this.owner.queueEvent(this.wd, mask, cookie, name);
    if ((this.mask & IN_ONESHOT) !== 0) this.owner.end(this);
  }

  gone(): void {
    this.owner.end(this);
  }
}

export class InotifyFile extends OpenFile {
  private readonly queue = new WaitQueue();
  private events: QueuedEvent[] = [];
  private readonly watches = new Map<number, InotifyWatch>();
  private lastWd = 0;

  override get waitQueue(): WaitQueue {
    return this.queue;
  }
  override get writable(): boolean {
    return false;
  }
  override poll(): number {
    return this.events.length > 0 ? READABLE : 0;
  }

  /** inotify_add_watch(2): the watch descriptor or -errno. */
  addWatch(inode: Inode, mask: number): number {
    inode.watches ??= new WatchList();
    for (const w of this.watches.values()) {
      if (w.inode !== inode) continue;
      if ((mask & IN_MASK_CREATE) !== 0) return -EEXIST;
      const kept = (mask & IN_MASK_ADD) !== 0 ? w.mask : 0;
      w.mask = kept | (mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK));
      return w.wd;
    }
    if (this.watches.size >= MAX_WATCHES) return -ENOSPC;
    const wanted = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);
    const w = new InotifyWatch(this, ++this.lastWd, inode, wanted);
    this.watches.set(w.wd, w);
    inode.watches.add(w);
    return w.wd;
  }

  /** inotify_rm_watch(2). */
  removeWatch(wd: number): number {
    const w = this.watches.get(wd);
    if (w === undefined) return -EINVAL;
    this.end(w);
    return 0;
  }

  /** The watch is over: IN_IGNORED is the last that is heard of it. */
  end(w: InotifyWatch): void {
    if (!this.watches.delete(w.wd)) return;
    this.forgetWatch(w);
    this.queueEvent(w.wd, IN_IGNORED, 0, '');
  }

  private forgetWatch(w: InotifyWatch): void {
    w.inode.watches?.remove(w);
    if (w.inode.watches?.empty) w.inode.watches = null;
  }

  queueEvent(wd: number, mask: number, cookie: number, name: string): void {
    const last = this.events[this.events.length - 1];
    // The same event twice in a row is reported once.
    const again = last?.wd === wd && last.mask === mask && last.name === name;
    if (again && last.cookie === cookie) return;
    if (this.events.length >= MAX_EVENTS) {
      if (last?.mask === IN_Q_OVERFLOW) return;
      this.events.push({ wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: '' });
    } else {
      this.events.push({ wd, mask, cookie, name });
    }
    this.queue.notify(READABLE);
  }

  /** As many whole events as fit; -EINVAL when not even the first does. */
  override read(_caller: FsCaller, dst: IoBuffer): number {
    const first = this.events[0];
    if (first === undefined) return -EAGAIN;
    if (eventLength(first) > dst.remaining) return -EINVAL;
    let total = 0;
    let taken = 0;
    for (const e of this.events) {
      const length = eventLength(e);
      if (length > dst.remaining) break;
      const bytes = new Uint8Array(length);
      const view = new DataView(bytes.buffer);
      view.setInt32(0, e.wd, true);
      view.setUint32(4, e.mask >>> 0, true);
      view.setUint32(8, e.cookie, true);
      view.setUint32(12, length - HEADER, true);
      encodeByteString(e.name, bytes, HEADER);
      if (dst.write(bytes) < length) break;
      total += length;
      taken++;
    }
    this.events = this.events.slice(taken);
    return total;
  }

  override ioctl(caller: FsCaller, command: number, argument: number): number {
    if (command !== FIONREAD) return super.ioctl(caller, command, argument);
    let bytes = 0;
    for (const e of this.events) bytes += eventLength(e);
    return caller.mm.writeU32(argument, bytes);
  }

  override fdinfo(): string {
    let text = '';
    for (const w of this.watches.values()) {
      const { ino, fs } = w.inode;
      const dev = (fs.devMajor * 2 ** 20 + fs.devMinor).toString(16);
      text += `inotify wd:${w.wd} ino:${ino.toString(16)} sdev:${dev} mask:${w.mask.toString(16)}\n`;
    }
    return text;
  }

  protected override release(): void {
    for (const w of this.watches.values()) this.forgetWatch(w);
    this.watches.clear();
    this.events = [];
  }
}
