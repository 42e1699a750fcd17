/**
 * The Sentry's gofer file system against a server that lies. The input decides what each request is
 * answered with: the right message with strange values, an error, a wrong tag or type, bytes changed,
 * descriptors of strange files, or the end of the connection.
 */
import * as nodeFs from 'node:fs';
import * as native from '../../../native/fs.ts';
import { recv, sendWithFds, shutdown, socketpair } from '../../../native/socket.ts';
import { TimerQueue } from '../../../sentry/base/timer_queue.ts';
import { Channel } from '../../../sentry/fsimpl/gofer/channel.ts';
import { GoferFileSystem } from '../../../sentry/fsimpl/gofer/gofer_file_system.ts';
import { IoBuffer } from '../../../sentry/mm/io_buffer.ts';
import type { FsCaller } from '../../../sentry/vfs/caller.ts';
import { Dentry } from '../../../sentry/vfs/dentry.ts';
import type { HostFifos } from '../../../sentry/vfs/host_fifo.ts';
import type { Inode } from '../../../sentry/vfs/inode.ts';
import { MountNamespace } from '../../../sentry/vfs/mount.ts';
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
} from '../../../spec/linux/fcntl.ts';
import {
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SHUT_WR,
  SOCK_CLOEXEC,
  SOCK_STREAM,
} from '../../../spec/linux/socket.ts';
import { decodeMessage, encodeToBytes, type Message } from '../../../spec/p9/codec.ts';
import * as p9 from '../../../spec/p9/constants.ts';
import { encodeDirent, encodeDirentPlus } from '../../../spec/p9/dirent.ts';
import { ATTR_SIZE, Encoder } from '../../../spec/p9/encoder.ts';
import type { Fields, MessageName, P9Attr, Qid } from '../../../spec/p9/messages.ts';
import { Choices, must, type Target } from '../target.ts';

const MAX_REPLY = 65536;
const NAMES = ['a', 'b', 'c', '.', '..', 'x'.repeat(255), '\xff', 'a b'];
const NUMBERS = [0, 1, 2, 5, 4096, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 53 - 1, -1];
const MODES = [
  0o100644,
  0o40755,
  0o120777,
  0o10644,
  0o140644,
  0o20666,
  0o60666,
  0,
  0xffff,
  2 ** 32 - 1,
];
const EVENTS = [0x2, 0x4, 0x40, 0x80, 0x100, 0x40000200, 0x400, 0x800, 0x2000, 0x4000, 0x8000];
const HOW = { mode: 0o644, uid: 1, gid: 1 };
const clock = { monotonicNs: () => performance.now() * 1e6, realtime: () => ({ sec: 1, nsec: 0 }) };
let turns = 0;
const kernel = {
  clock,
  timers: new TimerQueue(),
  get turn() {
    return ++turns;
  },
};
const caller = { fileSizeLimit: Infinity, raise: () => undefined } as unknown as FsCaller;

interface Answer {
  readonly bytes: Uint8Array;
  readonly fds: number[];
  /** Nothing may come after it. */
  readonly last: boolean;
}

/** The server: makes a reply for each request out of the input. */
class Liar {
  private readonly choices: Choices;
  private readonly strange: readonly number[];
  /** Descriptors that events may come from. */
  private readonly events: readonly number[];
  private extended = true;

  constructor(choices: Choices, strange: readonly number[], events: number) {
    this.choices = choices;
    this.strange = strange;
    this.events = [events];
  }

  /** What happened, some of it as inotify says it. */
  happenings(): Uint8Array {
    const { choices } = this;
    const words: number[] = [];
    for (let n = choices.u8() % 8; n > 0; n--) {
      const length = choices.pick([0, 0, 16, 32, 5, 2 ** 32 - 1]);
      const wd = choices.pick([0, 1, 2, 3, 2 ** 32 - 1]);
      const name = length > 64 ? [] : new Array<number>(length >> 2).fill(0x61616161);
      words.push(wd, choices.pick(EVENTS), 0, length, ...name);
    }
    const bytes = new Uint8Array(Uint32Array.from(words).buffer);
    return choices.u8() < 200 ? bytes : bytes.subarray(0, choices.u8());
  }

