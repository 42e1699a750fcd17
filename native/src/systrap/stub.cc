// The stub's code: a memory thread's loop, the start of an application thread, the handler of all
// its signals, and where patched call sites enter. General registers only, no stack but the signal
// frame's, no libc.
//
// The memory thread keeps everything in registers, its list is read-only for the process, and its
// results go where only the host can write: the position of a file and an event counter. So the
// application threads beside it can neither lead it astray nor speak for it.

#include "stub.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../stub.h"
#include "layout.h"

asm(R"(
  .pushsection .text
  .set CODE, 0x7fff00000000
  .set HEADER, 0x7fff00001000
  .set CONTROL, 0x7fff00002000
  .set WAITERS, 0x7fff00004000
  .set OPS, 64
  .set CHILD_OPS, 7232
  .set AREA, 0x4000

  .macro HOST_CALL nr
  mov $\nr, %eax
  syscall
  .endm

  // Runs the operations from rbx up to rbp; the first error goes to r12, the last result to r13.
  .macro LOAD_OP
  mov (%rbx), %rax
  mov 8(%rbx), %rdi
  mov 16(%rbx), %rsi
  mov 24(%rbx), %rdx
  mov 32(%rbx), %r10
  mov 40(%rbx), %r8
  mov 48(%rbx), %r9
  syscall
  .endm

  // Back from a patched site, with what its mailbox says.
  .macro LEAVE
  // Of the flags, what was changed here: OF, and what sahf sets. A popfq takes ten times as long.
  mov %gs:136, %r11
  mov %r11d, %eax
  and $0x800, %eax
  shl $20, %eax
  add %eax, %eax
  mov %r11d, %ecx
  mov %cl, %ah
  sahf
  mov %gs:16, %rdi
  mov %gs:24, %rsi
  mov %gs:32, %rdx
  mov %gs:40, %r10
  mov %gs:64, %rcx
  mov %gs:8, %rax
  mov %gs:72, %rsp
  jmp *%rcx
  .endm

  .p2align 6
runsc_systrap_begin:
  // r14: the control page. r15: the last value of Control::go. rsp: zero, here and only here.
runsc_systrap_memory:
  mov (%r14), %edx
  cmp %edx, %r15d
  jne 1f
  mov %r14, %rdi
  xor %esi, %esi
  xor %r10d, %r10d
  HOST_CALL 202
  jmp runsc_systrap_memory
1:
  mov %edx, %r15d
  lea OPS(%r14), %rbx
  imul $56, 4(%r14), %ebp
  add %rbx, %rbp
  xor %r12d, %r12d
  xor %r13d, %r13d
2:
  cmp %rbp, %rbx
  jae 4f
  LOAD_OP
  // A new thread must not look at the list: it may be another one by now.
  test %rsp, %rsp
  jnz runsc_systrap_thread
  mov %rax, %r13
  test %rax, %rax
  jns 3f
  xor %r13d, %r13d
  test %r12, %r12
  cmovz %rax, %r12
3:
  cmpq $56, (%rbx)
  lea 56(%rbx), %rbx
  jne 2b
  test %rax, %rax
  jnz 2b
  jmp runsc_systrap_child
4:
  // lseek(result_fd, result << 12 | errno); write(done_fd, 1).
  shl $12, %r13
  sub %r12, %r13
  mov 8(%r14), %edi
  mov %r13, %rsi
  xor %edx, %edx
  HOST_CALL 8
  mov 12(%r14), %edi
  lea 24(%r14), %rsi
  mov $8, %edx
  HOST_CALL 1
  jmp runsc_systrap_memory

  // A new process. The last of the child's operations replaces the control page by its own.
runsc_systrap_child:
  lea CHILD_OPS(%r14), %rbx
  imul $56, 16(%r14), %ebp
  add %rbx, %rbp
  xor %r15d, %r15d
5:
  cmp %rbp, %rbx
  jae 6f
  LOAD_OP
  add $56, %rbx
  test %rax, %rax
  jns 5b
  jmp runsc_systrap_exit_group
6:
  // The Sentry may have died before it was told about as our parent.
  HOST_CALL 110
  cmp %eax, 20(%r14)
  je runsc_systrap_memory
runsc_systrap_exit_group:
  xor %edi, %edi
  HOST_CALL 231
  ud2

  // A new application thread: rsp is where the frame of a stop lies in its area. It begins as one that
  // has stopped, and gets its signal stack and mask from the frame: until then it takes no signal. Only
  // the first thread of all finds no frame, and makes a call to show what one looks like.
runsc_systrap_thread:
  mov %rsp, %rbx
  and $-AREA, %rbx
  movabs $HEADER, %r13
  mov (%rbx), %eax
  test %eax, %eax
  jnz 15f
  lea 192(%rbx), %rdi
  xor %esi, %esi
  HOST_CALL 131
  mov $2, %edi
  lea 24(%r13), %rsi
  xor %edx, %edx
  mov $8, %r10d
  HOST_CALL 14
15:
  mov $1, %edi
  mov $4, %esi
  lea 32(%r13), %rdx
  HOST_CALL 317
  test %rax, %rax
  jnz runsc_systrap_exit_group
  mov (%rbx), %eax
  test %eax, %eax
  jnz 10f
  xor %esp, %esp
  HOST_CALL 39
  ud2

  // The handler: (signal, siginfo, ucontext) on the thread's own signal stack. An interrupt that finds
  // the thread on its way through the entry below is only noted: it has stopped or soon will. On its
  // way out it stops here. A step through either is not shown.
runsc_systrap_handler:
  mov %rsp, %rbx
  and $-AREA, %rbx
  mov 168(%rdx), %rax
  lea runsc_systrap_entry(%rip), %rcx
  sub %rcx, %rax
  cmp $(runsc_systrap_fast_end - runsc_systrap_entry), %rax
  jae 6f
  cmp $5, %edi
  je 11f
  cmp $(runsc_systrap_futex - runsc_systrap_entry), %rax
  jae 12f
  cmp $23, %edi
  jne 6f
  cmp $(runsc_systrap_return - runsc_systrap_entry), %rax
  jae 6f
5:
  movl $1, 168(%rbx)
11:
  add $8, %rsp
  HOST_CALL 15
  ud2
12:
  // What is looked at here may not be there, and nothing is done yet: the call is the Sentry's.
  lea runsc_systrap_refer(%rip), %rcx
  mov %rcx, 168(%rdx)
  cmp $23, %edi
  je 5b
  jmp 11b
6:
  mov %rdx, 152(%rbx)
  mov %rsi, 160(%rbx)
  rdfsbase %rax
  mov %rax, 128(%rbx)
  rdgsbase %rax
  mov %rax, 144(%rbx)
  movl $0, 4(%rbx)
  movabs $HEADER, %r13
  mov $1, %eax
  xchg %eax, (%rbx)
  cmp $4, %eax
  je runsc_systrap_exit
  cmpl $0, (%r13)
  je 7f
  rdtsc
  mov %eax, 220(%rbx)
  mov 8(%r13), %edi
  lea 16(%r13), %rsi
  mov $8, %edx
  HOST_CALL 1
7:
  // Where the Sentry is, it cannot run while this thread spins.
  mov $0x7b, %eax
  lsl %eax, %eax
  and $0xfff, %eax
  mov %eax, 216(%rbx)
  cmp 12(%r13), %eax
  je 9f
  mov 4(%r13), %ecx
8:
  mov (%rbx), %eax
  cmp $1, %eax
  jne 10f
  dec %ecx
  js 9f
  pause
  jmp 8b
9:
  mov $1, %eax
  mov $3, %edx
  lock cmpxchg %edx, (%rbx)
  mov (%rbx), %eax
10:
  cmp $3, %eax
  jne 11f
  mov %rbx, %rdi
  xor %esi, %esi
  mov $3, %edx
  xor %r10d, %r10d
  HOST_CALL 202
  mov (%rbx), %eax
  jmp 10b
11:
  cmp $4, %eax
  je runsc_systrap_exit
  cmp $1, %eax
  je 9b
  mov 128(%rbx), %rax
  wrfsbase %rax
  mov 144(%rbx), %rax
  wrgsbase %rax
  add $8, %rsp
runsc_systrap_restorer:
  HOST_CALL 15
  ud2
runsc_systrap_exit:
  xor %edi, %edi
  HOST_CALL 60
  ud2

  // Where trampolines of patched call sites lead: rax is the number, rcx the address behind the site's
  // "syscall", r11 free. The gs base is the thread's area (bytes 4 to 7 of it are 00 00 7f ff), or
  // else the application's own, and the call is made by the site's own instruction. That is found
  // without touching flags. Nothing here touches floating-point state or the application's stack.
  .p2align 6
runsc_systrap_entry:
  mov %rcx, %r11
  rdgsbase %rcx
  bswap %rcx
  lea 0x810000(%rcx), %ecx
  jrcxz 1f
  lea -2(%r11), %rcx
  jmp *%rcx
runsc_systrap_refer:
  movq $202, %gs:8
  jmp runsc_systrap_stop
1:
  mov %rax, %gs:8
  mov %rdi, %gs:16
  mov %rsi, %gs:24
  mov %rdx, %gs:32
  mov %r10, %gs:40
  mov %r8, %gs:48
  mov %r9, %gs:56
  mov %r11, %gs:64
  mov %rsp, %gs:72
  mov %rbx, %gs:80
  mov %rbp, %gs:88
  mov %r12, %gs:96
  mov %r13, %gs:104
  mov %r14, %gs:112
  mov %r15, %gs:120
  rdfsbase %rcx
  mov %rcx, %gs:128
  rdgsbase %rcx
  lea 144(%rcx), %rsp
  pushfq
  cmp $202, %eax
  je runsc_systrap_futex
runsc_systrap_stop:
  movl $1, %gs:4
  mov $1, %eax
  xchg %eax, %gs:0
  cmp $4, %eax
  je runsc_systrap_exit
  movabs $HEADER, %rcx
  cmpl $0, (%rcx)
  je 2f
  rdtsc
  mov %eax, %gs:220
  mov 8(%rcx), %edi
  lea 16(%rcx), %rsi
  mov $8, %edx
  HOST_CALL 1
  movabs $HEADER, %rcx
2:
  mov $0x7b, %eax
  lsl %eax, %eax
  and $0xfff, %eax
  cmp %gs:216, %eax
  je 8f
  mov %eax, %gs:216
8:
  cmp 12(%rcx), %eax
  je 4f
  mov 4(%rcx), %ecx
  // A pause is as long as a short call takes: not at once.
  mov $256, %r11d
3:
  mov %gs:0, %eax
  cmp $1, %eax
  jne 5f
  dec %r11d
  jns 3b
  dec %ecx
  js 4f
  pause
  jmp 3b
4:
  mov $1, %eax
  mov $3, %ecx
  lock cmpxchg %ecx, %gs:0
  mov %gs:0, %eax
5:
  cmp $2, %eax
  je runsc_systrap_return
  cmp $4, %eax
  je runsc_systrap_exit
  cmp $1, %eax
  je 4b
  cmp $3, %eax
  jne 6f
  rdgsbase %rdi
  xor %esi, %esi
  mov $3, %edx
  xor %r10d, %r10d
  HOST_CALL 202
  mov %gs:0, %eax
  jmp 5b
6:
  // The Sentry wants a signal frame: this call traps.
  HOST_CALL 39
  // The way out. The Sentry has the registers: whatever interrupts here need not look at them.
runsc_systrap_return:
  cmpl $0, %gs:168
  jne 7f
  LEAVE
7:
  // An interrupt was noted: this call traps, too.
  movl $0, %gs:168
  HOST_CALL 39
  jmp runsc_systrap_return

  // futex(2), of which two cases need no Sentry: FUTEX_WAKE_PRIVATE where nobody is counted, and
  // FUTEX_WAIT_PRIVATE or FUTEX_WAIT_BITSET_PRIVATE where the word has another value. Up to its last instruction
  // this changes nothing that counts: whatever interrupts it sends the thread to the Sentry instead.
runsc_systrap_futex:
  movabs $HEADER, %rcx
  cmpl $0, 112(%rcx)
  je runsc_systrap_stop
  test $3, %dil
  jnz runsc_systrap_stop
  mov %rdi, %rcx
  shr $32, %rcx
  cmp $0x7fff, %ecx
  jae runsc_systrap_stop
  cmp $0x81, %esi
  jne 1f
  // The word was changed before this, and whoever counts himself looks at it after that.
  lock orl $0, %gs:168
  movabs $WAITERS, %rcx
  and $0xffc, %edi
  cmpl $0, (%rcx, %rdi)
  jne runsc_systrap_stop
  movq $0, %gs:8
  jmp 4f
1:
  // The private ones: for a word that others may see, the Sentry looks at the mapping.
  cmp $0x80, %esi
  je 2f
  and $~0x100, %esi
  cmp $0x89, %esi
  jne runsc_systrap_stop
  test %r9d, %r9d
  jz runsc_systrap_stop
2:
  test %r10, %r10
  jz 3f
  lea 15(%r10), %rcx
  shr $32, %rcx
  cmp $0x7fff, %ecx
  jae runsc_systrap_stop
  cmpq $0, (%r10)
  jl runsc_systrap_stop
  cmpq $999999999, 8(%r10)
  ja runsc_systrap_stop
3:
  cmp (%rdi), %edx
  je runsc_systrap_stop
  movq $-11, %gs:8
4:
  cmpl $0, %gs:168
  jne runsc_systrap_refer
  LEAVE
runsc_systrap_fast_end:
runsc_systrap_end:

  // runsc_systrap_clone(code_fd, header_fd, control_fd): clone(2) without a stack, twice: CLONE_VM
  // drops what a copy inherits for libc's sake (rseq above all, where the scheduler writes).
  .type runsc_systrap_clone, @function
runsc_systrap_clone:
  push %rbx
  push %rbp
  push %r12
  mov %edi, %ebx
  mov %esi, %ebp
  mov %edx, %r12d
  mov $0x411, %edi
  xor %esi, %esi
  xor %edx, %edx
  xor %r10d, %r10d
  xor %r8d, %r8d
  HOST_CALL 56
  test %rax, %rax
  jz 12f
  pop %r12
  pop %rbp
  pop %rbx
  ret
12:
  mov $0x8511, %edi
  xor %esi, %esi
  xor %edx, %edx
  xor %r10d, %r10d
  xor %r8d, %r8d
  HOST_CALL 56
  test %rax, %rax
  jz 13f
  xor %edi, %edi
  HOST_CALL 60
13:
  movabs $CODE, %rdi
  mov $0x1000, %esi
  mov $5, %edx
  mov $0x12, %r10d
  mov %ebx, %r8d
  xor %r9d, %r9d
  HOST_CALL 9
  test %rax, %rax
  js 14f
  movabs $HEADER, %rdi
  mov $0x1000, %esi
  mov $1, %edx
  mov $0x11, %r10d
  mov %ebp, %r8d
  xor %r9d, %r9d
  HOST_CALL 9
  test %rax, %rax
  js 14f
  movabs $CONTROL, %rdi
  mov $0x3000, %esi
  mov $1, %edx
  mov $0x11, %r10d
  mov %r12d, %r8d
  xor %r9d, %r9d
  HOST_CALL 9
  test %rax, %rax
  js 14f
  mov %rax, %r14
  xor %r15d, %r15d
  xor %esp, %esp
  movabs $CODE, %rax
  jmp *%rax
14:
  xor %edi, %edi
  HOST_CALL 231
  .size runsc_systrap_clone, . - runsc_systrap_clone
  .popsection
)");

