/* execve: arguments, environment, what survives it, and how it fails. */
#include "guest.h"
#include <sys/prctl.h>
#include <sys/resource.h>

extern char **environ;

static void show(int argc, char **argv) {
  out("argc %d", argc);
  for (int i = 1; i < argc; i++) out("argv[%d] = [%s]", i, argv[i]);
  for (char **e = environ; *e; e++) out("env [%s]", *e);
  struct sigaction sa;
  sigaction(SIGUSR1, NULL, &sa);
  out("SIGUSR1 %s", sa.sa_handler == SIG_DFL ? "default" : sa.sa_handler == SIG_IGN ? "ignored" : "handler");
  sigaction(SIGUSR2, NULL, &sa);
  out("SIGUSR2 %s", sa.sa_handler == SIG_IGN ? "ignored" : "other");
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  out("SIGHUP blocked %d, SIGTERM blocked %d", sigismember(&mask, SIGHUP), sigismember(&mask, SIGTERM));
  sigpending(&mask);
  out("SIGHUP pending %d", sigismember(&mask, SIGHUP));
  out("fd 50 %s, fd 51 %s", fcntl(50, F_GETFD) < 0 ? "closed" : "open", fcntl(51, F_GETFD) < 0 ? "closed" : "open");
  char comm[16];
  prctl(PR_GET_NAME, comm);
  out("comm %s, umask %o", comm, umask(0));
}

static void on_signal(int signo) { (void)signo; }

int main(int argc, char **argv) {
  if (argc > 1 && strncmp(argv[1], "show", 4) == 0) {
    show(argc, argv);
    return 17;
  }
  IN_CHILD("exec", {
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, SIG_IGN);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    raise(SIGHUP);
    dup2(1, 50);
    dup3(1, 51, O_CLOEXEC);
    umask(027);
    prctl(PR_SET_NAME, "before");
    char *args[] = {"zero", "show", "", "two words", "\xff\xfe", NULL};
    char *env[] = {"A=1", "B", "", "LONG=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", NULL};
    execve("/proc/self/exe", args, env);
    out("exec failed %s", errno_name(errno));
  });

  char *none[] = {"x", NULL};
  write_file("empty", "");
  chmod("empty", 0755);
  write_file("text", "not a program\n");
  R(execve("/no/such", none, none));
  R(execve("text", none, none));
  chmod("text", 0755);
  R(execve("text", none, none));
  R(execve("empty", none, none));
  R(execve("/tmp", none, none));
  R(execve("text/x", none, none));
  R(execve("", none, none));
  R(execve((char *)1, none, none));
  R(execve("text", (char **)1, none));
  write_file("bad_elf", "\177ELF\2\1\1");
  chmod("bad_elf", 0755);
  R(execve("bad_elf", none, none));
  write_file("self_script", "#!./self_script\n");
  chmod("self_script", 0755);
  R(execve("self_script", none, none));
  write_file("no_interpreter", "#!/no/such/interpreter\n");
  chmod("no_interpreter", 0755);
  R(execve("no_interpreter", none, none));

  /* A script: the interpreter sees itself, one optional argument, the path, then the rest. */
  char path[256];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  path[n > 0 ? n : 0] = 0;
  symlink(path, "link");
  write_file("script", "#!link show and more  \nignored\n");
  chmod("script", 0755);
  IN_CHILD("script", {
    char *args[] = {"lost", "given", NULL};
    char *env[] = {"E=1", NULL};
    execve("./script", args, env);
    out("script failed %s", errno_name(errno));
  });
  /* fexecve, and execveat with AT_EMPTY_PATH. */
  IN_CHILD("fexecve", {
    char *args[] = {"by descriptor", "show", NULL};
    char *env[] = {NULL};
    fexecve(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), args, env);
    out("fexecve failed %s", errno_name(errno));
  });
  /* Too much. */
  IN_CHILD("too big", {
    struct rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_STACK, &limit);
    static char big[130000];
    memset(big, 'x', sizeof big - 1);
    char *args[20];
    for (int i = 0; i < 19; i++) args[i] = big;
    args[19] = NULL;
    R(execve("/proc/self/exe", args, none));
    static char huge[140000];
    memset(huge, 'x', sizeof huge - 1);
    char *one[] = {"x", huge, NULL};
    R(execve("/proc/self/exe", one, none));
  });
  return 0;
}
