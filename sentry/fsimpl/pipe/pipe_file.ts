/**
 * Ends of pipes and fifos as open files (pipe(7), fifo(7)). Linux's counterpart is fs/pipe.c.
 */
import { EAGAIN, ENOTTY, ENXIO, ESPIPE } from '../../../spec/linux/errno.ts';
import {
  O_ACCMODE,
  O_DIRECT,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from '../../../spec/linux/fcntl.ts';
import { FIONREAD } from '../../../spec/linux/ioctl.ts';
import { S_IFIFO } from '../../../spec/linux/stat.ts';
import type { WaitQueue } from '../../base/wait_queue.ts';
import { containerOf } from '../../kernel/container.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { OpenFile } from '../../vfs/open_file.ts';
import { type AnonFileSystem, AnonInode, anonFileSystem } from '../anon/anon_inode.ts';
import { Pipe } from './pipe.ts';

export class PipeFile extends OpenFile {
  readonly pipe: Pipe;
  private readonly reads: boolean;
  private readonly writes: boolean;
  /** The other side's count of opens when this end was opened. */
  private readonly writersBefore: number;
  private readonly readersBefore: number;

  constructor(path: Path, inode: Inode, flags: number, pipe: Pipe) {
    super(path, inode, flags);
    this.pipe = pipe;
    const access = flags & O_ACCMODE;
    this.reads = access === O_RDONLY || access === O_RDWR;
    this.writes = access === O_WRONLY || access === O_RDWR;
    this.writersBefore = pipe.writers > 0 ? -1 : pipe.writerOpens;
    this.readersBefore = pipe.readers > 0 ? -1 : pipe.readerOpens;
    if (this.reads) pipe.addReader();
    if (this.writes) pipe.addWriter();
  }

  override get waitQueue(): WaitQueue {
    return this.pipe.queue;
  }

  override poll(): number {
    const { pipe } = this;
    const writersSeen = pipe.writerOpens !== this.writersBefore;
    return (this.reads ? pipe.pollRead(writersSeen) : 0) | (this.writes ? pipe.pollWrite() : 0);
  }

  override read(_caller: FsCaller, dst: IoBuffer): number {
    return this.pipe.read(dst);
  }

  override write(_caller: FsCaller, src: IoBuffer): number {
    return this.pipe.write(src, (this.flags & O_DIRECT) !== 0);
  }

  override ioctl(caller: FsCaller, command: number, argument: number): number {
    if (command !== FIONREAD) return -ENOTTY;
    return caller.mm.writeU32(argument, this.pipe.length);
  }

  /**
   * The rest of open(2) on a fifo: -EAGAIN until the other end has been opened, -ENXIO for a
   * nonblocking writer without readers.
   */
  override openStatus(): number {
    const { pipe } = this;
    if (this.reads && this.writes) return 0;
    // The pipe of a pipe(2), opened again through /proc/PID/fd: nobody is waited for.
    if (this.inode instanceof PipeInode) return 0;
    if (this.writes) {
      if (pipe.readers > 0 || pipe.readerOpens !== this.readersBefore) return 0;
      return this.nonblock ? -ENXIO : -EAGAIN;
    }
    return pipe.writerOpens !== this.writersBefore || this.nonblock ? 0 : -EAGAIN;
  }

  override pipeSize(): number {
    return this.pipe.capacity;
  }

  override setPipeSize(caller: FsCaller, size: number): number {
    return this.pipe.setCapacity(size, caller.creds);
  }

  override pread(): number {
    return -ESPIPE;
  }

  protected override release(): void {
    if (this.reads) this.pipe.dropReader();
    if (this.writes) this.pipe.dropWriter();
  }
}

/** The inode of a pipe(2). */
class PipeInode extends AnonInode {
  readonly pipe: Pipe;

  constructor(fs: AnonFileSystem, ino: number, uid: number, gid: number, pipe: Pipe) {
    super(fs, ino, S_IFIFO | 0o600, uid, gid);
    this.pipe = pipe;
  }
}

/** A new pipe's two ends, or -ENFILE. `flags`: O_NONBLOCK, O_DIRECT (packets). */
export function makePipe(
  kernel: Kernel,
  caller: FsCaller,
  flags: number,
): { readonly reader: PipeFile; readonly writer: PipeFile } | number {
  const pipe = new Pipe(containerOf(caller).pipeLimits);
  const r = pipe.prepare(caller.creds);
  if (r < 0) return r;
  const fs = anonFileSystem(kernel);
  const ino = fs.newIno();
  const { fsuid, fsgid } = caller.creds;
  const inode = new PipeInode(fs, ino, fsuid, fsgid, pipe);
  const path = fs.place(inode, `pipe:[${ino}]`);
  const status = flags & O_NONBLOCK;
  return {
    reader: new PipeFile(path, inode, O_RDONLY | status, pipe),
    writer: new PipeFile(path, inode, O_WRONLY | status | (flags & O_DIRECT), pipe),
  };
}

/** The pipe that `inode` stands for: of a pipe(2), opened again through /proc/PID/fd, or of a fifo. */
function pipeOf(rings: WeakMap<Inode, Pipe>, inode: Inode, caller: FsCaller): Pipe {
  if (inode instanceof PipeInode) return inode.pipe;
  let pipe = rings.get(inode);
  if (pipe === undefined) {
    pipe = new Pipe(containerOf(caller).pipeLimits);
    rings.set(inode, pipe);
  }
  return pipe;
}

/** Makes fifos openable in `kernel`: the ring of a fifo lives as long as somebody has it open. */
export function installPipes(kernel: Kernel): void {
  const rings = new WeakMap<Inode, Pipe>();
  kernel.vfs.openFifo = (caller, path, flags) => {
    const inode = path.dentry.inode;
    if (inode === null) return -ENXIO;
    const pipe = pipeOf(rings, inode, caller);
    const full = pipe.prepare(caller.creds);
    if (full < 0) return full;
    const file = new PipeFile(path, inode, flags, pipe);
    const r = file.openStatus();
    if (r < 0 && r !== -EAGAIN) {
      file.close();
      return r;
    }
    return file;
  };
}
