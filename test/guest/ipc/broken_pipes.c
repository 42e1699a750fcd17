/* SIGPIPE: what writing to an end without a reader does, by kind of end and by call. */
#include "guest.h"
#include <sys/sendfile.h>
#include <sys/socket.h>

static int signals;

static void count(int signo) {
  (void)signo;
  signals++;
}

static void told(const char *end, const char *call, long n) {
  int error = errno;
  out("%s, %s: %ld %s, signals %d", end, call, n, n < 0 ? errno_name(error) : "", signals);
  signals = 0;
}

static void try(const char *end, int fd) {
  int file = open("broken", O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (write(file, "text", 4) != 4 || lseek(file, 0, SEEK_SET) != 0) out("no file");
  int pipes[2];
  if (pipe(pipes) < 0 || write(pipes[1], "text", 4) != 4) out("no pipe");
  told(end, "write", write(fd, "text", 4));
  told(end, "sendfile", sendfile(fd, file, NULL, 4));
  told(end, "splice", splice(pipes[0], NULL, fd, NULL, 4, 0));
  if (strcmp(end, "pipe") == 0) {
    told(end, "splice from a file", splice(file, NULL, fd, NULL, 4, 0));
    told(end, "tee", tee(pipes[0], fd, 4, 0));
  } else {
    told(end, "send", send(fd, "text", 4, 0));
    told(end, "send MSG_NOSIGNAL", send(fd, "text", 4, MSG_NOSIGNAL));
  }
  close(file);
  close(pipes[0]);
  close(pipes[1]);
  close(fd);
}

int main(void) {
  struct { const char *name; int type; } kinds[] = {
    {"stream", SOCK_STREAM}, {"seqpacket", SOCK_SEQPACKET}, {"dgram", SOCK_DGRAM}};
  signal(SIGPIPE, count);
  int fds[2];
  if (pipe(fds) < 0) return 1;
  close(fds[0]);
  try("pipe", fds[1]);
  for (int i = 0; i < 3; i++) {
    if (socketpair(AF_UNIX, kinds[i].type, 0, fds) < 0) return 1;
    close(fds[0]);
    try(kinds[i].name, fds[1]);
    if (socketpair(AF_UNIX, kinds[i].type, 0, fds) < 0) return 1;
    R(shutdown(fds[0], SHUT_RD));
    try(kinds[i].name, fds[1]);
    close(fds[0]);
    if (socketpair(AF_UNIX, kinds[i].type, 0, fds) < 0) return 1;
    R(shutdown(fds[1], SHUT_WR));
    try(kinds[i].name, fds[1]);
    close(fds[0]);
  }
  unlink("broken");
  return 0;
}
