/**
 * The sockets a gofer serves, and the one place where it sleeps: a poll(2) loop over all of them.
 * No client can hold up another: sends never wait, and a client that does not read its replies is
 * not read either (Connection bounds what is queued).
 */
import * as fs from '../native/fs.ts';
import { schedSetaffinity } from '../native/process.ts';
import * as socket from '../native/socket.ts';
import type { HostFifo, HostUds } from '../spec/control/boot.ts';
import { EAGAIN, EINTR } from '../spec/linux/errno.ts';
import { F_DUPFD_CLOEXEC } from '../spec/linux/fcntl.ts';
import { POLLIN, POLLOUT } from '../spec/linux/poll.ts';
import { MSG_DONTWAIT, MSG_NOSIGNAL } from '../spec/linux/socket.ts';
import { LocalTree } from './localfs/local_tree.ts';
import { Connection } from './server/connection.ts';

const MAX_CPUS = 8192;
const REST_MS = 1000;
const FOREVER = -1;
/** What a request is the work of, in system calls of applications. */
const WORK_OF_STEP = 5;

export interface AttachmentOptions {
  /** An O_PATH descriptor of the tree's root (a directory, or one file); taken over. */
  readonly rootFd: number;
  /** A connected stream socket; taken over. */
  readonly socketFd: number;
  readonly readonly: boolean;
  readonly maxFids: number;
  readonly hostUds: HostUds;
  readonly hostFifo: HostFifo;
  /** The mount namespace is our own: true when absent. */
  readonly ownMounts?: boolean;
}

interface Attachment {
  readonly poll: socket.PollFd & { events: number };
  readonly tree: LocalTree;
  readonly connection: Connection;
  over: boolean;
}

export class Attachments {
  private list: Attachment[] = [];
  private polls: Attachment['poll'][] = [];

  get count(): number {
    return this.list.length;
  }

  /** Serves one more tree on one more socket: 0 or -errno (then the descriptors are closed). */
  add(o: AttachmentOptions): number {
    const { rootFd, socketFd, readonly, maxFids, hostUds, hostFifo, ownMounts } = o;
    const tree = LocalTree.serving(rootFd, ownMounts);
    if (typeof tree === 'number') {
      fs.close(socketFd);
      return tree;
    }
    const dup = (fd: number): number => fs.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const allowed = { readonly, maxFids, hostUds, hostFifo };
    const connection = new Connection({ backend: tree, ...allowed, dup, place: moveTo });
    const poll = { fd: socketFd, events: POLLIN, revents: 0 };
    this.list.push({ poll, tree, connection, over: false });
    this.polls.push(poll);
    return 0;
  }

  /**
   * Serves until every client is gone. `atRest` is called when nothing has come for a second, `atWork`
   * with the work done so far: it says when to call it again.
   */
  run(
    atRest: () => void = () => undefined,
    atWork: (done: number) => number = () => Number.POSITIVE_INFINITY,
  ): void {
    let rests = false;
    let workDue = 0;
    for (let work = 0; this.list.length > 0; work += WORK_OF_STEP) {
      if (work === workDue) workDue = atWork(work);
      const arrived = this.step(rests ? FOREVER : REST_MS);
      if (!arrived && !rests) atRest();
      rests = !arrived;
    }
  }

  /** Waits for at most `timeoutMs` and handles what arrived; false if nothing did. */
  step(timeoutMs: number): boolean {
    const { list, polls } = this;
    for (const { poll, connection } of list) {
      const input = connection.takesInput ? POLLIN : 0;
      poll.events = input | (connection.hasOutput ? POLLOUT : 0);
    }
    if (socket.poll(polls, timeoutMs) <= 0) return false;
    let gone = false;
    for (const a of list) {
      if (a.poll.revents === 0) continue;
      a.over = !transfer(a);
      gone ||= a.over;
    }
    if (gone) this.dismiss();
    return true;
  }

  /** Lets those go whose session is over. */
  private dismiss(): void {
    for (const a of this.list) if (a.over) close(a);
    this.list = this.list.filter((a) => !a.over);
    this.polls = this.list.map((a) => a.poll);
  }
}

/** Runs on processor `cpu` from now on, where that is allowed. */
function moveTo(cpu: number): void {
  if (cpu >= MAX_CPUS) return;
  const mask = new Uint32Array(MAX_CPUS / 32);
  mask[cpu >> 5] = 1 << (cpu & 31);
  schedSetaffinity(0, mask);
}

/** Reads, handles and answers what one socket is ready for. False when the session is over. */
function transfer({ poll, connection }: Attachment): boolean {
  if (connection.takesInput) {
    const n = socket.recv(poll.fd, connection.space, MSG_DONTWAIT);
    if (n === 0 || (n < 0 && n !== -EAGAIN && n !== -EINTR)) return false;
    if (n > 0) connection.received(n);
  }
  for (;;) {
    const output = connection.output;
    if (output === null) break;
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const { bytes, fd } = output;
    const n =
      fd < 0 ? socket.send(poll.fd, bytes, flags) : socket.sendWithFds(poll.fd, bytes, [fd], flags);
    if (n === -EAGAIN || n === -EINTR) break;
    if (n < 0) return false;
    const done = connection.sent(n);
    if (done >= 0) fs.close(done);
  }
  // A client that broke the framing still gets the answers to what it said before.
  return !connection.broken;
}

function close({ poll, tree, connection }: Attachment): void {
  for (const fd of connection.close()) fs.close(fd);
  tree.release();
  fs.close(poll.fd);
}
