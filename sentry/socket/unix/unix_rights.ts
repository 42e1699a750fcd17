/**
 * Descriptors in flight: SCM_RIGHTS that were sent and not yet received (unix(7)).
 *
 * Linux bounds them per user by RLIMIT_NOFILE and so do we; the count is kept per container.
 */
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from '../../../spec/linux/capability.ts';
import { ETOOMANYREFS } from '../../../spec/linux/errno.ts';
import { RLIMIT_NOFILE } from '../../../spec/linux/resource.ts';
import type { Container } from '../../kernel/container.ts';
import type { Task } from '../../kernel/task.ts';
import type { OpenFile } from '../../vfs/open_file.ts';

/** By real user id. */
const counts = new WeakMap<Container, Map<number, number>>();

/** A message's descriptors while they travel. */
export class Rights {
  readonly files: readonly OpenFile[];
  private readonly container: Container;
  private readonly uid: number;

  private constructor(files: readonly OpenFile[], container: Container, uid: number) {
    this.files = files;
    this.container = container;
    this.uid = uid;
  }

  /** Takes over the references; -ETOOMANYREFS leaves them with the caller. */
  static send(t: Task, files: readonly OpenFile[]): Rights | number {
    const { uid } = t.creds;
    const inFlight = countOf(t.container, uid);
    const privileged = t.creds.has(CAP_SYS_RESOURCE) || t.creds.has(CAP_SYS_ADMIN);
    if (inFlight > t.group.limits.soft(RLIMIT_NOFILE) && !privileged) return -ETOOMANYREFS;
    addCount(t.container, uid, files.length);
    return new Rights(files, t.container, uid);
  }

  /** They arrive: the references are the caller's. */
  receive(): OpenFile[] {
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
