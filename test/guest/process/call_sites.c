/*
 * System calls made again and again from one place: kernels that patch such call sites must keep
 * every register, flag and floating-point state, and take notice when the text changes.
 */
#include "guest.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { WARM = 200, PAGE = 4096 };

/* Functions of the form "mov $number,%eax; syscall; ret", each on a page of its own but the last two. */
#define SITE(name, nr)                                                                   \
  asm(".pushsection .text\n.balign 4096\n.skip 64\n.type " #name ", @function\n" #name   \
      ":\nmov $" #nr ", %eax\n" #name "_syscall:\nsyscall\nret\n.popsection");           \
  long name(long, ...);                                                                  \
  extern char name##_syscall[]
SITE(site_getppid, 110);
SITE(site_getpid, 39);
SITE(site_raced, 110);
SITE(site_read, 0);
SITE(site_tgkill, 234);
SITE(site_written, 110);
SITE(site_covered, 110);
SITE(site_gs, 110);
SITE(site_after_fork, 110);
SITE(site_jumped, 110);
SITE(site_pause, 34);
/* The long form. */
asm(".balign 4096\n.skip 64\nsite_long: .byte 0x48,0xc7,0xc0,110,0,0,0\nsyscall\nret\n");
long site_long(void);

/* read(2) as compilers write it, and behind it what reaches free room one gigabyte above. */
asm(".pushsection .text\n.balign 4096\n.skip 64\n"
    "site_xor:\n.byte 0x31,0xc0\nsite_xor_syscall:\nsyscall\n.byte 0x48,0x85,0xc0\nret\n.popsection");
long site_xor(int, void *, long);
extern char site_xor_syscall[];

/* As syscall(2) ends: a load from the stack. */
asm(".pushsection .text\n.balign 4096\n.skip 64\n"
    "site_any:\nmov %edi, %eax\nmov %rsi, %rdi\nmov 8(%rsp), %r9\nsyscall\nret\n.popsection");
long site_any(long, long);

/* As the C library's mutexes wake: the operation is completed behind the number. */
asm(".pushsection .text\n.balign 4096\n.skip 64\n"
    "site_futex:\nmov %rdi, %rdx\nlea site_futex(%rip), %rdi\nmov $1, %esi\n"
    "mov $202, %eax\nxor $0x80, %sil\nsyscall\nmov %rsi, %rax\nret\n.popsection");
long site_futex(long);

/* A number that was kept in a register, and a futex operation completed at the very end. */
asm(".pushsection .text\n.balign 4096\n.skip 64\n"
    "sites_short:\nmov %edi, %r9d\nmov %rsi, %rdi\nstc\nmov %r9d, %eax\nsyscall\nsbb %rcx, %rcx\nsub %rcx, %rax\nret\n"
    ".balign 64\n"
    "mov %edi, %r9d\nxor %edi, %edi\nmov $0xfff0, %esi\nmov %r9d, %eax\nxor $0x80, %sil\nsyscall\n"
    "mov %rsi, %rax\nret\n.popsection");
extern char sites_short[];

struct registers {
  uint64_t rbx, rbp, r12, r13, r14, r15, rdi, rsi, rdx, r10, r8, r9, flags, rsp;
};

/* Calls getppid through a site of its own with everything set, and tells what is there after it. */
void call_with(const struct registers *before, struct registers *after);
asm(".pushsection .text\n.balign 4096\n"
    "call_with:\n"
    "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\npush %rsi\n"
    "mov %rdi, %rax\n"
    "mov 0(%rax),%rbx\nmov 8(%rax),%rbp\nmov 16(%rax),%r12\nmov 24(%rax),%r13\n"
    "mov 32(%rax),%r14\nmov 40(%rax),%r15\nmov 48(%rax),%rdi\nmov 56(%rax),%rsi\n"
    "mov 64(%rax),%rdx\nmov 72(%rax),%r10\nmov 80(%rax),%r8\nmov 88(%rax),%r9\n"
    "push $0x5a5a5a5a\npush 96(%rax)\npopfq\n"
    "movq $0x66666666, -128(%rsp)\n"
    "mov $110, %eax\nsyscall\n"
    "pushfq\npop %rax\npush $0x202\npopfq\npop %rcx\npop %r11\n"
    "add -144(%rsp),%rcx\nmov %rcx,104(%r11)\n"
    "mov %rbx,0(%r11)\nmov %rbp,8(%r11)\nmov %r12,16(%r11)\nmov %r13,24(%r11)\n"
    "mov %r14,32(%r11)\nmov %r15,40(%r11)\nmov %rdi,48(%r11)\nmov %rsi,56(%r11)\n"
    "mov %rdx,64(%r11)\nmov %r10,72(%r11)\nmov %r8,80(%r11)\nmov %r9,88(%r11)\n"
    "mov %rax,96(%r11)\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n.popsection");

static void keeps_registers(void) {
  struct registers before = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x202 | 0xcd5 | 0x400, 0}, after;
  int bad = 0;
  for (int i = 0; i < WARM; i++) {
    before.rbx = (uint64_t)i << 33;
    before.flags = 0x202 | (i & 1 ? 0x8d5 : 0) | (i & 2 ? 0x400 : 0) | (i & 4 ? 0x40000 : 0);
    call_with(&before, &after);
    bad += memcmp(&before, &after, offsetof(struct registers, rsp)) != 0;
    bad += after.rsp != 0x5a5a5a5a + 0x66666666ul;
  }
  out("calls with other registers or flags after them: %d", bad);
}

