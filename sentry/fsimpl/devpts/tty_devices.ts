/**
 * The terminal devices: /dev/ptmx and /dev/pts/N (pts(4)), /dev/tty (tty(4)), /dev/console (console(4)).
 */
import { EIO, ENODEV, ENXIO } from '../../../spec/linux/errno.ts';
import { O_NOCTTY, O_RDWR } from '../../../spec/linux/fcntl.ts';
import { type Container, containerOf } from '../../kernel/container.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { Task } from '../../kernel/task.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import type { Path } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import { Devpts, PTMX_MINOR, PtyNode, TTY_MAJOR } from './devpts.ts';
import { acquireAtOpen } from './job_control.ts';
import { parseOptions } from './options.ts';
import { PTS_MAJOR, Pty } from './pty.ts';
import { MasterFile, ReplicaFile } from './pty_files.ts';

const TTY_MINOR = 0;
const CONSOLE_MINOR = 1;

/** The instance that a ptmx node belongs to: its own, or the one at /dev/pts. */
function devptsFor(caller: FsCaller, kernel: Kernel, path: Path): Devpts | number {
  const own = path.dentry.inode?.fs;
  if (own instanceof Devpts) return own;
  const found = kernel.vfs.namei.lookup(caller, '/dev/pts', { follow: true });
  if (typeof found === 'number') return found;
  return found.mount.fs instanceof Devpts ? found.mount.fs : -ENODEV;
}

function openMaster(
  kernel: Kernel,
  caller: FsCaller,
  path: Path,
  flags: number,
): OpenFile | number {
  const fs = devptsFor(caller, kernel, path);
  if (typeof fs === 'number') return fs;
  const pty = fs.newPty(caller.creds);
  if (typeof pty === 'number') return pty;
  const { inode } = path.dentry;
  return inode === null ? -ENXIO : new MasterFile(path, inode, flags & ~O_NOCTTY, pty, fs);
}

function openReplica(caller: FsCaller, path: Path, flags: number): OpenFile | number {
  const node = path.dentry.inode;
  if (!(node instanceof PtyNode)) return -EIO;
  const fs = node.fs as Devpts;
  const file = fs.openReplica(path, node.pty, flags & ~O_NOCTTY, caller.creds);
  if (typeof file === 'number') return file;
  const wanted = (flags & O_NOCTTY) === 0 && file.readable;
  if (wanted && caller instanceof Task) acquireAtOpen(caller, node.pty);
  return file;
}

/** Opens a terminal under another name. */
function openAlias(pty: Pty, path: Path, flags: number): OpenFile | number {
  const { inode } = path.dentry;
  if (inode === null || !pty.masterOpen) return -EIO;
  return new ReplicaFile(path, inode, flags & ~O_NOCTTY, pty);
}

/** The controlling terminal of the caller. */
function openControlling(caller: FsCaller, path: Path, flags: number): OpenFile | number {
  if (!(caller instanceof Task)) return -ENXIO;
  const { terminal } = caller.group.session;
  if (!(terminal instanceof Pty) || !terminal.controls(caller.group)) return -ENXIO;
  return openAlias(terminal, path, flags);
}

/** The terminal of the container's init. */
function openConsole(caller: FsCaller, path: Path, flags: number): OpenFile | number {
  const terminal = containerOf(caller).pids.init?.session.terminal ?? null;
  return terminal instanceof Pty ? openAlias(terminal, path, flags) : -ENODEV;
}

/** A terminal whose master the kernel itself holds, as for stdio. */
export interface KernelTerminal {
  readonly pty: Pty;
  /** One reference, the caller's. */
  readonly replica: ReplicaFile;
}

/** Makes a terminal in the container's /dev/pts that belongs to `creds`. -ENODEV without one. */
export function openKernelTerminal(
  container: Container,
  creds: Credentials,
): KernelTerminal | number {
  const { mounts } = container;
  const fs = mounts.mounts.find((m) => m.fs instanceof Devpts)?.fs as Devpts | undefined;
  if (fs === undefined) return -ENODEV;
  const pty = fs.newPty(creds);
  if (typeof pty === 'number') return pty;
  pty.locked = false;
  const path = fs.pathOf(mounts, pty);
  const replica = typeof path === 'number' ? path : fs.openReplica(path, pty, O_RDWR, null);
  if (typeof replica !== 'number') return { pty, replica };
  pty.closeMaster();
  return replica;
}

/** Registers the file system type and the terminal devices. */
export function installDevpts(kernel: Kernel): void {
  const { devices, fileSystemTypes } = kernel.vfs;
  fileSystemTypes.set('devpts', (_caller, _source, data) => {
    const options = parseOptions(data);
    return typeof options === 'number' ? options : new Devpts(kernel, options);
  });
  devices.register(TTY_MAJOR, TTY_MINOR, openControlling);
  devices.register(TTY_MAJOR, CONSOLE_MINOR, openConsole);
  devices.register(TTY_MAJOR, PTMX_MINOR, (caller, path, flags) =>
    openMaster(kernel, caller, path, flags),
  );
  devices.registerMajor(PTS_MAJOR, openReplica);
}
