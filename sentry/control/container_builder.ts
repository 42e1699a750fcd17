/**
 * From an OCI configuration to a Container: its file tree. The gofer serves the root and the bind
 * mounts; everything else is made here.
 */

import { byteString } from '../../native/bytes.ts';
import { close } from '../../native/fs.ts';
import {
  type BootConfig,
  bindsOnHost,
  connectsToHost,
  GOFER_PATIENCE_SEC,
} from '../../spec/control/boot.ts';
import type { ControlError, Params } from '../../spec/control/protocol.ts';
import { EEXIST, ENOENT, strerror } from '../../spec/linux/errno.ts';
import { MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from '../../spec/linux/mount.ts';
import { S_IFREG } from '../../spec/linux/stat.ts';
import type { Config, Mount as MountSpec } from '../../spec/oci/config.ts';
import { GoferFileSystem } from '../fsimpl/gofer/gofer_file_system.ts';
import { HostFifoFiles } from '../fsimpl/host/host_fifo.ts';
import { UnixHostSocket } from '../fsimpl/host/unix_host_socket.ts';
import { Overlay } from '../fsimpl/overlay/overlay.ts';
import { Container } from '../kernel/container.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { FsCaller } from '../vfs/caller.ts';
import { ALL_CAPABILITIES, Credentials } from '../vfs/credentials.ts';
import { FsContext } from '../vfs/fs_context.ts';
import type { FileSystem } from '../vfs/inode.ts';
import { MOUNT_FLAGS, MountNamespace, type Path } from '../vfs/mount.ts';
import { makeDirectory, makeNode } from '../vfs/operations/create.ts';
import { bootCaller } from './boot_caller.ts';
import { parseMountOptions } from './mount_options.ts';

/** What every container has, whether its configuration names it or not (as in gVisor). */
const MANDATORY: readonly MountSpec[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/sys',
    type: 'sysfs',
    source: 'sysfs',
    options: ['nosuid', 'noexec', 'nodev', 'ro'],
  },
  { destination: '/dev', type: 'devtmpfs', source: 'dev', options: ['nosuid', 'mode=755'] },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'gid=5', 'mode=0620', 'ptmxmode=0666'],
  },
];
/** Types of config.json that have no counterpart here; the mount is left out. */
const LEFT_OUT = new Set([
  'cgroup',
  'cgroup2',
  'mqueue',
  'debugfs',
  'tracefs',
  'securityfs',
  'bpf',
]);

class BuildError extends Error {}

/** The container, or why it cannot be. Owns `goferFds`: the root's, then one per gofer mount. */
export function buildContainer(
  kernel: Kernel,
  config: BootConfig,
  p: Params<'create'>,
  goferFds: readonly number[],
): Container | ControlError {
  const builder = new Builder(kernel, config, p.spec, [...goferFds]);
  try {
    return builder.build(p);
  } catch (thrown) {
    if (!(thrown instanceof BuildError)) throw thrown;
    builder.abandon();
    return { message: thrown.message };
  }
}

class Builder {
  private readonly kernel: Kernel;
  private readonly config: BootConfig;
  private readonly spec: Config;
  private readonly goferFds: number[];
  private readonly made: FileSystem[] = [];
  private namespace!: MountNamespace;
  private caller!: FsCaller;

  constructor(kernel: Kernel, config: BootConfig, spec: Config, goferFds: number[]) {
    this.kernel = kernel;
    this.config = config;
    this.spec = spec;
    this.goferFds = goferFds;
  }

  build(p: Params<'create'>): Container {
    const { spec, config } = this;
    const root = this.goferTree(0, 'root.path', config.overlay !== 'none', true);
    this.namespace = new MountNamespace(root, 'none', 0);
    const container = new Container({
      id: p.cid,
      kernel: this.kernel,
      mounts: this.namespace,
      hostname: byteString(spec.hostname ?? 'runsc'),
      domainname: byteString(spec.domainname ?? '(none)'),
      totalMemoryBytes: this.config.totalMemoryBytes,
      cpuCount: config.cpuCount,
    });
    const at = this.namespace.rootPath;
    const creds = Credentials.of(0, 0, [], ALL_CAPABILITIES);
    this.caller = bootCaller(container, creds, new FsContext(this.namespace, at, at, 0o022));
    const mounts = spec.mounts ?? [];
    const missing = MANDATORY.filter(
      (m) => !mounts.some((other) => clean(other.destination) === m.destination),
    );
    // What the configuration mounts must not hide them: /dev/pts comes after its /dev.
    const isInside = (m: MountSpec): boolean =>
      mounts.some((other) => m.destination.startsWith(`${clean(other.destination)}/`));
    const mandatory = (m: MountSpec): void => this.mount(m, `mandatory mount ${m.destination}`, -1);
    for (const m of missing) if (!isInside(m)) mandatory(m);
    mounts.forEach((m, i) => this.mount(m, `mounts[${i}]`, p.goferMounts.indexOf(i)));
    for (const m of missing) if (isInside(m)) mandatory(m);
    // Only now: mount points may have had to be made in it.
    if (spec.root.readonly === true) this.namespace.root.flags |= MS_RDONLY;
    for (const path of spec.linux?.readonlyPaths ?? []) this.makeReadonly(path);
    for (const path of spec.linux?.maskedPaths ?? []) this.mask(path);
    container.onDestroy = () => {
      container.sharedMemory.release();
      this.abandon();
    };
    return container;
  }

  abandon(): void {
    for (const fs of this.made) fs.destroy();
    for (const fd of this.goferFds) if (fd >= 0) close(fd);
    this.goferFds.fill(-1);
  }

  private fail(field: string, r: number, hint: string): never {
    throw new BuildError(`config.json: ${field}: ${strerror(-r).toLowerCase()}: ${hint}`);
  }