static void keeps_floating_point(void) {
  unsigned mxcsr = 0x3f80, got = 0;
  unsigned short cw = 0x0a7f, gotcw = 0;
  double in[2] = {1.5, -2.25}, back[2];
  int bad = 0;
  for (int i = 0; i < WARM; i++) {
    in[0] = i;
    asm volatile("ldmxcsr %[m]\nfldcw %[c]\nmovupd %[in], %%xmm13\nfldl %[in]\n"
                 "call *%[site]\n"
                 "fstpl %[out]\nmovhpd %%xmm13, 8+%[out]\nfnstcw %[gc]\nstmxcsr %[gm]\nfninit\n"
                 : [out] "=m"(back), [gc] "=m"(gotcw), [gm] "=m"(got)
                 : [m] "m"(mxcsr), [c] "m"(cw), [in] "m"(in), [site] "r"(site_getppid)
                 : "rax", "rcx", "r11", "memory", "xmm13", "st", "st(1)", "cc");
    unsigned normal = 0x1f80;
    asm volatile("ldmxcsr %0" ::"m"(normal));
    bad += back[0] != in[0] || back[1] != in[1] || got != mxcsr || gotcw != cw;
  }
  out("calls with other floating-point state after them: %d", bad);
}

static void jumps_to_the_syscall(void) {
  int bad = 0;
  pid_t parent = getppid(), own = getpid();
  for (int i = 0; i < WARM; i++) {
    bad += site_jumped(0) != parent;
    long result = 39;
    asm volatile("call *%[to]" : "+a"(result) : [to] "r"(site_jumped_syscall) : "rcx", "r11", "memory");
    bad += result != own;
  }
  for (int i = 0; i < WARM; i++) bad += site_long() != parent;
  out("wrong answers from the middle of a site: %d", bad);
}

static void reads(void) {
  int zero = open("/dev/zero", O_RDONLY), bad = 0;
  pid_t own = getpid();
  char byte = 1;
  for (int i = 0; i < WARM; i++) {
    byte = 1;
    bad += site_xor(zero, &byte, 1) != 1 || byte != 0;
    long result = 39;
    asm volatile("call *%[to]" : "+a"(result) : [to] "r"(site_xor_syscall) : "rcx", "r11", "memory", "cc");
    bad += result != own;
  }
  for (int i = 0; i < WARM; i++) {
    bad += site_any(i % 2 ? SYS_getpid : SYS_getpgid, i % 2 ? 0 : own) != (i % 2 ? own : getpgid(own));
    bad += syscall(SYS_getpid) != own;
    bad += site_futex(1) != 0x81;
  }
  out("wrong reads: %d, of nothing: %ld", bad, site_xor(-1, &byte, 1));
}

/* Such sites are jumped from to certain places only: in a mapping of the text far from the program. */
static void short_sites(void) {
  const char *page = (const char *)((uintptr_t)sites_short & -(uintptr_t)PAGE);
  extern const char __executable_start[];
  int fd = open("/proc/self/exe", O_RDONLY), bad = 0;
  char *copy = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, page - __executable_start);
  if (copy == MAP_FAILED || memcmp(copy, page, PAGE) != 0) return out("no mapping of the text");
  char *kept = copy + (sites_short - page), *futex = kept + 64;
  for (int i = 0; i < WARM; i++) {
    /* The carry is kept as well. */
    bad += ((long (*)(long, long))kept)(i % 2 ? SYS_getpid : SYS_getppid, 0) != (i % 2 ? getpid() : getppid()) + 1;
    bad += ((long (*)(long))futex)(SYS_futex) != 0xff70;
  }
  out("wrong answers from short sites: %d", bad);
  munmap(copy, PAGE);
  close(fd);
}

