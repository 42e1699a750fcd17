/**
 * sendmsg(2), cmsg(3), unix(7), ip(7), ipv6(7), netlink(7), netdevice(7), socket(7). Ports and
 * addresses are in network order: bytes.
 */

import { layout } from './layout.ts';

export const MSGHDR = layout('msghdr', 56, {
  msg_name: ['u64', 0],
  msg_namelen: ['s32', 8],
  msg_iov: ['u64', 16],
  msg_iovlen: ['u64', 24],
  msg_control: ['u64', 32],
  msg_controllen: ['u64', 40],
  msg_flags: ['u32', 48],
});

export const MMSGHDR = layout('mmsghdr', 64, { msg_hdr: [MSGHDR, 0], msg_len: ['u32', 56] });

/** Data follows; the next header starts at the next multiple of 8. */
export const CMSGHDR = layout('cmsghdr', 16, {
  cmsg_len: ['u64', 0],
  cmsg_level: ['s32', 8],
  cmsg_type: ['s32', 12],
});

export const SOCKADDR_UN = layout('sockaddr_un', 110, {
  sun_family: ['u16', 0],
  sun_path: ['bytes', 2, 108],
});

export const SOCKADDR_IN = layout('sockaddr_in', 16, {
  sin_family: ['u16', 0],
  sin_port: ['bytes', 2, 2],
  sin_addr: ['bytes', 4, 4],
});

export const SOCKADDR_IN6 = layout('sockaddr_in6', 28, {
  sin6_family: ['u16', 0],
  sin6_port: ['bytes', 2, 2],
  sin6_flowinfo: ['bytes', 4, 4],
  sin6_addr: ['bytes', 8, 16],
  sin6_scope_id: ['u32', 24],
});

export const SOCKADDR_NL = layout('sockaddr_nl', 12, {
  nl_family: ['u16', 0],
  nl_pid: ['u32', 4],
  nl_groups: ['u32', 8],
});

export const UCRED = layout('ucred', 12, { pid: ['s32', 0], uid: ['u32', 4], gid: ['u32', 8] });

export const LINGER = layout('linger', 8, { l_onoff: ['s32', 0], l_linger: ['s32', 4] });

/** `ifr_ifru` is a union by request. */
export const IFREQ = layout('ifreq', 40, {
  ifr_name: ['text', 0, 16],
  ifr_ifru: ['bytes', 16, 24],
});

export const IFCONF = layout('ifconf', 16, { ifc_len: ['s32', 0], ifc_buf: ['u64', 8] });
