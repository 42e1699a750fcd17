/**
 * Fifos of the host: who shows one in a tree, and who makes an open file of it. Neither waits.
 */
import type { Path } from './mount.ts';
import type { OpenFile } from './open_file.ts';

export interface HostFifoSource {
  /**
   * A new host descriptor of the fifo with access O_RDONLY, O_WRONLY or O_RDWR, which does not wait:
   * -ENXIO for a writer that nobody reads from.
   */
  openHostFifo(access: number): number;
}

export interface HostFifos {
  /** open(2) of the fifo found at `path`; `flags` are O_*. */
  open(source: HostFifoSource, path: Path, flags: number): OpenFile | number;
}
