/* Large private memory: sparse and dense use, fork, pieces taken out of it, and its growth elsewhere. */
#include "guest.h"
#include <sys/mman.h>

#define PAGE 4096ul
#define MB (1ul << 20)
#define LENGTH (24 * MB)

static char *map(size_t length, int flags) {
  return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

/* Every page holds its number and `salt`. */
static void fill(char *memory, size_t from, size_t to, unsigned salt) {
  for (size_t at = from; at < to; at += PAGE) *(unsigned *)(memory + at) = at / PAGE + salt;
}

/* How many pages of [from, to) do not hold what fill wrote there. */
static int wrong(char *memory, size_t from, size_t to, unsigned salt) {
  int count = 0;
  for (size_t at = from; at < to; at += PAGE)
    count += *(unsigned *)(memory + at) != at / PAGE + salt;
  return count;
}

/* How many bytes of [from, to) are not zero. */
static int used(char *memory, size_t from, size_t to) {
  int count = 0;
  for (size_t at = from; at < to; at++) count += memory[at] != 0;
  return count;
}

static void in_child(const char *what, void (*body)(char *), char *memory) {
  pid_t pid = fork();
  if (pid == 0) {
    body(memory);
      _exit(0);
  }
  int status;
  waitpid(pid, &status, 0);
  out("%s: status %d, wrong in the parent %d", what, status, wrong(memory, 0, LENGTH, 1));
}

static void in_order(char *memory) {
  fill(memory, 0, LENGTH, 7);
  out("in order: wrong %d", wrong(memory, 0, LENGTH, 7));
}

static void backwards(char *memory) {
  for (size_t at = LENGTH; at > 0; at -= PAGE) *(unsigned *)(memory + at - PAGE) += 2;
  out("backwards: wrong %d", wrong(memory, 0, LENGTH, 3));
}

static void here_and_there(char *memory) {
  for (size_t at = 0; at < LENGTH; at += 37 * PAGE) *(unsigned *)(memory + at) = 0;
  out("here and there: wrong %d", wrong(memory, 0, LENGTH, 1));
}

static void grandchild(char *memory) {
  fill(memory, 0, LENGTH / 2, 9);
  pid_t pid = fork();
  if (pid == 0) {
    fill(memory, LENGTH / 4, LENGTH, 11);
    _exit(wrong(memory, 0, LENGTH / 4, 9) + wrong(memory, LENGTH / 4, LENGTH, 11));
  }
  int status;
  waitpid(pid, &status, 0);
  out("grandchild: %d, wrong %d and %d", status, wrong(memory, 0, LENGTH / 2, 9),
         wrong(memory, LENGTH / 2, LENGTH, 1));
}

int main(void) {
  char *memory = map(LENGTH, 0);
  out("fresh: used %d", used(memory, 0, LENGTH));
  fill(memory, 0, LENGTH, 1);
  out("filled: wrong %d", wrong(memory, 0, LENGTH, 1));
  in_child("in order", in_order, memory);
  in_child("backwards", backwards, memory);
  in_child("here and there", here_and_there, memory);
  in_child("grandchild", grandchild, memory);
  in_child("in order again", in_order, memory);

  /* Pieces emptied, unmapped, made unwritable and back. */
  R(madvise(memory + 5 * MB + PAGE, 3 * PAGE, MADV_DONTNEED));
  out("emptied: used %d", used(memory, 5 * MB + PAGE, 5 * MB + 4 * PAGE));
  out("around it: wrong %d",
         wrong(memory, 0, 5 * MB + PAGE, 1) + wrong(memory, 5 * MB + 4 * PAGE, LENGTH, 1));
  R(madvise(memory + 6 * MB, 8 * MB, MADV_DONTNEED));
  out("emptied: used %d", used(memory, 6 * MB, 14 * MB));
  R(munmap(memory + 15 * MB + PAGE, 5 * PAGE));
  R(mprotect(memory + 16 * MB, MB + PAGE, PROT_READ));
  R(mprotect(memory + 16 * MB, MB + PAGE, PROT_READ | PROT_WRITE));
  fill(memory, 16 * MB, LENGTH, 5);
  out("written again: wrong %d", wrong(memory, 16 * MB, LENGTH, 5));

  /* Grown elsewhere. */
  char *moved = mremap(memory + 16 * MB, 8 * MB, 40 * MB, MREMAP_MAYMOVE);
  out("moved: wrong %d, used behind it %d",
         wrong(moved - 16 * MB, 16 * MB, LENGTH, 5), used(moved, 8 * MB, 40 * MB));
  R(munmap(moved, 40 * MB));
  out("what is left: wrong %d", wrong(memory, 0, 5 * MB, 1));

  /* Programs are loaded into large memory too. */
  R(mprotect(memory, LENGTH - 10 * MB, PROT_READ | PROT_WRITE | PROT_EXEC));
  memory[0] = (char)0xc3;
  ((void (*)(void))memory)();
  out("executed");

  char *unwanted = map(LENGTH, 0);
  R(madvise(unwanted, LENGTH, MADV_NOHUGEPAGE));
  fill(unwanted, 0, LENGTH, 2);
  R(madvise(unwanted, LENGTH, MADV_NOHUGEPAGE));
  R(madvise(unwanted, LENGTH, MADV_HUGEPAGE));
  out("advised: wrong %d", wrong(unwanted, 0, LENGTH, 2));
  char *stack = map(LENGTH, MAP_STACK);
  out("stack: used %d", used(stack, 0, LENGTH));
  return 0;
}
