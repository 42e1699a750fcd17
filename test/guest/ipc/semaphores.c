/* System V semaphores: values, operations all or none, who sleeps for what, undoing, and the end of a set. */
#include "guest.h"
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>

/* Natively the program shares keys with the whole machine. */
#define KEY (0x67760000 | getpid())

union semun {
  int val;
  void *buf;
  unsigned short *array;
};

static int set(int count) {
  int id = semget(IPC_PRIVATE, count, 0600);
  if (id < 0) out("semget: %s", errno_name(errno));
  return id;
}

static int op1(int id, int number, int change, int flags) {
  struct sembuf op = {(unsigned short)number, (short)change, (short)flags};
  return semop(id, &op, 1);
}

static int value(int id, int number) { return semctl(id, number, GETVAL); }

static void show(const char *what, int id, int count) {
  unsigned short values[8] = {0};
  if (semctl(id, 0, GETALL, values) < 0) out("GETALL: %s", errno_name(errno));
  char text[100] = "";
  for (int i = 0; i < count; i++) sprintf(text + strlen(text), " %d", values[i]);
  out("%s:%s", what, text);
}

/* Until so many sleep because of a semaphore. */
static void until(int id, int number, int command, int count) {
  while (semctl(id, number, command) != count) sleep_ms(1);
}

static void keys(void) {
  R(semget(KEY, 1, 0600));
  R(semget(KEY, 0, IPC_CREAT | 0600));
  R(semget(KEY, -1, IPC_CREAT | 0600));
  R(semget(KEY, 32001, IPC_CREAT | 0600));
  int id = semget(KEY, 3, IPC_CREAT | 0640);
  T(id >= 0 && semget(KEY, 0, 0) == id && semget(KEY, 3, IPC_CREAT) == id);
  R(semget(KEY, 4, 0));
  R(semget(KEY, 3, IPC_CREAT | IPC_EXCL));
  struct semid_ds ds;
  R(semctl(id, 0, IPC_STAT, &ds));
  out("count %lu, mode %o, otime %d, ctime %d", (unsigned long)ds.sem_nsems, ds.sem_perm.mode, ds.sem_otime != 0,
      ds.sem_ctime != 0);
  ds.sem_perm.mode = 0604;
  R(semctl(id, 0, IPC_SET, &ds));
  R(op1(id, 0, 1, 0));
  R(semctl(id, 0, IPC_STAT, &ds));
  out("mode %o, otime %d", ds.sem_perm.mode, ds.sem_otime != 0);
  IN_CHILD("another user", {
    if (setgid(54321) || setuid(54321)) _exit(1);
    R(value(id, 0));
    R(op1(id, 0, 1, 0));
    R(semctl(id, 0, SETVAL, 1));
    R(op1(id, 1, 0, 0));
    R(semctl(id, 0, IPC_RMID));
  });
  R(semctl(id, 0, IPC_RMID));
  R(value(id, 0));
  R(op1(id, 0, 1, 0));
}

static void values(void) {
  int id = set(3);
  R(semctl(id, 0, SETVAL, 5));
  R(semctl(id, 3, SETVAL, 5));
  R(semctl(id, -1, GETVAL));
  R(semctl(id, 0, SETVAL, 32768));
  R(semctl(id, 0, SETVAL, -1));
  R(semctl(id, 0, 99, 0));
  R(semctl(-1, 0, GETVAL));
  show("set", id, 3);
  unsigned short many[3] = {1, 32767, 3};
  R(semctl(id, 0, SETALL, many));
  show("all", id, 3);
  many[0] = 40000;
  R(semctl(id, 0, SETALL, many));
  T(semctl(id, 1, GETPID) == getpid());
  R(op1(id, 1, 1, 0));
  R(op1(id, 3, 1, 0));
  R(op1(id, 0, -2, IPC_NOWAIT));
  R(op1(id, 0, 0, IPC_NOWAIT));
  R(semop(id, NULL, 1));
  R(semop(id, NULL, 0));
  R(semop(id, NULL, 501));
  struct sembuf all[3] = {{0, -1, 0}, {0, 0, 0}, {2, -4, IPC_NOWAIT}};
  R(semop(id, all, 3));
  show("none done", id, 3);
  all[2].sem_op = -3;
  R(semop(id, all, 3));
  show("all done", id, 3);
  struct sembuf twice[2] = {{0, 2, 0}, {0, -1, 0}};
  R(semop(id, twice, 2));
  show("twice the same", id, 3);
  struct timespec short_time = {0, 2000000};
  struct timespec bad = {0, -1};
  struct sembuf wait = {0, -9, 0};
  R(semtimedop(id, &wait, 1, &short_time));
  R(semtimedop(id, &wait, 1, &bad));
  R(semtimedop(id, &wait, 1, (struct timespec *)8));
  R(semctl(id, 0, IPC_RMID));
}

