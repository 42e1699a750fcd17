/** Signals as events: blocked, and read from a signalfd(2). */

import * as native from '../../native/fs.ts';
import * as proc from '../../native/process.ts';
import { SFD_CLOEXEC, SFD_NONBLOCK, SIG_BLOCK, SIG_UNBLOCK } from '../../spec/linux/signal.ts';
import type { SignalSource } from './host.ts';

/** struct signalfd_siginfo; ssi_signo is its first u32. */
const SIGINFO_LENGTH = 128;

export class HostSignals implements SignalSource {
  readonly fd: number;
  private readonly set: readonly [number, number];
  private readonly info = new Uint8Array(SIGINFO_LENGTH);

  constructor(signos: readonly number[]) {
    let low = 0;
    let high = 0;
    for (const signo of signos) {
      if (signo <= 32) low |= 1 << (signo - 1);
      else high |= 1 << (signo - 33);
    }
    this.set = [low >>> 0, high >>> 0];
    proc.sigprocmask(SIG_BLOCK, this.set);
    this.fd = proc.signalfd(-1, this.set, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  next(): number {
    const length = native.read(this.fd, this.info);
    return length === SIGINFO_LENGTH ? (this.info[0] ?? 0) : 0;
  }

  close(): void {
    native.close(this.fd);
    proc.sigprocmask(SIG_UNBLOCK, this.set);
  }
}
