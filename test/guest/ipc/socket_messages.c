/* Socket messages: options, control messages in tight buffers, claimed credentials, several messages
   at once, waiting for all, time limits, SIGPIPE, polling each type. */
#include "guest.h"
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

static int signals;

static void count(int signo) {
  (void)signo;
  signals++;
}

static void option(int s, const char *what, int name) {
  int value[4] = {-1, -1, -1, -1};
  socklen_t size = sizeof value;
  int r = getsockopt(s, SOL_SOCKET, name, value, &size);
  if (r < 0) out("%s: %s", what, errno_name(errno));
  else out("%s: %d (%d bytes)", what, value[0], (int)size);
}

static int set(int s, int name, int value) {
  return setsockopt(s, SOL_SOCKET, name, &value, sizeof value);
}

static void options(void) {
  int s[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
#define O(name) option(s[0], #name, name)
  O(SO_TYPE), O(SO_DOMAIN), O(SO_PROTOCOL), O(SO_ERROR), O(SO_ACCEPTCONN), O(SO_SNDBUF), O(SO_RCVBUF);
  O(SO_REUSEADDR), O(SO_KEEPALIVE), O(SO_BROADCAST), O(SO_LINGER), O(SO_RCVTIMEO), O(SO_SNDTIMEO);
  O(SO_PASSCRED), O(SO_RCVLOWAT), O(SO_SNDLOWAT), O(SO_PRIORITY), O(SO_OOBINLINE), O(SO_DONTROUTE);
  R(set(s[0], SO_SNDBUF, 1000));
  O(SO_SNDBUF);
  R(set(s[0], SO_SNDBUF, 50000));
  O(SO_SNDBUF);
  R(set(s[0], SO_RCVBUF, 1));
  O(SO_RCVBUF);
  R(set(s[0], SO_PRIORITY, 3));
  O(SO_PRIORITY);
  R(set(s[0], SO_TYPE, 3));
  R(set(s[0], SO_ERROR, 3));
  R(set(s[0], SO_ACCEPTCONN, 3));
  R(set(s[0], SO_SNDLOWAT, 3));
  R(set(s[0], SO_RCVLOWAT, 0));
  O(SO_RCVLOWAT);
  struct timeval tv = {1, 1000000};
  R(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
  R(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, 4));
  R(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &tv, 2));
  R(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, NULL, 4));
  struct linger linger = {1, 5};
  R(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
  O(SO_LINGER);
  char byte = 0;
  socklen_t one = 1;
  R(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &byte, &one));
  out("one byte %d of %d", byte, (int)one);
  one = (socklen_t)-1;
  R(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &byte, &one));
  R(getsockopt(s[0], 6, 1, &byte, &one));
  R(shutdown(s[0], 9));
  R(listen(s[0], 1));
  R(getsockopt(0, SOL_SOCKET, SO_TYPE, &byte, &one) == -1 && errno == ENOTSOCK ? 0 : 1);
  R(bind(99, NULL, 0));
  R(connect(s[0], NULL, 10));
  R(socket(AF_UNIX, SOCK_STREAM | 0x40, 0));
  R(socket(AF_UNIX, SOCK_STREAM, 7));
  R(socketpair(AF_UNIX, SOCK_STREAM, 0, NULL));
  R(socket(AF_UNIX, SOCK_RDM, 0));
  R(socket(AF_MAX + 1, SOCK_STREAM, 0));
}

static int send_fds(int socket, int *fds, int n) {
  char control[CMSG_SPACE(sizeof(int) * 16)] = {0};
  struct iovec v = {"x", 1};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
  m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n)};
  memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n);
  return (int)sendmsg(socket, &m, 0);
}

static void tight(int socket, size_t room) {
  char data, control[200];
  memset(control, 0, sizeof control);
  struct iovec v = {&data, 1};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
  ssize_t n = recvmsg(socket, &m, 0);
  out("room %d: %d, flags %x, used %d", (int)room, (int)n, m.msg_flags, (int)m.msg_controllen);
  struct cmsghdr *c = (struct cmsghdr *)control;
  size_t seen = 0;
  while (seen + sizeof *c <= m.msg_controllen) {
    out("  type %d length %d", c->cmsg_type, (int)c->cmsg_len);
    if (c->cmsg_type == SCM_RIGHTS)
      for (size_t i = 0; i < (c->cmsg_len - sizeof *c) / sizeof(int); i++) close(((int *)CMSG_DATA(c))[i]);
    seen += CMSG_ALIGN(c->cmsg_len);
    c = (struct cmsghdr *)(control + seen);
  }
}

static void control_messages(void) {
  int s[2], fds[3] = {0, 1, 2};
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  size_t rooms[] = {0, 8, 15, 16, 19, 20, 24, 27, 28, 32, 64};
  for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
    send_fds(s[0], fds, 3);
    tight(s[1], rooms[i]);
  }
  set(s[1], SO_PASSCRED, 1);
  size_t both[] = {0, 10, 16, 20, 28, 32, 40, 48, 52, 56, 64, 100};
  for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
    send_fds(s[0], fds, 3);
    tight(s[1], both[i]);
  }
  /* Credentials that are claimed. */
  char control[CMSG_SPACE(sizeof(struct ucred))] = {0};
  struct iovec v = {"y", 1};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS, .cmsg_len = CMSG_LEN(sizeof(struct ucred))};
  struct ucred u = {getpid(), getuid(), getgid()};
  memcpy(CMSG_DATA(c), &u, sizeof u);
  R(sendmsg(s[0], &m, 0));
  tight(s[1], 100);
  c->cmsg_len--;
  R(sendmsg(s[0], &m, 0));
  c->cmsg_len = 3;
  R(sendmsg(s[0], &m, 0));
  c->cmsg_len = CMSG_LEN(4);
  c->cmsg_type = 77;
  R(sendmsg(s[0], &m, 0));
  c->cmsg_level = 77;
  R(sendmsg(s[0], &m, 0));
  m.msg_iovlen = 2000;
  R(sendmsg(s[0], &m, 0));
  R(recvmsg(s[0], &m, MSG_DONTWAIT));
}

