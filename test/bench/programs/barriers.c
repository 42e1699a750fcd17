/* Two threads that multiply small matrices and meet at a barrier about every 10 µs: milliseconds in all. */
#include "bench.h"
#include <pthread.h>

#define SIZE 24
#define MEETINGS 10000

static pthread_barrier_t barrier;

static void *work(void *arg) {
  double (*m)[SIZE][SIZE] = arg;
  for (int meeting = 0; meeting < MEETINGS; meeting++) {
    for (int i = 0; i < SIZE; i++)
      for (int j = 0; j < SIZE; j++) {
        double sum = 0;
        for (int k = 0; k < SIZE; k++) sum += m[0][i][k] * m[1][k][j];
        m[2][i][j] = sum;
      }
    pthread_barrier_wait(&barrier);
  }
  return NULL;
}

int main(void) {
  static double matrices[2][3][SIZE][SIZE];
  pthread_t other;
  pthread_barrier_init(&barrier, NULL, 2);
  double begin = now_ns();
  if (pthread_create(&other, NULL, work, matrices[1]) != 0) return 1;
  work(matrices[0]);
  pthread_join(other, NULL);
  printf("%.3f\n", (now_ns() - begin) / 1e6);
  return 0;
}
