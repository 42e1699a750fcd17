/**
 * /proc/sysvipc (proc_sysvipc(5)): the System V IPC objects of the container, as ipcs(1) lists them.
 */
import type { Container } from '../../kernel/container.ts';
import type { PseudoDirectory } from '../pseudo/pseudo_file_system.ts';

/** One line: values, right-aligned to these widths. */
function row(widths: readonly number[], values: readonly (number | string)[]): string {
  return `${values.map((v, i) => String(v).padStart(widths[i] ?? 0)).join(' ')}\n`;
}

const SHM_HEADER =
  '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid' +
  '      atime      dtime      ctime                   rss                  swap\n';
const SHM_WIDTHS = [10, 10, 5, 21, 5, 5, 6, 5, 5, 5, 5, 10, 10, 10, 21, 21];

function shmText(c: Container): string {
  let text = SHM_HEADER;
  for (const s of c.sharedMemory.ids.all()) {
    const { id, key, mode, uid, gid, cuid, cgid } = s.permissions;
    const owners = [uid, gid, cuid, cgid];
    const times = [s.attachTime, s.detachTime, s.changeTime];
    const who = [s.creator, s.lastPid, s.attached];
    const sizes = [s.allocatedBytes, 0];
    const head = [key, id, mode.toString(8), s.length];
    text += row(SHM_WIDTHS, [...head, ...who, ...owners, ...times, ...sizes]);
  }
  return text;
}

const MSG_HEADER =
  '       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid' +
  '      stime      rtime      ctime\n';
const MSG_WIDTHS = [10, 10, 5, 11, 10, 5, 5, 5, 5, 5, 5, 10, 10, 10];

function msgText(c: Container): string {
  let text = MSG_HEADER;
  for (const q of c.messageQueues.ids.all()) {
    const { id, key, mode, uid, gid, cuid, cgid } = q.permissions;
    const head = [key, id, mode.toString(8), q.bytes, q.messages.length, q.sender, q.receiver];
    const times = [q.sendTime, q.receiveTime, q.changeTime];
    text += row(MSG_WIDTHS, [...head, uid, gid, cuid, cgid, ...times]);
  }
  return text;
}

const SEM_HEADER =
  '       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n';
const SEM_WIDTHS = [10, 10, 5, 10, 5, 5, 5, 5, 10, 10];

function semText(c: Container): string {
  let text = SEM_HEADER;
  for (const s of c.semaphores.ids.all()) {
    const { id, key, mode, uid, gid, cuid, cgid } = s.permissions;
    const head = [key, id, mode.toString(8), s.values.length];
    text += row(SEM_WIDTHS, [...head, uid, gid, cuid, cgid, s.operationTime, s.changeTime]);
  }
  return text;
}

/** Fills /proc/sysvipc. */
export function addSysvIpc(root: PseudoDirectory, c: Container): void {
  root.addText('msg', () => msgText(c));
  root.addText('sem', () => semText(c));
  root.addText('shm', () => shmText(c));
}
