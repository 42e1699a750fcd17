/* System V shared memory: ids and keys, who may, what is attached, and when a segment ends. */
#include "guest.h"
#include <setjmp.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

enum { PAGE = 4096 };
/* Natively the program shares keys with the whole machine. */
#define KEY (0x67750000 | getpid())

static sigjmp_buf back;

static void on_fault(int signo) { siglongjmp(back, signo); }

static int writable(char *at) {
  if (sigsetjmp(back, 1) != 0) return 0;
  *(volatile char *)at = 'w';
  return 1;
}

static struct shmid_ds stat_of(int id) {
  struct shmid_ds ds;
  memset(&ds, 0, sizeof ds);
  if (shmctl(id, IPC_STAT, &ds) < 0) out("IPC_STAT: %s", errno_name(errno));
  return ds;
}

static void show(const char *what, int id) {
  struct shmid_ds ds = stat_of(id);
  out("%s: size %zu, attached %lu, mode %o, mine %d, last mine %d, times %d%d%d", what, ds.shm_segsz,
      (unsigned long)ds.shm_nattch, ds.shm_perm.mode, ds.shm_cpid == getpid(), ds.shm_lpid == getpid(),
      ds.shm_atime != 0, ds.shm_dtime != 0, ds.shm_ctime != 0);
}

/* The line of /proc/self/maps at `at`, without addresses and inode. */
static void show_map(char *at) {
  char line[512], path[256], prot[8];
  unsigned long start, end, offset;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps)) {
    path[0] = 0;
    if (sscanf(line, "%lx-%lx %7s %lx %*s %*u %255[^\n]", &start, &end, prot, &offset, path) < 4) continue;
    if (start <= (uintptr_t)at && (uintptr_t)at < end)
      out("map: %lu pages, %s, offset %lu, %s", (end - start) / PAGE, prot, offset, path);
  }
  fclose(maps);
}

static int in_proc(int id) {
  char line[512];
  int key, shmid, found = 0;
  FILE *list = fopen("/proc/sysvipc/shm", "r");
  while (fgets(line, sizeof line, list)) found |= sscanf(line, "%d %d", &key, &shmid) == 2 && shmid == id;
  fclose(list);
  return found;
}

static void keys(void) {
  R(shmget(KEY, PAGE, 0600));
  R(shmget(KEY, 0, IPC_CREAT | 0600));
  int id = shmget(KEY, 5000, IPC_CREAT | 0640);
  T(id >= 0);
  T(shmget(KEY, 5000, 0) == id);
  T(shmget(KEY, 1, IPC_CREAT) == id);
  R(shmget(KEY, 5001, 0));
  R(shmget(KEY, 5000, IPC_CREAT | IPC_EXCL));
  show("made", id);
  T(in_proc(id));
  T(stat_of(id).shm_perm.__key == KEY);
  struct shmid_ds ds = stat_of(id);
  ds.shm_perm.mode = 01606;
  ds.shm_perm.uid = 7;
  R(shmctl(id, IPC_SET, &ds));
  show("set", id);
  out("owner %d, creator %d", stat_of(id).shm_perm.uid, stat_of(id).shm_perm.cuid);
  R(shmctl(id, IPC_SET, (struct shmid_ds *)8));
  R(shmctl(id, 999, NULL));
  R(shmctl(-1, IPC_RMID, NULL));
  R(shmctl(0x7ffffff0, IPC_RMID, NULL));
  R(shmctl(id, IPC_RMID, NULL));
  R(shmctl(id, IPC_RMID, NULL));
  R(shmget(KEY, 0, 0));
  T(!in_proc(id));
  int again = shmget(IPC_PRIVATE, 1, 0600);
  T(again >= 0 && again != id);
  R(shmctl(again, IPC_RMID, NULL));
  R(shmget(IPC_PRIVATE, -1, 0600));
}

static void attaching(void) {
  int id = shmget(IPC_PRIVATE, 3 * PAGE + 1, 0600);
  char *p = shmat(id, NULL, 0);
  T(p != (char *)-1);
  show("attached", id);
  show_map(p);
  p[0] = 'a';
  p[4 * PAGE - 1] = 'z';
  char *q = shmat(id, NULL, SHM_RDONLY);
  T(q != p && q[0] == 'a' && q[4 * PAGE - 1] == 'z');
  out("read-only: %d", writable(q));
  R(mprotect(q, PAGE, PROT_READ | PROT_WRITE));
  show("twice", id);
  R((long)shmat(id, p, 0));
  R((long)shmat(id, p + 5, 0));
  R((long)shmat(id, NULL, SHM_REMAP));
  R((long)shmat(-1, NULL, 0));
  T(shmat(id, q + 5, SHM_RND | SHM_REMAP) == q);
  out("replaced: %d", writable(q));
  show("replaced", id);
  R(shmdt(q + 5));
  R(shmdt(q + PAGE));
  R(shmdt(q));
  R(shmdt(q));
  show("detached", id);
  /* A hole in the middle: both sides go. */
  R(munmap(p + PAGE, PAGE));
  show("split", id);
  R(shmdt(p));
  show("gone", id);
  p = shmat(id, NULL, 0);
  T(p[0] == 'w' && p[4 * PAGE - 1] == 'z');
  IN_CHILD("fork", {
    show("child", id);
    p[1] = 'c';
    R(shmdt(p));
  });
  out("from the child: %c", p[1]);
  IN_CHILD("exit detaches", (void)0);
  show("alone", id);
  R(shmctl(id, SHM_LOCK, NULL));
  show("locked", id);
  R(shmctl(id, SHM_UNLOCK, NULL));
  R(shmctl(id, IPC_RMID, NULL));
  show("doomed", id);
  char *last = shmat(id, NULL, 0);
  T(last != (char *)-1 && last[1] == 'c');
  T(shmat(id, last, SHM_REMAP) == last);
  R(shmdt(p));
  R(shmdt(last));
  R(shmctl(id, IPC_STAT, NULL));
  R((long)shmat(id, NULL, 0));
}

static void asides(void) {
  struct shminfo info;
  struct shm_info used;
  struct shmid_ds ds;
  T(shmctl(0, IPC_INFO, (struct shmid_ds *)&info) >= 0);
  out("max %lu, min %lu, number %lu, all %lu", info.shmmax, info.shmmin, info.shmmni, info.shmall);
  int id = shmget(IPC_PRIVATE, 2 * PAGE, 0);
  int highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&used);
  T(used.used_ids > 0 && used.shm_tot >= 2);
  int found = 0;
  for (int i = 0; i <= highest; i++) found |= shmctl(i, SHM_STAT, &ds) == id;
  T(found);
  IN_CHILD("another user", {
    if (setgid(65534) || setuid(65534)) _exit(1);
    R((long)shmat(id, NULL, SHM_RDONLY));
    R(shmctl(id, IPC_STAT, &ds));
    R(shmctl(id, IPC_RMID, NULL));
    R(shmctl(id, SHM_LOCK, NULL));
    int own = shmget(IPC_PRIVATE, PAGE, 0400);
    T(shmat(own, NULL, SHM_RDONLY) != (void *)-1);
    R((long)shmat(own, NULL, 0));
    R(shmctl(own, IPC_RMID, NULL));
  });
  R(shmctl(id, IPC_RMID, NULL));
}

int main(void) {
  signal(SIGSEGV, on_fault);
  keys();
  attaching();
  asides();
  return 0;
}
