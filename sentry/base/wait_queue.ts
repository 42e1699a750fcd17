/**
 * Wait queues: who wants to hear when an object's readiness changes.
 *
 * Counterpart of Linux's wait_queue_head_t with poll keys. Callbacks only mark somebody runnable;
 * they must not change the object that notifies or take part in its operation.
 */

/** Anything that can be waited for and polled: files, epoll instances, child exits. */
export interface Waitable {
  /** Null for objects that are always ready (regular files). */
  readonly waitQueue: WaitQueue | null;
}

/** One registration, an intrusive list node: it can be on one queue at a time. */
export class Waiter {
  /** POLL* bits of interest; a notification with none of them is not delivered. */
  mask: number;
  readonly callback: (events: number) => void;
  queue: WaitQueue | null = null;
  next: Waiter | null = null;
  prev: Waiter | null = null;

  constructor(mask: number, callback: (events: number) => void) {
    this.mask = mask;
    this.callback = callback;
  }

  /** Leaves the queue, if on one. */
  cancel(): void {
    this.queue?.remove(this);
  }
}

export class WaitQueue implements Waitable {
  private head: Waiter | null = null;
  private tail: Waiter | null = null;

  get waitQueue(): WaitQueue {
    return this;
  }

  get empty(): boolean {
    return this.head === null;
  }

  add(w: Waiter): void {
    if (w.queue !== null) throw new Error('waiter is already on a queue');
    w.queue = this;
    w.prev = this.tail;
    w.next = null;
    if (this.tail === null) this.head = w;
    else this.tail.next = w;
    this.tail = w;
  }

  remove(w: Waiter): void {
    if (w.queue !== this) return;
    if (w.prev === null) this.head = w.next;
    else w.prev.next = w.next;
    if (w.next === null) this.tail = w.prev;
    else w.next.prev = w.prev;
    w.queue = null;
    w.next = null;
    w.prev = null;
  }

  /** Calls every waiter interested in `events`. Waiters may cancel themselves, not others. */
  notify(events: number): void {
    let w = this.head;
    while (w !== null) {
      const next: Waiter | null = w.next;
      if ((w.mask & events) !== 0) w.callback(events);
      w = next;
    }
  }
}