static void many_messages(void) {
  int s[2];
  struct mmsghdr messages[5];
  struct iovec v[5];
  char data[5][8];
  for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
    memset(messages, 0, sizeof messages);
    memset(data, 0, sizeof data);
    socketpair(AF_UNIX, type, 0, s);
    for (int i = 0; i < 5; i++) {
      v[i] = (struct iovec){data[i], 4};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
      memset(data[i], 'a' + i, 4);
    }
    R(sendmmsg(s[0], messages, 3, 0));
    memset(data, 0, sizeof data);
    R(recvmmsg(s[1], messages, 5, MSG_DONTWAIT, NULL));
    out("[%.8s] %u [%.8s] %u [%.8s] %u", data[0], messages[0].msg_len, data[1], messages[1].msg_len, data[2], messages[2].msg_len);
    R(recvmmsg(s[1], messages, 5, MSG_DONTWAIT, NULL));
    send(s[0], "only", 4, 0);
    R(recvmmsg(s[1], messages, 5, MSG_WAITFORONE, NULL));
    R(sendmmsg(s[0], messages, 0, 0));
    close(s[1]);
    R(sendmmsg(s[0], messages, 2, MSG_NOSIGNAL));
    close(s[0]);
  }
}

static void *late(void *arg) {
  int s = *(int *)arg;
  sleep_ms(30);
  send(s, "def", 3, 0);
  sleep_ms(30);
  send(s, "gh", 2, 0);
  sleep_ms(30);
  shutdown(s, SHUT_WR);
  return NULL;
}

static void waiting(void) {
  int s[2];
  char b[100] = "";
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  pthread_t thread;
  send(s[0], "abc", 3, 0);
  pthread_create(&thread, NULL, late, &s[0]);
  R(recv(s[1], b, 5, MSG_WAITALL | MSG_PEEK));
  R(recv(s[1], b, 5, MSG_WAITALL));
  out("[%s]", b);
  memset(b, 0, sizeof b);
  R(recv(s[1], b, 50, MSG_WAITALL));
  out("[%s]", b);
  pthread_join(thread, NULL);
  R(recv(s[1], b, 50, 0));
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  struct timeval limit = {0, 30000};
  setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  R(recv(s[0], b, 1, 0));
  R(read(s[0], b, 1));
  send(s[1], "zz", 2, 0);
  R(recv(s[0], b, 5, MSG_WAITALL));
  static char big[1 << 20];
  ssize_t n = send(s[0], big, sizeof big, 0);
  out("sent some %d", n > 0 && n < (ssize_t)sizeof big);
  R(send(s[0], big, sizeof big, 0));
  R(write(s[0], big, sizeof big));
  R(send(s[0], big, sizeof big, MSG_DONTWAIT));
  out("signals %d", signals);
  shutdown(s[0], SHUT_WR);
  R(write(s[0], "x", 1));
  R(send(s[0], "x", 1, MSG_NOSIGNAL));
  R(send(s[0], "x", 1, 0));
  out("signals %d", signals);
  socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
  close(s[1]);
  R(write(s[0], "x", 1));
  R(send(s[0], "x", 1, 0));
  out("signals %d", signals);
}

static void events(const char *what, int fd) {
  struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
  int n = poll(&p, 1, 0);
  out("%s: %d %x", what, n, p.revents);
}

static void readiness(void) {
  int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (int i = 0; i < 3; i++) {
    int s[2], fresh = socket(AF_UNIX, types[i], 0);
    events("fresh", fresh);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    bind(fresh, (struct sockaddr *)&a, sizeof(sa_family_t));
    events("bound", fresh);
    listen(fresh, 1);
    events("listening", fresh);
    socketpair(AF_UNIX, types[i], 0, s);
    events("pair", s[0]);
    send(s[1], "x", 1, 0);
    events("input", s[0]);
    shutdown(s[0], SHUT_WR);
    events("no output", s[0]);
    events("peer of that", s[1]);
    shutdown(s[0], SHUT_RD);
    events("neither", s[0]);
    events("peer of that", s[1]);
    close(s[0]);
    events("peer closed", s[1]);
    char b[9];
    R(recv(s[1], b, 9, MSG_DONTWAIT));
    R(send(s[1], b, 1, MSG_NOSIGNAL));
    events("after that", s[1]);
    int n = -1;
    R(ioctl(s[1], FIONREAD, &n));
    R(ioctl(s[1], TIOCOUTQ, &n) == 0 ? 0 : errno);
    R(lseek(s[1], 0, SEEK_SET));
    R(pread(s[1], b, 1, 0));
    R(ftruncate(s[1], 1));
    close(s[1]);
    close(fresh);
  }
}

int main(void) {
  signal(SIGPIPE, count);
  options();
  control_messages();
  many_messages();
  waiting();
  readiness();
  return 0;
}
