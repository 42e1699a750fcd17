/* pthreads: identity, thread-local storage, exit of threads and groups, exec from a thread. */
#include "guest.h"
#include <pthread.h>
#include <sys/prctl.h>

static __thread int local = 5;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int total;

static void *count(void *arg) {
  local += (int)(long)arg;
  for (int i = 0; i < 2000; i++) {
    pthread_mutex_lock(&mutex);
    total++;
    pthread_mutex_unlock(&mutex);
  }
  return (void *)(long)local;
}

static void *identity(void *arg) {
  int *answer = arg;
  answer[0] = getpid() == *(volatile int *)(answer + 2);
  answer[1] = gettid() != getpid();
  prctl(PR_SET_NAME, "worker");
  char comm[16];
  int fd = open("/proc/thread-self/comm", O_RDONLY);
  ssize_t n = read(fd, comm, sizeof comm);
  close(fd);
  answer[3] = n == 7 && memcmp(comm, "worker\n", 7) == 0;
  return NULL;
}

static void *last_one_out(void *arg) {
  (void)arg;
  sleep_ms(30);
  _exit(23);
}

static void *exec_true(void *arg) {
  (void)arg;
  char *args[] = {"self", "exit8", NULL};
  char *env[] = {NULL};
  execve("/proc/self/exe", args, env);
  return NULL;
}

static void *sleep_forever(void *arg) {
  for (;;) pause();
  return arg;
}

static void *exit_group(void *arg) {
  (void)arg;
  exit(31);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "exit8") == 0) {
    out("after exec pid is tid: %d", getpid() == gettid());
    return 8;
  }
  pthread_t threads[10];
  for (long i = 0; i < 10; i++) pthread_create(&threads[i], NULL, count, (void *)i);
  long sum = 0;
  for (int i = 0; i < 10; i++) {
    void *value;
    pthread_join(threads[i], &value);
    sum += (long)value;
  }
  out("total %d, sum of locals %ld, mine %d", total, sum, local);
  int answer[4] = {0, 0, getpid(), 0};
  pthread_create(&threads[0], NULL, identity, answer);
  pthread_join(threads[0], NULL);
  out("same pid %d, other tid %d, own name %d", answer[0], answer[1], answer[3]);

  IN_CHILD("main thread leaves first", {
    pthread_create(&threads[0], NULL, last_one_out, NULL);
    pthread_exit(NULL);
  });
  IN_CHILD("exit from a thread", {
    pthread_create(&threads[0], NULL, sleep_forever, NULL);
    pthread_create(&threads[1], NULL, exit_group, NULL);
    pause();
  });
  IN_CHILD("exec from a thread", {
    pthread_create(&threads[0], NULL, sleep_forever, NULL);
    pthread_create(&threads[1], NULL, exec_true, NULL);
    pause();
  });
  IN_CHILD("fork from a thread keeps one", {
    pthread_create(&threads[0], NULL, sleep_forever, NULL);
    IN_CHILD("grandchild", T(gettid() == getpid()));
    exit(4);
  });
  IN_CHILD("a signal kills all", {
    pthread_create(&threads[0], NULL, sleep_forever, NULL);
    kill(getpid(), SIGTERM);
    pause();
  });
  IN_CHILD("a fault in a thread kills all", {
    pthread_create(&threads[0], NULL, (void *(*)(void *))(long)8, NULL);
    pause();
  });
  for (int i = 0; i < 200; i++) {
    pthread_create(&threads[0], NULL, count, NULL);
    pthread_join(threads[0], NULL);
  }
  out("200 one after another");
  R(tgkill(getpid(), 999999, 0));
  R(tgkill(getpid(), gettid(), 0));
  R(tgkill(1, gettid(), 0));
  R(syscall(SYS_tkill, gettid(), 0));
  R(tgkill(getpid(), gettid(), 65));
  return 0;
}
