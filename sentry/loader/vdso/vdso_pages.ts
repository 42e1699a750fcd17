/**
 * The vDSO's two pages in the MemoryFile, which every process of the sandbox maps: its code, and the
 * data page that VvarWriter writes in place.
 */

import { FilePages } from '../../mm/file_pages.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import { type Extent, IN_MEMORY_FILE } from '../../mm/mappable.ts';
import type { MemoryFile } from '../../mm/memory_file.ts';
import type { VdsoPages } from '../load.ts';
import { VDSO_LENGTH, VVAR_LENGTH, vdsoImage } from './vdso.ts';

export interface VdsoMemory {
  /** For the loader. */
  readonly pages: VdsoPages;
  /** For VvarWriter: VVAR_LENGTH bytes, all zero. */
  readonly vvar: Uint8Array;
}

/** Puts both pages into `memory`, for as long as the sandbox lives; -ENOSPC when it is full. */
export function makeVdsoMemory(memory: MemoryFile): VdsoMemory | number {
  const image = kernelFile(memory, '[vdso]', vdsoImage());
  const vvar = kernelFile(memory, '[vvar]', new Uint8Array(VVAR_LENGTH));
  if (typeof image === 'number') return image;
  if (typeof vvar === 'number') return vvar;
  const extent: Extent = { fd: IN_MEMORY_FILE, offset: 0, length: 0 };
  const found = vvar.translate(0, VVAR_LENGTH, true, extent);
  if (found < 0) return found;
  return {
    pages: { image, imageLength: VDSO_LENGTH, vvar, vvarLength: VVAR_LENGTH },
    vvar: memory.bytes.subarray(extent.offset, extent.offset + VVAR_LENGTH),
  };
}

/** A file of the kernel's own: nobody truncates it, and /proc/PID/maps shows no device or inode. */
function kernelFile(memory: MemoryFile, name: string, contents: Uint8Array): FilePages | number {
  const file = new FilePages(memory, { devMajor: 0, devMinor: 0, ino: 0, mapName: () => name });
  const written = file.write(IoBuffer.over(contents), 0);
  return written < 0 ? written : file;
}
