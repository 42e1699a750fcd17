/**
 * struct msghdr and its control messages in application memory (sendmsg(2), cmsg(3)).
 */

import { CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN } from '../../spec/linux/capability.ts';
import { EBADF, EFAULT, EINVAL, EMSGSIZE, ENOBUFS, EPERM } from '../../spec/linux/errno.ts';
import { CMSGHDR, MSGHDR, UCRED } from '../../spec/linux/layout/socket.ts';
import { getS32, getU64, putU32 } from '../../spec/linux/little_endian.ts';
import { RLIMIT_NOFILE } from '../../spec/linux/resource.ts';
import {
  MSG_CTRUNC,
  SCM_CREDENTIALS,
  SCM_MAX_FD,
  SCM_RIGHTS,
  SOL_SOCKET,
} from '../../spec/linux/socket.ts';
import type { Task } from '../kernel/task.ts';
import type { Incoming, Socket, UserCredentials } from '../socket/socket.ts';
import type { OpenFile } from '../vfs/open_file.ts';

const IOV_MAX = 1024;
const HEADER = CMSGHDR.size;
/** net.core.optmem_max. */
const CONTROL_MAX = 131072;
const FLAGS_OFFSET = 48;
const CONTROL_LENGTH_OFFSET = 40;
const NAME_LENGTH_OFFSET = 8;

export interface MessageHeader {
  readonly addr: number;
  readonly nameAddr: number;
  readonly nameLength: number;
  readonly iovAddr: number;
  readonly iovCount: number;
  readonly controlAddr: number;
  readonly controlLength: number;
}

/** -EFAULT, -EINVAL, or -EMSGSIZE for too many pieces. */
export function readMessageHeader(t: Task, addr: number): MessageHeader | number {
  const bytes = new Uint8Array(MSGHDR.size);
  if (t.mm.copyIn(addr, bytes) < 0) return -EFAULT;
  const raw = MSGHDR.decode(bytes);
  if (raw.msg_namelen < 0) return -EINVAL;
  if (raw.msg_iovlen > IOV_MAX) return -EMSGSIZE;
  return {
    addr,
    nameAddr: raw.msg_name,
    nameLength: raw.msg_name === 0 ? 0 : raw.msg_namelen,
    iovAddr: raw.msg_iov,
    iovCount: raw.msg_iovlen,
    controlAddr: raw.msg_control,
    controlLength: raw.msg_control === 0 ? 0 : raw.msg_controllen,
  };
}

const alignControl = (n: number): number => Math.ceil(n / 8) * 8;

/** Control messages to send. */
export interface SendControl {
  rights: OpenFile[] | null;
  credentials: UserCredentials | null;
}

/** The control messages of `h`, or -errno; holds references to the descriptors' files. */
export function readControl(t: Task, socket: Socket, h: MessageHeader): SendControl | number {
  const control: SendControl = { rights: null, credentials: null };
  if (h.controlLength === 0) return control;
  if (h.controlLength > CONTROL_MAX) return -ENOBUFS;
  const bytes = new Uint8Array(h.controlLength);
  if (t.mm.copyIn(h.controlAddr, bytes) < 0) return -EFAULT;
  const r = parseControl(t, socket, bytes, control);
  if (r === 0) return control;
  for (const file of control.rights ?? []) file.close();
  return r;
}

function parseControl(t: Task, socket: Socket, bytes: Uint8Array, into: SendControl): number {
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = getU64(bytes, at);
    if (length < HEADER || length > bytes.length - at) return -EINVAL;
    const data = bytes.subarray(at + HEADER, at + length);
    if (getS32(bytes, at + 8) === SOL_SOCKET) {
      const r = parseOne(t, socket, getS32(bytes, at + 12), data, into);
      if (r < 0) return r;
    }
    at += alignControl(length);
  }
  return 0;
}

function parseOne(
  t: Task,
  socket: Socket,
  type: number,
  data: Uint8Array,
  into: SendControl,
): number {
  if (!socket.passesRights) return -EINVAL;
  if (type === SCM_RIGHTS) return takeRights(t, data, into);
  if (type !== SCM_CREDENTIALS || data.length !== UCRED.size) return -EINVAL;
  const who = UCRED.decode(data);
  if (!mayClaim(t, who)) return -EPERM;
  into.credentials = who;
  return 0;
}

