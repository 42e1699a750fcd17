/**
 * Moving bytes between pipes and files: splice(2), tee(2), vmsplice(2). Pages are copied, not moved:
 * the pipe's ring is memory of the kernel.
 */
import { EAGAIN, EBADF, EFAULT, EINVAL, EPIPE, ESPIPE } from '../../spec/linux/errno.ts';
import { SEEK_CUR, SPLICE_F_NONBLOCK } from '../../spec/linux/fcntl.ts';
import { POLLIN, POLLOUT } from '../../spec/linux/poll.ts';
import { SIGPIPE } from '../../spec/linux/signal.ts';
import { SYS_splice, SYS_tee, SYS_vmsplice } from '../../spec/linux/syscall_numbers.ts';
import type { Pipe } from '../fsimpl/pipe/pipe.ts';
import { PipeFile } from '../fsimpl/pipe/pipe_file.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { IoBuffer } from '../mm/io_buffer.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { openFd } from './path_argument.ts';
import { AT_OFFSET, readFile, writeFile } from './read_write.ts';

/** SPLICE_F_MOVE, NONBLOCK, MORE and GIFT. */
const KNOWN_FLAGS = 0xf;

/** Bytes that `pipe` has for a reader: 0 at the end, -EAGAIN when none are there yet. */
function available(pipe: Pipe): number {
  if (pipe.length > 0) return pipe.length;
  return pipe.writers === 0 ? 0 : -EAGAIN;
}

/** Room that `pipe` has for a writer, or -EPIPE (with SIGPIPE), -EAGAIN. */
function room(t: Task, pipe: Pipe): number {
  if (pipe.readers === 0) {
    t.raise(SIGPIPE);
    return -EPIPE;
  }
  return pipe.capacity > pipe.length ? pipe.capacity - pipe.length : -EAGAIN;
}

/** The value at an offset pointer; AT_OFFSET for NULL, -EFAULT, -EINVAL. */
function readOffset(t: Task, pointer: number): number {
  if (pointer === 0) return AT_OFFSET;
  const lo = t.mm.readU32(pointer);
  const hi = t.mm.readU32(pointer + 4);
  if (lo < 0 || hi < 0) return -EFAULT;
  return (hi | 0) < 0 ? -EINVAL : lo + hi * 2 ** 32;
}

interface Splice {
  readonly input: OpenFile;
  readonly output: OpenFile;
  /** Positions in files that are no pipes, AT_OFFSET for the file's own. */
  readonly inputAt: number;
  readonly outputAt: number;
  readonly length: number;
}

/** One try: bytes moved, 0 at the end, or -errno. */
function spliceOnce(t: Task, s: Splice): number {
  if (s.input instanceof PipeFile) return drain(t, s, s.input.pipe);
  const { pipe } = s.output as PipeFile;
  const free = room(t, pipe);
  if (free < 0) return free;
  const bytes = new Uint8Array(Math.min(free, s.length));
  const dst = IoBuffer.over(bytes);
  const n = s.inputAt === AT_OFFSET ? s.input.read(t, dst) : s.input.pread(t, dst, s.inputAt);
  return n <= 0 ? n : pipe.write(IoBuffer.over(bytes, 0, n));
}

/** From a pipe to a pipe or a file. */
function drain(t: Task, s: Splice, pipe: Pipe): number {
  const there = available(pipe);
  if (there <= 0) return there;
  let wanted = Math.min(there, s.length);
  if (s.output instanceof PipeFile) {
    const free = room(t, s.output.pipe);
    if (free < 0) return free;
    wanted = Math.min(wanted, free);
  }
  const bytes = pipe.peek(wanted);
  const src = IoBuffer.over(bytes);
  const n = s.outputAt === AT_OFFSET ? s.output.write(t, src) : s.output.pwrite(t, src, s.outputAt);
  if (n === -EPIPE && s.output.signalsBrokenPipe) t.raise(SIGPIPE);
  if (n > 0) pipe.read(IoBuffer.over(bytes, 0, n));
  return n;
}

