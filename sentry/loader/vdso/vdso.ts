/**
 * The vDSO, vdso(7): one page of code (built from vdso.c) that a loader maps read-only and executable
 * into every process, right after the data page (vvar.ts), and tells of in AT_SYSINFO_EHDR.
 *
 *   address          +0x1000
 *   [vvar] r--       [vdso] r-x, the ELF header at its start
 */

import { PAGE_SIZE } from '../../../spec/linux/mman.ts';
import { image } from './generated/image.js';

/** Bytes of the data page, which lies before the image. */
export const VVAR_LENGTH = PAGE_SIZE;
/** Bytes of the image. */
export const VDSO_LENGTH = PAGE_SIZE;

/** The image: VDSO_LENGTH bytes, zero after the end of the ELF file. A fresh copy. */
export function vdsoImage(): Uint8Array {
  const page = new Uint8Array(VDSO_LENGTH);
  page.set(image);
  return page;
}
