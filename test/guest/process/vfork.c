/* vfork, clone and clone3 by hand: sharing, flags and their errors. */
#include "guest.h"
#include <linux/sched.h>
#include <sched.h>

static volatile int shared;
static char stack[65536] __attribute__((aligned(16)));

static int child_sets(void *arg) {
  shared = (int)(long)arg;
  return 12;
}

static int child_chdir(void *arg) {
  (void)arg;
  mkdir("sub", 0755);
  return chdir("sub") < 0;
}

static int child_closes(void *arg) {
  close((int)(long)arg);
  return 0;
}

static long clone3(struct clone_args *args, size_t size) { return syscall(SYS_clone3, args, size); }

int main(void) {
  pid_t pid = vfork();
  if (pid == 0) {
    shared = 1;
    _exit(9);
  }
  out("shared after vfork %d", shared);
  reap("vfork", pid);
  pid = vfork();
  if (pid == 0) {
    char *args[] = {"x", NULL};
    execve("/no/such", args, args);
    shared = errno;
    _exit(127);
  }
  out("exec in vfork: %s", errno_name(shared));
  reap("vfork exec", pid);

  void *top = stack + sizeof stack;
  pid = clone(child_sets, top, SIGCHLD, (void *)77L);
  reap("clone", pid);
  out("not shared: %d", shared == 77);
  pid = clone(child_sets, top, CLONE_VM | SIGCHLD, (void *)78L);
  reap("clone vm", pid);
  out("shared: %d", shared == 78);
  pid = clone(child_chdir, top, CLONE_FS | SIGCHLD, NULL);
  reap("clone fs", pid);
  char path[200];
  T(getcwd(path, sizeof path) && strcmp(path + strlen(path) - 4, "/sub") == 0);
  int fd = dup(1);
  pid = clone(child_closes, top, CLONE_FILES | SIGCHLD, (void *)(long)fd);
  reap("clone files", pid);
  R(fcntl(fd, F_GETFD));
  pid = clone(child_sets, top, 0, NULL);
  int status;
  R(waitpid(pid, &status, 0));
  T(waitpid(pid, &status, __WCLONE) == pid);
  report_status("no exit signal", status);
  pid_t parent_tid = 0;
  pid = clone(child_sets, top, CLONE_PARENT_SETTID | SIGCHLD, NULL, &parent_tid);
  T(parent_tid == pid);
  reap("parent settid", pid);
  R(clone(child_sets, top, CLONE_THREAD | SIGCHLD, NULL));
  R(clone(child_sets, top, CLONE_SIGHAND | SIGCHLD, NULL));
  R(clone(child_sets, top, CLONE_NEWNS | CLONE_FS | SIGCHLD, NULL));

  struct clone_args args = {.exit_signal = SIGCHLD};
  pid = (pid_t)clone3(&args, sizeof args);
  if (pid == 0) _exit(6);
  reap("clone3", pid);
  R(clone3(&args, 8));
  args.flags = 1ull << 63;
  R(clone3(&args, sizeof args));
  R(clone3((struct clone_args *)8, sizeof args));
  args.flags = CLONE_THREAD;
  R(clone3(&args, sizeof args));
  return 0;
}
