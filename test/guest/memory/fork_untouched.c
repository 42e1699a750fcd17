/*
 * Children that touch, change or pass on memory which no earlier child of this program has touched: whoever
 * learns from children what the next one needs must not be wrong about any of it.
 */
#include "guest.h"
#include <pthread.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 32, LENGTH = PAGES * PAGE, QUIET = 12, THREADS = 4, FILE_FD = 50 };

static const char constants[LENGTH] = {[0] = 'a', [LENGTH - 1] = 'z'};
static char data[LENGTH];
static char *memory, *shared, *program, *inaccessible, *file;

static unsigned sum(const volatile char *p) {
  unsigned s = 0;
  for (int i = 0; i < PAGES; i++) s = s * 31 + (unsigned char)p[i * PAGE + i];
  return s;
}

static unsigned all(void) {
  return sum(constants) ^ sum(data) * 3 ^ sum(memory) * 5 ^ sum(shared) * 7 ^ sum(program) * 11;
}

static void prepare(void) {
  int fd = open("/proc/self/exe", O_RDONLY);
  int prot = PROT_READ | PROT_WRITE;
  memory = mmap(NULL, LENGTH, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  shared = mmap(NULL, LENGTH, prot, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  program = mmap(NULL, LENGTH, PROT_READ, MAP_PRIVATE, fd, 0);
  inaccessible = mmap(NULL, LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  close(fd);
  fd = open("/tmp/untouched", O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (ftruncate(fd, LENGTH) < 0) _exit(98);
  file = mmap(NULL, LENGTH, prot, MAP_PRIVATE, fd, 0);
  unlink("/tmp/untouched");
  if (dup2(fd, FILE_FD) < 0) _exit(97);
  for (int i = 0; i < LENGTH; i++) {
    data[i] = (char)(i * 3 + i / PAGE);
    memory[i] = (char)(i * 5 + i / PAGE);
    shared[i] = (char)(i * 7 + i / PAGE);
  }
}

/* Children that do nothing, as a shell's do before they execute something. */
static void quiet_children(void) {
  int failed = 0;
  for (int i = 0; i < QUIET; i++) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (waitpid(pid, &status, 0) != pid || status != 0) failed++;
  }
  out("quiet children that failed: %d", failed);
}

static void *look(void *results) {
  *(unsigned *)results = all();
  return NULL;
}

static void look_together(unsigned expected) {
  pthread_t threads[THREADS];
  unsigned results[THREADS] = {0};
  int right = 0;
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, look, &results[i]);
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    right += results[i] == expected;
  }
  out("threads that saw it right: %d", right);
}

static void changes(unsigned expected) {
  IN_CHILD("protects", {
    R(mprotect(memory, 4 * PAGE, PROT_NONE));
    R(mprotect(program + PAGE, PAGE, PROT_READ | PROT_WRITE));
    program[PAGE + 5] = 'x';
    out("%c %d %d", program[PAGE + 5], memory[5 * PAGE], program[0]);
    R(mprotect(memory, 4 * PAGE, PROT_READ | PROT_WRITE));
    memory[PAGE]++;
    out("%d %d", memory[PAGE], memory[3 * PAGE + 7]);
  });
  IN_CHILD("unmaps", {
    R(munmap(memory + 4 * PAGE, 8 * PAGE));
    R(munmap(program, 2 * PAGE));
    char *again = mmap(memory + 6 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    out("%d %d %d %d", again == memory + 6 * PAGE, again[0], memory[3 * PAGE], program[2 * PAGE]);
    out("%d", memory[4 * PAGE]);
  });
  IN_CHILD("moves", {
    char *to = mremap(memory, LENGTH, 2 * LENGTH, MREMAP_MAYMOVE);
    char *file = mremap(program + 8 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, inaccessible);
    out("%d %d", to[LENGTH], file == inaccessible);
    char page[PAGE];
    int fd = open("/proc/self/exe", O_RDONLY);
    for (int i = 8; i < 16; i++) {
      pread(fd, page, PAGE, i * PAGE);
      if (memcmp(page, file + (i - 8) * PAGE, PAGE) != 0) out("page %d differs", i);
    }
    for (int i = 0; i < LENGTH; i++) {
      if (to[i] != (char)(i * 5 + i / PAGE)) out("byte %d differs", i);
    }
  });
  IN_CHILD("gives up", {
    R(madvise(memory, 2 * PAGE, MADV_DONTNEED));
    R(madvise(program, 2 * PAGE, MADV_DONTNEED));
    out("%d %d %d", memory[PAGE + 1], memory[2 * PAGE + 1], program[0]);
    R(mlock(data, sizeof data));
    out("%d", data[20 * PAGE + 20]);
  });
  out("as before: %d", all() == expected);
}

static int page_fault_code(char *at, int write) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    if (write) *(volatile char *)at = 1;
    _exit(*(volatile char *)at != 0);
  }
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) return 9;
  prepare();
  unsigned expected = all();
  quiet_children();
  IN_CHILD("looks at everything", out("%d", all() == expected));
  quiet_children();
  IN_CHILD("writes", {
    for (int i = 0; i < PAGES; i += 2) data[i * PAGE + i]++, memory[i * PAGE + i]--;
    out("%d", all() == expected);
    shared[9]++;
    shared[9 + PAGE]++;
  });
  shared[9]--;
  shared[9 + PAGE]--;
  out("unseen: %d", all() == expected);
  IN_CHILD("looks with threads", look_together(expected));
  changes(expected);
  IN_CHILD("has a child", {
    data[3 * PAGE] ^= 1;
    unsigned mine = all();
    IN_CHILD("grandchild", out("%d", all() == mine); memory[0] = 1);
    out("%d", all() == mine);
  });
  IN_CHILD("has the kernel look", {
    int ends[2];
    pipe(ends);
    R(write(ends[1], memory + 20 * PAGE - 5, 10));
    R(read(ends[0], data + 21 * PAGE - 5, 10));
    out("%d", memcmp(memory + 20 * PAGE - 5, data + 21 * PAGE - 5, 10));
    R(write(ends[1], program + 100, 3000));
    R(read(ends[0], memory + 100, 3000));
    out("%d", memcmp(program + 100, memory + 100, 3000));
    unsigned char there[PAGES];
    R(mincore(memory, LENGTH, there));
    int count = 0;
    for (int i = 0; i < PAGES; i++) count += there[i] & 1;
    out("%d", count);
  });
  IN_CHILD("sees a file change that it has only read", {
    out("%d", file[3 * PAGE]);
    R(pwrite(FILE_FD, "changed", 7, 3 * PAGE));
    out("%d %s", file[2 * PAGE], file + 3 * PAGE);
    file[3 * PAGE] = 'C';
    R(pwrite(FILE_FD, "again", 5, 3 * PAGE));
    out("%s", file + 3 * PAGE);
  });
  out("%s", file + 3 * PAGE);
  IN_CHILD("executes", execl("/proc/self/exe", "again", "argument", NULL));
  out("signals: %d %d %d %d", page_fault_code((char *)constants + PAGE, 1),
      page_fault_code(inaccessible, 0), page_fault_code(program, 1), page_fault_code(memory, 1));
  quiet_children();
  out("as before: %d", all() == expected);
  return 0;
}
