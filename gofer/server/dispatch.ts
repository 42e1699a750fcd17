/**
 * What each request does: the table from message to handler. A handler checks fids, names and the
 * read-only flag, then delegates to the backend; it answers with the reply's fields or -errno.
 */
import { EINVAL, EOPNOTSUPP, EROFS } from '../../spec/linux/errno.ts';
import { type Fields, MESSAGES, type ReplyTo, type RequestName } from '../../spec/p9/messages.ts';
import type { Connection } from './connection.ts';
import * as directory from './directory_requests.ts';
import * as fifo from './fifo_requests.ts';
import * as file from './file_requests.ts';
import * as session from './session_requests.ts';
import * as socket from './socket_requests.ts';
import * as watch from './watch_requests.ts';
import * as xattr from './xattr_requests.ts';

export type Handler<N extends RequestName> = (
  c: Connection,
  fields: Fields<N>,
) => Fields<ReplyTo<N>> | number;

/** The fields of any reply. */
export type Reply = object;

const EXTENSIONS_FROM = MESSAGES.Twalkgetattr[0];

/** Requests have even numbers, and their replies the next. */
export function isRequest(number: number): boolean {
  return number % 2 === 0;
}

export function isExtension(number: number): boolean {
  return number >= EXTENSIONS_FROM;
}

type Handlers = { readonly [N in Exclude<RequestName, 'Tversion'>]: Handler<N> };

const HANDLERS: Handlers = {
  Tauth: () => -EOPNOTSUPP,
  Tattach: session.attach,
  Tflush: () => ({}),
  Twalk: session.walk,
  Twalkgetattr: session.walkGetattr,
  Tclunk: session.clunk,
  Tremove: session.remove,
  Tsetowner: session.setOwner,
  Tsetcpu: session.setCpu,
  Twalkopen: file.walkOpen,
  Twatch: watch.add,
  Tunwatch: watch.remove,
  Tgetattr: file.getattr,
  Tsetattr: file.setattr,
  Tlopen: file.open,
  Tread: file.read,
  Twrite: file.write,
  Tfsync: file.fsync,
  Tlock: file.lock,
  Tgetlock: file.getLock,
  Treadlink: file.readlink,
  Tstatfs: file.statfs,
  Tlcreate: directory.create,
  Tmkdir: directory.mkdir,
  Tmknod: directory.mknod,
  Tsymlink: directory.symlink,
  Tlink: directory.link,
  Trename: directory.rename,
  Trenameat: directory.renameat,
  Tunlinkat: directory.unlinkat,
  Treaddir: directory.readdir,
  Treaddirplus: directory.readdirPlus,
  Tconnect: socket.connect,
  Tbind: socket.bind,
  Tfifo: fifo.open,
  Txattrwalk: xattr.walk,
  Txattrcreate: xattr.create,
};

/** Requests that change the tree whatever their fields say. */
const MUTATIONS: ReadonlySet<RequestName> = new Set<RequestName>([
  'Tremove',
  'Tsetattr',
  'Twrite',
  'Tlcreate',
  'Tmkdir',
  'Tmknod',
  'Tsymlink',
  'Tlink',
  'Trename',
  'Trenameat',
  'Tunlinkat',
  'Txattrcreate',
  'Tbind',
]);

/** Answers one request: the reply's fields, or -errno. */
export function serve<N extends RequestName>(
  c: Connection,
  name: N,
  fields: Fields<N>,
): Reply | number {
  if (c.readonly && MUTATIONS.has(name)) {
    // remove(5) clunks its fid even when it fails.
    if (name === 'Tremove') c.fids.take((fields as Fields<'Tremove'>).fid)?.release();
    return -EROFS;
  }
  const handler = (HANDLERS as Record<string, Handler<N> | undefined>)[name];
  return handler === undefined ? -EINVAL : handler(c, fields);
}
