/** For tests: a session of the gofer's 9P server on a real tree, without a socket. */
import { LocalTree } from '../../gofer/localfs/local_tree.ts';
import { Connection, type ConnectionOptions } from '../../gofer/server/connection.ts';
import * as fs from '../../native/fs.ts';
import { F_DUPFD_CLOEXEC } from '../../spec/linux/fcntl.ts';
import { decodeMessage, encodeToBytes, type Message } from '../../spec/p9/codec.ts';
import * as p9 from '../../spec/p9/constants.ts';
import type { Fields, MessageName } from '../../spec/p9/messages.ts';

type SessionOptions = Partial<Pick<ConnectionOptions, 'maxFids' | 'readonly' | 'hostFifo'>>;

export class P9Session {
  readonly tree: LocalTree;
  readonly connection: Connection;

  constructor(path: string, options: SessionOptions = {}) {
    this.tree = LocalTree.at(path) as LocalTree;
    const dup = (fd: number): number => fs.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    this.connection = new Connection({
      backend: this.tree,
      readonly: false,
      maxFids: 64,
      hostUds: 'all',
      hostFifo: 'open',
      ...options,
      dup,
    });
  }

  /** Puts bytes in, in pieces as large as there is room. */
  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const { space } = this.connection;
      if (space.length === 0) return;
      const piece = bytes.subarray(at, at + space.length);
      space.set(piece);
      this.connection.received(piece.length);
      at += piece.length;
    }
  }

  /** Everything there is to send; donated descriptors are closed. */
  drain(): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let out = this.connection.output; out !== null; out = this.connection.output) {
      parts.push(out.bytes.slice());
      const fd = this.connection.sent(out.bytes.length);
      if (fd >= 0) fs.close(fd);
    }
    return Buffer.concat(parts);
  }

  say<N extends MessageName>(name: N, fields: Fields<N>, tag = 1): Message | null {
    this.feed(encodeToBytes(name, tag, fields, p9.MAX_MSIZE)!);
    return decodeMessage(this.drain());
  }

  start(version: string = p9.VERSION_RUNSC, msize = 65536): this {
    this.say('Tversion', { msize, version }, p9.NOTAG);
    this.say('Tattach', { fid: 0, afid: p9.NOFID, uname: '', aname: '', nUname: p9.NONUNAME });
    return this;
  }

  close(): void {
    for (const fd of this.connection.close()) fs.close(fd);
    this.tree.release();
  }
}
