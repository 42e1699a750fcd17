/**
 * The request for a fifo of the host, served only where --host-fifo allows it. The client gets the
 * descriptor and nothing of it stays here: whoever holds an end open is seen at the other.
 */
import { EBADF, EINVAL, EPERM, EROFS } from '../../spec/linux/errno.ts';
import { O_RDONLY, O_RDWR } from '../../spec/linux/fcntl.ts';
import { S_IFIFO } from '../../spec/linux/stat.ts';
import { IOUNIT_FD_DONATED } from '../../spec/p9/constants.ts';
import type { Fields } from '../../spec/p9/messages.ts';
import type { Connection } from './connection.ts';

export function open(c: Connection, f: Fields<'Tfifo'>): Fields<'Rfifo'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (f.access > O_RDWR || fid.node.fileType !== S_IFIFO) return -EINVAL;
  if (c.hostFifo !== 'open') return -EPERM;
  if (c.readonly && f.access !== O_RDONLY) return -EROFS;
  const fd = fid.node.openFifo(f.access);
  if (fd < 0) return fd;
  c.handOver(fd);
  return { iounit: IOUNIT_FD_DONATED };
}
