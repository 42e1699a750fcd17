/**
 * The bridge between a host terminal and an internal pty: what is typed at the host's goes to the pty's
 * master, what programs write comes out at the host's. The one line discipline is the pty's; the host
 * terminal is raw.
 *
 * Host calls never wait: the descriptor comes nonblocking where the CLI may open the terminal; where
 * not, poll(2) is asked before each small step.
 */

import { close, fcntl, read, write } from '../../../native/fs.ts';
import { signalfd, sigprocmask } from '../../../native/process.ts';
import { type PollFd, poll } from '../../../native/socket.ts';
import { getTermios, getWindowSize, makeRaw, setTermios } from '../../../native/tty.ts';
import { EAGAIN, EINTR } from '../../../spec/linux/errno.ts';
import { F_GETFL, O_CLOEXEC, O_NONBLOCK } from '../../../spec/linux/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from '../../../spec/linux/poll.ts';
import { SIGHUP, SIGWINCH } from '../../../spec/linux/signal.ts';
import { Timer } from '../../base/timer_queue.ts';
import { Waiter } from '../../base/wait_queue.ts';
import type { Container } from '../../kernel/container.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Session, ThreadGroup } from '../../kernel/thread_group.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import type { Pty } from '../devpts/pty.ts';
import { openKernelTerminal } from '../devpts/tty_devices.ts';

/** Bytes moved by one host call. */
const CHUNK = 16384;
/** What a host terminal with room takes without waiting. */
const SMALL_WRITE = 64;
/** How long the last output may take to be read by nobody. */
const DRAIN_MS = 2000;
const SIG_BLOCK = 0;
const ENDED = POLLHUP | POLLERR;

export interface HostTerminal {
  /** What the process has at descriptors 0, 1 and 2; one reference, the caller's. */
  readonly replica: OpenFile;
  resize(rows: number, columns: number): void;
  /** Writes out what the line still holds. */
  drain(): void;
}

class Bridge implements HostTerminal {
  readonly replica: OpenFile;
  private readonly kernel: Kernel;
  private readonly pty: Pty;
  private fd: number;
  private readonly nonblocking: boolean;
  private signalFd = -1;
  private readonly input = new Uint8Array(CHUNK);
  private inputStart = 0;
  private inputEnd = 0;
  private readonly output = new Uint8Array(CHUNK);
  private outputStart = 0;
  private outputEnd = 0;
  /** Work is put off to the kernel's loop: a notification must not change what notifies. */
  private readonly later: Timer;
  private readonly waiter: Waiter;

  constructor(kernel: Kernel, pty: Pty, replica: OpenFile, fd: number, nonblocking: boolean) {
    this.kernel = kernel;
    this.pty = pty;
    this.replica = replica;
    this.fd = fd;
    this.nonblocking = nonblocking;
    this.later = new Timer(() => this.pump());
    this.waiter = new Waiter(POLLIN | POLLOUT | POLLHUP, () => this.schedule());
    pty.masterQueue.add(this.waiter);
    kernel.poller.add(fd, () => this.pump());
  }

  private schedule(): void {
    if (!this.later.armed) this.kernel.timers.start(this.later, 0);
  }

  /** Moves all that can be moved both ways. */
  private pump(): void {
    if (this.fd < 0) return;
    this.pumpOutput();
    this.pumpInput();
    // Echo of what was just typed.
    if (this.fd >= 0) this.pumpOutput();
    if (this.pty.abandoned && this.fd >= 0 && this.outputStart === this.outputEnd) this.end();
  }

  private ready(events: number, timeoutMs: number): number {
    const look: PollFd = { fd: this.fd, events, revents: 0 };
    return poll([look], timeoutMs) > 0 ? look.revents : 0;
  }

  private pumpInput(): void {
    for (;;) {
      if (this.inputStart === this.inputEnd) {
        const n = this.readHost();
        if (n === -EAGAIN || n === -EINTR) return;
        if (n <= 0) return this.end();
        this.inputStart = 0;
        this.inputEnd = n;
      }
      const n = this.pty.type(IoBuffer.over(this.input, this.inputStart, this.inputEnd));
      if (n === 0) return;
      this.inputStart += n;
    }
  }

