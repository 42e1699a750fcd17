/**
 * Extended attributes: xattr(7), setxattr(2).
 */

/** setxattr(2) flags. */
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

/** Name spaces, with their dots. */
export const XATTR_USER_PREFIX = 'user.';
export const XATTR_TRUSTED_PREFIX = 'trusted.';
export const XATTR_SECURITY_PREFIX = 'security.';
export const XATTR_SYSTEM_PREFIX = 'system.';

/** POSIX access control lists, acl(5). */
export const XATTR_NAME_POSIX_ACL_ACCESS = 'system.posix_acl_access';
export const XATTR_NAME_POSIX_ACL_DEFAULT = 'system.posix_acl_default';
export const XATTR_NAME_CAPS = 'security.capability';
