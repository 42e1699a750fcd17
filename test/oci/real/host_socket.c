/*
 * The two ends of a unix socket, for host_sockets.ts: one of them runs on the host, the other in a sandbox.
 *
 *   host_socket serve TYPE PATH     takes one client (of datagrams: two messages) and says what came
 *   host_socket ask TYPE PATH       waits until somebody listens, talks, and says what came back
 *   host_socket try TYPE PATH       connects once and says the error
 *   host_socket rights PATH         sends a descriptor along and says the error
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOTAL = 1 << 20, CHUNK = 30000 };

static char bytes[CHUNK];

static void die(const char *what) {
  printf("%s: %s\n", what, strerror(errno));
  exit(1);
}

static int type_named(const char *name) {
  if (strcmp(name, "stream") == 0) return SOCK_STREAM;
  return strcmp(name, "dgram") == 0 ? SOCK_DGRAM : SOCK_SEQPACKET;
}

static struct sockaddr_un named(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

static int connected(int type, const char *path) {
  struct sockaddr_un address = named(path);
  int fd = socket(AF_UNIX, type, 0);
  if (fd < 0) die("socket");
  for (int i = 0; connect(fd, (void *)&address, sizeof address) < 0; i++) {
    if (i == 1000 || (errno != ENOENT && errno != ECONNREFUSED)) die("connect");
    usleep(10000);
  }
  return fd;
}

static void wait_for(int fd, short events) {
  struct pollfd look = {.fd = fd, .events = events};
  if (poll(&look, 1, 10000) != 1) die("poll");
}

/* Everything comes back; at the end of the input a last word. */
static void serve(int type, const char *path) {
  struct sockaddr_un address = named(path);
  int fd = socket(AF_UNIX, type, 0);
  umask(0);
  if (bind(fd, (void *)&address, sizeof address) < 0) die("bind");
  if (type == SOCK_DGRAM) {
    for (int i = 0; i < 2; i++) {
      wait_for(fd, POLLIN);
      ssize_t n = recv(fd, bytes, sizeof bytes, 0);
      printf("message %.*s\n", (int)n, bytes);
    }
    return;
  }
  if (listen(fd, 5) < 0) die("listen");
  wait_for(fd, POLLIN);
  int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
  if (client < 0) die("accept");
  long total = 0;
  for (ssize_t n; (n = read(client, bytes, sizeof bytes)) != 0; total += n) {
    if (n < 0) die("read");
    for (ssize_t at = 0; at < n;) {
      ssize_t sent = write(client, bytes + at, n - at);
      if (sent < 0) die("write");
      at += sent;
    }
  }
  printf("echoed %ld\n", total);
  if (send(client, "bye", 3, MSG_NOSIGNAL) != 3) die("send");
}

/* A child writes while the parent reads. */
static void echo_much(int fd) {
  pid_t writer = fork();
  if (writer == 0) {
    for (int sent = 0; sent < TOTAL;) {
      int size = TOTAL - sent < CHUNK ? TOTAL - sent : CHUNK;
      for (int i = 0; i < size; i++) bytes[i] = (char)((sent + i) * 7 >> 3);
      ssize_t n = write(fd, bytes, size);
      if (n < 0) die("write");
      sent += n;
    }
    exit(0);
  }
  int wrong = 0, got = 0;
  while (got < TOTAL) {
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n <= 0) die("read");
    for (int i = 0; i < n; i++) wrong += bytes[i] != (char)((got + i) * 7 >> 3);
    got += n;
  }
  int status = 0;
  wait(&status);
  printf("got %d, %d wrong, writer %d\n", got, wrong, status);
}

static void ask(int type, const char *path) {
  int fd = connected(type, path);
  struct sockaddr_un peer = {0};
  socklen_t length = sizeof peer;
  if (getpeername(fd, (void *)&peer, &length) < 0) die("getpeername");
  printf("peer %d %s\n", peer.sun_family, strrchr(peer.sun_path, '/'));
  if (type == SOCK_DGRAM) {
    if (send(fd, "one", 3, 0) != 3) die("send");
    struct sockaddr_un address = named(path);
    int other = socket(AF_UNIX, type, 0);
    if (sendto(other, "two", 3, 0, (void *)&address, sizeof address) != 3) die("sendto");
    return;
  }
  ssize_t n = recv(fd, bytes, 1, MSG_DONTWAIT);
  printf("nothing yet: %zd %d\n", n, errno == EAGAIN);
  struct timeval limit = {.tv_usec = 50000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  n = recv(fd, bytes, 1, 0);
  printf("nothing in time: %zd %d\n", n, errno == EAGAIN);
  limit.tv_usec = 0;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (write(fd, "hello", 5) != 5) die("write");
  wait_for(fd, POLLIN);
  int waiting = 0;
  ioctl(fd, FIONREAD, &waiting);
  memset(bytes, 0, 8);
  n = recv(fd, bytes, 3, MSG_PEEK);
  printf("peek %zd %.3s, waiting %d\n", n, bytes, waiting);
  memset(bytes, 0, 8);
  n = recv(fd, bytes, 3, type == SOCK_STREAM ? 0 : MSG_TRUNC);
  printf("read %zd %s\n", n, bytes);
  if (type == SOCK_STREAM) printf("and %zd\n", read(fd, bytes, sizeof bytes));
  echo_much(fd);
  if (shutdown(fd, SHUT_WR) < 0) die("shutdown");
  memset(bytes, 0, 8);
  n = recv(fd, bytes, sizeof bytes, 0);
  printf("last %zd %s\n", n, bytes);
  printf("end %zd\n", read(fd, bytes, sizeof bytes));
  struct pollfd look = {.fd = fd, .events = POLLIN | POLLOUT};
  poll(&look, 1, 0);
  printf("hung up %d\n", (look.revents & POLLHUP) != 0);
  n = send(fd, "x", 1, MSG_NOSIGNAL);
  printf("write %zd %d\n", n, errno == EPIPE);
}

static void try_once(int type, const char *path) {
  struct sockaddr_un address = named(path);
  int fd = socket(AF_UNIX, type, 0);
  int result = connect(fd, (void *)&address, sizeof address);
  printf("%s\n", result == 0 ? "connected" : strerror(errno));
}

static void rights(const char *path) {
  int fd = connected(SOCK_STREAM, path);
  struct iovec vector = {.iov_base = bytes, .iov_len = 1};
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){
      .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
  printf("%s\n", sendmsg(fd, &message, 0) < 0 ? strerror(errno) : "sent");
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 3 && strcmp(argv[1], "rights") == 0) rights(argv[2]);
  if (argc < 4) return 0;
  int type = type_named(argv[2]);
  if (strcmp(argv[1], "serve") == 0) serve(type, argv[3]);
  if (strcmp(argv[1], "ask") == 0) ask(type, argv[3]);
  if (strcmp(argv[1], "try") == 0) try_once(type, argv[3]);
  return 0;
}
