/*
 * Program text that a kernel may have patched: whatever it does to the text and puts beside it, nobody
 * must be led astray who maps something there, copies the text, reads it through the kernel, or has the
 * same file mapped.
 */
#include "guest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>

enum { WARM = 200, PAGE = 4096, STACKS = 1024, CALLERS = 4, CHILDREN = 24 };

#define TEXT(name, code) \
  asm(".pushsection .text\n.balign 4096\n.skip 64\n.type " #name ", @function\n" #name ":\n" code ".popsection")

TEXT(site_copied, "mov $110, %eax\nsyscall\nret\n");
long site_copied(void);
static const unsigned char COPIED[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};

/* A call whose last instruction before the "syscall" takes its time: it touches the stack it is given. */
TEXT(site_slow, "mov %rsp, %r8\nmov %esi, %eax\nmov %rdi, %rsp\nmov 8(%rsp), %r9\nsyscall\nmov %r8, %rsp\nret\n");
long site_slow(char *stack, long number);

static pid_t parent;
static _Atomic long calls, wrongs;
static _Atomic int covered;

static void *call_slowly(void *unused) {
  char *stacks = mmap(NULL, STACKS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int after = 0, i = 0; after < WARM; after += covered) {
    if (i == STACKS) madvise(stacks, STACKS * PAGE, MADV_DONTNEED), i = 0;
    wrongs += site_slow(stacks + i++ * PAGE, SYS_getppid) != parent;
    calls++;
  }
  return unused;
}

/* Takes processors away from those on their way. */
static void *compute(void *unused) {
  while (!covered) continue;
  return unused;
}

/* Covers whatever Linux does not put there. */
static void cover(void) {
  uint64_t found[64];
  int count = find_mapped("[trampolines]", found, 64);
  for (int i = 0; i < count; i++) {
    void *at = (void *)found[i];
    switch (i % 3) {
      case 0: mmap(at, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); break;
      case 1: munmap(at, PAGE); break;
      default: mprotect(at, PAGE, PROT_NONE);
    }
  }
}

/* Each process can do so once for a page of text. */
static void threads_are_on_their_way(void) {
  char *warm = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int bad = 0;
  for (int i = 0; i < WARM; i++) bad += site_slow(warm, SYS_getpid) != getpid();
  parent = getpid();
  for (int i = 0; i < CHILDREN; i++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_t threads[CALLERS + 3];
      for (int n = 0; n < CALLERS + 3; n++)
        pthread_create(&threads[n], NULL, n < CALLERS ? call_slowly : compute, NULL);
      while (calls < 20 + i) sched_yield();
      cover();
      covered = 1;
      for (int n = 0; n < CALLERS + 3; n++) pthread_join(threads[n], NULL);
      _exit(wrongs != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    bad += status != 0;
  }
  out("processes led astray by mapping something: %d", bad);
}

static void copies_run(void) {
  int bad = 0;
  parent = getppid();
  for (int i = 0; i < WARM; i++) bad += site_copied() != parent;
  unsigned char *code = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 3; i++) {
    unsigned char *at = code + i * 2045;
    memcpy(at, (void *)site_copied, sizeof COPIED);
    if (i == 2) mprotect(code, 2 * PAGE, PROT_READ | PROT_EXEC);
    for (int n = 0; n < WARM; n++) bad += ((long (*)(void))at)() != parent;
    out("copy %d is as the text: %d", i, memcmp(at, COPIED, sizeof COPIED) == 0);
  }
  out("wrong answers to copies: %d", bad);
}

/* What the kernel reads is what the file has. */
static void kernel_reads_the_file(void) {
  unsigned char got[sizeof COPIED];
  int fds[2], mem = open("/proc/self/mem", O_RDONLY), bad = 0;
  parent = getppid();
  for (int i = 0; i < WARM; i++) bad += site_copied() != parent;
  if (pipe(fds) < 0) return;
  ssize_t n = write(fds[1], (void *)site_copied, sizeof got);
  n += read(fds[0], got, sizeof got);
  out("write: %zd, %d", n, memcmp(got, COPIED, sizeof got) == 0);
  n = pread(mem, got, sizeof got, (off_t)(uintptr_t)site_copied);
  out("/proc/self/mem: %zd, %d", n, memcmp(got, COPIED, sizeof got) == 0);
  struct iovec to = {got, sizeof got}, from = {(void *)site_copied, sizeof got};
  n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
  out("process_vm_readv: %zd, %d", n, memcmp(got, COPIED, sizeof got) == 0);
  /* All of the text, in one piece. */
  extern const char __executable_start[], etext[];
  size_t length = (size_t)(etext - __executable_start), done = 0;
  char *file = malloc(length), *memory = malloc(length);
  int exe = open("/proc/self/exe", O_RDONLY);
  for (done = 0; done < length && (n = pread(exe, file + done, length - done, (off_t)done)) > 0;) done += (size_t)n;
  for (done = 0; done < length; done += (size_t)n) {
    n = pread(mem, memory + done, length - done, (off_t)((uintptr_t)__executable_start + done));
    if (n <= 0) break;
  }
  out("all of the text: %d, %d wrong", done == length && memcmp(file, memory, length) == 0, bad);
  close(mem), close(exe);
}

/* The same file, mapped by others: what one of them does to its mapping is its own affair. */
static void processes_share(const char *self) {
  parent = getppid();
  int bad = 0;
  for (int i = 0; i < WARM; i++) bad += site_copied() != parent;
  pid_t own = getpid();
  for (int i = 0; i < 3; i++) {
    pid_t child = fork();
    if (child == 0) {
      char *page = (char *)((uintptr_t)site_copied & -(uintptr_t)PAGE);
      int wrong = 0;
      for (int n = 0; n < WARM; n++) wrong += site_copied() != own;
      /* Its own text says something else from now on; so does all that is not the program's. */
      mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
      wrong += memcmp((void *)site_copied, COPIED, sizeof COPIED) != 0;
      memcpy((void *)site_copied, "\xb8\x2a\x00\x00\x00\xc3", 6);
      FILE *maps = fopen("/proc/self/maps", "r");
      char line[512];
      uint64_t at;
      while (maps && fgets(line, sizeof line, maps)) {
        if (!strstr(line, "[trampolines]") || sscanf(line, "%lx", &at) != 1) continue;
        mprotect((void *)at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
        memset((void *)at, 0xcc, PAGE);
      }
      wrong += site_copied() != 42;
      if (i == 1) {
        int mem = open("/proc/self/mem", O_RDWR);
        wrong += pwrite(mem, "\xb8\x2b\x00\x00\x00\xc3", 6, (off_t)(uintptr_t)site_copied) != 6;
        wrong += site_copied() != 43;
      }
      _exit(wrong != 0);
    }
    reap("one that writes to its own", child);
    child = fork();
    if (child == 0) execl(self, self, "again", NULL), _exit(9);
    reap("one that executes it anew", child);
    for (int n = 0; n < WARM; n++) bad += site_copied() != parent;
  }
  /* At another address. */
  extern const char __executable_start[];
  int fd = open("/proc/self/exe", O_RDONLY);
  uintptr_t page = (uintptr_t)site_copied & -(uintptr_t)PAGE;
  char *elsewhere = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)(page - (uintptr_t)__executable_start));
  for (int n = 0; n < WARM; n++) bad += ((long (*)(void))(elsewhere + ((uintptr_t)site_copied - page)))() != parent;
  out("wrong answers in all: %d", bad);
  munmap(elsewhere, PAGE);
  close(fd);
}

