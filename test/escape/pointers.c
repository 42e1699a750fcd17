/*
 * Every pointer argument points into memory that a second thread writes over and over: structures change
 * between any two reads of them, counts grow after they were checked, paths grow a "..". The Sentry must
 * read each word once, or not mind.
 */
#include "escape.h"
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { PAGES = 4, BYTES = PAGES * 4096, ROUND_MS = 40 };

static volatile char *hot;
static volatile int stop;
static char paths[4][256];

/* Structures of every kind lie in the hot pages; the writer makes them right, then wrong. */
static void *writer(void *unused) {
  (void)unused;
  uint64_t state = 88172645463325252ul;
  uint64_t *words = (uint64_t *)hot;
  while (!stop) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    unsigned at = (unsigned)(state >> 20) % (BYTES / 8);
    switch (state % 9) {
      case 0: words[at] = (uint64_t)hot + (state >> 40) % BYTES; break;
      case 1: words[at] = (state >> 40) % 64; break;
      case 2: words[at] = state; break;
      case 3: words[at] = (uint64_t)-1; break;
      case 4: words[at] = 0x7ffffffff000; break;
      case 5: words[at] = 1ul << (state >> 58); break;
      case 6: memcpy((void *)&hot[at * 8 % (BYTES - 256)], paths[(state >> 33) % 4], 64); break;
      case 7: words[at] = 0; break;
      default: words[at] = (state >> 40) % 8192;
    }
  }
  return NULL;
}

static const struct {
  long nr;
  const char *arguments; /* p: into the hot pages; f s e: descriptors; digits: as they stand */
} calls[] = {
  {SYS_openat, "dp20"}, {SYS_openat2, "dpp"}, {SYS_open, "p2"}, {SYS_stat, "pp"}, {SYS_newfstatat, "dpp0"}, {SYS_statx, "dp0pp"}, {SYS_readv, "fp8"}, {SYS_writev, "fp8"}, {SYS_preadv, "fp80"}, {SYS_pwritev, "fp80"}, {SYS_read, "fp4"}, {SYS_write, "fp9"}, {SYS_sendmsg, "sp8"}, {SYS_recvmsg, "sp8"}, {SYS_sendmmsg, "sp48"}, {SYS_recvmmsg, "sp48p"}, {SYS_sendto, "sp8pp9"}, {SYS_connect, "sp9"}, {SYS_bind, "sp9"}, {SYS_getsockname, "spp"}, {SYS_accept, "spp"}, {SYS_setsockopt, "s11p9"}, {SYS_getsockopt, "s11pp"}, {SYS_poll, "p80"}, {SYS_ppoll, "p8pp8"}, {SYS_select, "9pppp"}, {SYS_pselect6, "9ppppp"}, {SYS_epoll_ctl, "e1fp"}, {SYS_epoll_wait, "ep80"}, {SYS_epoll_pwait2, "ep8pp8"}, {SYS_futex, "p02pp1"}, {SYS_futex, "p12pp1"}, {SYS_futex, "p32pp1"}, {SYS_nanosleep, "pp"}, {SYS_clock_nanosleep, "11pp"}, {SYS_clock_gettime, "1p"}, {SYS_setitimer, "1pp"}, {SYS_timer_create, "1pp"}, {SYS_rt_sigaction, "9pp8"}, {SYS_rt_sigprocmask, "0pp8"}, {SYS_sigaltstack, "pp"}, {SYS_rt_sigtimedwait, "ppp8"}, {SYS_readlink, "pp9"}, {SYS_rename, "pp"}, {SYS_link, "pp"}, {SYS_symlink, "pp"}, {SYS_mkdir, "p7"}, {SYS_unlink, "p"}, {SYS_rmdir, "p"}, {SYS_chdir, "p"}, {SYS_truncate, "p4"}, {SYS_utimensat, "dpp0"}, {SYS_setxattr, "ppp90"}, {SYS_getxattr, "ppp9"}, {SYS_listxattr, "pp9"}, {SYS_removexattr, "pp"}, {SYS_execve, "ppp"}, {SYS_execveat, "dppp0"}, {SYS_mount, "pppp0"}, {SYS_statfs, "pp"}, {SYS_getdents64, "dp9"}, {SYS_ioctl, "fTp"}, {SYS_ioctl, "sNp"}, {SYS_fcntl, "f5p"}, {SYS_fcntl, "f6p"}, {SYS_prlimit64, "07pp"}, {SYS_sched_setattr, "0p0"}, {SYS_sched_getattr, "0p90"}, {SYS_getgroups, "9p"}, {SYS_setgroups, "9p"}, {SYS_capget, "pp"}, {SYS_capset, "pp"}, {SYS_wait4, "0p1p"}, {SYS_waitid, "00p5p"}, {SYS_times, "p"}, {SYS_sysinfo, "p"}, {SYS_uname, "p"}, {SYS_getrandom, "p90"}, {SYS_process_vm_readv, "Pp4p40"}, {SYS_process_vm_writev, "Pp4p40"}, {SYS_mincore, "p9p"}, {SYS_pipe2, "p0"}, {SYS_socketpair, "110p"}, {SYS_sendfile, "ffp9"}, {SYS_splice, "fpsp90"}, {SYS_copy_file_range, "fpfp90"}, {SYS_memfd_create, "p0"}, {SYS_inotify_add_watch, "fp9"}, {SYS_signalfd4, "fp80"}, {SYS_timerfd_settime, "f0pp"}, {SYS_prctl, "Vp"}, {SYS_arch_prctl, "Ap"}, {SYS_set_robust_list, "p"}, {SYS_name_to_handle_at, "dppp0"}, {SYS_open_by_handle_at, "dp0"}, {SYS_add_key, "ppp91"}, {SYS_seccomp, "10p"}, {SYS_clone3, "p9"}, {SYS_rseq, "p"}, {SYS_futex_waitv, "p40p1"},
};

