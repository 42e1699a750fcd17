/*
 * What the benchmark programs share: each prints one number, the median of a few rounds, in
 * microseconds an operation unless it says otherwise. `gcc -O2 -static -pthread NAME.c` and run it.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5
#define ROUND_NS 30e6

static inline double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static inline double median(double *samples, int count) {
  qsort(samples, count, sizeof *samples, compare_doubles);
  return samples[count / 2];
}

/* Nanoseconds that `operation(arg)` takes `count` times. */
static inline double time_ns(void (*operation)(void *), void *arg, long count) {
  double begin = now_ns();
  for (long i = 0; i < count; i++) operation(arg);
  return now_ns() - begin;
}

/* Repeats it until a round is long enough to be told, then prints what one takes. */
static inline void measure(void (*operation)(void *), void *arg) {
  long count = 1;
  double took = time_ns(operation, arg, count);
  while (took < ROUND_NS) {
    count = took < ROUND_NS / 8 ? count * 8 : (long)(count * ROUND_NS / took * 1.1) + 1;
    took = time_ns(operation, arg, count);
  }
  double samples[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) samples[i] = time_ns(operation, arg, count) / count / 1e3;
  printf("%.3f\n", median(samples, ROUNDS));
}

#endif
