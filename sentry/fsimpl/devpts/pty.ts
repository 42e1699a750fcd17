/**
 * Pty: a pseudo terminal (pty(7)). Its master stands for the screen and the keyboard, its replica is what
 * programs have as their terminal; the line discipline lies between. State and the bytes under way; the
 * open files of both ends are in pty_files.ts, job control in job_control.ts.
 *
 *     master write -> typed -> discipline.input  -> replica read
 *     master read  <- discipline.output.queue    <- replica write, echo
 */

import {
  TIOCPKT_FLUSHREAD,
  TIOCPKT_FLUSHWRITE,
  TIOCPKT_START,
  TIOCPKT_STOP,
} from '../../../spec/linux/ioctl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI } from '../../../spec/linux/poll.ts';
import { SI_KERNEL, SIGCONT, SIGHUP, SIGWINCH } from '../../../spec/linux/signal.ts';
import { Timer } from '../../base/timer_queue.ts';
import { WaitQueue } from '../../base/wait_queue.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { sendToGroup, sendToProcessGroup } from '../../kernel/signal_send.ts';
import type { Terminal } from '../../kernel/terminal.ts';
import type { ProcessGroup, Session, ThreadGroup } from '../../kernel/thread_group.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import { ByteQueue } from './byte_queue.ts';
import { LineDiscipline, type LineHost } from './line_discipline.ts';

export const PTS_MAJOR = 136;
/** Typed bytes that the discipline has no room for yet. */
const TYPED_BYTES = 65536;
const NS_PER_DECISECOND = 100_000_000;
const EVERYTHING = POLLIN | POLLOUT | POLLHUP | POLLERR | POLLPRI;

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
  readonly xPixels: number;
  readonly yPixels: number;
}

export class Pty implements Terminal, LineHost {
  readonly devMajor = PTS_MAJOR;
  readonly devMinor: number;
  session: Session | null = null;
  foreground: ProcessGroup | null = null;
  /** Processes that gave the terminal up by TIOCNOTTY though their session keeps it. */
  readonly disowned = new WeakSet<ThreadGroup>();

  readonly discipline = new LineDiscipline(this);
  readonly typed = new ByteQueue(TYPED_BYTES);
  /** Where readers and writers of either end wait. */
  readonly masterQueue = new WaitQueue();
  readonly replicaQueue = new WaitQueue();

  masterOpen = true;
  replicas = 0;
  /** A replica was open at some time: without one now, the line is dead. */
  replicaSeen = false;
  /** Replicas opened before the last hangup are dead: each keeps the number it was opened with. */
  generation = 0;
  locked = true;
  exclusive = false;
  /** Packet mode (ioctl_tty(2) TIOCPKT) and the status byte to be read next. */
  packetMode = false;
  packetStatus = 0;
  windowSize: WindowSize = { rows: 0, columns: 0, xPixels: 0, yPixels: 0 };

  private readonly kernel: Kernel;
  private readonly onIdle: () => void;
  private readonly readTimer: Timer;
  /** VTIME has run out for the read that waits. */
  private readTimedOut = false;
  private wasStopped = false;

  /** `onIdle` runs when nobody has either end any more. */
  constructor(kernel: Kernel, index: number, onIdle: () => void) {
    this.kernel = kernel;
    this.devMinor = index;
    this.onIdle = onIdle;
    this.readTimer = new Timer(() => {
      this.readTimedOut = true;
      this.replicaQueue.notify(POLLIN);
    });
  }

  // What the line discipline reports ---------------------------------------------------------

  signal(signo: number): void {
    if (this.foreground !== null) {
      sendToProcessGroup(this.foreground, { signo, code: SI_KERNEL }, null);
    }
  }

  inputReady(): void {
    this.replicaQueue.notify(POLLIN);
  }

  outputChanged(): void {
    const { output } = this.discipline;
    if (output.stopped !== this.wasStopped) {
      this.wasStopped = output.stopped;
      this.addPacketStatus(output.stopped ? TIOCPKT_STOP : TIOCPKT_START);
    }
    if (output.queue.length > 0) this.masterQueue.notify(POLLIN);
    if (output.writable) this.replicaQueue.notify(POLLOUT);
  }

  flushed(input: boolean, output: boolean): void {
    if (input) this.addPacketStatus(TIOCPKT_FLUSHREAD);
    if (output) this.addPacketStatus(TIOCPKT_FLUSHWRITE);
  }

  private addPacketStatus(bits: number): void {
    if (!this.packetMode) return;
    if ((bits & TIOCPKT_STOP) !== 0) this.packetStatus &= ~TIOCPKT_START;
    if ((bits & TIOCPKT_START) !== 0) this.packetStatus &= ~TIOCPKT_STOP;
    this.packetStatus |= bits;
    this.masterQueue.notify(POLLIN | POLLPRI);
  }