static void round_of(unsigned which, uint64_t seed) {
  int file = open("/rw/hot", O_RDWR | O_CREAT | O_NONBLOCK, 0644);
  int directory = open("/rw", O_RDONLY);
  int pair[2], epoll = epoll_create1(0);
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) < 0) _exit(1);
  pthread_t thread;
  pthread_create(&thread, NULL, writer, NULL);
  struct timespec began, t;
  clock_gettime(CLOCK_MONOTONIC, &began);
  do {
    long a[6] = {0};
    for (int i = 0; calls[which].arguments[i]; i++) {
      seed = seed * 6364136223846793005ul + 1442695040888963407ul;
      switch (calls[which].arguments[i]) {
        case 'p': a[i] = (long)hot + (long)((seed >> 33) % (BYTES - 512) & ~7ul); break;
        case 'f': a[i] = file; break;
        case 's': a[i] = pair[(seed >> 40) & 1]; break;
        case 'e': a[i] = epoll; break;
        case 'd': a[i] = directory; break;
        case 'T': a[i] = (long)(0x5401 + (seed >> 40) % 64); break;
        case 'N': a[i] = (long)(0x8900 + (seed >> 40) % 64); break;
        case 'P': a[i] = getpid(); break;
        case 'V': a[i] = (long)((seed >> 40) % 64); break;
        case 'A': a[i] = (long)(0x1003 + (seed >> 40) % 2); break;
        case '9': a[i] = 4096; break;
        default: a[i] = calls[which].arguments[i] - '0';
      }
    }
    struct { struct timeval every, next; } soon = {{0, 5000}, {0, 5000}};
    syscall(SYS_setitimer, 0, &soon, NULL);
    syscall(calls[which].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    clock_gettime(CLOCK_MONOTONIC, &t);
  } while ((t.tv_sec - began.tv_sec) * 1000 + (t.tv_nsec - began.tv_nsec) / 1000000 < ROUND_MS);
  _exit(0);
}

static void nothing(int number) { (void)number; }

int main(int argc, char **argv) {
  start(argc, argv);
  snprintf(paths[0], sizeof paths[0], "/rw/file");
  snprintf(paths[1], sizeof paths[1], "/rw/../../../..%.100s/secret", outside);
  snprintf(paths[2], sizeof paths[2], "/rw/host-absolute/secret");
  snprintf(paths[3], sizeof paths[3], "/rw/d/../d/x");
  hot = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  mkdir("/rw/hot.d", 0777);
  for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
      int null = open("/dev/null", O_RDWR);
      dup2(null, 1);
      round_of(i, i);
    }
    int status = 0;
    for (int waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited++) {
      if (waited > 500) break;
      sleep_ms(1);
    }
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    while (waitpid(-1, &status, WNOHANG) > 0) continue;
    attempts++;
  }
  return finish();
}
