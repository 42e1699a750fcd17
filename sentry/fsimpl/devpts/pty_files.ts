/**
 * The open files of a pseudo terminal: its master (from /dev/ptmx) and its replicas (/dev/pts/N, /dev/tty).
 */
import { EAGAIN, EIO, ENOTTY } from '../../../spec/linux/errno.ts';
import { TIOCPKT_DATA, TIOCSPGRP } from '../../../spec/linux/ioctl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../spec/linux/poll.ts';
import type { WaitQueue } from '../../base/wait_queue.ts';
import type { Task } from '../../kernel/task.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { OpenFile } from '../../vfs/open_file.ts';
import type { Devpts } from './devpts.ts';
import { mayRead, mayWrite } from './job_control.ts';
import type { Pty } from './pty.ts';
import { masterIoctl, replicaIoctl } from './tty_ioctl.ts';

const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM;
const HUNG_UP = READABLE | WRITABLE | POLLERR | POLLHUP;

export class MasterFile extends OpenFile {
  readonly pty: Pty;
  /** Where the replica has its name. */
  readonly devpts: Devpts;
  private readonly statusByte = new Uint8Array(1);

  constructor(path: Path, inode: Inode, flags: number, pty: Pty, devpts: Devpts) {
    super(path, inode, flags);
    this.pty = pty;
    this.devpts = devpts;
  }

  override get waitQueue(): WaitQueue {
    return this.pty.masterQueue;
  }

  override poll(): number {
    const { pty } = this;
    let events = pty.discipline.output.queue.length > 0 ? READABLE : 0;
    if (pty.packetMode && pty.packetStatus !== 0) events |= READABLE | POLLPRI;
    if (pty.typed.room > 0) events |= WRITABLE;
    if (pty.abandoned) events |= POLLHUP;
    return events;
  }

  override read(_caller: FsCaller, dst: IoBuffer): number {
    const { pty } = this;
    if (dst.remaining === 0) return 0;
    if (pty.packetMode && pty.packetStatus !== 0) {
      const status = pty.packetStatus;
      pty.packetStatus = 0;
      return this.writeStatus(dst, status);
    }
    if (pty.discipline.output.queue.length === 0) return pty.abandoned ? -EIO : -EAGAIN;
    if (!pty.packetMode) return pty.takeOutput(dst);
    const head = this.writeStatus(dst, TIOCPKT_DATA);
    return head === 0 ? 0 : head + pty.takeOutput(dst);
  }

  private writeStatus(dst: IoBuffer, status: number): number {
    this.statusByte[0] = status;
    return dst.write(this.statusByte);
  }

  override write(_caller: FsCaller, src: IoBuffer): number {
    const { pty } = this;
    if (src.remaining === 0) return 0;
    const n = pty.type(src);
    return n === 0 && !src.faulted ? -EAGAIN : n;
  }

  override ioctl(caller: FsCaller, command: number, argument: number): number {
    return masterIoctl(caller as Task, this, command, argument);
  }

  protected override release(): void {
    this.pty.closeMaster();
  }
}

export class ReplicaFile extends OpenFile {
  readonly pty: Pty;
  private readonly generation: number;

  constructor(path: Path, inode: Inode, flags: number, pty: Pty) {
    super(path, inode, flags);
    this.pty = pty;
    this.generation = pty.openReplica();
  }

  /** The terminal was taken away from whoever had it open. */
  get hungUp(): boolean {
    return this.generation !== this.pty.generation;
  }

  override get waitQueue(): WaitQueue {
    return this.pty.replicaQueue;
  }

  override poll(): number {
    if (this.hungUp) return HUNG_UP;
    const { discipline } = this.pty;
    return (discipline.pollReadable ? READABLE : 0) | (discipline.output.writable ? WRITABLE : 0);
  }

  override read(caller: FsCaller, dst: IoBuffer): number {
    if (this.hungUp || dst.remaining === 0) return 0;
    const { pty } = this;
    const allowed = mayRead(caller as Task, pty);
    if (allowed < 0) return allowed;
    if (!pty.readSatisfied(dst.remaining)) {
      // Without waiting, what there is will do.
      if (!this.nonblock || !pty.discipline.readable) return -EAGAIN;
    }
    return pty.read(dst);
  }

  override write(caller: FsCaller, src: IoBuffer): number {
    if (this.hungUp) return -EIO;
    const allowed = mayWrite(caller as Task, this.pty);
    if (allowed < 0) return allowed;
    if (src.remaining === 0) return 0;
    const n = this.pty.discipline.output.write(src);
    return n === 0 && !src.faulted ? -EAGAIN : n;
  }

  override ioctl(caller: FsCaller, command: number, argument: number): number {
    if (this.hungUp) return command === TIOCSPGRP ? -ENOTTY : -EIO;
    return replicaIoctl(caller as Task, this, command, argument);
  }

  protected override release(): void {
    this.pty.closeReplica(this.generation);
  }
}