function takeRights(t: Task, data: Uint8Array, into: SendControl): number {
  const files = into.rights ?? [];
  const count = Math.floor(data.length / 4);
  if (files.length + count > SCM_MAX_FD) return -EINVAL;
  for (let i = 0; i < count; i++) {
    const file = t.files.get(getS32(data, 4 * i));
    if (file === undefined) {
      into.rights = files;
      return -EBADF;
    }
    files.push(file.acquire());
  }
  if (files.length > 0) into.rights = files;
  return 0;
}

/** unix(7): a process may claim its own ids; more takes privileges. */
function mayClaim(t: Task, who: UserCredentials): boolean {
  const { creds } = t;
  const { uid, gid } = who;
  if (who.pid !== t.pid && !creds.has(CAP_SYS_ADMIN)) return false;
  const ownUid = uid === creds.uid || uid === creds.euid || uid === creds.suid;
  const ownGid = gid === creds.gid || gid === creds.egid || gid === creds.sgid;
  return (ownUid || creds.has(CAP_SETUID)) && (ownGid || creds.has(CAP_SETGID));
}

/** Writes control messages as put_cmsg does: what does not fit is cut, and MSG_CTRUNC says so. */
class ControlWriter {
  used = 0;
  truncated = false;
  private readonly t: Task;
  private readonly addr: number;
  private readonly length: number;

  constructor(t: Task, addr: number, length: number) {
    this.t = t;
    this.addr = addr;
    this.length = length;
  }

  /** Bytes of data that the next message can hold; negative when not even its header fits. */
  get room(): number {
    return this.length - this.used - HEADER;
  }

  put(type: number, data: Uint8Array): void {
    if (this.room < 0) {
      this.truncated = true;
      return;
    }
    const n = Math.min(data.length, this.room);
    if (n < data.length) this.truncated = true;
    const bytes = new Uint8Array(HEADER + n);
    CMSGHDR.encode({ cmsg_len: HEADER + n, cmsg_level: SOL_SOCKET, cmsg_type: type }, bytes);
    bytes.set(data.subarray(0, n), HEADER);
    if (this.t.mm.copyOut(this.addr + this.used, bytes) < 0) return;
    this.used = Math.min(this.length, this.used + alignControl(bytes.length));
  }
}

/** Makes descriptors of received files, as many as `room` numbers can be told. */
function installRights(t: Task, files: readonly OpenFile[], room: number, cloexec: boolean) {
  const limit = t.group.limits.soft(RLIMIT_NOFILE);
  const fds: number[] = [];
  for (const file of files) {
    const fd = fds.length < room ? t.files.add(file, cloexec, limit) : -1;
    if (fd < 0) file.close();
    else fds.push(fd);
  }
  return fds;
}

/** Stores what came along with a message: the bytes of control used. May set MSG_CTRUNC. */
export function writeControl(
  t: Task,
  socket: Socket,
  into: Incoming,
  addr: number,
  length: number,
  cloexec: boolean,
): number {
  const writer = new ControlWriter(t, addr, length);
  if (socket.options.passCredentials) {
    const { pid, uid, gid } = into.credentials ?? { pid: 0, uid: 65534, gid: 65534 };
    writer.put(SCM_CREDENTIALS, UCRED.encode({ pid, uid, gid }));
  }
  const { rights } = into;
  if (rights.length > 0) {
    const fds = installRights(t, rights, Math.floor(writer.room / 4), cloexec);
    if (fds.length < rights.length) writer.truncated = true;
    if (fds.length > 0) {
      const data = new Uint8Array(4 * fds.length);
      fds.forEach((fd, i) => putU32(data, 4 * i, fd));
      writer.put(SCM_RIGHTS, data);
    }
    into.rights = [];
  }
  if (writer.truncated) into.flags |= MSG_CTRUNC;
  return writer.used;
}

/** Fills in the result fields of a msghdr: 0 or -EFAULT. */
export function writeMessageHeader(
  t: Task,
  h: MessageHeader,
  nameLength: number,
  controlLength: number,
  flags: number,
): number {
  const named = h.nameAddr === 0 || t.mm.writeU32(h.addr + NAME_LENGTH_OFFSET, nameLength) >= 0;
  const done =
    named &&
    t.mm.writeU32(h.addr + FLAGS_OFFSET, flags) >= 0 &&
    t.mm.writeU64(h.addr + CONTROL_LENGTH_OFFSET, controlLength) >= 0;
  return done ? 0 : -EFAULT;
}