extern "C" const char runsc_systrap_begin[], runsc_systrap_handler[], runsc_systrap_restorer[],
    runsc_systrap_entry[], runsc_systrap_fast_end[], runsc_systrap_end[];
extern "C" long runsc_systrap_clone(int code_fd, int header_fd, int control_fd);

namespace runsc::systrap {

static_assert(kCode == 0x7fff00000000 && kHeader == 0x7fff00001000 && kControl == 0x7fff00002000);
static_assert(kAreaBytes == 0x4000, "the code above knows these");

uint64_t HandlerAddress() { return kCode + (runsc_systrap_handler - runsc_systrap_begin); }
uint64_t EntryAddress() { return kCode + (runsc_systrap_entry - runsc_systrap_begin); }
uint64_t EntryEnd() { return kCode + (runsc_systrap_fast_end - runsc_systrap_begin); }
uint64_t RestorerAddress() { return kCode + (runsc_systrap_restorer - runsc_systrap_begin); }

int MakeCodeFile() {
  int fd = static_cast<int>(syscall(SYS_memfd_create, "runsc-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0) return -errno;
  size_t length = runsc_systrap_end - runsc_systrap_begin;
  if (ftruncate(fd, 0x1000) < 0 ||
      pwrite(fd, runsc_systrap_begin, length, 0) != static_cast<ssize_t>(length)) {
    int error = errno;
    close(fd);
    return -error;
  }
  fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  return fd;
}

pid_t CloneTemplate(int code_fd, int header_fd, int control_fd) {
  const void* needed[] = {reinterpret_cast<const void*>(runsc_systrap_clone),
                          __builtin_thread_pointer()};
  HideMappings(needed, 2);
  return static_cast<pid_t>(runsc_systrap_clone(code_fd, header_fd, control_fd));
}

}  // namespace runsc::systrap
