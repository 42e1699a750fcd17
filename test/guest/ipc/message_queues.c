/* System V message queues: order and types, room, who sleeps, copies, and the end of a queue. */
#include "guest.h"
#include <sys/ipc.h>
#include <sys/msg.h>

/* Natively the program shares keys with the whole machine. */
#define KEY (0x67770000 | getpid())

static struct {
  long type;
  char text[9000];
} m;

static int put(int id, long type, const char *text, int flags) {
  m.type = type;
  strcpy(m.text, text);
  return msgsnd(id, &m, strlen(text), flags);
}

static void get(int id, size_t size, long type, int flags) {
  memset(&m, 0, sizeof m);
  long n = msgrcv(id, &m, size, type, flags);
  if (n < 0) out("type %ld, flags %x: %s", type, flags, errno_name(errno));
  else out("type %ld, flags %x: %ld of type %ld '%s'", type, flags, n, m.type, m.text);
}

static struct msqid_ds stat_of(int id) {
  struct msqid_ds ds;
  memset(&ds, 0, sizeof ds);
  if (msgctl(id, IPC_STAT, &ds) < 0) out("IPC_STAT: %s", errno_name(errno));
  return ds;
}

static void show(const char *what, int id) {
  struct msqid_ds ds = stat_of(id);
  out("%s: %lu messages, %lu of %lu bytes, mode %o, sent %d by me %d, received %d by me %d", what,
      (unsigned long)ds.msg_qnum, (unsigned long)ds.__msg_cbytes, (unsigned long)ds.msg_qbytes, ds.msg_perm.mode,
      ds.msg_stime != 0, ds.msg_lspid == getpid(), ds.msg_rtime != 0, ds.msg_lrpid == getpid());
}

static void keys(void) {
  R(msgget(KEY, 0600));
  int id = msgget(KEY, IPC_CREAT | 0640);
  T(id >= 0 && msgget(KEY, 0) == id);
  R(msgget(KEY, IPC_CREAT | IPC_EXCL));
  show("new", id);
  struct msqid_ds ds = stat_of(id);
  ds.msg_qbytes = 5000;
  ds.msg_perm.mode = 0604;
  R(msgctl(id, IPC_SET, &ds));
  show("set", id);
  R(put(id, 1, "for all", 0));
  IN_CHILD("another user", {
    if (setgid(54321) || setuid(54321)) _exit(1);
    R(put(id, 1, "x", IPC_NOWAIT));
    R(msgctl(id, IPC_SET, &ds));
    R(msgctl(id, IPC_RMID, NULL));
    get(id, 100, 0, IPC_NOWAIT);
    int own = msgget(IPC_PRIVATE, 0600);
    ds.msg_qbytes = 16385;
    R(msgctl(own, IPC_SET, &ds));
    R(msgctl(own, IPC_RMID, NULL));
  });
  R(msgctl(id, 99, NULL));
  R(msgctl(-1, IPC_RMID, NULL));
  R(msgctl(id, IPC_RMID, NULL));
  R(put(id, 1, "x", 0));
  get(id, 100, 0, 0);
}

static void order(void) {
  int id = msgget(IPC_PRIVATE, 0600);
  R(put(id, 0, "x", 0));
  R(put(id, -1, "x", 0));
  R(msgsnd(id, &m, 8193, 0));
  R(msgsnd(id, &m, -1, 0));
  R(msgsnd(id, (void *)8, 1, 0));
  R(put(-1, 1, "x", 0));
  const char *texts[] = {"five", "two", "nine", "another two", "", "last"};
  long types[] = {5, 2, 9, 2, 0x7fffffffffffffff, 5};
  for (int i = 0; i < 6; i++) put(id, types[i], texts[i], 0);
  show("six", id);
  get(id, 100, 3, IPC_NOWAIT | MSG_COPY);
  get(id, 100, 6, IPC_NOWAIT | MSG_COPY);
  get(id, 100, -1, IPC_NOWAIT | MSG_COPY);
  get(id, 100, 0, MSG_COPY);
  get(id, 100, 7, IPC_NOWAIT);
  get(id, 100, -1, IPC_NOWAIT);
  get(id, 2, 9, 0);
  get(id, 2, 9, MSG_NOERROR);
  get(id, 100, 5, MSG_EXCEPT);
  get(id, 100, -5, 0);
  get(id, 100, 5, MSG_EXCEPT);
  get(id, 100, -5, 0);
  get(id, -1, 0, 0);
  get(id, 100, 0, 0);
  get(id, 100, 0, IPC_NOWAIT);
  R(put(id, 1, "lost", 0));
  R(msgrcv(id, (void *)8, 10, 0, 0));
  show("empty", id);
  int n = 0;
  while (msgsnd(id, &m, 1000, IPC_NOWAIT) == 0) n++;
  out("%d, then %s", n, errno_name(errno));
  R(msgctl(id, IPC_RMID, NULL));
}

