/* Unix sockets: the three types, names, passing descriptors and credentials, limits and errors. */
#include "guest.h"
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static socklen_t name(struct sockaddr_un *a, const char *path, int abstract) {
  memset(a, 0, sizeof *a);
  a->sun_family = AF_UNIX;
  strcpy(a->sun_path + abstract, path);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract + strlen(path) + !abstract);
}

static void show_name(const char *what, int (*get)(int, struct sockaddr *, socklen_t *), int fd) {
  struct sockaddr_un a;
  socklen_t n = sizeof a;
  memset(&a, 0, sizeof a);
  int r = get(fd, (struct sockaddr *)&a, &n);
  if (r < 0) out("%s: %s", what, errno_name(errno));
  else out("%s: length %d [%s%s]", what, (int)n, n > 2 && !a.sun_path[0] ? "@" : "", n > 2 ? a.sun_path + !a.sun_path[0] : "");
}

static int send_fd(int socket, int fd, const char *text) {
  char control[CMSG_SPACE(sizeof fd)];
  memset(control, 0, sizeof control);
  struct iovec v = {(char *)text, strlen(text)};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(c), &fd, sizeof fd);
  return (int)sendmsg(socket, &m, 0);
}

static void receive(const char *what, int socket, size_t size, size_t room, int flags) {
  char data[100] = "", control[200];
  struct iovec v = {data, size};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
  ssize_t n = recvmsg(socket, &m, flags);
  if (n < 0) {
    out("%s: %s", what, errno_name(errno));
    return;
  }
  out("%s: %zd [%s] flags %x", what, n, data, m.msg_flags & ~MSG_CMSG_CLOEXEC);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
    if (c->cmsg_type == SCM_CREDENTIALS) {
      struct ucred u;
      memcpy(&u, CMSG_DATA(c), sizeof u);
      out("  credentials uid %d gid %d own pid %d", u.uid, u.gid, u.pid == getpid());
    } else if (c->cmsg_type == SCM_RIGHTS) {
      int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)), fds[16];
      memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)count);
      out("  descriptors %d, cloexec %d", count, count ? fcntl(fds[0], F_GETFD) : -1);
      for (int i = 0; i < count; i++) {
        write(fds[i], "via", 3);
        close(fds[i]);
      }
    }
  }
}

