/**
 * Terminal modes (termios(3)) and their forms in user memory: struct termio, termios and termios2
 * (ioctl_tty(2)).
 */
import { TERMIO, TERMIOS, TERMIOS2 } from '../../../spec/linux/layout/terminal.ts';
import {
  B38400,
  BOTHER,
  CBAUD,
  CREAD,
  CS8,
  CSIZE,
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ICANON,
  ICRNL,
  IEXTEN,
  ISIG,
  IXON,
  NCCS,
  ONLCR,
  OPOST,
  PARENB,
} from '../../../spec/linux/termios.ts';

export interface Termios {
  readonly iflag: number;
  readonly oflag: number;
  readonly cflag: number;
  readonly lflag: number;
  readonly line: number;
  /** By V*. */
  readonly cc: Uint8Array;
  /** Bits per second. */
  readonly inputSpeed: number;
  readonly outputSpeed: number;
}

const DEFAULT_SPEED = 38400;
/** In the order of VINTR, VQUIT, ...: ^C ^\ DEL ^U ^D 0 1 0 ^Q ^S ^Z 0 ^R ^O ^W ^V 0. */
const DEFAULT_CC = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0];

/** A new terminal's modes. */
export const DEFAULT_TERMIOS: Termios = {
  iflag: ICRNL | IXON,
  oflag: OPOST | ONLCR,
  cflag: B38400 | CS8 | CREAD,
  lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
  line: 0,
  cc: Uint8Array.from(DEFAULT_CC),
  inputSpeed: DEFAULT_SPEED,
  outputSpeed: DEFAULT_SPEED,
};

/** By the low bits of CBAUD; behind CBAUDEX from B57600 on. */
const SPEEDS = [
  0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
];
const EXTENDED_SPEEDS = [
  0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
  2500000, 3000000, 3500000, 4000000,
];

function speedOf(cflag: number, otherwise: number): number {
  const code = cflag & CBAUD;
  if (code === BOTHER) return otherwise;
  const table = (code & BOTHER) !== 0 ? EXTENDED_SPEEDS : SPEEDS;
  return table[code & 0xf] ?? DEFAULT_SPEED;
}

/** A pty has eight bits and no parity, whatever it is told. */
function ptyControl(cflag: number): number {
  return ((cflag & ~(CSIZE | PARENB)) | CS8 | CREAD) >>> 0;
}

export const TERMIOS_BYTES = TERMIOS.size;
export const TERMIOS2_BYTES = TERMIOS2.size;
export const TERMIO_BYTES = TERMIO.size;

export function encodeTermios(t: Termios): Uint8Array {
  return TERMIOS.encode({
    c_iflag: t.iflag,
    c_oflag: t.oflag,
    c_cflag: t.cflag,
    c_lflag: t.lflag,
    c_line: t.line,
    c_cc: t.cc,
  });
}

export function encodeTermios2(t: Termios): Uint8Array {
  return TERMIOS2.encode({
    c_iflag: t.iflag,
    c_oflag: t.oflag,
    c_cflag: t.cflag,
    c_lflag: t.lflag,
    c_line: t.line,
    c_cc: t.cc,
    c_ispeed: t.inputSpeed,
    c_ospeed: t.outputSpeed,
  });
}

export function encodeTermio(t: Termios): Uint8Array {
  return TERMIO.encode({
    c_iflag: t.iflag & 0xffff,
    c_oflag: t.oflag & 0xffff,
    c_cflag: t.cflag & 0xffff,
    c_lflag: t.lflag & 0xffff,
    c_line: t.line,
    c_cc: t.cc.subarray(0, 8),
  });
}

/** From struct termios or termios2, told apart by the length. */
export function decodeTermios(bytes: Uint8Array): Termios {
  const v = TERMIOS.decode(bytes);
  const cflag = ptyControl(v.c_cflag);
  let speed = speedOf(cflag, DEFAULT_SPEED);
  let inputSpeed = speed;
  if (bytes.length >= TERMIOS2_BYTES) {
    const two = TERMIOS2.decode(bytes);
    speed = speedOf(cflag, two.c_ospeed);
    inputSpeed = (cflag & CBAUD) === BOTHER ? two.c_ispeed : speed;
  }
  return {
    iflag: v.c_iflag,
    oflag: v.c_oflag,
    cflag,
    lflag: v.c_lflag,
    line: v.c_line,
    cc: Uint8Array.from(v.c_cc.subarray(0, NCCS)),
    inputSpeed,
    outputSpeed: speed,
  };
}

/** From struct termio, which has the low halves and eight characters; the rest stays as in `old`. */
export function decodeTermio(bytes: Uint8Array, old: Termios): Termios {
  const v = TERMIO.decode(bytes);
  const merge = (whole: number, low: number): number => ((whole & ~0xffff) | low) >>> 0;
  const cc = Uint8Array.from(old.cc);
  cc.set(v.c_cc.subarray(0, 8));
  const cflag = ptyControl(merge(old.cflag, v.c_cflag));
  const speed = speedOf(cflag, old.outputSpeed);
  return {
    iflag: merge(old.iflag, v.c_iflag),
    oflag: merge(old.oflag, v.c_oflag),
    cflag,
    lflag: merge(old.lflag, v.c_lflag),
    line: v.c_line,
    cc,
    inputSpeed: speed,
    outputSpeed: speed,
  };
}
