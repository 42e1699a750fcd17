/* fork and wait, with execve of PROGRAM between them if there is one: spawn [PROGRAM]. */
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

static void spawn(void *arg) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    if (arg) execl(arg, arg, NULL);
    _exit(arg ? 127 : 0);
  }
  if (pid < 0 || wait(&status) != pid || status != 0) fail("spawn");
}

int main(int argc, char **argv) {
  measure(spawn, argc > 1 ? argv[1] : NULL);
  return 0;
}
