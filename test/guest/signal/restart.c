/* Which interrupted calls are restarted and which fail with EINTR, with and without SA_RESTART. */
#include "guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile int handled;
static void handler(int signo) {
  (void)signo;
  handled++;
}

static void arm(int flags, int ms) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = handler;
  sa.sa_flags = flags;
  sigaction(SIGALRM, &sa, NULL);
  struct itimerval timer = {{0, 0}, {0, ms * 1000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  handled = 0;
}

static int delayed_writer(int fd, int ms) {
  pid_t pid = fork();
  if (pid == 0) {
    sleep_ms(ms);
    write(fd, "x", 1);
    _exit(0);
  }
  return pid;
}

int main(void) {
  int p[2];
  char c;
  int status;
  for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
    out("%s", flags ? "with SA_RESTART" : "without");
    pipe(p);
    pid_t pid = delayed_writer(p[1], 150);
    arm(flags, 40);
    R(read(p[0], &c, 1));
    out("handled %d", handled);
    waitpid(pid, &status, 0);
    pid = fork();
    if (pid == 0) {
      sleep_ms(150);
      _exit(5);
    }
    arm(flags, 40);
    int got = waitpid(pid, &status, 0);
    out("waitpid %s", got == pid ? "restarted" : errno_name(errno));
    if (got != pid) waitpid(pid, &status, 0);
    struct pollfd pfd = {.fd = p[0], .events = POLLIN};
    read(p[0], &c, flags ? 0 : 1);
    arm(flags, 40);
    R(poll(&pfd, 1, 1000));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    struct timeval tv = {1, 0};
    arm(flags, 40);
    R(select(p[0] + 1, &set, NULL, NULL, &tv));
    int ep = epoll_create1(0);
    struct epoll_event event;
    arm(flags, 40);
    R(epoll_wait(ep, &event, 1, 1000));
    arm(flags, 40);
    struct timespec second = {1, 0}, left = {0, 0};
    R(nanosleep(&second, &left));
    T(left.tv_sec == 0 && left.tv_nsec > 700000000);
    arm(flags, 40);
    R(clock_nanosleep(CLOCK_MONOTONIC, 0, &second, &left));
    arm(flags, 40);
    R(pause());
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    pid = delayed_writer(s[1], 150);
    arm(flags, 40);
    R(recv(s[0], &c, 1, 0));
    waitpid(pid, &status, 0);
    struct timeval timeout = {0, 200000};
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    recv(s[0], &c, 1, MSG_DONTWAIT);
    arm(flags, 40);
    R(recv(s[0], &c, 1, 0));
    int lock = open("lock", O_CREAT | O_RDWR, 0600);
    struct flock fl = {.l_type = F_WRLCK};
    pid = fork();
    if (pid == 0) {
      fcntl(lock, F_SETLKW, &fl);
      write(p[1], "l", 1);
      sleep_ms(200);
      _exit(0);
    }
    read(p[0], &c, 1);
    arm(flags, 40);
    R(fcntl(lock, F_SETLKW, &fl));
    waitpid(pid, &status, 0);
    close(lock);
    close(p[0]);
    close(p[1]);
  }
  /* An ignored or stopping signal does not end a sleep. */
  signal(SIGALRM, SIG_IGN);
  struct itimerval timer = {{0, 0}, {0, 30000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  struct timespec short_sleep = {0, 100000000};
  R(nanosleep(&short_sleep, NULL));
  pid_t pid = fork();
  if (pid == 0) {
    struct timespec t = {0, 150000000};
    _exit(nanosleep(&t, NULL) == 0 ? 21 : 22);
  }
  sleep_ms(30);
  kill(pid, SIGSTOP);
  waitpid(pid, &status, WUNTRACED);
  kill(pid, SIGCONT);
  reap("slept through a stop", pid);
  return 0;
}
