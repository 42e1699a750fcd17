/**
 * Loading a program into an empty address space: ELF, its interpreter, scripts, the initial stack and
 * the vDSO (execve(2), elf(5), ld.so(8)).
 */
import { ENOSYS } from '../../spec/linux/errno.ts';
import type { IoBuffer } from '../mm/io_buffer.ts';
import type { Mappable } from '../mm/mappable.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';

/** An executable file, opened for reading and already checked for permission. */
export interface ProgramFile {
  /** Bytes read at `offset`, 0 at the end, or -errno. */
  pread(dst: IoBuffer, offset: number): number;
  mappable(): Mappable | number;
  /** Gives back the loader's reference. */
  close(): void;
}

export interface LoadRequest {
  readonly file: ProgramFile;
  /** As the caller named it (AT_EXECFN; what a script's interpreter is given). */
  readonly filename: string;
  /** Byte strings. */
  readonly argv: readonly string[];
  readonly envp: readonly string[];
  /** Opens an interpreter (of a script or PT_INTERP) with execve's checks; -errno when it may not. */
  readonly open: (path: string) => ProgramFile | number;
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly egid: number;
  /** AT_SECURE. */
  readonly secure: boolean;
  /** RLIMIT_STACK, bytes; Infinity for none. */
  readonly stackLimit: number;
  readonly random: (into: Uint8Array) => void;
  readonly vdso: VdsoPages | null;
}

/** The vDSO: its image and data page, mapped next to each other. */
export interface VdsoPages {
  readonly image: Mappable;
  readonly imageLength: number;
  readonly vvar: Mappable;
  readonly vvarLength: number;
}

export interface LoadedProgram {
  readonly entry: number;
  readonly stackPointer: number;
  /** comm: the base name of what was asked for, at most 15 bytes. */
  readonly name: string;
  /** The file that runs (for a script its interpreter): /proc/PID/exe. Not closed by the loader. */
  readonly executable: ProgramFile;
}

/**
 * Loads into `mm`, which is empty and not yet anybody's. -ENOEXEC, -E2BIG, -ENOENT, -ELOOP ...; the
 * caller then drops `mm`.
 */
export function loadProgram(_mm: MemoryManager, _request: LoadRequest): LoadedProgram | number {
  return -ENOSYS;
}
