/**
 * The times in a Tsetattr, by utimensat(2).
 */
import { utimensat } from '../../native/stat.ts';
import { EINVAL } from '../../spec/linux/errno.ts';
import { AT_EMPTY_PATH } from '../../spec/linux/fcntl.ts';
import { UTIME_NOW, UTIME_OMIT } from '../../spec/linux/stat.ts';
import * as p9 from '../../spec/p9/constants.ts';
import type { Fields } from '../../spec/p9/messages.ts';

const NSEC_PER_SEC = 1e9;

/** Sets what `c` says of the times of the file that `fd` refers to: 0 or -errno. */
export function setTimes(fd: number, c: Fields<'Tsetattr'>): number {
  if (c.atimeNsec >= NSEC_PER_SEC || c.mtimeNsec >= NSEC_PER_SEC) return -EINVAL;
  const nsec = (change: number, explicit: number, value: number): number => {
    if ((c.valid & change) === 0) return UTIME_OMIT;
    return (c.valid & explicit) === 0 ? UTIME_NOW : value;
  };
  return utimensat(
    fd,
    '',
    c.atimeSec,
    nsec(p9.SETATTR_ATIME, p9.SETATTR_ATIME_SET, c.atimeNsec),
    c.mtimeSec,
    nsec(p9.SETATTR_MTIME, p9.SETATTR_MTIME_SET, c.mtimeNsec),
    AT_EMPTY_PATH,
  );
}