/** splice(2). */
export function sysSplice(t: Task, a: SyscallArgs): number {
  const length = a.sizeT(4);
  const flags = a.uint(5);
  if (length === 0) return 0;
  if ((flags & ~KNOWN_FLAGS) !== 0) return -EINVAL;
  const input = openFd(t, a.int(0));
  const output = openFd(t, a.int(2));
  if (!input?.readable || !output?.writable) return -EBADF;
  const pointers = { input: a.addr(1), output: a.addr(3) };
  const invalid = checkEnds(input, output, pointers);
  if (invalid < 0) return invalid;
  const inputAt = readOffset(t, pointers.input);
  const outputAt = readOffset(t, pointers.output);
  if (inputAt < AT_OFFSET) return inputAt;
  if (outputAt < AT_OFFSET) return outputAt;
  const s = { input, output, inputAt, outputAt, length };
  const attempt = (): number => {
    const n = spliceOnce(t, s);
    if (n <= 0) return n;
    if (inputAt !== AT_OFFSET && t.mm.writeU64(pointers.input, inputAt + n) < 0) return -EFAULT;
    if (outputAt !== AT_OFFSET && t.mm.writeU64(pointers.output, outputAt + n) < 0) return -EFAULT;
    return n;
  };
  const pipesNonblock =
    (input instanceof PipeFile && input.nonblock) ||
    (output instanceof PipeFile && output.nonblock);
  return wait(t, input, output, pipesNonblock || (flags & SPLICE_F_NONBLOCK) !== 0, attempt);
}

function checkEnds(
  input: OpenFile,
  output: OpenFile,
  pointers: { readonly input: number; readonly output: number },
): number {
  if (!(input instanceof PipeFile) && !(output instanceof PipeFile)) return -EINVAL;
  for (const [file, pointer] of [
    [input, pointers.input],
    [output, pointers.output],
  ] as const) {
    if (pointer === 0) continue;
    if (file instanceof PipeFile || file.seek(0, SEEK_CUR) < 0) return -ESPIPE;
  }
  const same =
    input instanceof PipeFile && output instanceof PipeFile && input.pipe === output.pipe;
  if (same || (!(output instanceof PipeFile) && output.append)) return -EINVAL;
  return input.inode.isDirectory ? -EINVAL : 0;
}

function wait(
  t: Task,
  input: OpenFile,
  output: OpenFile,
  nonblock: boolean,
  attempt: () => number,
): number {
  const r = attempt();
  if (r !== -EAGAIN || nonblock) return r;
  return t.sleep([input, output], POLLIN | POLLOUT, { attempt });
}

/** tee(2). */
export function sysTee(t: Task, a: SyscallArgs): number {
  const length = a.sizeT(2);
  const flags = a.uint(3);
  if ((flags & ~KNOWN_FLAGS) !== 0) return -EINVAL;
  if (length === 0) return 0;
  const input = openFd(t, a.int(0));
  const output = openFd(t, a.int(1));
  if (!input?.readable || !output?.writable) return -EBADF;
  if (!(input instanceof PipeFile && output instanceof PipeFile)) return -EINVAL;
  const [from, to] = [input.pipe, output.pipe];
  if (from === to) return -EINVAL;
  const nonblock = input.nonblock || output.nonblock || (flags & SPLICE_F_NONBLOCK) !== 0;
  return wait(t, input, output, nonblock, () => {
    const there = available(from);
    if (there <= 0) return there;
    const free = room(t, to);
    return free < 0 ? free : to.write(IoBuffer.over(from.peek(Math.min(there, free, length))));
  });
}

/** vmsplice(2): to a pipe's writing end like writev(2), from its reading end like readv(2). */
export function sysVmsplice(t: Task, a: SyscallArgs): number {
  const flags = a.uint(3);
  if ((flags & ~KNOWN_FLAGS) !== 0) return -EINVAL;
  const file = openFd(t, a.int(0));
  if (!(file instanceof PipeFile)) return -EBADF;
  const buffer = t.mm.userVector(a.addr(1), a.int(2), !file.writable);
  if (typeof buffer === 'number') return buffer;
  const nonblock = file.nonblock || (flags & SPLICE_F_NONBLOCK) !== 0;
  return file.writable
    ? writeFile(t, file, buffer, AT_OFFSET, nonblock)
    : readFile(t, file, buffer, AT_OFFSET, nonblock);
}

export const spliceSyscalls: SyscallFragment = {
  [SYS_splice]: { name: 'splice', args: 'fd ptr fd ptr size hex', fn: sysSplice },
  [SYS_tee]: { name: 'tee', args: 'fd fd size hex', fn: sysTee },
  [SYS_vmsplice]: { name: 'vmsplice', args: 'fd iovec int hex', fn: sysVmsplice },
};
