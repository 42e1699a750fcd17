/**
 * The system call table: every family's fragment in one array, by number. strace, `runsc help
 * syscalls` and docs/compatibility.md are made from it.
 */
import type { SyscallEntry, SyscallFragment, SyscallTable } from '../kernel/syscall_table.ts';
import { capabilitySyscalls } from './capability.ts';
import { clockSyscalls } from './clock.ts';
import { directorySyscalls } from './directory.ts';
import { epollSyscalls } from './epoll.ts';
import { fcntlSyscalls } from './fcntl.ts';
import { fileAttributeSyscalls } from './file_attributes.ts';
import { futexSyscalls } from './futex.ts';
import { identitySyscalls } from './identity.ts';
import { inotifySyscalls } from './inotify.ts';
import { ioPrioritySyscalls } from './io_priority.ts';
import { ioctlSyscalls } from './ioctl.ts';
import { killSyscalls } from './kill.ts';
import { limitSyscalls } from './limits.ts';
import { memfdSyscalls } from './memfd.ts';
import { messageQueueSyscalls } from './message_queues.ts';
import { mmapSyscalls } from './mmap.ts';
import { mountSyscalls } from './mount.ts';
import { openSyscalls } from './open.ts';
import { pipeSyscalls } from './pipe.ts';
import { pollSyscalls } from './poll.ts';
import { prctlSyscalls } from './prctl.ts';
import { processSyscalls } from './process.ts';
import { processMemorySyscalls } from './process_memory.ts';
import { readWriteSyscalls } from './read_write.ts';
import { receiveSyscalls } from './receive.ts';
import { schedulingSyscalls } from './scheduling.ts';
import { selectSyscalls } from './select.ts';
import { semaphoreSyscalls } from './semaphores.ts';
import { sendSyscalls } from './send.ts';
import { sessionSyscalls } from './session.ts';
import { sharedMemorySyscalls } from './shared_memory.ts';
import { signalSyscalls } from './signal.ts';
import { socketSyscalls } from './socket.ts';
import { spliceSyscalls } from './splice.ts';
import { statSyscalls } from './stat.ts';
import { syncSyscalls } from './sync.ts';
import { systemSyscalls } from './system.ts';
import { timerSyscalls } from './timer.ts';
import { transferSyscalls } from './transfer.ts';
import { xattrSyscalls } from './xattr.ts';

const FRAGMENTS: readonly SyscallFragment[] = [
  capabilitySyscalls,
  clockSyscalls,
  directorySyscalls,
  epollSyscalls,
  fcntlSyscalls,
  fileAttributeSyscalls,
  futexSyscalls,
  identitySyscalls,
  inotifySyscalls,
  ioctlSyscalls,
  ioPrioritySyscalls,
  killSyscalls,
  limitSyscalls,
  memfdSyscalls,
  messageQueueSyscalls,
  mmapSyscalls,
  mountSyscalls,
  openSyscalls,
  pipeSyscalls,
  pollSyscalls,
  prctlSyscalls,
  processMemorySyscalls,
  processSyscalls,
  readWriteSyscalls,
  receiveSyscalls,
  schedulingSyscalls,
  selectSyscalls,
  semaphoreSyscalls,
  sendSyscalls,
  sessionSyscalls,
  sharedMemorySyscalls,
  signalSyscalls,
  socketSyscalls,
  spliceSyscalls,
  statSyscalls,
  syncSyscalls,
  systemSyscalls,
  timerSyscalls,
  transferSyscalls,
  xattrSyscalls,
];

function merge(fragments: readonly SyscallFragment[]): SyscallTable {
  const table: (SyscallEntry | undefined)[] = [];
  for (const fragment of fragments) {
    for (const [key, entry] of Object.entries(fragment)) {
      const number = Number(key);
      if (table[number] !== undefined) throw new Error(`two entries for ${entry.name}`);
      table[number] = entry;
    }
  }
  return Array.from(table);
}

export const syscallTable: SyscallTable = merge(FRAGMENTS);