static pid_t expected_parent;
static _Atomic int wrong, racing;

static void *racer(void *unused) {
  racing++;
  while (racing < 4) continue;
  for (int i = 0; i < 3000; i++) wrong += site_raced(0) != expected_parent;
  return unused;
}

static void threads_race(void) {
  pthread_t threads[4];
  expected_parent = getppid();
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, racer, NULL);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  out("wrong answers to racing threads: %d", wrong);
}

static volatile sig_atomic_t caught;
static uint64_t interrupted_rip;
static sigjmp_buf away;

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  caught++;
  interrupted_rip = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

static void on_jump(int signal) {
  (void)signal;
  siglongjmp(away, 1);
}

static void set_handler(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
  sigaction(signal, &action, NULL);
}

static void signals(void) {
  set_handler(SIGUSR1, on_signal, 0);
  pid_t pid = getpid();
  volatile int bad = 0;
  for (int i = 0; i < WARM; i++) {
    caught = 0;
    bad += site_tgkill(pid, pid, SIGUSR1) != 0 || caught != 1;
    bad += interrupted_rip != (uint64_t)site_tgkill_syscall + 2;
  }
  out("signals at a call's return that went wrong: %d", bad);

  /* Reads that wait, with a signal in between. */
  int fds[2];
  char byte = 0;
  if (pipe(fds) < 0) return;
  for (int i = 0; i < WARM; i++) {
    if (write(fds[1], "x", 1) != 1) return;
    bad += site_read(fds[0], &byte, 1L) != 1;
  }
  for (int restart = 0; restart < 2; restart++) {
    set_handler(SIGUSR1, on_signal, restart ? SA_RESTART : 0);
    caught = 0;
    pid_t child = fork();
    if (child == 0) {
      sleep_ms(50);
      kill(pid, SIGUSR1);
      sleep_ms(50);
      if (write(fds[1], "y", 1) != 1) _exit(1);
      _exit(0);
    }
    long got = restart ? site_xor(fds[0], &byte, 1L) : site_read(fds[0], &byte, 1L);
    out("a waiting read with%s SA_RESTART: %ld, %d caught, at the %s", restart ? "" : "out", got,
        (int)caught, interrupted_rip == (uint64_t)(restart ? site_xor_syscall : site_read_syscall) ? "call" : "next instruction");
    reap("the writer", child);
    if (!restart) bad += site_read(fds[0], &byte, 1L) != 1;
  }
  signal(SIGUSR1, on_jump);
  for (volatile int i = 0; i < WARM; i++) {
    if (sigsetjmp(away, 1) == 0) site_tgkill(pid, pid, SIGUSR1), bad++;
  }
  out("other failures: %d", bad);
}

static void timer_interrupts(void) {
  set_handler(SIGALRM, on_signal, SA_RESTART);
  caught = 0;
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  struct itimerspec every = {{0, 300000}, {0, 300000}}, never = {{0, 0}, {0, 0}};
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  timer_settime(timer, 0, &every, NULL);
  pid_t parent = getppid();
  int bad = 0;
  while (caught < 100) bad += site_getppid(0) != parent || site_futex(1) != 0x81;
  timer_settime(timer, 0, &never, NULL);
  timer_delete(timer);
  out("wrong answers between timer signals: %d", bad);
}

static void *pauses(void *tid) {
  *(pid_t *)tid = gettid();
  while (!caught) site_pause(0);
  return NULL;
}

/* An interrupt must not be lost, wherever in a call it comes. */
static void interrupts_are_not_lost(void) {
  set_handler(SIGUSR2, on_signal, 0);
  for (int i = 0; i < 100; i++) {
    volatile pid_t tid = 0;
    caught = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, pauses, (void *)&tid);
    while (!tid) sched_yield();
    while (!caught) syscall(SYS_tgkill, getpid(), tid, SIGUSR2), sched_yield();
    pthread_join(thread, NULL);
  }
  out("paused and woken");
}

