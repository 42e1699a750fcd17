/**
 * One registration of epoll_ctl(2) (Linux's epitem), and the list of those that may be ready.
 */
import {
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLONESHOT,
  EPOLLWAKEUP,
  POLLERR,
  POLLHUP,
} from '../../../spec/linux/poll.ts';
import { Waiter } from '../../base/wait_queue.ts';
import type { OpenFile } from '../../vfs/open_file.ts';

/** Flags among the events; they never become ready themselves. */
const BEHAVIOUR = EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP;

/** What the application asks of a descriptor. */
export interface EpollInterest {
  /** EPOLL* */
  readonly events: number;
  /** The application's own 64 bits, in halves. */
  readonly dataLo: number;
  readonly dataHi: number;
}

export class EpollItem {
  readonly file: OpenFile;
  /** As it was called when added; with `file` the key (epoll(7), question 0). */
  readonly fd: number;
  interest: EpollInterest;
  readonly waiter: Waiter;

  // A node of ReadyList.
  listed = false;
  next: EpollItem | null = null;
  prev: EpollItem | null = null;

  constructor(
    file: OpenFile,
    fd: number,
    interest: EpollInterest,
    onEvent: (i: EpollItem) => void,
  ) {
    this.file = file;
    this.fd = fd;
    this.interest = interest;
    this.waiter = new Waiter(0, () => onEvent(this));
    this.setInterest(interest);
  }

  setInterest(interest: EpollInterest): void {
    this.interest = interest;
    this.waiter.mask = (interest.events & ~BEHAVIOUR) | POLLERR | POLLHUP;
  }

  /** EPOLLONESHOT has fired: silent until EPOLL_CTL_MOD. */
  disable(): void {
    this.interest = { ...this.interest, events: this.interest.events & BEHAVIOUR };
    this.waiter.mask = 0;
  }

  get edgeTriggered(): boolean {
    return (this.interest.events & EPOLLET) !== 0;
  }
  get oneShot(): boolean {
    return (this.interest.events & EPOLLONESHOT) !== 0;
  }
  get exclusive(): boolean {
    return (this.interest.events & EPOLLEXCLUSIVE) !== 0;
  }

  /** The events of interest that hold now. */
  ready(): number {
    return this.waiter.mask === 0 ? 0 : this.file.poll() & this.waiter.mask;
  }
}

/** Items in the order in which they became ready. */
export class ReadyList {
  private head: EpollItem | null = null;
  private tail: EpollItem | null = null;
  length = 0;

  push(item: EpollItem): void {
    if (item.listed) return;
    item.listed = true;
    item.prev = this.tail;
    item.next = null;
    if (this.tail === null) this.head = item;
    else this.tail.next = item;
    this.tail = item;
    this.length++;
  }

  get first(): EpollItem | null {
    return this.head;
  }

  remove(item: EpollItem): void {
    if (!item.listed) return;
    if (item.prev === null) this.head = item.next;
    else item.prev.next = item.next;
    if (item.next === null) this.tail = item.prev;
    else item.next.prev = item.prev;
    item.listed = false;
    item.next = null;
    item.prev = null;
    this.length--;
  }
}
