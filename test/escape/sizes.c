/* Sizes, offsets and counts that are giant, negative or wrap around, in every call that takes one. */
#include "escape.h"
#include <limits.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

static const long values[] = {-1, LONG_MIN, LONG_MAX, LONG_MIN + 1, -4096, -4095, 1L << 31, (1L << 31) - 1, 1L << 32, (1L << 32) - 1, 1L << 40, 1L << 47, (1L << 47) - 4096, 1L << 52, 1L << 53, (1L << 53) + 1, 1L << 62, 0x7ffffffffffff000, 0x7fffffff, 0xffffffff, 4097};
enum { VALUES = sizeof values / sizeof *values };

/* What each argument is: a descriptor, a buffer, one of the values, or as it stands. */
struct call {
  long nr;
  const char *arguments;
};
static const struct call calls[] = {
  {SYS_read, "fbv"}, {SYS_write, "fbv"}, {SYS_pread64, "fbvv"}, {SYS_pwrite64, "fbvv"}, {SYS_readv, "fiv"}, {SYS_writev, "fiv"}, {SYS_preadv, "fivv0"}, {SYS_pwritev, "fivvv"}, {SYS_preadv2, "fi1vvv"}, {SYS_lseek, "fv0"}, {SYS_lseek, "fv1"}, {SYS_lseek, "fv2"}, {SYS_lseek, "fv3"}, {SYS_lseek, "fvv"}, {SYS_fallocate, "f0vv"}, {SYS_fallocate, "f3vv"}, {SYS_fallocate, "fvvv"}, {SYS_fadvise64, "fvv4"}, {SYS_sync_file_range, "fvv2"}, {SYS_readahead, "fvv"}, {SYS_sendfile, "ffbv"}, {SYS_copy_file_range, "fbfbv0"}, {SYS_splice, "fbpbv0"}, {SYS_tee, "ppv0"}, {SYS_vmsplice, "piv0"}, {SYS_getdents64, "dbv"}, {SYS_readlink, "sbv"}, {SYS_getcwd, "bv"}, {SYS_getrandom, "bv0"}, {SYS_mmap, "0v3ff0"}, {SYS_mmap, "v13ff0"}, {SYS_mmap, "0v11fv"}, {SYS_mmap, "vv1ffv"}, {SYS_munmap, "vv"}, {SYS_mprotect, "vv1"}, {SYS_mremap, "vvv10"}, {SYS_madvise, "vvv"}, {SYS_msync, "vvv"}, {SYS_mincore, "vvb"}, {SYS_mlock, "vv"}, {SYS_brk, "v"}, {SYS_poll, "bv0"}, {SYS_select, "vbbbb"}, {SYS_epoll_wait, "ebv0"}, {SYS_setgroups, "vb"}, {SYS_getgroups, "vb"}, {SYS_sched_getaffinity, "0vb"}, {SYS_sched_setaffinity, "0vb"}, {SYS_setsockopt, "s11bv"}, {SYS_getsockopt, "s11bb"}, {SYS_sendto, "Sbv000"}, {SYS_recvfrom, "Sbv000"}, {SYS_sendmmsg, "Sbv0"}, {SYS_recvmmsg, "Sbv00"}, {SYS_bind, "Sbv"}, {SYS_connect, "Sbv"}, {SYS_setxattr, "sbbv0"}, {SYS_getxattr, "sbbv"}, {SYS_listxattr, "sbv"}, {SYS_process_vm_readv, "0iviv0"}, {SYS_process_vm_writev, "0iviv0"}, {SYS_futex, "b0v000"}, {SYS_futex, "b1v000"}, {SYS_futex, "b3vvb0"}, {SYS_fcntl, "f1vv"}, {SYS_fcntl, "f4vv"}, {SYS_ioctl, "fvv"}, {SYS_dup2, "fv"}, {SYS_dup3, "fv0"}, {SYS_close_range, "vv4"}, {SYS_inotify_add_watch, "fsv"}, {SYS_epoll_ctl, "ev1b"}, {SYS_prlimit64, "0vbb"}, {SYS_getpriority, "vv"}, {SYS_timer_create, "vbb"}, {SYS_rt_sigprocmask, "vbbv"}, {SYS_rt_sigaction, "vbbv"}, {SYS_signalfd4, "vbv0"}, {SYS_memfd_create, "sv"}, {SYS_io_uring_setup, "vb"}, {SYS_add_key, "ssbvv"}, {SYS_mq_open, "svvb"}, {SYS_semget, "vvv"}, {SYS_shmget, "vvv"}, {SYS_msgrcv, "vbvvv"}, {SYS_clone3, "bv"}, {SYS_set_robust_list, "bv"}, {SYS_membarrier, "vvv"}, {SYS_fallocate, "m0vv"}, {SYS_pwrite64, "mbvv"},
};

static char buffer[65536] __attribute__((aligned(4096)));

static void one(const struct call *c, int index) {
  int file = open("/rw/sizes", O_RDWR | O_CREAT, 0644);
  int directory = open("/rw", O_RDONLY);
  int memory = (int)syscall(SYS_memfd_create, "m", 0);
  int pipes[2], pair[2], epoll = epoll_create1(0);
  if (pipe2(pipes, O_NONBLOCK) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0) _exit(1);
  struct iovec vectors[4] = {{buffer, (size_t)values[index % VALUES]}, {buffer, 1}, {(void *)values[(index + 3) % VALUES], 8}, {buffer, 4096}};
  for (int turn = 0; turn < VALUES; turn++) {
    long a[6] = {0};
    int shift = 0;
    for (int i = 0; c->arguments[i]; i++) {
      switch (c->arguments[i]) {
        case 'f': a[i] = file; break;
        case 'd': a[i] = directory; break;
        case 'm': a[i] = memory; break;
        case 'p': a[i] = pipes[i & 1]; break;
        case 'S': a[i] = pair[0]; break;
        case 'e': a[i] = epoll; break;
        case 'b': a[i] = (long)buffer; break;
        case 'i': a[i] = (long)vectors; break;
        case 's': a[i] = (long)"/rw/sizes"; break;
        case 'v': a[i] = values[(index + turn * (1 + 4 * shift++)) % VALUES]; break;
        default: a[i] = c->arguments[i] - '0';
      }
    }
    struct itimerval { struct timeval every, next; } soon = {{0, 3000}, {0, 3000}};
    syscall(SYS_setitimer, 0, &soon, NULL);
    syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  _exit(0);
}

static void nothing(int number) { (void)number; }

int main(int argc, char **argv) {
  start(argc, argv);
  for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
      one(&calls[i], (int)i);
    }
    int status = 0;
    for (int waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited++) {
      if (waited > 300) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        out("call %ld did not end", calls[i].nr);
        break;
      }
      sleep_ms(1);
    }
    attempts++;
  }
  unlink("/rw/sizes");
  return finish();
}
