/**
 * Mount options of config.json into MS_* flags and the file system's own data (mount(8),
 * OCI runtime spec "Linux mount options").
 */
import {
  MS_BIND,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_STRICTATIME,
  MS_SYNCHRONOUS,
} from '../../spec/linux/mount.ts';

/** Option to [flags to clear, flags to set]. */
const FLAGS: Readonly<Record<string, readonly [number, number]>> = {
  ro: [0, MS_RDONLY],
  rro: [0, MS_RDONLY],
  rw: [MS_RDONLY, 0],
  suid: [MS_NOSUID, 0],
  nosuid: [0, MS_NOSUID],
  dev: [MS_NODEV, 0],
  nodev: [0, MS_NODEV],
  exec: [MS_NOEXEC, 0],
  noexec: [0, MS_NOEXEC],
  atime: [MS_NOATIME, 0],
  noatime: [0, MS_NOATIME],
  diratime: [MS_NODIRATIME, 0],
  nodiratime: [0, MS_NODIRATIME],
  relatime: [0, MS_RELATIME],
  norelatime: [MS_RELATIME, 0],
  strictatime: [0, MS_STRICTATIME],
  nostrictatime: [MS_STRICTATIME, 0],
  sync: [0, MS_SYNCHRONOUS],
  async: [MS_SYNCHRONOUS, 0],
  bind: [0, MS_BIND],
  rbind: [0, MS_BIND | MS_REC],
};

/** Options without a meaning inside the sandbox: nothing propagates to or from it. */
const WITHOUT_EFFECT = new Set([
  'defaults',
  'private',
  'rprivate',
  'shared',
  'rshared',
  'slave',
  'rslave',
  'unbindable',
  'runbindable',
  'iversion',
  'noiversion',
  'mand',
  'nomand',
  'silent',
  'loud',
  'remount',
  'tmpcopyup',
]);

export interface ParsedOptions {
  /** MS_*. */
  readonly flags: number;
  /** What is left, comma-separated, for the file system. */
  readonly data: string;
}

export function parseMountOptions(options: readonly string[] = []): ParsedOptions {
  let flags = 0;
  const data: string[] = [];
  for (const option of options) {
    const change = FLAGS[option];
    if (change !== undefined) flags = (flags & ~change[0]) | change[1];
    else if (!WITHOUT_EFFECT.has(option)) data.push(option);
  }
  return { flags, data: data.join(',') };
}
