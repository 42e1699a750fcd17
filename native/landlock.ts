/**
 * Landlock, landlock(7): from now on this process and its children reach no file but those beneath
 * the trees it names, no TCP port, no abstract socket and no process outside. Works without any
 * privilege and without namespaces. It needs no_new_privs first.
 *
 * Not covered by any version: stat, chmod, chown, utimes and extended attributes of files by path.
 */

import * as landlock from '../spec/linux/landlock.ts';
import {
  SYS_landlock_add_rule,
  SYS_landlock_create_ruleset,
  SYS_landlock_restrict_self,
} from '../spec/linux/syscall_numbers.ts';
import { close } from './fs.ts';
import { syscall } from './index.ts';

export interface LandlockTree {
  /** A descriptor of its root; O_PATH will do. */
  readonly fd: number;
  readonly isDirectory: boolean;
  readonly readonly: boolean;
}

/** Of a file, and of files in a directory. */
const READ_FILE = landlock.LANDLOCK_ACCESS_FS_READ_FILE;
const WRITE_FILE =
  READ_FILE | landlock.LANDLOCK_ACCESS_FS_WRITE_FILE | landlock.LANDLOCK_ACCESS_FS_TRUNCATE;
const READ_TREE = READ_FILE | landlock.LANDLOCK_ACCESS_FS_READ_DIR;
/** No device nodes, and nothing is executed. */
const WRITE_TREE =
  READ_TREE |
  WRITE_FILE |
  landlock.LANDLOCK_ACCESS_FS_REMOVE_DIR |
  landlock.LANDLOCK_ACCESS_FS_REMOVE_FILE |
  landlock.LANDLOCK_ACCESS_FS_MAKE_DIR |
  landlock.LANDLOCK_ACCESS_FS_MAKE_REG |
  landlock.LANDLOCK_ACCESS_FS_MAKE_SOCK |
  landlock.LANDLOCK_ACCESS_FS_MAKE_FIFO |
  landlock.LANDLOCK_ACCESS_FS_MAKE_SYM |
  landlock.LANDLOCK_ACCESS_FS_REFER;

/** The version of Landlock's interface that the host has, 1 or more; -errno: it has none. */
export function landlockVersion(): number {
  const flags = landlock.LANDLOCK_CREATE_RULESET_VERSION;
  return syscall(SYS_landlock_create_ruleset, null, 0, flags);
}

/** Confines this process to `trees`, for ever. 0 or -errno. */
export function restrictTo(trees: readonly LandlockTree[]): number {
  const version = landlockVersion();
  if (version < 0) return version;
  const handled = handledFiles(version);
  const attr = new Uint32Array(landlock.RULESET_ATTR_WORDS);
  attr[0] = handled;
  if (version >= 4) {
    attr[2] = landlock.LANDLOCK_ACCESS_NET_BIND_TCP | landlock.LANDLOCK_ACCESS_NET_CONNECT_TCP;
  }
  if (version >= 6) {
    attr[4] = landlock.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | landlock.LANDLOCK_SCOPE_SIGNAL;
  }
  const size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  const ruleset = syscall(SYS_landlock_create_ruleset, attr, size, 0);
  if (ruleset < 0) return ruleset;
  let error = 0;
  for (const tree of trees) if (error >= 0) error = allow(ruleset, tree, handled);
  if (error >= 0) error = syscall(SYS_landlock_restrict_self, ruleset, 0);
  close(ruleset);
  return error;
}

function handledFiles(version: number): number {
  let handled = landlock.LANDLOCK_ACCESS_FS_REFER - 1;
  if (version >= 2) handled |= landlock.LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) handled |= landlock.LANDLOCK_ACCESS_FS_TRUNCATE;
  if (version >= 5) handled |= landlock.LANDLOCK_ACCESS_FS_IOCTL_DEV;
  return handled;
}

function allow(ruleset: number, tree: LandlockTree, handled: number): number {
  const file = tree.readonly ? READ_FILE : WRITE_FILE;
  const wanted = tree.isDirectory ? (tree.readonly ? READ_TREE : WRITE_TREE) : file;
  const attr = new Uint8Array(landlock.PATH_BENEATH_ATTR_LENGTH);
  const view = new DataView(attr.buffer);
  view.setUint32(0, wanted & handled, true);
  view.setInt32(8, tree.fd, true);
  return syscall(SYS_landlock_add_rule, ruleset, landlock.LANDLOCK_RULE_PATH_BENEATH, attr, 0);
}
