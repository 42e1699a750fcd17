/**
 * Options that sockets of all families share (socket(7), SOL_SOCKET). Bounds and doubling are Linux's.
 */

import { CAP_NET_ADMIN } from '../../spec/linux/capability.ts';
import { EDOM, EINVAL, ENOPROTOOPT, EPERM } from '../../spec/linux/errno.ts';
import { getS32, getS64, putU32, putU64 } from '../../spec/linux/little_endian.ts';
import {
  SO_ACCEPTCONN,
  SO_BROADCAST,
  SO_DEBUG,
  SO_DOMAIN,
  SO_DONTROUTE,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_OOBINLINE,
  SO_PASSCRED,
  SO_PEERCRED,
  SO_PEERGROUPS,
  SO_PRIORITY,
  SO_PROTOCOL,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVLOWAT,
  SO_RCVTIMEO,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SO_SNDLOWAT,
  SO_SNDTIMEO,
  SO_TYPE,
} from '../../spec/linux/socket.ts';
import type { FsCaller } from '../vfs/caller.ts';
import type { Socket } from './socket.ts';

/** net.core.wmem_max and rmem_max, also the defaults. */
const BUFFER_DEFAULT = 212992;
const SEND_BUFFER_MIN = 4608;
const RECEIVE_BUFFER_MIN = 2304;
const FORCED_MAX = 0x3fffffff;
const NS_PER_SEC = 1e9;
const FOREVER = Number.POSITIVE_INFINITY;
/** Beyond this Linux sets no limit. */
const SECONDS_MAX = 9223372036;

/** Switches that families read where they matter. */
const SWITCHES: ReadonlySet<number> = new Set([
  ...[SO_BROADCAST, SO_DONTROUTE, SO_KEEPALIVE, SO_OOBINLINE],
  ...[SO_PASSCRED, SO_REUSEADDR, SO_REUSEPORT],
]);

export class SocketOptions {
  sendBuffer = BUFFER_DEFAULT;
  receiveBuffer = BUFFER_DEFAULT;
  sendTimeoutNs = FOREVER;
  receiveTimeoutNs = FOREVER;
  /** Bytes that a blocking receive waits for. */
  receiveLowWater = 1;
  priority = 0;
  /** Seconds; -1 when off. */
  lingerSec = -1;
  private readonly on = new Set<number>();

  isOn(name: number): boolean {
    return this.on.has(name);
  }

  get passCredentials(): boolean {
    return this.on.has(SO_PASSCRED);
  }

  /** 0 or -errno. */
  set(caller: FsCaller, name: number, value: Uint8Array): number {
    if (name === SO_LINGER) return this.setLinger(value);
    if (name === SO_RCVTIMEO || name === SO_SNDTIMEO) return this.setTimeout(name, value);
    if (value.length < 4) return -EINVAL;
    const n = getS32(value, 0);
    if (SWITCHES.has(name)) {
      if (n !== 0) this.on.add(name);
      else this.on.delete(name);
      return 0;
    }
    switch (name) {
      case SO_SNDBUF:
      case SO_RCVBUF:
        return this.setBuffer(name === SO_SNDBUF, Math.min(n >>> 0, BUFFER_DEFAULT));
      case SO_SNDBUFFORCE:
      case SO_RCVBUFFORCE:
        if (!caller.creds.has(CAP_NET_ADMIN)) return -EPERM;
        return this.setBuffer(name === SO_SNDBUFFORCE, Math.min(Math.max(n, 0), FORCED_MAX));
      case SO_RCVLOWAT:
        this.receiveLowWater = n < 0 ? 0x7fffffff : n || 1;
        return 0;
      case SO_PRIORITY:
        if ((n < 0 || n > 6) && !caller.creds.has(CAP_NET_ADMIN)) return -EPERM;
        this.priority = n;
        return 0;
      default:
        return -ENOPROTOOPT;
    }
  }

  private setBuffer(send: boolean, bytes: number): number {
    if (send) this.sendBuffer = Math.max(2 * bytes, SEND_BUFFER_MIN);
    else this.receiveBuffer = Math.max(2 * bytes, RECEIVE_BUFFER_MIN);
    return 0;
  }

  private setLinger(value: Uint8Array): number {
    if (value.length < 8) return -EINVAL;
    this.lingerSec = getS32(value, 0) === 0 ? -1 : getS32(value, 4) >>> 0;
    return 0;
  }

  private setTimeout(name: number, value: Uint8Array): number {
    if (value.length < 16) return -EINVAL;
    const sec = getS64(value, 0);
    const usec = getS64(value, 8);
    if (usec < 0 || usec >= 1e6) return -EDOM;
    let ns = sec * NS_PER_SEC + usec * 1000;
    // Linux: a negative limit means not to wait at all, zero to wait for ever.
    if (sec < 0) ns = 0;
    else if (ns === 0 || sec >= SECONDS_MAX) ns = FOREVER;
    if (name === SO_SNDTIMEO) this.sendTimeoutNs = ns;
    else this.receiveTimeoutNs = ns;
    return 0;
  }

  /** The option's value, or -ENOPROTOOPT. */
  get(socket: Socket, name: number): Uint8Array | number {
    if (SWITCHES.has(name)) return int(this.on.has(name) ? 1 : 0);
    switch (name) {
      case SO_DEBUG:
        return int(0);
      case SO_TYPE:
        return int(socket.type);
      case SO_DOMAIN:
        return int(socket.family);
      case SO_PROTOCOL:
        return int(socket.protocol);
      case SO_ERROR:
        return int(socket.takeError());
      case SO_ACCEPTCONN:
        return int(socket.listening ? 1 : 0);
      case SO_SNDBUF:
        return int(this.sendBuffer);
      case SO_RCVBUF:
        return int(this.receiveBuffer);
      case SO_RCVLOWAT:
        return int(this.receiveLowWater);
      case SO_SNDLOWAT:
        return int(1);
      case SO_PRIORITY:
        return int(this.priority);
      case SO_LINGER:
        return ints(this.lingerSec < 0 ? 0 : 1, Math.max(0, this.lingerSec));
      case SO_RCVTIMEO:
        return timeval(this.receiveTimeoutNs);
      case SO_SNDTIMEO:
        return timeval(this.sendTimeoutNs);
      case SO_PEERCRED: {
        const peer = socket.peerCredentials();
        return typeof peer === 'number' ? peer : ints(peer.pid, peer.uid, peer.gid);
      }
      case SO_PEERGROUPS: {
        const groups = socket.peerGroups();
        return typeof groups === 'number' ? groups : ints(...groups);
      }
      default:
        return -ENOPROTOOPT;
    }
  }
}

function ints(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  values.forEach((value, i) => putU32(bytes, 4 * i, value));
  return bytes;
}

function int(value: number): Uint8Array {
  return ints(value);
}

function timeval(ns: number): Uint8Array {
  const bytes = new Uint8Array(16);
  if (ns === FOREVER) return bytes;
  putU64(bytes, 0, Math.floor(ns / NS_PER_SEC));
  putU64(bytes, 8, Math.floor((ns % NS_PER_SEC) / 1000));
  return bytes;
}
