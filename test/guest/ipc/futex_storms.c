/* Futexes that are called often enough to be answered without the kernel: every answer must be the
 * same as on the first call, and no wake may be lost, whatever signals, timeouts and forks do. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>

#define OFTEN 200
#define SECONDS 0.4

static long futex(void *word, int op, unsigned value, const void *timeout, void *word2, unsigned value3) {
  return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *map(size_t length, int prot, int flags) {
  void *at = mmap(NULL, length, prot, flags | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) out("mmap: %s", errno_name(errno));
  return at;
}

/* The result of many equal calls, or that they differ. */
static void same(const char *what, void *word, int op, unsigned value, const void *timeout, unsigned value3) {
  long first = 0;
  int first_errno = 0, differ = 0;
  for (int i = 0; i < OFTEN; i++) {
    errno = 0;
    long r = futex(word, op, value, timeout, NULL, value3);
    if (i == 0) {
      first = r;
      first_errno = errno;
    }
    differ += r != first || errno != first_errno;
  }
  out("%s: %ld %s, %d differ", what, first, errno_name(first_errno), differ);
}

static void answers(void) {
  static int words[2048];
  int *none = map(4096, PROT_NONE, MAP_PRIVATE), *read_only = map(4096, PROT_READ, MAP_PRIVATE);
  int *gone = map(4096, PROT_READ, MAP_PRIVATE), *untouched = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  munmap(gone, 4096);
  struct timespec soon = {0, 1}, past = {1, 0}, far = {1LL << 40, 0}, negative = {-1, 0}, big = {0, 1000000000};
  const int ops[] = {FUTEX_WAIT, FUTEX_WAIT_PRIVATE, FUTEX_WAIT_BITSET, FUTEX_WAIT_BITSET_PRIVATE,
                     FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, FUTEX_WAIT | FUTEX_CLOCK_REALTIME};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    out("op %x", ops[i]);
    same("changed", words, ops[i], 1, NULL, 1);
    same("changed, no bits", words, ops[i], 1, NULL, 0);
    same("changed, timeout", words, ops[i], 1, &soon, 1);
    same("changed, far timeout", words, ops[i], 1, &far, 1);
    same("past", words, ops[i], 0, ops[i] & FUTEX_WAIT_BITSET ? &past : &soon, 1);
    same("negative timeout", words, ops[i], 1, &negative, 1);
    same("timeout of too many nanoseconds", words, ops[i], 1, &big, 1);
    same("no such timeout", words, ops[i], 1, gone, 1);
    same("timeout of the kernel's", words, ops[i], 1, (void *)0xffffffff80000000, 1);
    same("misaligned", (char *)words + 2, ops[i], 1, NULL, 1);
    same("no access", none, ops[i], 1, NULL, 1);
    same("nothing there", gone, ops[i], 1, NULL, 1);
    same("read only", read_only, ops[i], 1, NULL, 1);
    same("untouched", untouched, ops[i], 1, NULL, 1);
    same("null", NULL, ops[i], 1, NULL, 1);
    same("the kernel's", (void *)0xffffffff80000000, ops[i], 1, NULL, 1);
  }
  same("wake", words, FUTEX_WAKE_PRIVATE, 1, NULL, 0);
  same("wake none", words, FUTEX_WAKE_PRIVATE, 0, NULL, 0);
  same("wake all", words, FUTEX_WAKE_PRIVATE, -1u, NULL, 0);
  same("wake by another clock", words, FUTEX_WAKE_PRIVATE | FUTEX_CLOCK_REALTIME, 1, NULL, 0);
  same("wake misaligned", (char *)words + 1, FUTEX_WAKE_PRIVATE, 1, NULL, 0);
  same("wake nothing there", gone, FUTEX_WAKE_PRIVATE, 1, NULL, 0);
  same("wake nothing shared there", gone, FUTEX_WAKE, 1, NULL, 0);
  same("wake no access", none, FUTEX_WAKE_PRIVATE, 1, NULL, 0);
  same("wake the kernel's", (void *)0xffffffff80000000, FUTEX_WAKE_PRIVATE, 1, NULL, 0);
  same("wake no bits", words, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, 0);
  same("unknown", words, 77 | FUTEX_PRIVATE_FLAG, 1, NULL, 0);
}

/* Threads in a ring, their words at one place of several pages: only one has its turn. */
#define RING 3
static struct {
  _Alignas(4096) _Atomic int turn;
} ring[RING];
static _Atomic int over;
static _Atomic long rounds;