  private readHost(): number {
    if (!this.nonblocking) {
      const events = this.ready(POLLIN | POLLRDHUP, 0);
      if (events === 0) return -EAGAIN;
      if ((events & POLLIN) === 0) return 0;
    }
    return read(this.fd, this.input);
  }

  /** False when output remains because the host takes no more now. */
  private pumpOutput(): boolean {
    for (;;) {
      if (this.outputStart === this.outputEnd) {
        this.outputStart = 0;
        this.outputEnd = this.pty.takeOutput(IoBuffer.over(this.output));
        if (this.outputEnd === 0) return true;
      }
      const n = this.writeHost();
      if (n === -EAGAIN || n === -EINTR) return false;
      if (n < 0) {
        this.end();
        return true;
      }
      this.outputStart += n;
    }
  }

  private writeHost(): number {
    let end = this.outputEnd;
    if (!this.nonblocking) {
      const events = this.ready(POLLOUT, 0);
      if ((events & (POLLOUT | ENDED)) === 0) return -EAGAIN;
      end = Math.min(end, this.outputStart + SMALL_WRITE);
    }
    return write(this.fd, this.output.subarray(this.outputStart, end));
  }

  /** One side hung up: so does the other. */
  private end(): void {
    if (this.fd < 0) return;
    const { kernel, fd } = this;
    this.fd = -1;
    this.waiter.cancel();
    kernel.timers.cancel(this.later);
    kernel.poller.remove(fd);
    close(fd);
    if (this.signalFd >= 0) {
      kernel.poller.remove(this.signalFd);
      close(this.signalFd);
      this.signalFd = -1;
    }
    this.pty.closeMaster();
  }

  drain(): void {
    const deadlineNs = this.kernel.clock.monotonicNs() + DRAIN_MS * 1e6;
    while (this.fd >= 0 && !this.pumpOutput()) {
      const leftMs = Math.ceil((deadlineNs - this.kernel.clock.monotonicNs()) / 1e6);
      if (leftMs <= 0 || this.ready(POLLOUT, leftMs) === 0) return;
    }
  }

  resize(rows: number, columns: number): void {
    const { xPixels, yPixels } = this.pty.windowSize;
    this.pty.setWindowSize({ rows, columns, xPixels, yPixels });
  }

  /** Takes the size that the host's terminal has. */
  adoptSize(): void {
    const size = this.fd < 0 ? -1 : getWindowSize(this.fd);
    if (typeof size !== 'number') this.pty.setWindowSize(size);
  }

  /** As the controlling terminal of this very process the host's tells of its size by SIGWINCH. */
  followSize(): void {
    // Its end is told by the descriptor: SIGHUP must not end the Sentry before the line is drained.
    const set: readonly [number, number] = [2 ** (SIGWINCH - 1) + 2 ** (SIGHUP - 1), 0];
    sigprocmask(SIG_BLOCK, set);
    const fd = signalfd(-1, set, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    this.signalFd = fd;
    const record = new Uint8Array(128);
    this.kernel.poller.add(fd, () => {
      while (this.signalFd >= 0 && read(this.signalFd, record) > 0);
      this.adoptSize();
    });
  }
}

/** Bridges host terminal `fd`, which it takes over unless it fails. */
export function openHostTerminal(
  kernel: Kernel,
  container: Container,
  fd: number,
  session: Session,
  group: ThreadGroup,
  controlling: boolean,
): HostTerminal | number {
  const modes = getTermios(fd);
  if (typeof modes === 'number') return modes;
  const made = openKernelTerminal(container, group.leader.creds);
  if (typeof made === 'number') return made;
  const { pty, replica } = made;
  setTermios(fd, makeRaw(modes));
  const bridge = new Bridge(kernel, pty, replica, fd, (fcntl(fd, F_GETFL) & O_NONBLOCK) !== 0);
  bridge.adoptSize();
  if (controlling) bridge.followSize();
  pty.control(session, group.processGroup);
  return bridge;
}
