/**
 * A file of which the host makes huge pages where it has them free: on a tmpfs of its own, which no path
 * leads to. `huge=always`, without advice for a mapping, compacts no memory for a page (tmpfs(5)).
 */
import * as file from '../spec/linux/fcntl.ts';
import * as mnt from '../spec/linux/mount.ts';
import { open } from './fs.ts';
import * as process from './process.ts';

/** Its pages may be code of an application, so nothing here is noexec. */
const FLAGS = mnt.MS_NOSUID | mnt.MS_NODEV;
const OPTIONS = 'huge=always,size=0,mode=700';
const OPEN = file.O_RDWR | file.O_CREAT | file.O_EXCL | file.O_CLOEXEC;

/** `place`: a directory in a mount namespace of our own, as it is again afterwards. The file, or -errno. */
export function makeHugeFile(place: string): number {
  const error = process.mount('tmpfs', place, 'tmpfs', FLAGS, OPTIONS);
  if (error < 0) return error;
  // It keeps its name: for one without, newer hosts look at settings for anonymous memory.
  const fd = open(`${place}/memory`, OPEN, 0o600);
  process.umount2(place, mnt.MNT_DETACH);
  return fd;
}
