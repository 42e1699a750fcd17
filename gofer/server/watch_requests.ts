/**
 * Our extension Twatch: directories of which the client wants to know what others do in them.
 */
import { EBADF, EINVAL, EMFILE, ENOTDIR } from '../../spec/linux/errno.ts';
import { S_IFDIR } from '../../spec/linux/stat.ts';
import { IOUNIT_FD_DONATED } from '../../spec/p9/constants.ts';
import type { Fields } from '../../spec/p9/messages.ts';
import type { Connection } from './connection.ts';

export function add(c: Connection, f: Fields<'Twatch'>): Fields<'Rwatch'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (fid.node.fileType !== S_IFDIR) return -ENOTDIR;
  const known = c.watches;
  const watches = known ?? c.backend.watches();
  if (typeof watches === 'number') return watches;
  const wd = watches.add(fid.node);
  if (known !== null) return wd < 0 ? wd : { wd, iounit: 0 };
  if (wd < 0 || !c.donate(watches.donation)) {
    watches.close();
    return wd < 0 ? wd : -EMFILE;
  }
  c.watches = watches;
  return { wd, iounit: IOUNIT_FD_DONATED };
}

export function remove(c: Connection, f: Fields<'Tunwatch'>): Fields<'Runwatch'> | number {
  const removed = c.watches?.remove(f.wd) ?? -EINVAL;
  return removed < 0 ? removed : {};
}
