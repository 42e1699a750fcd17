/**
 * What this kernel says it is: uname(2), /proc/version, dmesg. The interfaces are those of Linux 4.4, plus
 * later ones where programs profit from them.
 */
export const LINUX_SYSNAME = 'Linux';
export const LINUX_RELEASE = '4.4.0';
export const LINUX_VERSION = '#1 SMP Sun Nov 22 12:00:00 UTC 2026';
export const LINUX_MACHINE = 'x86_64';
