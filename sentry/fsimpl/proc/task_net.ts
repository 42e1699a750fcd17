/**
 * /proc/PID/net (proc_pid_net(5)): the container's network, which has no devices yet.
 */
import { PseudoDirectory } from '../pseudo/pseudo_file_system.ts';
import type { ProcFileSystem } from './proc_file_system.ts';

const DEV_HEADER =
  'Inter-|   Receive                                                |  Transmit\n' +
  ' face |bytes    packets errs drop fifo frame compressed multicast' +
  '|bytes    packets errs drop fifo colls carrier compressed\n';

export function netDirectory(fs: ProcFileSystem): PseudoDirectory {
  const dir = new PseudoDirectory(fs);
  dir.addText('dev', () => DEV_HEADER);
  return dir;
}
