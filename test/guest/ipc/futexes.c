/* Futexes: raw calls, and what pthreads makes of them across processes and deaths. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

static long futex(int *word, int op, int value, void *timeout, int *word2, int value3) {
  return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static int word, word2, woken;
static pthread_barrier_t barrier;
static pthread_mutex_t robust;

static void *waiter(void *arg) {
  (void)arg;
  if (futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0) __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static void *bit_waiter(void *arg) {
  if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (int)(long)arg) == 0) __atomic_add_fetch(&woken, (int)(long)arg, __ATOMIC_SEQ_CST);
  return NULL;
}

static void *at_barrier(void *arg) {
  int serial = 0;
  for (int i = 0; i < 50; i++) serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
  __atomic_add_fetch((int *)arg, serial, __ATOMIC_SEQ_CST);
  return NULL;
}

static void *dies_holding(void *arg) {
  (void)arg;
  pthread_mutex_lock(&robust);
  return NULL;
}

int main(void) {
  struct timespec soon = {0, 20000000}, bad = {0, -1};
  R(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
  R(futex(&word, FUTEX_WAIT, 0, &soon, NULL, 0));
  R(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0));
  R(futex((int *)1, FUTEX_WAIT, 0, &soon, NULL, 0));
  R(futex((int *)8, FUTEX_WAIT, 0, &soon, NULL, 0));
  R(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
  R(futex(&word, 99, 1, NULL, NULL, 0));
  R(futex(&word, FUTEX_WAIT_BITSET, 0, &soon, NULL, 0));
  struct timespec past;
  clock_gettime(CLOCK_MONOTONIC, &past);
  R(futex(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, -1));

  pthread_t t[6];
  for (int i = 0; i < 6; i++) pthread_create(&t[i], NULL, waiter, NULL);
  sleep_ms(60);
  R(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0));
  R(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &word2, 5));
  R(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &word2, 0));
  R(futex(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
  R(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
  for (int i = 0; i < 6; i++) pthread_join(t[i], NULL);
  out("woken %d", woken);
  woken = 0;
  for (long i = 0; i < 3; i++) pthread_create(&t[i], NULL, bit_waiter, (void *)(1L << i));
  sleep_ms(40);
  R(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2));
  R(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 8));
  R(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 5));
  for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
  out("woken bits %d", woken);
  word2 = 7;
  R(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 7)));
  out("word2 %d", word2);

  int serials = 0;
  pthread_barrier_init(&barrier, NULL, 4);
  for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, at_barrier, &serials);
  for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  out("serial threads %d", serials);

  /* Between processes. */
  struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    sem_t semaphore;
    int turn, count;
  } *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t ma;
  pthread_mutexattr_init(&ma);
  pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&shared->mutex, &ma);
  pthread_condattr_t ca;
  pthread_condattr_init(&ca);
  pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&shared->cond, &ca);
  sem_init(&shared->semaphore, 1, 0);
  pid_t pid = fork();
  for (int i = 0; i < 500; i++) {
    pthread_mutex_lock(&shared->mutex);
    while (shared->turn != (pid == 0)) pthread_cond_wait(&shared->cond, &shared->mutex);
    shared->turn = !shared->turn;
    shared->count++;
    pthread_cond_signal(&shared->cond);
    pthread_mutex_unlock(&shared->mutex);
  }
  if (pid == 0) {
    sem_post(&shared->semaphore);
    pthread_mutex_lock(&shared->mutex);
    _exit(0);
  }
  sem_wait(&shared->semaphore);
  reap("partner", pid);
  out("turns %d", shared->count);
  out("owner died: %s", errno_name(pthread_mutex_lock(&shared->mutex)));
  out("consistent: %d", pthread_mutex_consistent(&shared->mutex));
  pthread_mutex_unlock(&shared->mutex);
  pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_PRIVATE);
  pthread_mutex_init(&robust, &ma);
  pthread_create(&t[0], NULL, dies_holding, NULL);
  pthread_join(t[0], NULL);
  out("thread died holding: %s", errno_name(pthread_mutex_lock(&robust)));
  pthread_mutex_unlock(&robust);
  out("not recoverable: %s", errno_name(pthread_mutex_lock(&robust)));
  /* Priority inheritance. */
  pthread_mutexattr_init(&ma);
  pthread_mutexattr_setprotocol(&ma, PTHREAD_PRIO_INHERIT);
  pthread_mutex_t pi;
  out("pi init %d", pthread_mutex_init(&pi, &ma));
  out("pi lock %d", pthread_mutex_lock(&pi));
  out("pi trylock %s", errno_name(pthread_mutex_trylock(&pi)));
  out("pi unlock %d", pthread_mutex_unlock(&pi));
  /* A futex in a file mapping shared by two processes at different addresses. */
  int fd = open("futex", O_RDWR | O_CREAT, 0600);
  ftruncate(fd, 4096);
  int *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  int *b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  pid = fork();
  if (pid == 0) _exit(futex(a, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 3 : 4);
  sleep_ms(60);
  R(futex(b, FUTEX_WAKE, 1, NULL, NULL, 0));
  reap("file futex", pid);
  return 0;
}
