/*
 * With --host-uds=all: which sockets of the host can be reached, and where ones can be made. Those in the
 * volumes are fair game; outside is a listener that gives the secret away, and one with an abstract name.
 */
#include "escape.h"
#include <sys/socket.h>
#include <sys/un.h>

enum { RACES = 800 };

static int reaches(const char *path, int type) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, type, 0);
  attempts++;
  int result = connect(fd, (struct sockaddr *)&address, sizeof address);
  if (result == 0) show(path, fd);
  close(fd);
  return result == 0;
}

static int makes(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  attempts++;
  int result = bind(fd, (struct sockaddr *)&address, sizeof address);
  close(fd);
  return result == 0;
}

static void outside_sockets(void) {
  char path[200];
  static const char *ways[] = {"/rw/host-absolute/%s", "/rw/host-relative/%s", "/rw/host-chain/%s", "/rw/host-socket-link", "/rw/../outside/%s", "/ro/host-absolute/%s", "/proc/self/root/rw/../../outside/%s"};
  for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
    snprintf(path, sizeof path, ways[i], "socket");
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
      if (type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET) {
        if (reaches(path, type)) ESCAPED("connected to %s", path);
      }
    }
    snprintf(path, sizeof path, ways[i], "made-socket");
    if (i != 3) makes(path);
  }
  snprintf(path, sizeof path, "%s/socket", outside);
  if (reaches(path, SOCK_STREAM)) ESCAPED("connected to %s", path);
  snprintf(path, sizeof path, "%s/made-socket", outside);
  makes(path);
}

static void abstract_names(void) {
  char name[200];
  FILE *file = fopen("/rw/abstract-name", "r");
  if (file == NULL || fgets(name, sizeof name, file) == NULL) _exit(3);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  memcpy(address.sun_path + 1, name, length);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, 3 + length) == 0) ESCAPED("connected to an abstract name");
  attempts++;
  close(fd);
}

/* Another process puts a link in the socket's place while it is connected to, and the directory in a link's. */
static void races(void) {
  mkdir("/rw/swapped", 0777);
  pid_t child = fork();
  if (child == 0) {
    for (;;) {
      symlink("../outside/socket", "/rw/racing.new");
      rename("/rw/racing.new", "/rw/racing");
      link("/rw/host-socket", "/rw/racing.new");
      rename("/rw/racing.new", "/rw/racing");
      rename("/rw/swapped", "/rw/swapped.away");
      symlink("../outside", "/rw/swapped");
      unlink("/rw/swapped");
      rename("/rw/swapped.away", "/rw/swapped");
    }
  }
  for (int i = 0; i < RACES; i++) {
    reaches("/rw/racing", SOCK_STREAM);
    makes("/rw/swapped/made-socket");
    unlink("/rw/swapped/made-socket");
  }
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

static void rights(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/rw/host-socket"};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) _exit(4);
  char byte = 0, control[CMSG_SPACE(253 * sizeof(int))] = {0};
  struct iovec vector = {&byte, 1};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int))};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
  if (sendmsg(fd, &message, 0) >= 0) ESCAPED("sent a descriptor to the host");
  message.msg_controllen = sizeof control;
  if (recvmsg(fd, &message, 0) >= 0 && message.msg_controllen > 0) ESCAPED("received a descriptor of the host");
  attempts += 2;
  close(fd);
}

static void read_only(void) {
  if (makes("/ro/made-socket")) ESCAPED("a socket made in a read-only volume");
  if (makes("/rw/file")) ESCAPED("a socket made over a file");
  if (!reaches("/rw/host-socket", SOCK_STREAM)) _exit(5);
}

int main(int argc, char **argv) {
  start(argc, argv);
  read_only();
  outside_sockets();
  abstract_names();
  rights();
  races();
  return finish();
}
