/* What may and may not happen to a sleeping call: the end of its process, the close of its file. */
#include "guest.h"
#include <pthread.h>

static int ends[2];
static char received;

static void *reader(void *arg) {
  (void)arg;
  return (void *)read(ends[0], &received, 1);
}

/* A parent that waits for its vfork child dies at once of a signal that ends it. */
static void kill_vfork_parent(int signo) {
  pid_t parent = fork();
  if (parent == 0) {
    if (vfork() == 0) {
      sleep(2);
      _exit(0);
    }
    _exit(1);
  }
  usleep(50000);
  kill(parent, signo);
  int status = 0;
  pid_t ended = 0;
  for (int i = 0; i < 100 && ended == 0; i++) {
    usleep(10000);
    ended = waitpid(parent, &status, WNOHANG);
  }
  T(ended == parent);
  report_status("vfork parent", status);
}

int main(void) {
  kill_vfork_parent(SIGKILL);
  kill_vfork_parent(SIGTERM);

  signal(SIGPIPE, SIG_IGN);
  OK(pipe(ends));
  pthread_t thread;
  void *result = NULL;
  pthread_create(&thread, NULL, reader, NULL);
  usleep(50000);
  R(close(ends[0]));
  R(write(ends[1], "x", 1));
  pthread_join(thread, &result);
  out("the reader got %ld %c", (long)result, received);
  R(write(ends[1], "x", 1));
  return 0;
}
