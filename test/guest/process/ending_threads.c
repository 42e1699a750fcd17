/* Threads that end at awkward moments: while starting, while others compute, while one executes. */
#include "guest.h"
#include <pthread.h>
#include <sched.h>

#define ROUNDS 30

static void *spin(void *arg) {
  volatile long *count = arg;
  for (;;) ++*count;
  return NULL;
}

static void *leave(void *arg) { return arg; }

static volatile long counts[8];
static pthread_t threads[8];

static void start_spinning(int n) {
  for (int i = 0; i < n; i++) pthread_create(&threads[i], NULL, spin, (void *)&counts[i]);
}

static int bare_thread(void *arg) {
  (void)arg;
  return 0;
}

/* A thread of which nobody waits to hear that it runs. */
static void start_bare(void) {
  static char stacks[64][4096] __attribute__((aligned(16)));
  static int next;
  int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  if (clone(bare_thread, stacks[next++ % 64] + 4096, flags, NULL) < 0) _exit(50);
}

static void *exec_self(void *arg) {
  char *args[] = {"self", arg, NULL};
  char *env[] = {NULL};
  execve("/proc/self/exe", args, env);
  _exit(51);
}

/* How often a round of `body` in a child ends as `wanted`, a wait status. */
#define ROUNDS_OF(name, wanted, ...)                \
  do {                                              \
    int good = 0;                                   \
    for (int round = 0; round < ROUNDS; round++) {  \
      int status = 0;                               \
      pid_t pid = fork();                           \
      if (pid == 0) {                               \
        __VA_ARGS__;                                \
        _exit(52);                                  \
      }                                             \
      if (waitpid(pid, &status, 0) != pid) break;   \
      good += status == (wanted);                   \
    }                                               \
    out("%s: %d of %d", name, good, ROUNDS);        \
  } while (0)

int main(int argc, char **argv) {
  if (argc > 1) {
    /* After execve: the other threads are gone, and new ones can be made. */
    if (strcmp(argv[1], "count") != 0) return 53;
    int tasks = 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d", getpid());
    tasks += access(path, F_OK) == 0;
    pthread_create(&threads[0], NULL, leave, NULL);
    pthread_join(threads[0], NULL);
    return 8 + tasks;
  }
  ROUNDS_OF("exit_group while others compute", 21 << 8, {
    start_spinning(3);
    if (round % 2) sched_yield();
    _exit(21);
  });
  ROUNDS_OF("exit_group right after a thread was made", 22 << 8, {
    start_bare();
    _exit(22);
  });
  ROUNDS_OF("killed while threads start", SIGKILL, {
    for (int i = 0; i < 5; i++) start_bare();
    kill(getpid(), SIGKILL);
    pause();
  });
  ROUNDS_OF("execve while others compute", 9 << 8, {
    start_spinning(3);
    if (round % 2) sleep_ms(1);
    exec_self("count");
  });
  ROUNDS_OF("execve by a thread while the others compute", 9 << 8, {
    start_spinning(2);
    pthread_create(&threads[7], NULL, exec_self, "count");
    spin((void *)&counts[7]);
  });
  ROUNDS_OF("two threads execute at once", 9 << 8, {
    pthread_create(&threads[6], NULL, exec_self, "count");
    pthread_create(&threads[7], NULL, exec_self, "count");
    pause();
  });
  ROUNDS_OF("the first thread leaves, the last computes and is killed", SIGTERM, {
    start_spinning(1);
    pid_t self = getpid();
    pid_t killer = vfork();
    if (killer == 0) {
      kill(self, SIGTERM);
      _exit(0);
    }
    pthread_exit(NULL);
  });
  ROUNDS_OF("threads come and go while one forks", 23 << 8, {
    for (int i = 0; i < 4; i++) {
      pthread_create(&threads[i], NULL, leave, NULL);
      pid_t child = fork();
      if (child == 0) _exit(0);
      waitpid(child, NULL, 0);
      pthread_join(threads[i], NULL);
    }
    _exit(23);
  });
  return 0;
}