static void text_is_written(void) {
  pid_t parent = getppid();
  int bad = 0;
  for (int i = 0; i < WARM; i++) bad += site_written(0) != parent;
  char *code = (char *)site_written;
  void *page = (void *)((uintptr_t)code & -PAGE);
  out("mprotect: %d", mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
  static const unsigned char original[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
  out("the text is as it was: %d", memcmp(code, original, sizeof original) == 0);
  memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6);
  out("other text: %ld", site_written(0));
  memcpy(code, original, sizeof original);
  for (int i = 0; i < WARM; i++) bad += site_written(0) != parent;
  mprotect(page, PAGE, PROT_READ | PROT_EXEC);
  for (int i = 0; i < WARM; i++) bad += site_written(0) != parent;
  out("wrong answers around writing: %d", bad);
}

/* Maps something else wherever this process has what Linux does not put there. */
static void own_mappings_go_anywhere(void) {
  pid_t parent = getppid();
  int bad = 0;
  for (int i = 0; i < WARM; i++) bad += site_covered(0) != parent;
  uint64_t found[64];
  int count = find_mapped("[trampolines]", found, 64);
  for (int i = 0; i < count; i++) {
    char *at = mmap((void *)found[i], PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memset(at, 0xcc, PAGE);
  }
  for (int i = 0; i < 2 * WARM; i++) bad += site_covered(0) != parent || site_getppid(0) != parent;
  out("wrong answers around mapping: %d", bad);
}

static void code_made_at_run_time(void) {
  pid_t parent = getppid(), own = getpid();
  unsigned char *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(code + 64, "\xb8\x6e\x00\x00\x00\x0f\x05\xc3", 8);
  long (*call)(void) = (long (*)(void))(code + 64);
  int bad = 0;
  for (int i = 0; i < 4 * WARM; i++) {
    code[65] = i & 1 ? 39 : 110;
    bad += call() != (i & 1 ? own : parent);
  }
  out("wrong answers to generated code: %d", bad);
  out("and its text: %d %d", code[64], code[69]);
}

static void gs_base(void) {
  pid_t parent = getppid();
  static uint64_t word = 0x1122334455667788;
  uint64_t got = 1;
  int bad = 0;
  for (int i = 0; i < WARM; i++) bad += site_gs(0) != parent;
  syscall(SYS_arch_prctl, ARCH_GET_GS, &got);
  out("gs base: %lx", got);
  syscall(SYS_arch_prctl, ARCH_SET_GS, &word);
  for (int i = 0; i < WARM; i++) {
    bad += site_gs(0) != parent;
    asm volatile("mov %%gs:0, %0" : "=r"(got));
    bad += got != 0x1122334455667788;
  }
  syscall(SYS_arch_prctl, ARCH_GET_GS, &got);
  out("gs base is ours: %d, word %lx", got == (uint64_t)&word, word);
  syscall(SYS_arch_prctl, ARCH_SET_GS, 0L);
  for (int i = 0; i < WARM; i++) bad += site_gs(0) != parent;
  out("wrong answers with a gs base: %d", bad);
}

static void forks(void) {
  pid_t own = getpid();
  volatile int bad = 0;
  for (int i = 0; i < WARM; i++) bad += site_getpid(0) != own;
  for (int n = 0; n < 3; n++) {
    IN_CHILD("a child", int wrongs = 0; pid_t self = getpid(); for (int i = 0; i < WARM; i++) {
      wrongs += site_getpid(0) != self || site_after_fork(0) != own;
    } if (n == 1) mprotect((void *)((uintptr_t)site_getpid & -PAGE), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int i = 0; i < WARM; i++) wrongs += site_getpid(0) != self; _exit(wrongs != 0));
    for (int i = 0; i < WARM; i++) bad += site_getpid(0) != own;
  }
  pid_t parent = getppid();
  for (int i = 0; i < WARM; i++) bad += site_after_fork(0) != parent;
  pid_t child = vfork();
  if (child == 0) {
    site_getpid(0);
    execl("/proc/self/exe", "call_sites", "again", NULL);
    _exit(9);
  }
  reap("a vfork child that execs", child);
  out("wrong answers around fork: %d", bad);
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) {
    pid_t parent = getppid();
    for (int i = 0; i < WARM; i++) if (site_getppid(0) != parent) return 1;
    return 7;
  }
  keeps_registers();
  keeps_floating_point();
  jumps_to_the_syscall();
  reads();
  short_sites();
  threads_race();
  signals();
  timer_interrupts();
  interrupts_are_not_lost();
  text_is_written();
  forks();
  gs_base();
  own_mappings_go_anywhere();
  code_made_at_run_time();
}
