/* One system call, many times: calls getppid|unpatched|zero|null, or calls stat|open|pread PATH. */
#include "bench.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fd;
static char buffer[4096];

/* The form that libc's own wrappers have. */
static void getppid_call(void *arg) {
  (void)arg;
  __asm__ volatile("mov $110, %%eax\n\tsyscall" ::: "rax", "rcx", "r11", "memory");
}

/* mov $110,%eax; syscall; ret on a page that the program may write, where nobody dares to patch. */
static void *writable_code(void) {
  static const unsigned char code[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) fail("mmap");
  return memcpy(page, code, sizeof code);
}

static void unpatched(void *arg) { ((long (*)(void))arg)(); }

static void read_byte(void *arg) {
  (void)arg;
  if (read(fd, buffer, 1) != 1) fail("read");
}

static void write_byte(void *arg) {
  (void)arg;
  if (write(fd, buffer, 1) != 1) fail("write");
}

static void stat_path(void *arg) {
  struct stat st;
  if (stat(arg, &st) != 0) fail("stat");
}

static void open_path(void *arg) {
  int opened = open(arg, O_RDONLY);
  if (opened < 0) fail("open");
  close(opened);
}

static void pread_page(void *arg) {
  static long at;
  (void)arg;
  if (pread(fd, buffer, 4096, (at++ & 63) * 4096) != 4096) fail("pread");
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  char *path = argc > 2 ? argv[2] : "/";
  if (!strcmp(what, "getppid")) {
    measure(getppid_call, NULL);
  } else if (!strcmp(what, "unpatched")) {
    measure(unpatched, writable_code());
  } else if (!strcmp(what, "zero")) {
    fd = open("/dev/zero", O_RDONLY);
    measure(read_byte, NULL);
  } else if (!strcmp(what, "null")) {
    fd = open("/dev/null", O_WRONLY);
    measure(write_byte, NULL);
  } else if (!strcmp(what, "stat")) {
    measure(stat_path, path);
  } else if (!strcmp(what, "open")) {
    measure(open_path, path);
  } else if (!strcmp(what, "pread")) {
    fd = open(path, O_RDONLY);
    measure(pread_page, NULL);
  } else {
    return 2;
  }
  return 0;
}
