/* Signal frames: registers and vector state across handlers, fault details, nesting, hostile frames. */
#include "guest.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t count;
static volatile int seen_code, seen_trap;
static void *volatile seen_address;
static sigjmp_buf back;

static void clobber(int signo) {
  (void)signo;
  count++;
  __asm__ volatile(
      "pxor %%xmm0, %%xmm0\n pxor %%xmm7, %%xmm7\n pxor %%xmm15, %%xmm15\n fninit\n std\n"
      ::: "xmm0", "xmm7", "xmm15");
  __asm__ volatile("cld");
}

static void vector_state(void) {
  uint64_t in[4] = {0x1111222233334444, 0x5555666677778888, 0x9999aaaabbbbcccc, 1}, result[4];
  double x87_in = 3.25, x87_out = 0;
  uint32_t pid = (uint32_t)getpid();
  signal(SIGUSR1, clobber);
  long r = SYS_kill;
  __asm__ volatile(
      "fldl %[x]\n"
      "movq %[a], %%xmm0\n movq %[b], %%xmm7\n movq %[c], %%xmm15\n"
      "movl $0x3f80, -4(%%rsp)\n"
      "syscall\n"
      "movq %%xmm0, %[oa]\n movq %%xmm7, %[ob]\n movq %%xmm15, %[oc]\n"
      "fstpl %[ox]\n"
      : "+a"(r), [oa] "=m"(result[0]), [ob] "=m"(result[1]), [oc] "=m"(result[2]), [ox] "=m"(x87_out)
      : "D"((long)pid), "S"((long)SIGUSR1), [a] "m"(in[0]), [b] "m"(in[1]), [c] "m"(in[2]), [x] "m"(x87_in)
      : "rcx", "r11", "memory", "xmm0", "xmm7", "xmm15");
  out("kill = %ld, count %d, xmm %s, x87 %s", r, count,
      memcmp(in, result, 24) == 0 ? "kept" : "lost", x87_out == x87_in ? "kept" : "lost");
}

static void on_fault(int signo, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  seen_code = info->si_code;
  seen_address = info->si_addr;
  seen_trap = (int)uc->uc_mcontext.gregs[REG_TRAPNO];
  siglongjmp(back, signo);
}

