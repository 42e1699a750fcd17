/** System V IPC and POSIX message queues: shmctl(2), semctl(2), msgctl(2), semop(2), mq_getattr(3). */

import { layout } from './layout.ts';

export const IPC_PERM = layout('ipc64_perm', 48, {
  key: ['s32', 0],
  uid: ['u32', 4],
  gid: ['u32', 8],
  cuid: ['u32', 12],
  cgid: ['u32', 16],
  mode: ['u32', 20],
  seq: ['u16', 24],
});

export const SHMID_DS = layout('shmid64_ds', 112, {
  shm_perm: [IPC_PERM, 0],
  shm_segsz: ['u64', 48],
  shm_atime: ['s64', 56],
  shm_dtime: ['s64', 64],
  shm_ctime: ['s64', 72],
  shm_cpid: ['s32', 80],
  shm_lpid: ['s32', 84],
  shm_nattch: ['u64', 88],
});

/** IPC_INFO. */
export const SHMINFO = layout('shminfo64', 72, {
  shmmax: ['u64', 0],
  shmmin: ['u64', 8],
  shmmni: ['u64', 16],
  shmseg: ['u64', 24],
  shmall: ['u64', 32],
});

/** SHM_INFO. */
export const SHM_INFO_STRUCT = layout('shm_info', 48, {
  used_ids: ['s32', 0],
  shm_tot: ['u64', 8],
  shm_rss: ['u64', 16],
  shm_swp: ['u64', 24],
  swap_attempts: ['u64', 32],
  swap_successes: ['u64', 40],
});

export const SEMID_DS = layout('semid64_ds', 104, {
  sem_perm: [IPC_PERM, 0],
  sem_otime: ['s64', 48],
  sem_ctime: ['s64', 64],
  sem_nsems: ['u64', 80],
});

export const SEMBUF = layout('sembuf', 6, {
  sem_num: ['u16', 0],
  sem_op: ['s16', 2],
  sem_flg: ['s16', 4],
});

export const SEMINFO = layout('seminfo', 40, {
  semmap: ['s32', 0],
  semmni: ['s32', 4],
  semmns: ['s32', 8],
  semmnu: ['s32', 12],
  semmsl: ['s32', 16],
  semopm: ['s32', 20],
  semume: ['s32', 24],
  semusz: ['s32', 28],
  semvmx: ['s32', 32],
  semaem: ['s32', 36],
});

export const MSQID_DS = layout('msqid64_ds', 120, {
  msg_perm: [IPC_PERM, 0],
  msg_stime: ['s64', 48],
  msg_rtime: ['s64', 56],
  msg_ctime: ['s64', 64],
  msg_cbytes: ['u64', 72],
  msg_qnum: ['u64', 80],
  msg_qbytes: ['u64', 88],
  msg_lspid: ['s32', 96],
  msg_lrpid: ['s32', 100],
});

export const MSGINFO = layout('msginfo', 32, {
  msgpool: ['s32', 0],
  msgmap: ['s32', 4],
  msgmax: ['s32', 8],
  msgmnb: ['s32', 12],
  msgmni: ['s32', 16],
  msgssz: ['s32', 20],
  msgtql: ['s32', 24],
  msgseg: ['u16', 28],
});

export const MQ_ATTR = layout('mq_attr', 64, {
  mq_flags: ['s64', 0],
  mq_maxmsg: ['s64', 8],
  mq_msgsize: ['s64', 16],
  mq_curmsgs: ['s64', 24],
});
