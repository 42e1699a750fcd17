/**
 * memfd_create(2): a file of tmpfs without a name.
 */
import { EFAULT, EINVAL, ENAMETOOLONG } from '../../spec/linux/errno.ts';
import { F_SEAL_SEAL, O_LARGEFILE, O_RDWR } from '../../spec/linux/fcntl.ts';
import { MFD_ALLOW_SEALING, MFD_CLOEXEC } from '../../spec/linux/mman.ts';
import { SYS_memfd_create } from '../../spec/linux/syscall_numbers.ts';
import { Tmpfs } from '../fsimpl/tmpfs/tmpfs.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { Dentry } from '../vfs/dentry.ts';
import { MemoryRegular } from '../vfs/memory_regular.ts';
import { Mount } from '../vfs/mount.ts';
import { newDescriptor } from './new_descriptor.ts';

const NAME_MAX = 249;

/** The mount that nobody sees and all memfds are on, one per kernel. */
const memfdMounts = new WeakMap<Kernel, Mount>();

function memfdMount(kernel: Kernel): Mount {
  const known = memfdMounts.get(kernel);
  if (known !== undefined) return known;
  const parts = {
    memory: kernel.memory,
    clock: kernel.clock,
    devMajor: 0,
    devMinor: kernel.vfs.nextDevMinor(),
  };
  const unlimited = { sizeBytes: Infinity, inodes: Infinity, mode: 0o1777, uid: 0, gid: 0 };
  const fs = new Tmpfs(parts, { ...unlimited, shown: [] });
  const mount = new Mount(0, fs, new Dentry(null, '', fs.root), 'tmpfs', 0);
  memfdMounts.set(kernel, mount);
  return mount;
}

/** memfd_create(2). */
export function sysMemfdCreate(t: Task, a: SyscallArgs): number {
  const flags = a.uint(1);
  if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)) !== 0) return -EINVAL;
  const name = t.mm.copyInString(a.addr(0), NAME_MAX + 1);
  if (typeof name === 'number') return name === -ENAMETOOLONG ? -EINVAL : -EFAULT;
  const mount = memfdMount(t.kernel);
  const { fsuid: uid, fsgid: gid } = t.creds;
  const inode = mount.fs.root.tmpfile({ mode: 0o777, uid, gid });
  if (typeof inode === 'number') return inode;
  if (!(inode instanceof MemoryRegular)) throw new Error('tmpfs made something else');
  inode.seals = (flags & MFD_ALLOW_SEALING) !== 0 ? 0 : F_SEAL_SEAL;
  const dentry = new Dentry(mount.root, `memfd:${name}`, inode);
  dentry.detached = true;
  const file = inode.open(t, { mount, dentry }, O_RDWR | O_LARGEFILE);
  return typeof file === 'number' ? file : newDescriptor(t, file, (flags & MFD_CLOEXEC) !== 0);
}

export const memfdSyscalls: SyscallFragment = {
  [SYS_memfd_create]: {
    name: 'memfd_create',
    args: 'path hex',
    fn: sysMemfdCreate,
    gap: 'no huge pages (MFD_HUGETLB)',
  },
};
