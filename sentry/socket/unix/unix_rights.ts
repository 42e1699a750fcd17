/**
 * Descriptors in flight: SCM_RIGHTS that were sent and not yet received (unix(7)).
 *
 * Linux bounds them per user by RLIMIT_NOFILE and so do we; the count is kept per container.
 *
 * A socket that is only referred to by messages waiting at sockets of which the same is true can never
 * be received again: `collectLostSockets` finds such circles (Linux's net/unix/garbage.c).
 * Deviation: what waits at a connection that is not accepted yet counts as reachable.
 */
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from '../../../spec/linux/capability.ts';
import { ETOOMANYREFS } from '../../../spec/linux/errno.ts';
import { RLIMIT_NOFILE } from '../../../spec/linux/resource.ts';
import type { Container } from '../../kernel/container.ts';
import type { Task } from '../../kernel/task.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import { Socket } from '../socket.ts';

/** By real user id. */
const counts = new WeakMap<Container, Map<number, number>>();

/** A socket at which messages wait. */
export interface RightsHolder {
  /** Drops all messages that wait. */
  dropReceived(): void;
}

function isHolder(file: OpenFile): file is Socket & RightsHolder {
  return file instanceof Socket && file.passesRights;
}

/** Rights under way that include sockets. */
const carryingSockets = new Set<Rights>();
/** Collecting costs as much as there is under way, so it waits for as many occasions. */
const SMALL = 64;
let occasions = 0;

/** A message's descriptors while they travel. */
export class Rights {
  readonly files: readonly OpenFile[];
  /** Where they wait. */
  readonly holder: RightsHolder;
  private readonly container: Container;
  private readonly uid: number;

  private constructor(
    files: readonly OpenFile[],
    holder: RightsHolder,
    container: Container,
    uid: number,
  ) {
    this.files = files;
    this.holder = holder;
    this.container = container;
    this.uid = uid;
  }

  /** Takes over the references; -ETOOMANYREFS leaves them with the caller. */
  static send(t: Task, files: readonly OpenFile[], holder: RightsHolder): Rights | number {
    const { uid } = t.creds;
    const inFlight = countOf(t.container, uid);
    const privileged = t.creds.has(CAP_SYS_RESOURCE) || t.creds.has(CAP_SYS_ADMIN);
    if (inFlight > t.group.limits.soft(RLIMIT_NOFILE) && !privileged) return -ETOOMANYREFS;
    addCount(t.container, uid, files.length);
    const rights = new Rights(files, holder, t.container, uid);
    if (files.some(isHolder)) carryingSockets.add(rights);
    return rights;
  }

  /** They arrive: the references are the caller's. */
  receive(): OpenFile[] {
    carryingSockets.delete(this);
    addCount(this.container, this.uid, -this.files.length);
    return [...this.files];
  }

  /** More references for somebody who only looks (MSG_PEEK). */
  duplicate(): OpenFile[] {
    return this.files.map((file) => file.acquire());
  }

  /** Nobody will receive them. */
  discard(): void {
    discarded.push(...this.receive());
    if (discarding) return;
    discarding = true;
    for (let file = discarded.pop(); file !== undefined; file = discarded.pop()) file.close();
    discarding = false;
  }
}

/** Sockets in messages of sockets in messages are closed one after the other, not recursively. */
const discarded: OpenFile[] = [];
let discarding = false;

function countOf(container: Container, uid: number): number {
  return counts.get(container)?.get(uid) ?? 0;
}

function addCount(container: Container, uid: number, n: number): void {
  let users = counts.get(container);
  if (users === undefined) {
    users = new Map();
    counts.set(container, users);
  }
  users.set(uid, (users.get(uid) ?? 0) + n);
}

/** Closes sockets that nobody can reach any more. Called whenever a unix socket ends. */
export function collectLostSockets(): void {
  if (carryingSockets.size === 0) return;
  occasions++;
  if (carryingSockets.size > SMALL && occasions < carryingSockets.size) return;
  occasions = 0;
  const lost = [...findLost()];
  // Held meanwhile, so that none ends before its turn.
  for (const socket of lost) socket.acquire();
  for (const socket of lost) socket.dropReceived();
  for (const socket of lost) socket.close();
}

function findLost(): Set<Socket & RightsHolder> {
  const underWay = new Map<Socket & RightsHolder, number>();
  const waitingAt = new Map<RightsHolder, (Socket & RightsHolder)[]>();
  for (const { files, holder } of carryingSockets) {
    const sockets = files.filter(isHolder);
    for (const socket of sockets) underWay.set(socket, (underWay.get(socket) ?? 0) + 1);
    const there = waitingAt.get(holder);
    if (there === undefined) waitingAt.set(holder, sockets);
    else there.push(...sockets);
  }
  const lost = new Set<Socket & RightsHolder>();
  for (const [socket, count] of underWay) if (socket.references === count) lost.add(socket);
  const reachable: RightsHolder[] = [];
  for (const holder of waitingAt.keys()) {
    if (!lost.has(holder as Socket & RightsHolder)) reachable.push(holder);
  }
  for (let holder = reachable.pop(); holder !== undefined; holder = reachable.pop()) {
    for (const socket of waitingAt.get(holder) ?? [])
      if (lost.delete(socket)) reachable.push(socket);
  }
  return lost;
}
