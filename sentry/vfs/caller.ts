/**
 * What file code may know of the task that calls it. Task in sentry/kernel implements it; code that
 * needs more (terminals, /proc) lives above the kernel and casts there.
 */
import type { MemoryManager } from '../mm/memory_manager.ts';
import type { Credentials } from './credentials.ts';
import type { FsContext } from './fs_context.ts';

export interface FsCaller {
  readonly creds: Credentials;
  readonly fs: FsContext;
  readonly mm: MemoryManager;
  /** RLIMIT_FSIZE, bytes; Infinity for none. Writers crossing it get -EFBIG and SIGXFSZ. */
  readonly fileSizeLimit: number;
  /** Queues a signal to the caller itself, as write(2) to a broken pipe does. */
  raise(signo: number): void;
}
