/** What shmctl(2), semctl(2) and msgctl(2) have in common. */
import { EFAULT } from '../../spec/linux/errno.ts';
import type { IpcIds, IpcObject } from '../kernel/ipc_ids.ts';
import type { Task } from '../kernel/task.ts';

const MAY_READ = 0o444;

/** IPC_STAT goes by id; the kinds' own *_STAT and *_STAT_ANY go by slot and answer the id. */
export type StatBy = 'id' | 'slot' | 'slot, unchecked';

/** Copies out what `encode` makes of the object: the call's result, or -errno. */
export function statIpc<T extends IpcObject>(
  t: Task,
  ids: IpcIds<T>,
  [by, number]: readonly [StatBy, number],
  addr: number,
  encode: (object: T) => Uint8Array,
): number {
  const object = by === 'id' ? ids.find(number) : ids.at(number);
  if (typeof object === 'number') return object;
  const { permissions } = object;
  const allowed = by === 'slot, unchecked' ? 0 : permissions.check(t.creds, MAY_READ);
  if (allowed < 0) return allowed;
  if (t.mm.copyOut(addr, encode(object)) < 0) return -EFAULT;
  return by === 'id' ? 0 : permissions.id;
}

/** For IPC_SET and IPC_RMID: what the caller may change or remove, or -errno. */
export function ownedIpc<T extends IpcObject>(t: Task, ids: IpcIds<T>, id: number): T | number {
  const object = ids.find(id);
  if (typeof object === 'number') return object;
  const allowed = object.permissions.checkOwner(t.creds);
  return allowed < 0 ? allowed : object;
}