static void *in_ring(void *arg) {
  long me = (long)arg;
  for (;;) {
    while (ring[me].turn == 0) futex(&ring[me].turn, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    ring[me].turn = 0;
    for (int i = (int)(rounds++ % 97); i > 0; i--) __asm__ volatile("pause");
    int end = over;
    long next = (me + 1) % RING;
    ring[next].turn = 1;
    futex(&ring[next].turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    if (end) return NULL;
  }
}

/* The mutex and the condition variable of old: broadcasting moves all but one waiter to the mutex. */
static _Atomic int mutex, sequence, queued, consumed, produced;

static void lock(int contended) {
  int none = 0;
  if (!contended && atomic_compare_exchange_strong(&mutex, &none, 1)) return;
  while (atomic_exchange(&mutex, 2) != 0) futex(&mutex, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void unlock(void) {
  if (atomic_exchange(&mutex, 0) == 2) futex(&mutex, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *consumer(void *arg) {
  lock(0);
  for (;;) {
    while (queued == 0 && !over) {
      int seen = sequence;
      unlock();
      futex(&sequence, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
      lock(1);
    }
    if (queued == 0) break;
    queued--;
    consumed++;
  }
  unlock();
  return arg;
}

static void broadcast(void) {
  int seen = ++sequence;
  while (futex(&sequence, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1000, &mutex, seen) < 0) seen = sequence;
}

static void *producer(void *arg) {
  while (!over) {
    lock(0);
    if (queued < 100) {
      queued += 3;
      produced += 3;
    }
    /* Moved to the mutex, they are woken by whoever unlocks it: it must say that somebody waits. */
    mutex = 2;
    broadcast();
    unlock();
  }
  return arg;
}

static pthread_mutex_t posix = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore, answer;
static long guarded;
static volatile long visits[4];
static _Atomic int handled;

static void handler(int signal) {
  (void)signal;
  handled++;
}

/* All kinds of locks at once, some with timeouts that often pass. */
static void *locker(void *arg) {
  long me = (long)arg;
  while (!over) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20000;
    if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
    pthread_mutex_lock(&posix);
    guarded++;
    visits[me]++;
    pthread_cond_broadcast(&changed);
    if (visits[me] % 3 == 0) pthread_cond_timedwait(&changed, &posix, &until);
    pthread_mutex_unlock(&posix);
    if (pthread_mutex_timedlock(&posix, &until) == 0) {
        guarded++;
      visits[me]++;
      pthread_mutex_unlock(&posix);
    }
    if (me == 0) pthread_rwlock_wrlock(&rwlock);
    else pthread_rwlock_rdlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);
    if (me % 2 == 0) {
      sem_post(&semaphore);
      while (sem_wait(&answer) != 0) continue;
    } else {
      if (sem_timedwait(&semaphore, &until) == 0) sem_post(&answer);
    }
  }
  /* Those who wait for an answer still get one. */
  sem_post(&answer);
  sem_post(&answer);
  return NULL;
}

static pthread_t threads[8];
static int running;

static void start(void *(*function)(void *), long arg) {
  pthread_create(&threads[running++], NULL, function, (void *)arg);
}

static int all_visited(void) {
  return visits[0] > 10 && visits[1] > 10 && visits[2] > 10 && visits[3] > 10;
}

static int enough_rounds(void) { return rounds > 100; }
static int enough_consumed(void) { return consumed > 100; }

/* Lets them run for a while and until they have done `enough`, with signals if wanted, and waits for
 * their ends. */
static void storm(int signals, int (*enough)(void)) {
  for (double end = now() + SECONDS; now() < end || !enough();) {
    for (int i = 0; signals && i < running; i++) pthread_kill(threads[i], SIGUSR1);
    sleep_ms(1);
  }
  over = 1;
  sequence++;
  futex(&sequence, FUTEX_WAKE_PRIVATE, 1000, NULL, NULL, 0);
  for (int i = 0; i < running; i++) pthread_join(threads[i], NULL);
  running = 0;
  over = 0;
}

static void storms(int signals) {
  for (int i = 0; i < RING; i++) ring[i].turn = i == 0;
  for (long i = 0; i < RING; i++) start(in_ring, i);
  storm(signals, enough_rounds);
  for (int i = 0; i < 3; i++) start(consumer, i);
  for (int i = 0; i < 2; i++) start(producer, i);
  storm(signals, enough_consumed);
  T(consumed + queued == produced);
  for (int i = 0; i < 4; i++) visits[i] = 0;
  guarded = 0;
  for (int i = 0; i < 4; i++) start(locker, i);
  storm(signals, all_visited);
  T(guarded == visits[0] + visits[1] + visits[2] + visits[3]);
  rounds = consumed = produced = queued = 0;
}

static _Atomic int word;
static _Atomic int woken;

static void *waiter(void *arg) {
  if (futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0) woken++;
  return arg;
}

/* A child's copy of a word has nobody waiting on it; the parent's has, whichever page it moves to. */
static void forks(void) {
  int wrong = 0;
  for (int i = 0; i < 20; i++) {
    pthread_t t;
    word = 0;
    pthread_create(&t, NULL, waiter, NULL);
    sleep_ms(3);
    if (fork() == 0) {
      int found = 0;
      word = 2;
      for (int k = 0; k < OFTEN; k++) found += futex(&word, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) != 0;
      for (int k = 0; k < OFTEN; k++) found += futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) != -1;
      _exit(found);
    }
    int status = 1;
    wait(&status);
    /* Its page becomes another one. */
    word = 0;
    while (futex(&word, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 0) sleep_ms(1);
    pthread_join(t, NULL);
    wrong += status != 0;
  }
  out("children that found waiters %d, woken %d", wrong, woken);
}

/* One word at two addresses, in two processes. */
static void shared(const char *what, int fd) {
  if (fd >= 0 && ftruncate(fd, 4096) != 0) return;
  _Atomic int *here = mmap(NULL, 4096, PROT_READ | PROT_WRITE, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
  _Atomic int *there = fd < 0 ? here : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  *here = 0;
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 1000; i++) {
      while (there[0] % 2 == 0) futex(there, FUTEX_WAIT, there[0] & ~1, NULL, NULL, 0);
      there[0]++;
      futex(there, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
    _exit(0);
  }
  for (int i = 0; i < 1000; i++) {
    here[0]++;
    futex(here, FUTEX_WAKE, 1, NULL, NULL, 0);
    while (here[0] % 2 == 1) futex(here, FUTEX_WAIT, here[0] | 1, NULL, NULL, 0);
  }
  waitpid(child, NULL, 0);
  out("%s: %d", what, here[0]);
  munmap((void *)here, 4096);
  if (there != here) munmap((void *)there, 4096);
  if (fd >= 0) close(fd);
}

/* Owners that die with a robust mutex, waited for meanwhile. */
static void robust(void) {
  pthread_mutex_t *m = map(4096, PROT_READ | PROT_WRITE, MAP_SHARED);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(m, &attr);
  int died = 0;
  for (int i = 0; i < 60; i++) {
    pid_t child = fork();
    if (child == 0) {
      if (pthread_mutex_lock(m) == EOWNERDEAD) pthread_mutex_consistent(m);
      if (i % 2) sleep_ms(1);
      _exit(0);
    }
    if (i % 3 == 0) sleep_ms(1);
    int r = pthread_mutex_lock(m);
    if (r == EOWNERDEAD) {
      died++;
      pthread_mutex_consistent(m);
    }
    pthread_mutex_unlock(m);
    waitpid(child, NULL, 0);
  }
  int r = pthread_mutex_lock(m);
  out("the last owner died: %d", r == EOWNERDEAD || died > 0);
}

static void *calls_forever(void *arg) {
  for (;;) futex(&word, arg ? FUTEX_WAKE_PRIVATE : FUTEX_WAIT_PRIVATE, 99, NULL, NULL, 0);
  return NULL;
}

/* Nothing but futex calls, each of which changes nothing: signals and ends come through all the same. */
static void interrupted(void) {
  struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
  signal(SIGALRM, handler);
  for (int kind = 0; kind < 2; kind++) {
    handled = 0;
    setitimer(ITIMER_REAL, &often, NULL);
    while (handled < 20) futex(&word, kind ? FUTEX_WAKE_PRIVATE : FUTEX_WAIT_PRIVATE, 99, NULL, NULL, 0);
    setitimer(ITIMER_REAL, &never, NULL);
    T(handled >= 20);
  }
  for (long kind = 0; kind < 2; kind++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_t t;
      pthread_create(&t, NULL, calls_forever, (void *)kind);
      pthread_create(&t, NULL, calls_forever, (void *)(1 - kind));
      sleep_ms(20);
      if (kind) execl("/proc/self/exe", "storms", "exec", NULL);
      _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    out("ended with %d", WEXITSTATUS(status));
    child = fork();
    if (child == 0) calls_forever((void *)kind);
    for (int i = 0; i < 10; i++) {
      kill(child, SIGSTOP);
      waitpid(child, &status, WUNTRACED);
      if (!WIFSTOPPED(status)) out("not stopped");
      kill(child, SIGCONT);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    out("killed by %d", WTERMSIG(status));
  }
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "exec") == 0) return 8;
  alarm(100);
  sem_init(&semaphore, 0, 0);
  sem_init(&answer, 0, 0);
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGUSR1, &action, NULL);
  answers();
  storms(0);
  storms(1);
  T(handled > 100);
  forks();
  shared("anonymous", -1);
  shared("memfd", memfd_create("words", 0));
  int fd = open("futex_storm_words", O_RDWR | O_CREAT, 0600);
  shared("file", fd);
  unlink("futex_storm_words");
  robust();
  interrupted();
  return 0;
}
