/*
 * Both ends of a fifo, for the host and for a sandbox. All output is that of Linux between two processes.
 *
 *   host_fifo read early|late PATH    reads all of a first writer and of a second one
 *   host_fifo write early|late PATH   is both writers, and goes on until nobody reads
 *   host_fifo alone PATH              what one process sees that has all ends
 *   host_fifo try ACCESS PATH         opens once with O_NONBLOCK and ACCESS (0, 1, 2), and moves a byte
 *
 * Who is early opens a while before the other, and says whether it had to wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TOTAL = 1 << 20, CHUNK = 30000 };

static char bytes[CHUNK];
static int signals;

static void die(const char *what) {
  printf("%s: %s\n", what, strerror(errno));
  exit(1);
}

static void count(int signal) {
  (void)signal;
  signals++;
}

static void catch(int signal) {
  struct sigaction action = {.sa_handler = count};
  sigaction(signal, &action, NULL);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int opened(const char *order, const char *path, int flags) {
  char mark[4096];
  snprintf(mark, sizeof mark, "%s.early", path);
  int early = strcmp(order, "early") == 0;
  if (early)
    close(open(mark, O_CREAT | O_WRONLY, 0666));
  else {
    for (int i = 0; access(mark, F_OK) < 0; i++) {
      if (i == 2000) die("the other");
      usleep(10000);
    }
    usleep(300000);
  }
  double start = now();
  int fd = open(path, flags);
  if (fd < 0) die("open");
  if (early) printf("waited %d\n", now() - start > 0.2);
  return fd;
}

static int events(int fd) {
  struct pollfd look = {.fd = fd, .events = POLLIN | POLLOUT};
  poll(&look, 1, 0);
  return look.revents;
}

static void read_both(const char *order, const char *path) {
  int fd = opened(order, path, O_RDONLY);
  int wrong = 0, got = 0;
  for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) != 0; got += (int)n) {
    if (n < 0) die("read");
    for (int i = 0; i < n; i++) wrong += bytes[i] != (char)((got + i) * 7 >> 3);
  }
  printf("got %d, %d wrong, events %x\n", got, wrong, events(fd));
  ssize_t n = 0;
  for (int i = 0; i < 1000 && (n = read(fd, bytes, 6)) == 0; i++) usleep(10000);
  printf("second %zd %.6s, events %x\n", n, bytes, events(fd));
  struct pollfd look = {.fd = fd, .events = POLLIN};
  printf("more %d\n", poll(&look, 1, 10000));
}

static void write_both(const char *order, const char *path) {
  catch(SIGPIPE);
  int fd = opened(order, path, O_WRONLY);
  for (int sent = 0; sent < TOTAL;) {
    int size = TOTAL - sent < CHUNK ? TOTAL - sent : CHUNK;
    for (int i = 0; i < size; i++) bytes[i] = (char)((sent + i) * 7 >> 3);
    if (write(fd, bytes, size) != size) die("write");
    sent += size;
  }
  close(fd);
  usleep(500000);
  fd = open(path, O_WRONLY | O_NONBLOCK);
  if (fd < 0) die("second open");
  if (write(fd, "second", 6) != 6) die("write");
  usleep(200000);
  ssize_t n;
  while ((n = write(fd, "x", 1)) == 1) usleep(10000);
  printf("write %zd %d, signals %d, events %x\n", n, errno == EPIPE, signals, events(fd));
}

static void interrupted(const char *path, int flags) {
  struct itimerval soon = {.it_value = {.tv_usec = 150000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  int fd = open(path, flags);
  printf("interrupted %d %d\n", fd < 0, errno == EINTR);
}

static void alone(const char *path) {
  catch(SIGPIPE);
  catch(SIGALRM);
  interrupted(path, O_RDONLY);
  interrupted(path, O_WRONLY);
  int none = open(path, O_WRONLY | O_NONBLOCK);
  printf("no reader: %d %d\n", none, errno == ENXIO);
  int reader = open(path, O_RDONLY | O_NONBLOCK);
  ssize_t n = read(reader, bytes, 1);
  printf("no writer: %zd, events %x\n", n, events(reader));
  struct stat s;
  printf("a fifo: %d, by name %d\n", fstat(reader, &s) == 0 && S_ISFIFO(s.st_mode), s.st_ino != 0);
  int writer = open(path, O_WRONLY | O_NONBLOCK);
  n = read(reader, bytes, 1);
  printf("nothing: %zd %d, events %x %x\n", n, errno == EAGAIN, events(reader), events(writer));
  n = lseek(reader, 0, SEEK_SET);
  printf("seek %zd %d\n", n, errno == ESPIPE);
  printf("wrong way %d", write(reader, "x", 1) < 0 && errno == EBADF);
  printf(" %d\n", read(writer, bytes, 1) < 0 && errno == EBADF);
  int total = 0;
  while ((n = write(writer, bytes, 4096)) > 0) total += (int)n;
  printf("full at %d: %d, events %x %x\n", total, errno == EAGAIN, events(reader), events(writer));
  n = read(reader, bytes, 4096);
  printf("room %zd, events %x\n", n, events(writer));
  while (read(reader, bytes, sizeof bytes) > 0) continue;
  pid_t child = fork();
  if (child == 0) {
    usleep(100000);
    _exit(write(writer, "late", 4) != 4);
  }
  fcntl(reader, F_SETFL, 0);
  n = read(reader, bytes, 10);
  printf("blocking read %zd\n", n);
  wait(NULL);
  close(writer);
  n = read(reader, bytes, 1);
  printf("hung up: %zd, events %x\n", n, events(reader));
  writer = open(path, O_WRONLY);
  printf("again: events %x\n", events(reader));
  close(reader);
  n = write(writer, "x", 1);
  printf("nobody: %zd %d, signals %d, events %x\n", n, errno == EPIPE, signals, events(writer));
  close(writer);
  int both = open(path, O_RDWR);
  printf("both ways: %zd", write(both, "abc", 3));
  n = read(both, bytes, sizeof bytes);
  printf(" %zd, events %x\n", n, events(both));
  close(both);
  if (fork() == 0) {
    writer = open(path, O_WRONLY);
    usleep(300000);
    _exit(write(writer, "child", 5) != 5);
  }
  double start = now();
  reader = open(path, O_RDONLY);
  int quick = now() - start < 0.25;
  n = read(reader, bytes, 10);
  printf("a silent writer: %d, read %zd, end %zd\n", quick, n, read(reader, bytes, 10));
}

static void try_once(int access, const char *path) {
  int fd = open(path, access | O_NONBLOCK);
  if (fd < 0) die("open");
  if (access == O_WRONLY) printf("write %zd\n", write(fd, "y", 1));
  if (access != O_WRONLY) printf("read %zd\n", read(fd, bytes, 1));
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  alarm(60);
  if (argc == 3) alone(argv[2]);
  if (argc != 4) return 0;
  if (strcmp(argv[1], "read") == 0) read_both(argv[2], argv[3]);
  if (strcmp(argv[1], "write") == 0) write_both(argv[2], argv[3]);
  if (strcmp(argv[1], "try") == 0) try_once(atoi(argv[2]), argv[3]);
  return 0;
}
