/** Host terminals: pty(7), termios(3), window sizes. Results are >= 0 or -errno. */

import { O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDWR } from '../spec/linux/fcntl.ts';
import * as ioctl from '../spec/linux/ioctl.ts';
import { SYS_ioctl } from '../spec/linux/syscall_numbers.ts';
import { result } from './bytes.ts';
import { close, open } from './fs.ts';
import { syscall } from './index.ts';

/** TIOCGPTPEER: opens the other end without going through a path. */
const TIOCGPTPEER = 0x5441;
const TIOCSPTLCK = 0x40045431;

/** A new pty's master and slave descriptors, close-on-exec, the slave nonblocking; or -errno. */
export function openpty(): { readonly master: number; readonly slave: number } | number {
  const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  const master = open('/dev/ptmx', flags);
  if (master < 0) return master;
  result.i32[0] = 0;
  const unlocked = syscall(SYS_ioctl, master, TIOCSPTLCK, result.address);
  const slave =
    unlocked < 0 ? unlocked : syscall(SYS_ioctl, master, TIOCGPTPEER, flags | O_NONBLOCK);
  if (slave < 0) {
    close(master);
    return slave;
  }
  return { master, slave };
}

export function isTty(fd: number): boolean {
  return syscall(SYS_ioctl, fd, ioctl.TCGETS, result.address) >= 0;
}

/** struct winsize. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
  readonly xPixels: number;
  readonly yPixels: number;
}

export function getWindowSize(fd: number): WindowSize | number {
  const status = syscall(SYS_ioctl, fd, ioctl.TIOCGWINSZ, result.address);
  if (status < 0) return status;
  const word = (i: number) => result.u16[i] as number;
  return { rows: word(0), columns: word(1), xPixels: word(2), yPixels: word(3) };
}

export function setWindowSize(fd: number, size: WindowSize): number {
  result.u16.set([size.rows, size.columns, size.xPixels, size.yPixels]);
  return syscall(SYS_ioctl, fd, ioctl.TIOCSWINSZ, result.address);
}

/** The kernel's struct termios, 36 bytes: four u32 flag words, the line, 19 control characters. */
export const TERMIOS_BYTES = 36;

/** Raw termios of TCGETS, or -errno. */
export function getTermios(fd: number): Uint8Array | number {
  const status = syscall(SYS_ioctl, fd, ioctl.TCGETS, result.address);
  return status < 0 ? status : result.bytes.slice(0, TERMIOS_BYTES);
}

/** TCSETSW: after pending output is written. */
export function setTermios(fd: number, termios: Uint8Array): number {
  result.bytes.set(termios.subarray(0, TERMIOS_BYTES));
  return syscall(SYS_ioctl, fd, ioctl.TCSETSW, result.address);
}

/** A copy of `termios` changed as cfmakeraw(3) does. */
export function makeRaw(termios: Uint8Array): Uint8Array {
  const raw = termios.slice();
  const flags = new Uint32Array(raw.buffer, 0, 4);
  flags[0] = (flags[0] as number) & ~0o2753; // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
  flags[1] = (flags[1] as number) & ~0o1; // OPOST
  flags[2] = ((flags[2] as number) & ~0o460) | 0o60; // CSIZE PARENB, then CS8
  flags[3] = (flags[3] as number) & ~0o100113; // ECHO ECHONL ICANON ISIG IEXTEN
  raw[17 + 5] = 0; // VTIME
  raw[17 + 6] = 1; // VMIN
  return raw;
}

/** Makes `fd` the controlling terminal of this session leader. */
export function setControllingTerminal(fd: number): number {
  return syscall(SYS_ioctl, fd, ioctl.TIOCSCTTY, 0);
}
