/**
 * The gofer's 9P server on a real tree. An input is a sequence of records: a length and flags, the body
 * of a message. The size in front of each message is made right unless a flag says otherwise, or no
 * change of a length would get any further than the framing.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeToBytes } from '../../../spec/p9/codec.ts';
import * as p9 from '../../../spec/p9/constants.ts';
import type { Fields, MessageName } from '../../../spec/p9/messages.ts';
import { P9Session } from '../../harness/p9_session.ts';
import { must, type Target } from '../target.ts';

const LENGTH = 0x0fff;
const RAW = 0x8000;
const MAX_RECORDS = 64;
const MAX_ENTRIES = 200;
const TIMES = { atimeSec: 1, atimeNsec: 1, mtimeSec: -1, mtimeNsec: 999999999 };
const LOCK = { fid: 2, start: 0, length: 10, procId: 1, clientId: 'x' };

function record<N extends MessageName>(name: N, fields: Fields<N>): Uint8Array {
  const body = encodeToBytes(name, 1, fields, 4096)!.subarray(4);
  return Buffer.concat([Uint8Array.of(body.length & 0xff, body.length >> 8), body]);
}

const WALK = record('Twalk', { fid: 0, newfid: 2, names: ['d', 'f'] });
const CLONE = record('Twalk', { fid: 0, newfid: 1, names: [] });
const SEEDS: readonly Uint8Array[][] = [
  [WALK, record('Tlopen', { fid: 2, flags: 2 }), record('Tread', { fid: 2, offset: 0, count: 9 })],
  [
    WALK,
    record('Tlopen', { fid: 2, flags: 0o1002 }),
    record('Twrite', { fid: 2, offset: 1, data: Uint8Array.of(1, 2) }),
  ],
  [WALK, record('Tgetattr', { fid: 2, mask: 0x7ff }), record('Tstatfs', { fid: 2 })],
  [
    WALK,
    record('Tsetattr', { fid: 2, valid: 0x1ff, mode: 0o644, uid: 1, gid: 1, size: 3, ...TIMES }),
  ],
  [CLONE, record('Tlcreate', { fid: 1, name: 'n', flags: 2, mode: 0o644, gid: 0 })],
  [
    record('Tmkdir', { dfid: 0, name: 'x', mode: 0o755, gid: 1 }),
    record('Tunlinkat', { dfid: 0, name: 'x', flags: 0x200 }),
  ],
  [record('Tmknod', { dfid: 0, name: 'x', mode: 0o10644, major: 1, minor: 3, gid: 0 })],
  [
    record('Tsymlink', { fid: 0, name: 'l', target: '../outside', gid: 0 }),
    record('Twalk', { fid: 0, newfid: 1, names: ['l'] }),
    record('Treadlink', { fid: 1 }),
  ],
  [
    WALK,
    record('Tlink', { dfid: 0, fid: 2, name: 'h' }),
    record('Trename', { fid: 2, dfid: 0, name: 'g' }),
  ],
  [record('Trenameat', { olddirfid: 0, oldname: 'd', newdirfid: 0, newname: 'e' })],
  [WALK, record('Tremove', { fid: 2 })],
  [
    CLONE,
    record('Tlopen', { fid: 1, flags: 0 }),
    record('Treaddir', { fid: 1, offset: 0, count: 8192 }),
  ],
  [
    record('Treaddirplus', { fid: 0, offset: 0, count: 8192 }),
    record('Twalkgetattr', { fid: 0, newfid: 3, names: ['d', 'f'] }),
    record('Twalkopen', { fid: 0, name: 'f', flags: 0 }),
  ],
  [
    WALK,
    record('Txattrwalk', { fid: 2, newfid: 3, name: '' }),
    record('Tread', { fid: 3, offset: 0, count: 99 }),
  ],
  [
    WALK,
    record('Txattrcreate', { fid: 2, name: 'user.a', size: 2, flags: 0 }),
    record('Twrite', { fid: 2, offset: 0, data: Uint8Array.of(1, 2) }),
    record('Tclunk', { fid: 2 }),
  ],
  [
    WALK,
    record('Tlopen', { fid: 2, flags: 2 }),
    record('Tlock', { ...LOCK, type: 1, flags: 0 }),
    record('Tgetlock', { ...LOCK, type: 1 }),
    record('Tfsync', { fid: 2, datasync: 1 }),
  ],
  [
    record('Tsetowner', { uid: 1 }),
    record('Twatch', { fid: 0 }),
    record('Tunwatch', { wd: 1 }),
    record('Tlopen', { fid: 0, flags: p9.P9_PATH }),
    record('Tflush', { oldtag: 5 }),
    record('Tauth', { afid: 9, uname: 'a', aname: 'b', nUname: 1 }),
  ],
  [
    record('Tversion', { msize: 8192, version: p9.VERSION_9P2000_L }),
    record('Tattach', { fid: 0, afid: p9.NOFID, uname: '', aname: '', nUname: 0 }),
  ],
];

export class P9Server implements Target {
  readonly name = 'p9_server';
  readonly tokens = ['..', '.', 'd', 'f', 'l', 'user.a', 'outside', '\0\0\0\0', '\xff\xff\xff\xff'];
  private readonly base = fs.mkdtempSync(join(tmpdir(), 'runsc-fuzz-'));
  private readonly tree = join(this.base, 'tree');

  constructor() {
    fs.writeFileSync(join(this.base, 'outside'), 'untouched');
    this.makeTree();
  }

  private makeTree(): void {
    fs.rmSync(this.tree, { recursive: true, force: true });
    fs.mkdirSync(join(this.tree, 'd/e'), { recursive: true });
    fs.writeFileSync(join(this.tree, 'd/f'), 'text');
    fs.symlinkSync('/', join(this.tree, 'd/l'));
  }

  seeds(): Uint8Array[] {
    return SEEDS.map((records) => Uint8Array.from(Buffer.concat(records)));
  }

  run(input: Uint8Array): void {
    const session = new P9Session(this.tree).start();
    let at = 0;
    for (let n = 0; n < MAX_RECORDS && at + 2 < input.length; n++) {
      const flags = input[at]! + input[at + 1]! * 256;
      const body = input.subarray(at + 2, at + 2 + (flags & LENGTH));
      at += 2 + body.length;
      if ((flags & RAW) === 0) session.feed(size(body.length + 4));
      session.feed(body);
      session.drain();
    }
    session.close();
  }

  check(): void {
    must(fs.readFileSync(join(this.base, 'outside'), 'latin1') === 'untouched', 'outside changed');
    must(fs.readdirSync(this.base).sort().join(' ') === 'outside tree', 'something new outside');
    must(fs.lstatSync(join(this.base, 'outside')).nlink === 1, 'outside was linked');
    const entries = this.entries(Buffer.from(this.tree));
    if (entries > MAX_ENTRIES || !fs.existsSync(join(this.tree, 'd/f'))) this.makeTree();
  }

  /** How many files there are below `path`; none of them is a device. */
  private entries(path: Buffer): number {
    let count = 0;
    for (const name of fs.readdirSync(path, { encoding: 'buffer' })) {
      const file = Buffer.concat([path, Buffer.from('/'), name]);
      const s = fs.lstatSync(file);
      must(!s.isCharacterDevice() && !s.isBlockDevice(), 'a device was made');
      count += 1 + (s.isDirectory() ? this.entries(file) : 0);
    }
    return count;
  }

  close(): void {
    fs.rmSync(this.base, { recursive: true, force: true });
  }
}

function size(length: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, length, true);
  return bytes;
}
