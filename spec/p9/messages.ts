/**
 * Every 9P2000.L message as data: name, number and fields. Encoder and decoder (codec.ts), the
 * message types and the server's dispatch are all made from this table.
 *
 * Messages from 128 on and the donated-descriptor bit (constants.ts) are our extensions. They are
 * spoken only after both sides agreed on the version `9P2000.L.runsc`:
 *
 * - Twalkgetattr walks like Twalk and returns the attributes of every component it reached (of `fid`
 *   itself when there are no names). When it stops early, `ecode` says why, the attributes say how
 *   far it came, and `newfid` stays unbound. Of a symbolic link that it arrived at, `target` is where it leads
 *   (else empty): who walks to a link nearly always asks that next.
 * - Treaddirplus lists a directory fid that need not be open, with attributes, without "." and "..".
 *   `offset` is 0 or the `next` of the reply before; a `next` of 0 says that the list is complete.
 *   Its data is a sequence of records: attr, type[1], name[s].
 * - Tsetowner: 9P2000.L's creating messages carry a gid, but the uid is that of the attach. Here one
 *   connection serves all users, so the uid of what is created from now on is a message of its own.
 * - Twatch: from now on the host notes (inotify(7)) what happens to the names in a directory fid and to the
 *   directory itself. The first Rwatch brings the descriptor to read that from: its `iounit` has the
 *   donated bit. `wd` is what the events call the directory; a directory watched twice has one.
 *   Refused where the host does not tell of everything (docs/decisions/shared_mounts.md). Tunwatch ends it.
 * - Tlopen with P9_PATH opens nothing: it donates a descriptor of the file that only tells attributes.
 * - Tsetcpu: the processor the client runs on. Client and server alternate strictly, so a server on the
 *   same processor answers several times faster than one that must be woken on another. A hint: a
 *   server may ignore it.
 * - Twalkopen opens the regular file `name` of directory `fid` with the flags of Tlopen and donates its
 *   descriptor. It binds no fid. A server that donates none says EOPNOTSUPP.
 * - Tconnect connects a new host socket of SOCK_* `type` to the one that `fid` is; Tbind makes the socket
 *   `name` in a directory. Both donate the new socket, which does not wait (O_NONBLOCK). Only where the
 *   server was told to (--host-uds).
 * - Tfifo opens the fifo that `fid` is with the access mode of Tlopen's flags, and donates the descriptor, which
 *   does not wait. The fid stays as it is. Only where the server was told to (--host-fifo).
 */

/** Field types: what stands on the wire, and (FieldValues) what it is in TypeScript. */
export type FieldType = keyof FieldValues;

export interface Qid {
  readonly type: number;
  readonly version: number;
  /** Unique per file on the server; below 2^53 from our server. */
  readonly path: number;
}

/** The body of Rgetattr. Times are seconds (signed) and nanoseconds. */
export interface P9Attr {
  readonly valid: number;
  readonly qid: Qid;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atimeSec: number;
  readonly atimeNsec: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  readonly btimeSec: number;
  readonly btimeNsec: number;
  readonly gen: number;
  readonly dataVersion: number;
}

export interface FieldValues {
  u8: number;
  u16: number;
  u32: number;
  /** Exact below 2^53; larger values arrive rounded, so nothing may use them as identity. */
  u64: number;
  i64: number;
  /** A string of at most MAX_TEXT_LENGTH bytes without NUL. All strings are byte strings. */
  text: string;
  /** One path component: 1 to 255 bytes, neither '/' nor NUL. */
  name: string;
  /** An extended attribute's name: at most 255 bytes, may be empty. */
  xattrName: string;
  qid: Qid;
  names: readonly string[];
  qids: readonly Qid[];
  attr: P9Attr;
  /** count[4] and that many bytes: a view of the message, valid until its buffer is reused. */
  data: Uint8Array;
}

