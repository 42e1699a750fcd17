/** Terminals: ioctl_tty(2). The kernel's structs, which are not the C library's. */

import { layout } from './layout.ts';

export const TERMIOS = layout('termios', 36, {
  c_iflag: ['u32', 0],
  c_oflag: ['u32', 4],
  c_cflag: ['u32', 8],
  c_lflag: ['u32', 12],
  c_line: ['u8', 16],
  c_cc: ['bytes', 17, 19],
});

/** TCGETS2 and its kin. */
export const TERMIOS2 = layout('termios2', 44, {
  c_iflag: ['u32', 0],
  c_oflag: ['u32', 4],
  c_cflag: ['u32', 8],
  c_lflag: ['u32', 12],
  c_line: ['u8', 16],
  c_cc: ['bytes', 17, 19],
  c_ispeed: ['u32', 36],
  c_ospeed: ['u32', 40],
});

/** TCGETA and its kin. */
export const TERMIO = layout('termio', 18, {
  c_iflag: ['u16', 0],
  c_oflag: ['u16', 2],
  c_cflag: ['u16', 4],
  c_lflag: ['u16', 6],
  c_line: ['u8', 8],
  c_cc: ['bytes', 9, 8],
});

export const WINSIZE = layout('winsize', 8, {
  ws_row: ['u16', 0],
  ws_col: ['u16', 2],
  ws_xpixel: ['u16', 4],
  ws_ypixel: ['u16', 6],
});
