/* mmap, mprotect, munmap, mremap, brk, madvise: what is mapped where, and where faults are. */
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

/* Touches a byte and tells what happens, with the fault address relative to `base`. */
static void touch(const char *what, volatile char *p, int write, char *base) {
  int signo = sigsetjmp(back, 1);
  if (signo == 0) {
    if (write) *p = 'w';
    else (void)*p;
    out("%s: fine", what);
  } else {
    out("%s: %s code %d at +%ld", what, sigabbrev_np(signo), fault.si_code, (long)((char *)fault.si_addr - base));
  }
}

static int is_mapped(void *p) {
  unsigned char vec;
  return mincore(p, PAGE, &vec) == 0;
}

int main(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = on_fault;
  sa.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &sa, NULL);
  sigaction(SIGBUS, &sa, NULL);

  char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  T(p != MAP_FAILED && (uintptr_t)p % PAGE == 0);
  int zero = 1;
  for (int i = 0; i < 8 * PAGE; i++) zero &= p[i] == 0;
  out("zero %d", zero);
  touch("write", p + PAGE, 1, p);
  R(mprotect(p + PAGE, PAGE, PROT_READ));
  touch("read of read-only", p + PAGE, 0, p);
  touch("write to read-only", p + PAGE + 5, 1, p);
  R(mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
  touch("read of none", p + 2 * PAGE + 7, 0, p);
  R(munmap(p + 3 * PAGE, PAGE));
  touch("read of unmapped", p + 3 * PAGE + 9, 0, p);
  touch("around it", p + 4 * PAGE, 1, p);
  out("mapped %d %d %d", is_mapped(p), is_mapped(p + 3 * PAGE), is_mapped(p + 4 * PAGE));
  R(mprotect(p, 5 * PAGE, PROT_READ | PROT_WRITE));
  touch("partly protected", p + PAGE, 1, p);
  touch("null", (char *)8, 0, NULL);
  R(munmap(p + 3 * PAGE, PAGE));
  R(munmap(p + 1, PAGE));
  R(munmap(p, 0));
  R(mprotect(p + 1, PAGE, PROT_READ));
  T(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
  T(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
  T(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF);
  T(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 1, 0) == MAP_FAILED && errno == ENODEV);
  T(mmap((void *)(1ul << 60), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == ENOMEM);
  T(mmap(p + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);

  char *fixed = mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  T(fixed == p + PAGE && fixed[0] == 0);
  T(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
  T(mmap(p + 3 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p + 3 * PAGE);

  /* mremap. */
  char *m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 4; i++) m[i * PAGE] = (char)('a' + i);
  T(mremap(m, 4 * PAGE, 2 * PAGE, 0) == m);
  touch("cut off", m + 2 * PAGE, 0, m);
  char *grown = mremap(m, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
  T(grown != MAP_FAILED && grown[0] == 'a' && grown[PAGE] == 'b' && grown[40 * PAGE] == 0);
  char *target = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *moved = mremap(grown, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
  T(moved == target && moved[PAGE] == 'b');
  touch("where it was", grown, 0, grown);
  T(mremap(moved, PAGE, 128 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
  T(mremap((void *)PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);

  /* madvise. */
  moved[PAGE] = 'z';
  R(madvise(moved, 2 * PAGE, MADV_DONTNEED));
  out("after MADV_DONTNEED %d", moved[PAGE]);
  R(madvise(moved, PAGE, MADV_WILLNEED));
  R(madvise(moved + 1, PAGE, MADV_DONTNEED));
  R(madvise(moved, PAGE, 12345));
  R(madvise((void *)PAGE, PAGE, MADV_DONTNEED));
  R(msync(moved, PAGE, MS_SYNC));
  R(msync(moved, PAGE, MS_SYNC | MS_ASYNC));
  R(msync((void *)PAGE, PAGE, MS_SYNC));
  R(mlock(moved, PAGE));
  R(munlock(moved, PAGE));
  R(mlockall(0));

  /* brk. */
  char *start = sbrk(0);
  T(sbrk(10 * PAGE) == start);
  start[10 * PAGE - 1] = 'x';
  T(sbrk(-5 * PAGE) == start + 10 * PAGE);
  T(sbrk(0) == start + 5 * PAGE);
  T(sbrk(5 * PAGE) == start + 5 * PAGE && start[10 * PAGE - 1] == 0);
  T((char *)syscall(SYS_brk, 0) == start + 10 * PAGE);

  /* A mapping that grows down. */
  char *area = mmap(NULL, 512 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(area, 512 * PAGE);
  char *stack = mmap(area + 500 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
  T(stack == area + 500 * PAGE);
  touch("one page below", stack - 8, 1, stack);
  touch("far below", stack - 3 * PAGE, 1, stack);

  /* A large reservation costs nothing. */
  char *huge = mmap(NULL, 1ul << 36, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  T(huge != MAP_FAILED);
  huge[1ul << 35] = 1;
  T(huge[1ul << 35] == 1 && huge[(1ul << 35) + PAGE] == 0);
  R(munmap(huge, 1ul << 36));
  /* Executable memory. */
  unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
  char *x = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(x, code, sizeof code);
  int signo = sigsetjmp(back, 1);
  if (signo == 0) ((int (*)(void))(void *)x)();
  else out("not executable: %s code %d at start %d", sigabbrev_np(signo), fault.si_code, fault.si_addr == x);
  R(mprotect(x, PAGE, PROT_READ | PROT_EXEC));
  out("executed %d", ((int (*)(void))(void *)x)());
  return 0;
}
