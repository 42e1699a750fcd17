/**
 * epoll instances (epoll(7); Linux's fs/eventpoll.c). Files tell their items of events, and items wait
 * on a ready list, so that collecting costs what is ready and not what is registered.
 *
 * Deviation: EPOLLEXCLUSIVE is accepted and checked, but every instance is woken; the manual page
 * promises only "one or more".
 */
import { EEXIST, EINVAL, ELOOP, ENOENT } from '../../../spec/linux/errno.ts';
import { O_RDWR } from '../../../spec/linux/fcntl.ts';
import {
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLWAKEUP,
  POLLIN,
  POLLRDNORM,
} from '../../../spec/linux/poll.ts';
import { WaitQueue } from '../../base/wait_queue.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { OpenFile, type ReleaseListener } from '../../vfs/open_file.ts';
import { anonPath } from '../anon/anon_inode.ts';
import { type EpollInterest, EpollItem, ReadyList } from './epoll_item.ts';

/** Instances inside one another: at most this many steps from the outermost to the innermost. */
const MAX_NESTS = 4;
/**
 * Ways by which an event of one file may go up through so many instances to an outermost one, as in Linux:
 * each is work for every event. Directly, any number; then `path_limits` of fs/eventpoll.c.
 */
const MAX_PATHS = [Number.POSITIVE_INFINITY, 500, 100, 50, 10];
const READABLE = POLLIN | POLLRDNORM;
/** All that may stand beside EPOLLEXCLUSIVE. */
const EXCLUSIVE_EVENTS =
  EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;

export class EpollFile extends OpenFile implements ReleaseListener {
  private readonly queue = new WaitQueue();
  /** Several descriptors may refer to one file; each has an item of its own. */
  private readonly items = new Map<OpenFile, EpollItem[]>();
  private readonly readyList = new ReadyList();

  constructor(kernel: Kernel) {
    const path = anonPath(kernel, 'anon_inode:[eventpoll]');
    super(path, path.mount.fs.root, O_RDWR);
  }

  override get waitQueue(): WaitQueue {
    return this.queue;
  }

  override poll(): number {
    for (;;) {
      const item = this.readyList.first;
      if (item === null) return 0;
      if (item.ready() !== 0) return READABLE;
      this.readyList.remove(item);
    }
  }

  // epoll_ctl(2) -------------------------------------------------------------------------------

  add(file: OpenFile, fd: number, interest: EpollInterest): number {
    const exclusive = (interest.events & EPOLLEXCLUSIVE) !== 0;
    if (exclusive) {
      if ((interest.events & ~EXCLUSIVE_EVENTS) !== 0 || file instanceof EpollFile) return -EINVAL;
    }
    if (file instanceof EpollFile && !this.mayHold(file)) return -ELOOP;
    if (this.find(file, fd) !== undefined) return -EEXIST;
    const item = new EpollItem(file, fd, interest, this.onEvent);
    const siblings = this.items.get(file);
    if (siblings === undefined) {
      this.items.set(file, [item]);
      file.releaseListeners ??= new Set();
      file.releaseListeners.add(this);
    } else {
      siblings.push(item);
    }
    if (this.makesTooManyPaths(file)) {
      this.delete(file, fd);
      return -EINVAL;
    }
    file.waitQueue?.add(item.waiter);
    this.refresh(item);
    return 0;
  }

