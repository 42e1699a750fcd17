/**
 * /proc/PID/{mounts,mountinfo,mountstats} (proc_pid_mounts(5), proc_pid_mountinfo(5)): the mounts that the
 * process can reach from its root.
 */
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_RELATIME,
} from '../../../spec/linux/mount.ts';
import { TASK_DEAD, type Task } from '../../kernel/task.ts';
import type { Dentry } from '../../vfs/dentry.ts';
import type { Mount } from '../../vfs/mount.ts';
import { escapeOctal } from './path_text.ts';

const FLAG_NAMES: readonly (readonly [flag: number, name: string])[] = [
  [MS_NOSUID, 'nosuid'],
  [MS_NODEV, 'nodev'],
  [MS_NOEXEC, 'noexec'],
  [MS_NOATIME, 'noatime'],
  [MS_NODIRATIME, 'nodiratime'],
  [MS_RELATIME, 'relatime'],
];
const SPACES = ' \t\n#';

function mountOptions(m: Mount): string {
  const names = [(m.flags & MS_RDONLY) !== 0 ? 'ro' : 'rw'];
  for (const [flag, name] of FLAG_NAMES) if ((m.flags & flag) !== 0) names.push(name);
  return names.join(',');
}

/** Each mount with its place seen from the process's root; those out of its sight are left out. */
function* visibleMounts(t: Task): IterableIterator<[Mount, string]> {
  if (t.state === TASK_DEAD) return;
  const { mounts, root } = t.fs;
  for (const m of mounts.mounts) {
    const at = mounts.pathname({ mount: m, dentry: m.root }, root);
    if (at !== null) yield [m, escapeOctal(at, SPACES)];
  }
}

function source(m: Mount): string {
  return m.source === '' ? 'none' : escapeOctal(m.source, SPACES);
}

export function mountsText(t: Task): string {
  let text = '';
  for (const [m, at] of visibleMounts(t)) {
    const extra = m.fs.options === '' ? '' : `,${escapeOctal(m.fs.options, SPACES)}`;
    text += `${source(m)} ${at} ${m.fs.type} ${mountOptions(m)}${extra} 0 0\n`;
  }
  return text;
}

/** Which part of its file system a mount shows. */
function rootInFileSystem(m: Mount): string {
  let text = '';
  for (let d: Dentry = m.root; !d.isRoot; d = d.parent) text = `/${d.name}${text}`;
  return text === '' ? '/' : escapeOctal(text, SPACES);
}

export function mountinfoText(t: Task): string {
  let text = '';
  for (const [m, at] of visibleMounts(t)) {
    const { fs } = m;
    const device = `${fs.devMajor}:${fs.devMinor}`;
    const superOptions = ['rw', ...(fs.options === '' ? [] : [escapeOctal(fs.options, SPACES)])];
    const place = `${m.id} ${m.parent?.id ?? 1} ${device} ${rootInFileSystem(m)} ${at}`;
    text += `${place} ${mountOptions(m)} - ${fs.type} ${source(m)} ${superOptions.join(',')}\n`;
  }
  return text;
}

export function mountstatsText(t: Task): string {
  let text = '';
  for (const [m, at] of visibleMounts(t)) {
    text += `device ${source(m)} mounted on ${at} with fstype ${m.fs.type}\n`;
  }
  return text;
}
