/**
 * Which socket a name leads to: abstract names per container, and socket inodes of the file tree
 * (unix(7)). Like Linux, a name serves the socket types separately when it is abstract.
 */
import { EADDRINUSE, ECONNREFUSED, EEXIST, ENOSPC, EPROTOTYPE } from '../../../spec/linux/errno.ts';
import { S_IFSOCK } from '../../../spec/linux/stat.ts';
import type { Container } from '../../kernel/container.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { HostSocket } from '../../vfs/host_socket.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { makeSocket } from '../../vfs/operations/create.ts';
import { MAY_WRITE, permission } from '../../vfs/permission.ts';
import type { UnixSocket } from './unix_socket.ts';

/** Names given by autobind are five hexadecimal digits. */
const AUTOBIND_NAMES = 0x100000;

const boundInodes = new WeakMap<Inode, UnixSocket>();
const lastAutobind = new WeakMap<Container, number>();

function abstractKey(type: number, name: string): string {
  return `${type}${name}`;
}

function isAbstract(name: string): boolean {
  return name.charCodeAt(0) === 0;
}

/** What bind(2) made: null and null for an abstract name. */
export interface BoundName {
  readonly at: Path | null;
  /** Where the name is one of the host. */
  readonly host: HostSocket | null;
}

/** Gives `socket` a name, or -errno. */
export function bindName(caller: FsCaller, socket: UnixSocket, name: string): BoundName | number {
  const { container } = socket;
  if (isAbstract(name)) {
    const key = abstractKey(socket.type, name);
    if (container.unixNames.has(key)) return -EADDRINUSE;
    container.unixNames.set(key, socket);
    return { at: null, host: null };
  }
  const { vfs } = container.kernel;
  const made = makeSocket(vfs, caller, name, socket.type);
  if (typeof made === 'number') return made === -EEXIST ? -EADDRINUSE : made;
  boundInodes.set(made.at.dentry.inode as Inode, socket);
  return made;
}

/** Whether a path is taken already: bind(2) finds that out before all else. */
export function nameExists(caller: FsCaller, container: Container, name: string): boolean {
  if (isAbstract(name)) return false;
  const found = container.kernel.vfs.namei.lookup(caller, name, { follow: false });
  return typeof found !== 'number';
}

/** A free abstract name (autobind), or -ENOSPC. */
export function autobindName(socket: UnixSocket): string | number {
  const { container, type } = socket;
  const start = lastAutobind.get(container) ?? 0;
  for (let i = 1; i <= AUTOBIND_NAMES; i++) {
    const number = (start + i) % AUTOBIND_NAMES;
    const name = `\0${number.toString(16).padStart(5, '0')}`;
    if (container.unixNames.has(abstractKey(type, name))) continue;
    lastAutobind.set(container, number);
    return name;
  }
  return -ENOSPC;
}

/** The socket ends: its name leads nowhere from now on. */
export function forgetName(socket: UnixSocket, name: string, path: Path | null): void {
  if (name === '') return;
  const names = socket.container.unixNames;
  const key = abstractKey(socket.type, name);
  if (path === null) {
    if (names.get(key) === socket) names.delete(key);
    return;
  }
  const inode = path.dentry.inode;
  if (inode !== null && boundInodes.get(inode) === socket) boundInodes.delete(inode);
}

/** The live socket of `type` called `name`, one of the host's connected to it, or -errno. */
export function findByName(
  caller: FsCaller,
  container: Container,
  type: number,
  name: string,
): UnixSocket | HostSocket | number {
  if (isAbstract(name)) {
    const found = container.unixNames.get(abstractKey(type, name));
    return found === undefined ? -ECONNREFUSED : (found as UnixSocket);
  }
  const at = container.kernel.vfs.namei.lookup(caller, name, { follow: true });
  if (typeof at === 'number') return at;
  const inode = at.dentry.inode as Inode;
  const r = permission(inode, caller.creds, MAY_WRITE);
  if (r < 0) return r;
  const socket = inode.type === S_IFSOCK ? boundInodes.get(inode) : undefined;
  if (socket === undefined) return inode.connectSocket(type) ?? -ECONNREFUSED;
  return socket.type === type ? socket : -EPROTOTYPE;
}