/* A library that is written to, cut and replaced while it is mapped. */
static void the_file_changes(void) {
  static unsigned char page[PAGE];
  parent = getppid();
  pid_t own = getpid();
  memset(page, 0x90, sizeof page);
  memcpy(page + 64, COPIED, sizeof COPIED);
  int fd = open("library", O_RDWR | O_CREAT | O_TRUNC, 0755), bad = 0;
  if (write(fd, page, PAGE) != PAGE) return;
  char *text = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  long (*call)(void) = (long (*)(void))(text + 64);
  for (int i = 0; i < WARM; i++) bad += call() != parent;
  page[65] = 39;
  if (pwrite(fd, page, PAGE, 0) != PAGE) return;
  for (int i = 0; i < WARM; i++) bad += call() != own;
  out("wrong answers around writing to the file: %d", bad);
  if (ftruncate(fd, 0) < 0) return;
  page[65] = 110;
  if (pwrite(fd, page, PAGE, 0) != PAGE) return;
  for (int i = 0; i < WARM; i++) bad += call() != parent;
  out("around cutting it: %d", bad);
  page[65] = 39;
  int other = open("other", O_RDWR | O_CREAT | O_TRUNC, 0755);
  if (write(other, page, PAGE) != PAGE || rename("other", "library") < 0) return;
  for (int i = 0; i < WARM; i++) bad += call() != parent;
  mmap(text, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, other, 0);
  for (int i = 0; i < WARM; i++) bad += call() != own;
  out("around replacing it: %d", bad);
  close(fd), close(other);
  unlink("library");
}

int main(int argc, char **argv) {
  if (argc > 1) {
    parent = getppid();
    for (int i = 0; i < WARM; i++) if (site_copied() != parent) return 1;
    return 7;
  }
  kernel_reads_the_file();
  copies_run();
  processes_share(argv[0]);
  the_file_changes();
  threads_are_on_their_way();
}