export const MESSAGES = {
  Rlerror: [7, { ecode: 'u32' }],
  Tstatfs: [8, { fid: 'u32' }],
  Rstatfs: [
    9,
    {
      type: 'u32',
      bsize: 'u32',
      blocks: 'u64',
      bfree: 'u64',
      bavail: 'u64',
      files: 'u64',
      ffree: 'u64',
      fsid: 'u64',
      namelen: 'u32',
    },
  ],
  Tlopen: [12, { fid: 'u32', flags: 'u32' }],
  Rlopen: [13, { qid: 'qid', iounit: 'u32' }],
  Tlcreate: [14, { fid: 'u32', name: 'name', flags: 'u32', mode: 'u32', gid: 'u32' }],
  Rlcreate: [15, { qid: 'qid', iounit: 'u32' }],
  Tsymlink: [16, { fid: 'u32', name: 'name', target: 'text', gid: 'u32' }],
  Rsymlink: [17, { qid: 'qid' }],
  Tmknod: [18, { dfid: 'u32', name: 'name', mode: 'u32', major: 'u32', minor: 'u32', gid: 'u32' }],
  Rmknod: [19, { qid: 'qid' }],
  Trename: [20, { fid: 'u32', dfid: 'u32', name: 'name' }],
  Rrename: [21, {}],
  Treadlink: [22, { fid: 'u32' }],
  Rreadlink: [23, { target: 'text' }],
  Tgetattr: [24, { fid: 'u32', mask: 'u64' }],
  Rgetattr: [25, { attr: 'attr' }],
  Tsetattr: [
    26,
    {
      fid: 'u32',
      valid: 'u32',
      mode: 'u32',
      uid: 'u32',
      gid: 'u32',
      size: 'u64',
      atimeSec: 'i64',
      atimeNsec: 'u64',
      mtimeSec: 'i64',
      mtimeNsec: 'u64',
    },
  ],
  Rsetattr: [27, {}],
  Txattrwalk: [30, { fid: 'u32', newfid: 'u32', name: 'xattrName' }],
  Rxattrwalk: [31, { size: 'u64' }],
  Txattrcreate: [32, { fid: 'u32', name: 'xattrName', size: 'u64', flags: 'u32' }],
  Rxattrcreate: [33, {}],
  Treaddir: [40, { fid: 'u32', offset: 'u64', count: 'u32' }],
  /** Records of qid[13] offset[8] type[1] name[s]. */
  Rreaddir: [41, { data: 'data' }],
  Tfsync: [50, { fid: 'u32', datasync: 'u32' }],
  Rfsync: [51, {}],
  Tlock: [
    52,
    {
      fid: 'u32',
      type: 'u8',
      flags: 'u32',
      start: 'u64',
      length: 'u64',
      procId: 'u32',
      clientId: 'text',
    },
  ],
  Rlock: [53, { status: 'u8' }],
  Tgetlock: [
    54,
    { fid: 'u32', type: 'u8', start: 'u64', length: 'u64', procId: 'u32', clientId: 'text' },
  ],
  Rgetlock: [55, { type: 'u8', start: 'u64', length: 'u64', procId: 'u32', clientId: 'text' }],
  Tlink: [70, { dfid: 'u32', fid: 'u32', name: 'name' }],
  Rlink: [71, {}],
  Tmkdir: [72, { dfid: 'u32', name: 'name', mode: 'u32', gid: 'u32' }],
  Rmkdir: [73, { qid: 'qid' }],
  Trenameat: [74, { olddirfid: 'u32', oldname: 'name', newdirfid: 'u32', newname: 'name' }],
  Rrenameat: [75, {}],
  Tunlinkat: [76, { dfid: 'u32', name: 'name', flags: 'u32' }],
  Runlinkat: [77, {}],
  Tversion: [100, { msize: 'u32', version: 'text' }],
  Rversion: [101, { msize: 'u32', version: 'text' }],
  Tauth: [102, { afid: 'u32', uname: 'text', aname: 'text', nUname: 'u32' }],
  Rauth: [103, { qid: 'qid' }],
  Tattach: [104, { fid: 'u32', afid: 'u32', uname: 'text', aname: 'text', nUname: 'u32' }],
  Rattach: [105, { qid: 'qid' }],
  Tflush: [108, { oldtag: 'u16' }],
  Rflush: [109, {}],
  Twalk: [110, { fid: 'u32', newfid: 'u32', names: 'names' }],
  Rwalk: [111, { qids: 'qids' }],
  Tread: [116, { fid: 'u32', offset: 'u64', count: 'u32' }],
  Rread: [117, { data: 'data' }],
  Twrite: [118, { fid: 'u32', offset: 'u64', data: 'data' }],
  Rwrite: [119, { count: 'u32' }],
  Tclunk: [120, { fid: 'u32' }],
  Rclunk: [121, {}],
  Tremove: [122, { fid: 'u32' }],
  Rremove: [123, {}],
  Twalkgetattr: [128, { fid: 'u32', newfid: 'u32', names: 'names' }],
  /** Bodies of Rgetattr. */
  Rwalkgetattr: [129, { ecode: 'u32', data: 'data', target: 'text' }],
  Treaddirplus: [130, { fid: 'u32', offset: 'u64', count: 'u32' }],
  Rreaddirplus: [131, { next: 'u64', data: 'data' }],
  Tsetowner: [132, { uid: 'u32' }],
  Rsetowner: [133, {}],
  Tsetcpu: [134, { cpu: 'u32' }],
  Rsetcpu: [135, {}],
  Twalkopen: [136, { fid: 'u32', name: 'name', flags: 'u32' }],
  Rwalkopen: [137, { qid: 'qid', iounit: 'u32' }],
  Tconnect: [138, { fid: 'u32', type: 'u32' }],
  /** Like Rlopen's, its iounit says that a descriptor came. */
  Rconnect: [139, { iounit: 'u32' }],
  Tbind: [140, { dfid: 'u32', name: 'name', type: 'u32', mode: 'u32', gid: 'u32' }],
  Rbind: [141, { iounit: 'u32' }],
  Twatch: [142, { fid: 'u32' }],
  Rwatch: [143, { wd: 'u32', iounit: 'u32' }],
  Tunwatch: [144, { wd: 'u32' }],
  Runwatch: [145, {}],
  Tfifo: [146, { fid: 'u32', access: 'u32' }],
  Rfifo: [147, { iounit: 'u32' }],
} as const satisfies Record<string, readonly [number, Record<string, FieldType>]>;

export type MessageName = keyof typeof MESSAGES;
export type RequestName = Extract<MessageName, `T${string}`>;
export type ReplyName = Extract<MessageName, `R${string}`>;
/** The reply that answers a request when it does not fail. */
export type ReplyTo<N extends RequestName> = N extends `T${infer S}`
  ? Extract<MessageName, `R${S}`>
  : never;

/** The fields of one message. */
export type Fields<N extends MessageName> = {
  -readonly [K in keyof (typeof MESSAGES)[N][1]]: (typeof MESSAGES)[N][1][K] extends FieldType
    ? FieldValues[(typeof MESSAGES)[N][1][K]]
    : never;
};
