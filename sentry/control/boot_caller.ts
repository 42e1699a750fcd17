/**
 * Who looks up files before a container has its first task.
 */
import type { Container, ContainerCaller } from '../kernel/container.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FsContext } from '../vfs/fs_context.ts';

export function bootCaller(
  container: Container,
  creds: Credentials,
  fs: FsContext,
): ContainerCaller {
  return {
    container,
    creds,
    fs,
    get mm(): MemoryManager {
      throw new Error('no task yet');
    },
    fileSizeLimit: Number.POSITIVE_INFINITY,
    raise: () => undefined,
  };
}