  /** Connection `index` as a file system, with an overlay on top when it is to be written in memory. */
  private goferTree(index: number, field: string, overlay: boolean, root: boolean): FileSystem {
    const fd = this.goferFds[index] ?? -1;
    if (fd < 0) throw new BuildError(`config.json: ${field}: no gofer connection came with it`);
    this.goferFds[index] = -1;
    const { kernel } = this;
    const exclusive = root && this.config.fileAccess === 'exclusive';
    const fs = GoferFileSystem.connect(fd, {
      kernel,
      devMinor: kernel.vfs.nextDevMinor(),
      exclusive,
      hostSockets: {
        connects: connectsToHost(this.config.hostUds),
        binds: bindsOnHost(this.config.hostUds),
        open: (socket, type) => new UnixHostSocket(socket, type, kernel.poller),
      },
      hostFifos: this.config.hostFifo === 'open' ? new HostFifoFiles(kernel) : null,
      slow: (request) => this.kernel.warn(slowness(field, request)),
      lost: () => this.kernel.warn(`the gofer of ${field} has ended: its files answer EIO`),
    });
    if (typeof fs === 'number') return this.fail(field, fs, 'the gofer did not serve it');
    this.made.push(fs);
    if (!overlay || !fs.root.isDirectory) return fs;
    const over = new Overlay({
      lower: fs,
      memory: kernel.memory,
      clock: kernel.clock,
      devMajor: 0,
      devMinor: kernel.vfs.nextDevMinor(),
      sizeBytes: Number.POSITIVE_INFINITY,
      lowerChanges: !exclusive,
    });
    this.made.push(over);
    return over;
  }

  private mount(m: MountSpec, field: string, gofer: number): void {
    const { flags, data } = parseMountOptions(m.options);
    let type = m.type ?? 'bind';
    if (LEFT_OUT.has(type)) {
      this.kernel.log(`${field}: a ${type} file system is not supported: left out`);
      return;
    }
    const destination = clean(m.destination);
    if (destination === '/dev' && type === 'tmpfs') type = 'devtmpfs';
    let fs: FileSystem | number;
    let fsType: string = type;
    if (gofer >= 0) {
      fs = this.goferTree(1 + gofer, field, this.config.overlay === 'all', false);
      fsType = 'bind';
    } else if ((flags & MS_BIND) !== 0) {
      throw new BuildError(`config.json: ${field}: a bind mount came without a gofer connection`);
    } else {
      const make = this.kernel.vfs.fileSystemTypes.get(type);
      if (make === undefined) {
        const known = [...this.kernel.vfs.fileSystemTypes.keys()].sort().join(', ');
        throw new BuildError(
          `config.json: ${field}.type: unknown type ${type}: known are ${known}`,
        );
      }
      fs = make(this.caller, byteString(m.source ?? type), byteString(data));
    }
    if (typeof fs === 'number') return this.fail(`${field}.options`, fs, `${fsType} refused them`);
    const at = this.mountPoint(destination, field, fs.root.isDirectory);
    const source = gofer >= 0 ? 'none' : byteString(m.source ?? type);
    this.namespace.mount(at, fs, source, flags & MOUNT_FLAGS);
  }

  /** The place `destination`, made (with its parents) if it is not there. */
  private mountPoint(destination: string, field: string, directory: boolean): Path {
    const parts = destination.split('/').filter((part) => part !== '');
    let path = '';
    let at = this.namespace.rootPath;
    parts.forEach((part, i) => {
      path += `/${byteString(part)}`;
      const isLast = i === parts.length - 1;
      let found = this.lookup(path);
      if (found === -ENOENT) {
        const r =
          isLast && !directory
            ? makeNode(this.kernel.vfs, this.caller, undefined, path, S_IFREG, 0o644, 0, 0)
            : makeDirectory(this.kernel.vfs, this.caller, undefined, path, 0o755);
        if (typeof r === 'number' && r < 0 && r !== -EEXIST)
          this.fail(`${field}.destination`, r, `cannot make ${path}`);
        found = this.lookup(path);
      }
      if (typeof found === 'number') return this.fail(`${field}.destination`, found, `at ${path}`);
      at = found;
    });
    return at;
  }

  private lookup(path: string): Path | number {
    return this.kernel.vfs.namei.lookup(this.caller, path, { follow: true });
  }

  private makeReadonly(path: string): void {
    const at = this.lookup(byteString(path));
    if (typeof at === 'number') return;
    this.namespace.bind(at, at, 'none', (at.mount.flags & MOUNT_FLAGS) | MS_RDONLY);
  }

  /** Hides a file behind /dev/null, a directory behind an empty one. */
  private mask(path: string): void {
    const at = this.lookup(byteString(path));
    if (typeof at === 'number') return;
    const nothing = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (at.dentry.inode?.isDirectory !== true) {
      const nullDevice = this.lookup('/dev/null');
      if (typeof nullDevice !== 'number') this.namespace.bind(at, nullDevice, 'none', 0);
      return;
    }
    const empty = this.kernel.vfs.fileSystemTypes.get('tmpfs')?.(this.caller, 'none', 'size=4k');
    if (empty !== undefined && typeof empty !== 'number') {
      this.namespace.mount(at, empty, 'none', nothing);
    }
  }
}

/** The whole sandbox waits meanwhile, so whoever looks should learn why. */
function slowness(field: string, request: string | null): string {
  if (request === null) return `the gofer of ${field} answers again`;
  return `the gofer of ${field} has not answered ${request} for ${GOFER_PATIENCE_SEC} s: does its file system hang?`;
}

/** A destination without trailing and doubled slashes. */
function clean(destination: string): string {
  return `/${destination
    .split('/')
    .filter((part) => part !== '')
    .join('/')}`;
}
