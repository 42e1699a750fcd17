/* A fixed amount of arithmetic without any system call: milliseconds. */
#include "bench.h"
#include <stdint.h>

int main(void) {
  double samples[3];
  volatile uint64_t sink = 0;
  for (int i = 0; i < 3; i++) {
    double begin = now_ns();
    uint64_t x = 88172645463325252ull;
    for (long n = 0; n < 60000000; n++) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
    }
    sink += x;
    samples[i] = (now_ns() - begin) / 1e6;
  }
  printf("%.3f\n", median(samples, 3));
  return 0;
}
