/* Signals and time limits in poll, ppoll, select, pselect and epoll_pwait: which are restarted, what
   becomes of the limit, and when the mask is put back. Threads that share what is polled. */
#include "guest.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile int handled;

static void handle(int signo) {
  (void)signo;
  handled++;
}

static void alarm_in(int ms) {
  struct itimerval t = {{0, 0}, {0, ms * 1000}};
  setitimer(ITIMER_REAL, &t, NULL);
}

static void install(int signo, int flags) {
  struct sigaction a = {.sa_handler = handle, .sa_flags = flags};
  sigaction(signo, &a, NULL);
}

static int blocked(int signo) {
  sigset_t set;
  sigprocmask(SIG_BLOCK, NULL, &set);
  return sigismember(&set, signo);
}

static int p[2];

static void interrupted(int flags) {
  out("-- flags %x", (unsigned)flags);
  install(SIGALRM, flags);
  struct pollfd f = {p[0], POLLIN, 77};
  alarm_in(20);
  R(poll(&f, 1, -1));
  out("revents %x", f.revents);
  alarm_in(20);
  R(poll(NULL, 0, 1000));
  struct timespec limit = {1, 0};
  alarm_in(20);
  R(ppoll(&f, 1, &limit, NULL));
  struct timeval tv = {1, 0};
  fd_set in;
  FD_ZERO(&in);
  FD_SET(p[0], &in);
  alarm_in(20);
  R(select(p[0] + 1, &in, NULL, NULL, &tv));
  out("set kept %d, time ran %d", FD_ISSET(p[0], &in) != 0, tv.tv_sec == 0 && tv.tv_usec < 990000);
  int ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN};
  epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e);
  alarm_in(20);
  R(epoll_wait(ep, &e, 1, -1));
  close(ep);
  out("handled %d", handled);
}

/* Ignored signals and stops do not end a wait. */
static void undisturbed(void) {
  signal(SIGALRM, SIG_IGN);
  alarm_in(10);
  struct pollfd f = {p[0], POLLIN, 0};
  R(poll(&f, 1, 40));
  pid_t child = fork();
  if (child == 0) {
    R(poll(&f, 1, 120));
    struct timeval tv = {0, 60000};
    R(select(0, NULL, NULL, NULL, &tv));
    _exit(0);
  }
  sleep_ms(20);
  kill(child, SIGSTOP);
  sleep_ms(20);
  kill(child, SIGCONT);
  int status;
  waitpid(child, &status, 0);
  out("child %x", (unsigned)status);
}

static void masks(void) {
  install(SIGUSR1, 0);
  handled = 0;
  sigset_t usr1, none;
  sigemptyset(&none);
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, NULL);
  struct timespec zero = {0, 0}, some = {0, 20000000};
  struct pollfd f = {p[0], POLLIN, 0};
  int ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN};
  epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e);
  raise(SIGUSR1);
  R(ppoll(&f, 1, &zero, &none));
  out("handled %d blocked %d", handled, blocked(SIGUSR1));
  raise(SIGUSR1);
  R(pselect(0, NULL, NULL, NULL, &some, &none));
  out("handled %d blocked %d", handled, blocked(SIGUSR1));
  raise(SIGUSR1);
  R(epoll_pwait(ep, &e, 1, 100, &none));
  out("handled %d blocked %d", handled, blocked(SIGUSR1));
  /* Something ready comes first: the signal stays pending. */
  write(p[1], "x", 1);
  raise(SIGUSR1);
  R(ppoll(&f, 1, NULL, &none));
  R(epoll_pwait(ep, &e, 1, 100, &none));
  fd_set in;
  FD_ZERO(&in);
  FD_SET(p[0], &in);
  R(pselect(p[0] + 1, &in, NULL, NULL, NULL, &none));
  out("handled %d blocked %d", handled, blocked(SIGUSR1));
  char c;
  read(p[0], &c, 1);
  R(ppoll(&f, 1, &some, &usr1));
  out("handled %d blocked %d", handled, blocked(SIGUSR1));
  R(ppoll(&f, 1, &zero, &none));
  out("handled %d blocked %d", handled, blocked(SIGUSR1));
  R(syscall(SYS_ppoll, &f, 1, NULL, &none, 4));
  R(syscall(SYS_epoll_pwait, ep, &e, 1, 0, &none, 9));
  R(syscall(SYS_ppoll, &f, 1, NULL, 8, 8));
  struct timespec bad = {0, 1000000000};
  R(ppoll(&f, 1, &bad, NULL));
  bad.tv_nsec = -1;
  R(pselect(0, NULL, NULL, NULL, &bad, NULL));
  R(poll((void *)8, 1, 0));
  R(select(1, (void *)8, NULL, NULL, NULL));
  R(epoll_wait(ep, &e, 0, 0));
  R(epoll_wait(ep, (void *)8, 1, 0));
  write(p[1], "x", 1);
  R(epoll_wait(ep, (void *)8, 1, 0));
  R(epoll_wait(ep, &e, 1, 0));
  read(p[0], &c, 1);
  close(ep);
}

static int shared;

static void *waiter(void *arg) {
  struct epoll_event e;
  int n = epoll_wait(shared, &e, 1, 2000);
  *(int *)arg = n;
  char c;
  if (n == 1) read(p[0], &c, 1);
  return NULL;
}

/* Each byte lets at least one thread go on; what is added while others wait counts. */
static void threads(void) {
  pthread_t t[3];
  int got[3] = {0, 0, 0}, total = 0;
  shared = epoll_create1(0);
  for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, waiter, &got[i]);
  sleep_ms(20);
  struct epoll_event e = {.events = EPOLLIN | EPOLLET};
  write(p[1], "a", 1);
  epoll_ctl(shared, EPOLL_CTL_ADD, p[0], &e);
  sleep_ms(20);
  write(p[1], "b", 1);
  sleep_ms(20);
  write(p[1], "c", 1);
  for (int i = 0; i < 3; i++) {
    pthread_join(t[i], NULL);
    total += got[i];
  }
  out("threads woken %d", total);
}

int main(void) {
  pipe(p);
  interrupted(0);
  interrupted(SA_RESTART);
  undisturbed();
  masks();
  threads();
  return 0;
}
