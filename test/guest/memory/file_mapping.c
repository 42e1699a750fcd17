/* Mappings of files: shared and private, past the end, truncation, and who sees whose writes. */
#include "guest.h"
#include <setjmp.h>
#include <sys/mman.h>

static sigjmp_buf back;
static siginfo_t fault;
enum { PAGE = 4096 };

static void on_fault(int signo, siginfo_t *si, void *context) {
  (void)context;
  fault = *si;
  siglongjmp(back, signo);
}

static void touch(const char *what, volatile char *p) {
  int signo = sigsetjmp(back, 1);
  if (signo == 0) {
    char c = *p;
    out("%s: %d", what, c);
  } else {
    out("%s: %s code %d", what, sigabbrev_np(signo), fault.si_code);
  }
}

static char at(int fd, off_t offset) {
  char c = '?';
  pread(fd, &c, 1, offset);
  return c;
}

static void both(const char *where) {
  out("-- %s", where);
  char path[64];
  snprintf(path, sizeof path, "%s/mapped_file", where);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  char page[PAGE];
  for (int i = 0; i < 3; i++) {
    memset(page, 'a' + i, PAGE);
    write(fd, page, i == 2 ? 100 : PAGE);
  }
  char *s = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *t = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
  char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  out("%c %c %c %d", s[0], t[0], p[2 * PAGE], s[2 * PAGE + 100]);
  touch("past the end", s + 3 * PAGE);
  s[PAGE] = 'S';
  out("shared write: other mapping %c, read %c, private %c", t[0], at(fd, PAGE), p[PAGE]);
  p[0] = 'P';
  out("private write: shared %c, read %c", s[0], at(fd, 0));
  pwrite(fd, "W", 1, 5);
  out("write(2): shared %c private %c", s[5], p[5] == 'W' ? 'W' : 'a');
  pwrite(fd, "V", 1, PAGE + 9);
  out("write(2) to a page private has only read: shared %c private %c", s[PAGE + 9], p[PAGE + 9]);
  pid_t pid = fork();
  if (pid == 0) {
    s[7] = 'C';
    p[7] = 'C';
    _exit(0);
  }
  reap("child", pid);
  out("child's writes: shared %c private %c", s[7], p[7]);
  ftruncate(fd, PAGE);
  touch("shared after truncation", s + PAGE);
  touch("private after truncation", p + PAGE);
  ftruncate(fd, 3 * PAGE);
  touch("grown again", s + PAGE);
  R(msync(s, 3 * PAGE, MS_SYNC));
  char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  unlink(path);
  out("after unlink %c", map[0]);
  int ro = open("/proc/self/exe", O_RDONLY);
  T(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
  char *q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
  out("exe %.3s", q + 1);
  q[0] = 'x';
  R(mprotect(q, PAGE, PROT_READ | PROT_EXEC));
  char *r = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
  R(mprotect(r, PAGE, PROT_READ | PROT_WRITE));
  T(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 100) == MAP_FAILED && errno == EINVAL);
  int wo = open("wo", O_WRONLY | O_CREAT, 0600);
  T(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0) == MAP_FAILED && errno == EACCES);
  close(wo);
  close(ro);
  /* A system call that touches a bad page of a file mapping. */
  fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  ftruncate(fd, 100);
  s = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  int pipes[2];
  pipe(pipes);
  R(write(pipes[1], s + PAGE, 10));
  R(read(fd, s, 10));
  unlink(path);
  close(fd);
}

int main(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = on_fault;
  sa.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &sa, NULL);
  sigaction(SIGBUS, &sa, NULL);
  both("/tmp");
  both("/etc");
  int fd = memfd_create("name", MFD_ALLOW_SEALING);
  R(ftruncate(fd, PAGE));
  char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  p[1] = 'm';
  out("memfd %c", at(fd, 1));
  R(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  munmap(p, PAGE);
  R(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
  R(write(fd, "x", 1));
  R(ftruncate(fd, 0));
  R(fcntl(fd, F_GET_SEALS));
  char link[100];
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(path, link, sizeof link);
  out("%.*s", (int)n, link);
  return 0;
}
