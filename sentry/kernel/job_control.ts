/**
 * Process groups and sessions change hands (setpgid(2), setsid(2)). The system calls have checked that the
 * change is allowed.
 */
import { leaveGroup, signalIfOrphaned } from './exit.ts';
import { ProcessGroup, Session, type ThreadGroup } from './thread_group.ts';

/** Moves `g` to the group `pgid` of its session, which is made if it does not exist. */
export function moveToProcessGroup(g: ThreadGroup, pgid: number): void {
  const { pids } = g.leader.container;
  const old = g.processGroup;
  if (old.id === pgid) return;
  let target = pids.processGroups.get(pgid);
  if (target === undefined) {
    target = new ProcessGroup(pgid, g.session);
    pids.processGroups.set(pgid, target);
  }
  leaveGroup(g);
  g.joinProcessGroup(target);
  if (old.members.size > 0) signalIfOrphaned(old);
}

/** Makes `g` the leader of a new session and of its one process group. No controlling terminal. */
export function makeSession(g: ThreadGroup): void {
  const { pids } = g.leader.container;
  const session = new Session(g.pid, g);
  const group = new ProcessGroup(g.pid, session);
  leaveGroup(g);
  pids.sessions.set(session.id, session);
  pids.processGroups.set(group.id, group);
  g.joinProcessGroup(group);
}