  // The master's side ------------------------------------------------------------------------

  /** Types the bytes of `src`; how many were taken, 0 when the line is full. */
  type(src: IoBuffer): number {
    const n = this.typed.fill(src);
    this.pump();
    return n;
  }

  /** Feeds the discipline what it has room for. */
  pump(): void {
    const full = this.typed.room === 0;
    while (this.typed.length > 0) {
      const bytes = this.typed.peek();
      const n = this.discipline.receive(bytes, 0, bytes.length);
      if (n === 0) break;
      this.typed.drop(n);
    }
    if (full && this.typed.room > 0) this.masterQueue.notify(POLLOUT);
  }

  /** What was typed and not read yet is lost. */
  flushTyped(): void {
    this.typed.clear();
    this.discipline.flushInput();
    this.masterQueue.notify(POLLOUT);
  }

  /** Takes what programs wrote. */
  takeOutput(dst: IoBuffer): number {
    const { output } = this.discipline;
    const n = output.queue.drain(dst);
    if (n > 0) output.drained();
    return n;
  }

  /** No program has the terminal any more. */
  get abandoned(): boolean {
    return this.replicaSeen && this.replicas === 0;
  }

  closeMaster(): void {
    this.masterOpen = false;
    this.hangupSession();
    this.hangup();
    if (this.replicas === 0) this.onIdle();
  }

  /** The line went dead under a session: its leader is told, and it has no terminal any more. */
  private hangupSession(): void {
    const { session } = this;
    if (session === null) return;
    session.terminal = null;
    this.session = null;
    this.foreground = null;
    if (session.leader.zombie) return;
    sendToGroup(session.leader, { signo: SIGHUP, code: SI_KERNEL });
    sendToGroup(session.leader, { signo: SIGCONT, code: SI_KERNEL });
  }

  // The replica's side -----------------------------------------------------------------------

  /** One more open replica; the generation it belongs to. */
  openReplica(): number {
    this.replicas++;
    this.replicaSeen = true;
    return this.generation;
  }

  closeReplica(generation: number): void {
    if (generation !== this.generation) return;
    this.replicas--;
    if (this.replicas === 0) this.replicasGone();
  }

  private replicasGone(): void {
    this.exclusive = false;
    this.masterQueue.notify(EVERYTHING);
    if (!this.masterOpen) this.onIdle();
  }

  /** Everyone who has the terminal open loses it (vhangup(2)). */
  hangup(): void {
    this.generation++;
    this.kernel.timers.cancel(this.readTimer);
    const had = this.replicas > 0;
    this.replicas = 0;
    this.replicaQueue.notify(EVERYTHING);
    if (had) this.replicasGone();
  }

  /**
   * Whether a read in raw mode has what VMIN and VTIME ask for. `wanted`: bytes the reader has room
   * for. A timer between bytes is started here, and its end makes the wait over.
   */
  readSatisfied(wanted: number): boolean {
    const { discipline } = this;
    if (discipline.canonical) return discipline.readable;
    const { minimum, timeout } = discipline;
    const { used } = discipline.input;
    if (minimum > 0 ? used >= Math.min(minimum, wanted) : used > 0 || timeout === 0) return true;
    if (timeout === 0) return false;
    if (this.readTimedOut && (minimum === 0 || used > 0)) return true;
    // With VMIN the clock starts at the first byte, and anew at each that follows.
    if (minimum > 0 && used === 0) return false;
    if (minimum > 0 || !this.readTimer.armed) {
      const nowNs = this.kernel.clock.monotonicNs();
      this.kernel.timers.start(this.readTimer, nowNs + timeout * NS_PER_DECISECOND);
    }
    return false;
  }

  read(dst: IoBuffer): number {
    this.kernel.timers.cancel(this.readTimer);
    this.readTimedOut = false;
    const n = this.discipline.read(dst);
    if (this.typed.length > 0) this.pump();
    return n;
  }

  // Settings ---------------------------------------------------------------------------------

  /** Whether this is the controlling terminal of the process. */
  controls(g: ThreadGroup): boolean {
    return g.session.terminal === this && !this.disowned.has(g);
  }

  setWindowSize(size: WindowSize): void {
    const old = this.windowSize;
    this.windowSize = size;
    const same = old.rows === size.rows && old.columns === size.columns;
    if (same && old.xPixels === size.xPixels && old.yPixels === size.yPixels) return;
    this.signal(SIGWINCH);
  }

  /** Makes this the controlling terminal of `session`, with `group` in the foreground. */
  control(session: Session, group: ProcessGroup): void {
    if (this.session !== null) this.session.terminal = null;
    this.session = session;
    this.foreground = group;
    session.terminal = this;
  }
}
