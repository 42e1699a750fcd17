/* What host_memory.test.ts runs natively and on the memory manager: both must print the same. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define MIB (1024 * 1024)

static int initialised = 42;
static int zeroed[5000];

static int deep(int n) {
  volatile char frame[2000];
  memset((char *)frame, n, sizeof frame);
  return n == 0 ? frame[7] : deep(n - 1) + frame[1999] * 0 + 1;
}

static unsigned sum(const unsigned *words, int count) {
  unsigned total = 0;
  for (int i = 0; i < count; i++) total += words[i] * (i + 1);
  return total;
}

static void child(unsigned *heap, unsigned *shared, char *stack, int round) {
  for (int i = 0; i < 64; i += 3) heap[i * 1024] = round * 1000 + i;
  shared[round] = sum(heap, 64 * 1024);
  stack[100] = 'c';
  initialised += round;
  printf("child %d: %u %c %d\n", round, shared[round], stack[100], initialised);
  fflush(stdout);
  _exit(round);
}

static void forks(void) {
  unsigned *heap = malloc(64 * PAGE);
  unsigned *shared =
      mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char stack[300];
  memset(stack, 'p', sizeof stack);
  memset(heap, 1, 64 * PAGE);
  for (int round = 1; round <= 4; round++) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) child(heap, shared, stack, round);
    int status = 0;
    waitpid(pid, &status, 0);
    heap[round * 5000] = round;
    printf("parent: %u %u %c %d\n", shared[round], sum(heap, 64 * 1024), stack[100], initialised);
  }
  free(heap);
}

static void mappings(void) {
  char *area = mmap(NULL, 16 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 16; i++) {
    mprotect(area + i * MIB, MIB, PROT_READ | PROT_WRITE);
    area[i * MIB + 5] = i;
  }
  char *moved = mremap(area, 16 * MIB, 32 * MIB, MREMAP_MAYMOVE);
  moved[20 * MIB] = 9;
  printf("moved: %d %d %d\n", moved[15 * MIB + 5], moved[20 * MIB], moved[21 * MIB]);
  madvise(moved, 4 * MIB, MADV_DONTNEED);
  printf("dropped: %d kept: %d\n", moved[3 * MIB + 5], moved[4 * MIB + 5]);
  munmap(moved + MIB, 30 * MIB);
  char *huge = mmap(NULL, 1L << 40, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  huge[1L << 39] = 3;
  printf("huge: %d %d\n", huge[1L << 39], huge[(1L << 39) + 100 * MIB]);
}

int main(int argc, char **argv, char **envp) {
  printf("%d %s %s %d %d\n", argc, argv[1], envp[0], initialised, zeroed[4999]);
  printf("deep: %d\n", deep(3000));
  fflush(stdout);
  forks();
  mappings();
  for (int i = 0; i < 2000; i++) free(malloc(i * 100));
  printf("%s\n", getenv("A"));
  return 0;
}
