/**
 * System V IPC: sysvipc(7), shmget(2), semop(2), msgsnd(2); POSIX message queues mq_overview(7).
 */

/** ipc flags and commands. */
export const IPC_CREAT = 512;
export const IPC_EXCL = 1024;
export const IPC_NOWAIT = 2048;
export const IPC_PRIVATE = 0;
export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;
/** Asks for the 64-bit structures; glibc never sets it on x86-64. */
export const IPC_64 = 0x100;

/** Shared memory. */
export const SHM_R = 256;
export const SHM_W = 128;
export const SHM_HUGETLB = 2048;
export const SHM_NORESERVE = 4096;
export const SHM_RDONLY = 4096;
export const SHM_RND = 8192;
export const SHM_REMAP = 16384;
export const SHM_EXEC = 32768;
export const SHM_LOCK = 11;
export const SHM_UNLOCK = 12;
export const SHM_STAT = 13;
export const SHM_INFO = 14;
export const SHM_STAT_ANY = 15;

/** /proc and ipcs see a segment that waits for its last detach, or is locked. */
export const SHM_DEST = 512;
export const SHM_LOCKED = 1024;

/** Semaphores. */
export const SEM_UNDO = 4096;
export const GETPID = 11;
export const GETVAL = 12;
export const GETALL = 13;
export const GETNCNT = 14;
export const GETZCNT = 15;
export const SETVAL = 16;
export const SETALL = 17;
export const SEM_STAT = 18;
export const SEM_INFO = 19;
export const SEM_STAT_ANY = 20;
export const SEMVMX = 32767;
export const SEMMNI = 32000;
export const SEMMSL = 32000;
export const SEMMNS = 1024000000;
export const SEMOPM = 500;

/** Message queues. */
export const MSG_STAT = 11;
export const MSG_INFO = 12;
export const MSG_STAT_ANY = 13;
export const MSG_NOERROR = 4096;
export const MSG_EXCEPT = 8192;
export const MSG_COPY = 16384;
export const MSGMNI = 32000;
export const MSGMAX = 8192;
export const MSGMNB = 16384;
