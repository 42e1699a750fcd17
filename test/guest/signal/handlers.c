/* Handlers: siginfo, masks, nesting, one-shot, alternate stacks, floating point across delivery. */
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

static volatile int calls, depth, deepest, on_alternate;
static siginfo_t last;
static char alternate[65536];

static void count(int signo) {
  (void)signo;
  calls++;
}

static void info(int signo, siginfo_t *si, void *context) {
  (void)signo;
  (void)context;
  last = *si;
}

static void nested(int signo) {
  if (++depth > deepest) deepest = depth;
  if (++calls < 3) raise(signo);
  depth--;
}

static void where(int signo) {
  (void)signo;
  char here;
  on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
}

static void clobber(int signo) {
  (void)signo;
  volatile double x = 1;
  for (int i = 0; i < 100; i++) x = x * 1.5 + 2;
  __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm15, %%xmm15; fninit" ::: "xmm0", "xmm15");
}

static void skip_trap(int signo, siginfo_t *si, void *context) {
  (void)signo;
  last = *si;
  ucontext_t *u = context;
  u->uc_mcontext.gregs[REG_RAX] = 4242;
  u->uc_mcontext.gregs[REG_RIP] += 2;
}

static void install(int signo, void (*handler)(int), int flags) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = handler;
  sa.sa_flags = flags;
  sigaction(signo, &sa, NULL);
}

static sigjmp_buf back;
static void jump(int signo) { siglongjmp(back, signo); }

int main(void) {
  install(SIGUSR1, count, 0);
  for (int i = 0; i < 5; i++) raise(SIGUSR1);
  out("calls %d", calls);
  install(SIGUSR1, (void (*)(int))(void *)info, SA_SIGINFO);
  raise(SIGUSR1);
  out("raise: signo %d code %d (SI_TKILL %d) own pid %d uid %d", last.si_signo, last.si_code, SI_TKILL, last.si_pid == getpid(), last.si_uid);
  kill(getpid(), SIGUSR1);
  out("kill: code %d (SI_USER %d)", last.si_code, SI_USER);
  union sigval value = {.sival_int = 77};
  sigqueue(getpid(), SIGUSR1, value);
  out("queue: code %d (SI_QUEUE %d) value %d", last.si_code, SI_QUEUE, last.si_value.sival_int);
  install(SIGCHLD, (void (*)(int))(void *)info, SA_SIGINFO);
  pid_t pid = fork();
  if (pid == 0) _exit(33);
  reap("child", pid);
  out("chld: code %d (CLD_EXITED %d) status %d pid ok %d", last.si_code, CLD_EXITED, last.si_status, last.si_pid == pid);

  calls = 0;
  install(SIGUSR2, nested, 0);
  raise(SIGUSR2);
  out("without SA_NODEFER deepest %d", deepest);
  calls = depth = deepest = 0;
  install(SIGUSR2, nested, SA_NODEFER);
  raise(SIGUSR2);
  out("with SA_NODEFER deepest %d", deepest);
  install(SIGUSR2, count, SA_RESETHAND);
  calls = 0;
  raise(SIGUSR2);
  IN_CHILD("after a one-shot handler", raise(SIGUSR2));

  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  R(sigaltstack(&stack, NULL));
  install(SIGUSR1, where, SA_ONSTACK);
  raise(SIGUSR1);
  out("on the alternate stack %d", on_alternate);
  install(SIGUSR1, where, 0);
  raise(SIGUSR1);
  out("without SA_ONSTACK %d", on_alternate);
  stack.ss_size = 100;
  R(sigaltstack(&stack, NULL));
  stack_t old;
  R(sigaltstack(NULL, &old));
  out("size %zu flags %d", old.ss_size, old.ss_flags);
  stack.ss_flags = SS_DISABLE;
  R(sigaltstack(&stack, NULL));

  install(SIGUSR1, clobber, 0);
  double a = 1.25;
  register double b __asm__("xmm15") = 3.5;
  __asm__ volatile("" : "+x"(b));
  long double c = 7.125L;
  syscall(SYS_tkill, gettid(), SIGUSR1);
  __asm__ volatile("" : "+x"(b));
  out("floating point kept: %g %g %Lg", a, b, c);

  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = skip_trap;
  sa.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &sa, NULL);
  long rax = 1;
  __asm__ volatile("ud2" : "+a"(rax)::"memory");
  out("SIGILL: code %d, handler set rax to %ld", last.si_code, rax);

  install(SIGUSR1, jump, 0);
  int got = sigsetjmp(back, 1);
  if (got == 0) raise(SIGUSR1);
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  out("jumped with %d, blocked now %d", got, sigismember(&mask, SIGUSR1));

  R(sigaction(SIGKILL, &sa, NULL));
  R(sigaction(SIGSTOP, &sa, NULL));
  R(sigaction(65, &sa, NULL));
  R(sigaction(0, NULL, NULL));
  R(sigaction(SIGKILL, NULL, &sa));
  return 0;
}
