/* flock, POSIX locks, open-file-description locks, and inotify. */
#include "guest.h"
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>

static int set(int fd, int command, int type, off_t start, off_t length) {
  struct flock l = {.l_type = (short)type, .l_start = start, .l_len = length};
  return fcntl(fd, command, &l);
}

static void query(const char *what, int fd, int command) {
  struct flock l = {.l_type = F_WRLCK};
  int r = fcntl(fd, command, &l);
  if (r < 0) out("%s: %s", what, errno_name(errno));
  else out("%s: type %d start %ld length %ld parent's %d", what, l.l_type, (long)l.l_start, (long)l.l_len, l.l_pid == getppid());
}

static void events(const char *what, int fd) {
  char b[4096] __attribute__((aligned(8)));
  ssize_t n = read(fd, b, sizeof b);
  if (n < 0) {
    out("%s: %s", what, errno_name(errno));
    return;
  }
  for (char *p = b; p < b + n;) {
    struct inotify_event *e = (struct inotify_event *)(void *)p;
    out("%s: wd %d mask %x cookie %d name %s", what, e->wd, e->mask, e->cookie != 0, e->len ? e->name : "-");
    p += sizeof *e + e->len;
  }
}

int main(void) {
  int fd = open("f", O_RDWR | O_CREAT, 0600), other = open("f", O_RDWR), ro = open("f", O_RDONLY);
  write(fd, "0123456789", 10);
  R(flock(fd, LOCK_EX));
  R(flock(other, LOCK_EX | LOCK_NB));
  R(flock(other, LOCK_SH | LOCK_NB));
  R(flock(fd, LOCK_SH));
  R(flock(other, LOCK_SH | LOCK_NB));
  R(flock(fd, LOCK_EX | LOCK_NB));
  R(flock(other, LOCK_UN));
  int copy = dup(fd);
  R(flock(copy, LOCK_EX | LOCK_NB));
  close(fd);
  R(flock(other, LOCK_SH | LOCK_NB));
  close(copy);
  R(flock(other, LOCK_SH | LOCK_NB));
  R(flock(other, 99));
  R(flock(99, LOCK_SH));
  flock(other, LOCK_UN);

  fd = open("f", O_RDWR);
  R(set(fd, F_SETLK, F_WRLCK, 0, 5));
  R(set(other, F_SETLK, F_WRLCK, 0, 5));
  R(set(fd, F_SETLK, F_RDLCK, 3, 4));
  R(set(ro, F_SETLK, F_WRLCK, 50, 1));
  R(set(fd, F_SETLK, F_RDLCK, -1, 4));
  R(set(fd, F_SETLK, 77, 0, 4));
  IN_CHILD("another process", {
    query("whole", other, F_GETLK);
    R(set(other, F_SETLK, F_RDLCK, 3, 4));
    R(set(other, F_SETLK, F_RDLCK, 0, 4));
    R(set(other, F_SETLK, F_WRLCK, 7, 0));
    R(set(other, F_SETLK, F_UNLCK, 0, 0));
  });
  close(open("f", O_RDONLY));
  IN_CHILD("closing any descriptor released all", query("whole", other, F_GETLK));
  int p[2];
  pipe(p);
  pid_t pid = fork();
  if (pid == 0) {
    set(fd, F_SETLKW, F_WRLCK, 0, 0);
    write(p[1], "l", 1);
    sleep_ms(60);
    _exit(0);
  }
  char c;
  read(p[0], &c, 1);
  R(set(fd, F_SETLK, F_RDLCK, 0, 1));
  R(set(fd, F_SETLKW, F_RDLCK, 0, 1));
  reap("holder", pid);
  /* Two processes that wait for each other. */
  set(fd, F_SETLK, F_UNLCK, 0, 0);
  set(fd, F_SETLK, F_WRLCK, 0, 1);
  pid = fork();
  if (pid == 0) {
    set(fd, F_SETLK, F_WRLCK, 1, 1);
    write(p[1], "l", 1);
    set(fd, F_SETLKW, F_WRLCK, 0, 1);
    _exit(0);
  }
  read(p[0], &c, 1);
  sleep_ms(40);
  R(set(fd, F_SETLKW, F_WRLCK, 1, 1));
  set(fd, F_SETLK, F_UNLCK, 0, 0);
  reap("other", pid);
  R(set(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
  R(set(other, F_OFD_SETLK, F_WRLCK, 0, 0));
  R(set(other, F_SETLK, F_WRLCK, 0, 0));
  struct flock l = {.l_type = F_WRLCK};
  R(fcntl(other, F_OFD_GETLK, &l));
  out("held by description: type %d pid %d", l.l_type, l.l_pid);
  close(fd);
  R(set(other, F_OFD_SETLK, F_WRLCK, 0, 0));
  close(other);

  int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  mkdir("d", 0755);
  write_file("d/old", "x");
  R(inotify_add_watch(in, "d", IN_ALL_EVENTS));
  R(inotify_add_watch(in, "d/old", IN_MODIFY | IN_DELETE_SELF | IN_ATTRIB));
  R(inotify_add_watch(in, "none", IN_MODIFY));
  R(inotify_add_watch(99, "d", IN_MODIFY));
  R(inotify_add_watch(1, "d", IN_MODIFY));
  R(inotify_add_watch(in, "d", 0));
  R(inotify_add_watch(in, "f", IN_ONLYDIR | IN_MODIFY));
  events("nothing", in);
  write_file("d/new", "content");
  events("made", in);
  fd = open("d/new", O_RDONLY);
  read(fd, &c, 1);
  close(fd);
  events("read", in);
  chmod("d/new", 0600);
  rename("d/new", "d/renamed");
  events("renamed", in);
  rename("d/renamed", "outside");
  rename("outside", "d/back");
  events("out and in", in);
  mkdir("d/sub", 0755);
  rmdir("d/sub");
  events("directory", in);
  link("d/back", "d/hard");
  symlink("x", "d/sym");
  truncate("d/old", 0);
  events("links and truncation", in);
  unlink("d/old");
  unlink("d/back");
  unlink("d/hard");
  unlink("d/sym");
  events("removed", in);
  rmdir("d");
  events("watched directory removed", in);
  R(inotify_rm_watch(in, 1));
  R(inotify_rm_watch(in, 99));
  R(inotify_add_watch(in, ".", IN_CREATE | IN_ONESHOT));
  write_file("one", "");
  write_file("two", "");
  events("oneshot", in);
  struct pollfd pfd = {.fd = in, .events = POLLIN};
  R(poll(&pfd, 1, 0));
  return 0;
}
