/*
 * Run by vdso_process.scenario.ts: the C library finds our vDSO through its auxiliary vector and reads
 * the clocks; the scenario counts the system calls that this takes. Prints one line per check.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t monotonic(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(void) {
  const char* image = (const char*)getauxval(AT_SYSINFO_EHDR);
  printf("image %d\n", image != NULL && image[0] == 0x7f && image[1] == 'E');
  int64_t last = monotonic(), first = last;
  int backwards = 0;
  for (int i = 0; i < 100000; i++) {
    int64_t now = monotonic();
    backwards += now < last;
    last = now;
    /* The scenario rewrites the page at each of these. */
    if (i % 1000 == 0) syscall(SYS_getppid);
  }
  printf("backwards %d, advanced %d\n", backwards, last > first);
  struct timeval tv;
  gettimeofday(&tv, NULL);
  time_t seconds = time(NULL);
  printf("time %d\n", seconds - tv.tv_sec >= 0 && seconds - tv.tv_sec <= 1);
  printf("wall %d\n", seconds > 1700000000);
  printf("cpu %d\n", sched_getcpu() >= 0 && sched_getcpu() < 4);
  return 0;
}