  private number(): number {
    return this.choices.pick(NUMBERS);
  }

  private qid(): Qid {
    const path = this.choices.u8() < 240 ? this.choices.u8() % 8 : Math.abs(this.number());
    return { type: this.choices.pick([0, 0x80, 2, 0xff]), version: 0, path };
  }

  private attr(): P9Attr {
    const [a, b, c] = [this.number(), this.number(), this.number()];
    const times = { atimeSec: a, mtimeSec: b, ctimeSec: c, btimeSec: a };
    return {
      ...{ valid: 0x3fff, qid: this.qid(), mode: this.choices.pick(MODES), uid: 0, gid: 0 },
      ...{ nlink: Math.abs(b), rdev: Math.abs(a), size: Math.abs(c), blksize: Math.abs(a) },
      ...{ blocks: Math.abs(b), ...times, atimeNsec: 5, mtimeNsec: Math.abs(c), ctimeNsec: 0 },
      ...{ btimeNsec: 0, gen: 0, dataVersion: 0 },
    };
  }

  private listing(plus: boolean): Uint8Array {
    const e = new Encoder(new Uint8Array(8192));
    for (let n = this.choices.u8() % 5; n > 0; n--) {
      const name = this.choices.pick(NAMES);
      const type = this.choices.u8();
      if (plus) encodeDirentPlus(e, { attr: this.attr(), type, name });
      else encodeDirent(e, { qid: this.qid(), offset: Math.abs(this.number()), type, name });
    }
    return e.bytes.subarray(0, e.pos);
  }

  private iounit(): number {
    return this.choices.u8() < 128 ? p9.IOUNIT_FD_DONATED : 4096;
  }

  /** What answers `request` when the server keeps to the types. */
  private fields(request: Message): [MessageName, object] {
    const { choices } = this;
    const count = (n: number): number => Math.min(n, 4096) + (choices.u8() > 240 ? 1 : 0);
    switch (request.name) {
      case 'Tversion': {
        this.extended = choices.u8() < 200;
        const version = this.extended ? p9.VERSION_RUNSC : p9.VERSION_9P2000_L;
        return ['Rversion', { msize: choices.pick([65536, 4096, 2 ** 20, 65536]), version }];
      }
      case 'Twalk': {
        const { length } = request.fields.names;
        const n = choices.u8() < 220 ? length : choices.u8() % 16;
        return ['Rwalk', { qids: Array.from({ length: n }, () => this.qid()) }];
      }
      case 'Twalkgetattr': {
        const whole = Math.max(request.fields.names.length, 1);
        const n = choices.u8() < 220 ? whole : choices.u8() % 16;
        const ecode = n < whole ? choices.u16() : choices.u8() > 240 ? 2 : 0;
        const e = new Encoder(new Uint8Array(16 * ATTR_SIZE));
        for (let i = 0; i < n; i++) e.attr(this.attr());
        const cut = choices.u8() > 240 ? 1 : 0;
        const data = e.bytes.subarray(0, Math.max(0, e.pos - cut));
        const target = choices.pick(['', '', 'f', '/', '../..']);
        return ['Rwalkgetattr', { ecode, data, target }];
      }
      case 'Tread': {
        const data = new Uint8Array(count(choices.u16()));
        return ['Rread', { data: data.map(() => choices.u8()) }];
      }
      case 'Treaddir':
        return ['Rreaddir', { data: choices.ended ? new Uint8Array() : this.listing(false) }];
      case 'Treaddirplus':
        return [
          'Rreaddirplus',
          { next: choices.pick([0, 0, 0, 1, 2, 2 ** 52]), data: this.listing(true) },
        ];
      case 'Tgetattr':
        return ['Rgetattr', { attr: this.attr() }];
      case 'Tlopen':
      case 'Twalkopen':
      case 'Tlcreate':
        return [
          `R${request.name.slice(1)}` as MessageName,
          { qid: this.qid(), iounit: this.iounit() },
        ];
      case 'Twatch': {
        const wd = choices.u8() < 200 ? choices.u8() % 4 : Math.abs(this.number()) % 2 ** 32;
        return ['Rwatch', { wd, iounit: this.iounit() }];
      }
      default:
        return [`R${request.name.slice(1)}` as MessageName, this.plain()];
    }
  }

