/* /proc/self/maps agrees with what was mapped; process_vm_readv; resource limits on memory. */
#include "guest.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

enum { PAGE = 4096 };

/* The permissions and path of the mapping that holds `p`. */
static int find(void *p, char *perms, char *path, unsigned long *length) {
  FILE *f = fopen("/proc/self/maps", "r");
  char line[600];
  int found = 0;
  while (!found && fgets(line, sizeof line, f)) {
    unsigned long start, end;
    path[0] = 0;
    if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*d %500s", &start, &end, perms, path) < 3) continue;
    found = (unsigned long)p >= start && (unsigned long)p < end;
    *length = end - start;
  }
  fclose(f);
  return found;
}

static void show(const char *what, void *p) {
  char perms[8], path[512];
  unsigned long length;
  if (!find(p, perms, path, &length)) {
    out("%s: not there", what);
    return;
  }
  char *base = strrchr(path, '/');
  out("%s: %s %s", what, perms, base ? base + 1 : path);
}

static int global = 3;

int main(void) {
  int local;
  char *heap = sbrk(PAGE);
  show("code", (void *)main);
  show("data", &global);
  show("stack", &local);
  show("heap", heap);
  int fd = open("file", O_RDWR | O_CREAT, 0600);
  ftruncate(fd, 3 * PAGE);
  char *shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
  show("shared file", shared);
  show("private file", private);
  unlink("file");
  char *anonymous = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(anonymous + PAGE, PAGE, PROT_NONE);
  show("none", anonymous + PAGE);
  show("after", anonymous + 2 * PAGE);
  char perms[8], path[512];
  unsigned long length;
  T(find(anonymous + PAGE, perms, path, &length) && length == PAGE);
  munmap(anonymous + 2 * PAGE, PAGE);
  show("unmapped", anonymous + 2 * PAGE);
  mprotect(anonymous, 2 * PAGE, PROT_READ | PROT_EXEC);
  T(find(anonymous, perms, path, &length) && length == 2 * PAGE && strcmp(perms, "r-xp") == 0);

  int sorted = 1, overlap = 0;
  unsigned long start, end, last = 0;
  FILE *f = fopen("/proc/self/maps", "r");
  char line[600];
  while (fgets(line, sizeof line, f)) {
    if (strstr(line, "vsyscall")) continue;
    sscanf(line, "%lx-%lx", &start, &end);
    if (start < last) sorted = 0;
    if (end <= start) overlap = 1;
    last = end;
  }
  fclose(f);
  out("sorted %d, empty %d", sorted, overlap);

  char source[100] = "from the parent", into[100] = "";
  pid_t parent = getpid();
  IN_CHILD("process_vm_readv", {
    struct iovec mine = {into, 15};
    struct iovec theirs = {source, 15};
    R(process_vm_readv(parent, &mine, 1, &theirs, 1, 0));
    out("%s", into);
    theirs.iov_base = (void *)8;
    R(process_vm_readv(parent, &mine, 1, &theirs, 1, 0));
    R(process_vm_readv(999999, &mine, 1, &theirs, 1, 0));
  });
  /* Several pieces, cut differently on the two sides; what cannot be reached ends the copy. */
  char *target = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(target + 2 * PAGE, PAGE);
  strcpy(target, "untouched");
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  struct iovec mine[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}};
  struct iovec theirs[2] = {{target + PAGE - 2, 4}, {target + 2 * PAGE - 3, 9}};
  R(process_vm_writev(child, mine, 3, theirs, 2, 0));
  char back[8] = "";
  struct iovec look[2] = {{back, 4}, {back + 4, 3}};
  R(process_vm_readv(child, look, 2, theirs, 2, 0));
  out("%.7s, here %s", back, target);
  theirs[1].iov_len = 3;
  R(process_vm_writev(child, mine, 3, theirs + 1, 1, 0));
  R(process_vm_readv(child, look, 2, theirs, 2, 1));
  R(process_vm_readv(child, look, 0, theirs, 2, 0));
  R(process_vm_readv(child, look, 2, theirs, 0, 0));
  R(process_vm_readv(child, look, 2000, theirs, 2, 0));
  R(process_vm_readv(child, look, 2, (void *)8, 2, 0));
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  R(process_vm_readv(child, look, 2, theirs, 2, 0));
  IN_CHILD("RLIMIT_AS", {
    struct rlimit limit = {64 << 20, 64 << 20};
    R(setrlimit(RLIMIT_AS, &limit));
    T(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    T(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  });
  IN_CHILD("RLIMIT_DATA", {
    struct rlimit limit = {1 << 20, 1 << 20};
    R(setrlimit(RLIMIT_DATA, &limit));
    T(sbrk(8 << 20) == (void *)-1 && errno == ENOMEM);
  });
  /* Running out of stack. */
  IN_CHILD("stack overflow", {
    struct rlimit limit = {256 << 10, 256 << 10};
    setrlimit(RLIMIT_STACK, &limit);
    volatile char *p = (char *)&local;
    for (long i = 0; i < (64 << 20); i += PAGE) p[-i] = 1;
  });
  IN_CHILD("deep stack", {
    volatile char big[4 << 20];
    for (int i = (4 << 20) - 1; i > 0; i -= 1000) big[i] = 1;
    out("used %d", big[(4 << 20) - 1]);
  });
  return 0;
}
