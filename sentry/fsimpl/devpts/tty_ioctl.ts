/**
 * ioctl_tty(2) on both ends of a pseudo terminal.
 */
import { CAP_SYS_ADMIN } from '../../../spec/linux/capability.ts';
import { EFAULT, EINVAL, EIO, ENOTTY, EPERM } from '../../../spec/linux/errno.ts';
import { O_ACCMODE, O_CLOEXEC, O_NOCTTY, O_NONBLOCK } from '../../../spec/linux/fcntl.ts';
import * as ioctl from '../../../spec/linux/ioctl.ts';
import { WINSIZE } from '../../../spec/linux/layout/terminal.ts';
import { RLIMIT_NOFILE } from '../../../spec/linux/resource.ts';
import { VSTART, VSTOP } from '../../../spec/linux/termios.ts';
import { SIGNAL_MAX } from '../../kernel/signal.ts';
import type { Task } from '../../kernel/task.ts';
import {
  acquireAtOpen,
  foregroundId,
  giveUp,
  mayChange,
  sessionId,
  setControlling,
  setForeground,
} from './job_control.ts';
import type { Pty } from './pty.ts';
import type { MasterFile, ReplicaFile } from './pty_files.ts';
import {
  decodeTermio,
  decodeTermios,
  encodeTermio,
  encodeTermios,
  encodeTermios2,
  TERMIO_BYTES,
  TERMIOS_BYTES,
  TERMIOS2_BYTES,
  type Termios,
} from './termios.ts';

/** Struct length of a TCSET* request, and whether typed input is thrown away first. */
interface SetRequest {
  readonly bytes: number;
  readonly flush: boolean;
}

const SET_REQUESTS: ReadonlyMap<number, SetRequest> = new Map([
  [ioctl.TCSETS, { bytes: TERMIOS_BYTES, flush: false }],
  [ioctl.TCSETSW, { bytes: TERMIOS_BYTES, flush: false }],
  [ioctl.TCSETSF, { bytes: TERMIOS_BYTES, flush: true }],
  [ioctl.TCSETS2, { bytes: TERMIOS2_BYTES, flush: false }],
  [ioctl.TCSETSW2, { bytes: TERMIOS2_BYTES, flush: false }],
  [ioctl.TCSETSF2, { bytes: TERMIOS2_BYTES, flush: true }],
  [ioctl.TCSETA, { bytes: TERMIO_BYTES, flush: false }],
  [ioctl.TCSETAW, { bytes: TERMIO_BYTES, flush: false }],
  [ioctl.TCSETAF, { bytes: TERMIO_BYTES, flush: true }],
]);

const GET_REQUESTS: ReadonlyMap<number, (t: Termios) => Uint8Array> = new Map([
  [ioctl.TCGETS, encodeTermios],
  [ioctl.TCGETS2, encodeTermios2],
  [ioctl.TCGETA, encodeTermio],
]);

/** Output is in the reader's hands as soon as it is written: there is nothing to wait for. */
function setTermios(t: Task, pty: Pty, r: SetRequest, argument: number): number {
  const allowed = mayChange(t, pty);
  if (allowed < 0) return allowed;
  const bytes = new Uint8Array(r.bytes);
  if (t.mm.copyIn(argument, bytes) < 0) return -EFAULT;
  const { discipline } = pty;
  const old = discipline.termios;
  const next = r.bytes === TERMIO_BYTES ? decodeTermio(bytes, old) : decodeTermios(bytes);
  if (r.flush) discipline.flushInput();
  discipline.setTermios(next);
  pty.pump();
  return 0;
}

function putInt(t: Task, argument: number, value: number): number {
  return value < 0 ? value : t.mm.writeU32(argument, value);
}

function setWindowSize(t: Task, pty: Pty, argument: number): number {
  const bytes = new Uint8Array(WINSIZE.size);
  if (t.mm.copyIn(argument, bytes) < 0) return -EFAULT;
  const { ws_row, ws_col, ws_xpixel, ws_ypixel } = WINSIZE.decode(bytes);
  pty.setWindowSize({ rows: ws_row, columns: ws_col, xPixels: ws_xpixel, yPixels: ws_ypixel });
  return 0;
}

function getWindowSize(t: Task, pty: Pty, argument: number): number {
  const { rows, columns, xPixels, yPixels } = pty.windowSize;
  const size = { ws_row: rows, ws_col: columns, ws_xpixel: xPixels, ws_ypixel: yPixels };
  return t.mm.copyOut(argument, WINSIZE.encode(size));
}

/** What both ends answer alike: modes and sizes are the replica's. */
function sharedIoctl(t: Task, pty: Pty, command: number, argument: number): number {
  const get = GET_REQUESTS.get(command);
  if (get !== undefined) return t.mm.copyOut(argument, get(pty.discipline.termios));
  const set = SET_REQUESTS.get(command);
  if (set !== undefined) return setTermios(t, pty, set, argument);
  switch (command) {
    case ioctl.TIOCGWINSZ:
      return getWindowSize(t, pty, argument);
    case ioctl.TIOCSWINSZ:
      return setWindowSize(t, pty, argument);
    case ioctl.TIOCSPGRP: {
      const id = t.mm.readU32(argument);
      return id < 0 ? id : setForeground(t, pty, id | 0);
    }
    case ioctl.TIOCEXCL:
      pty.exclusive = true;
      return 0;
    case ioctl.TIOCNXCL:
      pty.exclusive = false;
      return 0;
    case ioctl.TIOCGEXCL:
      return putInt(t, argument, pty.exclusive ? 1 : 0);
    case ioctl.TIOCGETD:
      return putInt(t, argument, pty.discipline.termios.line);
    case ioctl.TIOCSETD: {
      const line = t.mm.readU32(argument);
      if (line < 0) return line;
      return line === 0 ? 0 : -EINVAL;
    }
    case ioctl.TIOCSTI:
      // Typing on another's behalf is switched off, as Linux can be told to (dev.tty.legacy_tiocsti).
      return t.creds.has(CAP_SYS_ADMIN) ? -EIO : -EPERM;
    default:
      return -ENOTTY;
  }
}