static void sleeping(void) {
  int id = set(2);
  pid_t pids[3];
  for (int i = 0; i < 3; i++) {
    pids[i] = fork();
    if (pids[i] == 0) _exit(op1(id, 0, i == 2 ? -1 : -2, 0) == 0 ? i : 50);
    until(id, 0, GETNCNT, i + 1);
  }
  out("waiting %d, for zero %d", semctl(id, 0, GETNCNT), semctl(id, 0, GETZCNT));
  R(op1(id, 0, 1, 0));
  reap("the last, which wants least", pids[2]);
  R(op1(id, 0, 2, 0));
  reap("the first", pids[0]);
  T(semctl(id, 0, GETPID) == pids[0]);
  R(op1(id, 0, 2, 0));
  reap("the second", pids[1]);
  show("taken", id, 2);
  op1(id, 0, 2, 0);
  pid_t zero = fork();
  if (zero == 0) {
    struct sembuf ops[2] = {{0, 0, 0}, {1, 7, 0}};
    _exit(semop(id, ops, 2) == 0 ? 1 : 50);
  }
  until(id, 0, GETZCNT, 1);
  R(op1(id, 0, -1, 0));
  R(op1(id, 0, -1, 0));
  reap("zero", zero);
  show("after zero", id, 2);
  pid_t killed = fork();
  if (killed == 0) _exit(op1(id, 0, -1, 0));
  until(id, 0, GETNCNT, 1);
  kill(killed, SIGKILL);
  reap("killed", killed);
  out("waiting %d", semctl(id, 0, GETNCNT));
  R(op1(id, 0, 1, 0));
  show("not taken by the dead", id, 2);
  pid_t removed = fork();
  if (removed == 0) _exit(op1(id, 0, -5, 0) < 0 && errno == EIDRM ? 4 : 50);
  until(id, 0, GETNCNT, 1);
  R(semctl(id, 0, IPC_RMID));
  reap("removed", removed);
}

static void on_alarm(int signo) { (void)signo; }

static void interrupted(void) {
  int id = set(1);
  struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &sa, NULL);
  pid_t pid = fork();
  if (pid == 0) {
    R(op1(id, 0, -1, 0));
    _exit(0);
  }
  until(id, 0, GETNCNT, 1);
  kill(pid, SIGUSR1);
  reap("interrupted", pid);
  out("waiting %d", semctl(id, 0, GETNCNT));
  R(semctl(id, 0, IPC_RMID));
}

static void undoing(void) {
  int id = set(3);
  unsigned short many[3] = {5, 5, 32767};
  semctl(id, 0, SETALL, many);
  IN_CHILD("undo", {
    R(op1(id, 0, -2, SEM_UNDO));
    R(op1(id, 0, -1, SEM_UNDO));
    R(op1(id, 0, -1, 0));
    R(op1(id, 1, 3, SEM_UNDO));
    R(op1(id, 1, -8, 0));
    R(op1(id, 2, -32767, SEM_UNDO));
    R(op1(id, 2, 1000, 0));
    R(op1(id, 2, -1000, SEM_UNDO));
    show("within", id, 3);
    IN_CHILD("a child has nothing to undo", (void)0);
  });
  show("undone", id, 3);
  IN_CHILD("SETVAL forgets", {
    R(op1(id, 0, 3, SEM_UNDO));
    R(op1(id, 1, 3, SEM_UNDO));
    R(semctl(id, 0, SETVAL, 9));
  });
  show("forgotten", id, 3);
  semctl(id, 0, SETVAL, 1);
  pid_t holder = fork();
  if (holder == 0) {
    op1(id, 0, -1, SEM_UNDO);
    pause();
  }
  while (value(id, 0) != 0) sleep_ms(1);
  pid_t next = fork();
  if (next == 0) _exit(op1(id, 0, -1, SEM_UNDO) == 0 ? 3 : 50);
  until(id, 0, GETNCNT, 1);
  kill(holder, SIGKILL);
  reap("holder", holder);
  reap("next", next);
  show("back", id, 3);
  R(semctl(id, 0, IPC_RMID));
}

static void asides(void) {
  struct seminfo info;
  T(semctl(0, 0, IPC_INFO, &info) >= 0);
  out("sets %d, of one %d, at once %d, value %d", info.semmni, info.semmsl, info.semopm, info.semvmx);
  int id = set(4), found = 0, listed = 0;
  struct semid_ds ds;
  int highest = semctl(0, 0, SEM_INFO, &info);
  for (int i = 0; i <= highest; i++) found |= semctl(i, 0, SEM_STAT, &ds) == id;
  T(found);
  T(info.semusz > 0 && info.semaem >= 4);
  char line[256];
  int key, semid;
  FILE *list = fopen("/proc/sysvipc/sem", "r");
  while (fgets(line, sizeof line, list)) listed |= sscanf(line, "%d %d", &key, &semid) == 2 && semid == id;
  fclose(list);
  T(listed);
  R(semctl(id, 0, IPC_RMID));
}

int main(void) {
  keys();
  values();
  sleeping();
  interrupted();
  undoing();
  asides();
  return 0;
}