  modify(file: OpenFile, fd: number, interest: EpollInterest): number {
    if ((interest.events & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
    const item = this.find(file, fd);
    if (item === undefined) return -ENOENT;
    if (item.exclusive) return -EINVAL;
    item.setInterest(interest);
    this.refresh(item);
    return 0;
  }

  delete(file: OpenFile, fd: number): number {
    const item = this.find(file, fd);
    if (item === undefined) return -ENOENT;
    const siblings = this.items.get(file) as EpollItem[];
    this.drop(item);
    siblings.splice(siblings.indexOf(item), 1);
    if (siblings.length === 0) this.forget(file);
    return 0;
  }

  private find(file: OpenFile, fd: number): EpollItem | undefined {
    return this.items.get(file)?.find((item) => item.fd === fd);
  }

  private drop(item: EpollItem): void {
    item.waiter.cancel();
    this.readyList.remove(item);
  }

  private forget(file: OpenFile): void {
    this.items.delete(file);
    file.releaseListeners?.delete(this);
  }

  fileReleased(file: OpenFile): void {
    for (const item of this.items.get(file) ?? []) this.drop(item);
    this.forget(file);
  }

  protected override release(): void {
    for (const file of [...this.items.keys()]) this.fileReleased(file);
  }

  // Readiness ----------------------------------------------------------------------------------

  private readonly onEvent = (item: EpollItem): void => {
    this.readyList.push(item);
    // Again even if it was listed: an outer edge-triggered instance counts every event.
    this.queue.notify(READABLE);
  };

  /** After the interest changed: what holds already counts as an event. */
  private refresh(item: EpollItem): void {
    if (item.ready() !== 0) this.onEvent(item);
  }

  /** Whether something may be ready; `collect` finds out. */
  get maybeReady(): boolean {
    return this.readyList.length > 0;
  }

  /**
   * epoll_wait(2): hands up to `max` ready items to `emit`, which returns false when it cannot store
   * one. Level-triggered items queue up again at the end, so that everybody gets a turn.
   */
  collect(max: number, emit: (item: EpollItem, events: number) => boolean): number {
    let count = 0;
    for (let left = this.readyList.length; left > 0 && count < max; left--) {
      const item = this.readyList.first;
      if (item === null) break;
      const events = item.ready();
      if (events !== 0 && !emit(item, events)) break;
      this.readyList.remove(item);
      if (events === 0) continue;
      count++;
      if (item.oneShot) item.disable();
      else if (!item.edgeTriggered) this.readyList.push(item);
    }
    return count;
  }

  // Nesting ------------------------------------------------------------------------------------

  /** Whether `inner` can be added without a loop or too deep a chain. */
  private mayHold(inner: EpollFile): boolean {
    const below = inner.depthBelow(this, new Map());
    return below >= 0 && below + 1 + this.pathsUp(new Map()).length - 1 <= MAX_NESTS;
  }

  /** Steps down to the innermost instance; -1 when `outer` is met. `known` are answers already given. */
  private depthBelow(outer: EpollFile, known: Map<EpollFile, number>): number {
    if (this === outer) return -1;
    let deepest = known.get(this);
    if (deepest !== undefined) return deepest;
    deepest = 0;
    for (const file of this.items.keys()) {
      if (!(file instanceof EpollFile)) continue;
      const below = file.depthBelow(outer, known);
      if (below < 0) return -1;
      deepest = Math.max(deepest, below + 1);
    }
    known.set(this, deepest);
    return deepest;
  }

  /** By how many ways of each number of steps outermost instances are reached from here. */
  private pathsUp(known: Map<EpollFile, number[]>): number[] {
    let paths = known.get(this);
    if (paths !== undefined) return paths;
    paths = pathsFrom(this, known).slice(0, MAX_PATHS.length);
    // Nobody holds it: it is an outermost one itself.
    if (paths.length === 0) paths = [1];
    else paths.unshift(0);
    known.set(this, paths);
    return paths;
  }

  /** Ways up from `file`, which this instance holds in one or more items. */
  waysFor(file: OpenFile, known: Map<EpollFile, number[]>): number[] {
    const items = this.items.get(file)?.length ?? 0;
    return this.pathsUp(known).map((n) => n * items);
  }

  /** Whether `file`, just added, or one below it now has too many ways up. */
  private makesTooManyPaths(file: OpenFile): boolean {
    const alone = (this.releaseListeners?.size ?? 0) === 0 && file.releaseListeners?.size === 1;
    if (alone && !(file instanceof EpollFile)) return false;
    const known = new Map<EpollFile, number[]>();
    const visited = new Set<OpenFile>();
    const check = (at: OpenFile): boolean => {
      if (visited.has(at)) return true;
      visited.add(at);
      if (!(at instanceof EpollFile)) {
        return pathsFrom(at, known).every((n, steps) => n <= (MAX_PATHS[steps] ?? 0));
      }
      for (const below of at.items.keys()) if (!check(below)) return false;
      return true;
    };
    return !check(file);
  }

  override fdinfo(): string {
    let text = '';
    for (const item of [...this.items.values()].flat()) {
      const { events, dataLo, dataHi } = item.interest;
      const hex = (n: number): string => (n >>> 0).toString(16);
      const data = (
        dataHi === 0 ? hex(dataLo) : hex(dataHi) + hex(dataLo).padStart(8, '0')
      ).padStart(16);
      text += `tfd: ${String(item.fd).padStart(8)} events: ${hex(events).padStart(8)} data: ${data} `;
      text += ` pos:0 ino:${item.file.inode.ino.toString(16)} sdev:${hex(item.file.inode.fs.devMinor)}\n`;
    }
    return text;
  }
}

/** Of the instances that hold `file` together: the ways up, by the number of instances above the first. */
function pathsFrom(file: OpenFile, known: Map<EpollFile, number[]>): number[] {
  const sum: number[] = [];
  for (const holder of file.releaseListeners ?? []) {
    if (!(holder instanceof EpollFile)) continue;
    holder.waysFor(file, known).forEach((n, steps) => {
      sum[steps] = (sum[steps] ?? 0) + n;
    });
  }
  return sum;
}