static void stream_like(int type) {
  out("-- type %d", type);
  struct sockaddr_un a;
  for (int abstract = 0; abstract <= 1; abstract++) {
    int s = socket(AF_UNIX, type, 0);
    socklen_t n = name(&a, type == SOCK_STREAM ? "stream" : "seqpacket", abstract);
    R(connect(s, (struct sockaddr *)&a, n));
    R(bind(s, (struct sockaddr *)&a, n));
    R(bind(s, (struct sockaddr *)&a, n));
    int c = socket(AF_UNIX, type, 0);
    R(connect(c, (struct sockaddr *)&a, n));
    R(listen(s, 1));
    R(connect(c, (struct sockaddr *)&a, n));
    R(connect(c, (struct sockaddr *)&a, n));
    int k = accept4(s, NULL, NULL, SOCK_CLOEXEC);
    show_name("server's name", getsockname, k);
    show_name("client's peer", getpeername, c);
    show_name("client's name", getsockname, c);
    struct ucred u;
    socklen_t size = sizeof u;
    getsockopt(k, SOL_SOCKET, SO_PEERCRED, &u, &size);
    out("peer uid %d own pid %d", u.uid, u.pid == getpid());
    send(c, "first", 5, 0);
    send(c, "second", 6, 0);
    char b[100] = "";
    R(recv(k, b, 3, MSG_PEEK));
    R(recv(k, b, 3, 0));
    R(recv(k, b, 100, 0));
    R(recv(k, b, 100, MSG_DONTWAIT));
    R(shutdown(c, SHUT_WR));
    R(recv(k, b, 100, type == SOCK_STREAM ? 0 : MSG_DONTWAIT));
    R(send(c, "x", 1, MSG_NOSIGNAL));
    R(send(k, "reply", 5, 0));
    R(recv(c, b, 100, 0));
    close(k);
    R(recv(c, b, 100, 0));
    close(c);
    /* The backlog is full. */
    int waiting[4];
    for (int i = 0; i < 4; i++) {
      waiting[i] = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
      R(connect(waiting[i], (struct sockaddr *)&a, n));
    }
    close(s);
    R(send(waiting[0], "x", 1, MSG_NOSIGNAL));
    for (int i = 0; i < 4; i++) close(waiting[i]);
    R(connect(socket(AF_UNIX, type, 0), (struct sockaddr *)&a, n) == -1 ? errno : 0);
    if (!abstract) unlink(a.sun_path);
  }
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  stream_like(SOCK_STREAM);
  stream_like(SOCK_SEQPACKET);
  int s[2];
  R(socket(AF_UNIX, 77, 0));
  R(socket(12345, SOCK_STREAM, 0));
  R(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
  R(send(s[0], "datagram", 8, 0));
  R(send(s[0], "", 0, 0));
  R(send(s[0], "third", 5, 0));
  receive("truncated", s[1], 4, 0, 0);
  receive("empty", s[1], 99, 0, 0);
  receive("whole", s[1], 99, 0, 0);
  char big[300000];
  memset(big, 'b', sizeof big);
  R(send(s[0], big, sizeof big, MSG_DONTWAIT));
  struct sockaddr_un a;
  int d = socket(AF_UNIX, SOCK_DGRAM, 0), e = socket(AF_UNIX, SOCK_DGRAM, 0);
  socklen_t n = name(&a, "dgram", 0);
  R(bind(d, (struct sockaddr *)&a, n));
  R(sendto(e, "hi", 2, 0, (struct sockaddr *)&a, n));
  struct sockaddr_un from;
  socklen_t size = sizeof from;
  R(recvfrom(d, big, 10, 0, (struct sockaddr *)&from, &size));
  out("from length %d", (int)size);
  R(bind(e, (struct sockaddr *)&a, sizeof(sa_family_t)));
  size = sizeof from;
  getsockname(e, (struct sockaddr *)&from, &size);
  out("autobind length %d", (int)size);
  R(sendto(e, "hi", 2, 0, NULL, 0));
  R(connect(e, (struct sockaddr *)&a, n));
  R(send(e, "connected", 9, 0));
  receive("connected", d, 99, 0, 0);
  struct stat st;
  stat("dgram", &st);
  out("mode %o", st.st_mode);
  R(open("dgram", O_RDWR));

  int p[2];
  pipe(p);
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  R(send_fd(s[0], p[1], "fd"));
  receive("with room", s[1], 99, 200, 0);
  char text[10] = "";
  R(read(p[0], text, 3));
  send_fd(s[0], p[1], "fd");
  receive("without room", s[1], 99, 0, 0);
  send_fd(s[0], p[1], "fd");
  receive("cloexec", s[1], 99, 200, MSG_CMSG_CLOEXEC);
  R(send_fd(s[0], 99, "bad"));
  /* Descriptors divide a stream. */
  send(s[0], "before", 6, 0);
  send_fd(s[0], p[1], "with");
  send(s[0], "after", 5, 0);
  receive("one", s[1], 99, 200, 0);
  receive("two", s[1], 99, 200, 0);
  receive("three", s[1], 99, 200, MSG_DONTWAIT);
  int on = 1;
  R(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  send(s[0], "c", 1, 0);
  receive("credentials", s[1], 99, 200, 0);
  int value = 0;
  size = sizeof value;
  R(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &value, &size));
  out("type %d", value);
  R(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &value, &size));
  R(getsockopt(s[0], SOL_SOCKET, 12345, &value, &size));
  R(setsockopt(s[0], 12345, 1, &value, size));
  R(listen(s[0], 1));
  R(accept(s[0], NULL, NULL));
  send(s[0], "pending", 7, 0);
  R(ioctl(s[1], FIONREAD, &value));
  out("pending %d", value);
  close(s[1]);
  R(send(s[0], "x", 1, 0));
  R(recv(s[0], text, 1, 0));
  struct mmsghdr messages[3];
  memset(messages, 0, sizeof messages);
  struct iovec v[3] = {{"m1", 2}, {"m22", 3}, {"m333", 4}};
  for (int i = 0; i < 3; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
  socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
  R(sendmmsg(s[0], messages, 3, 0));
  out("lengths %d %d %d", messages[0].msg_len, messages[1].msg_len, messages[2].msg_len);
  receive("packet", s[1], 99, 0, 0);
  /* A socket in flight that refers to itself does not stay forever. */
  for (int i = 0; i < 50; i++) {
    int loop[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, loop);
    send_fd(loop[0], loop[1], "l");
    send_fd(loop[1], loop[0], "l");
    close(loop[0]);
    close(loop[1]);
  }
  out("loops made");
  return 0;
}