export function replicaIoctl(
  t: Task,
  file: ReplicaFile,
  command: number,
  argument: number,
): number {
  const { pty } = file;
  const { discipline } = pty;
  switch (command) {
    case ioctl.TIOCSCTTY:
      return setControlling(t, pty, file.readable, argument === 1);
    case ioctl.TIOCNOTTY:
      return giveUp(t, pty);
    case ioctl.TIOCGPGRP:
      return putInt(t, argument, foregroundId(t, pty, false));
    case ioctl.TIOCGSID:
      return putInt(t, argument, sessionId(t, pty, false));
    case ioctl.FIONREAD:
      return putInt(t, argument, discipline.waiting);
    case ioctl.TIOCOUTQ:
      return putInt(t, argument, 0);
    case ioctl.TCSBRK:
    case ioctl.TCSBRKP:
      return mayChange(t, pty);
    case ioctl.TCXONC:
      return controlFlow(t, pty, argument);
    case ioctl.TCFLSH: {
      const allowed = mayChange(t, pty);
      if (allowed < 0) return allowed;
      return flush(
        argument,
        () => discipline.flushInput(),
        () => discipline.flushOutput(),
      );
    }
    case ioctl.TIOCVHANGUP:
      if (!t.creds.has(CAP_SYS_ADMIN)) return -EPERM;
      pty.hangup();
      return 0;
    default:
      return sharedIoctl(t, pty, command, argument);
  }
}

function controlFlow(t: Task, pty: Pty, action: number): number {
  const allowed = mayChange(t, pty);
  if (allowed < 0) return allowed;
  const { output, termios } = pty.discipline;
  switch (action) {
    case ioctl.TCOOFF:
      output.stop();
      return 0;
    case ioctl.TCOON:
      output.start();
      return 0;
    case ioctl.TCIOFF:
      output.send(termios.cc[VSTOP] ?? 0);
      return 0;
    case ioctl.TCION:
      output.send(termios.cc[VSTART] ?? 0);
      return 0;
    default:
      return -EINVAL;
  }
}

function flush(which: number, input: () => void, output: () => void): number {
  if (which !== ioctl.TCIFLUSH && which !== ioctl.TCOFLUSH && which !== ioctl.TCIOFLUSH) {
    return -EINVAL;
  }
  if (which !== ioctl.TCOFLUSH) input();
  if (which !== ioctl.TCIFLUSH) output();
  return 0;
}

export function masterIoctl(t: Task, file: MasterFile, command: number, argument: number): number {
  const { pty } = file;
  const { discipline } = pty;
  switch (command) {
    case ioctl.TIOCGPTN:
      return putInt(t, argument, pty.devMinor);
    case ioctl.TIOCSPTLCK: {
      const lock = t.mm.readU32(argument);
      if (lock < 0) return lock;
      pty.locked = lock !== 0;
      return 0;
    }
    case ioctl.TIOCGPTLCK:
      return putInt(t, argument, pty.locked ? 1 : 0);
    case ioctl.TIOCGPTPEER:
      return openPeer(t, file, argument);
    case ioctl.TIOCPKT: {
      const on = t.mm.readU32(argument);
      if (on < 0) return on;
      if (on !== 0 && !pty.packetMode) pty.packetStatus = 0;
      pty.packetMode = on !== 0;
      return 0;
    }
    case ioctl.TIOCGPKT:
      return putInt(t, argument, pty.packetMode ? 1 : 0);
    case ioctl.TIOCSIG:
      if (argument < 1 || argument > SIGNAL_MAX) return -EINVAL;
      pty.signal(argument);
      return 0;
    case ioctl.TIOCGPGRP:
      return putInt(t, argument, foregroundId(t, pty, true));
    case ioctl.TIOCGSID:
      return putInt(t, argument, sessionId(t, pty, true));
    case ioctl.FIONREAD:
      return putInt(t, argument, discipline.output.queue.length);
    case ioctl.TIOCOUTQ:
      return putInt(t, argument, pty.typed.length);
    case ioctl.TCSBRK:
    case ioctl.TCSBRKP:
      return 0;
    case ioctl.TCFLSH:
      return flush(
        argument,
        () => discipline.output.clear(),
        () => pty.flushTyped(),
      );
    default:
      return sharedIoctl(t, pty, command, argument);
  }
}

/** The replica, opened without going through its name. */
function openPeer(t: Task, master: MasterFile, flags: number): number {
  const { devpts, pty } = master;
  const path = devpts.pathOf(t.fs.mounts, pty);
  if (typeof path === 'number') return path;
  const kept = flags & (O_ACCMODE | O_NONBLOCK);
  const file = devpts.openReplica(path, pty, kept, t.creds);
  if (typeof file === 'number') return file;
  if ((flags & O_NOCTTY) === 0 && file.readable) acquireAtOpen(t, pty);
  const limit = t.group.limits.soft(RLIMIT_NOFILE);
  const fd = t.files.add(file, (flags & O_CLOEXEC) !== 0, limit);
  if (fd < 0) file.close();
  return fd;
}
