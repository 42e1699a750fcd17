/**
 * Who looks up files before a container has its first task.
 */
import type { MemoryManager } from '../mm/memory_manager.ts';
import type { FsCaller } from '../vfs/caller.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FsContext } from '../vfs/fs_context.ts';

export function bootCaller(creds: Credentials, fs: FsContext): FsCaller {
  return {
    creds,
    fs,
    get mm(): MemoryManager {
      throw new Error('no task yet');
    },
    fileSizeLimit: Number.POSITIVE_INFINITY,
    raise: () => undefined,
  };
}
