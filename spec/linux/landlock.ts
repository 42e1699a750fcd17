/** landlock(7): what a ruleset handles, by ABI version, and the layout of its structures. */

export const LANDLOCK_CREATE_RULESET_VERSION = 1;
export const LANDLOCK_RULE_PATH_BENEATH = 1;

export const LANDLOCK_ACCESS_FS_EXECUTE = 1 << 0;
export const LANDLOCK_ACCESS_FS_WRITE_FILE = 1 << 1;
export const LANDLOCK_ACCESS_FS_READ_FILE = 1 << 2;
export const LANDLOCK_ACCESS_FS_READ_DIR = 1 << 3;
export const LANDLOCK_ACCESS_FS_REMOVE_DIR = 1 << 4;
export const LANDLOCK_ACCESS_FS_REMOVE_FILE = 1 << 5;
export const LANDLOCK_ACCESS_FS_MAKE_CHAR = 1 << 6;
export const LANDLOCK_ACCESS_FS_MAKE_DIR = 1 << 7;
export const LANDLOCK_ACCESS_FS_MAKE_REG = 1 << 8;
export const LANDLOCK_ACCESS_FS_MAKE_SOCK = 1 << 9;
export const LANDLOCK_ACCESS_FS_MAKE_FIFO = 1 << 10;
export const LANDLOCK_ACCESS_FS_MAKE_BLOCK = 1 << 11;
export const LANDLOCK_ACCESS_FS_MAKE_SYM = 1 << 12;
/** ABI 2. */
export const LANDLOCK_ACCESS_FS_REFER = 1 << 13;
/** ABI 3. */
export const LANDLOCK_ACCESS_FS_TRUNCATE = 1 << 14;
/** ABI 5. */
export const LANDLOCK_ACCESS_FS_IOCTL_DEV = 1 << 15;

/** ABI 4. */
export const LANDLOCK_ACCESS_NET_BIND_TCP = 1 << 0;
export const LANDLOCK_ACCESS_NET_CONNECT_TCP = 1 << 1;

/** ABI 6. */
export const LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0;
export const LANDLOCK_SCOPE_SIGNAL = 1 << 1;

/** struct landlock_ruleset_attr: three u64 (handled_access_fs, handled_access_net, scoped). */
export const RULESET_ATTR_WORDS = 6;
/** struct landlock_path_beneath_attr, packed: u64 allowed_access, s32 parent_fd. */
export const PATH_BENEATH_ATTR_LENGTH = 12;
