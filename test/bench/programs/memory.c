/*
 * Touching memory, a byte a page: memory fresh, 256 MB just mapped (milliseconds); memory forked, 64 MB
 * shared with the parent (milliseconds); memory churn, 64 KiB mapped, touched and unmapped.
 */
#include "bench.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define FRESH (256ul << 20)
#define FORKED (64ul << 20)
#define CHURN (64ul << 10)

static char *map(size_t length) {
  char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

static void touch(char *memory, size_t length) {
  for (size_t at = 0; at < length; at += PAGE) memory[at]++;
}

static double fresh_ms(void) {
  char *memory = map(FRESH);
  double begin = now_ns();
  touch(memory, FRESH);
  double took = now_ns() - begin;
  munmap(memory, FRESH);
  return took / 1e6;
}

static double forked_ms(void) {
  static char *memory;
  if (!memory) memory = map(FORKED);
  touch(memory, FORKED);
  int result[2];
  double took = 0;
  if (pipe(result) != 0) fail("pipe");
  if (fork() == 0) {
    double begin = now_ns();
    touch(memory, FORKED);
    took = now_ns() - begin;
    _exit(write(result[1], &took, sizeof took) != sizeof took);
  }
  if (read(result[0], &took, sizeof took) != sizeof took) fail("read");
  wait(NULL);
  close(result[0]);
  close(result[1]);
  return took / 1e6;
}

static void churn(void *arg) {
  (void)arg;
  char *memory = map(CHURN);
  touch(memory, CHURN);
  munmap(memory, CHURN);
}

int main(int argc, char **argv) {
  if (argc < 2 || !strcmp(argv[1], "churn")) {
    measure(churn, NULL);
    return 0;
  }
  double samples[3];
  for (int i = 0; i < 3; i++) samples[i] = !strcmp(argv[1], "fresh") ? fresh_ms() : forked_ms();
  printf("%.3f\n", median(samples, 3));
  return 0;
}
