/** Host descriptors watched through an epoll(7) instance, edge-triggered: on both platforms. */

import { result } from '../../native/bytes.ts';
import { syscall } from '../../native/index.ts';
import * as epoll from '../../spec/linux/poll.ts';
import { SYS_epoll_ctl, SYS_epoll_wait } from '../../spec/linux/syscall_numbers.ts';
import type { HostPoller } from './platform.ts';

/** struct epoll_event is packed: 32 bits of events, 64 of data (the descriptor, here). */
const EVENT_WORDS = 3;
const EVENTS_AT_ONCE = 128;
/** However busy the descriptors are, the tasks have their turn. */
const ROUNDS_AT_ONCE = 8;

export class EpollHostPoller implements HostPoller {
  readonly #epollFd: number;
  readonly #beforeDrain: () => void;
  readonly #callbacks = new Map<number, (events: number) => void>();

  /** `beforeDrain` tells whoever woke us for these descriptors that they are looked at. */
  constructor(epollFd: number, beforeDrain: () => void = () => undefined) {
    this.#epollFd = epollFd;
    this.#beforeDrain = beforeDrain;
  }

  add(fd: number, onReady: (events: number) => void): number {
    const { address, u32 } = result;
    u32[0] = (epoll.EPOLLIN | epoll.EPOLLOUT | epoll.EPOLLRDHUP | epoll.EPOLLET) >>> 0;
    u32[1] = fd;
    u32[2] = 0;
    const status = syscall(SYS_epoll_ctl, this.#epollFd, epoll.EPOLL_CTL_ADD, fd, address);
    if (status >= 0) this.#callbacks.set(fd, onReady);
    return status;
  }

  remove(fd: number): void {
    if (!this.#callbacks.delete(fd)) return;
    syscall(SYS_epoll_ctl, this.#epollFd, epoll.EPOLL_CTL_DEL, fd, null);
  }

  drain(): void {
    this.#beforeDrain();
    for (let round = 0; round < ROUNDS_AT_ONCE; round++) {
      const { address, u32 } = result;
      const count = syscall(SYS_epoll_wait, this.#epollFd, address, EVENTS_AT_ONCE, 0);
      if (count <= 0) return;
      // Callbacks make host calls of their own, which reuse the scratch memory.
      const events = u32.slice(0, count * EVENT_WORDS);
      for (let i = 0; i < count; i++) {
        const fd = events[i * EVENT_WORDS + 1] as number;
        let ready = events[i * EVENT_WORDS] as number;
        // A pipe whose other end closes tells only of the hang-up, yet a read would now return.
        if ((ready & (epoll.EPOLLHUP | epoll.EPOLLERR)) !== 0) {
          ready |= epoll.EPOLLIN | epoll.EPOLLOUT;
        }
        this.#callbacks.get(fd)?.(ready);
      }
    }
  }
}