  /** Values for every field that the other replies have. */
  private plain(): object {
    const n = Math.abs(this.number());
    const numbers = {
      size: n,
      count: n,
      status: n & 3,
      type: n & 7,
      start: n,
      length: n,
      procId: 1,
    };
    const sizes = { bsize: 4096, blocks: n, bfree: n, bavail: n, files: n, ffree: n, fsid: 0 };
    const target = this.choices.pick(['a', '', '/', '..', 'x'.repeat(4096)]);
    return { ...numbers, ...sizes, namelen: n % 2 ** 32, qid: this.qid(), target, clientId: '' };
  }

  /** The bytes and descriptors that answer, or null: it hangs up. */
  answer(request: Message): Answer | null {
    const { choices } = this;
    const kind = choices.u8();
    if (choices.ended && kind === 0 && request.name !== 'Tversion') return null;
    const tag = kind === 255 ? choices.u16() : request.tag;
    const [name, fields] = this.fields(request);
    const error = kind > 220 && kind < 240;
    const ecode = choices.pick([2, 24, 13, 22, 5000, 0, 2 ** 32 - 1]);
    const bytes = error
      ? encodeToBytes('Rlerror', tag, { ecode }, 64)
      : encodeToBytes(name, tag, fields as Fields<never>, MAX_REPLY);
    if (bytes === null) return null;
    if (kind >= 240 && kind < 250) bytes[choices.u16() % bytes.length] = choices.u8();
    if (kind === 254) return { bytes: choices.bytes(choices.u8()), fds: [], last: true };
    const donates = 'iounit' in fields && fields.iounit === p9.IOUNIT_FD_DONATED;
    const many = choices.u8() > 250 ? 3 : 0;
    const wanted = donates && choices.u8() < 230 ? 1 + many : many;
    const from = request.name === 'Twatch' && choices.u8() < 200 ? this.events : this.strange;
    const fds = Array.from({ length: wanted }, () => choices.pick(from));
    return { bytes, fds, last: kind >= 240 };
  }
}

/** The server of the run in progress. */
let server: { readonly fd: number; readonly liar: Liar } | null = null;
const flush = Channel.prototype.flush;
const dropped = new Uint8Array(65536);

/** Whatever is about to be sent is answered first: client and server are one thread. */
Channel.prototype.flush = function (this: Channel): void {
  this.tellsCpu = false;
  const { out } = this as unknown as { out: Encoder };
  for (let at = 0; server !== null && at < out.pos; ) {
    const size = new DataView(out.bytes.buffer, out.bytes.byteOffset + at).getUint32(0, true);
    const request = decodeMessage(out.bytes.slice(at, at + size));
    must(request !== null, 'the client sent what is no message');
    at += size;
    const answer = server.liar.answer(request!);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = answer === null ? -1 : sendWithFds(server.fd, answer.bytes, answer.fds, flags);
    // Whoever waits for the rest of something broken must not wait for ever.
    if (sent < 0 || answer?.last) shutdown(server.fd, SHUT_WR);
  }
  flush.call(this);
  while (server !== null && recv(server.fd, dropped, MSG_DONTWAIT) > 0);
};

/** None of the server's descriptors is a fifo that does not wait. */
const HOST_FIFOS: HostFifos = {
  open(source, _path, flags) {
    const fd = source.openHostFifo(flags);
    must(fd < 0, `the server's descriptor ${fd} was taken for a fifo`);
    return fd;
  },
};

/** Does to the tree what a container would, as far as it lasts. */
class Visitor {
  private readonly fs: GoferFileSystem;
  private readonly mounts: MountNamespace;
  private steps = 0;

  constructor(fs: GoferFileSystem) {
    this.fs = fs;
    this.mounts = new MountNamespace(fs, 'x', 0);
  }

  visit(inode: Inode, depth: number): void {
    if (this.steps++ > 40) return;
    inode.getattr();
    inode.listxattr();
    inode.getxattr('user.a');
    inode.setxattr('user.a', Uint8Array.of(1, 2, 3), 0);
    inode.setattr({ mode: 0o600, size: 10 });
    inode.readlink();
    inode.connectSocket(SOCK_STREAM);
    this.fifo(inode);
    if (inode.isDirectory) this.directory(inode, depth);
    else if (inode.isRegular) this.file(inode);
    inode.forget();
  }

