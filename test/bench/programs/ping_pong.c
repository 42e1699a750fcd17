/* There and back: ping_pong pipe, between two processes; ping_pong futex, between two threads. */
#include "bench.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static int there[2], back[2];
static _Atomic unsigned turn;

static void over_pipe(void *arg) {
  char c = 0;
  (void)arg;
  if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) fail("pipe");
}

static void pass(unsigned from, unsigned to) {
  while (turn != from) syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, to, NULL);
  turn = to;
  syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void over_futex(void *arg) {
  (void)arg;
  pass(0, 1);
}

static void *answer(void *arg) {
  for (;;) pass(1, 0);
  return arg;
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "futex")) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, answer, NULL) != 0) return 1;
    measure(over_futex, NULL);
    return 0;
  }
  if (pipe(there) != 0 || pipe(back) != 0) fail("pipe");
  if (fork() == 0) {
    char c;
    close(there[1]);
    while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1) continue;
    _exit(0);
  }
  close(there[0]);
  measure(over_pipe, NULL);
  return 0;
}
