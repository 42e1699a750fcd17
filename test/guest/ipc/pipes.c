/* Pipes and FIFOs: capacity, atomicity, end of file, EPIPE, non-blocking, poll, splice and tee. */
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static void show_poll(const char *what, int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI};
  int n = poll(&p, 1, 0);
  out("%s: poll %d%s%s%s%s%s", what, n, p.revents & POLLIN ? " IN" : "", p.revents & POLLOUT ? " OUT" : "",
      p.revents & POLLHUP ? " HUP" : "", p.revents & POLLERR ? " ERR" : "", p.revents & POLLNVAL ? " NVAL" : "");
}

/* One user's pipes have so many pages, and then little: pipe(7), pipe-user-pages-soft. */
static void too_many_pages(void) {
  enum { BYTES = 1 << 20, MOST = 500 };
  long soft = 0;
  FILE *limit = fopen("/proc/sys/fs/pipe-user-pages-soft", "r");
  if (!limit || fscanf(limit, "%ld", &soft) != 1) out("no limit");
  if (setgid(54321) || setuid(54321)) _exit(1);
  int fds[MOST][2], n = 0;
  while (n < MOST && pipe(fds[n]) == 0 && fcntl(fds[n][0], F_SETPIPE_SZ, BYTES) == BYTES) n++;
  out("refused: %s", errno_name(errno));
  T(n == soft / (BYTES / 4096));
  R(fcntl(fds[n][1], F_GETPIPE_SZ));
  R(fcntl(fds[n][1], F_SETPIPE_SZ, 4096));
  R(fcntl(fds[n][1], F_SETPIPE_SZ, 8192));
  R(fcntl(fds[0][1], F_SETPIPE_SZ, 4096));
  R(fcntl(fds[n][1], F_SETPIPE_SZ, 8192));
  close(fds[1][0]);
  close(fds[1][1]);
  R(fcntl(fds[n][1], F_SETPIPE_SZ, BYTES));
  R(fcntl(fds[n][1], F_SETPIPE_SZ, 0));
  R(fcntl(fds[n][1], F_SETPIPE_SZ, -1));
  R(fcntl(fds[n][1], F_SETPIPE_SZ, 2 * BYTES));
}