static void faults(void) {
  struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  int list[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  for (int i = 0; i < 5; i++) sigaction(list[i], &sa, NULL);
  volatile char *none = (char *)0x12345678;
  char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int s = sigsetjmp(back, 1);
  if (s == 0) *none = 1;
  out("unmapped: %d code %d trap %d %s", s, seen_code, seen_trap, seen_address == none ? "here" : "elsewhere");
  s = sigsetjmp(back, 1);
  if (s == 0) *(volatile char *)page = 1;
  out("read-only: %d code %d trap %d %s", s, seen_code, seen_trap, seen_address == page ? "here" : "elsewhere");
  s = sigsetjmp(back, 1);
  if (s == 0) ((void (*)(void))page)();
  out("no exec: %d code %d trap %d %s", s, seen_code, seen_trap, seen_address == page ? "here" : "elsewhere");
  s = sigsetjmp(back, 1);
  if (s == 0) *(volatile char *)0x8000000000000000 = 1;
  out("non-canonical: %d code %d", s, seen_code);
  s = sigsetjmp(back, 1);
  if (s == 0) __asm__ volatile("xorl %%ecx, %%ecx\n movl $1, %%eax\n cdq\n idivl %%ecx" ::: "eax", "ecx", "edx");
  out("division: %d code %d trap %d", s, seen_code, seen_trap);
  s = sigsetjmp(back, 1);
  if (s == 0) __asm__ volatile("ud2");
  out("ud2: %d code %d trap %d", s, seen_code, seen_trap);
  s = sigsetjmp(back, 1);
  if (s == 0) __asm__ volatile("int3");
  out("int3: %d code %d trap %d", s, seen_code, seen_trap);
  s = sigsetjmp(back, 1);
  if (s == 0) __asm__ volatile("hlt");
  out("hlt: %d code %d", s, seen_code);
}

static void tick(int signo) {
  (void)signo;
  count++;
}

static void busy(void) {
  struct itimerval it = {{0, 10000}, {0, 10000}};
  count = 0;
  signal(SIGALRM, tick);
  setitimer(ITIMER_REAL, &it, NULL);
  while (count < 5) continue;
  it = (struct itimerval){{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &it, NULL);
  out("interrupted a loop by SIGALRM");
  count = 0;
  signal(SIGPROF, tick);
  signal(SIGVTALRM, tick);
  it = (struct itimerval){{0, 20000}, {0, 20000}};
  setitimer(ITIMER_PROF, &it, NULL);
  while (count < 3) continue;
  it = (struct itimerval){{0, 0}, {0, 0}};
  setitimer(ITIMER_PROF, &it, NULL);
  out("interrupted a loop by SIGPROF");
  IN_CHILD("RLIMIT_CPU", {
    struct rlimit limit = {1, 1};
    R(setrlimit(RLIMIT_CPU, &limit));
    for (;;) continue;
  });
}

static int depth;
static void nested(int signo) {
  char where;
  (void)where;
  depth++;
  if (signo == SIGUSR1) {
    raise(SIGUSR2);
    out("inner first: %d", depth);
  }
}

static void overflow(int signo) {
  static const char text[] = "handler on the alternate stack\n";
  (void)signo;
  if (write(1, text, sizeof text - 1) > 0) _exit(7);
}

static int recurse(int n) {
  volatile char pad[4096];
  pad[0] = (char)n;
  return n == 0 ? 0 : recurse(n + 1) + pad[0];
}

static void stacks(void) {
  struct sigaction sa = {.sa_handler = nested};
  sigaction(SIGUSR1, &sa, NULL);
  sigaction(SIGUSR2, &sa, NULL);
  raise(SIGUSR1);
  out("depth %d", depth);
  IN_CHILD("stack overflow, no handler", { _exit(recurse(1)); });
  IN_CHILD("stack overflow, handler", {
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = overflow, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    _exit(recurse(1));
  });
  IN_CHILD("no stack for the frame", {
    struct sigaction action = {.sa_handler = nested};
    sigaction(SIGUSR1, &action, NULL);
    __asm__ volatile("movq $16, %%rsp\n syscall" ::"a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1) : "rcx", "r11", "memory");
    _exit(0);
  });
}

static void redirect(int signo, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  (void)signo, (void)info;
  uc->uc_mcontext.gregs[REG_RAX] = 1234;
  sigaddset(&uc->uc_sigmask, SIGHUP);
}

static void hostile(void) {
  struct sigaction sa = {.sa_sigaction = redirect, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &sa, NULL);
  long r = SYS_kill;
  __asm__ volatile("syscall" : "+a"(r) : "D"((long)getpid()), "S"((long)SIGUSR1) : "rcx", "r11", "memory");
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  out("changed rax: %ld, SIGHUP blocked %d", r, sigismember(&mask, SIGHUP));
  IN_CHILD("sigreturn without a frame", { syscall(SYS_rt_sigreturn); });
  IN_CHILD("sigreturn into nowhere", {
    static uint64_t junk[512];
    memset(junk, 0xff, sizeof junk);
    __asm__ volatile("movq %0, %%rsp\n syscall" ::"r"(junk + 8), "a"((long)SYS_rt_sigreturn) : "rcx", "r11", "memory");
  });
  IN_CHILD("sigreturn with zeroes", {
    static uint64_t zero[512];
    __asm__ volatile("movq %0, %%rsp\n syscall" ::"r"(zero + 8), "a"((long)SYS_rt_sigreturn) : "rcx", "r11", "memory");
  });
  IN_CHILD("no restorer", {
    struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } action = {(void *)tick, 0, NULL, 0};
    R(syscall(SYS_rt_sigaction, SIGUSR2, &action, NULL, 8));
    raise(SIGUSR2);
  });
}

static void stops(void) {
  int status;
  signal(SIGUSR1, SIG_DFL);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGCONT, tick);
    struct timespec t = {0, 300000000};
    int r = nanosleep(&t, NULL);
    out("sleep across SIGCONT with handler: %s", r < 0 ? (errno == EINTR ? "EINTR" : "other") : "slept");
    for (;;) pause();
  }
  sleep_ms(50);
  kill(pid, SIGTSTP);
  R(waitpid(pid, &status, WNOHANG) > 0);
  setpgid(pid, pid);
  kill(pid, SIGTSTP);
  waitpid(pid, &status, WUNTRACED);
  report_status("child", status);
  R(waitpid(pid, &status, WNOHANG | WUNTRACED));
  kill(pid, SIGCONT);
  waitpid(pid, &status, WCONTINUED);
  sleep_ms(50);
  report_status("child", status);
  kill(pid, SIGSTOP);
  waitpid(pid, &status, WUNTRACED);
  report_status("child", status);
  kill(pid, SIGUSR1);
  sleep_ms(20);
  R(waitpid(pid, &status, WNOHANG | WUNTRACED));
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  report_status("child", status);
}

int main(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  vector_state();
  faults();
  signal(SIGSEGV, SIG_DFL);
  busy();
  stacks();
  hostile();
  stops();
  return 0;
}
