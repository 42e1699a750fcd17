/* epoll in its modes, eventfd, select and ppoll. */
#include "guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <pthread.h>

static void show(const char *what, int ep) {
  struct epoll_event events[8];
  int n = epoll_wait(ep, events, 8, 0);
  char line[200] = "";
  int data[8];
  for (int i = 0; i < n; i++) data[i] = (int)events[i].data.u32 * 65536 + (int)(events[i].events & 0xffff);
  for (int i = 0; i < n; i++)
    for (int j = i + 1; j < n; j++)
      if (data[j] < data[i]) {
        int t = data[i];
        data[i] = data[j];
        data[j] = t;
      }
  for (int i = 0; i < n; i++) sprintf(line + strlen(line), " %d:%x", data[i] >> 16, data[i] & 0xffff);
  out("%s: %d%s", what, n, line);
}

static int control(int ep, int op, int fd, unsigned events, unsigned tag) {
  struct epoll_event event = {.events = events, .data.u32 = tag};
  return epoll_ctl(ep, op, fd, &event);
}

static void *late_write(void *arg) {
  sleep_ms(40);
  write(*(int *)arg, "x", 1);
  return NULL;
}

int main(void) {
  int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
  char buffer[100];
  pipe(p);
  R(epoll_create(0));
  R(control(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
  R(control(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
  R(control(ep, EPOLL_CTL_MOD, p[1], EPOLLIN, 1));
  R(control(ep, EPOLL_CTL_DEL, p[1], 0, 1));
  R(control(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 1));
  R(control(ep, EPOLL_CTL_ADD, 99, EPOLLIN, 1));
  R(control(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN, 1));
  R(control(ep, 7, p[1], EPOLLIN, 1));
  int file = open("file", O_RDWR | O_CREAT, 0600);
  R(control(ep, EPOLL_CTL_ADD, file, EPOLLIN, 1));
  show("nothing", ep);
  write(p[1], "abc", 3);
  show("level", ep);
  show("level again", ep);
  control(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 1);
  show("edge after mod", ep);
  show("edge again", ep);
  write(p[1], "d", 1);
  show("edge after write", ep);
  read(p[0], buffer, 1);
  show("edge after read", ep);
  control(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 1);
  show("oneshot", ep);
  show("oneshot again", ep);
  write(p[1], "e", 1);
  show("oneshot after write", ep);
  control(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 1);
  show("rearmed", ep);
  control(ep, EPOLL_CTL_MOD, p[0], EPOLLIN, 1);
  control(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT, 2);
  show("two", ep);
  struct epoll_event one;
  R(epoll_wait(ep, &one, 1, 0));
  R(epoll_wait(ep, &one, 0, 0));
  R(epoll_wait(p[0], &one, 1, 0));
  R(epoll_wait(ep, (struct epoll_event *)8, 1, 0));
  int outer = epoll_create1(0);
  control(outer, EPOLL_CTL_ADD, ep, EPOLLIN, 9);
  show("nested", outer);
  R(control(ep, EPOLL_CTL_ADD, outer, EPOLLIN, 1));
  struct pollfd pe = {.fd = ep, .events = POLLIN};
  R(poll(&pe, 1, 0));
  int copy = dup(p[0]);
  close(p[0]);
  show("original closed, duplicate open", ep);
  close(copy);
  show("both closed", ep);
  control(ep, EPOLL_CTL_MOD, p[1], 0, 2);
  show("only errors", ep);

  int e = eventfd(5, EFD_NONBLOCK);
  uint64_t value = 0;
  R(read(e, &value, 8));
  out("value %lu", value);
  R(read(e, &value, 8));
  R(read(e, &value, 4));
  value = UINT64_MAX;
  R(write(e, &value, 8));
  value = UINT64_MAX - 1;
  R(write(e, &value, 8));
  value = 1;
  R(write(e, &value, 8));
  R(poll(&(struct pollfd){.fd = e, .events = POLLIN | POLLOUT}, 1, 0));
  R(read(e, &value, 8));
  int semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
  R(read(semaphore, &value, 8));
  out("value %lu", value);
  R(eventfd(0, 0x12345));
  int fds[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
  pthread_t thread;
  pthread_create(&thread, NULL, late_write, &fds[1]);
  control(ep, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLRDHUP, 5);
  R(epoll_wait(ep, &one, 1, 2000));
  pthread_join(thread, NULL);
  shutdown(fds[1], SHUT_WR);
  show("peer shut down", ep);
  close(fds[1]);
  show("peer closed", ep);

  /* select and poll. */
  pipe(p);
  fd_set in, ready;
  FD_ZERO(&in);
  FD_SET(p[0], &in);
  FD_SET(file, &in);
  ready = in;
  struct timeval tv = {0, 0};
  R(select(100, &ready, NULL, NULL, &tv));
  out("file %d pipe %d", FD_ISSET(file, &ready) != 0, FD_ISSET(p[0], &ready) != 0);
  FD_SET(60, &in);
  R(select(100, &in, NULL, NULL, &tv));
  R(select(-1, NULL, NULL, NULL, &tv));
  tv.tv_usec = 30000;
  R(select(0, NULL, NULL, NULL, &tv));
  out("time left %ld", (long)tv.tv_usec);
  struct pollfd many[3] = {{.fd = -1, .events = POLLIN}, {.fd = 99, .events = POLLIN}, {.fd = p[1], .events = POLLOUT}};
  R(poll(many, 3, 0));
  out("revents %x %x %x", many[0].revents, many[1].revents, many[2].revents);
  R(poll(NULL, 0, 10));
  R(poll((struct pollfd *)8, 1, 0));
  sigset_t mask;
  sigfillset(&mask);
  struct timespec soon = {0, 10000000};
  R(ppoll(many, 1, &soon, &mask));
  pthread_create(&thread, NULL, late_write, &p[1]);
  struct pollfd wait = {.fd = p[0], .events = POLLIN};
  R(poll(&wait, 1, -1));
  pthread_join(thread, NULL);
  return 0;
}