int main(void) {
  int p[2], n;
  char buffer[70000];
  memset(buffer, 'x', sizeof buffer);
  signal(SIGPIPE, SIG_IGN);
  R(pipe2(p, O_NONBLOCK | O_CLOEXEC));
  R(pipe2(p, 0x40000000));
  R(pipe((int *)8));
  R(read(p[0], buffer, 1));
  show_poll("empty, reading", p[0]);
  show_poll("empty, writing", p[1]);
  R(write(p[1], buffer, sizeof buffer));
  R(write(p[1], buffer, 1));
  show_poll("full, reading", p[0]);
  show_poll("full, writing", p[1]);
  R(ioctl(p[0], FIONREAD, &n));
  out("FIONREAD %d, size %d", n, fcntl(p[0], F_GETPIPE_SZ));
  R(read(p[0], buffer, 4095));
  R(write(p[1], buffer, 4096));
  R(read(p[0], buffer, 1));
  R(write(p[1], buffer, 4096));
  R(fcntl(p[1], F_SETPIPE_SZ, 4096));
  while (read(p[0], buffer, sizeof buffer) > 0) continue;
  R(fcntl(p[1], F_SETPIPE_SZ, 5000));
  R(write(p[1], buffer, sizeof buffer));
  R(lseek(p[0], 0, SEEK_SET));
  R(pread(p[0], buffer, 1, 0));
  R(read(p[1], buffer, 1));
  R(write(p[0], buffer, 1));
  R(write(p[1], "", 0));
  R(write(p[1], (char *)8, 10));
  while (read(p[0], buffer, sizeof buffer) > 0) continue;
  close(p[1]);
  show_poll("no writer", p[0]);
  R(read(p[0], buffer, 10));
  close(p[0]);
  pipe(p);
  close(p[0]);
  show_poll("no reader", p[1]);
  R(write(p[1], "x", 1));
  IN_CHILD("SIGPIPE", {
    signal(SIGPIPE, SIG_DFL);
    write(p[1], "x", 1);
  });
  close(p[1]);
  show_poll("closed", p[1]);

  /* A blocked writer is woken by its reader, and writes of PIPE_BUF are not torn. */
  pipe(p);
  for (int k = 0; k < 3; k++)
    if (fork() == 0) {
      close(p[0]);
      char block[1000];
      memset(block, '0' + k, sizeof block);
      for (int i = 0; i < 200; i++) write(p[1], block, sizeof block);
      _exit(0);
    }
  close(p[1]);
  int torn = 0, total = 0;
  for (;;) {
    char block[1000];
    int got = 0;
    while (got < 1000 && (n = (int)read(p[0], block + got, (size_t)(1000 - got))) > 0) got += n;
    if (got == 0) break;
    total += got;
    for (int i = 1; i < got; i++) torn |= block[i] != block[0];
  }
  out("total %d torn %d", total, torn);
  for (int k = 0; k < 3; k++) wait(NULL);
  /* A writer that dies half way leaves what it wrote. */
  pipe(p);
  pid_t pid = fork();
  if (pid == 0) {
    close(p[0]);
    for (;;) write(p[1], buffer, sizeof buffer);
  }
  close(p[1]);
  sleep_ms(50);
  kill(pid, SIGKILL);
  reap("writer", pid);
  total = 0;
  while ((n = (int)read(p[0], buffer, sizeof buffer)) > 0) total += n;
  out("left %d", total);
  close(p[0]);

  IN_CHILD("too many pages", too_many_pages());

  /* FIFOs. */
  R(mkfifo("fifo", 0600));
  R(mkfifo("fifo", 0600));
  R(open("fifo", O_WRONLY | O_NONBLOCK));
  int reader = open("fifo", O_RDONLY | O_NONBLOCK);
  R(read(reader, buffer, 1));
  show_poll("fifo never written", reader);
  int writer = open("fifo", O_WRONLY);
  R(read(reader, buffer, 1));
  R(write(writer, "abc", 3));
  R(read(reader, buffer, 10));
  close(writer);
  show_poll("fifo after its writer", reader);
  close(reader);
  pid = fork();
  if (pid == 0) {
    int fd = open("fifo", O_WRONLY);
    write(fd, "met", 3);
    _exit(0);
  }
  reader = open("fifo", O_RDONLY);
  R(read(reader, buffer, 10));
  reap("fifo writer", pid);
  close(reader);

  /* splice, tee, vmsplice and vectors. */
  int a[2], b[2];
  pipe(a);
  pipe(b);
  write(a[1], "hello world", 11);
  R(tee(a[0], b[1], 5, 0));
  R(read(b[0], buffer, 10));
  R(splice(a[0], NULL, b[1], NULL, 6, 0));
  R(read(b[0], buffer, 10));
  out("%.6s", buffer);
  int fd = open("file", O_RDWR | O_CREAT, 0600);
  R(splice(a[0], NULL, fd, NULL, 100, 0));
  R(pread(fd, buffer, 100, 0));
  loff_t offset = 1;
  R(splice(fd, &offset, b[1], NULL, 3, 0));
  out("offset %ld", (long)offset);
  R(splice(fd, NULL, fd, NULL, 3, 0));
  struct iovec v[3] = {{"one", 3}, {"", 0}, {"three", 5}};
  R(writev(a[1], v, 3));
  char x[4], y[10];
  struct iovec w[2] = {{x, 4}, {y, 10}};
  R(readv(a[0], w, 2));
  out("%.4s|%.4s", x, y);
  R(writev(a[1], v, -1));
  R(writev(a[1], v, 0));
  R(writev(a[1], v, 1025));
  R(vmsplice(a[1], v, 1, 0));
  return 0;
}
