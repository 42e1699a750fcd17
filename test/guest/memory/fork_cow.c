/* Copy-on-write: what parent, child and grandchild see of each other's memory. */
#include "guest.h"
#include <sys/mman.h>

enum { PAGES = 64, PAGE = 4096 };
static char data[PAGES * PAGE];
static int initialised = 42;

static unsigned sum(const char *p) {
  unsigned s = 0;
  for (int i = 0; i < PAGES; i++) s = s * 31 + (unsigned char)p[i * PAGE];
  return s;
}

int main(void) {
  char *shared = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char *heap = malloc(PAGES * PAGE);
  memset(heap, 1, PAGES * PAGE);
  for (int i = 0; i < PAGES; i++) data[i * PAGE] = (char)i;
  unsigned before = sum(data);
  int stack = 7;
  IN_CHILD("child", {
    out("inherits: %d %d %d", sum(data) == before, stack, heap[5]);
    for (int i = 0; i < PAGES; i += 2) data[i * PAGE] = 'c';
    stack = 8;
    initialised = 43;
    memset(shared, 's', PAGES * PAGE);
    memset(heap, 2, PAGES * PAGE);
    unsigned mine = sum(data);
    IN_CHILD("grandchild", {
      out("inherits: %d %d %d %d", sum(data) == mine, stack, initialised, heap[9]);
      data[PAGE] = 'g';
      shared[PAGE] = 'g';
    });
    out("grandchild's write unseen: %d", sum(data) == mine);
  });
  out("parent keeps: %d %d %d %d", sum(data) == before, stack, initialised, heap[9]);
  out("shared: %c %c", shared[0], shared[PAGE]);
  /* The parent writes while the child looks on. */
  int go[2], done[2];
  pipe(go);
  pipe(done);
  pid_t pid = fork();
  if (pid == 0) {
    char c;
    read(go[0], &c, 1);
    out("child still sees the old: %d, shared new: %c", sum(data) == before, shared[0]);
    _exit(0);
  }
  memset(data, 'p', sizeof data);
  shared[0] = 'n';
  write(go[1], "x", 1);
  reap("watcher", pid);
  /* System calls writing into copy-on-write memory. */
  pid = fork();
  if (pid == 0) {
    int zero = open("/dev/zero", O_RDONLY);
    read(zero, data, 3 * PAGE);
    out("read(2) into it: %d %c", data[PAGE], data[3 * PAGE]);
    _exit(0);
  }
  reap("reader", pid);
  out("parent's is untouched: %c", data[PAGE]);
  /* Many generations, each dirtying a page. */
  int depth = 0;
  while (depth < 12) {
    pid = fork();
    if (pid != 0) break;
    depth++;
    data[depth * PAGE] = (char)('A' + depth);
  }
  if (depth > 0 || pid == 0) {
    int status = 0;
    if (pid > 0) waitpid(pid, &status, 0);
    if (depth == 12) {
      char line[13] = {0};
      for (int i = 1; i <= 12; i++) line[i - 1] = data[i * PAGE];
      out("deepest %s", line);
    }
    _exit(WEXITSTATUS(status) + (depth == 12 ? 1 : 0));
  }
  reap("generations", pid);
  out("first generation's page: %c", data[PAGE]);
  /* MADV_DONTFORK, MADV_WIPEONFORK. */
  char *wipe = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  wipe[0] = 'w';
  R(madvise(wipe, PAGE, MADV_WIPEONFORK));
  IN_CHILD("wiped", out("%d", wipe[0]));
  return 0;
}