  private directory(inode: Inode, depth: number): void {
    const entries = inode.readdir();
    const names = typeof entries === 'number' ? ['a'] : entries.slice(0, 4).map((e) => e.name);
    const found: Inode[] = [];
    for (const name of [...names, 'b']) {
      const child = inode.lookup(name);
      if (typeof child === 'number') continue;
      this.fs.revalidate(inode, name, child);
      found.push(child);
      if (depth < 3) this.visit(child, depth + 1);
    }
    inode.create('new', HOW);
    inode.mkdir('dir', HOW);
    inode.symlink('link', 'target', HOW);
    inode.mknod('fifo', 0o10000, HOW, 0, 0);
    inode.bindSocket('socket', SOCK_STREAM, HOW);
    const [first] = found;
    if (first === undefined) return;
    inode.link('hard', first);
    inode.rename('a', first, inode, 'z', found[1] ?? null, 0);
    inode.unlink('z', first);
    inode.rmdir('b', first);
  }

  private fifo(inode: Inode): void {
    const dentry = new Dentry(this.mounts.root.root, 'name', inode);
    for (const flags of [O_RDONLY, O_RDWR]) {
      inode.openSpecial(caller, { mount: this.mounts.root, dentry }, flags);
    }
  }

  private file(inode: Inode): void {
    const dentry = new Dentry(this.mounts.root.root, 'name', inode);
    for (const flags of [0, O_RDWR]) {
      const file = inode.open(caller, { mount: this.mounts.root, dentry }, flags);
      if (typeof file === 'number') continue;
      file.pread(caller, IoBuffer.over(new Uint8Array(100)), 0);
      if (flags !== 0) file.pwrite(caller, IoBuffer.over(new Uint8Array(10)), 0);
      file.seek(-1, 2);
      file.close();
    }
  }
}

export class P9Client implements Target {
  readonly name = 'p9_client';
  readonly tokens = [];
  private readonly strange = [
    nodeFs.openSync('/dev/null', 'r+'),
    nodeFs.openSync('/', O_DIRECTORY),
    nodeFs.openSync(import.meta.filename, 'r'),
    native.memfdCreate('x', 0),
    native.memfdCreate('y', 0),
    native.open(import.meta.filename, O_PATH),
  ];

  seeds(): Uint8Array[] {
    const seeds: Uint8Array[] = [];
    for (let seed = 0; seed < 16; seed++) {
      seeds.push(
        Uint8Array.from({ length: 1200 }, (_, i) => (i * (seed * 2 + 1) * 7 + seed) % 200),
      );
    }
    return seeds;
  }

  run(input: Uint8Array): void {
    const pair = socketpair(SOCK_STREAM | SOCK_CLOEXEC);
    if (typeof pair === 'number') throw new Error(`socketpair: ${pair}`);
    const choices = new Choices(input);
    const exclusive = choices.u8() % 2 === 0;
    const events = native.pipe2(O_NONBLOCK | O_CLOEXEC);
    if (typeof events === 'number') throw new Error(`pipe: ${events}`);
    const liar = new Liar(choices, this.strange, events[0]);
    native.write(events[1], liar.happenings());
    server = { fd: pair[1], liar };
    const refuse = (fd: number): never => {
      throw new Error(`the server's descriptor ${fd} was taken for a socket that does not wait`);
    };
    const hostSockets = { connects: true, binds: true, open: refuse };
    const options = { kernel, devMinor: 9, exclusive, hostSockets, hostFifos: HOST_FIFOS };
    const tree = GoferFileSystem.connect(pair[0], options);
    if (typeof tree !== 'number') {
      new Visitor(tree).visit(tree.root, 0);
      tree.destroy();
    }
    for (const fd of [pair[1], ...events]) native.close(fd);
    server = null;
  }

  check(): void {
    must(nodeFs.fstatSync(this.strange[2]!).isFile(), 'a descriptor of ours was closed');
  }

  close(): void {
    for (const fd of this.strange) native.close(fd);
  }
}