static void until_asleep(pid_t pid) {
  char path[64], state = 'R';
  sprintf(path, "/proc/%d/stat", pid);
  while (state != 'S' && state != 'Z') {
    sleep_ms(1);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 'S';
    if (f) fclose(f);
  }
}

static void on_signal(int signo) { (void)signo; }

static void sleeping(void) {
  int id = msgget(IPC_PRIVATE, 0600);
  /* The first wants another type, the second has no room for it. */
  long wanted[] = {3, 0, -4};
  size_t sizes[] = {100, 3, 100};
  pid_t pids[3];
  for (int i = 0; i < 3; i++) {
    pids[i] = fork();
    if (pids[i] == 0) {
      long n = msgrcv(id, &m, sizes[i], wanted[i], 0);
      _exit(n < 0 ? (errno == E2BIG ? 70 : 71) : (int)(n + m.type));
    }
    until_asleep(pids[i]);
  }
  R(put(id, 4, "four", 0));
  reap("too small", pids[1]);
  reap("up to four", pids[2]);
  R(put(id, 5, "nobody's", 0));
  R(put(id, 3, "three", 0));
  reap("three", pids[0]);
  show("left", id);
  T(stat_of(id).msg_lrpid == pids[0]);
  get(id, 100, 0, 0);
  while (msgsnd(id, &m, 1000, IPC_NOWAIT) == 0) continue;
  while (msgsnd(id, &m, 1, IPC_NOWAIT) == 0) continue;
  pid_t sender = fork();
  if (sender == 0) _exit(put(id, 9, "waited", 0) == 0 ? 5 : 50);
  until_asleep(sender);
  while (msgrcv(id, &m, 1000, -8, IPC_NOWAIT) >= 0) continue;
  reap("sender", sender);
  get(id, 100, 0, 0);
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &sa, NULL);
  pid_t receiver = fork();
  if (receiver == 0) _exit(msgrcv(id, &m, 10, 0, 0) < 0 && errno == EINTR ? 6 : 50);
  until_asleep(receiver);
  kill(receiver, SIGUSR1);
  reap("interrupted", receiver);
  receiver = fork();
  if (receiver == 0) _exit(msgrcv(id, &m, 10, 0, 0));
  until_asleep(receiver);
  kill(receiver, SIGKILL);
  reap("killed", receiver);
  R(put(id, 1, "not for the dead", 0));
  get(id, 100, 0, IPC_NOWAIT);
  receiver = fork();
  if (receiver == 0) _exit(msgrcv(id, &m, 10, 0, 0) < 0 && errno == EIDRM ? 7 : 50);
  until_asleep(receiver);
  R(msgctl(id, IPC_RMID, NULL));
  reap("removed", receiver);
}

static void asides(void) {
  struct msginfo info;
  struct msqid_ds ds;
  T(msgctl(0, IPC_INFO, (struct msqid_ds *)&info) >= 0);
  out("max %d, bytes %d, queues %d", info.msgmax, info.msgmnb, info.msgmni);
  int id = msgget(IPC_PRIVATE, 0600), found = 0, listed = 0;
  put(id, 1, "text", 0);
  int highest = msgctl(0, MSG_INFO, (struct msqid_ds *)&info);
  T(info.msgpool > 0 && info.msgmap > 0 && info.msgtql >= 4);
  for (int i = 0; i <= highest; i++) found |= msgctl(i, MSG_STAT, &ds) == id;
  T(found);
  char line[256];
  int key, msqid;
  FILE *list = fopen("/proc/sysvipc/msg", "r");
  while (fgets(line, sizeof line, list)) listed |= sscanf(line, "%d %d", &key, &msqid) == 2 && msqid == id;
  fclose(list);
  T(listed);
  R(msgctl(id, IPC_RMID, NULL));
}

int main(void) {
  keys();
  order();
  sleeping();
  asides();
  return 0;
}
