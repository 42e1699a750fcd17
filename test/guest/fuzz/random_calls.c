/*
 * Random system calls with half-valid arguments, from a fixed seed. Children do them, since many end
 * in a signal or a hang; the parent bounds each in time. It passes if the kernel lives to the end.
 * Excluded is only what would end the test itself: signals to everyone, reboot, closing the report.
 * It is root and means no good: it runs in a sandbox and never on the host's kernel.
 */
#include "guest.h"
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>

enum { CHILDREN = 200, CALLS = 400, CHILD_MS = 1500 };

static uint64_t state;
static char *area;
static char words[4096] __attribute__((aligned(64)));

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static const char *paths[] = {".", "..", "/", "f", "d", "d/x", "/proc/self/maps", "/proc/self/fd/0", "/dev/null", "/dev/zero", "/tmp", "none/none", "", "/proc/self/mem", "/dev/ptmx", "l", "/proc", "/sys", "/dev/pts/0"};

/* Values that are nearly right for something. */
static long argument(void) {
  switch (next() % 14) {
    case 0: return 0;
    case 1: return -1;
    case 2: return (long)(next() % 16);
    case 3: return (long)(next() % 64);
    case 4: return (long)(1ul << (next() % 64));
    case 5: return (long)next();
    case 6: return (long)(area + next() % 65536);
    case 7: return (long)(area + (next() % 16) * 4096);
    case 8: return (long)words;
    case 9: return (long)(words + next() % 4000);
    case 10: return (long)paths[next() % (sizeof paths / sizeof *paths)];
    case 11: return (long)(next() % 5000);
    case 12: return (long)(0x7ffffffff000ul - (next() % 3) * 4096);
    default: return (long)(int)next();
  }
}

static int forbidden(long nr, const long *a) {
  switch (nr) {
    case SYS_exit:
    case SYS_exit_group:
    case SYS_reboot:
    case SYS_kexec_load:
    case SYS_kexec_file_load:
    case SYS_init_module:
    case SYS_finit_module:
    case SYS_delete_module:
    case SYS_swapon:
    case SYS_swapoff:
    case SYS_settimeofday:
    case SYS_clock_settime:
    case SYS_adjtimex:
    case SYS_clock_adjtime:
    case SYS_ioperm:
    case SYS_iopl:
    case SYS_bpf:
    case SYS_syslog:
    case SYS_acct:
    case SYS_quotactl:
    case SYS_nfsservctl:
    case SYS_vhangup:
    case SYS_sethostname:
    case SYS_setdomainname:
    case SYS_pivot_root:
    case SYS_umount2:
    case SYS_ptrace:
    case SYS_setpriority:
    case SYS_sched_setscheduler:
    case SYS_sched_setattr:
    case SYS_sched_setaffinity:
    case SYS_setns:
    case SYS_keyctl:
    case SYS_perf_event_open: return 1;
    case SYS_kill:
    case SYS_tkill:
    case SYS_rt_sigqueueinfo: return (pid_t)a[0] <= 1 || a[0] == getppid();
    case SYS_tgkill:
    case SYS_rt_tgsigqueueinfo: return (pid_t)a[0] <= 1 || (pid_t)a[1] <= 1 || a[0] == getppid();
    /* A child of the fuzzer that lives on would not be waited for. */
    case SYS_clone:
    case SYS_fork:
    case SYS_vfork:
    case SYS_clone3: return 1;
    default: return 0;
  }
}

static void prepare(void) {
  area = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (unsigned i = 0; i < sizeof words; i += 8) {
    uint64_t value = next() % 3 == 0 ? next() : next() % 100;
    memcpy(words + i, &value, 8);
  }
  memcpy(area, words, sizeof words);
  mkdir("d", 0755);
  write_file("f", "some contents");
  symlink("f", "l");
  int p[2];
  pipe2(p, O_NONBLOCK);
  socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p);
  eventfd(1, EFD_NONBLOCK);
  epoll_create1(0);
  open("f", O_RDWR);
  open(".", O_RDONLY);
  open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
  socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
}

static void child(int index) {
  state = 0x9e3779b97f4a7c15ul * (uint64_t)(index + 1);
  close(1);
  close(2);
  setpgid(0, 0);
  struct rlimit limit = {64 << 20, 64 << 20};
  setrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = limit.rlim_max = 1ul << 30;
  setrlimit(RLIMIT_AS, &limit);
  char directory[32];
  snprintf(directory, sizeof directory, "w%d", index);
  mkdir(directory, 0755);
  if (chdir(directory) < 0) _exit(1);
  prepare();
  for (int i = 0; i < CALLS; i++) {
    long nr = (long)(next() % 464), a[6];
    for (int k = 0; k < 6; k++) a[k] = argument();
    if (forbidden(nr, a)) continue;
    struct itimerval soon = {{0, 0}, {0, 50000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  _exit(0);
}

int main(void) {
  int ended = 0;
  for (int i = 0; i < CHILDREN; i++) {
    pid_t pid = fork();
    if (pid == 0) child(i);
    int status = 0;
    int waited = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
      if (waited++ * 5 > CHILD_MS) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        break;
      }
      sleep_ms(5);
    }
    ended++;
  }
  out("children ended %d", ended);
  IN_CHILD("the kernel still works", {
    write_file("after", "x");
    out("wrote");
  });
  return 0;
}
